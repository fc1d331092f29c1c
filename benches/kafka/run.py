#!/usr/bin/env python3
"""Measures usage-rater on Kafka beside a Kafka Streams application and a bare copy.

All three read the same topic on the same broker, in turns, round after round, and are watched from
outside by their committed offsets. README.md beside this file says what is measured and how to read it.
"""

import argparse
import os
import pathlib
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = ROOT / "benches" / "peers" / "kafka-streams"
CACHE = pathlib.Path(os.environ.get("USAGE_RATER_CACHE") or pathlib.Path.home() / ".cache" / "usage-rater")
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or CACHE / "target")
BUILT = CACHE / "kafka-streams-peer"
RAW = "usage.raw"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")

CONFIG = """\
mode = "kafka"
catalog = "{catalog}"
[kafka]
bootstrap_servers = "{bootstrap}"
group = "{name}"
[kafka.topics]
raw = "{raw}"
rated = "{name}.rated"
rejected = "{name}.rejected"
forward = "{name}.forward"
state = "{name}.state"
totals = "{name}.totals"
[state]
dir = "{state}"
[http]
listen = "127.0.0.1:0"
[commit]
interval_ms = {commit_ms}
[dedupe]
window = "36500d"
"""


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
        bench = Bench(args, directory)
        try:
            bench.fill()
            for number in range(args.rounds):
                bench.round(number)
            bench.report()
        finally:
            bench.stop_broker()
    finally:
        if not args.keep:
            shutil.rmtree(directory, ignore_errors=True)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--subscriptions", type=int, default=100_000)
    parser.add_argument("--zipf", type=float, default=0, help="exponent, such as 0.99; 0: all customers alike")
    parser.add_argument("--duplicates-per-million", type=int, default=1000)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--commit-ms", type=int, default=500)
    parser.add_argument("--threads", type=int, default=2, help="of the peer and of the copy")
    parser.add_argument("--only", default="streams,usage-rater,copy", help="which of them, in which order")
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
    args.kinds = args.only.split(",")
    if set(args.kinds) - {"streams", "usage-rater", "copy"}:
        parser.error("--only knows streams, usage-rater and copy")
    return args


def build_peer():
    """Compiles the Java sources outside the clone, where they have changed."""
    stamp = BUILT / "built"
    sources = [PEER / "pom.xml", *PEER.glob("src/**/*.java")]
    if stamp.exists() and stamp.stat().st_mtime > max(source.stat().st_mtime for source in sources):
        return
    print("compiling the peer", flush=True)
    run("mvn", "--batch-mode", "--quiet", "--file", PEER / "pom.xml", f"-Dpeer.target={BUILT}", "compile",
        "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={BUILT}/libs")
    stamp.touch()


def java(name, jvm=""):
    return ["java", *shlex.split(jvm), "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-XX:-UsePerfData",
            "-cp", f"{BUILT}/classes:{BUILT}/libs/*", name]


