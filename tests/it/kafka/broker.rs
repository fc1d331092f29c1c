//! A Kafka broker for tests: one that all tests of a process share, or one of a test's own that it
//! may kill.
//!
//! `scripts/kafka.sh` runs it, and ends it as soon as the pipe to its standard input closes. So it
//! never outlives the process of the tests, even where that is killed. (Linux could kill it at the
//! death of its parent, but the parent is a thread, and threads of tests end with their tests.)

use crate::program::signal;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where a broker is, and what keeps it alive.
#[derive(Debug)]
pub(crate) struct Broker {
    /// What clients are given as `bootstrap.servers`.
    pub(crate) bootstrap: String,
    /// None of its own if somebody else runs it.
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    directory: PathBuf,
    /// The script; none while the broker is down.
    script: Option<Child>,
}

/// By what a broker lets itself be told a password.
pub(super) const MECHANISMS: [&str; 3] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/// A broker that asks for a password.
pub(super) struct Guarded {
    _broker: Broker,
    /// Where it does so in the open.
    pub(super) plain: String,
    /// Where it does so by TLS.
    pub(super) tls: String,
    /// The certificate that TLS is to be trusted for.
    pub(super) authority: PathBuf,
}

impl Broker {
    /// The broker at `KAFKA_BOOTSTRAP`, or else one that all tests of this process share. Where
    /// none can be started the test has nothing to run on and returns; with `CI` set it fails.
    pub(crate) fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Broker>> = OnceLock::new();
        let broker = SHARED.get_or_init(|| {
            if let Ok(bootstrap) = std::env::var("KAFKA_BOOTSTRAP") {
                return Some(Self { bootstrap, running: None });
            }
            // Nobody drops what is static: the script removes the directory.
            or_no_test(Self::start(new_directory(), &["--ephemeral"], ""))
        });
        broker.as_ref()
    }

    /// A broker for one test, which goes away with it; none where [`Broker::shared`] has none.
    pub(crate) fn dedicated() -> Option<Self> {
        or_no_test(Self::start(new_directory(), &[], ""))
    }

    /// A broker as [`Broker::dedicated`] has it, with further settings.
    pub(super) fn with_settings(lines: &str) -> Option<Self> {
        let mut broker = Self::dedicated()?;
        broker.kill();
        let settings = broker.running.as_ref().unwrap().directory.join("server.properties");
        let text = std::fs::read_to_string(&settings).unwrap();
        std::fs::write(&settings, format!("{text}\n{lines}")).unwrap();
        broker.restart();
        Some(broker)
    }

    /// A broker as [`Broker::dedicated`] has it, that asks for a name and a password, by any of
    /// [`MECHANISMS`]: `rater` and `secret`.
    pub(super) fn with_password() -> Option<Guarded> {
        let mut broker = or_no_test(Self::start(new_directory(), &[], &scram_users()))?;
        broker.kill();
        let directory = broker.running.as_ref().unwrap().directory.clone();
        let [plain, tls] = ["127.0.0.1:0"; 2].map(|any| std::net::TcpListener::bind(any).unwrap());
        let [plain, tls] = [plain, tls].map(|port| port.local_addr().unwrap().to_string());
        let (keys, authority) = make_keys(&directory);
        let settings = directory.join("server.properties");
        let text = std::fs::read_to_string(&settings).unwrap();
        let listeners = format!(",SASL://{plain},TLS://{tls},CONTROLLER://");
        let text = text.replace(",CONTROLLER://", &listeners)
            + &format!(
                "\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,\
                 SASL:SASL_PLAINTEXT,TLS:SASL_SSL\ninter.broker.listener.name=PLAINTEXT\n\
                 sasl.enabled.mechanisms={}\n{}\
                 listener.name.tls.ssl.keystore.type=PKCS12\n\
                 listener.name.tls.ssl.keystore.location={}\n\
                 listener.name.tls.ssl.keystore.password=secret\n",
                MECHANISMS.join(","),
                logins(),
                keys.display()
            );
        std::fs::write(&settings, text).unwrap();
        broker.restart();
        Some(Guarded { _broker: broker, plain, tls, authority })
    }

    fn start(directory: PathBuf, options: &[&str], format: &str) -> Result<Self, String> {
        let (script, bootstrap) = launch(&directory, options, format)?;
        Ok(Self { bootstrap, running: Some(Running { directory, script: Some(script) }) })
    }

    /// Ends it as a power failure would end its process.
    pub(crate) fn kill(&mut self) {
        let running = self.running.as_mut().unwrap();
        let mut script = running.script.take().unwrap();
        let id = std::fs::read_to_string(running.directory.join("pid")).unwrap();
        signal("KILL", id.trim());
        script.wait().unwrap();
    }

    /// Starts it again after [`Broker::kill`], with the same data at the same address.
    pub(crate) fn restart(&mut self) {
        let running = self.running.as_mut().unwrap();
        assert!(running.script.is_none(), "it runs");
        let (script, bootstrap) = launch(&running.directory, &[], "").unwrap();
        assert_eq!(bootstrap, self.bootstrap);
        running.script = Some(script);
    }

    /// Stops it for a while, as a machine that hangs; clients see connections that say nothing.
    pub(crate) fn pause(&self) {
        self.signal("STOP");
    }

    pub(crate) fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let running = self.running.as_ref().unwrap();
        let id = std::fs::read_to_string(running.directory.join("pid")).unwrap();
        signal(name, id.trim());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut script) = self.script.take() {
            drop(script.stdin.take());
            _ = script.wait();
        }
        _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Makes a key and its certificate by what comes with Java: the store with both, and the
