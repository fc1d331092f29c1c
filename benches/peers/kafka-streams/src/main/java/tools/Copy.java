package tools;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * What Kafka alone costs: reads each record and writes one of a given size for it, in transactions with the
 * offsets, and does nothing else.
 *
 * <pre>
 * --bootstrap ADDRESS --group ID --input TOPIC --output TOPIC --bytes N [--commit-ms 500] [--threads 2]
 * [--set PRODUCER_PROPERTY=VALUE]...
 * </pre>
 */
public final class Copy {
    private static final AtomicBoolean STOPPED = new AtomicBoolean();

    private Copy() {}

    public static void main(String[] args) throws InterruptedException {
        Arguments arguments = new Arguments(args);
        List<Thread> threads = new ArrayList<>();
        for (int index = 0; index < arguments.small("threads", 2); index++) {
            int number = index;
            Thread thread = new Thread(() -> copy(arguments, number));
            thread.start();
            threads.add(thread);
        }
        Runtime.getRuntime().addShutdownHook(new Thread(() -> STOPPED.set(true)));
        for (Thread thread : threads) thread.join();
    }

    private static void copy(Arguments arguments, int number) {
        String output = arguments.text("output");
        int bytes = arguments.small("bytes", 370);
        long interval = arguments.number("commit-ms", 500) * 1_000_000;
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(consumer(arguments));
            KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(producer(arguments, number))) {
            producer.initTransactions();
            consumer.subscribe(List.of(arguments.text("input")));
            Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
            long begun = 0;
            while (!STOPPED.get()) {
                ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(20));
                if (!records.isEmpty() && offsets.isEmpty()) {
                    producer.beginTransaction();
                    begun = System.nanoTime();
                }
                for (ConsumerRecord<byte[], byte[]> record : records) {
                    producer.send(new ProducerRecord<>(output, record.partition(), record.key(), Arrays.copyOf(record.value(), bytes)));
                }
                offsets.putAll(records.nextOffsets());
                if (!offsets.isEmpty() && System.nanoTime() - begun >= interval) {
                    producer.sendOffsetsToTransaction(offsets, consumer.groupMetadata());
                    producer.commitTransaction();
                    offsets.clear();
                }
            }
        }
    }

    private static Properties consumer(Arguments arguments) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", arguments.text("bootstrap"), "group.id", arguments.text("group"),
            "enable.auto.commit", false, "auto.offset.reset", "earliest", "isolation.level", "read_committed", "max.poll.records", 10_000,
            "max.partition.fetch.bytes", 4 << 20, "receive.buffer.bytes", 1 << 20,
            "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class));
        settings.putAll(Map.of("fetch.min.bytes", 64 << 10, "fetch.max.wait.ms", 50));
        return settings;
    }

    private static Properties producer(Arguments arguments, int number) {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", arguments.text("bootstrap"), "transactional.id", arguments.text("group") + "-" + number,
            "transaction.timeout.ms", 60_000, "batch.size", 256 << 10, "linger.ms", 50, "buffer.memory", 128L << 20,
            "send.buffer.bytes", 1 << 20, "key.serializer", ByteArraySerializer.class, "value.serializer", ByteArraySerializer.class));
        arguments.into(settings);
        return settings;
    }
}
