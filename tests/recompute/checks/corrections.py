"""Cancellations and amendments, in every order, against the corrected records alone."""

from fractions import Fraction
from itertools import permutations

from model.exact import plain

from .inputs import event, rate, simple_catalog

GRADUATED = {"model": "graduated", "tiers": [
    {"up_to": "10", "unit_price": "2"}, {"up_to": None, "unit_price": "1"}]}
A = event("a", "2026-01-10T00:00:00Z", "8")
B = event("b", "2026-01-20T00:00:00Z", "8")


def check_places():
    """Every order of arrival ends in the totals of the corrected records alone."""
    amended = {**A, "data": {"n": "3"}}
    later = {**A, "time": "2026-01-25T12:00:00Z", "data": {"n": "3"}}
    rows = [
        ("cancelled", [A, B, _cancel("x", "a")], [B]),
        ("restored", [A, B, _cancel("x", "a"), _cancel("y", "x")], [A, B]),
        ("twice", [A, B, _cancel("x", "a"), _cancel("y", "a")], [B]),
        ("one of two restored", [A, B, _cancel("x", "a"), _cancel("y", "a"), _cancel("z", "x")],
         [B]),
        ("amended", [A, B, _amend("x", "a", {"n": "3"})], [amended, B]),
        ("amended as an event",
         [A, B, _amend("x", "a", {"specversion": "1.0", "data": {"n": "3"}})], [amended, B]),
        ("moved", [A, B, _amend("x", "a", {"time": "2026-01-25T12:00:00Z", "data": {"n": "3"}})],
         [later, B]),
        ("the greatest wins", [A, B, _amend("x", "a", {"n": "4"}), _amend("y", "a", {"n": "3"})],
         [amended, B]),
        ("by time first", [A, B, _amend("y", "a", {"n": "4"}),
                           _amend("x", "a", {"n": "3"}, "2026-02-02T00:00:00Z")], [amended, B]),
        ("the greatest taken back", [A, B, _amend("x", "a", {"n": "3"}),
                                     _amend("y", "a", {"n": "4"}), _cancel("z", "y")],
         [amended, B]),
        ("cancellation wins", [A, B, _amend("y", "a", {"n": "3"}), _cancel("x", "a")], [B]),
        ("amendment amended", [A, B, _amend("x", "a", {"n": "4"}), _amend("y", "x", {"n": "3"})],
         [amended, B]),
        ("amendment of a cancelled amendment", [A, _amend("x", "a", {"n": "4"}),
                                                _amend("y", "x", {"n": "3"}), _cancel("z", "x")],
         [A]),
    ]
    for what, usage, alone in rows:
        expected = rate(_catalog(), alone)["totals"]
        for order in permutations(usage):
            done = rate(_catalog(), order)
            names = " ".join(each["id"] for each in order)
            yield f"{what} {names}", _used(done["totals"]), expected
            yield f"{what} {names} rejected", done["rejected"], []
            yield f"{what} {names} lines", _sum(done), plain(
                sum(Fraction(each["usage_amount"]) for each in expected))


def check_other_models():
    """The same where each record's share depends on the others."""
    usage = [A, B, event("c", "2026-01-05T00:00:00Z", "1"), _cancel("x", "c"),
             _amend("y", "b", {"n": "2"})]
    alone = [A, {**B, "data": {"n": "2"}}]
    for aggregation in ("max", "min", "average", "latest", {"percentile": 40}, "unique_count",
                        "time_weighted_sum", "count"):
        catalog = _catalog(aggregation=aggregation)
        expected = rate(catalog, alone)["totals"]
        for order in permutations(usage):
            yield f"{aggregation}", _used(rate(catalog, order)["totals"]), expected


def check_lines():
    """Taken back under the correction's name, with what it corrects."""
    done = rate(_catalog(), [A, B, _amend("x", "a", {"n": "3"})])
    yield "lines", [(row["source"], row["id"], row["data"]["quantity"], row["data"]["amount"],
                     row["data"].get("corrects")) for row in done["rated"]], [
        ("s#c", "a", "8", "16", None), ("s#c", "b", "8", "10", None),
        ("s#c", "x", "-8", "-10", {"source": "s", "id": "a"}),
        ("s#c", "x", "3", "5", {"source": "s", "id": "a"})]
    # All 8 of the second cost 2 each with the first gone; with 3 more, one falls above 10.
    yield "touched", done["corrected"], [["C", "s", "a"], ["C", "s", "x"]]


