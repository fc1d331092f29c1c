"""Random catalogs: every price model, dated versions, overrides, zones with odd clocks."""

from datetime import timedelta
from fractions import Fraction

from model.exact import plain
from model.periods import DAY, MONTHS, SECOND, instant_text, midnight
from model.strictjson import Number

from .draw import chance, day_in, decimal, month_starts, spelled

ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
    "Pacific/Chatham", "America/Santiago", "Africa/Cairo", "America/Havana", "Pacific/Kiritimati",
)
CURRENCIES = ("USD", "EUR", "JPY", "KWD")
TYPES = {"api.request": ("calls", "bytes"), "storage.write": ("volume", "items"),
         "job.run": ("seconds",)}
DIMENSIONS = {"region": ("eu-west-1", "eu-west-2", "us-1"), "tier": ("hot", "cold", "öko")}
PATHS = {"region": "$.region", "tier": "$.labels.tier"}


def catalog(rng):
    """A catalog document whose subscriptions start around one random month."""
    base = month_starts(rng)
    meters = _meters(rng)
    plans = [
        version
        for number in range(rng.randint(1, 3))
        for version in versions(rng, f"plan-{number}", meters, base, _charge, changed_terms)
    ]
    customers = [customer_of(rng, number, ZONES) for number in range(rng.randint(1, 4))]
    subscriptions = []
    for customer in customers:
        for number in range(rng.choice((1, 1, 2))):
            name = f"{customer['id'].replace('CUS', 'SUB')}-{number}"
            plan = rng.choice(plans)
            subscription = subscription_of(rng, name, customer, plan, base)
            if chance(rng, 30):
                subscription["overrides"] = overrides(rng, plan, meters, base, changed_terms)
            subscriptions.append(subscription)
    for entries in (meters, plans, customers, subscriptions):
        rng.shuffle(entries)
    return {"meters": meters, "plans": plans, "customers": customers,
            "subscriptions": subscriptions}


def _meters(rng):
    """Sums and a count for some event types; each value path belongs to one meter."""
    meters = []
    for event_type in rng.sample(list(TYPES), rng.randint(1, 3)):
        group_by = {name: PATHS[name] for name in DIMENSIONS if chance(rng, 70)}
        for field in TYPES[event_type][: rng.randint(1, 2)]:
            meter = {"key": field, "event_type": event_type, "aggregation": "sum",
                     "value": rng.choice(("$.", "$.usage.")) + field, "group_by": group_by}
            if chance(rng, 40):
                meter["negative"] = rng.choice(("accept", "reject"))
            meters.append(meter)
        if chance(rng, 40):
            meters.append({"key": f"{event_type}.count", "event_type": event_type,
                           "aggregation": "count", "group_by": group_by})
    return meters


def versions(rng, key, meters, base, new_charge, changed):
    """One plan's dated versions; charges keep their meter, terms change, charges may be added."""
    currency = rng.choice(CURRENCIES)
    charges = [new_charge(rng, number, meters) for number in range(rng.randint(1, 4))]
    if chance(rng, 40):
        charges.append(flat_charge(rng))
    day = base - timedelta(days=rng.choice((0, 1, 30, 400)))
    dated = []
    for number in range(1, rng.choice((1, 1, 2, 3)) + 1):
        since = instant_text(change_instant(rng, day))
        dated.append({"key": key, "version": number, "effective_from": since,
                      "currency": currency, "charges": charges})
        charges = [{**charge, **changed(rng, charge, meters)} for charge in charges]
        if chance(rng, 20):
            charges.append(new_charge(rng, len(charges) + 10, meters))
        day = max(base, day) + timedelta(days=rng.randint(3, 75))
    return dated


def changed_terms(rng, charge, meters):
    """New terms for a charge: what a version or an override replaces.

    Where negative usage is accepted the included units stay: nothing says what a part's billable
    quantity is when it falls below another version's included units.
    """
    if charge["price"]["model"] == "flat":
        return {"price": flat_charge(rng)["price"]}
    fields = ["price", "bounds", "same"]
    if not _accepts_negative(charge, meters):
        fields.append("included")
    match rng.choice(fields):
        case "price":
            return {"price": quantity_price(rng, drawn_magnitude(rng))}
        case "bounds":
            # Both are stated, or a minimum might come to stand above the old maximum.
            return {"minimum": None, "maximum": None, **amount_bounds(rng)}
        case "included":
            return {"included": spelled(rng, decimal(rng, 3, 9))}
    return {}


def _charge(rng, number, meters):
    meter = rng.choice(meters)
    charge = {"key": f"charge-{number}", "meter": meter["key"],
              "price": quantity_price(rng, drawn_magnitude(rng)), **amount_bounds(rng)}
    if meter["group_by"] and chance(rng, 40):
        name = rng.choice(list(meter["group_by"]))
        charge["filter"] = {name: rng.sample(DIMENSIONS[name], rng.randint(1, 2))}
    if chance(rng, 50):
        charge["included"] = spelled(rng, decimal(rng, 3, 9))
    if chance(rng, 30):
        charge["scope"] = "billing_period"
    return charge


