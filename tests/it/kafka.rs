//! `usage-rater run` with Kafka: a real broker, real processes, real kills.

mod broker;
mod instance;
mod killed;
mod load;
mod moved;
mod refused;
mod snapshots;
mod whole_way;
mod wire;
