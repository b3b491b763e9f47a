"""boto3 against `firehose serve`: the documented answers, exceptions and limits."""

import http.client
import json
import shutil
import tempfile
import unittest
from pathlib import Path
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import support

STREAM = "demo"
RECORDS_MAX = 500
RECORD_BYTES_MAX = 1_024_000
REQUEST_BYTES_MAX = 4 * 1024 * 1024
THROTTLE = ("ServiceUnavailableException", "Slow down.")


def connect(url: str, ca: Path | None = None):
    """Returns boto3's client for an endpoint; it sends nothing twice.

    Over TLS it trusts the authority in the file `ca`.
    """
    config = Config(retries={"total_max_attempts": 1, "mode": "standard"}, proxies={})
    return boto3.client(
        "firehose",
        endpoint_url=url,
        region_name=support.REGION,
        aws_access_key_id=support.KEY_ID,
        aws_secret_access_key=support.SECRET,
        verify=str(ca) if ca else None,
        config=config,
    )


def records(*lengths: int) -> list[dict[str, bytes]]:
    """Returns records of these lengths."""
    return [{"Data": bytes(index % 256 for index in range(length))} for length in lengths]


def full_request(extra: int) -> list[dict[str, bytes]]:
    """Returns records of the greatest allowed size in sum, and some bytes more."""
    whole, rest = divmod(REQUEST_BYTES_MAX, RECORD_BYTES_MAX)
    return records(*[RECORD_BYTES_MAX] * whole, rest + extra)


