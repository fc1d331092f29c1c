"""The generator repeats itself, and the comparison notices every kind of tampering."""

import json
import tempfile
from pathlib import Path

from differences import bill_differences, rate_differences
from generate import generate
from recompute import recompute_bill, recompute_rate, write_bill, write_rate

SEED = 7


def check_generator():
    """The same seed gives the same bytes, another one others."""
    yield "same", generate(SEED), generate(SEED)
    yield "other", generate(SEED) == generate(SEED + 1), False


def check_rate_differences():
    """Files of our own make pass; one changed field, row or digit does not."""
    case = generate(SEED, "old")
    expected = recompute_rate(case.catalog, case.usage, case.close_at)
    changes = [
        ("totals", lambda rows: rows[0].update(amount="0.000000000001")),
        ("totals", lambda rows: rows[0].update(period_end="2020-01-01T00:00:00Z")),
        ("totals", lambda rows: rows[0]["lineage"].update(digest="00")),
        ("totals", lambda rows: rows[0].pop("last_used_at")),
        ("totals", lambda rows: rows.append(rows[0])),
        ("rated", lambda rows: rows.pop()),
        ("rated", lambda rows: rows[0]["data"].update(quantity=1)),
        ("rejected", lambda rows: rows[0].update(code="overflow")),
        ("rejected", lambda rows: rows[0].update(record="{}")),
        ("rejected", lambda rows: rows.pop()),
    ]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_rate(expected, case.usage, "usage.ndjson", directory)
        yield "untouched", rate_differences(expected, directory, case.usage), []
        for number, (file, change) in enumerate(changes):
            write_rate(expected, case.usage, "usage.ndjson", directory)
            path = directory / f"{file}.ndjson"
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            change(rows)
            path.write_text("".join(json.dumps(row) + "\n" for row in rows))
            found = rate_differences(expected, directory, case.usage)
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
