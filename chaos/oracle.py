"""The expected event of an export, derived from its script and the contract without the function's code."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from chaos.exports import BUCKET, NO_VOLUME, OTHER_BUCKET, PROJECT, VOLUME, Export
from chaos.run import Timeline
from chaos.timing import Times
from local.stack import Notification

BGZF_BLOCK = bytes.fromhex("1f8b0804")
# Timestamps in events have whole seconds.
_SECOND = 1.0


def complaints(timeline: Timeline, received: Notification, source: str, times: Times) -> Iterator[str]:
    """Each difference between an event and the expected one, as a sentence."""
    event, export = received.event, timeline.export
    data = event.get("data", {})
    expected = {
        "specversion": "1.0",
        "id": export.event_id,
        "source": source,
        "type": f"cgc.export.{'failed' if export.end.reason else 'completed'}.v1",
        "subject": export.id,
        "datacontenttype": "application/json",
    }
    yield from _differences("", expected, event)
    yield from _differences("data.", {"group": export.group, "context": export.context}, data)
    yield from _about_the_job(timeline, event)
    yield from _about_the_file(export, data)
    yield from _about_the_object(timeline, data)
    yield from _about_the_checks(export, data)
    yield from _about_the_failure(export, data)
    yield from _about_the_watch(timeline, data, times)
    yield from _differences("attribute ", message_attributes(export, data), received.attributes)


def too_early(timeline: Timeline, published_at: float, times: Times) -> str | None:
    """A sentence about an event that was published before its watch could end, else None."""
    end = timeline.export.end
    # A poll's time is the start of its invocation; the job may have ended during it.
    slack = times.function if end.shows_job and end.ends and end.grace else 0.0
    if not end.ends:
        slack = times.clock_jump
    early = timeline.may_end_at - slack - published_at
    return f"published {early:.1f} s too early" if early > 0.05 else None


def _about_the_job(timeline: Timeline, event: Mapping[str, Any]) -> Iterator[str]:
    export, job = timeline.export, timeline.export.job
    shown = event["data"].get("export")
    if not export.end.shows_job or timeline.job_began_at is None:
        if shown != {"id": export.id}:
            yield f"data.export is {shown}, not the id alone"
        return
    began = job.started(timeline.job_began_at)
    # A little later, because of rounding.
    last = timeline.job_began_at + job.steps[-1][0] + 0.001
    body = {name: value for name, value in began.body(last, "", None).items() if name not in ("href", "result")}
    if shown != body:
        yield f"data.export is {shown}, not {body}"
    if "finished_on" in body and body["finished_on"] is not None and event.get("time") != body["finished_on"]:
        yield f"time is {event.get('time')}, not {body['finished_on']}"


def _about_the_file(export: Export, data: Mapping[str, Any]) -> Iterator[str]:
    shown = data.get("file")
    name = export.job.location.rpartition("/")[2]
    known = {"id": export.job.file, "name": name, "project": PROJECT, "size": export.size}
    is_right = {"must": shown == known, "may": shown in (known, None), "cannot": shown is None}
    if not is_right[export.end.file]:
        yield f"data.file is {shown}; it {export.end.file} be {known}"


def _about_the_object(timeline: Timeline, data: Mapping[str, Any]) -> Iterator[str]:
    export, shown = timeline.export, data.get("object")
    if export.body is None:
        if shown is not None:
            yield f"data.object is {shown}, where there is none"
        return
    if shown is None:
        yield "data.object is null"
        return
    key = export.job.location
    expected = {
        "uri": f"s3://{BUCKET}/{key}",
        "bucket": BUCKET,
        "key": key,
        "etag": timeline.etag,
        "size": len(export.body),
        "storage_class": "STANDARD",
        "readable": True,
        "encryption": export.put.get("ServerSideEncryption"),
        "kms_key_id": export.put.get("SSEKMSKeyId"),
    }
    yield from _differences("data.object.", expected, shown)


def _about_the_checks(export: Export, data: Mapping[str, Any]) -> Iterator[str]:
    shown = data.get("verification")
    if not export.end.checks:
        if shown is not None:
            yield f"data.verification is {shown}, where nothing was verified"
        return
    if shown is None:
        yield "data.verification is null"
        return
    statuses = {check["name"]: check["status"] for check in shown["checks"]}
    if statuses != export.end.checks:
        reasons = {check["name"]: check.get("reason") for check in shown["checks"] if check["status"] == "skipped"}
        yield f"the checks are {statuses}, not {export.end.checks}; skipped: {reasons}"
    if shown["status"] != _verification(export):
        yield f"data.verification.status is {shown['status']}"
    yield from _about_the_content(export, shown)
    for check in shown["checks"]:
        if check["status"] == "skipped" and not check.get("reason"):
            yield f"{check['name']} was skipped without a reason"


def _about_the_content(export: Export, verification: Mapping[str, Any]) -> Iterator[str]:
    """Whether the damage, a flipped bit in the object's middle, is found in the BGZF block that holds it."""
    fault = (verification.get("content") or {}).get("fault") or {}
    middle = len(export.body or b"") // 2
    block = export.body.rindex(BGZF_BLOCK, 0, middle) if export.body and "content" in export.end.failed else None
    if fault.get("offset") != block:
        yield f"data.verification.content has the fault {fault}, not one at {block}"


