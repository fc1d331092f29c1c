package peer;

import java.io.IOException;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StoreQueryParameters;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.QueryableStoreTypes;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;
import tools.Arguments;

/**
 * The job of usage-rater as a Kafka Streams application, made as well as its documentation tells one to.
 *
 * <pre>
 * --bootstrap ADDRESS --application ID --state DIR --catalog FILE
 * [--input usage.raw] [--output usage.rated] [--commit-ms 500] [--threads 2] [--cache-mb 64]
 * [--cache-seen yes|no] [--sums FILE] [--set PROPERTY=VALUE]...
 * </pre>
 *
 * It runs until it is told to stop; with `--sums` it then writes the sum of each customer's totals.
 */
public final class Rater {
    private Rater() {}

    public static void main(String[] args) throws IOException, InterruptedException {
        Arguments arguments = new Arguments(args);
        Catalog catalog = Catalog.read(arguments.text("catalog"));
        KafkaStreams streams = new KafkaStreams(topology(catalog, arguments), settings(arguments));
        CountDownLatch stopped = new CountDownLatch(1);
        streams.setStateListener((now, before) -> {
            System.out.println(now);
            if (now == KafkaStreams.State.ERROR) stopped.countDown();
        });
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            stopped.countDown();
            try {
                main.join();
            } catch (InterruptedException interrupted) {
                Thread.currentThread().interrupt();
            }
        }));
        streams.start();
        stopped.await();
        String sums = arguments.text("sums", "");
        if (!sums.isEmpty() && streams.state() == KafkaStreams.State.RUNNING) writeSums(streams, sums);
        streams.close(Duration.ofSeconds(30));
    }

    private static Topology topology(Catalog catalog, Arguments arguments) {
        StoreBuilder<KeyValueStore<Bytes, byte[]>> totals = store(RatingProcessor.TOTALS).withCachingEnabled();
        // An id is looked for once and written once: a cache in front of the memtable only costs.
        StoreBuilder<KeyValueStore<Bytes, byte[]>> seen = store(RatingProcessor.SEEN);
        if (arguments.text("cache-seen", "no").equals("yes")) seen.withCachingEnabled();
        return new Topology()
            .addSource("raw", new ByteArrayDeserializer(), new ByteArrayDeserializer(), arguments.text("input", "usage.raw"))
            .addProcessor("rate", () -> new RatingProcessor(catalog), "raw")
            .addStateStore(seen, "rate")
            .addStateStore(totals, "rate")
            .addSink("rated", arguments.text("output", "usage.rated"), new ByteArraySerializer(), new ByteArraySerializer(), "rate");
    }

    private static StoreBuilder<KeyValueStore<Bytes, byte[]>> store(String name) {
        return Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(name), Serdes.Bytes(), Serdes.ByteArray())
            .withLoggingEnabled(Map.of());
    }

    private static Properties settings(Arguments arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments.text("application"));
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments.text("bootstrap"));
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments.text("state"));
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments.number("commit-ms", 500));
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, arguments.small("threads", 2));
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, arguments.number("cache-mb", 64) << 20);
        settings.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, BoundedRocks.class);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        settings.put(StreamsConfig.ENABLE_METRICS_PUSH_CONFIG, false);
        // Large fetches and batches, for throughput.
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 10_000);
        consumer(settings, ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 10_000);
        consumer(settings, ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG, 4 << 20);
        consumer(settings, ConsumerConfig.FETCH_MIN_BYTES_CONFIG, 64 << 10);
        consumer(settings, ConsumerConfig.FETCH_MAX_WAIT_MS_CONFIG, 50);
        consumer(settings, ConsumerConfig.RECEIVE_BUFFER_CONFIG, 1 << 20);
        producer(settings, ProducerConfig.BATCH_SIZE_CONFIG, 256 << 10);
        producer(settings, ProducerConfig.LINGER_MS_CONFIG, 50);
        producer(settings, ProducerConfig.BUFFER_MEMORY_CONFIG, 128L << 20);
        producer(settings, ProducerConfig.SEND_BUFFER_CONFIG, 1 << 20);
        producer(settings, ProducerConfig.TRANSACTION_TIMEOUT_CONFIG, 60_000);
        arguments.into(settings);
        return settings;
    }

    private static void consumer(Properties settings, String name, Object value) {
        settings.put(StreamsConfig.mainConsumerPrefix(name), value);
    }

    private static void producer(Properties settings, String name, Object value) {
        settings.put(StreamsConfig.producerPrefix(name), value);
    }

    /** One line for each customer; the key of a total begins with the subscription's id, and ends in a zero and the month. */
    private static void writeSums(KafkaStreams streams, String path) throws IOException {
        var type = QueryableStoreTypes.<Bytes, byte[]>keyValueStore();
        var totals = streams.store(StoreQueryParameters.fromNameAndType(RatingProcessor.TOTALS, type));
        Map<String, BigDecimal> sums = new TreeMap<>();
        try (var entries = totals.all()) {
            while (entries.hasNext()) {
                var entry = entries.next();
                byte[] key = entry.key.get();
                String subscription = new String(Arrays.copyOf(key, key.length - 9), StandardCharsets.UTF_8);
                sums.merge(subscription, Total.of(entry.value).amount(), BigDecimal::add);
            }
        }
        try (PrintStream out = new PrintStream(Path.of(path).toFile(), StandardCharsets.UTF_8)) {
            sums.forEach((subscription, sum) -> out.println(subscription + " " + sum.stripTrailingZeros().toPlainString()));
        }
    }
}