/// certificate alone.
fn make_keys(directory: &Path) -> (PathBuf, PathBuf) {
    let (keys, authority) = (directory.join("keys.p12"), directory.join("authority.pem"));
    let keytool = |more: &str, file: &Path| {
        let mut command = Command::new("keytool");
        command.args(["-storetype", "PKCS12", "-storepass", "secret", "-alias", "broker"]);
        command.arg("-keystore").arg(&keys).args(more.split(' ')).arg(file);
        let ran = command.output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
    };
    let pair = "-genkeypair -keyalg EC -groupname secp256r1 -validity 2 -dname CN=127.0.0.1 \
                -ext SAN=ip:127.0.0.1 -keystore";
    keytool(pair, &keys);
    keytool("-exportcert -rfc -file", &authority);
    (keys, authority)
}

/// What formats the storage with a user for each mechanism whose passwords are kept there.
fn scram_users() -> String {
    let scram = MECHANISMS.iter().filter(|mechanism| mechanism.starts_with("SCRAM-"));
    let user = |mechanism| format!("--add-scram {mechanism}=[name=rater,password=secret]");
    scram.map(user).collect::<Vec<_>>().join(" ")
}

/// What the listeners that ask for a password are told of each mechanism; that of PLAIN is kept
/// there.
fn logins() -> String {
    let mut lines = String::new();
    for (listener, mechanism) in
        ["sasl", "tls"].iter().flat_map(|one| MECHANISMS.map(|of| (one, of)))
    {
        let module = match mechanism {
            "PLAIN" => "plain.PlainLoginModule required user_rater=\"secret\"",
            _ => "scram.ScramLoginModule required",
        };
        let name = format!("listener.name.{listener}.{}", mechanism.to_ascii_lowercase());
        lines += &format!("{name}.sasl.jaas.config=org.apache.kafka.common.security.{module};\n");
    }
    lines
}

/// Runs the script until the broker answers, with `format` where the storage is yet to be
/// formatted; the script and the broker's address.
fn launch(directory: &Path, options: &[&str], format: &str) -> Result<(Child, String), String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/kafka.sh");
    let mut command = Command::new(script);
    command.args(["run", "--port", "0", "--with-stdin", "--dir"]).arg(directory).args(options);
    // Tests start it often and ask little of it: compiled less, it starts in half the time.
    command.env("KAFKA_JVM_OPTS", "-Xms128m -Xmx512m -XX:TieredStopAtLevel=1");
    command.env("KAFKA_FORMAT_OPTS", format);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut script = command.spawn().map_err(|error| error.to_string())?;
    let mut address = String::new();
    let stdout = script.stdout.take().ok_or("no output")?;
    BufReader::new(stdout).read_line(&mut address).map_err(|error| error.to_string())?;
    if let Some(address) = address.strip_suffix('\n') {
        return Ok((script, address.to_owned()));
    }
    let mut said = String::new();
    _ = script.stderr.take().ok_or("no errors")?.read_to_string(&mut said);
    _ = script.wait();
    Err(said)
}

#[expect(clippy::print_stderr, reason = "a test that is skipped must say so")]
fn or_no_test(started: Result<Broker, String>) -> Option<Broker> {
    match started {
        Ok(broker) => Some(broker),
        Err(error) if std::env::var_os("CI").is_some() => panic!("no broker: {error}"),
        Err(error) => {
            eprintln!("not tested, for there is no broker: {error}");
            None
        }
    }
}

/// A directory of a name that no other broker has; the script makes it.
fn new_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    std::env::temp_dir().join(format!("usage-rater-kafka-{}-{number}", std::process::id()))
}
