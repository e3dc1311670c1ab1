"""The exports of the benchmark: what each is, is said by its id, so that nobody has to remember any.

All go to one volume, with AES256 and STANDARD asked for. A completed export's object is as it was asked for.
"""

import time
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["running", "completed", "failed", "bam"]

BUCKET = "benchmark-bucket"
PREFIX = "exports"
VOLUME = "benchmark/output"
SIZE_BYTES = 5_000_000

_ID_CHARACTERS = 32
# The exports began a quarter of an hour before whoever answers for them, and ended ten minutes before.
_BEGAN = time.time() - 900


def export_id(kind: Kind, number: int) -> str:
    """An id as long as the API's."""
    return f"{kind}-".ljust(_ID_CHARACTERS - 10, "0") + f"{number:010}"


def job(job_id: str, base_url: str) -> dict[str, Any]:
    """The export's job as the API shows it, without `result`, in which some answers have the file."""
    kind, ending = job_id.split("-", 1)
    body: dict[str, Any] = {
        "href": f"{base_url}/storage/exports/{job_id}",
        "id": job_id,
        "state": {"running": "RUNNING", "failed": "FAILED"}.get(kind, "COMPLETED"),
        "source": {"file": f"file-{job_id}"[:40]},
        "destination": {"volume": VOLUME, "location": f"{ending}{'.bam' if kind == 'bam' else '.vcf'}"},
        "started_on": timestamp(0),
        "properties": {"sse_algorithm": "AES256", "aws_storage_class": "STANDARD"},
        "overwrite": False,
    }
    if kind != "running":
        body["finished_on"] = timestamp(300)
    if kind == "failed":
        body["error"] = {
            "status": 409,
            "code": 9107,
            "message": "The destination already holds an object.",
            "more_info": "http://docs.sevenbridges.com/docs/api-status-codes#9107",
        }
    return body


def file(file_id: str, base_url: str) -> dict[str, Any]:
    """A source file as the API shows it."""
    return {
        "href": f"{base_url}/files/{file_id}",
        "id": file_id,
        "name": f"{file_id}.vcf",
        "size": SIZE_BYTES,
        "project": "benchmark/project",
        "created_on": "2016-06-15T08:00:00Z",
        "modified_on": "2016-06-15T08:00:00Z",
        "storage": {"type": "PLATFORM", "hosted_on_locations": ["aws:us-east-1"]},
        "origin": {},
        "tags": [],
        "metadata": {},
    }


def volume(base_url: str) -> dict[str, Any]:
    """The one volume, as the API shows it."""
    return {
        "href": f"{base_url}/storage/volumes/{VOLUME}",
        "id": VOLUME,
        "name": "output",
        "access_mode": "RW",
        "active": True,
        "service": {
            "type": "s3",
            "bucket": BUCKET,
            "prefix": PREFIX,
            "endpoint": "s3.amazonaws.com",
            "credentials": {"access_key_id": "AKIAEXAMPLE"},
            "properties": {"sse_algorithm": "AES256"},
        },
    }


def timestamp(seconds_after_start: float) -> str:
    """A moment of the exports' life, as the API writes it."""
    return datetime.fromtimestamp(_BEGAN + seconds_after_start, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def http_date(seconds_after_start: float) -> str:
    """The same, as HTTP writes it."""
    return datetime.fromtimestamp(_BEGAN + seconds_after_start, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
