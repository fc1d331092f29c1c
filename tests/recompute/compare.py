#!/usr/bin/env python3
"""Runs the program on random cases and compares every output with the recomputation.

    compare.py --binary target/debug/usage-rater --seeds 1..200

Prints each seed that differs with its first differences and keeps its files. Exit code 1 if any.
With `--runs 2` the usage is rated in two halves on one `--state`, the first closing in its middle.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from differences import bill_differences, rate_differences, runs_differences
from generate import FEATURES, generate
from model.periods import parse_instant
from recompute import Run, recompute_bill, recompute_rate, recompute_runs

SHOWN_MAX = 10
RUN_SECONDS_MAX = 120


def compare_rate(binary, case, directory):
    """Differences of one `rate` run."""
    arguments = ["--catalog", "catalog.json", "--usage", "usage.ndjson"]
    if case.close_at is not None:
        arguments += ["--close-at", case.close_at]
    failure = _run(binary, "rate", arguments, directory)
    if failure:
        return [failure]
    expected = recompute_rate(case.catalog, case.usage, case.close_at)
    _keep(expected, directory / "expected-rate.json")
    found = rate_differences(expected, directory / "rate", ("usage.ndjson", case.usage))
    return found + _verify(binary, directory)


def _verify(binary, directory):
    """What the program's own proof has against its output."""
    line = [str(binary), "verify", "--catalog", "catalog.json", "--usage", "usage.ndjson",
            "--out", "rate"]
    done = subprocess.run(line, cwd=directory, capture_output=True, timeout=RUN_SECONDS_MAX)
    told = done.stderr.decode(errors="replace").splitlines()
    return [] if done.returncode == 0 else [f"verify: {each}" for each in told]


def compare_runs(binary, case, directory):
    """Differences of two `rate` runs on one state."""
    runs = _halves(case)
    usages = [(f"usage-{number}.ndjson", run.usage) for number, run in enumerate(runs, start=1)]
    for number, run in enumerate(runs, start=1):
        name, usage = usages[number - 1]
        (directory / name).write_bytes(usage)
        arguments = ["--catalog", "catalog.json", "--usage", name, "--state", "state"]
        if run.close_at is not None:
            arguments += ["--close-at", run.close_at]
        failure = _run(binary, "rate", arguments, directory, f"run-{number}")
        if failure:
            return [failure]
    expected = recompute_runs(case.catalog, runs)
    _keep(expected, directory / "expected-runs.json")
    return runs_differences(expected, [directory / "run-1", directory / "run-2"], usages)


def _halves(case):
    """The first half of the lines, closed in the middle, and the others, closed as ever."""
    lines = case.usage.split(b"\n")
    middle = len(lines) // 2
    close_at = case.close_at
    if close_at is not None and parse_instant(close_at) < parse_instant(case.middle_close_at):
        close_at = None
    return [Run(b"\n".join(lines[:middle]) + b"\n", case.middle_close_at),
            Run(b"\n".join(lines[middle:]), close_at)]


def compare_bill(binary, case, directory):
    """Differences of one `bill` run."""
    arguments = ["--catalog", "bill-catalog.json", "--usage", "usage.ndjson",
                 "--orders", "orders.json", "--as-of", case.as_of]
    failure = _run(binary, "bill", arguments, directory)
    if failure:
        return [failure]
    expected = recompute_bill(case.bill_catalog, case.orders, case.usage, case.as_of)
    _keep(expected, directory / "expected-bill.json")
    return bill_differences(expected, directory / "bill")


COMMANDS = {"rate": compare_rate, "bill": compare_bill}


def compare_seed(binary, commands, features, kept, seed):
    """(seed, differences); the files of a seed without any are removed, earlier ones always."""
    directory = kept / f"seed-{seed}"
    shutil.rmtree(directory, ignore_errors=True)
    case = generate(seed, features)
    case.write(directory)
    found = []
    for command, compared in commands.items():
        try:
            differences = compared(binary, case, directory)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            differences = [f"cannot run it or read its output: {type(error).__name__}: {error}"]
        found += [f"{command}: {each}" for each in differences]
    if not found:
        shutil.rmtree(directory)
    return seed, found


def _run(binary, command, arguments, directory, out=None):
    """Runs the program inside a directory; returns what went wrong, if anything."""
    out = out or command
    line = [str(binary), command, *arguments, "--out", out]
    (directory / f"{out}-command.txt").write_text(" ".join(line) + "\n")
    try:
        done = subprocess.run(line, cwd=directory, capture_output=True, timeout=RUN_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        return f"still running after {RUN_SECONDS_MAX} s"
    if done.returncode == 0:
        return None
    return f"exit code {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}"


def _keep(expected, path):
    path.write_text(json.dumps(expected, indent=1) + "\n")


def _seeds(text):
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def main():
    """Compares all seeds and says how many passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--seeds", type=_seeds, required=True, help="A..B, both included")
    parser.add_argument("--features", choices=FEATURES, default="all")
    parser.add_argument("--runs", type=int, choices=(1, 2), default=1,
                        help="2: `rate` twice on one state, instead of both commands")
    parser.add_argument("--only", choices=COMMANDS, help="one command instead of both")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="where the files of differing seeds stay")
    options = parser.parse_args()
    kept = options.keep or Path(tempfile.mkdtemp(prefix="recompute-"))
    commands = {options.only: COMMANDS[options.only]} if options.only else COMMANDS
    if options.runs == 2:
        commands = {"runs": compare_runs}
    job = partial(
        compare_seed, options.binary.resolve(), commands, options.features, kept.resolve()
    )
    passed = failed = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        for seed, found in pool.map(job, options.seeds):
            passed += not found
            failed += bool(found)
            if found:
                print(f"seed {seed}: {len(found)} differences, files in {kept / f'seed-{seed}'}")
                print("".join(f"  {each}\n" for each in found[:SHOWN_MAX]), end="", flush=True)
    if not failed and options.keep is None:
        kept.rmdir()
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
