"""Watches and groups with every ending; their events are the published examples.

`python -m tests.contract.sample_events` with `functions` on the path writes the example files.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from export_monitor.adapters.sevenbridges.responses import parse_denial, parse_job
from export_monitor.application.delays import waiting_for
from export_monitor.application.reporting import PollResult
from export_monitor.domain.assessment import Snapshot, assess
from export_monitor.domain.canned_acls import EVERYONE
from export_monitor.domain.content.results import ContentVerdict, Fault
from export_monitor.domain.events import DELAYED_TYPE, Delay, SnsMessage, build_delayed_message, build_message
from export_monitor.domain.grace import Conclude, GracePolicy, Wait, decide
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import CONCLUDED_TYPE, FailedMember, GroupProgress, concluded_message
from export_monitor.domain.model import (
    Denied,
    ExportJob,
    Grant,
    Group,
    ObjectAcl,
    ObjectForbidden,
    ObjectNotFound,
    SourceFile,
    StoredObject,
    Unavailable,
    Unread,
    Volume,
    Watch,
)
from export_monitor.domain.poll_schedule import PollSchedule
from export_monitor.domain.start_events import parse_event
from export_monitor.domain.timestamps import parse_rfc3339
from local.export_jobs import Job, documented_completed, documented_failed, error_body
from tests.contract.schema_files import DIRECTORY
from tests.unit.builders import a_message

API = "https://cgc-api.sbgenomics.com/v2"
# Without grace periods, a fault ends a watch at its first poll.
IMPATIENT = GracePolicy(PollSchedule(5, 900, 0), timeout=0, object_grace=0, not_found_grace=0, refusal_grace=0)


def job_answer(job: Job, **fields: Any) -> ExportJob:
    """A simulated job as the API returns it at the end of its script."""
    started = job.started(0)
    body = started.body(now=started.steps[-1][0], href=f"{API}/storage/exports/{job.id}", result=None)
    answer = parse_job({**body, **fields}, job.id)
    assert answer
    return answer


def denied(status: int, code: int, message: str) -> Denied:
    """The API's denial, parsed from the simulated platform's error."""
    answer = parse_denial(status, error_body(status, code, message))
    assert answer
    return answer


def ending(answers: Snapshot, watch: Watch, now: float) -> SnsMessage | None:
    """The final message of a watch without grace periods, as the app makes it; None if the watch goes on."""
    verdict, evidence = assess(answers, now)
    decision = decide(verdict, watch, now, now, IMPATIENT, random=0.5)
    return build_message(watch, evidence, decision.failure, now, API) if isinstance(decision, Conclude) else None


def published(message: SnsMessage) -> Any:
    """The event that a message carries, as a subscriber parses it: by JSON's own rules."""

    def refuse(constant: str) -> None:
        raise ValueError(constant)

    return json.loads(json.loads(message.body)["default"], parse_constant=refuse)


def _at(text: str) -> float:
    at = parse_rfc3339(text)
    assert at is not None
    return at


def example_watch(export_id: str, sent_at: float = _at("2016-06-15T19:17:39Z"), **detail: Any) -> Watch:
    """A watch that was polled three times; it began with the documented COMPLETED export, or at `sent_at`."""
    start = parse_event({"export_id": export_id, **detail}, "cgc.exports")
    return Watch(start, a_message(sent_at, 3, "m"))


COMPLETED = job_answer(documented_completed())
FAILED = job_answer(documented_failed())
RUNNING = job_answer(documented_completed(steps=((0, "RUNNING"),)))
FILE = SourceFile("576159f7f53e9e1de6ae7b5f0", "output.vcf", "rfranklin/my-project", 1234)
FAILED_FILE = SourceFile("57679b78f5b039a7e7fde6a9", "_4_s3_file.jpg", "rfranklin/my-project", 1234)
VOLUME = Volume("rfranklin/output", "s3", "bucket", "")
OBJECT = StoredObject(
    bucket="bucket",
    key="output.vcf",
    size=1234,
    etag="81051bcc2cf1bedf378224b0a93e2877",
    last_modified_at=_at("2016-06-15T19:17:41Z"),
    encryption="AES256",
    head_and_tail=Unread("a format of this name has no end-of-file marker"),
    acl=ObjectAcl("owner", frozenset({Grant("owner", "FULL_CONTROL"), Grant(EVERYONE, "READ")})),
)
SOUND = ContentVerdict("VCF", bytes_read=1234, units=2, inflated_bytes=5678, fault=None)
DAMAGED = ContentVerdict("VCF", 0, 0, 0, Fault(0, "the CRC32 of the inflated block is wrong"))
REFUSED = "S3 denies access to s3://bucket/output.vcf."

