"""The programs that are measured: how each is set up, started and asked."""

import pathlib
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request

from broker import java
from process import end, free_port

KINDS = ("streams", "usage-rater", "copy")

# No period closes: the peer cannot do that, and the records' month is over by the clock.
CONFIG = """\
mode = "kafka"
catalog = "{catalog}"
[kafka]
bootstrap_servers = "{bootstrap}"
group = "{name}"
instance_id = "{name}"
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
listen = "127.0.0.1:{port}"
[commit]
interval_ms = {commit_ms}
[periods]
grace = "36500d"
[dedupe]
window = "36500d"
"""


class Program:
    """One program that rates, or copies, from topic `raw` to topics whose names begin with its own."""

    def __init__(self, kind, name, bench, raw):
        self.kind, self.name, self.raw = kind, name, raw
        self.args, self.bench, self.bootstrap = bench.args, bench, bench.broker.bootstrap
        self.directory = bench.directory / name
        self.state = self.directory / "data"
        self.log = bench.directory / f"{name}.log"
        self.port = free_port()
        self.process = None

    def start(self):
        """Gives the time at which it was started, in seconds of the epoch."""
        self.directory.mkdir(exist_ok=True)
        with open(self.log, "ab") as log:
            begun = time.time()
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log, cwd=self.directory)
        return begun

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process:
            end(self.process)

    def remove(self):
        self.stop()
        self.bench.broker.tool("Topics", "--delete-prefix", self.name)
        shutil.rmtree(self.directory, ignore_errors=True)

    def last_words(self):
        return self.log.read_text(errors="replace")[-3000:]

    def command(self):
        return {"streams": self.streams, "usage-rater": self.usage_rater, "copy": self.copy}[self.kind]()

    def streams(self):
        args = self.args
        return [*java("peer.Rater", args.peer_jvm), "--bootstrap", self.bootstrap, "--application", self.name,
                "--state", str(self.state), "--catalog", str(self.bench.catalog), "--input", self.raw,
                "--output", f"{self.name}.rated", "--commit-ms", str(args.commit_ms), "--threads", str(args.threads),
                "--set", f"producer.compression.type={args.compression}", *shlex.split(args.peer_args)]

    def usage_rater(self):
        args = self.args
        config = self.directory / "usage-rater.toml"
        text = CONFIG.format(catalog=self.bench.catalog, bootstrap=self.bootstrap, name=self.name, raw=self.raw,
                             state=self.state, port=self.port, commit_ms=args.commit_ms)
        more = pathlib.Path(args.usage_rater_config).read_text() if args.usage_rater_config else ""
        config.write_text(text + more)
        return [args.usage_rater, "run", "--config", str(config)]

    def copy(self):
        args, size = self.args, self.bench.rated_bytes or 345
        output = f"{self.name}.rated"
        if args.copy_command:
            return shlex.split(args.copy_command.format(bootstrap=self.bootstrap, group=self.name, input=self.raw,
                                                        output=output, bytes=size, commit_ms=args.commit_ms))
        return [*java("tools.Copy", args.peer_jvm), "--bootstrap", self.bootstrap, "--group", self.name,
                "--input", self.raw, "--output", output, "--bytes", str(size), "--commit-ms", str(args.commit_ms),
                "--threads", str(args.threads), "--set", f"compression.type={args.compression}"]

    def written(self):
        """Bytes that the broker keeps of what it wrote, changelogs included, as they are compressed or not."""
        its_own = self.bench.broker.bytes_of(self.name)
        return its_own - (self.bench.broker.bytes_of(self.raw) if self.raw.startswith(self.name) else 0)

    def metrics(self):
        """The metrics of usage-rater, each with its labels; none while it does not answer, and none of others."""
        if self.kind != "usage-rater":
            return {}
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return {}
        said = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in said}


def total(metrics, name):
    """The sum of a metric over all its labels, and how many there are."""
    found = [value for key, value in metrics.items() if key.partition("{")[0] == name]
    return sum(found), len(found)