def check_refused():
    """What cannot be done, and what then stands."""
    rows = [
        ([A, _cancel("x", "never")], "unknown_reference"),
        ([A, _cancel("x", "y"), _cancel("y", "never")], "unknown_reference"),
        ([A, _cancel("x", "a", source="other")], "unknown_reference"),
        ([A, _cancel("y", "a"), _amend("x", "y", {"n": "1"}), _cancel("z", "y")],
         "unknown_reference"),
        ([A, _amend("x", "a", {"n": "-1"})], "invalid_quantity"),
        ([A, _amend("x", "a", {"m": "1"})], "missing_field"),
        ([A, _amend("x", "a", {"specversion": "1.0", "time": "2026-01-25T12:00:00Z"})],
         "missing_field"),
        ([A, _amend("x", "a", {"time": "never", "data": {"n": "1"}})], "invalid_time"),
        ([A, _amend("x", "never", {"time": "never", "specversion": "1.0"})], "invalid_time"),
        ([A, {**_cancel("x", "a"), "subject": "S", "subscription": "T"}], "unknown_subject"),
        ([A, _amend("x", "a", {"time": "2025-12-01T00:00:00Z", "data": {"n": "1"}})],
         "no_active_plan"),
        ([A, {**_amend("x", "a", {}), "data": {"of": {"source": "s", "id": "a"}}}],
         "missing_field"),
        ([A, {**_cancel("x", "a"), "data": {"of": {"source": "s"}}}], "missing_field"),
        ([A, {**_cancel("x", "a"), "data": {"of": {"source": "s", "id": 5}}}], "missing_field"),
        ([A, {**_cancel("x", "a"), "subject": "nobody"}], "unknown_subject"),
    ]
    for usage, code in rows:
        for order in (usage, usage[::-1]):
            done = rate(_catalog(), order)
            codes = {row["code"] for row in done["rejected"]}
            yield f"{code} {usage[1:]}"[:90], codes, {code}
            yield f"{code} stands", _used(done["totals"]), rate(_catalog(), [A])["totals"]
    circles = [
        [_cancel("x", "y"), _cancel("y", "x"), _cancel("z", "y")],
        [_cancel("x", "x"), _amend("y", "y", {"n": "1"}), _cancel("z", "x")],
        [_amend("x", "y", {"n": "1"}), _amend("y", "x", {"n": "2"}), _amend("z", "y", {"n": "3"})],
        [_amend("x", "y", {"n": "1"}), _cancel("y", "x"), _cancel("z", "z")],
    ]
    for usage in circles:
        for order in permutations([A, *usage]):
            done = rate(_catalog(), order)
            yield f"circle {order}"[:90], [row["code"] for row in done["rejected"]], [
                "unknown_reference"] * 3
            yield "circle stands", _used(done["totals"]), rate(_catalog(), [A])["totals"]
    again = rate(_catalog(), [A, _cancel("x", "a"), _cancel("x", "a"), _cancel("x", "b"),
                              {**A, "data": {"n": "9"}}])
    yield "identity", (again["counts"]["duplicates"],
                       [row["code"] for row in again["rejected"]]), (1, ["conflict", "conflict"])
    other = _catalog()
    other["customers"].append({**other["customers"][0], "id": "D"})
    other["subscriptions"].append({**other["subscriptions"][0], "id": "T", "customer": "D"})
    done = rate(other, [A, {**_cancel("x", "a"), "subject": "D"}])
    yield "owner", done["rejected"], [{"run": 1, "line": 2, "code": "unknown_reference"}]


def check_elsewhere():
    """A replacement may move to another period and another charge."""
    catalog = _catalog()
    catalog["meters"].append({"key": "k", "event_type": "u", "aggregation": "count"})
    charge = {"key": "d", "meter": "k", "price": {"model": "per_unit", "unit_price": "7"}}
    catalog["plans"][0]["charges"].append(charge)
    moved = {"type": "u", "time": "2026-03-01T00:00:00Z", "data": {}}
    done = rate(catalog, [A, _amend("x", "a", moved)])
    yield "moved", [(each["charge"], each["period_start"][:7], each["records"], each["amount"])
                    for each in done["totals"]], [
        ("c", "2026-01", 0, "0"), ("d", "2026-03", 1, "7")]
    alone = rate(catalog, [{**A, **moved}])["totals"][0]
    yield "same", done["totals"][1], alone


def check_routes():
    """What a replacement says of subject or subscription replaces what its target said."""
    catalog = _catalog()
    catalog["plans"].append({**catalog["plans"][0], "key": "q", "charges": [
        {"key": "d", "meter": "m", "price": {"model": "per_unit", "unit_price": "1"}}]})
    catalog["subscriptions"].append({**catalog["subscriptions"][0], "id": "T", "plan": "q"})
    catalog["customers"].append({**catalog["customers"][0], "id": "D"})
    catalog["plans"][1]["charges"][0]["meter"] = "k"
    catalog["meters"].append({**catalog["meters"][0], "key": "k"})
    # Subject and subscription of the target, then of the replacement; who uses 3 in the end.
    rows = [
        ("C", None, None, None, "cd"), ("C", "S", None, None, "c"), ("S", None, None, None, "c"),
        ("C", None, None, "T", "d"), ("C", "S", None, "T", "d"), ("S", None, None, "T", "d"),
        ("S", "S", "C", None, "cd"), ("S", "S", "T", None, "d"), ("S", None, "C", "T", "d"),
        ("S", None, "T", "S", None), ("C", None, "D", None, None), ("C", None, "D", "S", None),
    ]
    for subject, subscription, new_subject, new_subscription, expected in rows:
        target = {**A, "subject": subject, "subscription": subscription}
        given = {"subject": new_subject, "subscription": new_subscription, "data": {"n": "3"}}
        replacement = {name: item for name, item in given.items() if item is not None}
        usage = [target, _amend("x", "a", replacement)]
        for order in (usage, usage[::-1]):
            done = rate(catalog, order)
            charges = "".join(each["charge"] for each in _used(done["totals"])
                              if each["quantity"] == "3")
            yield f"{subject} {subscription} {replacement}", charges or None, expected
            yield "code", [each["code"] for each in done["rejected"]], (
                [] if expected else ["unknown_subject"])


def _used(totals):
    """Nothing is said of open totals that stand without records."""
    return [each for each in totals if each["records"]]


def _catalog(aggregation="sum"):
    catalog = simple_catalog(GRADUATED)
    catalog["meters"][0]["aggregation"] = aggregation
    return catalog


def _cancel(name, target, source="s"):
    of = {"source": source, "id": target}
    return event(name, "2026-02-01T00:00:00Z", "0", type="usage.cancelled", data={"of": of})


def _amend(name, target, replacement, time="2026-02-01T00:00:00Z"):
    data = {"of": {"source": "s", "id": target}, "replacement": replacement}
    return event(name, time, "0", type="usage.amended", data=data)


def _sum(done):
    return plain(sum(Fraction(row["data"]["amount"]) for row in done["rated"]))
