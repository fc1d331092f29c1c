#!/usr/bin/env python3
"""Measures usage-rater on Kafka beside a Kafka Streams application and a bare copy.

All of them work on the same broker, in turns, round after round, and are watched from outside. README.md
beside this file says what is measured and how to read it.
"""

import argparse
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile

from bench import Workload
from broker import CACHE, Broker, build_peer
from latency import Latencies
from program import KINDS
from rate import Rates
from restore import Restores

TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")


def main():
    args = arguments()
    build_peer()
    directory = pathlib.Path(args.dir or tempfile.mkdtemp(prefix="usage-rater-kafka-bench-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        sys.exit(f"{directory} is not empty")
    # A bench that is told to stop takes its broker with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with Broker(directory / "broker", args.broker_jvm) as broker:
            for workload in itertools.starmap(Workload, itertools.product(args.partitions, args.zipf)):
                args.measurement(args, broker, workload, directory).run()
    finally:
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.set_defaults(measurement=Rates)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--latency", dest="measurement", action="store_const", const=Latencies,
                      help="how long records take at half the rate reached, in place of the rate")
    what.add_argument("--restore", dest="measurement", action="store_const", const=Restores,
                      help="how long usage-rater takes to come back after kill -9, in place of the rate")
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--zipf", type=numbers(float), default=[0], metavar="EXPONENTS",
                        help="such as 0,0.99, one after the other; 0: all customers alike")
    parser.add_argument("--duplicates-per-million", type=int, default=1000)
    parser.add_argument("--partitions", type=numbers(int), default=[4], metavar="NUMBERS", help="such as 4,16,64, one after the other")
    parser.add_argument("--commit-ms", type=int, default=500)
    parser.add_argument("--per-second", type=int, default=0, help="records, with --latency; else half of what the program reached")
    parser.add_argument("--seconds", type=int, default=30, help="that --latency measures")
    parser.add_argument("--warm-s", type=int, default=10, help="that --latency waits before, at the same rate")
    parser.add_argument("--threads", type=int, default=2, help="of the peer and of the copy")
    parser.add_argument("--only", default="", help=f"which of {','.join(KINDS)}, and in which order")
    parser.add_argument("--usage-rater", default=str(TARGET / "release" / "usage-rater"), metavar="PROGRAM")
    parser.add_argument("--usage-rater-config", default="", metavar="FILE", help="appended to its configuration")
    parser.add_argument("--copy-command", default="", metavar="COMMAND",
                        help="copies instead of the Java copy; {bootstrap} {group} {input} {output} {bytes} {commit_ms} are filled in")
    parser.add_argument("--copy-bytes", type=int, default=0, help="of a record that the copy writes; else as long as rated ones")
    parser.add_argument("--compression", default="none", help="of what is written by the peer, the Java copy and the generator")
    parser.add_argument("--peer-jvm", default="-Xms2g -Xmx2g -XX:+UseParallelGC", metavar="OPTIONS")
    parser.add_argument("--peer-args", default="", metavar="ARGUMENTS", help="further arguments of the peer")
    parser.add_argument("--broker-jvm", default="-Xms1g -Xmx1g", metavar="OPTIONS")
    parser.add_argument("--at-most-s", type=int, default=600, help="for one of them in one round")
    parser.add_argument("--dir", default="", help="where the broker and all state go; else a temporary directory")
    parser.add_argument("--keep", action="store_true", help="leave that directory behind")
    args = parser.parse_args()
    known = ["usage-rater"] if args.measurement is Restores else list(KINDS)
    args.kinds = args.only.split(",") if args.only else known
    if set(args.kinds) - set(known):
        parser.error(f"--only knows {', '.join(known)} here")
    return args


def numbers(kind):
    """Reads numbers with commas between them."""
    return lambda text: [kind(one) for one in text.split(",")]


if __name__ == "__main__":
    main()
