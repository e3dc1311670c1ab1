"""AWS on this machine: moto's server in its own process, on a free port of the loopback interface.

A child process does not compete for this interpreter's lock. It ends when its standard input closes, so it cannot
outlive the process that started it.
"""

import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.moto_patches import patch_moto

REGION = "us-east-1"
# moto's account; it accepts any credentials.
ACCOUNT_ID = "123456789012"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_SESSION_TOKEN": "testing"}


class Emulator:
    """A running emulator; `endpoint_url` is `http://127.0.0.1:PORT`."""

    def __init__(self, endpoint_url: str, ask: Callable[[str], Any]) -> None:
        self.endpoint_url = endpoint_url
        self._ask = ask
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=CREDENTIALS["AWS_SESSION_TOKEN"],
            region_name=REGION,
        )

    def client(self, service: str) -> Any:
        """The boto3 client of the service, with connections enough for the mapping's workers and a test's threads.

        Made once, since that takes longer than most of what it is made for.
        """
        config = Config(max_pool_connections=32, retries={"total_max_attempts": 2})
        with self._lock:
            if service not in self._clients:
                made = self._session.client(service, endpoint_url=self.endpoint_url, config=config)  # type: ignore[call-overload]
                self._clients[service] = made
            return self._clients[service]

    def sent_notifications(self, topic_arn: str) -> list[tuple[str, str, str | None, dict[str, Any] | None]]:
        """What was published to a topic, oldest first: message id, message, subject and message attributes.

        moto sends no mail, but its topics keep what was published to them. With `MessageStructure: json` that is the
        text for every protocol, where a subscriber sees only its own.
        """
        sent = self._ask(topic_arn)
        return [(message_id, message, subject, attributes) for message_id, message, subject, attributes, _ in sent]


@contextmanager
def emulator() -> Iterator[Emulator]:
    """Run an emulator with an empty account for the length of the block."""
    command = [sys.executable, "-m", "local.emulator"]
    environment = os.environ | CREDENTIALS | {"AWS_DEFAULT_REGION": REGION}
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(  # noqa: S603 -- this interpreter and this module
        command,
        cwd=root,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # Ctrl-C must reach the main process only.
        start_new_session=True,
    ) as server:
        try:
            dialogue = _Dialogue(server)
            yield Emulator(f"http://127.0.0.1:{dialogue.listen()}", dialogue.ask)
        finally:
            server.kill()


class _Dialogue:
    """Send the emulator a line of text and read a line of JSON: for data that no AWS call returns."""

    def __init__(self, server: "subprocess.Popen[bytes]") -> None:
        self._server = server
        self._lock = threading.Lock()

    def ask(self, question: str) -> Any:
        with self._lock:
            if self._server.stdin:
                self._server.stdin.write(f"{question}\n".encode())
                self._server.stdin.flush()
            return self.listen()

    def listen(self) -> Any:
        line = self._server.stdout.readline() if self._server.stdout else b""
        if not line:
            raise RuntimeError("the emulator has ended, or did not start")
        return json.loads(line)


def main() -> None:
    """Serve on a free port and print its number; answer with a topic's notifications to its ARN; end with the input."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- the parent process has no use for moto
    from moto.sns.models import sns_backends  # noqa: PLC0415 -- likewise

    # Log errors inside moto only, not each request or unknown resources.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    patch_moto()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    for topic_arn in sys.stdin:
        topic = sns_backends[ACCOUNT_ID][REGION].topics[topic_arn.strip()]
        print(json.dumps(topic.sent_notifications), flush=True)


if __name__ == "__main__":
    main()


def create_bucket_with_acls(s3: Any, bucket: str) -> None:
    """Create a bucket that accepts objects with canned ACLs, public ones too; by default S3 refuses both."""
    s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerPreferred")
    s3.delete_public_access_block(Bucket=bucket)