def run(*command):
    """Runs to a good end; gives what was said."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[0]} {command[-1]} failed: {done.stdout}")
    return done.stdout.strip()


class Bench:
    """One broker with one filled topic, and what was measured on it."""

    def __init__(self, args, directory):
        self.args, self.directory = args, directory
        self.catalog = directory / "catalog.json"
        self.measured = {kind: [] for kind in args.kinds}
        self.lines = {}
        self.rated_bytes = args.copy_bytes
        os.environ["KAFKA_JVM_OPTS"] = args.broker_jvm
        self.bootstrap = run(ROOT / "scripts" / "kafka.sh", "start", "--dir", directory / "broker", "--port", "0")
        self.broker = int((directory / "broker" / "pid").read_text())

    def stop_broker(self):
        run(ROOT / "scripts" / "kafka.sh", "stop", "--dir", self.directory / "broker")

    def tool(self, name, *arguments):
        return run(*java(f"tools.{name}"), "--bootstrap", self.bootstrap, *arguments)

    def fill(self):
        args = self.args
        self.tool("Topics", "--create", RAW, "--partitions", args.partitions)
        said = self.tool("Generate", "--catalog", self.catalog, "--topic", RAW, "--records", args.records,
                         "--subscriptions", args.subscriptions, "--zipf", args.zipf,
                         "--duplicates-per-million", args.duplicates_per_million,
                         "--set", f"compression.type={args.compression}")
        keys = f"Zipf {args.zipf}" if args.zipf else "uniform"
        print(f"{said}, {args.subscriptions} subscriptions ({keys}), {args.partitions} partitions, "
              f"commits every {args.commit_ms} ms", flush=True)

    def round(self, number):
        """Each in turn; who begins moves on from round to round, but the first may need to know its bytes."""
        kinds = self.args.kinds
        first = number % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            name = f"{kind}-{number + 1}"
            found = self.measure(kind, name)
            self.measured[kind].append(found)
            print(f"round {number + 1}  {kind:11}  {found}", flush=True)

    def measure(self, kind, name):
        self.tool("Topics", "--create", f"{name}.rated", "--partitions", self.args.partitions)
        state = self.directory / name
        state.mkdir()
        watch = subprocess.Popen(
            [*java("tools.Watch"), "--bootstrap", self.bootstrap, "--group", name, "--topic", RAW,
             "--at-most-s", str(self.args.at_most_s)], stdout=subprocess.PIPE, text=True)
        assert watch.stdout.readline().startswith("ready"), "the watch does not begin"
        with open(self.directory / f"{name}.log", "wb") as log:
            begun = time.time()
            process = subprocess.Popen(self.command(kind, name, state), stdout=log, stderr=log, cwd=state)
        # Who has ended cannot come to the end of the topic.
        threading.Thread(target=lambda: (process.wait(), watch.terminate()), daemon=True).start()
        try:
            found = Measured(begun, process, self.broker)
            for line in watch.stdout:
                found.see(*map(int, line.split()))
            if watch.wait() != 0:
                tail = (self.directory / f"{name}.log").read_text(errors="replace")[-3000:]
                sys.exit(f"{name} did not come to the end:\n{tail}")
        finally:
            end(process)
            end(watch)
        if kind != "copy":
            self.check(name)
        self.tool("Topics", "--delete-prefix", f"{name}")
        shutil.rmtree(state)
        return found

    def command(self, kind, name, state):
        args = self.args
        if kind == "streams":
            return [*java("peer.Rater", args.peer_jvm), "--bootstrap", self.bootstrap, "--application", name,
                    "--state", str(state), "--catalog", str(self.catalog), "--input", RAW, "--output", f"{name}.rated",
                    "--commit-ms", str(args.commit_ms), "--threads", str(args.threads),
                    "--set", f"producer.compression.type={args.compression}", *shlex.split(args.peer_args)]
        if kind == "usage-rater":
            config = state / "usage-rater.toml"
            text = CONFIG.format(catalog=self.catalog, bootstrap=self.bootstrap, name=name, raw=RAW,
                                 state=state / "data", commit_ms=args.commit_ms)
            more = pathlib.Path(args.usage_rater_config).read_text() if args.usage_rater_config else ""
            config.write_text(text + more)
            return [args.usage_rater, "run", "--config", str(config)]
        size = self.rated_bytes or 345
        if args.copy_command:
            return shlex.split(args.copy_command.format(bootstrap=self.bootstrap, group=name, input=RAW, output=f"{name}.rated",
                                                        bytes=size, commit_ms=args.commit_ms))
        return [*java("tools.Copy", args.peer_jvm), "--bootstrap", self.bootstrap, "--group", name, "--input", RAW,
                "--output", f"{name}.rated", "--bytes", str(size), "--commit-ms", str(args.commit_ms),
                "--threads", str(args.threads), "--set", f"compression.type={args.compression}"]

    def check(self, name):
        """Who has rated the same usage has written the same lines, to the last byte, in every round."""
        said = self.tool("Check", "--topic", f"{name}.rated")
        self.rated_bytes = self.args.copy_bytes or int(said.split(" bytes,")[0].split()[-1])
        self.lines[name] = said
        first = next(iter(self.lines.values()))
        if said != first:
            print(f"DIFFERENT OUTPUT: {self.lines}", flush=True)

    def report(self):
        print(f"\nrated: {next(iter(self.lines.values()), 'nothing')}"
              f"{'' if len(set(self.lines.values())) < 2 else ' BUT NOT BY ALL'}")
        print(f"{'median':11}  {'records/s':>10}  {'2nd half':>10}  {'start s':>7}  {'CPU µs/rec':>10}  {'broker':>6}")
        for kind, rounds in self.measured.items():
            rate, late, start, cpu, broker = (
                statistics.median(getattr(one, what)() for one in rounds)
                for what in ("rate", "late_rate", "start", "cpu", "broker_cpu"))
            print(f"{kind:11}  {rate:>10,.0f}  {late:>10,.0f}  {start:>7.1f}  {cpu:>10.2f}  {broker:>6.2f}")
        for other in ("streams", "copy"):
            if other in self.measured and "usage-rater" in self.measured:
                print(f"usage-rater / {other}: {self.ratio(other, 'rate')}; second half: {self.ratio(other, 'late_rate')}")

    def ratio(self, other, what):
        """Of each round's two, which were measured one after the other."""
        pairs = zip(self.measured["usage-rater"], self.measured[other])
        ratios = [getattr(ours, what)() / getattr(theirs, what)() for ours, theirs in pairs]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


class Measured:
    """How far one program was when, and what CPU time it and the broker had taken by then.

    It is live as soon as its first transaction is committed; what came before is its start.
    """

    def __init__(self, begun, process, broker):
        self.begun, self.processes = begun, (process.pid, broker)
        self.seen = []

    def see(self, millis, records):
        if records > 0:
            self.seen.append((millis / 1000, records, *map(cpu_seconds, self.processes)))

    def rate(self):
        """Records a second from the first commit to the last."""
        return self.rate_from(self.seen[0])

    def late_rate(self):
        """The same for the second half of the records, when compilers and caches are warm."""
        return self.rate_from(self.half())

    def start(self):
        return self.seen[0][0] - self.begun

    def cpu(self):
        return self.late_cpu(2)

    def broker_cpu(self):
        return self.late_cpu(3)

    def half(self):
        """The last that was seen before the second half began."""
        half = self.seen[-1][1] / 2
        return [point for point in self.seen if point[1] <= half or point is self.seen[0]][-1]

    def rate_from(self, point):
        last = self.seen[-1]
        # All at once says nothing but how long it took in all.
        return (last[1] - point[1]) / (last[0] - point[0]) if last[0] > point[0] else last[1] / (last[0] - self.begun)

    def late_cpu(self, which):
        """Microseconds a record, in the second half."""
        half, last = self.half(), self.seen[-1]
        return 1e6 * (last[which] - half[which]) / max(last[1] - half[1], 1)

    def __str__(self):
        return (f"{self.rate():>10,.0f} records/s  start {self.start():.1f} s; second half {self.late_rate():,.0f} records/s, "
                f"CPU {self.cpu():.2f} µs a record, broker {self.broker_cpu():.2f}")


def cpu_seconds(process):
    """CPU time of all threads of a process, user and system."""
    try:
        stat = pathlib.Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def end(process):
    """Asks it to stop, and makes it where it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
