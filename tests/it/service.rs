//! `usage-rater run`: the service as its senders, readers and operators meet it, by real sockets
//! and real signals.

mod catalog;
mod client;
mod crash;
mod disk;
mod full;
mod metrics;
mod periods;
mod routes;
mod server;
mod settings;
mod stop;
mod usage;
mod waiting;
mod world;

pub(crate) use client::{Client, Reply};
pub(crate) use metrics::promtool;
pub(crate) use server::{eventually, holds, holds_within};
pub(crate) use world::BATCH;
