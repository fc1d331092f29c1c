package peer;

import java.math.BigDecimal;
import java.nio.ByteBuffer;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.internals.Murmur3;

/** Admits a record once, rates it and adds it to its total. */
final class RatingProcessor implements Processor<byte[], byte[], byte[], byte[]> {
    static final String SEEN = "seen";
    static final String TOTALS = "totals";
    private static final byte[] ADMITTED = {1};
    private static final byte[] OPENING = "{\"specversion\":\"1.0\",\"id\":\"".getBytes();
    private static final byte[] SOURCE = "\",\"source\":\"".getBytes();
    private static final byte[] TOTAL_BEFORE = "\",\"total_before\":\"".getBytes();
    private static final byte[] AMOUNT = "\",\"amount\":\"".getBytes();
    private static final byte[] TIME = "\"},\"time\":\"".getBytes();
    private static final byte[] CLOSING = "\"}".getBytes();

    private final Catalog catalog;
    private final UsageRecord usage;
    private final peer.Bytes scratch = new peer.Bytes();
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<Bytes, byte[]> seen;
    private KeyValueStore<Bytes, byte[]> totals;

    RatingProcessor(Catalog catalog) {
        this.catalog = catalog;
        usage = new UsageRecord(catalog.valueMember);
    }

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
        this.context = context;
        seen = context.getStateStore(SEEN);
        totals = context.getStateStore(TOTALS);
    }

    @Override
    public void process(Record<byte[], byte[]> record) {
        if (!usage.read(record.value())) {
            System.err.println("rejected: malformed_json");
            return;
        }
        if (!usage.typeIs(catalog.eventType)) return;
        Subscription subscription = catalog.of(usage.subject());
        if (subscription == null) {
            System.err.println("rejected: unknown_subject");
            return;
        }
        Bytes identity = identity(subscription);
        if (seen.get(identity) != null) return;
        seen.put(identity, ADMITTED);

        Subscription.Period period = subscription.period(usage.second());
        Total before = Total.of(totals.get(period.totalKey()));
        BigDecimal quantity = usage.quantity();
        BigDecimal after = before.quantity().add(quantity);
        BigDecimal amount = catalog.price.of(after);
        totals.put(period.totalKey(), new Total(before.records() + 1, after, amount).stored());
        byte[] line = line(period, before, amount.subtract(before.amount()));
        context.forward(new Record<>(subscription.owner, line, record.timestamp()));
    }

    /** Owner, source and id in 128 bits: a third of their length, in the store and in its changelog. */
    private Bytes identity(Subscription subscription) {
        scratch.clear();
        scratch.add(subscription.owner);
        scratch.add('\0');
        scratch.add(usage.bytes, usage.sourceStart, usage.sourceEnd);
        scratch.add('\0');
        scratch.add(usage.bytes, usage.idStart, usage.idEnd);
        long[] hash = Murmur3.hash128(scratch.array(), 0, scratch.length(), 0);
        return Bytes.wrap(ByteBuffer.allocate(16).putLong(hash[0]).putLong(hash[1]).array());
    }

    private byte[] line(Subscription.Period period, Total before, BigDecimal amount) {
        scratch.clear();
        scratch.add(OPENING);
        scratch.add(usage.bytes, usage.idStart, usage.idEnd);
        scratch.add(SOURCE);
        scratch.add(usage.bytes, usage.sourceStart, usage.sourceEnd);
        scratch.add(period.line());
        scratch.add(plain(usage.quantity()));
        scratch.add(TOTAL_BEFORE);
        scratch.add(plain(before.quantity()));
        scratch.add(AMOUNT);
        scratch.add(plain(amount));
        scratch.add(TIME);
        usage.writeTime(scratch);
        scratch.add(CLOSING);
        return scratch.copy();
    }

    private static String plain(BigDecimal number) {
        return number.signum() == 0 ? "0" : number.stripTrailingZeros().toPlainString();
    }
}
