package peer;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;

/**
 * The part of usage-rater's catalog that the bench uses: one meter, one plan with one graduated charge per
 * calendar month, customers in a time zone with one subscription each. Anything else is refused or not read.
 */
final class Catalog {
    final String valueMember;
    final byte[] eventType;
    final String charge;
    final Graduated price;
    private final Map<String, Subscription> bySubject = new HashMap<>();

    private Catalog(JsonNode root) {
        JsonNode meter = only(root, "meters");
        if (!meter.get("aggregation").asText().equals("sum")) throw new IllegalArgumentException("not a sum: " + meter);
        valueMember = meter.get("value").asText().substring("$.".length());
        eventType = meter.get("event_type").asText().getBytes(StandardCharsets.UTF_8);
        JsonNode plan = only(root, "plans");
        JsonNode charged = only(plan, "charges");
        charge = charged.get("key").asText();
        price = new Graduated(charged);
        Map<String, String> zones = new HashMap<>();
        for (JsonNode customer : root.get("customers")) {
            zones.put(customer.get("id").asText(), customer.path("time_zone").asText("UTC"));
        }
        Map<String, Zone> shared = new HashMap<>();
        for (JsonNode entry : root.get("subscriptions")) {
            String customer = entry.get("customer").asText();
            Zone zone = shared.computeIfAbsent(zones.get(customer), Zone::new);
            Subscription subscription = new Subscription(entry.get("id").asText(), customer, zone, charge, plan);
            if (bySubject.put(customer, subscription) != null) throw new IllegalArgumentException("two subscriptions of " + customer);
        }
    }

    static Catalog read(String path) throws IOException {
        return new Catalog(new ObjectMapper().readTree(new File(path)));
    }

    /** The subscription of a customer, or null. */
    Subscription of(String customer) {
        return bySubject.get(customer);
    }

    private static JsonNode only(JsonNode parent, String list) {
        JsonNode entries = parent.get(list);
        if (entries.size() != 1) throw new IllegalArgumentException("the bench has one entry in " + list);
        return entries.get(0);
    }
}