# By the schema and the name of the example.
ENDINGS: Mapping[tuple[str, str], Snapshot] = {
    ("cgc.export.completed.v1", "documented-job"): Snapshot(COMPLETED, VOLUME, FILE, OBJECT),
    ("cgc.export.completed.v1", "content-verified"): Snapshot(COMPLETED, VOLUME, FILE, OBJECT, SOUND),
    ("cgc.export.completed.v1", "volume-not-on-amazon-s3"): Snapshot(COMPLETED, replace(VOLUME, type="gcs"), FILE),
    ("cgc.export.failed.v1", "documented-job"): Snapshot(FAILED, file=FAILED_FILE),
    ("cgc.export.failed.v1", "EXPORT_NOT_FOUND"): Snapshot(denied(404, 9008, "Job not found.")),
    ("cgc.export.failed.v1", "EXPORT_FORBIDDEN"): Snapshot(denied(403, 9005, "No right on this job.")),
    ("cgc.export.failed.v1", "VOLUME_UNAVAILABLE"): Snapshot(COMPLETED, denied(403, 9020, "No right."), FILE),
    ("cgc.export.failed.v1", "OBJECT_MISSING"): Snapshot(
        COMPLETED, VOLUME, FILE, ObjectNotFound("bucket", ("output.vcf",))
    ),
    ("cgc.export.failed.v1", "OBJECT_MISMATCH"): Snapshot(COMPLETED, VOLUME, FILE, replace(OBJECT, size=1000)),
    ("cgc.export.failed.v1", "OBJECT_MISMATCH-content"): Snapshot(COMPLETED, VOLUME, FILE, OBJECT, DAMAGED),
    ("cgc.export.failed.v1", "OBJECT_FORBIDDEN"): Snapshot(COMPLETED, VOLUME, FILE, ObjectForbidden("bucket", REFUSED)),
    ("cgc.export.failed.v1", "TIMED_OUT"): Snapshot(RUNNING),
    ("cgc.export.failed.v1", "TIMED_OUT-after-completion"): Snapshot(COMPLETED, Unavailable("HTTP 503"), FILE),
}

# Delayed exports by the name of the example.
DELAYED: Mapping[str, Snapshot] = {
    "running": Snapshot(RUNNING),
    "no-answer": Snapshot(Unavailable("HTTP 503")),
    "object-missing": Snapshot(COMPLETED, VOLUME, FILE, ObjectNotFound("bucket", ("output.vcf",))),
}


def delayed(name: str, **detail: Any) -> SnsMessage:
    """The message of a delayed export, as the app makes it."""
    watch = example_watch(COMPLETED.id, **detail)
    now = watch.message.sent_at + 86400
    verdict, evidence = assess(DELAYED[name], now)
    result = PollResult(watch, now, verdict, evidence, Wait(900, "it goes on"))
    delay = Delay(evidence.job.state if evidence.job else None, waiting_for(result))
    return build_delayed_message(watch, evidence, delay, now, API)


def example(schema: str, name: str) -> Any:
    """The exemplary event of this name."""
    answers = ENDINGS[schema, name]
    job = answers.job if isinstance(answers.job, ExportJob) else COMPLETED
    began_at = job.started_at
    assert began_at
    detail = {} if name == "documented-job" else {"context": {"sample": "S1"}, "group": {"id": "run-42", "size": 250}}
    message = ending(answers, example_watch(job.id, began_at, **detail), now=began_at + 5)
    assert message
    return published(message)


STARTED, ENDED = 1466018259.0, 1466104659.0
CONFLICT = FailedMember(
    export_id="DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY",
    reason="EXPORT_FAILED",
    message="Destination already contains an object.",
    code=9107,
    file="57679b78f5b039a7e7fde6a9",
    volume="rfranklin/output",
    location="_4_s3_file.jpg",
)
UNKNOWN = FailedMember("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2", "EXPORT_NOT_FOUND", "Job not found.", 9008)


def a_report(rows: int) -> WrittenReport:
    """The report of the group in a stack that is called cgc-export-monitor."""
    return WrittenReport("cgc-export-monitor-reportbucket-1a2b3c4d5e6f", "run-42", rows, "9f86d081" * 8)


GROUPS: Mapping[str, tuple[GroupProgress, list[FailedMember], WrittenReport]] = {
    "completed": (GroupProgress(Group("run-42", 250), 250, 0, STARTED), [], a_report(250)),
    "failed": (GroupProgress(Group("run-42", 250), 248, 2, STARTED), [CONFLICT, UNKNOWN], a_report(250)),
    "incomplete": (GroupProgress(Group("run-42", 250), 247, 1, STARTED), [UNKNOWN], a_report(248)),
}


def examples() -> dict[Path, Any]:
    """The published events by the files of the examples."""
    events = {key: example(*key) for key in ENDINGS}
    for name in DELAYED:
        events[DELAYED_TYPE, name] = published(delayed(name, group={"id": "run-42", "size": 250}))
    for name, group in GROUPS.items():
        events[CONCLUDED_TYPE, name] = published(concluded_message(*group, ENDED, API))
    return {DIRECTORY / "examples" / "valid" / schema / f"{name}.json": one for (schema, name), one in events.items()}


def as_text(event: Any) -> str:
    return json.dumps(event, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, event in examples().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(as_text(event), "utf-8")