def flat_charge(rng):
    """A fee without a meter."""
    amount = spelled(rng, decimal(rng, 4, 12))
    return {"key": "fee", "price": {"model": "flat", "amount": amount}, **amount_bounds(rng)}


def amount_bounds(rng):
    """A minimum and a maximum, or null, or nothing."""
    low, high = sorted((decimal(rng, 4, 4), decimal(rng, 5, 4)))
    bounds = {}
    if chance(rng, 40):
        bounds["minimum"] = spelled(rng, low) if chance(rng, 60) else None
    if chance(rng, 40):
        bounds["maximum"] = spelled(rng, high) if chance(rng, 60) else None
    return bounds


def quantity_price(rng, magnitude):
    """A price of one of the models over quantities."""
    model = rng.choice(("per_unit", "package", "graduated", "volume", "stairstep"))
    if model == "per_unit":
        return {"model": model, "unit_price": drawn_price(rng)}
    if model == "package":
        size = decimal(rng, magnitude, 9) or Fraction(1)
        return {"model": model, "package_size": spelled(rng, size),
                "package_price": drawn_price(rng)}
    has_blocks = model != "stairstep" and chance(rng, 25)
    uppers = sorted({decimal(rng, magnitude, 9) for _ in range(rng.randint(0, 4))} - {Fraction(0)})
    tiers = [
        {"up_to": upper and spelled(rng, upper), **_tier(rng, model, has_blocks)}
        for upper in [*uppers, None]
    ]
    price = {"model": model, "tiers": tiers}
    if not has_blocks and chance(rng, 25):
        price["flat_price_at_zero"] = chance(rng, 80)
    return price


def _tier(rng, model, has_blocks):
    if has_blocks:
        return {"block_size": spelled(rng, decimal(rng, 3, 2) or Fraction(7)),
                "block_price": drawn_price(rng)}
    if model == "stairstep":
        return {"flat_price": drawn_price(rng)}
    tier = {"unit_price": drawn_price(rng)}
    if chance(rng, 40):
        tier["flat_price"] = drawn_price(rng)
    return tier


def drawn_price(rng):
    """A unit price, more often than not a small one."""
    return spelled(rng, decimal(rng, rng.choice((1, 1, 4)), rng.choice((2, 6, 12))))


def drawn_magnitude(rng):
    """Digits of the quantities that a price is made for."""
    return rng.choice((2, 3, 3, 4, 15))


def customer_of(rng, number, zones):
    """A customer in one of these zones, with any billing cycle."""
    customer = {
        "id": f"CUS-{number}",
        "time_zone": rng.choice(zones),
        "billing_period": rng.choice(("month", "month", "month", *MONTHS)),
        "bill_cycle_day": Number(str(rng.choice((1, 1, 15, 28, 29, 30, 31, 31)))),
    }
    if chance(rng, 50):
        customer["bill_cycle_month"] = Number(str(rng.randint(1, 12)))
    if chance(rng, 40):
        customer["aliases"] = [f"acme-{number}", f"kürzel-{number}"][: rng.randint(1, 2)]
    return customer


def subscription_of(rng, name, customer, plan, base):
    """A subscription that starts within two months of a day and may end some months later."""
    start = day_in(rng, base, 60)
    end = day_in(rng, start + 5 * DAY, 150) if chance(rng, 40) else None
    entry = {"id": name, "customer": customer["id"], "plan": plan["key"],
             "start": start.isoformat(), "end": end and end.isoformat()}
    if chance(rng, 30):
        entry["aliases"] = [f"{name}-alias"]
    return entry


def overrides(rng, plan, meters, base, changed):
    """{charge: dated changes} for some charges of a plan."""
    found = {}
    for charge in plan["charges"]:
        dated = [
            {"effective_from": instant_text(change_instant(rng, day_in(rng, base, 120))),
             **changed(rng, charge, meters)}
            for _ in range(rng.choice((0, 0, 1, 2)))
        ]
        if dated:
            found[charge["key"]] = sorted(dated, key=lambda each: each["effective_from"])
    return found


def change_instant(rng, day):
    """When terms change: at a local midnight, at some second, or between two of them."""
    instant = midnight(day, rng.choice(ZONES))
    second = rng.choice((0, 0, rng.randrange(86400)))
    return instant + second * SECOND + rng.choice((0, 0, 0, rng.randrange(SECOND)))


def _accepts_negative(charge, meters):
    return any(
        meter["key"] == charge["meter"] and meter.get("negative") == "accept" for meter in meters
    )
