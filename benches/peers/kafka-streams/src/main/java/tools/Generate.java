package tools;

import java.io.BufferedWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
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
    private static final String[] REGIONS = {"eu-west-1", "eu-west-2", "us-east-1", "us-west-2"};
    private static final long SECONDS = 28 * 86_400;

    private final int subscriptions;
    private final long records;
    private final long duplicatesPerMillion;
    /** Up to which share of all records each customer and those before have; null where all have the same. */
    private final double[] upTo;
    private long state = 42;

    private Generate(Arguments arguments) {
        subscriptions = arguments.small("subscriptions", 100_000);
        records = arguments.number("records", 1_000_000);
        duplicatesPerMillion = arguments.number("duplicates-per-million", 1000);
        double exponent = Double.parseDouble(arguments.text("zipf", "0"));
        upTo = exponent == 0 ? null : shares(exponent);
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
            if (index == 0 || Long.remainderUnsigned(next(), 1_000_000) >= duplicatesPerMillion) {
                String customer = "CUS-" + customer();
                key = customer.getBytes(StandardCharsets.UTF_8);
                value = record(index, customer).getBytes(StandardCharsets.UTF_8);
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

    private String record(long index, String customer) {
        long draw = next();
        long second = index * SECONDS / records;
        return String.format("{\"specversion\":\"1.0\",\"id\":\"%012x\",\"source\":\"metering/api-gw\",\"type\":\"api.request\","
                + "\"subject\":\"%s\",\"time\":\"2026-01-%02dT%02d:%02d:%02d.%06dZ\","
                + "\"data\":{\"calls\":\"%d.%d\",\"region\":\"%s\",\"node\":\"gateway-%02d\",\"tls\":true,\"status\":200}}",
            index, customer, second / 86_400 + 1, second / 3600 % 24, second / 60 % 60, second % 60, draw >>> 20 & 0x7FFFF,
            draw >>> 45 & 0x7FF, draw >>> 40 & 7, REGIONS[(int) (draw & 3)], draw >>> 3 & 31);
    }

    private int customer() {
        long draw = next();
        if (upTo == null) return (int) Long.remainderUnsigned(draw, subscriptions);
        int found = Arrays.binarySearch(upTo, (draw >>> 11) * 0x1p-53);
        int rank = Math.min(found < 0 ? -found - 1 : found, subscriptions - 1);
        // The busiest customers are not neighbours.
        return (int) (rank * 2_654_435_761L % subscriptions);
    }

    private double[] shares(double exponent) {
        double[] sums = new double[subscriptions];
        double sum = 0;
        for (int rank = 0; rank < subscriptions; rank++) sums[rank] = sum += Math.pow(rank + 1, -exponent);
        for (int rank = 0; rank < subscriptions; rank++) sums[rank] /= sum;
        return sums;
    }

    /** SplitMix64. */
    private long next() {
        state += 0x9E3779B97F4A7C15L;
        long mixed = (state ^ state >>> 30) * 0xBF58476D1CE4E5B9L;
        mixed = (mixed ^ mixed >>> 27) * 0x94D049BB133111EBL;
        return mixed ^ mixed >>> 31;
    }

    private String catalog() {
        StringBuilder out = new StringBuilder();
        out.append("{\"meters\":[{\"key\":\"api_calls\",\"event_type\":\"api.request\",\"aggregation\":\"sum\",\"value\":\"$.calls\"}],\n"
            + "\"plans\":[{\"key\":\"pro\",\"version\":1,\"effective_from\":\"2025-01-01T00:00:00Z\",\"currency\":\"USD\",\"charges\":["
            + "{\"key\":\"api\",\"meter\":\"api_calls\",\"included\":\"100\",\"price\":{\"model\":\"graduated\",\"tiers\":["
            + "{\"up_to\":\"1000\",\"unit_price\":\"0.012\"},{\"up_to\":\"10000\",\"unit_price\":\"0.01\"},"
            + "{\"up_to\":null,\"unit_price\":\"0.008\"}]}}]}],\n\"customers\":[");
        for (int index = 0; index < subscriptions; index++) {
            out.append(index == 0 ? "\n" : ",\n").append("{\"id\":\"CUS-").append(index).append("\",\"time_zone\":\"Europe/Berlin\"}");
        }
        out.append("],\n\"subscriptions\":[");
        for (int index = 0; index < subscriptions; index++) {
            out.append(index == 0 ? "\n" : ",\n").append("{\"id\":\"SUB-").append(index).append("\",\"customer\":\"CUS-").append(index)
                .append("\",\"plan\":\"pro\",\"start\":\"2026-01-01\"}");
        }
        return out.append("]}\n").toString();
    }
}
