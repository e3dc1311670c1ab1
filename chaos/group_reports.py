"""The expected report of a group, derived from the published events and the contract without the function's code."""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chaos.run import ReportWrite

_MESSAGE_CHARACTERS = 2000
_JSON = ("checksums", "context")


def report_complaints(
    concluded: Mapping[str, Any],
    published_at: float,
    writes: Sequence[ReportWrite],
    events: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """Each difference between a group's report and its published events, as a sentence.

    `concluded` is the group's event, and `published_at` when it was first published (epoch seconds). `events` are all
    that were received of exports.
    """
    report, group_id = concluded["data"]["report"], concluded["subject"]
    for kind in ("csv", "html"):
        of_kind = [one for one in writes if f"s3://{one.object}" == report[kind]]
        if not report[kind].endswith(f"/groups/{group_id}/report.{kind}"):
            yield f"the report is at {report[kind]}"
        if not any(one.asked_at < published_at for one in of_kind):
            yield f"was published before its report.{kind} was written"
        if len({one.content for one in of_kind}) > 1:
            yield f"report.{kind} was written {len(of_kind)} times, not always the same"
        if kind == "csv" and of_kind:
            yield from _about_the_csv(of_kind[-1].content, concluded["data"], events)


def _about_the_csv(content: bytes, data: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    if hashlib.sha256(content).hexdigest() != data["report"]["csv_sha256"]:
        yield "csv_sha256 is not that of report.csv"
    rows = [
        {name: cell.removeprefix("'") for name, cell in row.items()}
        for row in csv.DictReader(io.StringIO(content.decode(), newline=""))
    ]
    if len(rows) != data["report"]["rows"] or len(rows) != data["completed"] + data["failed"]:
        yield f"report.csv has {len(rows)} rows, not {data['report']['rows']}"
    if [row["export_id"] for row in rows] != sorted({row["export_id"] for row in rows}):
        yield "the rows are not one for each export in the order of their ids"
    for row in rows:
        of_export = [expected_row(event) for event in events if event["subject"] == row["export_id"]]
        if not any(expected.items() <= row.items() for expected in of_export):
            wrong = [
                {name: (row.get(name), value) for name, value in expected.items() if row.get(name) != value}
                for expected in of_export
            ]
            yield f"the row of {row['export_id']} is not its event: {wrong}"


def expected_row(event: Mapping[str, Any]) -> dict[str, str]:
    """The cells of an export's row by the name of their column, without the leading `'` of some."""
    data = event["data"]
    job, file, found = data["export"], data["file"] or {}, data["object"] or {}
    failure, verification = data["failure"] or {}, data["verification"] or {}
    destination = job.get("destination", {})
    values = {
        "export_id": event["subject"],
        "outcome": "failed" if failure else "completed",
        "reason": failure.get("reason"),
        "code": failure.get("code"),
        "message": failure.get("message", "")[:_MESSAGE_CHARACTERS],
        "file_id": job.get("source", {}).get("file"),
        "file_name": file.get("name"),
        "project": file.get("project"),
        "size_bytes": found.get("size", file.get("size")),
        "volume": destination.get("volume"),
        "location": destination.get("location"),
        "s3_uri": found.get("uri"),
        **{name: found.get(name) for name in ("version_id", "etag", "checksum_type", "encryption", "storage_class")},
        "checksums": found.get("checksums", {}),
        "verification": verification.get("status"),
        "failed_checks": ";".join(one["name"] for one in verification.get("checks", ()) if one["status"] == "failed"),
        "started_on": job.get("started_on"),
        "finished_on": job.get("finished_on"),
        "concluded_at": data["watch"]["concluded_at"],
        "context": data["context"],
        "advice": failure.get("advice"),
    }
    return {name: _cell(name, value) for name, value in values.items()}


def _cell(name: str, value: Any) -> str:
    if name in _JSON:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "" if value is None else str(value)
