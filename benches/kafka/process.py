"""What the system says of a process, and how one is ended."""

import os
import pathlib
import socket
import subprocess
import sys

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def run(*command):
    """Runs to a good end; gives what was said."""
    done = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{command[0]} {command[-1]} failed: {done.stdout}")
    return done.stdout.strip()


def end(process):
    """Asks it to stop, and makes it where it does not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def cpu_seconds(number):
    """CPU time of all threads of a process, user and system."""
    try:
        stat = pathlib.Path(f"/proc/{number}/stat").read_text()
    except FileNotFoundError:
        return 0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def threads(number):
    return _status(number, "Threads")


def peak_memory(number):
    """The most memory that a process has had, in bytes."""
    return _status(number, "VmHWM") * 1024


def _status(number, name):
    try:
        lines = pathlib.Path(f"/proc/{number}/status").read_text().splitlines()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)


def free_port():
    """A port nobody listens at now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]
