#!/usr/bin/env python3
"""Checks the recomputation itself against values worked out by hand."""

import sys

from checks import (
    admission, aggregations, billing, comparing, corrections, features, numbers, rating,
)

MODULES = (
    numbers, admission, rating, features, aggregations, corrections, billing, comparing,
)


def main():
    """Runs every check and says how many passed."""
    passed = failed = 0
    for module in MODULES:
        for name, check in vars(module).items():
            if not name.startswith("check_"):
                continue
            for what, actual, expected in check():
                passed += actual == expected
                if actual != expected:
                    failed += 1
                    print(f"{module.__name__}.{name}: {what}")
                    print(f"  expected {expected}\n  got      {actual}")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