class Emulator(unittest.TestCase):
    """A server for all tests of a class, and boto3's client of it."""

    OPTIONS: list[str] = []

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="firehose-boto-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        options = ["--stream", STREAM, "--dir", str(cls.folder), "--ledger", *cls.OPTIONS]
        cls.server = support.Server(*options)
        cls.addClassCleanup(cls.server.close)
        cls.client = connect(cls.server.url)
        cls.addClassCleanup(cls.client.close)

    def batch(self, entries: list[dict[str, bytes]]) -> dict:
        """Puts records in one request and checks what every answer has."""
        answer = self.client.put_record_batch(DeliveryStreamName=STREAM, Records=entries)
        self.check_metadata(answer)
        self.assertEqual(
            set(answer), {"Encrypted", "FailedPutCount", "RequestResponses", "ResponseMetadata"}
        )
        self.assertIs(answer["Encrypted"], False)  # R16
        self.assertIs(type(answer["FailedPutCount"]), int)
        self.assertEqual(len(answer["RequestResponses"]), len(entries))  # R5
        return answer

    def check_metadata(self, answer: dict) -> None:
        """The answer is a success at the first try, with the headers of the service."""
        metadata = answer["ResponseMetadata"]
        self.assertEqual(metadata["HTTPStatusCode"], 200)
        self.assertEqual(metadata["RetryAttempts"], 0)
        self.assertRegex(metadata["RequestId"], r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
        headers = metadata["HTTPHeaders"]
        self.assertEqual(headers["content-type"], "application/x-amz-json-1.1")
        self.assertEqual(headers["x-amzn-requestid"], metadata["RequestId"])
        self.assertTrue(headers["x-amz-id-2"])

    def ledger(self) -> list[dict]:
        """Returns what the server notes of each record that it stored."""
        path = self.folder / ".firehose" / "ledger.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()]

    def stored_bytes(self) -> dict[str, int]:
        """Returns the length of each stored record by its id."""
        return {line["record_id"]: line["bytes"] for line in self.ledger()}

    def check_stored(self, record_id: str, data: bytes) -> None:
        """An id is a string that names this record and no other."""
        self.assertIs(type(record_id), str)
        self.assertTrue(record_id)
        self.assertEqual(self.stored_bytes().get(record_id), len(data))

    def refused(self, code: str, operation, **arguments) -> ClientError:
        """The call ends in the documented exception, and nothing of it is stored."""
        before = len(self.ledger())
        with self.assertRaises(getattr(self.client.exceptions, code)) as caught:
            operation(**arguments)
        error = caught.exception
        self.assertEqual(error.response["Error"]["Code"], code)
        self.assertEqual(error.response["ResponseMetadata"]["RetryAttempts"], 0)
        self.assertEqual(len(self.ledger()), before)  # R19
        return error


class SoundService(Emulator):
    """Without faults."""

    def test_batch_answers_entry_by_entry(self) -> None:
        # R5, R6, R7: entry i is record i, which its length tells.
        entries = records(*range(1, 41))
        answer = self.batch(entries)
        self.assertEqual(answer["FailedPutCount"], 0)
        for entry, record in zip(answer["RequestResponses"], entries, strict=True):
            self.assertEqual(set(entry), {"RecordId"})
            self.check_stored(entry["RecordId"], record["Data"])
        ids = {entry["RecordId"] for entry in answer["RequestResponses"]}
        self.assertEqual(len(ids), len(entries))

    def test_single_record(self) -> None:
        data = b"one record\n"
        answer = self.client.put_record(DeliveryStreamName=STREAM, Record={"Data": data})
        self.check_metadata(answer)
        self.assertEqual(set(answer), {"Encrypted", "RecordId", "ResponseMetadata"})
        self.assertIs(answer["Encrypted"], False)
        self.check_stored(answer["RecordId"], data)

    def test_ids_are_unique_over_requests(self) -> None:
        answers = [self.batch(records(3, 3)) for _ in range(3)]
        ids = [entry["RecordId"] for answer in answers for entry in answer["RequestResponses"]]
        self.assertEqual(len(set(ids)), 6)

    def test_members_on_the_wire(self) -> None:
        # R20: what boto3 makes of an answer hides the order and the types of its members.
        address = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
        self.addCleanup(connection.close)
        body = '{"DeliveryStreamName":"demo","Records":[{"Data":"YQ=="},{"Data":""}]}'
        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "Firehose_20150804.PutRecordBatch",
        }
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        self.assertEqual(answer.status, 200)
        entry = r'\{"RecordId":"[^"]+"\}'
        self.assertRegex(
            text,
            r'^\{"Encrypted":false,"FailedPutCount":0,"RequestResponses":\[%s,%s\]\}$'
            % (entry, entry),
        )

    def test_limits_from_the_good_side(self) -> None:
        # R1, R2, R3
        for name, entries in [
            ("499 records", records(*[1] * (RECORDS_MAX - 1))),
            ("500 records", records(*[1] * RECORDS_MAX)),
            ("an empty record", records(0)),
            ("empty records between others", records(1, 0, 2, 0)),
            ("1,023,999 bytes", records(RECORD_BYTES_MAX - 1)),
            ("1,024,000 bytes", records(RECORD_BYTES_MAX)),
            ("4 MiB", full_request(0)),
        ]:
            with self.subTest(name):
                answer = self.batch(entries)
                self.assertEqual(answer["FailedPutCount"], 0)
                for entry, record in zip(answer["RequestResponses"], entries, strict=True):
                    self.assertEqual(set(entry), {"RecordId"})
                last = answer["RequestResponses"][-1]
                self.check_stored(last["RecordId"], entries[-1]["Data"])

    def test_single_records_at_their_limits(self) -> None:
        for length in [0, RECORD_BYTES_MAX]:
            with self.subTest(length):
                record = records(length)[0]
                answer = self.client.put_record(DeliveryStreamName=STREAM, Record=record)
                self.check_stored(answer["RecordId"], record["Data"])

    def test_refused_batches(self) -> None:
        # R1, R2, R3, R15
        for name, entries, message in [
            (
                "501 records",
                records(*[1] * (RECORDS_MAX + 1)),
                "'records' failed to satisfy constraint: "
                "Member must have length less than or equal to 500",
            ),
            (
                "1,024,001 bytes",
                records(1, RECORD_BYTES_MAX + 1),
                "'records.2.member.data' failed to satisfy constraint: "
                "Member must have length less than or equal to 1024000",
            ),
            ("4 MiB and a byte", full_request(1), "Records size exceeds 4 MB limit"),
        ]:
            with self.subTest(name):
                error = self.refused(
                    "InvalidArgumentException",
                    self.client.put_record_batch,
                    DeliveryStreamName=STREAM,
                    Records=entries,
                )
                self.assertIn(message, error.response["Error"]["Message"])
                self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 400)

    def test_refused_single_record(self) -> None:
        error = self.refused(
            "InvalidArgumentException",
            self.client.put_record,
            DeliveryStreamName=STREAM,
            Record=records(RECORD_BYTES_MAX + 1)[0],
        )
        self.assertIn("less than or equal to 1024000", error.response["Error"]["Message"])

    def test_unknown_stream(self) -> None:
        # R15
        for operation, arguments in [
            (self.client.put_record_batch, {"Records": records(1)}),
            (self.client.put_record, {"Record": records(1)[0]}),
        ]:
            with self.subTest(operation.__name__):
                error = self.refused(
                    "ResourceNotFoundException",
                    operation,
                    DeliveryStreamName="nobody",
                    **arguments,
                )
                self.assertEqual(
                    error.response["Error"]["Message"],
                    "Firehose nobody under account 123456789012 not found.",
                )
                self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 400)

    def test_name_that_cannot_be_one(self) -> None:
        # R4
        for name in ["a" * 65, "with space"]:
            with self.subTest(name):
                self.refused(
                    "InvalidArgumentException",
                    self.client.put_record_batch,
                    DeliveryStreamName=name,
                    Records=records(1),
                )


