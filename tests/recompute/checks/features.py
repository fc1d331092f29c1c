"""Price models record by record, units, discounts, proration and scopes."""

from fractions import Fraction

from model.exact import plain
from model.aggregation import token_of
from model.pricing import Percentage, cell_of, compiled, priced_cells

from .inputs import event, rate, simple_catalog

UNIT = {"model": "per_unit", "unit_price": "1"}
GRADUATED = {"model": "graduated", "tiers": [
    {"up_to": "10", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]}


def check_percentage():
    """What each of several records pays, whichever free part runs out first."""
    rate_and_fixed = {"model": "percentage", "rate": "0.1", "fixed_price": "0.5"}
    rows = [
        ({}, ["10", "-4"], ["1.5", "0.1"], "6"),
        ({"free_records": "1"}, ["10", "20"], ["0", "2.5"], "20"),
        ({"free_amount": "15"}, ["10", "20", "1"], ["0", "2", "0.6"], "16"),
        # 15 is used up to the last place, so the second record is the first to pay.
        ({"free_amount": "15"}, ["15", "0"], ["0", "0.5"], "0"),
        ({"free_amount": "15"}, ["14.999999999", "0.000000001", "1"], ["0", "0", "0.6"], "1"),
        ({"free_records": "1", "free_amount": "15"}, ["10", "20"], ["0", "2.5"], "20"),
        ({"free_records": "5", "free_amount": "5"}, ["10", "20"], ["1", "2.5"], "25"),
        ({"record_minimum": "1.2", "record_maximum": "2"}, ["1", "100"], ["1.2", "2"], "101"),
        ({"record_minimum": "3", "record_maximum": "2"}, ["1"], ["3"], "1"),
        ({"free_records": "0"}, ["1"], ["0.6"], "1"),
    ]
    for changed, values, paid, billable in rows:
        price = Percentage.read({**rate_and_fixed, **changed})
        used, actual = Fraction(0), []
        for number, value in enumerate(map(Fraction, values)):
            actual.append(plain(price.pay(value, number, used)[0]))
            used += max(value, Fraction(0))
        yield f"{changed} {values}", actual, paid
        catalog = simple_catalog({**rate_and_fixed, **changed}, negative="accept")
        usage = [event(f"{n}", f"2026-01-{10 + n}T00:00:00Z", each)
                 for n, each in enumerate(values)]
        total = rate(catalog, usage)["totals"][0]
        yield f"total {changed} {values}", (total["usage_amount"], total["billable_quantity"]), (
            plain(sum(map(Fraction, paid))), billable)


def check_percentage_out_of_order():
    """A record that comes late but lies earlier takes the free part away from the other."""
    catalog = simple_catalog({"model": "percentage", "rate": "0.1", "free_records": "1"})
    usage = [event("b", "2026-01-20T00:00:00Z", "50"), event("a", "2026-01-10T00:00:00Z", "7")]
    yield "amounts", _amounts(rate(catalog, usage)), ["0", "5"]
    tied = [event("b", "2026-01-10T00:00:00Z", "50"), event("a", "2026-01-10T00:00:00Z", "7")]
    yield "tied", _amounts(rate(catalog, tied)), ["0", "5"]


def check_percentage_versions():
    """Parameters are those at a record's own time; what is free counts from the scope's start."""
    catalog = simple_catalog({"model": "percentage", "rate": "0.1", "free_records": "2"})
    _override(catalog, "2026-01-15T00:00:00Z", price={
        "model": "percentage", "rate": "0.2", "free_records": "3", "fixed_price": "1"})
    usage = [event(f"{n}", f"2026-01-{day}T00:00:00Z", "10")
             for n, day in enumerate((10, 11, 12, 15, 16))]
    done = rate(catalog, usage)
    # Free, free, 10 x 0.1; the fourth and fifth are beyond three free ones: 10 x 0.2 + 1.
    yield "amounts", _amounts(done), ["0", "0", "1", "3", "3"]
    yield "total", done["totals"][0]["usage_amount"], "7"


def check_value_models():
    """Graduated over money, and the record that carries the money."""
    price = {"model": "graduated_percentage", "tiers": [
        {"up_to": "1000", "rate": "0.03", "flat_price": "2"}, {"up_to": None, "rate": "0.01"}]}
    rows = [(price, {"0": "0", "100": "5", "1000": "32", "1000.5": "32.005"}),
            ({"model": "multiplier", "multiplier": "1.25"}, {"8": "10"})]
    for model, amounts in rows:
        for quantity, expected in amounts.items():
            actual = plain(compiled(model)(Fraction(quantity)))
            yield f"{model['model']} {quantity}", actual, expected


MATRIX = {"model": "matrix", "dimensions": ["region", "tier"], "cells": [
    {"match": {"region": "eu", "tier": "hot"}, "price": GRADUATED},
    {"match": {"region": "eu"}, "price": {"model": "flat", "amount": "3"}},
    {"match": {"region": "us"}, "price": {"model": "percentage", "rate": "0.5",
                                          "free_records": "1"}}],
    "default": {"model": "package", "package_size": "10", "package_price": "4"}}


def check_matrix():
    """The first cell that matches, every cell at its own position, P(0) over all of them."""
    hot, europe, america = "region=eu,tier=hot", "region=eu", "region=us"
    rows = [({"region": "eu", "tier": "hot"}, hot), ({"region": "eu", "tier": "cold"}, europe),
            ({"region": "eu"}, europe), ({"region": "us", "tier": "hot"}, america),
            ({}, "default")]
    for dimensions, expected in rows:
        tokens = {name: token_of(value) for name, value in dimensions.items()}
        yield f"{dimensions}", cell_of(MATRIX, tokens), expected
    catalog = simple_catalog(MATRIX)
    catalog["meters"][0]["group_by"] = {"region": "$.region", "tier": "$.tier"}
    usage = [
        _event("1", 10, n="8", region="eu", tier="hot"), _event("2", 11, n="8", region="asia"),
        _event("3", 12, n="8", region="eu", tier="hot"), _event("4", 13, n="8", region="us"),
        _event("5", 14, n="8", region="us"), _event("6", 15, n="8", region="eu"),
        _event("7", 16, n="8"),
    ]
    done = rate(catalog, usage)
    yield "amounts", _amounts(done), ["16", "4", "10", "0", "4", "0", "4"]
    yield "cells", [row["data"]["cell"] for row in done["rated"]], [
        hot, "default", hot, america, america, europe, "default"]
    yield "before", [row["data"]["total_before"] for row in done["rated"]][-1], "48"
    total = done["totals"][0]
    yield "total", [total[each] for each in (
        "quantity", "billable_quantity", "usage_amount", "amount_at_zero")], ["56", "48", "41", "3"]


def check_cells():
    """Cells are known by what they match, through every version; of two alike the first prices."""
    matrix = {"model": "matrix", "dimensions": ["tier", "region"], "cells": [
        {"match": {"tier": "hot", "region": "eu"}, "price": {"model": "flat", "amount": "1"}},
        {"match": {"region": "eu", "tier": "hot"}, "price": {"model": "flat", "amount": "2"}},
        {"match": {"region": "us"}, "price": GRADUATED}], "default": UNIT}
    yield "labels", list(priced_cells(matrix)), [
        "region=eu,tier=hot", "region=eu,tier=hot#2", "region=us", "default"]
    catalog = simple_catalog(matrix)
    catalog["meters"][0]["group_by"] = {"region": "$.region", "tier": "$.tier"}
    later = {**matrix, "cells": [matrix["cells"][2], matrix["cells"][0]]}
    plan = catalog["plans"][0]
    charge = {**plan["charges"][0], "price": later}
    catalog["plans"].append({**plan, "version": 2, "effective_from": "2026-01-15T00:00:00Z",
                             "charges": [charge]})
    done = rate(catalog, [_event("1", 10, n="8", region="us"),
                          _event("2", 20, n="8", region="us"),
                          _event("3", 21, n="1", region="eu", tier="hot")])
    # The second goes on from 8; a cell that is never reached has its flat price while it stands.
    yield "amounts", _amounts(done), ["16", "10", "0"]
    yield "total", (done["totals"][0]["usage_amount"], done["totals"][0]["amount_at_zero"]), (
        "27", "1")


def check_sorted_anew():
    """Each version sorts all that was used in the scope into its own cells, and goes on there."""
    europe = {"match": {"region": "eu"}, "price": GRADUATED}
    only = {"model": "matrix", "dimensions": ["region"], "cells": [europe], "default": UNIT}
    both = {**only, "cells": [europe, {"match": {"region": "us"}, "price": GRADUATED}]}
    none = {**only, "cells": [], "default": GRADUATED}
    # Of 8 before and 8 after the change in Europe, then of as many in America.
    for before, after, expected in [
        (GRADUATED, only, ["16", "10", "10", "8"]),
        (only, GRADUATED, ["16", "8", "8", "8"]),
        (only, both, ["16", "8", "10", "10"]),
        (both, only, ["16", "16", "10", "8"]),
        (GRADUATED, none, ["16", "10", "8", "8"]),
        (only, none, ["16", "8", "8", "8"]),
    ]:
        catalog = simple_catalog(before)
        catalog["meters"][0]["group_by"] = {"region": "$.region"}
        _override(catalog, "2026-01-15T00:00:00Z", price=after)
        usage = [_event("1", 10, n="8", region="eu"), _event("2", 11, n="8", region="us"),
                 _event("3", 20, n="8", region="eu"), _event("4", 21, n="8", region="us")]
        yield f"{before} {after}", _amounts(rate(catalog, usage)), expected


def check_new_cells():
    """A flat cell is due once a period, by the last terms; others by the first of each scope."""
    def matrix(flat, **entries):
        tier = {"up_to": None, "unit_price": "0"}
        cells = [{"match": {"region": name}, "price": {
                    "model": "graduated", "flat_price_at_zero": True,
                    "tiers": [{**tier, "flat_price": amount}]}}
                 for name, amount in entries.items()]
        cells.append({"match": {"region": "flat"}, "price": {"model": "flat", "amount": flat}})
        return {"model": "matrix", "dimensions": ["region"], "cells": cells, "default": UNIT}

    # In each scope: January, February with other cells from the 10th on, March.
    rows = [("billing_period", ["101", "201", "280"]), ("term", ["101", "200", "200"]),
            ("year", ["101", "200", "200"]), ("calendar_month", ["101", "201", "280"]),
            ("day", ["131", str(200 + 9 + 19 * 80), str(200 + 31 * 80)])]
    for scope, expected in rows:
        catalog = simple_catalog(matrix("100", eu="1"), scope=scope)
        _override(catalog, "2026-02-10T00:00:00Z", price=matrix("200", us="7", eu="73"))
        done = rate(catalog, [_event("1", 20, 2, n="5", region="us")], "2026-04-01T00:00:00Z")
        yield scope, [each["amount_at_zero"] for each in done["totals"]], expected
        yield f"{scope} line", _amounts(done), ["0"]


def check_units():
    """Units divide the position, once; included units are counted in them."""
    rows = [("none", "1000", "1000", "0.3"), ("none", "1500", "2000", "0.633333333333"),
            ("none", "3000000", "1000001", "0"), ("up", "3000", "2000", "0.3"),
            ("up", "1000", "1000.000000001", "1.3"), ("down", "3000", "5999", "0.3"),
            ("half_up", "3000", "4500", "1.3"), ("half_up", "3000", "4499", "0.3")]
    for rounding, divide_by, quantity, expected in rows:
        unit = {"divide_by": divide_by, "rounding": rounding}
        catalog = simple_catalog(UNIT, included="0.7", unit=unit)
        total = rate(catalog, [event("a", "2026-01-10T00:00:00Z", quantity)])["totals"][0]
        yield f"{unit} {quantity}", (total["quantity"], total["billable_quantity"]), (
            quantity, expected)


def check_discount():
    """Off the usage amount, exactly, before maximum and minimum."""
    rows = [({"discount_percent": "12.5"}, "10.5"), ({"discount_percent": "100"}, "0"),
            ({"discount_percent": "50", "maximum": "5"}, "5"),
            ({"discount_percent": "50", "minimum": "7"}, "7"),
            ({"minimum": "9", "maximum": "5"}, "9"), ({"discount_percent": "0"}, "12")]
    for changed, expected in rows:
        catalog = simple_catalog(UNIT, **changed)
        total = rate(catalog, [event("a", "2026-01-10T00:00:00Z", "12")])["totals"][0]
        yield f"{changed}", (total["usage_amount"], total["amount"]), ("12", expected)


def check_proration():
    """10 of the 31 days from 22 January; 7 of 28; the maximum stays."""
    rows = [({"included": "31", "prorate_included": True}, "90", "90"),
            ({"included": "31"}, "69", "69"),
            ({"minimum": "620", "prorate_minimum": True}, "100", "200"),
            ({"minimum": "1", "prorate_minimum": True}, "100", "100"),
            ({"maximum": "31", "prorate_maximum": True}, "100", "31"),
            ({"included": "1", "prorate_included": True}, "99.677419354839", "99.677419354839"),
            ({"included": "31", "prorate_included": True, "scope": "calendar_month"}, "90", "90"),
            ({"included": "31", "prorate_included": True, "scope": "term"}, "69", "69"),
            ({"included": "31", "prorate_included": True, "scope": "day"}, "69", "69")]
    for changed, usage_amount, amount in rows:
        catalog = simple_catalog(UNIT, start="2026-01-22", **changed)
        total = rate(catalog, [event("a", "2026-01-25T00:00:00Z", "100")])["totals"][0]
        yield f"{changed}", (total["usage_amount"], total["amount"]), (usage_amount, amount)
    catalog = simple_catalog({"model": "flat", "amount": "10"}, start="2026-01-22",
                             end="2026-02-07", prorate_flat=True)
    catalog["plans"][0]["charges"][0].pop("meter")
    totals = rate(catalog, [], "2026-03-01T00:00:00Z")["totals"]
    yield "flat", [each["usage_amount"] for each in totals], ["3.225806451613", "2.5"]


def check_day_scope():
    """A day's tiers begin anew each day, also on the short day of a clock change."""
    at_zero = {"model": "graduated", "flat_price_at_zero": True, "tiers": [
        {"up_to": "5", "unit_price": "1", "flat_price": "0.5"},
        {"up_to": None, "unit_price": "10"}]}
    catalog = simple_catalog(at_zero, zone="Europe/Berlin", start="2026-03-28", scope="day")
    usage = [
        event("1", "2026-03-28T22:59:59.999999999Z", "4"), event("2", "2026-03-28T23:00:00Z", "4"),
        event("3", "2026-03-29T21:59:59.999999999Z", "2"), event("4", "2026-03-29T22:00:00Z", "5"),
    ]
    done = rate(catalog, usage)
    yield "amounts", _amounts(done), ["4", "4", "11", "5"]
    # Four days from the 28th to the 31st, the flat price due on each, used or not.
    total = done["totals"][0]
    yield "total", (total["usage_amount"], total["amount_at_zero"]), ("26", "2")
    # On the 29th alone 2 then 4 come out of order: the sum over days of each day's highest.
    catalog = simple_catalog(UNIT, scope="day")
    catalog["meters"][0]["aggregation"] = "max"
    usage = [_event("1", 10, n="7"), _event("2", 10, n="3"), _event("3", 11, n="5")]
    yield "max", rate(catalog, usage)["totals"][0]["quantity"], "12"


def check_calendar_month_scope():
    """Billed from the 15th, counted from the 1st: the step within each billing period."""
    catalog = simple_catalog(GRADUATED, scope="calendar_month")
    catalog["customers"][0]["bill_cycle_day"] = 15
    usage = [_event("1", 14, n="8"), _event("2", 15, n="8"), _event("3", 1, 2, n="8"),
             _event("4", 1, n="1")]
    done = rate(catalog, usage)
    totals = {each["period_start"][:10]: each["usage_amount"] for each in done["totals"]}
    # January by the 15th: 9 units at 2. Then 1 at 2 and 7 at 1; February begins anew: 8 at 2.
    yield "totals", totals, {"2026-01-01": "18", "2026-01-15": "25"}
    yield "lines", [(row["id"], row["data"]["period_start"][:10], row["data"]["amount"])
                    for row in done["rated"]], [
        ("1", "2026-01-01", "16"), ("2", "2026-01-15", "10"), ("3", "2026-01-15", "16"),
        ("4", "2026-01-01", "2"), ("4", "2026-01-15", "-1")]


def check_long_scopes():
    """Position carries over billing periods; P(0) is due once, in the first."""
    price = {**GRADUATED, "flat_price_at_zero": True, "tiers": [
        {"up_to": "10", "unit_price": "2", "flat_price": "5"}, {"up_to": None, "unit_price": "1"}]}
    for scope in ("year", "term"):
        catalog = simple_catalog(price, start="2024-02-29", scope=scope)
        catalog["plans"][0]["effective_from"] = "2024-01-01T00:00:00Z"
        usage = [event("1", "2024-03-10T00:00:00Z", "8"), event("2", "2024-04-10T00:00:00Z", "8"),
                 event("3", "2025-02-27T23:59:59Z", "4"), event("4", "2025-02-28T00:00:00Z", "4")]
        done = rate(catalog, usage, "2024-05-01T00:00:00Z")
        rows = [(each["period_start"][:7], each["usage_amount"], each["amount_at_zero"])
                for each in done["totals"]]
        # February 2025 holds the end of one year (4 at 1) and the begin of the next (5 + 4 at 2).
        february = ("2025-02", "17", "5") if scope == "year" else ("2025-02", "8", "0")
        yield scope, rows, [("2024-02", "5", "5"), ("2024-03", "16", "0"), ("2024-04", "10", "0"),
                            february]


def check_versions_in_long_scopes():
    """A new version goes on from the position of the old one, in the middle of a month."""
    catalog = simple_catalog(GRADUATED, scope="term", included="5")
    _override(catalog, "2026-02-15T00:00:00Z", price={**UNIT, "unit_price": "3"}, included="8")
    usage = [_event("1", 10, n="12"), _event("2", 10, 2, n="6"), _event("3", 20, 2, n="2"),
             _event("4", 1, 3, n="1")]
    totals = rate(catalog, usage)["totals"]
    # 7 at 2; 3 at 2 and 3 at 1 up to 13; then 3 a unit, wherever the tier was.
    yield "amounts", [each["usage_amount"] for each in totals], ["14", "15", "3"]
    yield "billable", [each["billable_quantity"] for each in totals], ["7", "8", "1"]


def check_charge_begins_late():
    """P(0) of a scope is due where the charge is first in force in it."""
    price = {"model": "stairstep", "flat_price_at_zero": True,
             "tiers": [{"up_to": None, "flat_price": "5"}]}
    catalog = simple_catalog(UNIT)
    first = catalog["plans"][0]
    late = {"key": "late", "meter": "m", "price": price, "scope": "term"}
    catalog["plans"].append({**first, "version": 2, "effective_from": "2026-02-10T00:00:00Z",
                             "charges": [*first["charges"], late]})
    totals = rate(catalog, [], "2026-04-01T00:00:00Z")["totals"]
    yield "late", [(each["period_start"][:7], each["usage_amount"]) for each in totals
                   if each["charge"] == "late"], [("2026-02", "5"), ("2026-03", "0")]
    daily = {**late, "scope": "day"}
    catalog["plans"][1]["charges"][1] = daily
    totals = rate(catalog, [], "2026-03-01T00:00:00Z")["totals"]
    yield "daily", [each["usage_amount"] for each in totals if each["charge"] == "late"], ["95"]


def check_skipped_day():
    """Apia had no 30 December 2011: thirty days have their P(0) in that month."""
    price = {"model": "stairstep", "flat_price_at_zero": True,
             "tiers": [{"up_to": None, "flat_price": "1"}]}
    catalog = simple_catalog(price, zone="Pacific/Apia", start="2011-12-01", scope="day")
    catalog["plans"][0]["effective_from"] = "2010-01-01T00:00:00Z"
    totals = rate(catalog, [], "2011-12-31T12:00:00Z")["totals"]
    yield "days", [(each["period_end"], each["usage_amount"]) for each in totals], [
        ("2011-12-31T10:00:00Z", "30")]
    # Without a 30 December the period ends before the 31st: 31 days, then 30; 12 of 31.
    for start, expected in (("2011-11-30", ["93", "93"]), ("2011-12-19", ["36", "93"])):
        catalog = simple_catalog({"model": "flat", "amount": "93"}, zone="Pacific/Apia",
                                 start=start, prorate_flat=True)
        catalog["plans"][0]["effective_from"] = "2010-01-01T00:00:00Z"
        catalog["customers"][0]["bill_cycle_day"] = 30
        totals = rate(catalog, [], "2012-01-31T00:00:00Z")["totals"]
        yield f"cycle day {start}", [each["amount"] for each in totals], expected


def _event(name, day, month=1, **data):
    return event(name, f"2026-{month:02}-{day:02}T00:00:00Z", "0", data=data)


def _override(catalog, since, **fields):
    catalog["subscriptions"][0]["overrides"] = {"c": [{"effective_from": since, **fields}]}


def _amounts(done):
    return [row["data"]["amount"] for row in done["rated"]]
