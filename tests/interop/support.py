"""What the checks of this folder share: the command, its emulator, and files to put.

Standard library only.
"""

import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
KEY_ID = "AKIDEXAMPLE"
SECRET = "not-a-secret"
START_SECONDS = 30
STOP_SECONDS = 60
PUT_SECONDS = 900
OBJECT = re.compile(r"(\d{4})/(\d\d)/(\d\d)/(\d\d)/[\w.-]+-1-\1-\2-\3-\4-\d\d-\d\d-[0-9a-f-]{36}")


def target() -> Path:
    """Returns the folder of what is built."""
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def binary() -> Path:
    """Returns the command `firehose`, which must have been built."""
    path = Path(os.environ.get("FIREHOSE_BIN", target() / "release" / "firehose"))
    if not path.is_file():
        raise SystemExit(f"{path} is missing: run cargo build --release -p firehose-cli")
    return path


def environment() -> dict[str, str]:
    """Returns an environment with dummy keys, and nothing of the caller's account or proxy."""
    foreign = ("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    kept = {k: v for k, v in os.environ.items() if not k.upper().startswith(foreign)}
    return kept | {
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def isolate() -> None:
    """Gives this process that environment too, so that boto3 takes nothing else."""
    kept = environment()
    os.environ.clear()
    os.environ.update(kept)


class Server:
    """`firehose serve` on a port that the system chose; stopped at the end of the `with` block."""

    def __init__(self, *options: str) -> None:
        command = [str(binary()), "serve", "--listen", "127.0.0.1:0", *options]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=environment()
        )
        ready = self._ready_line()
        if not ready:
            self._process.kill()
            self._process.wait()
            raise RuntimeError(f"{command} did not get ready")
        told = json.loads(ready)
        self.url: str = told["url"]
        self.ca: Path | None = Path(told["ca"]) if "ca" in told else None

    def _ready_line(self) -> bytes:
        late = threading.Timer(START_SECONDS, self._process.kill)
        late.start()
        try:
            return self._process.stdout.readline()
        finally:
            late.cancel()

    def stop(self) -> dict[str, int]:
        """Ends the server with SIGTERM and returns its totals."""
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=STOP_SECONDS)
        if self._process.returncode != 0:
            raise RuntimeError(f"firehose serve ended with status {self._process.returncode}")
        return json.loads(output)

    def close(self) -> None:
        """Makes sure that no process is left; harmless after `stop`."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def put(
    stream: str, file: Path, url: str, folder: Path, *options: str, ca: Path | None = None
) -> dict:
    """Runs `firehose put` with a folder as its working directory; returns its JSON object.

    It trusts the authority in the file `ca`, if there is one, and no other then.
    """
    command = [str(binary()), "put", stream, str(file), "--endpoint-url", url, "--json", *options]
    ended = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env=environment() | ({"AWS_CA_BUNDLE": str(ca)} if ca else {}),
        cwd=folder,
        timeout=PUT_SECONDS,
        check=False,
    )
    summary = json.loads(ended.stdout)
    if ended.returncode != summary["exit_status"]:
        raise RuntimeError(f"status {ended.returncode} is not that of the report: {summary}")
    return summary


def samples(folder: Path) -> list[Path]:
    """Returns real logs where they are at hand, else files made in a folder."""
    command = ["bash", str(ROOT / ".ci" / "samples"), str(folder)]
    listed = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [Path(line) for line in listed.stdout.splitlines()]


def objects(folder: Path, stream: str) -> list[Path]:
    """Returns the delivered objects of a stream, in the order of writing; checks their names."""
    home = folder / stream
    found = sorted(path for path in home.rglob("*") if path.is_file())
    # R18
    strays = [path for path in found if not OBJECT.fullmatch(path.relative_to(home).as_posix())]
    if strays:
        raise RuntimeError(f"these do not lie where an object lies: {strays}")
    return found


def with_line_end(data: bytes) -> bytes:
    """Returns the data as it is delivered by default: its last line has an end."""
    return data if data.endswith(b"\n") or not data else data + b"\n"
