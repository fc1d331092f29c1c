"""Every rejection code, their order, duplicates and conflicts."""

from .inputs import event, rate, simple_catalog

CATALOG = simple_catalog({"model": "per_unit", "unit_price": "1"}, filter={"region": ["eu"]})
TIME = "2026-01-10T00:00:00Z"
GOOD = event("good", TIME, "1", data={"n": "1", "region": "eu"})


def check_codes():
    """One fault each."""
    rows = [
        (b"x" * 1048577, "too_large"), (b"x" * 1048576, "malformed_json"),
        (b"[]", "not_a_cloud_event"), ({**GOOD, "specversion": "0.3"}, "not_a_cloud_event"),
        ({**GOOD, "id": 5}, "not_a_cloud_event"), ({**GOOD, "time": 5}, "not_a_cloud_event"),
        (event("a", None, "1"), "missing_field"), ({**GOOD, "subject": None}, "missing_field"),
        ({**GOOD, "data": {"region": "eu"}}, "missing_field"),
        ({**GOOD, "data": {"region": "us"}}, None), ({**GOOD, "type": "other"}, None),
        ({**GOOD, "time": "2026-01-10"}, "invalid_time"),
        ({**GOOD, "data": {"n": "-1", "region": "eu"}}, "invalid_quantity"),
        ({**GOOD, "data": {"n": True, "region": "eu"}}, "invalid_quantity"),
        ({**GOOD, "subject": "nobody"}, "unknown_subject"), ({**GOOD, "subject": "S"}, None),
        ({**GOOD, "time": "2025-12-31T23:59:59Z"}, "no_active_plan"),
    ]
    for line, expected in rows:
        yield f"{line}"[:60], _code(CATALOG, [line]), expected


def check_order():
    """With several faults the first code in the frozen order is the verdict."""
    faulty = {"specversion": "1.1", "id": "a", "source": None, "type": "t", "subject": "nobody",
              "time": "never", "data": {"n": "one"}}
    repairs = [({}, "not_a_cloud_event"), ({"specversion": "1.0"}, "missing_field"),
               ({"source": "s"}, "invalid_time"), ({"time": "2025-01-01T00:00:00Z"},
                                                   "invalid_quantity"),
               ({"data": {"n": "1", "region": "eu"}}, "unknown_subject"),
               ({"subject": "C"}, "no_active_plan"), ({"time": TIME}, None)]
    for repaired, expected in repairs:
        faulty.update(repaired)
        yield f"{repaired}", _code(CATALOG, [faulty]), expected


def check_identity():
    """Duplicates by meaning, conflicts by content, nothing claimed by a rejected record."""
    spaced = b'{"data":{"region":"eu","n":"1"}, "time":"2026-01-10T00:00:00Z","subject":"C",' \
             b' "type":"t", "source":"s", "id":"good", "specversion":"1.0", "traceparent":"x"}'
    done = rate(CATALOG, [GOOD, spaced, {**GOOD, "data": {"n": "2", "region": "eu"}}])
    yield "duplicate", done["counts"]["duplicates"], 1
    yield "conflict", done["rejected"], [{"run": 1, "line": 3, "code": "conflict"}]
    yield "once", done["totals"][0]["quantity"], "1"
    repaired = rate(CATALOG, [{**GOOD, "data": {"n": "x", "region": "eu"}}, GOOD])
    yield "not claimed", [len(repaired["rejected"]), len(repaired["rated"])], [1, 1]


def check_ambiguous():
    """Several subscriptions that take the meter need `subscription`, other meters do not."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"})
    first = catalog["subscriptions"][0]
    catalog["subscriptions"].append({**first, "id": "S2", "start": "2026-02-01",
                                     "aliases": ["second"]})
    rows = [({}, TIME, None), ({}, "2026-02-10T00:00:00Z", "ambiguous_subscription"),
            ({"subscription": "S2"}, "2026-02-10T00:00:00Z", None),
            ({"subscription": "S2"}, TIME, "no_active_plan"),
            ({"subject": "second"}, "2026-02-10T00:00:00Z", None)]
    for changed, time, expected in rows:
        yield f"{changed} {time}", _code(catalog, [event("a", time, "1", **changed)]), expected


def _code(catalog, usage):
    rejected = rate(catalog, usage)["rejected"]
    return rejected[0]["code"] if rejected else None
