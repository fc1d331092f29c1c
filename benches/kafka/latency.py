"""How long it takes from a record that is due to its rated line that a `read_committed` reader sees."""

import statistics

from bench import Bench


class Latencies(Bench):
    """Each program first takes all that its topic holds, which warms it and tells its rate, and then records that
    come evenly, at half that rate or at the one given."""

    def measure(self, kind, name):
        raw = f"{name}.raw"
        with self.program(kind, name, raw) as program:
            self.fill(raw)
            reached = self.to_the_end(program).rate()
            per_second = self.args.per_second or max(int(reached / 2), 1)
            said = self.broker.tool(
                "Latency", "--input", raw, "--output", f"{name}.rated", "--per-second", per_second,
                "--seconds", self.args.seconds, "--warm-s", self.args.warm_s,
                "--subscriptions", self.args.subscriptions, "--zipf", self.workload.zipf)
        return Latency(reached, per_second, *map(int, said.split()))

    def report(self):
        print(f"\n{'median':11}  {'records/s':>10}  {'p50 ms':>8}  {'p99 ms':>8}  {'max ms':>8}  {'sender late, p99 ms':>19}")
        for kind, rounds in self.measured.items():
            per_second, p50, p99, longest, late = (
                statistics.median(getattr(one, what) for one in rounds)
                for what in ("per_second", "p50", "p99", "longest", "late"))
            print(f"{kind:11}  {per_second:>10,.0f}  {p50:>8.1f}  {p99:>8.1f}  {longest:>8.1f}  {late:>19.1f}")


class Latency:
    """What was found of so many records; times come in microseconds and are kept in milliseconds. Of how late the
    sender was, the 99th percentile is kept: what it adds to that of the records is not the program's."""

    def __init__(self, reached, per_second, records, *micros):
        self.reached, self.per_second, self.records = reached, per_second, records
        self.p50, self.p99, self.longest, _, self.late, self.latest = (one / 1000 for one in micros)

    def __str__(self):
        return (f"{self.per_second:>10,} records/s of {self.reached:,.0f}: p50 {self.p50:.1f} ms, p99 {self.p99:.1f} ms, "
                f"max {self.longest:.1f} ms of {self.records} records; sender late: p99 {self.late:.1f} ms, max {self.latest:.1f} ms")
