package tools;

import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * Reads a topic of rated usage as a `read_committed` consumer does, and says what it holds: records, bytes,
 * the sum of all amounts, and a hash of all lines that does not depend on their order. Two programs that have
 * rated the same input have made the same lines.
 *
 * <pre>
 * --bootstrap ADDRESS --topic TOPIC [--sums FILE] [--lines FILE]
 * </pre>
 *
 * `--sums` writes the sum of each subscription, `--lines` the lines themselves.
 */
public final class Check {
    private static final Pattern AMOUNT = Pattern.compile("\"amount\":\"([^\"]*)\"");
    private static final Pattern SUBJECT = Pattern.compile("\"subject\":\"([^\"]*)\"");

    private final Map<String, BigDecimal> sums = new TreeMap<>();
    private final List<String> lines = new ArrayList<>();
    private long records, bytes, hash;

    private Check() {}

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        Properties settings = new Properties();
        settings.putAll(Map.of("bootstrap.servers", arguments.text("bootstrap"), "isolation.level", "read_committed",
            "enable.auto.commit", false, "max.poll.records", 10_000, "max.partition.fetch.bytes", 4 << 20,
            "key.deserializer", ByteArrayDeserializer.class, "value.deserializer", ByteArrayDeserializer.class));
        Check check = new Check();
        boolean keep = !arguments.text("lines", "").isEmpty();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(settings)) {
            List<TopicPartition> partitions = consumer.partitionsFor(arguments.text("topic")).stream()
                .map(info -> new TopicPartition(info.topic(), info.partition())).collect(Collectors.toList());
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = new HashMap<>(consumer.endOffsets(partitions));
            while (!ends.isEmpty()) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) check.add(record.value(), keep);
                ends.entrySet().removeIf(end -> consumer.position(end.getKey()) >= end.getValue());
            }
        }
        check.report(arguments);
    }

    private void add(byte[] value, boolean keep) {
        String line = new String(value, StandardCharsets.UTF_8).stripTrailing();
        Matcher amount = AMOUNT.matcher(line), subject = SUBJECT.matcher(line);
        if (!amount.find() || !subject.find()) throw new IllegalStateException("not rated usage: " + line);
        sums.merge(subject.group(1), new BigDecimal(amount.group(1)), BigDecimal::add);
        records++;
        bytes += value.length;
        long ofLine = 0xCBF29CE484222325L;
        for (int index = 0; index < line.length(); index++) ofLine = (ofLine ^ line.charAt(index)) * 0x100000001B3L;
        hash += ofLine;
        if (keep) lines.add(line);
    }

    private void report(Arguments arguments) throws Exception {
        BigDecimal sum = sums.values().stream().reduce(BigDecimal.ZERO, BigDecimal::add);
        System.out.printf("%d records of %d bytes, amount %s, lines %016x%n", records, bytes / Math.max(records, 1), plain(sum), hash);
        if (!lines.isEmpty()) Files.write(Path.of(arguments.text("lines")), lines);
        String file = arguments.text("sums", "");
        if (file.isEmpty()) return;
        Files.write(Path.of(file), sums.entrySet().stream().map(entry -> entry.getKey() + " " + plain(entry.getValue())).collect(Collectors.toList()));
    }

    private static String plain(BigDecimal number) {
        return number.signum() == 0 ? "0" : number.stripTrailingZeros().toPlainString();
    }
}
