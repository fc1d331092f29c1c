"""How many records a second each program takes from topic to topic."""

import statistics

from bench import Bench


class Rates(Bench):
    """All programs read the same topic, from its beginning."""

    def run(self):
        self.raw = f"raw-{self.workload.partitions}-{self.workload.zipf}"
        self.fill(self.raw)
        try:
            super().run()
        finally:
            self.broker.tool("Topics", "--delete-prefix", self.raw)

    def measure(self, kind, name):
        with self.program(kind, name, self.raw) as program:
            found = self.to_the_end(program)
            program.stop()
            self.check(program)
        return found

    def report(self):
        self.report_lines()
        print(f"{'median':11}  {'records/s':>10}  {'2nd half':>10}  {'start s':>7}  {'CPU µs/rec':>10}  {'broker':>6}  "
              f"{'commits/s':>9}  {'ms each':>7}  {'threads':>7}  {'MiB':>5}  {'bytes/rec':>9}")
        for kind, rounds in self.measured.items():
            rate, late, start, cpu, broker, commits, millis = (
                statistics.median(getattr(one, what)() for one in rounds)
                for what in ("rate", "late_rate", "start", "cpu", "broker_cpu", "commit_rate", "commit_millis"))
            threads, memory, written = (
                statistics.median(getattr(one, what) for one in rounds) for what in ("threads", "memory", "written"))
            print(f"{kind:11}  {rate:>10,.0f}  {late:>10,.0f}  {start:>7.1f}  {cpu:>10.2f}  {broker:>6.2f}  "
                  f"{commits:>9.1f}  {millis:>7.1f}  {threads:>7.0f}  {memory / (1 << 20):>5.0f}  {written:>9.0f}")
        for other in ("streams", "copy"):
            if other in self.measured and "usage-rater" in self.measured:
                print(f"usage-rater / {other}: {self.ratio(other, 'rate')}; second half: {self.ratio(other, 'late_rate')}")

    def ratio(self, other, what):
        """Of each round's two, which were measured one after the other."""
        pairs = zip(self.measured["usage-rater"], self.measured[other])
        ratios = [getattr(ours, what)() / getattr(theirs, what)() for ours, theirs in pairs]
        return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
