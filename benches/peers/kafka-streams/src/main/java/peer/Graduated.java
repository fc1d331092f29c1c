package peer;

import com.fasterxml.jackson.databind.JsonNode;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;

/** A price whose tiers each price the units that fall into them, some units being free. */
final class Graduated {
    private record Tier(BigDecimal upTo, BigDecimal unitPrice) {}

    private final BigDecimal included;
    private final List<Tier> tiers = new ArrayList<>();

    Graduated(JsonNode charge) {
        included = new BigDecimal(charge.path("included").asText("0"));
        JsonNode price = charge.get("price");
        if (!price.get("model").asText().equals("graduated")) throw new IllegalArgumentException("not graduated: " + price);
        for (JsonNode tier : price.get("tiers")) {
            JsonNode upTo = tier.get("up_to");
            tiers.add(new Tier(upTo.isNull() ? null : new BigDecimal(upTo.asText()), new BigDecimal(tier.get("unit_price").asText())));
        }
    }

    /** What this many units cost in all, exactly. */
    BigDecimal of(BigDecimal quantity) {
        BigDecimal billable = quantity.subtract(included);
        BigDecimal amount = BigDecimal.ZERO;
        BigDecimal below = BigDecimal.ZERO;
        for (Tier tier : tiers) {
            if (billable.compareTo(below) <= 0) break;
            boolean last = tier.upTo == null || billable.compareTo(tier.upTo) <= 0;
            BigDecimal top = last ? billable : tier.upTo;
            amount = amount.add(top.subtract(below).multiply(tier.unitPrice));
            if (last) break;
            below = tier.upTo;
        }
        return amount;
    }
}
