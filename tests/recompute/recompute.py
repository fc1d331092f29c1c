#!/usr/bin/env python3
"""What `usage-rater` must write for a catalog, usage and orders, worked out a second time.

Takes the arguments of `usage-rater rate` and `usage-rater bill` and writes the same files, fields
and all; without `--out` it prints one JSON object. Exact, slow, standard library only.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from model import strictjson
from model.billing import bill
from model.catalog import Catalog
from model.periods import parse_instant
from model.rating import Rater, total_row


@dataclass(frozen=True)
class Run:
    """One run of `rate`: the bytes of its usage, and when it closes."""

    usage: bytes
    close_at: str | None = None


def recompute_rate(catalog, usage, close_at=None):
    """Totals, rated lines, rejections and counts for the bytes of a catalog and of usage."""
    return _rated(catalog, [Run(usage, close_at)], is_complete=True)


def recompute_runs(catalog, runs):
    """The same after several runs on one state; corrections go on waiting for their targets."""
    return _rated(catalog, runs, is_complete=False)


def _rated(catalog, runs, is_complete):
    rater = Rater(Catalog(strictjson.loads(catalog)))
    rated_before = rejected_before = 0
    for number, run in enumerate(runs, start=1):
        rater.read(run.usage)
        if is_complete:
            rater.finish()
        if run.close_at is not None:
            rater.close(parse_instant(run.close_at))
        if number < len(runs):
            rated_before, rejected_before = len(rater.rated), len(rater.rejected)
    rows = [total_row(total, rater.is_closed(total)) for _, total in sorted(rater.totals.items())]
    return {
        "totals": rows,
        "rated": rater.rated,
        "rejected": rater.rejected,
        "before": {"rated": rated_before, "rejected": rejected_before},
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


def write_rate(files, usages, directory):
    """Writes the outputs of `rate` as the program does; `usages` has (name, bytes) of each run."""
    rejected = []
    for each in files["rejected"][files["before"]["rejected"]:]:
        name, usage = usages[each["run"] - 1]
        rejected.append({
            "code": each["code"],
            "reason": each["code"],
            "source": {"file": name, "line": each["line"]},
            "record": usage.split(b"\n")[each["line"] - 1].decode("utf-8", "replace"),
        })
    rated = files["rated"][files["before"]["rated"]:]
    directory.mkdir(parents=True, exist_ok=True)
    for kind, rows in (("totals", files["totals"]), ("rated", rated), ("rejected", rejected)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (directory / f"{kind}.ndjson").write_text(text)


def _runs_of(state, name, usage, close_at):
    """([(name, bytes)], runs): all on a state directory up to this one, which it remembers."""
    state.mkdir(parents=True, exist_ok=True)
    number = len(list(state.glob("*.usage")))
    (state / f"{number}.usage").write_bytes(usage)
    (state / f"{number}.arguments").write_text(json.dumps([name, close_at]))
    usages, runs = [], []
    for each in range(number + 1):
        usage = (state / f"{each}.usage").read_bytes()
        name, close_at = json.loads((state / f"{each}.arguments").read_text())
        usages.append((name, usage))
        runs.append(Run(usage, close_at))
    return usages, runs


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
            command.add_argument("--state", type=Path)
        else:
            command.add_argument("--orders", type=Path, required=True)
            command.add_argument("--as-of", required=True)
    options = parser.parse_args()
    catalog = options.catalog.read_bytes()
    usage = options.usage.read_bytes() if options.usage else b""
    usages = [(str(options.usage), usage)]
    if options.command == "rate" and options.state:
        usages, runs = _runs_of(options.state, *usages[0], options.close_at)
        files = recompute_runs(catalog, runs)
    elif options.command == "rate":
        files = recompute_rate(catalog, usage, options.close_at)
    else:
        files = recompute_bill(catalog, options.orders.read_bytes(), usage, options.as_of)
    if options.out is None:
        json.dump(files, sys.stdout, indent=1)
        print()
    elif options.command == "rate":
        write_rate(files, usages, options.out)
    else:
        write_bill(files, options.out)


if __name__ == "__main__":
    main()
