"""The generator repeats itself, and the comparison notices every kind of tampering."""

import json
import random
import tempfile
from pathlib import Path

from cases.draw import encoded
from differences import bill_differences, rate_differences, runs_differences
from generate import FEATURES, generate
from model import strictjson
from model.catalog import Catalog
from model.rating import Rater
from recompute import Run, recompute_bill, recompute_rate, recompute_runs, write_bill, write_rate

from .inputs import event, simple_catalog

SEED = 7
SEEDS = (3, 4, 5)


def check_generator():
    """The same seed gives the same bytes, another one or other features others."""
    for kind in FEATURES:
        yield f"same {kind}", generate(SEED, kind), generate(SEED, kind)
        yield f"other {kind}", generate(SEED, kind) == generate(SEED + 1, kind), False
    yield "features", generate(SEED, "old") == generate(SEED, "all"), False


def check_corrected_alone():
    """Random corrections end in the totals of the corrected records alone, in any order."""
    for seed in SEEDS:
        case, rng = generate(seed), random.Random(seed)
        rater = Rater(Catalog(strictjson.loads(case.catalog)))
        rater.read(case.usage)
        expected = _used(recompute_rate(case.catalog, case.usage))
        alone = [encoded(rng, record.event, is_noisy=False) for record in rater.standing]
        rng.shuffle(alone)
        done = recompute_rate(case.catalog, "\n".join(alone).encode())
        yield f"alone {seed}", _used(done), expected
        refused = {row["line"] for row in rater.rejected}
        lines = [line for number, line in enumerate(case.usage.split(b"\n"), start=1)
                 if number not in refused]
        rng.shuffle(lines)
        yield f"shuffled {seed}", _used(recompute_rate(case.catalog, b"\n".join(lines))), expected


def _used(done):
    return [row for row in done["totals"] if row["records"]]


