"""The rows of a group's report: how each of its exports ended, one row for each. Times are RFC 3339, sizes in bytes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from export_monitor.domain.advice import advice
from export_monitor.domain.events import compact_json
from export_monitor.domain.json_values import short_text
from export_monitor.domain.model import ExportJob, JsonObject, Watch
from export_monitor.domain.timestamps import format_rfc3339
from export_monitor.domain.verdicts import Evidence, Failure, Reason

COMPLETED, FAILED = "completed", "failed"
_MESSAGE_CHARACTERS = 2000


@dataclass(frozen=True, slots=True)
class ReportRow:
    """How one export of a group ended; None for what was not found out.

    `outcome` is `completed` or `failed`. `reason`, `message` and `advice` are those of the failure, and `code` the
    API's. `size_bytes` is the object's size, or the source file's where no object was seen. `checksums` are in base64,
    by algorithm, as S3 keeps them. `verification` is `passed`, `failed` or `skipped`.
    """

    export_id: str
    outcome: str
    concluded_at: str
    reason: str | None = None
    code: int | None = None
    message: str | None = None
    advice: str | None = None
    file_id: str | None = None
    file_name: str | None = None
    project: str | None = None
    size_bytes: int | None = None
    volume: str | None = None
    location: str | None = None
    s3_uri: str | None = None
    version_id: str | None = None
    etag: str | None = None
    checksum_type: str | None = None
    checksums: Mapping[str, str] = field(default_factory=dict)
    encryption: str | None = None
    storage_class: str | None = None
    verification: str | None = None
    failed_checks: tuple[str, ...] = ()
    started_on: str | None = None
    finished_on: str | None = None
    context: JsonObject = field(default_factory=dict)

    @property
    def event_id(self) -> str:
        """The id of the event that says what the row says."""
        return f"{self.export_id}:{self.outcome}" + (f":{self.reason}" if self.reason else "")


def report_row(watch: Watch, evidence: Evidence, failure: Failure | None, concluded_at: float) -> ReportRow:
    """The row of an export whose watch has ended with this evidence. `concluded_at` is in epoch seconds."""
    row = ReportRow(
        export_id=watch.export_id,
        outcome=FAILED if failure else COMPLETED,
        concluded_at=format_rfc3339(concluded_at),
        context=watch.start.context,
    )
    if failure:
        row = replace(
            row,
            reason=failure.reason.value,
            code=failure.code,
            message=failure.message[:_MESSAGE_CHARACTERS],
            advice=advice(failure, evidence),
        )
    return replace(row, **_of_job(evidence.job) | _of_file(evidence) | _of_object(evidence))


def earlier_row(
    watch: Watch, evidence: Evidence, failure: Failure | None, published: str, published_at: float
) -> ReportRow:
    """The row of an export whose event was published earlier, as far as it is known from the event's id.

    The object may have changed since, so the row has only what the job says. `failure`, found now, adds the details
    if it is the published one. `published_at` is in epoch seconds.
    """
    known = Evidence(job=evidence.job, file=evidence.file)
    row = report_row(watch, known, failure, published_at)
    if row.event_id == published:
        return row
    reason = published.removeprefix(f"{watch.export_id}:failed:")
    stated = None if reason == published else Failure(Reason(reason), "It was published as failed before.")
    return report_row(watch, known, stated, published_at)


def _of_job(job: ExportJob | None) -> dict[str, Any]:
    if job is None:
        return {}
    times = {name: short_text(job.body.get(name)) for name in ("started_on", "finished_on")}
    return {"file_id": job.file_id, "volume": job.volume, "location": job.location, **times}


def _of_file(evidence: Evidence) -> dict[str, Any]:
    file = evidence.file
    return {"file_name": file.name, "project": file.project, "size_bytes": file.size} if file else {}


def _of_object(evidence: Evidence) -> dict[str, Any]:
    found, verification = evidence.object, evidence.verification
    values: dict[str, Any] = {}
    if verification:
        values = {
            "verification": verification.status.value,
            "failed_checks": tuple(check.name for check in verification.failed),
        }
    if found:
        values |= {
            "size_bytes": found.size,
            "s3_uri": f"s3://{found.bucket}/{found.key}",
            "version_id": found.version_id,
            "etag": found.etag,
            "checksum_type": found.checksum_type,
            "checksums": found.checksums,
            "encryption": found.encryption,
            "storage_class": found.storage_class,
        }
    return values


def row_to_json(row: ReportRow) -> str:
    """A row as compact JSON in ASCII, without the fields that have no value."""
    values = ((one.name, getattr(row, one.name)) for one in fields(row))
    # A size of 0 is a value.
    return compact_json({name: value for name, value in values if value or value == 0})


def row_from_json(text: str) -> ReportRow:
    """The row that `row_to_json` wrote; fields of later versions are left out."""
    values = json.loads(text)
    known = {one.name: values[one.name] for one in fields(ReportRow) if one.name in values}
    return ReportRow(**known | {"failed_checks": tuple(values.get("failed_checks", ()))})
