"""How long usage-rater takes to rate again after kill -9, with its stores and without them."""

import shutil
import statistics
import sys
import time

from bench import Bench
from process import peak_memory
from program import total

CASES = ("kept", "removed")


class Restores(Bench):
    """The program takes all that its topic holds, is killed and started with its stores, then killed again
    and started without them."""

    def measure(self, kind, name):
        raw = f"{name}.raw"
        with self.program(kind, name, raw) as program:
            self.fill(raw)
            rate = self.to_the_end(program).rate()
            found = Restored(rate, self.args.records, self.broker.bytes_of(f"{name}.state-"))
            for case in CASES:
                program.kill()
                if case == "removed":
                    shutil.rmtree(program.state)
                found.add(case, self.restart(program))
            program.stop()
            self.check(program)
        return found

    def restart(self, program):
        """Starts the program and waits until all partitions are live, and all records are known again."""
        begun = program.start()
        assigned = None
        while True:
            metrics, now = program.metrics(), time.time()
            live, partitions = total(metrics, "usage_rater_partition_live")
            if partitions and assigned is None:
                assigned = now
            if live == self.workload.partitions:
                break
            if program.process.poll() is not None or now - begun > self.args.at_most_s:
                sys.exit(f"{program.name} does not come back:\n{program.last_words()}")
            time.sleep(0.01)
        known, _ = total(metrics, "usage_rater_records_total")
        if known != self.args.records:
            sys.exit(f"{program.name} knows {known:.0f} of {self.args.records} records again")
        return Restart(assigned - begun, now - assigned, peak_memory(program.process.pid))

    def report(self):
        rounds = self.measured["usage-rater"]
        self.report_lines()
        state = statistics.median(one.state_bytes for one in rounds)
        print(f"state log: {state / (1 << 20):.1f} MiB, {state / self.args.records:.1f} bytes a record")
        print(f"{'stores':8}  {'assigned s':>10}  {'live after s':>12}  {'MiB':>5}  {'log MiB/s':>9}  {'records/s':>10}  "
              f"{'of live rate':>20}")
        for case in CASES:
            assigned, took, memory = (statistics.median(getattr(one.of[case], what) for one in rounds)
                                      for what in ("assigned", "took", "memory"))
            # What a store holds is not read from the log.
            log = f"{state / took / (1 << 20):.1f}" if case == "removed" else "-"
            ratios = [one.ratio(case) for one in rounds]
            print(f"{case:8}  {assigned:>10.2f}  {took:>12.2f}  {memory / (1 << 20):>5.0f}  {log:>9}  "
                  f"{self.args.records / took:>10,.0f}  {statistics.median(ratios):>6.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


class Restart:
    """Seconds until the first partition was assigned and from then until all were live; the most memory in bytes."""

    def __init__(self, assigned, took, memory):
        self.assigned, self.took, self.memory = assigned, took, memory

    def __str__(self):
        return f"assigned after {self.assigned:.2f} s, live {self.took:.2f} s later, {self.memory >> 20} MiB"


class Restored:
    """The restarts of one round beside the rate at which the state was made, in records a second."""

    def __init__(self, rate, records, state_bytes):
        self.rate, self.records, self.state_bytes, self.of = rate, records, state_bytes, {}

    def add(self, case, restart):
        self.of[case] = restart

    def ratio(self, case):
        """How much faster the state came back than it was made."""
        return self.records / self.of[case].took / self.rate

    def __str__(self):
        cases = "; ".join(f"stores {case}: {restart} ({self.ratio(case):.1f} times the live rate)"
                          for case, restart in self.of.items())
        return f"{self.rate:,.0f} records/s live; {cases}"
