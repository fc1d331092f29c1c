"""The broker of a bench, and the Java tools that work on it."""

import os
import pathlib
import shlex

from process import run

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEER = ROOT / "benches" / "peers" / "kafka-streams"
CACHE = pathlib.Path(os.environ.get("USAGE_RATER_CACHE") or pathlib.Path.home() / ".cache" / "usage-rater")
BUILT = CACHE / "kafka-streams-peer"


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


class Broker:
    """A broker of its own, in `directory`, until the end of a `with`."""

    def __init__(self, directory, jvm):
        self.directory = directory
        os.environ["KAFKA_JVM_OPTS"] = jvm

    def __enter__(self):
        self.bootstrap = run(ROOT / "scripts" / "kafka.sh", "start", "--dir", self.directory, "--port", "0")
        self.number = int((self.directory / "pid").read_text())
        return self

    def __exit__(self, *_):
        run(ROOT / "scripts" / "kafka.sh", "stop", "--dir", self.directory)

    def tool(self, name, *arguments):
        return run(*self.tool_command(name, *arguments))

    def tool_command(self, name, *arguments):
        return [*java(f"tools.{name}"), "--bootstrap", self.bootstrap, *map(str, arguments)]

    def bytes_of(self, prefix):
        """What the logs of all topics hold whose names begin so, as they are on disk."""
        logs = (self.directory / "data").glob(f"{prefix}*/*.log")
        return sum(log.stat().st_size for log in logs)
