"""What the scripts beside it share: building, starting the sink, running the load, medians.

Only the standard library is used.
"""

import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
KIB = 1_024


class Failed(Exception):
    """A program did not do what it should."""


def build(profile, rivals=True, bins=("sink", "load"), hash_many=False):
    """Builds programs of the package and returns the folder that they are in."""
    command = ["cargo", "build", "--locked", "--package", "firehose-benches", "--profile", profile]
    for name in bins:
        command += ["--bin", name]
    if rivals:
        command += ["--features", "rivals"]
    if hash_many:
        command += ["--features", "hash-many"]
    subprocess.run(command, cwd=ROOT, check=True)
    return target_folder() / ("debug" if profile == "dev" else profile)


def target_folder():
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


class Sink:
    """A sink that runs as long as the block does; `totals` are there afterwards."""

    def __init__(self, programs, tls, *options):
        self.command = [programs / "sink", *options]
        self.tls = tls
        self.totals = None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory()
        if self.tls:
            self.command += ["--tls", f"{self.folder.name}/ca.pem"]
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        if not line:
            self.__exit__()
            raise Failed("the sink did not start")
        started = json.loads(line)
        self.options = ["--endpoint", started["url"]]
        if started["ca"]:
            self.options += ["--ca", started["ca"]]
        return self

    def __exit__(self, *_):
        rest, _ = self.process.communicate(timeout=60)
        self.folder.cleanup()
        self.totals = json.loads(rest) if rest else None
        if self.process.returncode != 0:
            raise Failed(f"the sink ended with {self.process.returncode}: {self.totals}")


def load(programs, sink, client, records, size, *options, before=()):
    """Puts records and returns what the load says of it; `before` is what the load is run by."""
    command = [*before, programs / "load", "--client", client, *sink.options]
    command += ["--records", str(records), "--size", str(size), *map(str, options)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=1_800, check=False)
    if done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))}: exit {done.returncode}")
    return json.loads(done.stdout)


def spread(values, digits):
    """Says the median, and the least and the greatest."""
    values = list(values)
    middle, least, greatest = statistics.median(values), min(values), max(values)
    return f"{middle:,.{digits}f} ({least:,.{digits}f}–{greatest:,.{digits}f})"


def size_name(size):
    return f"{size:,} B" if size < KIB else f"{size // KIB:,} KiB"


def machine():
    """Says in one line what it was measured on."""
    model = "unknown processor"
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    rustc = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True, check=False)
    system = os.uname()
    return (
        f"{os.cpu_count()} CPUs ({model}), {system.sysname} {system.release}, "
        f"{rustc.stdout.strip() or 'rustc unknown'}"
    )


def say(text=""):
    print(text, flush=True)


def main(run):
    """Runs a script and tells failures in one line."""
    try:
        run()
    except (Failed, subprocess.SubprocessError, OSError) as error:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
