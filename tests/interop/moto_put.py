"""`firehose put` against moto's server, over HTTP and HTTPS: what lies in its S3 afterwards is the
input."""

import json
import logging
import shutil
import ssl
import tempfile
import threading
import unittest
from collections import Counter
from pathlib import Path

import boto3
import trustme
from moto.backends import get_backend
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

import support

ACCOUNT = "123456789012"
ALLOWS_FIREHOSE = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "firehose.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


class Moto:
    """moto's server for all tests of a class, with a bucket and a role; each input has a stream of
    its own. Streams, buckets and roles are those of this process, so their names differ by class.
    """

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Path(tempfile.mkdtemp(prefix="firehose-moto-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        context, cls.ca = cls.encryption()
        server = make_server(
            "127.0.0.1",
            0,
            DomainDispatcherApplication(create_backend_app),
            threaded=True,
            request_handler=MotoRequestHandler,
            ssl_context=context,
        )
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        cls.addClassCleanup(serving.join)
        cls.addClassCleanup(server.shutdown)
        cls.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}"
        cls.bucket = f"delivered-{cls.__name__.lower()}"
        cls.s3 = cls.connect("s3")
        cls.firehose = cls.connect("firehose")
        cls.s3.create_bucket(Bucket=cls.bucket)
        role = cls.connect("iam").create_role(
            RoleName=cls.__name__, AssumeRolePolicyDocument=json.dumps(ALLOWS_FIREHOSE)
        )
        cls.role_arn = role["Role"]["Arn"]
        cls.samples = support.samples(cls.folder / "samples")
        if not cls.samples:
            raise RuntimeError("there are no files to put")

    @classmethod
    def encryption(cls) -> tuple[ssl.SSLContext | None, Path | None]:
        """Returns the server's side of TLS and the file of whom to trust, or neither."""
        return None, None

    @classmethod
    def connect(cls, service: str):
        """Returns boto3's client for a service of moto's, closed at the end."""
        client = boto3.client(
            service,
            endpoint_url=cls.url,
            region_name=support.REGION,
            aws_access_key_id=support.KEY_ID,
            aws_secret_access_key=support.SECRET,
            verify=str(cls.ca) if cls.ca else None,
        )
        cls.addClassCleanup(client.close)
        return client

    def make_stream(self, stream: str) -> None:
        """Makes a stream whose objects lie under its own name in the bucket."""
        self.firehose.create_delivery_stream(
            DeliveryStreamName=stream,
            DeliveryStreamType="DirectPut",
            ExtendedS3DestinationConfiguration={
                "RoleARN": self.role_arn,
                "BucketARN": f"arn:aws:s3:::{self.bucket}",
                "Prefix": f"{stream}/",
            },
        )

    def put(self, stream: str, file: Path, *options: str) -> dict[str, int]:
        """Puts a file into a new stream, which must go without a hitch; returns the counts."""
        self.make_stream(stream)
        options = ("--quiet", *options)
        summary = support.put(stream, file, self.url, self.folder, *options, ca=self.ca)
        self.assertEqual(summary["exit_status"], 0, summary)
        stats = summary["stats"]
        self.assertEqual(stats["records_delivered"], stats["records_accepted"])
        self.assertEqual(stats["attempts"], stats["records_accepted"])
        self.assertEqual(stats["records_maybe_doubled"], 0)
        return stats

    def delivered(self, stream: str) -> list[bytes]:
        """Reads the objects of a stream through S3, in the order in which they were made."""
        listing = self.s3.get_paginator("list_objects_v2")
        pages = listing.paginate(Bucket=self.bucket, Prefix=f"{stream}/")
        names = [item["Key"] for page in pages for item in page.get("Contents", [])]
        # Over the wire the time of an object has whole seconds only.
        kept = get_backend("s3")[ACCOUNT]["aws"].buckets[self.bucket].keys
        names.sort(key=lambda name: kept[name].last_modified)
        return [self.s3.get_object(Bucket=self.bucket, Key=name)["Body"].read() for name in names]

    def test_one_request_after_the_other_keeps_the_order(self) -> None:
        for index, file in enumerate(self.samples):
            with self.subTest(file.name):
                stream = f"ordered-{type(self).__name__}-{index}"
                expected = support.with_line_end(file.read_bytes())
                stats = self.put(stream, file, "--in-flight", "1")
                objects = self.delivered(stream)
                self.assertEqual(len(objects), stats["requests"])
                self.assert_same(b"".join(objects), expected)
                self.assertEqual(stats["records_accepted"], expected.count(b"\n"))

    def assert_same(self, delivered: bytes, expected: bytes) -> None:
        """Compares without printing all of it."""
        self.assertEqual(len(delivered), len(expected))
        self.assertTrue(delivered == expected, "the bytes differ")


class OverHttp(Moto, unittest.TestCase):
    """Everything, over plain HTTP."""

    def test_input_is_kept_to_the_byte(self) -> None:
        for index, file in enumerate(self.samples):
            with self.subTest(file.name):
                stream = f"kept-{index}"
                self.put(stream, file, "--in-flight", "1", "--delimiter", "keep")
                self.assert_same(b"".join(self.delivered(stream)), file.read_bytes())

    def test_overlapping_requests_deliver_every_line_once(self) -> None:
        # R17
        for index, file in enumerate(self.samples):
            with self.subTest(file.name):
                stream = f"overlapping-{index}"
                expected = support.with_line_end(file.read_bytes())
                self.put(stream, file, "--in-flight", "8")
                delivered = b"".join(self.delivered(stream))
                self.assertEqual(Counter(lines(delivered)), Counter(lines(expected)))

    def test_unknown_stream(self) -> None:
        # R15
        summary = support.put("nobody", self.samples[0], self.url, self.folder)
        self.assertEqual(summary["exit_status"], 3, summary)
        self.assertEqual(summary["stats"]["records_delivered"], 0)
        self.assertIn("nobody", summary["error"])


class OverHttps(Moto, unittest.TestCase):
    """With a certificate of an authority of our own."""

    @classmethod
    def encryption(cls) -> tuple[ssl.SSLContext | None, Path | None]:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        path = cls.folder / "ca.pem"
        authority.cert_pem.write_to_path(path)
        return context, path

    def test_another_authority_is_not_trusted(self) -> None:
        self.make_stream("untrusted")
        other = self.folder / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        options = ("--attempts", "1")
        summary = support.put(
            "untrusted", self.samples[0], self.url, self.folder, *options, ca=other
        )
        self.assertEqual(summary["exit_status"], 3, summary)
        self.assertEqual(summary["stats"]["records_delivered"], 0)
        self.assertEqual(self.delivered("untrusted"), [])


def lines(data: bytes) -> list[bytes]:
    """Returns the lines, cut at newlines only: a lone carriage return ends none."""
    return data.removesuffix(b"\n").split(b"\n")


if __name__ == "__main__":
    support.isolate()
    # moto's server prints a line for each request otherwise.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    unittest.main(verbosity=2)
