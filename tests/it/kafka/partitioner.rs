//! The partitioner: producers that spread customers otherwise than Java clients.

use super::broker::Broker;
use super::instance::{Instance, Names};
use super::load::{Load, catalog};
use super::wire::Wire;
use crate::program::Workplace;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use std::fmt::Write as _;
use std::time::Duration;

const CUSTOMERS: usize = 40;
const RECORDS: usize = 400;

fn record(number: usize) -> String {
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"r{number}\",\"source\":\"s\",\"type\":\"t\",\
         \"subject\":\"C{}\",\"time\":\"2026-01-14T10:00:00Z\",\"data\":{{\"n\":\"1\"}}}}",
        number % CUSTOMERS
    )
}

/// Sends records by a partitioner of librdkafka: what producers do that are set to nothing else.
fn send(broker: &Broker, names: &Names, partitioner: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.bootstrap).set("partitioner", partitioner);
    let producer: BaseProducer = config.create().unwrap();
    for number in 0..RECORDS {
        let (key, text) = (format!("C{}", number % CUSTOMERS), record(number));
        let topic = names.topic("raw");
        producer.send(BaseRecord::to(&topic).key(&key).payload(&text)).unwrap();
    }
    producer.flush(Duration::from_secs(30)).unwrap();
}

fn usage(records: usize) -> String {
    (0..records).fold(String::new(), |mut lines, number| {
        writeln!(lines, "{}", record(number)).unwrap();
        lines
    })
}

#[test]
fn records_of_other_producers_need_not_be_sent_on() {
    let Some(broker) = Broker::shared() else { return };
    for (name, of_librdkafka) in [("crc32", "consistent_random"), ("fnv1a", "fnv1a_random")] {
        let (place, names, wire) = (Workplace::new(), Names::new(), Wire::new(&broker.bootstrap));
        place.write("catalog.json", catalog());
        let settings = names.settings(&broker.bootstrap, "");
        let spread = |partitioner: &str| {
            settings.replace("[kafka]\n", &format!("[kafka]\npartitioner = \"{partitioner}\"\n"))
        };
        place.write("a.toml", spread(name));
        let server = Instance::start(&place, "a.toml");
        send(broker, &names, of_librdkafka);
        server.catch_up(&wire, &names);
        assert_eq!(server.counted("outcome=\"forwarded\""), 0, "{name}");
        // Reads find the partition, and what comes by HTTP goes to it.
        let by_http = format!("[{}]", record(RECORDS));
        let of_batch = "application/cloudevents-batch+json";
        server.client().send("POST /v1/usage", of_batch, &by_http).expect(200, "accepted");
        server.catch_up(&wire, &names);
        assert_eq!(server.counted("outcome=\"forwarded\""), 0, "{name}");
        let read = server.client().get("/v1/subscriptions/S0/totals?period=2026-01");
        read.expect(200, "\"quantity\":\"11\"");
        server.stop();
        // Customers would move to partitions that do not know their records.
        place.write("b.toml", spread("murmur2"));
        let words = ["kafka.partitioner is \"murmur2\"", &format!("was begun with \"{name}\"")];
        place.fail("run --config b.toml", 3, &words);
        Load::given(usage(RECORDS + 1), RECORDS + 1).check(&place, &wire, &names);
    }
}