class RefusedEntries(Emulator):
    """Every second entry fails."""

    OPTIONS = ["--faults", "refuse=0.5,seed=3"]

    def test_failed_entries(self) -> None:
        # R6, R7, R8
        entries = records(*range(1, 101))
        answer = self.batch(entries)
        results = answer["RequestResponses"]
        failed = [entry for entry in results if "ErrorCode" in entry]
        self.assertEqual(answer["FailedPutCount"], len(failed))
        self.assertTrue(20 < len(failed) < 80, f"{len(failed)} of 100 failed")
        stored = self.stored_bytes()
        for entry, record in zip(results, entries, strict=True):
            if "ErrorCode" in entry:
                self.assertEqual(set(entry), {"ErrorCode", "ErrorMessage"})
                self.assertEqual((entry["ErrorCode"], entry["ErrorMessage"]), THROTTLE)
                self.assertNotIn(len(record["Data"]), stored.values())
            else:
                self.assertEqual(set(entry), {"RecordId"})
                self.assertEqual(stored[entry["RecordId"]], len(record["Data"]))

    def test_sending_only_the_failed_again(self) -> None:
        # R9: the loop that the documentation asks for stores every record just once.
        rest = records(*range(1_000, 1_200))
        for _ in range(100):
            answer = self.batch(rest)
            paired = zip(answer["RequestResponses"], rest, strict=True)
            rest = [record for entry, record in paired if "ErrorCode" in entry]
            self.assertEqual(answer["FailedPutCount"], len(rest))
            if not rest:
                break
        self.assertEqual(rest, [])
        lengths = [line["bytes"] for line in self.ledger() if line["bytes"] >= 1_000]
        self.assertEqual(sorted(lengths), list(range(1_000, 1_200)))


class Throttling(Emulator):
    """Every call is answered 503."""

    OPTIONS = ["--faults", "unavailable=1"]

    def test_calls_are_refused(self) -> None:
        # R11, R15
        for operation, arguments in [
            (self.client.put_record_batch, {"Records": records(1, 2)}),
            (self.client.put_record, {"Record": records(1)[0]}),
        ]:
            with self.subTest(operation.__name__):
                error = self.refused(
                    THROTTLE[0], operation, DeliveryStreamName=STREAM, **arguments
                )
                self.assertEqual(error.response["Error"]["Message"], THROTTLE[1])
                self.assertEqual(error.response["ResponseMetadata"]["HTTPStatusCode"], 503)


if __name__ == "__main__":
    support.isolate()
    unittest.main(verbosity=2)
