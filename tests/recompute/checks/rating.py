"""Price models, totals and rated lines."""

from fractions import Fraction

from model.exact import plain
from model.pricing import compiled
from model.rating import lineage_hash

from .inputs import event, rate, simple_catalog

GRADUATED = {"model": "graduated", "tiers": [
    {"up_to": "10", "unit_price": "2", "flat_price": "5"},
    {"up_to": "20", "unit_price": "1", "flat_price": "3"},
    {"up_to": None, "unit_price": "0.5"}]}
BLOCKS = [{"up_to": "10", "block_size": "4", "block_price": "1"},
          {"up_to": None, "block_size": "5", "block_price": "2"}]
STEPS = [{"up_to": "10", "flat_price": "7"}, {"up_to": None, "flat_price": "9"}]


def check_prices():
    """Each model at, and a last place beside, its bounds."""
    rows = [
        ({"model": "per_unit", "unit_price": "0.012"}, {"0": "0", "700.5": "8.406"}),
        ({"model": "package", "package_size": "10", "package_price": "3"},
         {"0": "0", "0.000000001": "3", "10": "3", "10.000000001": "6"}),
        (GRADUATED, {"0": "0", "0.5": "6", "10": "25", "10.000000001": "28.000000001",
                     "10.5": "28.5", "20": "38", "21": "38.5"}),
        ({**GRADUATED, "flat_price_at_zero": True}, {"0": "5", "1": "7"}),
        ({**GRADUATED, "model": "volume"},
         {"0": "0", "10": "25", "10.000000001": "13.000000001", "20": "23", "30": "15"}),
        ({**GRADUATED, "model": "volume", "flat_price_at_zero": True}, {"0": "5", "1": "7"}),
        ({"model": "stairstep", "tiers": STEPS},
         {"0": "0", "0.1": "7", "10": "7", "10.000000001": "9"}),
        ({"model": "stairstep", "tiers": STEPS, "flat_price_at_zero": True}, {"0": "7"}),
        ({"model": "graduated", "tiers": BLOCKS}, {"0": "0", "4": "1", "10": "3", "10.1": "5",
                                                   "15": "5", "15.5": "7"}),
        ({"model": "volume", "tiers": BLOCKS}, {"10": "3", "11": "6"}),
        ({"model": "flat", "amount": "49.5"}, {"0": "49.5"}),
    ]
    for price, amounts in rows:
        for quantity, expected in amounts.items():
            actual = plain(compiled(price)(Fraction(quantity)))
            yield f"{price['model']} {quantity}", actual, expected


def check_lineage():
    """Netstrings count bytes: the digests of `printf '3:m:7,4:a-é,3:api,4:12.5,' | sha256sum`."""
    hashed = lineage_hash("m:7", "a-é", "api", Fraction("12.50"))
    yield "é", f"{hashed:064x}", "6d0df2ee7ea0290a67532f975181282316a4aff34ca9f92bb2500d660f2be4a1"
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"})
    usage = [event(name, "2026-01-10T00:00:00Z", "1") for name in "ab"]
    one = int("b350d65344448a6ad6c4bf711fc41a67bd5ca3b12de1dcf50ced304e68aa83f2", 16)
    other = int("6fa1e383d8d1fb16d35fa7b4fd22ae24c30a9ee007007601b61187b010e89b53", 16)
    lineage = rate(catalog, usage)["totals"][0]["lineage"]
    yield "sum", lineage, {"records": 2, "digest": f"{(one + other) % 2**256:064x}"}


def check_included_and_late_order():
    """Included units go by position; a line is the step its record made when it came."""
    catalog = simple_catalog({**GRADUATED}, included="5")
    usage = [event("b", "2026-01-20T00:00:00Z", "7"), event("a", "2026-01-10T00:00:00Z", "10.5")]
    done = rate(catalog, usage, "2026-02-01T00:00:00Z")
    yield "amounts", [row["data"]["amount"] for row in done["rated"]], ["9", "21.5"]
    yield "before", [row["data"]["total_before"] for row in done["rated"]], ["0", "7"]
    total = done["totals"][0]
    yield "total", [total[each] for each in ("quantity", "billable_quantity", "usage_amount")], [
        "17.5", "12.5", "30.5"]
    yield "used", [total["first_used_at"], total["last_used_at"]], [
        "2026-01-10T00:00:00Z", "2026-01-20T00:00:00Z"]
    yield "status", [total["status"], total["records"], total["lineage"]["records"]], [
        "closed", 2, 2]


