"""AWS on this machine: moto's server in its own process, on a free port of the loopback interface.

A child process does not compete for this interpreter's lock. It ends when its standard input closes, so it cannot
outlive the process that started it.
"""

import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
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

    def __init__(self, endpoint_url: str) -> None:
        self.endpoint_url = endpoint_url
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
            port = server.stdout.readline().decode().strip() if server.stdout else ""
            if not port:
                raise RuntimeError("the emulator did not start")
            yield Emulator(f"http://127.0.0.1:{port}")
        finally:
            server.kill()


def main() -> None:
    """Serve on a free port and print its number; end with the input."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 -- the parent process has no use for moto

    # Log errors inside moto only, not each request or unknown resources.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    logging.getLogger("moto").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    patch_moto()
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()


def create_bucket_with_acls(s3: Any, bucket: str) -> None:
    """Create a bucket that accepts objects with canned ACLs, public ones too; by default S3 refuses both."""
    s3.create_bucket(Bucket=bucket, ObjectOwnership="BucketOwnerPreferred")
    s3.delete_public_access_block(Bucket=bucket)
