package tools;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Sends usage records at an even pace, and measures how long it takes until a `read_committed` reader sees what
 * was made of each. Time runs from the moment at which a record was due, so that whoever makes the sender wait
 * gains nothing by it. Every record must be seen, and once.
 *
 * <pre>
 * --bootstrap ADDRESS --input TOPIC --output TOPIC --per-second N [--seconds 30] [--warm-s 10]
 * [--subscriptions 100000] [--zipf 0.99] [--set PRODUCER_PROPERTY=VALUE]...
 * </pre>
 *
 * What is due in the first `--warm-s` seconds is not measured. It says, as numbers: how many records were
 * measured; the 50th and the 99th percentile and the greatest of their times; and the same percentiles and
 * greatest of how late the sender itself was; all times in microseconds.
 */
public final class Latency {
    private static final long NANOS = 1_000_000_000;
    /** The sender wakes up so often: waiting for each record would take more of the machine than sending it. */
    private static final long STEP = NANOS / 1000;
    /** How long what was sent last may take. */
    private static final long PATIENCE = 60 * NANOS;
    /** Ids that no other tool gives. */
    private static final long FIRST_ID = 1L << 44;
    private static final byte[] OPENING = "{\"specversion\":\"1.0\",\"id\":\"".getBytes(StandardCharsets.UTF_8);
    private static final int ID_DIGITS = 12;
    /** The source of what was rated goes on behind it. */
    private static final byte[] SOURCE = ("\",\"source\":\"" + Records.SOURCE).getBytes(StandardCharsets.UTF_8);

    private final Arguments arguments;
    private final long perSecond;
    private final int warm, all;
    private final AtomicReference<Exception> failed = new AtomicReference<>();
    /** From when each was due until it was seen, in nanoseconds; 0 while it is not. */
    private final long[] took;
    /** From when each was due until it was sent. */
    private final long[] late;
    private long begun;

    private Latency(Arguments arguments) {
        this.arguments = arguments;
        perSecond = arguments.number("per-second", 0);
        if (perSecond < 1) throw new IllegalArgumentException("--per-second is missing");
        warm = Math.toIntExact(perSecond * arguments.number("warm-s", 10));
        all = Math.toIntExact(warm + perSecond * arguments.number("seconds", 30));
        took = new long[all];
        late = new long[all];
    }

    public static void main(String[] args) throws Exception {
        Latency latency = new Latency(new Arguments(args));
        latency.measure();
        latency.report();
    }

    private void measure() throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = records();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(reader());
            KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(writer())) {
            List<TopicPartition> partitions = consumer.partitionsFor(arguments.text("output")).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition())).collect(Collectors.toList());
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            // Only now either knows its partitions, and where they end.
            partitions.forEach(consumer::position);
            producer.partitionsFor(arguments.text("input"));
            Thread sender = new Thread(() -> send(records, producer));
            begun = System.nanoTime();
            sender.start();
            read(consumer);
            sender.join();
        }
    }

    /** All that is to be sent: making a record takes longer than sending it. */
    private List<ProducerRecord<byte[], byte[]>> records() {
        String topic = arguments.text("input");
        Records draws = new Records(arguments, 43);
        List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>(all);
        for (int index = 0; index < all; index++) {
            String customer = draws.customer();
            String record = draws.record(FIRST_ID + index, customer, System.currentTimeMillis() / 1000);
            records.add(new ProducerRecord<>(topic, customer.getBytes(StandardCharsets.UTF_8), record.getBytes(StandardCharsets.UTF_8)));
        }
        return records;
    }

    private void send(List<ProducerRecord<byte[], byte[]>> records, KafkaProducer<byte[], byte[]> producer) {
        for (int index = 0; index < all && failed.get() == null; index++) {
            long due = due(index), now = System.nanoTime();
            for (; now < due; now = System.nanoTime()) LockSupport.parkNanos(Math.max(due - now, STEP));
            late[index] = now - due;
            try {
                producer.send(records.get(index), (sent, error) -> {
                    if (error != null) failed.compareAndSet(null, error);
                });
            } catch (RuntimeException error) {
                failed.compareAndSet(null, error);
            }
        }
    }

    private long due(int index) {
        return begun + index * NANOS / perSecond;
    }

    private void read(KafkaConsumer<byte[], byte[]> consumer) throws Exception {
        long patience = due(all) + PATIENCE;
        for (int seen = 0; seen < all;) {
            ConsumerRecords<byte[], byte[]> records = consumer.poll(Duration.ofMillis(100));
            long now = System.nanoTime();
            for (ConsumerRecord<byte[], byte[]> record : records) {
                int index = index(record.value());
                if (index < 0) continue;
                if (took[index] != 0) throw new IllegalStateException("seen twice: " + text(record.value()));
                took[index] = Math.max(now - due(index), 1);
                seen++;
            }
            if (failed.get() != null) throw failed.get();
            if (now > patience) throw new IllegalStateException(all - seen + " of " + all + " records did not come in time");
        }
    }

    /** Which of the records sent this was made of; below 0 is none of them. */
    private static int index(byte[] line) {
        int start = OPENING.length, end = start + ID_DIGITS;
        boolean isRated = line.length >= end + SOURCE.length && Arrays.equals(line, 0, start, OPENING, 0, start)
            && Arrays.equals(line, end, end + SOURCE.length, SOURCE, 0, SOURCE.length);
        if (!isRated) throw new IllegalStateException("made of no record: " + text(line));
        long id = Long.parseLong(new String(line, start, ID_DIGITS, StandardCharsets.US_ASCII), 16);
        return id < FIRST_ID ? -1 : Math.toIntExact(id - FIRST_ID);
    }

    private static String text(byte[] line) {
        return new String(line, StandardCharsets.UTF_8);
    }

    private void report() {
        System.out.println(all - warm + " " + spread(took) + " " + spread(late));
    }

    /** The 50th and 99th percentile and the greatest of what was measured, in microseconds. */
    private String spread(long[] nanos) {
        long[] sorted = Arrays.copyOfRange(nanos, warm, all);
        Arrays.sort(sorted);
        return percentile(sorted, 50) / 1000 + " " + percentile(sorted, 99) / 1000 + " " + percentile(sorted, 100) / 1000;
    }

    /** By nearest rank. */
    private static long percentile(long[] sorted, int share) {
        return sorted[(int) ((sorted.length * (long) share + 99) / 100) - 1];
    }

    private Properties reader() {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", arguments.text("bootstrap"), "isolation.level", "read_committed",
            "enable.auto.commit", false, "max.poll.records", 10_000,
            "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class));
        return settings;
    }

    private Properties writer() {
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", arguments.text("bootstrap"),
            "key.serializer", ByteArraySerializer.class, "value.serializer", ByteArraySerializer.class));
        arguments.into(settings);
        return settings;
    }
}