def check_bounds():
    """Maximum, then minimum, then one rounding."""
    rows = [({"minimum": "20"}, "3.005", "20", "20"), ({"maximum": "2"}, "3.005", "2", "2"),
            ({}, "3.005", "3.005", "3.01"), ({"minimum": "1", "maximum": None}, "0", "1", "1")]
    for bounds, quantity, amount, money in rows:
        catalog = simple_catalog({"model": "per_unit", "unit_price": "1"}, **bounds)
        total = rate(catalog, [event("a", "2026-01-10T00:00:00Z", quantity)])["totals"][0]
        yield f"{bounds}", [total["amount"], total["rounded_amount"]], [amount, money]


def check_version_within_period():
    """Each part is priced by its own version, from the position where the last one left it."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"}, included="100", minimum="5")
    first = catalog["plans"][0]
    charge = {**first["charges"][0], "included": "120", "minimum": "60",
              "price": {"model": "graduated", "tiers": [
                  {"up_to": "50", "unit_price": "2"}, {"up_to": None, "unit_price": "3"}]}}
    catalog["plans"].append({**first, "version": 2, "effective_from": "2026-01-15T00:00:00Z",
                             "charges": [charge]})
    usage = [
        event("late", "2026-01-15T00:00:00Z", "50"),
        event("early", "2026-01-14T23:59:59.999999999Z", "110"),
    ]
    done = rate(catalog, usage)
    # Alone the later 50 lie within both allowances. The earlier 110 cost 10 x 1 and push them to
    # the stretch 110..160, of which 40 x 2 are billable.
    yield "amounts", [row["data"]["amount"] for row in done["rated"]], ["0", "90"]
    yield "versions", [row["data"]["plan_version"] for row in done["rated"]], [2, 1]
    total = done["totals"][0]
    yield "total", [total["usage_amount"], total["amount"], total["billable_quantity"]], [
        "90", "90", "50"]


def check_override():
    """Single fields are replaced from a date on; earlier overrides stay."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"})
    catalog["subscriptions"][0]["overrides"] = {"c": [
        {"effective_from": "2026-02-01T00:00:00Z", "included": "10"},
        {"effective_from": "2026-03-01T00:00:00Z", "price": {"model": "per_unit",
                                                             "unit_price": "2"}}]}
    usage = [event(f"{month}", f"2026-{month:02}-10T00:00:00Z", "15") for month in (1, 2, 3)]
    amounts = [total["amount"] for total in rate(catalog, usage)["totals"]]
    yield "amounts", amounts, ["15", "5", "10"]


def check_flat_and_close():
    """Closed totals stand for every active charge, used or not, from the start on."""
    catalog = simple_catalog({"model": "flat", "amount": "9.99"}, start="2026-01-20")
    catalog["plans"][0]["charges"][0].pop("meter")
    totals = rate(catalog, [], "2026-03-01T00:00:00Z")["totals"]
    yield "periods", [(each["period_start"], each["period_end"]) for each in totals], [
        ("2026-01-20T00:00:00Z", "2026-02-01T00:00:00Z"),
        ("2026-02-01T00:00:00Z", "2026-03-01T00:00:00Z")]
    yield "amounts", [(each["usage_amount"], each["amount"]) for each in totals], [
        ("9.99", "9.99")] * 2
    yield "meter", totals[0]["meter"], None
    yield "not yet", len(rate(catalog, [], "2026-02-28T23:59:59.999999999Z")["totals"]), 1


def check_period_edges():
    """Half-open in the customer's zone, clipped to the subscription's own life."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"}, zone="Europe/Berlin",
                             start="2026-03-10", end="2026-04-05")
    usage = [
        event("1", "2026-03-09T22:59:59.999999999Z", "1"),
        event("2", "2026-03-09T23:00:00Z", "1"),
        event("3", "2026-03-31T21:59:59.999999999Z", "1"),
        event("4", "2026-03-31T22:00:00Z", "1"),
        event("5", "2026-04-05T21:59:59.999999999Z", "1"),
        event("6", "2026-04-05T22:00:00Z", "1"),
    ]
    done = rate(catalog, usage)
    yield "rejected", done["rejected"], [
        {"run": 1, "line": line, "code": "no_active_plan"} for line in (1, 6)]
    fields = ("period_start", "period_end", "quantity")
    yield "periods", [tuple(each[name] for name in fields) for each in done["totals"]], [
        ("2026-03-09T23:00:00Z", "2026-03-31T22:00:00Z", "2"),
        ("2026-03-31T22:00:00Z", "2026-04-05T22:00:00Z", "2")]


def check_negative():
    """Accepted negative usage lowers the total, never the billable quantity below 0."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"}, negative="accept")
    usage = [event("1", "2026-01-10T00:00:00Z", "3"), event("2", "2026-01-11T00:00:00Z", "-5")]
    total = rate(catalog, usage)["totals"][0]
    yield "total", [total[each] for each in ("quantity", "billable_quantity", "amount")], [
        "-2", "0", "0"]
