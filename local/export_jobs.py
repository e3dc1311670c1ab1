"""Export jobs of the simulated platform: the script of each, and how the API shows it.

Fields and states: https://docs.cancergenomicscloud.org/docs/get-details-of-an-export-job-v2
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

Steps = tuple[tuple[float, str], ...]

AT_ONCE: Steps = ((0, "COMPLETED"),)
IN_A_FEW_SECONDS: Steps = ((0, "PENDING"), (1, "RUNNING"), (3, "COMPLETED"))
NEVER: Steps = ((0, "PENDING"), (1, "RUNNING"))

_FINISHED = ("COMPLETED", "FAILED")


def error_body(status: int, code: int, message: str) -> dict[str, Any]:
    """The API's error object, the same in a response, in an item of a bulk response and in a FAILED job."""
    more_info = f"http://docs.sevenbridges.com/docs/api-status-codes#{code}"
    return {"status": status, "code": code, "message": message, "more_info": more_info}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One export job.

    `steps` is its script: seconds since it began, and the state it is in from then on; any string may be a state.
    `began_at` and `started_at` are epoch seconds: when the script begins, and what `started_on` shows (a documented
    example started in 2016 and plays now); unset, both are the moment of adding. `error` shows once it is FAILED; the
    source file shows as `result` once it is COMPLETED, if `shows_result`. `explicit_nulls` shows fields without a value
    as null instead of leaving them out. `fields` overrides and `hidden` removes fields of the body, whatever the state.
    A job of another user (`foreign`) is refused with 9005. `delivers` is false for a COMPLETED job without an object.
    """

    id: str
    file: str
    volume: str
    location: str
    steps: Steps = AT_ONCE
    began_at: float | None = None
    started_at: float | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    overwrite: bool = False
    copy_only: bool = False
    error: Mapping[str, Any] | None = None
    shows_result: bool = False
    explicit_nulls: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    foreign: bool = False
    delivers: bool = True

    def started(self, at: float) -> "Job":
        """The same job with a script that begins `at`, or earlier if it already runs."""
        began_at = at if self.began_at is None else self.began_at
        return replace(self, began_at=began_at, started_at=began_at if self.started_at is None else self.started_at)

    def step(self, now: float) -> tuple[float, str]:
        """The current step of the script: its time in seconds since the script began, and the state."""
        elapsed = now - (now if self.began_at is None else self.began_at)
        return max((step for step in self.steps if step[0] <= elapsed), default=self.steps[0], key=lambda step: step[0])

    def state(self, now: float) -> str:
        return self.step(now)[1]

    def body(self, now: float, href: str, result: Mapping[str, Any] | None) -> dict[str, Any]:
        """The job as the API shows it; `result` is the source file as a File object, where it is known."""
        seconds, state = self.step(now)
        body: dict[str, Any] = {
            "href": href,
            "id": self.id,
            "state": state,
            "source": {"file": self.file},
            "destination": {"volume": self.volume, "location": self.location},
            "started_on": _timestamp(self.started_at or 0),
            "finished_on": _timestamp((self.started_at or 0) + seconds) if state in _FINISHED else None,
            "properties": dict(self.properties),
            "overwrite": self.overwrite,
            "error": self.error if state == "FAILED" else None,
            "result": result if state == "COMPLETED" and self.shows_result else None,
        }
        shown = body if self.explicit_nulls else {name: value for name, value in body.items() if value is not None}
        return {name: value for name, value in {**shown, **self.fields}.items() if name not in self.hidden}


def documented_completed(**changes: Any) -> Job:
    """The COMPLETED job of the vendor's documentation, which took two seconds; `changes` are fields of `Job`."""
    return replace(
        Job(
            id="5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2",
            file="576159f7f53e9e1de6ae7b5f0",
            volume="rfranklin/output",
            location="output.vcf",
            steps=((0, "RUNNING"), (2, "COMPLETED")),
            started_at=datetime(2016, 6, 15, 19, 17, 39, tzinfo=UTC).timestamp(),
            properties={"sse_algorithm": "AES256", "aws_storage_class": "STANDARD", "aws_canned_acl": "public-read"},
        ),
        **changes,
    )


def documented_failed(**changes: Any) -> Job:
    """The FAILED job of the vendor's documentation: it ended when it started, as its destination existed."""
    return replace(
        Job(
            id="DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY",
            file="57679b78f5b039a7e7fde6a9",
            volume="rfranklin/output",
            location="_4_s3_file.jpg",
            steps=((0, "FAILED"),),
            started_at=datetime(2016, 6, 22, 13, 38, 57, tzinfo=UTC).timestamp(),
            # S3 ignores the key.
            properties={
                "sse_algorithm": "AES256",
                "sse_aws_kms_key_id": "1234ab56-78d9-10a1-1d23-cc391dc099b",
                "aws_canned_acl": "public-read",
            },
            error=error_body(409, 9107, "The destination already holds an object."),
        ),
        **changes,
    )


def _timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
