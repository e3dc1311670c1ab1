"""Runs one variant in its own process, with events like those Lambda makes from SQS messages."""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from benchmarks.variants import QUEUE_ARN, Variant, environment
from local.sqs_event import sqs_record

_WORKER = Path(__file__).parent / "worker.py"
_SENT_SECONDS_AGO = 900


@dataclass(frozen=True, slots=True)
class Round:
    """A worker's report of a round. Times are in seconds; `since_start` means since the process started."""

    cpu: float
    wall: float
    cpu_since_start: float
    wall_since_start: float
    import_cpu: float
    import_wall: float
    peak_kb: int
    kept: int


class Worker:
    """A process with the variant's modules and nothing else."""

    def __init__(self, variant: Variant, address: str) -> None:
        self._batch_size = variant.batch_size
        answers, theirs = os.pipe()
        command = [sys.executable, "-S", "-P", str(_WORKER), variant.handler, str(theirs)]
        variables = environment(variant, address)
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, and our own file
            command,
            cwd=variant.path[0],
            env=variables,
            pass_fds=[theirs],
            stdin=subprocess.PIPE,
            # Log lines and metrics are written and discarded.
            stdout=subprocess.DEVNULL,
            text=True,
        )
        os.close(theirs)
        self._answers = os.fdopen(answers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()
        self._answers.close()

    def process_batch(self, export_ids: Sequence[str]) -> Round:
        """Process a message about each export. Raises RuntimeError if the worker ends instead."""
        if self._process.stdin is None:
            raise RuntimeError("the worker has no input")
        json.dump(events(export_ids, self._batch_size), self._process.stdin)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        line = self._answers.readline()
        if not line:
            raise RuntimeError(f"the worker ended with status {self._process.wait()}")
        report = json.loads(line)
        return Round(**{"wall_since_start": report.pop("ended_at") - self._started_at, **report})


def events(export_ids: Sequence[str], batch_size: int) -> list[dict[str, Any]]:
    """The events of a mapping with this batch size, with one message about each export."""
    records = [_record(export_id) for export_id in export_ids]
    return [{"Records": records[start : start + batch_size]} for start in range(0, len(records), batch_size)]


def _record(export_id: str) -> dict[str, Any]:
    body = json.dumps({"export_id": export_id})
    digest = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    sent_at = str(int((time.time() - _SENT_SECONDS_AGO) * 1000))
    message = {
        "MessageId": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}",
        # As long as a real one.
        "ReceiptHandle": digest * 6,
        "Body": body,
        "MD5OfBody": digest,
        "Attributes": {
            "ApproximateReceiveCount": "3",
            "SentTimestamp": sent_at,
            "SenderId": "AIDAEXAMPLE",
            "ApproximateFirstReceiveTimestamp": sent_at,
        },
    }
    return sqs_record(message, QUEUE_ARN)
