//! Trimming of a log: its records up to an offset are deleted.

use super::super::broker::BrokerError;
use super::client::{CALL, Clients, failed};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;

/// Deletes the records of a partition before an offset; those that are gone already, too. Waits for
/// the broker.
pub(crate) fn trim(
    clients: &Clients,
    (topic, partition): (&str, u32),
    before: u64,
    runtime: &Handle,
) -> Result<(), BrokerError> {
    let admin: AdminClient<DefaultClientContext> =
        clients.admin().create().map_err(|error| failed(&error))?;
    let mut list = TopicPartitionList::new();
    let partition = i32::try_from(partition).unwrap_or(i32::MAX);
    let offset = Offset::Offset(i64::try_from(before).unwrap_or(i64::MAX));
    list.add_partition_offset(topic, partition, offset).map_err(|error| failed(&error))?;
    let options = AdminOptions::new().operation_timeout(Some(CALL)).request_timeout(Some(CALL));
    let deleted =
        runtime.block_on(admin.delete_records(&list, &options)).map_err(|error| failed(&error))?;
    for element in deleted.elements() {
        element.error().map_err(|error: KafkaError| failed(&error))?;
    }
    Ok(())
}
