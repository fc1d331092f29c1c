package tools;

import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.Arrays;

/** Usage records of some 230 bytes, one after the other. The same seed makes the same records. */
final class Records {
    static final String SOURCE = "metering/api-gw";
    private static final String[] REGIONS = {"eu-west-1", "eu-west-2", "us-east-1", "us-west-2"};
    private static final DateTimeFormatter SECONDS = DateTimeFormatter.ofPattern("uuuu-MM-dd'T'HH:mm:ss").withZone(ZoneOffset.UTC);

    private final int subscriptions;
    /** Up to which share of all records each customer and those before have; null where all have the same. */
    private final double[] upTo;
    private long state;
    private long second = Long.MIN_VALUE;
    private String secondText;

    Records(Arguments arguments, long seed) {
        subscriptions = arguments.small("subscriptions", 100_000);
        double exponent = Double.parseDouble(arguments.text("zipf", "0"));
        upTo = exponent == 0 ? null : shares(exponent);
        state = seed;
    }

    int subscriptions() {
        return subscriptions;
    }

    /** Whether something happens that does so often in a million times. */
    boolean happens(long perMillion) {
        return Long.remainderUnsigned(next(), 1_000_000) < perMillion;
    }

    String customer() {
        long draw = next();
        if (upTo == null) return "CUS-" + Long.remainderUnsigned(draw, subscriptions);
        int found = Arrays.binarySearch(upTo, (draw >>> 11) * 0x1p-53);
        int rank = Math.min(found < 0 ? -found - 1 : found, subscriptions - 1);
        // The busiest customers are not neighbours.
        return "CUS-" + rank * 2_654_435_761L % subscriptions;
    }

    /** A record of a customer, used in that second of the epoch; the number is its id, of 12 hexadecimal digits. */
    String record(long id, String customer, long usedAt) {
        long draw = next();
        if (usedAt != second) {
            second = usedAt;
            secondText = SECONDS.format(Instant.ofEpochSecond(usedAt));
        }
        return String.format("{\"specversion\":\"1.0\",\"id\":\"%012x\",\"source\":\"%s\",\"type\":\"api.request\","
                + "\"subject\":\"%s\",\"time\":\"%s.%06dZ\","
                + "\"data\":{\"calls\":\"%d.%d\",\"region\":\"%s\",\"node\":\"gateway-%02d\",\"tls\":true,\"status\":200}}",
            id, SOURCE, customer, secondText, draw >>> 20 & 0x7FFFF,
            draw >>> 45 & 0x7FF, draw >>> 40 & 7, REGIONS[(int) (draw & 3)], draw >>> 3 & 31);
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
}
