package tools;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;

/**
 * Makes and removes topics: `--bootstrap ADDRESS [--partitions 4] [--create a,b] [--delete-prefix p]`.
 * What is removed is everything whose name begins so.
 */
public final class Topics {
    private Topics() {}

    public static void main(String[] args) throws Exception {
        Arguments arguments = new Arguments(args);
        int partitions = arguments.small("partitions", 4);
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", arguments.text("bootstrap")))) {
            String prefix = arguments.text("delete-prefix", "");
            if (!prefix.isEmpty()) {
                List<String> doomed = admin.listTopics().names().get().stream().filter(name -> name.startsWith(prefix)).collect(Collectors.toList());
                admin.deleteTopics(doomed).all().get();
            }
            List<NewTopic> topics = new ArrayList<>();
            for (String name : arguments.text("create", "").split(",")) {
                if (!name.isEmpty()) topics.add(new NewTopic(name, Optional.of(partitions), Optional.of((short) 1)));
            }
            admin.createTopics(topics).all().get();
        }
    }
}
