package peer;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;

/** What a subscription has used in a month and what that costs, exactly. */
record Total(long records, BigDecimal quantity, BigDecimal amount) {
    static final Total NONE = new Total(0, BigDecimal.ZERO, BigDecimal.ZERO);

    static Total of(byte[] stored) {
        if (stored == null) return NONE;
        ByteBuffer in = ByteBuffer.wrap(stored);
        return new Total(in.getLong(), decimal(in), decimal(in));
    }

    byte[] stored() {
        byte[] used = quantity.unscaledValue().toByteArray();
        byte[] cost = amount.unscaledValue().toByteArray();
        ByteBuffer out = ByteBuffer.allocate(12 + used.length + cost.length).putLong(records);
        out.put((byte) quantity.scale()).put((byte) used.length).put(used);
        return out.put((byte) amount.scale()).put((byte) cost.length).put(cost).array();
    }

    private static BigDecimal decimal(ByteBuffer in) {
        int scale = in.get();
        int length = in.get();
        if (length <= 8) {
            long unscaled = in.get();
            for (int index = 1; index < length; index++) unscaled = unscaled << 8 | in.get() & 0xFF;
            return BigDecimal.valueOf(unscaled, scale);
        }
        byte[] unscaled = new byte[length];
        in.get(unscaled);
        return new BigDecimal(new BigInteger(unscaled), scale);
    }
}
