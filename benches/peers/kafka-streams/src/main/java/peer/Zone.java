package peer;

import java.time.Instant;
import java.time.YearMonth;
import java.time.ZoneId;

/** The calendar months of a time zone, each worked out once. */
final class Zone {
    /** A month as instants, half-open; `name` is its start as it is written. */
    record Month(long start, long end, String name) {}

    private final ZoneId id;
    /** The one asked for last; records come nearly in order. Threads may race for it and lose nothing. */
    private volatile Month last = new Month(0, 0, "");

    Zone(String id) {
        this.id = ZoneId.of(id);
    }

    Month of(long second) {
        Month month = last;
        if (second >= month.start && second < month.end) return month;
        YearMonth found = YearMonth.from(Instant.ofEpochSecond(second).atZone(id));
        Instant start = found.atDay(1).atStartOfDay(id).toInstant();
        Instant end = found.plusMonths(1).atDay(1).atStartOfDay(id).toInstant();
        month = new Month(start.getEpochSecond(), end.getEpochSecond(), start.toString());
        last = month;
        return month;
    }
}
