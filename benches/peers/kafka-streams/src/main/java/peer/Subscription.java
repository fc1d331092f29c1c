package peer;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import org.apache.kafka.common.utils.Bytes;

/** A subscription, and what all of its rated lines and totals of a month have in common. */
final class Subscription {
    /** The key of the total and the middle of the lines, from the charge to the quantity. */
    record Period(Zone.Month month, Bytes totalKey, byte[] line) {}

    final byte[] owner;
    final Zone zone;
    private final String id;
    private final String head;
    private final String plan;
    private Period last;

    Subscription(String id, String customer, Zone zone, String charge, JsonNode plan) {
        this.id = id;
        this.zone = zone;
        owner = customer.getBytes(StandardCharsets.UTF_8);
        head = "#" + charge + "\",\"type\":\"usage.rated\",\"subject\":\"" + id + "\",\"data\":{\"customer\":\"" + customer
            + "\",\"charge\":\"" + charge + "\",\"plan\":\"" + plan.get("key").asText() + "\",\"plan_version\":"
            + plan.get("version").asText() + ",\"period_start\":\"";
        this.plan = "\",\"currency\":\"" + plan.get("currency").asText() + "\",\"quantity\":\"";
    }

    /** The month that holds a second. Only the task of the customer's partition calls it. */
    Period period(long second) {
        Zone.Month month = zone.of(second);
        if (last == null || last.month.start() != month.start()) {
            byte[] name = id.getBytes(StandardCharsets.UTF_8);
            byte[] key = ByteBuffer.allocate(name.length + 9).put(name).put((byte) 0).putLong(month.start()).array();
            last = new Period(month, Bytes.wrap(key), (head + month.name() + plan).getBytes(StandardCharsets.UTF_8));
        }
        return last;
    }
}
