//! `usage-rater run` with Kafka: a real broker, real processes, real kills.

mod broker;
mod catalog;
mod elsewhere;
mod instance;
mod killed;
mod load;
mod member;
mod metrics;
mod moved;
mod partitioner;
mod refused;
mod sender;
mod signals;
mod snapshots;
mod topics;
mod turmoil;
mod whole_way;
mod wire;
