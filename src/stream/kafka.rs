//! Kafka behind the broker port, by librdkafka.

mod claims;
mod client;
mod closing;
mod complaints;
mod connection;
mod deliverer;
mod entry_reader;
mod group;
mod listener;
mod owners;
mod pen;
mod probe;
mod topic_watch;
mod topics;
mod trim;
mod watch;

pub(crate) use client::Clients;
pub(crate) use connection::Connection;
pub(crate) use deliverer::{Deliverer, Delivery};
pub(crate) use entry_reader::EntryReader;
pub(crate) use group::{Change, Group};
pub(crate) use owners::StateTails;
pub(crate) use pen::Pen;
pub(crate) use topic_watch::{TopicFaults, Watched, watch_topics};
pub(crate) use topics::{TopicNames, Topics, TopicsError};
pub(crate) use trim::trim;
pub(crate) use watch::watch;
