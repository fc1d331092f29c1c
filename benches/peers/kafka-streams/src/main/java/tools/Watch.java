package tools;

import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;

/**
 * Watches a group from outside until all that a topic holds is consumed and committed, which under
 * exactly-once is also when what it made of it can be read. Says how far it is, whenever that has changed:
 * milliseconds since the epoch, and records.
 *
 * <pre>
 * --bootstrap ADDRESS --group ID --topic TOPIC [--every-ms 100] [--at-most-s 600]
 * </pre>
 */
public final class Watch {
    private Watch() {}

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        String group = arguments.text("group");
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments.text("bootstrap")))) {
            Map<TopicPartition, Long> ends = ends(admin, arguments.text("topic"));
            long all = ends.values().stream().mapToLong(Long::longValue).sum();
            System.out.println("ready " + all);
            long said = -1;
            long patience = System.currentTimeMillis() + arguments.number("at-most-s", 600) * 1000;
            while (said < all) {
                long consumed = consumed(admin, group, ends);
                long now = System.currentTimeMillis();
                if (consumed != said) System.out.println(now + " " + consumed);
                if (now > patience) throw new IllegalStateException("not done in time");
                said = consumed;
                Thread.sleep(arguments.number("every-ms", 100));
            }
        }
    }

    private static Map<TopicPartition, Long> ends(Admin admin, String topic) throws Exception {
        TopicDescription description = admin.describeTopics(java.util.List.of(topic)).allTopicNames().get().get(topic);
        Map<TopicPartition, OffsetSpec> wanted = new HashMap<>();
        description.partitions().forEach(partition -> wanted.put(new TopicPartition(topic, partition.partition()), OffsetSpec.latest()));
        Map<TopicPartition, ListOffsetsResultInfo> found = admin.listOffsets(wanted).all().get();
        Map<TopicPartition, Long> ends = new HashMap<>();
        found.forEach((partition, info) -> ends.put(partition, info.offset()));
        return ends;
    }

    private static long consumed(Admin admin, String group, Map<TopicPartition, Long> ends) throws InterruptedException {
        Map<TopicPartition, OffsetAndMetadata> committed;
        try {
            committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get();
        } catch (ExecutionException noSuchGroupYet) {
            return 0;
        }
        long consumed = 0;
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            OffsetAndMetadata offset = committed.get(end.getKey());
            if (offset != null) consumed += Math.min(offset.offset(), end.getValue());
        }
        return consumed;
    }
}