def check_revisions():
    """One for each record or correction that changes a closed total, none for what changes none."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"})
    january, february = (f"2026-0{month}-10T00:00:00Z" for month in (1, 2))
    cancelled = event("x", february, "0", type="usage.cancelled",
                      data={"of": {"source": "s", "id": "a"}})
    early = {**cancelled, "id": "y", "data": {"of": {"source": "s", "id": "never"}}}
    first = [event("a", january, "5"), event("b", february, "5"), early]
    second = [cancelled, event("c", january, "0"), event("d", february, "1"),
              {**cancelled, "id": "z"}, event("c", january, "0"), event("never", january, "9")]
    runs = [Run(_lines(first), "2026-02-01T00:00:00Z"), Run(_lines(second), None)]
    done = recompute_runs(json.dumps(catalog).encode(), runs)
    rows = [(row["status"], row["revision"], row["records"], row["amount"])
            for row in done["totals"]]
    # The record that was cancelled before it came counts once, with its cancellation.
    yield "totals", rows, [("closed", 3, 1, "0"), ("open", 0, 2, "6")]
    yield "lines", [(row["id"], row["data"].get("adjustment", False)) for row in done["rated"]], [
        ("a", False), ("b", False), ("x", True), ("c", True), ("d", False), ("never", True),
        ("y", True)]
    yield "rejected", done["rejected"], []
    catalog["plans"][0]["charges"][0].update(scope="term", included="3")
    runs = [Run(_lines(first[:2]), "2026-03-01T00:00:00Z"), Run(_lines(second[:2]), None)]
    done = recompute_runs(json.dumps(catalog).encode(), runs)
    # The cancellation leaves the included units to February: both totals are revised.
    rows = [(row["revision"], row["amount"]) for row in done["totals"]]
    yield "shifted", rows, [(2, "0"), (1, "2")]
    yield "shift", [(row["id"], row["data"]["quantity"], row["data"]["amount"])
                    for row in done["rated"]][2:4], [("x", "-5", "-2"), ("x", "0", "-3")]


def check_revisions_at_once():
    """A record and all corrections that wait for it are one revision of each total they change."""
    catalog = simple_catalog({"model": "per_unit", "unit_price": "1"})
    january = "2026-01-10T00:00:00Z"

    def correction(name, target, replacement=None):
        of = {"of": {"source": "s", "id": target}}
        if replacement is None:
            return event(name, january, "0", type="usage.cancelled", data=of)
        return event(name, january, "0", type="usage.amended",
                     data={**of, "replacement": replacement})

    february = {"time": "2026-02-10T00:00:00Z", "data": {"n": "3"}}
    march = {"time": "2026-03-10T00:00:00Z", "data": {"n": "4"}}
    rows = [
        ("amended", [correction("x", "a", {"n": "2"})], [(1, "2"), (0, "0"), (0, "0")]),
        ("moved", [correction("x", "a", february)], [(1, "0"), (1, "3"), (0, "0")]),
        ("moved twice", [correction("x", "a", february), correction("y", "x", march)],
         [(1, "0"), (1, "0"), (1, "4")]),
        ("restored", [correction("x", "a"), correction("y", "x")], [(1, "5"), (0, "0"), (0, "0")]),
    ]
    for what, waiting, expected in rows:
        runs = [Run(_lines(waiting), "2026-04-01T00:00:00Z"),
                Run(_lines([event("a", january, "5")]), None)]
        done = recompute_runs(json.dumps(catalog).encode(), runs)
        yield what, [(row["revision"], row["amount"]) for row in done["totals"]], expected


def _lines(events):
    return "".join(json.dumps(each) + "\n" for each in events).encode()


def check_runs_differences():
    """Two runs' files of our own make pass; a changed total or line does not."""
    case = generate(SEED)
    lines = case.usage.split(b"\n")
    halves = [b"\n".join(part) for part in (lines[: len(lines) // 2], lines[len(lines) // 2 :])]
    runs = [Run(halves[0], case.middle_close_at), Run(halves[1], None)]
    usages = [("1", halves[0]), ("2", halves[1])]
    expected = recompute_runs(case.catalog, runs)
    changes = [
        ("totals", lambda rows: rows[0].update(revision=77)),
        ("totals", lambda rows: rows[0].update(status="other")),
        ("totals", lambda rows: rows[0].update(usage_amount="-1")),
        ("rated", lambda rows: rows[-1]["data"].update(amount="12345.678")),
        ("rated", lambda rows: [row["data"].update(adjustment=True) for row in rows]),
        ("rated", lambda rows: [row["data"].pop("adjustment", None) for row in rows]),
        ("rejected", lambda rows: rows[0]["source"].update(file="1")),
        ("rejected", lambda rows: rows.pop()),
    ]
    with tempfile.TemporaryDirectory() as name:
        directories = [Path(name) / f"run-{number}" for number in (1, 2)]
        write_rate(recompute_runs(case.catalog, runs[:1]), usages, directories[0])
        for number, (file, change) in enumerate([("totals", list), *changes]):
            write_rate(expected, usages, directories[1])
            path = directories[1] / f"{file}.ndjson"
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            change(rows)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            found = runs_differences(expected, directories, usages)
            yield f"{file} {number} {found}"[:90], bool(found), number > 0


def check_rate_differences():
    """Files of our own make pass; one changed field, row or digit does not."""
    case = generate(SEED, "old")
    usage = "usage.ndjson", case.usage
    expected = recompute_rate(case.catalog, case.usage, case.close_at)
    changes = [
        ("totals", lambda rows: rows[0].update(amount="0.000000000001")),
        ("totals", lambda rows: rows[0].update(period_end="2020-01-01T00:00:00Z")),
        ("totals", lambda rows: rows[0]["lineage"].update(digest="00")),
        ("totals", lambda rows: rows[0].pop("last_used_at")),
        ("totals", lambda rows: rows.append(rows[0])),
        ("totals", lambda rows: rows[0].update(amount_at_zero="0.5")),
        ("rated", lambda rows: rows.pop()),
        ("rated", lambda rows: rows[0]["data"].update(quantity=1)),
        ("rejected", lambda rows: rows[0].update(code="overflow")),
        ("rejected", lambda rows: rows[0].update(record="{}")),
        ("rejected", lambda rows: rows.pop()),
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_rate(expected, [usage], directory)
        yield "untouched", rate_differences(expected, directory, usage), []
        for number, (file, change) in enumerate(changes):
            write_rate(expected, [usage], directory)
            path = directory / f"{file}.ndjson"
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            change(rows)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            found = rate_differences(expected, directory, usage)
            yield f"{file} {number}", bool(found), True


def check_bill_differences():
    """The same for documents."""
    case = generate(SEED, "old")
    expected = recompute_bill(case.bill_catalog, case.orders, case.usage, "2027-01-01")
    changes = [
        ("invoices", lambda rows: rows.pop()),
        ("invoices", lambda rows: rows.reverse()),
        ("invoices", lambda rows: rows[0].update(total="0.1")),
        ("invoices", lambda rows: rows[0]["items"].pop()),
        ("invoices", lambda rows: rows[-1]["items"][0].update(amount="1")),
        ("order_products", lambda rows: rows[0].update(id="OP-x")),
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_bill(expected, directory)
        yield "untouched", bill_differences(expected, directory), []
        for number, (file, change) in enumerate(changes):
            write_bill(expected, directory)
            path = directory / f"{file}.json"
            rows = json.loads(path.read_text())
            change(rows)
            path.write_text(json.dumps(rows))
            yield f"{file} {number}", bool(bill_differences(expected, directory)), True
