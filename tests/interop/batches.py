"""The batches of `tests/data/batches.toml`, sent over HTTPS by boto3 and by the SDK for JavaScript.

Each goes to a `firehose serve --tls` of its own. Both must get what the documentation promises, and
what is stored must be what they were told. The bodies of the SDK for JavaScript are, byte for byte,
those of the data; boto3 writes the same with other white space. Run one of them by its name:
`batches.py Boto3`, `batches.py JavaScript`.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path

from botocore.exceptions import ClientError

import boto
import support

try:
    import tomllib
except ModuleNotFoundError:  # Python 3.10
    import tomli as tomllib

STREAM = "demo"
CALL_SECONDS = 120
DATA = support.ROOT / "tests" / "data" / "batches.toml"
PUT_JS = Path(__file__).resolve().parent / "js" / "put.js"


@dataclass
class Answer:
    """What a client made of an answer: the error of the call, or an entry for each record."""

    error: str | None = None
    status: int | None = None
    message: str = ""
    failed_put_count: int | None = None
    entries: list[dict] = field(default_factory=list)


@dataclass
class Left:
    """What a batch left behind in the emulator."""

    bodies: list[bytes]
    delivered: bytes
    totals: dict


class Batches:
    """The tests; a client is a class below that says how a batch is put."""

    def put(self, server: support.Server, stream: str, records: list[bytes]) -> Answer:
        """Puts records in one request and sends nothing again."""
        raise NotImplementedError

    def check_body(self, batch: dict, body: bytes) -> None:
        """Fails if a body is not that of the batch."""
        raise NotImplementedError

    def test_batches(self) -> None:
        cases = tomllib.loads(DATA.read_text())
        self.assertEqual(cases["format"], 1)
        self.assertEqual(len(cases["batch"]), 12)
        for batch in cases["batch"]:
            with self.subTest(batch["name"]):
                self.check(batch)
                print(f"  {type(self).__name__}: {batch['name']}: {batch['outcome']}")

    def check(self, batch: dict) -> None:
        """Sends a batch and looks at what comes of it."""
        records = [record for entry in batch["records"] for record in repeated(entry)]
        answer, left = self.send(batch, records)
        self.assertEqual(len(left.bodies), 1)
        self.check_body(batch, left.bodies[0])
        if batch["outcome"] == "refused":
            self.assertEqual((answer.error, answer.status), (batch["error"], batch["status"]))
            self.assertIn(batch["message"], answer.message)
            self.assert_stored(left, [])  # R19
            return
        self.assertIsNone(answer.error)
        self.assertEqual(len(answer.entries), len(records))  # R5
        failed = [entry for entry in answer.entries if entry.get("ErrorCode") is not None]
        self.assertEqual(answer.failed_put_count, len(failed))  # R6
        if batch["outcome"] == "partly":
            self.assertTrue(0 < len(failed) < len(records), f"{len(failed)} failed")
        else:
            self.assertEqual(failed, [])
        for entry in failed:
            # R7, R8
            self.assertEqual(entry["ErrorCode"], batch["error"])
            self.assertIn(batch["message"], entry["ErrorMessage"])
            self.assertNotIn("RecordId", entry)
        stored = [entry["RecordId"] for entry in answer.entries if "RecordId" in entry]
        self.assertEqual(len(set(stored)), len(records) - len(failed))
        self.assertTrue(all(stored))
        paired = zip(answer.entries, records, strict=True)
        self.assert_stored(left, [record for entry, record in paired if "RecordId" in entry])

    def send(self, batch: dict, records: list[bytes]) -> tuple[Answer, Left]:
        """Starts the emulator, puts the batch, and collects what it left."""
        folder = Path(tempfile.mkdtemp(prefix="firehose-batches-"))
        self.addCleanup(shutil.rmtree, folder)
        delivered, bodies = folder / "dir", folder / "bodies"
        options = ["--tls", "--stream", STREAM, "--dir", str(delivered), "--bodies", str(bodies)]
        if "faults" in batch:
            options += ["--faults", batch["faults"]]
        with support.Server(*options) as server:
            answer = self.put(server, batch["stream"], records)
            totals = server.stop()
        objects = support.objects(delivered, STREAM)
        return answer, Left(
            bodies=[path.read_bytes() for path in sorted(bodies.iterdir())],
            delivered=b"".join(path.read_bytes() for path in objects),
            totals=totals,
        )

    def assert_stored(self, left: Left, records: list[bytes]) -> None:
        """Compares without printing all of it."""
        self.assertEqual(left.totals["records_accepted"], len(records))
        self.assertTrue(left.delivered == b"".join(records), "the stored bytes are others")

    def assert_same_body(self, batch: dict, body: bytes) -> None:
        """Compares a body with that of the data."""
        self.assertEqual(len(body), batch["body_bytes"])
        self.assertEqual(hashlib.sha256(body).hexdigest(), batch["body_sha256"])


class Boto3(Batches, unittest.TestCase):
    """boto3, whose JSON has other white space."""

    def put(self, server: support.Server, stream: str, records: list[bytes]) -> Answer:
        client = boto.connect(server.url, server.ca)
        entries = [{"Data": record} for record in records]
        try:
            answer = client.put_record_batch(DeliveryStreamName=stream, Records=entries)
        except ClientError as error:
            name = error.response["Error"]["Code"]
            self.assertIsInstance(error, getattr(client.exceptions, name))  # R15
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            return Answer(name, status, error.response["Error"]["Message"])
        finally:
            client.close()
        return Answer(
            failed_put_count=answer["FailedPutCount"], entries=answer["RequestResponses"]
        )

    def check_body(self, batch: dict, body: bytes) -> None:
        compact = json.dumps(json.loads(body), separators=(",", ":"))
        self.assert_same_body(batch, compact.encode())


class JavaScript(Batches, unittest.TestCase):
    """The SDK for JavaScript in its third version; `.ci/run interop` installs it."""

    MODULES = support.target() / "interop" / "js" / "node_modules"

    @classmethod
    def setUpClass(cls) -> None:
        if shutil.which("node") is None:
            raise unittest.SkipTest("because there is no node")
        if not cls.MODULES.is_dir():
            raise unittest.SkipTest("because the SDK is not installed: .ci/run interop does it")

    def put(self, server: support.Server, stream: str, records: list[bytes]) -> Answer:
        job = {
            "url": server.url,
            "ca": server.ca.read_text(),
            "region": support.REGION,
            "stream": stream,
            "records": [base64.b64encode(record).decode() for record in records],
        }
        ended = subprocess.run(
            # What the SDK has to say of the version of node is not for here.
            ["node", "--no-warnings", str(PUT_JS)],
            input=json.dumps(job).encode(),
            stdout=subprocess.PIPE,
            env=os.environ | {"NODE_PATH": str(self.MODULES)},
            timeout=CALL_SECONDS,
            check=True,
        )
        result = json.loads(ended.stdout)
        if "error" in result:
            return Answer(**result)
        return Answer(failed_put_count=result["failed"], entries=result["entries"])

    def check_body(self, batch: dict, body: bytes) -> None:
        self.assert_same_body(batch, body)


def repeated(entry: dict) -> list[bytes]:
    """Returns the records that an entry of the data stands for."""
    unit = entry["text"].encode() if "text" in entry else base64.b64decode(entry["base64"])
    record = bytes(islice(cycle(unit), entry.get("bytes", len(unit))))
    return [record] * entry.get("times", 1)


if __name__ == "__main__":
    support.isolate()
    unittest.main(verbosity=2)
