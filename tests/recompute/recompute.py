#!/usr/bin/env python3
"""What `usage-rater` must write for a catalog, usage and orders, worked out a second time.

Takes the arguments of `usage-rater rate` and `usage-rater bill` and writes the same files, fields
and all; without `--out` it prints one JSON object. Exact, slow, standard library only.
"""

import argparse
import json
import sys
from datetime import date
from pathlib import Path

from model import strictjson
from model.billing import bill
from model.catalog import Catalog
from model.periods import parse_instant
from model.rating import Rater, total_row


def recompute_rate(catalog, usage, close_at=None):
    """Totals, rated lines, rejections and counts for the bytes of a catalog and of usage."""
    instant = None if close_at is None else parse_instant(close_at)
    rater = Rater(Catalog(strictjson.loads(catalog)))
    rater.read(usage)
    rater.finish()
    if instant is not None:
        rater.close(instant)
    rows = [total_row(total, rater.is_closed(total)) for _, total in sorted(rater.totals.items())]
    return {
        "totals": rows,
        "rated": rater.rated,
        "rejected": rater.rejected,
        "corrected": [list(each) for each in rater.corrected],
        "counts": {"duplicates": rater.duplicates, "unpriced": rater.unpriced},
    }


def recompute_bill(catalog, orders, usage, as_of):
    """Invoices, credit memos and order products for the bytes of the three files."""
    documents, rows = bill(
        strictjson.loads(catalog), strictjson.loads(orders), usage, date.fromisoformat(as_of)
    )
    return {
        "invoices": [each for each in documents if each["kind"] == "invoice"],
        "credit_memos": [each for each in documents if each["kind"] == "credit_memo"],
        "order_products": rows,
    }


def write_rate(files, usage, name, directory):
    """Writes the outputs of `rate` as the program does; `name` is the usage file's."""
    lines = usage.split(b"\n")
    totals = [{**row, "revision": 0} for row in files["totals"]]
    rejected = [
        {
            "code": each["code"],
            "reason": each["code"],
            "source": {"file": name, "line": each["line"]},
            "record": lines[each["line"] - 1].decode("utf-8", "replace"),
        }
        for each in files["rejected"]
    ]
    directory.mkdir(parents=True, exist_ok=True)
    for kind, rows in (("totals", totals), ("rated", files["rated"]), ("rejected", rejected)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (directory / f"{kind}.ndjson").write_text(text)


def write_bill(files, directory):
    """Writes the outputs of `bill` as the program does."""
    directory.mkdir(parents=True, exist_ok=True)
    for kind, rows in files.items():
        (directory / f"{kind}.json").write_text(json.dumps(rows))


def main():
    """Runs `rate` or `bill`."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("rate", "bill"):
        command = commands.add_parser(name)
        command.add_argument("--catalog", type=Path, required=True)
        command.add_argument("--usage", type=Path, required=name == "rate")
        command.add_argument("--out", type=Path)
        if name == "rate":
            command.add_argument("--close-at")
        else:
            command.add_argument("--orders", type=Path, required=True)
            command.add_argument("--as-of", required=True)
    options = parser.parse_args()
    catalog = options.catalog.read_bytes()
    usage = options.usage.read_bytes() if options.usage else b""
    if options.command == "rate":
        files = recompute_rate(catalog, usage, options.close_at)
    else:
        files = recompute_bill(catalog, options.orders.read_bytes(), usage, options.as_of)
    if options.out is None:
        json.dump(files, sys.stdout, indent=1)
        print()
    elif options.command == "rate":
        write_rate(files, usage, str(options.usage), options.out)
    else:
        write_bill(files, options.out)


if __name__ == "__main__":
    main()