def _about_the_failure(export: Export, data: Mapping[str, Any]) -> Iterator[str]:
    shown = data.get("failure")
    if export.end.reason is None:
        if shown is not None:
            yield f"data.failure is {shown}"
        return
    error = _error(export)
    expected = {"reason": export.end.reason} | {name: error.get(name) for name in ("code", "status", "more_info")}
    yield from _differences("data.failure.", expected, shown or {})
    for name in ("message", "advice"):
        if not (shown or {}).get(name):
            yield f"data.failure.{name} is missing"


def _about_the_watch(timeline: Timeline, data: Mapping[str, Any], times: Times) -> Iterator[str]:
    watch = data.get("watch", {})
    yield from _differences("data.watch.", {"origin": "announced"}, watch)
    requested_at = _seconds(watch["requested_at"])
    slack = times.clock_jump + _SECOND
    # A direct invocation may happen a little later, and again.
    if not timeline.first_announced_at - slack <= requested_at <= timeline.last_announced_at + slack + times.function:
        yield f"requested at {watch['requested_at']}, when no start event was sent"
    if watch["polls"] < 1:
        yield f"concluded after {watch['polls']} polls"


def message_attributes(export: Export, data: Mapping[str, Any]) -> dict[str, str | None]:
    """The expected message attributes; None means absent."""
    end, job = export.end, export.job
    bucket = {VOLUME: BUCKET, NO_VOLUME: None}.get(job.volume, OTHER_BUCKET)
    reads_volume = end.shows_job and end.ends and end.reason != "EXPORT_FAILED"
    return {
        "type": f"cgc.export.{'failed' if end.reason else 'completed'}.v1",
        "project": PROJECT if data.get("file") else None,
        "volume": job.volume if end.shows_job else None,
        "bucket": bucket if reads_volume else None,
        "verification": _verification(export) if end.checks else None,
        "group": export.group["id"] if export.group else None,
        "reason": end.reason,
        "error_code": str(code) if (code := _error(export).get("code")) else None,
    }


def _error(export: Export) -> Mapping[str, Any]:
    """The API's error: the job's own, or the denial."""
    return export.end.denial or export.job.error or {}


def _verification(export: Export) -> str:
    return "failed" if export.end.failed else "passed"


def _differences(where: str, expected: Mapping[str, Any], actual: Mapping[str, Any]) -> Iterator[str]:
    for name, value in expected.items():
        if actual.get(name) != value:
            yield f"{where}{name} is {actual.get(name)!r}, not {value!r}"


def _seconds(timestamp: str) -> float:
    return datetime.fromisoformat(timestamp).timestamp()
