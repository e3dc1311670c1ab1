"""AWS on this machine: moto's server in a process of its own, on a free port of the loopback interface.

A child process keeps the emulator's work off this interpreter's lock. It ends when its standard input closes,
so it cannot outlive the process that started it, however that one ended.
"""

import json
import logging
import os
import subprocess
import sys
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

REGION = "us-east-1"
# moto's account, and the credentials that it takes: any.
ACCOUNT_ID = "123456789012"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
}


@dataclass(frozen=True)
class Emulator:
    """A running emulator, by its URL (`http://127.0.0.1:PORT`)."""

    endpoint_url: str

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(
            aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=CREDENTIALS["AWS_SESSION_TOKEN"],
            region_name=REGION,
        )

    def client(self, service: str) -> Any:
        """A boto3 client of the service, with connections enough for the mapping's workers and a test's threads."""
        config = Config(max_pool_connections=32, retries={"total_max_attempts": 2})
        return self._session.client(service, endpoint_url=self.endpoint_url, config=config)  # type: ignore[call-overload]

    def sent_notifications(self, topic_arn: str) -> list[tuple[str, str, str | None, dict[str, Any] | None]]:
        """What was published to a topic, oldest first: message id, message, subject and message attributes.

        moto sends no mail. With `MessageStructure: json` its topic still holds the message as it was published,
        with the text of every protocol, and shows its models as JSON at `/moto-api/data.json`.
        """
        with urllib.request.urlopen(f"{self.endpoint_url}/moto-api/data.json") as answer:  # noqa: S310 -- our own URL
            topics = json.load(answer)["sns"]["Topic"]
        sent = next(topic["sent_notifications"] for topic in topics if topic["arn"] == topic_arn)
        return [(message_id, message, subject, attributes) for message_id, message, subject, attributes, _ in sent]


@contextmanager
def emulator() -> Iterator[Emulator]:
    """Run an emulator with an empty account for the length of the block."""
    command = [sys.executable, "-m", "local.emulator"]
    environment = os.environ | CREDENTIALS | {"AWS_DEFAULT_REGION": REGION}
    root = Path(__file__).resolve().parent.parent
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            port = server.stdout.readline().decode().strip()
            if not port:
                raise RuntimeError("the emulator did not start")
            yield Emulator(f"http://127.0.0.1:{port}")
        finally:
            server.kill()


def main() -> None:
    """Serve on a free port, print its number, and end when standard input ends."""
    from moto.server import ThreadedMotoServer  # here, since the parent process has no use for moto

    # Errors inside moto alone: no line for each request, and none for what its CloudFormation does not know.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
