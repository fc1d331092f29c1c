#!/usr/bin/env python3
"""Writes one random case: a catalog, usage, orders and the dates to run them with.

The same seed and features always give the same bytes; `--features old` keeps to sums and counts,
the price models over quantities and billing periods, without corrections.
"""

import argparse
import json
import random
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from cases import catalogs, corrections, features, usage
from cases.draw import chance, day_in, encoded
from cases.orders import orders
from cases.usage import SPAN
from model.catalog import Catalog
from model.periods import instant_text

# What draws the catalog, and what the usage against it.
FEATURES = {
    "old": (catalogs.catalog, usage.usage),
    "all": (features.catalog, corrections.usage),
}


@dataclass(frozen=True)
class Case:
    """The bytes of the input files, and the arguments beside them."""

    catalog: bytes
    usage: bytes
    close_at: str | None
    middle_close_at: str
    bill_catalog: bytes
    orders: bytes
    as_of: str

    def write(self, directory):
        """Puts the inputs into a directory; `arguments.json` holds the rest."""
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "catalog.json").write_bytes(self.catalog)
        (directory / "usage.ndjson").write_bytes(self.usage)
        (directory / "bill-catalog.json").write_bytes(self.bill_catalog)
        (directory / "orders.json").write_bytes(self.orders)
        arguments = {"close_at": self.close_at, "middle_close_at": self.middle_close_at,
                     "as_of": self.as_of}
        (directory / "arguments.json").write_text(json.dumps(arguments) + "\n")


def generate(seed, kind="all"):
    """The case of a seed, of the earlier kind or drawing on all features."""
    rng = random.Random(seed)
    draw_catalog, draw_usage = FEATURES[kind]
    document = draw_catalog(rng)
    lines = draw_usage(rng, document)
    bill_catalog, placed = orders(rng, document)
    return Case(
        catalog=_encoded(rng, document),
        usage=b"\n".join(lines) + (b"\n" if chance(rng, 80) else b""),
        close_at=_close_at(rng, document),
        middle_close_at=_middle(random.Random(f"{seed} middle"), document),
        bill_catalog=_encoded(rng, bill_catalog),
        orders=_encoded(rng, placed),
        as_of=_as_of(rng, document),
    )


def _encoded(rng, document):
    return encoded(rng, document, is_noisy=chance(rng, 20)).encode()


def _close_at(rng, document):
    """Never, at some moment, or at, just before or just after the end of a period."""
    subscription = rng.choice(list(Catalog(document).subscriptions.values()))
    moment = rng.randrange(subscription.start, subscription.start + 2 * SPAN)
    match rng.randrange(5):
        case 0:
            return None
        case 1:
            return instant_text(moment)
    start = min(moment, subscription.end - 1) if subscription.end else moment
    return instant_text(subscription.period(start)[1] + rng.choice((0, 0, -1, 1)))


def _middle(rng, document):
    """When the first of two runs closes: with periods before it, and usage yet to come for them."""
    starts = [each.start for each in Catalog(document).subscriptions.values()]
    return instant_text(max(starts) + rng.randrange(SPAN // 5, SPAN * 4 // 5))


def _as_of(rng, document):
    starts = [date.fromisoformat(each["start"]) for each in document["subscriptions"]]
    return day_in(rng, min(starts), 400).isoformat()


def main():
    """Writes the case of `--seed` into `--out`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--features", choices=FEATURES, default="all")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    generate(options.seed, options.features).write(options.out)


if __name__ == "__main__":
    main()
