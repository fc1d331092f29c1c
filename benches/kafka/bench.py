"""What all measurements have in common: one workload on one broker, and programs that take turns with it."""

import collections
import contextlib
import math
import subprocess
import sys
import threading
import time

from process import cpu_seconds, end, peak_memory, threads
from program import Program, total

Workload = collections.namedtuple("Workload", "partitions zipf")


class Bench:
    """Rounds of one measurement; `measure` and `report` are up to those that derive from it."""

    def __init__(self, args, broker, workload, directory):
        self.args, self.broker, self.workload, self.directory = args, broker, workload, directory
        self.catalog = directory / "catalog.json"
        self.measured = {kind: [] for kind in args.kinds}
        self.lines = {}
        self.rated_bytes = args.copy_bytes

    def run(self):
        keys = f"Zipf {self.workload.zipf}" if self.workload.zipf else "uniform"
        print(f"\n{self.args.records} records, {self.args.subscriptions} subscriptions ({keys}), "
              f"{self.workload.partitions} partitions, commits every {self.args.commit_ms} ms", flush=True)
        for number in range(self.args.rounds):
            self.round(number)
        self.report()

    def round(self, number):
        """Each in turn; who begins moves on from round to round, but the first may need to know its bytes."""
        kinds = self.args.kinds
        first = number % len(kinds)
        for kind in kinds[first:] + kinds[:first]:
            # Not one name is used twice on a broker, which may still be removing what had it.
            found = self.measure(kind, "-".join(map(str, (kind, *self.workload, number + 1))))
            self.measured[kind].append(found)
            print(f"round {number + 1}  {kind:11}  {found}", flush=True)

    def fill(self, topic):
        args = self.args
        self.broker.tool("Topics", "--create", topic, "--partitions", self.workload.partitions)
        self.broker.tool("Generate", "--catalog", self.catalog, "--topic", topic, "--records", args.records,
                         "--subscriptions", args.subscriptions, "--zipf", self.workload.zipf,
                         "--duplicates-per-million", args.duplicates_per_million,
                         "--set", f"compression.type={args.compression}")

    @contextlib.contextmanager
    def program(self, kind, name, raw):
        """A program that is not started yet, with its output; at the end nothing is left of it."""
        program = Program(kind, name, self, raw)
        self.broker.tool("Topics", "--create", f"{name}.rated", "--partitions", self.workload.partitions)
        try:
            yield program
        finally:
            program.remove()

    def to_the_end(self, program):
        """Starts a program and watches it until it has committed all that its topic holds."""
        watch = subprocess.Popen(
            self.broker.tool_command("Watch", "--group", program.name, "--topic", program.raw,
                                     "--at-most-s", self.args.at_most_s), stdout=subprocess.PIPE, text=True)
        assert watch.stdout.readline().startswith("ready"), "the watch does not begin"
        try:
            found = Measured(program, self.broker)
            # Who has ended cannot come to the end of the topic.
            threading.Thread(target=lambda: (program.process.wait(), watch.terminate()), daemon=True).start()
            for line in watch.stdout:
                found.see(*map(int, line.split()))
            if watch.wait() != 0:
                sys.exit(f"{program.name} did not come to the end:\n{program.last_words()}")
            found.finish()
        finally:
            end(watch)
        return found

    def check(self, program):
        """Who has rated the same usage has written the same lines, to the last byte, in every round."""
        if program.kind == "copy":
            return
        said = self.broker.tool("Check", "--topic", f"{program.name}.rated")
        self.rated_bytes = self.args.copy_bytes or int(said.split(" bytes,")[0].split()[-1])
        self.lines[program.name] = said
        if said != next(iter(self.lines.values())):
            print(f"DIFFERENT OUTPUT: {self.lines}", flush=True)

    def report_lines(self):
        print(f"\nrated: {next(iter(self.lines.values()), 'nothing')}"
              f"{'' if len(set(self.lines.values())) < 2 else ' BUT NOT BY ALL'}")


class Measured:
    """How far one program was when, and what it and the broker had taken by then.

    It is live as soon as its first transaction is committed; what came before is its start.
    """

    def __init__(self, program, broker):
        self.program, self.broker = program, broker
        self.begun = program.start()
        self.seen = []
        self.threads = 0
        self.commits = []

    def see(self, millis, records):
        if records == 0:
            return
        process = self.program.process.pid
        self.seen.append((millis / 1000, records, cpu_seconds(process), cpu_seconds(self.broker.number)))
        self.threads = max(self.threads, threads(process))
        if not self.commits:
            self.count_commits()

    def count_commits(self):
        metrics = self.program.metrics()
        commits, is_said = total(metrics, "usage_rater_commit_seconds_count")
        seconds, _ = total(metrics, "usage_rater_commit_seconds_sum")
        self.commits.append((time.time(), commits if is_said else math.nan, seconds))

    def finish(self):
        """What can only be told at the end, while the program still runs."""
        self.count_commits()
        self.memory = peak_memory(self.program.process.pid)
        self.written = self.program.written() / self.seen[-1][1]

    def commit_rate(self):
        """Transactions a second, where the program counts them."""
        (begun, before, _), (ended, after, _) = self.commits
        return (after - before) / (ended - begun) if ended > begun else math.nan

    def commit_millis(self):
        """How long a transaction takes to be committed once all of its records are sent off, on average."""
        (_, before, since), (_, after, until) = self.commits
        return 1000 * (until - since) / (after - before) if after > before else math.nan

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
                f"CPU {self.cpu():.2f} µs a record, broker {self.broker_cpu():.2f}; {self.threads} threads, "
                f"{self.memory >> 20} MiB, {self.written:.0f} bytes written a record")
