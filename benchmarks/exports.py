"""The exports of the benchmark: the id of each encodes its kind, so the server keeps no state.

All go to one volume, with AES256 and STANDARD requested. A completed export's object is as requested.
"""

import time
from typing import Any, Literal

from benchmarks import TOKEN
from local.api_objects import project_file
from local.export_jobs import Job, error_body
from local.simulated_platform import LoggedRequest, Platform

Kind = Literal["running", "completed", "failed", "bam"]

BUCKET = "benchmark-bucket"
VOLUME = "benchmark/output"
SIZE_BYTES = 5_000_000

_ID_CHARACTERS = 32
# The exports began 15 minutes before the server started, and ended 5 minutes later.
_BEGAN_AT = time.time() - 900
ENDED_AT = _BEGAN_AT + 300


def export_id(kind: Kind, number: int) -> str:
    """An id as long as the API's."""
    return f"{kind}-".ljust(_ID_CHARACTERS - 10, "0") + f"{number:010}"


class BenchmarkPlatform(Platform):
    """A simulated platform that knows every such export and any file, with a rate limit that is never reached."""

    def __init__(self) -> None:
        super().__init__(TOKEN)
        self.rate.limit = 10**9
        self.add_volume(VOLUME, bucket=BUCKET, prefix="exports")

    def job(self, export_id: str) -> Job:
        kind, ending = export_id.split("-", 1)
        steps: tuple[tuple[float, str], ...] = ((0, "RUNNING"),)
        if kind != "running":
            steps += ((300, "FAILED" if kind == "failed" else "COMPLETED"),)
        return Job(
            id=export_id,
            file=f"file-{export_id}",
            volume=VOLUME,
            location=f"{ending}{'.bam' if kind == 'bam' else '.vcf'}",
            steps=steps,
            began_at=_BEGAN_AT,
            started_at=_BEGAN_AT,
            properties={"sse_algorithm": "AES256", "aws_storage_class": "STANDARD"},
            error=error_body(409, 9107, "The destination already holds an object."),
        )

    def file(self, file_id: str) -> dict[str, Any]:
        return project_file(file_id, f"{file_id}.vcf", SIZE_BYTES, "benchmark/project", {})

    def log(self, request: LoggedRequest) -> None:
        """Keep no log: it would grow without limit."""
