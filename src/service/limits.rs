//! Every bound of the service that no setting moves, and how the bounds relate.

/// Records of one request.
pub(crate) const REQUEST_RECORDS_MAX: usize = 1 << 17;
/// Requests that one commit answers.
pub(crate) const COMMIT_REQUESTS_MAX: usize = 4_096;
/// Largest catalog that the API takes, in bytes.
pub(crate) const CATALOG_BYTES_MAX: usize = 256 << 20;
/// Largest body of a request that asks rather than brings, in bytes.
pub(crate) const COMMAND_BYTES_MAX: usize = 64 << 10;
/// Bytes of a refused body that are read away, so that its sender gets to read the answer.
pub(crate) const DRAINED_BYTES_MAX: usize = 64 << 20;
/// Dead letters that one request shows.
pub(crate) const REJECTED_SHOWN_MAX: usize = 1_000;
/// Dead letters shown where the request does not say how many.
pub(crate) const REJECTED_SHOWN: usize = 100;
/// Bytes of dead letters that one request shows.
pub(crate) const REJECTED_BYTES_MAX: usize = 16 << 20;
/// Seconds that open requests are given to end once the service is told to stop.
pub(crate) const STOP_SECONDS_MAX: u64 = 20;
/// Days ahead of the clock up to which periods may be closed by hand.
pub(crate) const CLOSE_AHEAD_DAYS_MAX: u64 = 400;
/// Reads that are passed on to other instances at a time.
pub(crate) const PEER_READS_MAX: usize = 64;
/// Seconds that another instance is given to answer a read.
pub(crate) const PEER_SECONDS_MAX: u64 = 10;
/// Seconds that a connection to another instance may take.
pub(crate) const PEER_CONNECT_SECONDS_MAX: u64 = 5;
/// Seconds that looking for the instance that holds a partition may take.
pub(crate) const OWNER_SECONDS_MAX: u64 = 10;
/// Seconds that another instance is given to have a catalog tried by its partitions.
pub(crate) const TRIAL_SECONDS_MAX: u64 = 90;
/// Seconds that such a request waits until its catalog is read, and again until it is tried.
pub(crate) const TRIAL_TURN_SECONDS_MAX: u64 = 10;
/// Catalogs of other instances that are held at a time, to be tried one after the other.
pub(crate) const TRIAL_CATALOGS_MAX: usize = 4;
/// How many times as long as a trial took partitions rest before the next one that another instance
/// asks for, and for how many seconds at most.
pub(crate) const TRIAL_REST_TIMES: u32 = 3;
pub(crate) const TRIAL_REST_SECONDS_MAX: u64 = 5;
/// Partitions that one request has a catalog tried by.
pub(crate) const TRIAL_PARTITIONS_MAX: usize = 4_096;
/// Largest answer of another instance, in bytes.
pub(crate) const PEER_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(REJECTED_SHOWN <= REJECTED_SHOWN_MAX, "the default is allowed");
const _: () = assert!(TRIAL_REST_SECONDS_MAX < TRIAL_TURN_SECONDS_MAX, "a rest is waited for");
const _: () = assert!(PEER_CONNECT_SECONDS_MAX < PEER_SECONDS_MAX, "then it may still answer");
