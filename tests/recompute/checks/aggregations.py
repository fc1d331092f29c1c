"""Aggregations: what they come to, and how they move through versions and scopes."""

from fractions import Fraction

from model.exact import plain

from .inputs import event, rate, simple_catalog

UNIT = {"model": "per_unit", "unit_price": "1"}
GRADUATED = {"model": "graduated", "tiers": [
    {"up_to": "10", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]}


def check_aggregates():
    """Each of them over the same records, which come out of order."""
    values = ["4", "-1", "2.5", "4", "3"]
    rows = [("sum", "12.5"), ("count", "5"), ("max", "4"), ("min", "-1"), ("average", "2.5"),
            ("latest", "3"), ({"percentile": 50}, "3"), ({"percentile": "20"}, "-1"),
            ({"percentile": "20.000000000001"}, "2.5"), ({"percentile": 100}, "4"),
            ({"percentile": "99.9"}, "4"), ({"percentile": "0.1"}, "-1")]
    usage = [_event(f"{day}", day, value) for day, value in enumerate(values, start=10)]
    for aggregation, expected in rows:
        done = rate(_catalog(aggregation, negative="accept"), usage[::-1])
        total = done["totals"][0]
        yield f"{aggregation}", (total["quantity"], total["records"]), (expected, 5)
        yield f"{aggregation} lines", _sum(done), total["usage_amount"]
    thirds = [_event("1", 10, "1"), _event("2", 11, "1"), _event("3", 12, "0")]
    yield "thirds", rate(_catalog("average"), thirds)["totals"][0]["quantity"], "0.666666666667"


def check_latest_ties():
    """The greatest (time, source, id) counts, by bytes; a late record does not."""
    usage = [event("b", "2026-01-10T00:00:00Z", "1"), event("ä", "2026-01-10T00:00:00Z", "2"),
             event("z", "2026-01-10T00:00:00Z", "3"),
             event("zz", "2026-01-10T00:00:00Z", "4", source="r"),
             event("zzz", "2026-01-09T23:59:59.999999999Z", "5")]
    done = rate(_catalog("latest"), usage)
    yield "latest", done["totals"][0]["quantity"], "2"
    yield "lines", _amounts(done), ["1", "1", "0", "0", "0"]


def check_unique():
    """Numbers by value, strings by characters; a string spelled canonically is the number."""
    values = [12, "12", 12.0, "12.0", "a", "A", True, "true", "-0", 0, "0", "0.50", 0.5, "0.5"]
    usage = [_event(f"{n:02}", 10, value) for n, value in enumerate(values)]
    done = rate(_catalog("unique_count"), usage)
    # 12, "12.0", a, A, true, "-0", 0, "0.50" and 0.5.
    yield "unique", done["totals"][0]["quantity"], "9"
    yield "line", {row["data"]["quantity"] for row in done["rated"]}, {"1"}
    rows = [(None, "missing_field"), ([], "invalid_quantity"), ({}, "invalid_quantity"),
            ("", None), (-5, None)]
    for value, expected in rows:
        rejected = rate(_catalog("unique_count"), [_event("a", 10, value)])["rejected"]
        yield f"{value}", rejected[0]["code"] if rejected else None, expected


def check_versions():
    """The parts of a maximum: what it rose by under each version."""
    catalog = _catalog("max", included="2")
    catalog["subscriptions"][0]["overrides"] = {"c": [
        {"effective_from": "2026-01-15T00:00:00Z",
         "price": {"model": "per_unit", "unit_price": "10"}, "included": "4"}]}
    usage = [_event("1", 20, "9"), _event("2", 10, "7"), _event("3", 12, "3")]
    done = rate(catalog, usage)
    # Up to 7 less 2 at 1; from 7 to 9, both less 4, at 10.
    yield "total", (done["totals"][0]["usage_amount"], done["totals"][0]["billable_quantity"]), (
        "25", "7")
    # Alone 9 less 4 costs 50; then 5 + 20.
    yield "lines", _amounts(done), ["50", "-25", "0"]


def check_average_versions():
    """An average falls under the later version: the step is negative."""
    catalog = _catalog("average")
    catalog["subscriptions"][0]["overrides"] = {"c": [
        {"effective_from": "2026-01-15T00:00:00Z",
         "price": {"model": "per_unit", "unit_price": "10"}}]}
    usage = [_event("1", 10, "6"), _event("2", 20, "2")]
    total = rate(catalog, usage)["totals"][0]
    yield "total", (total["quantity"], total["usage_amount"]), ("4", "-14")


def check_long_maximum():
    """In a long scope a period has the increase within it."""
    usage = [_event("1", 10, "6"), _event("2", 10, "4", 2), _event("3", 10, "9", 3)]
    totals = rate(_catalog("max", scope="term"), usage)["totals"]
    yield "max", [each["quantity"] for each in totals], ["6", "0", "3"]
    totals = rate(_catalog("min", scope="term"), usage)["totals"]
    yield "min", [(each["quantity"], each["usage_amount"]) for each in totals], [
        ("6", "6"), ("-2", "-2"), ("0", "0")]


def check_levels():
    """Levels weigh by the time that is left, and carry on through periods without records."""
    usage = [_event("1", 11, "31"), _event("2", 21, "-31", 3)]
    done = rate(_catalog("time_weighted_sum", negative="accept"), usage, "2026-05-01T00:00:00Z")
    # 21 of 31 days; all of February; 20 of March's 31 days; nothing more.
    rows = [(each["quantity"], each["amount_at_zero"], each["usage_amount"], each["records"])
            for each in done["totals"]]
    yield "totals", rows, [("21", "0", "21", 1), ("31", "31", "31", 0), ("20", "31", "20", 1),
                           ("0", "0", "0", 0)]
    yield "lines", _amounts(done), ["21", "-11"]
    thirds = [event("1", "2026-01-01T00:00:00Z", "0.000000001"),
              event("2", "2026-01-21T16:00:00Z", "1")]
    total = rate(_catalog("time_weighted_sum"), thirds)["totals"][0]
    # A third of the month is left: 0.333..., and one last place the whole month.
    yield "thirds", total["quantity"], "0.333333334333"


def check_late_level():
    """A level that comes late moves what later periods begin with, and what their own cost."""
    catalog = _catalog("time_weighted_sum", GRADUATED)
    usage = [_event("1", 1, "8", 2), _event("2", 1, "8", 1)]
    done = rate(catalog, usage)
    # February: 8 at 2 alone; from a level of 8, P(0) = 16 and 2 x 2 + 6 x 1 on top.
    yield "lines", [(row["id"], row["data"]["amount"], row["data"]["quantity"])
                    for row in done["rated"]], [
        ("1", "16", "8"), ("2", "16", "8"), ("2", "-6", "0")]
    yield "totals", [(each["usage_amount"], each["amount_at_zero"]) for each in done["totals"]], [
        ("16", "0"), ("26", "16")]


def check_level_versions():
    """At a cut the position is the level carried in and the records before the cut."""
    catalog = _catalog("time_weighted_sum", start="2026-01-01")
    catalog["subscriptions"][0]["overrides"] = {"c": [
        {"effective_from": "2026-02-15T00:00:00Z",
         "price": {"model": "per_unit", "unit_price": "10"}}]}
    usage = [_event("1", 1, "5"), _event("2", 15, "4", 2), _event("3", 8, "4", 2)]
    february = rate(catalog, usage)["totals"][1]
    # Carried 5 at 1; 21 of 28 days of 4 at 1; 14 of 28 days of 4 at 10.
    yield "total", [february[each] for each in ("quantity", "amount_at_zero", "usage_amount")], [
        "10", "5", "28"]


def _catalog(aggregation, price=None, negative="reject", **charge):
    catalog = simple_catalog(price or UNIT, negative=negative, **charge)
    catalog["meters"][0]["aggregation"] = aggregation
    return catalog


def _event(name, day, value, month=1):
    return event(name, f"2026-{month:02}-{day:02}T00:00:00Z", value)


def _amounts(done):
    return [row["data"]["amount"] for row in done["rated"]]


def _sum(done):
    return plain(sum(map(Fraction, _amounts(done))))
