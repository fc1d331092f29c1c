package tools;

import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Fills the input topic: CloudEvents of some 230 bytes, keyed by customer, their times rising through a
 * month. The same arguments make the same records.
 *
 * <pre>
 * --catalog FILE [--subscriptions 100000]                 writes the catalog, and with
 * --bootstrap ADDRESS [--topic usage.raw] [--records 1000000] [--zipf 0.99] [--duplicates-per-million 1000]
 * [--file FILE] [--set PROPERTY=VALUE]...                 the records too, to the topic and to a file
 * </pre>
 */
public final class Generate {
    /** The beginning of 2026. */
    private static final long START = 1_767_225_600;
    private static final long SECONDS = 28 * 86_400;

    private final Records draws;
    private final long records;
    private final long duplicatesPerMillion;

    private Generate(Arguments arguments) {
        draws = new Records(arguments, 42);
        records = arguments.number("records", 1_000_000);
        duplicatesPerMillion = arguments.number("duplicates-per-million", 1000);
    }

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Generate generate = new Generate(arguments);
        Files.writeString(Path.of(arguments.text("catalog")), generate.catalog());
        String bootstrap = arguments.text("bootstrap", "");
        if (bootstrap.isEmpty()) return;
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", bootstrap, "batch.size", 128 << 10, "linger.ms", 20, "buffer.memory", 64L << 20));
        arguments.into(settings);
        String file = arguments.text("file", "");
        ByteArraySerializer plain = new ByteArraySerializer();
        try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(settings, plain, plain);
            BufferedWriter copy = file.isEmpty() ? null : Files.newBufferedWriter(Path.of(file))) {
            generate.send(producer, arguments.text("topic", "usage.raw"), copy);
        }
    }

    private void send(KafkaProducer<byte[], byte[]> producer, String topic, BufferedWriter copy) throws Exception {
        long bytes = 0;
        byte[] before = null, keyBefore = null;
        for (long index = 0; index < records; index++) {
            byte[] key = keyBefore, value = before;
            if (index == 0 || !draws.happens(duplicatesPerMillion)) {
                String customer = draws.customer();
                key = customer.getBytes(StandardCharsets.UTF_8);
                value = draws.record(index, customer, START + index * SECONDS / records).getBytes(StandardCharsets.UTF_8);
            }
            producer.send(new ProducerRecord<>(topic, key, value), (sent, error) -> {
                if (error != null) throw new IllegalStateException(error);
            });
            if (copy != null) copy.append(new String(value, StandardCharsets.UTF_8)).append('\n');
            bytes += value.length;
            before = value;
            keyBefore = key;
        }
        producer.flush();
        System.out.printf("%d records of %d bytes%n", records, bytes / records);
    }

    private String catalog() {
        StringBuilder out = new StringBuilder();
        out.append("{\"meters\":[{\"key\":\"api_calls\",\"event_type\":\"api.request\",\"aggregation\":\"sum\",\"value\":\"$.calls\"}],\n"
            + "\"plans\":[{\"key\":\"pro\",\"version\":1,\"effective_from\":\"2025-01-01T00:00:00Z\",\"currency\":\"USD\",\"charges\":["
            + "{\"key\":\"api\",\"meter\":\"api_calls\",\"included\":\"100\",\"price\":{\"model\":\"graduated\",\"tiers\":["
            + "{\"up_to\":\"1000\",\"unit_price\":\"0.012\"},{\"up_to\":\"10000\",\"unit_price\":\"0.01\"},"
            + "{\"up_to\":null,\"unit_price\":\"0.008\"}]}}]}],\n\"customers\":[");
        for (int index = 0; index < draws.subscriptions(); index++) {
            out.append(index == 0 ? "\n" : ",\n").append("{\"id\":\"CUS-").append(index).append("\",\"time_zone\":\"Europe/Berlin\"}");
        }
        out.append("],\n\"subscriptions\":[");
        for (int index = 0; index < draws.subscriptions(); index++) {
            out.append(index == 0 ? "\n" : ",\n").append("{\"id\":\"SUB-").append(index).append("\",\"customer\":\"CUS-").append(index)
                .append("\",\"plan\":\"pro\",\"start\":\"2026-01-01\"}");
        }
        return out.append("]}\n").toString();
    }
}
