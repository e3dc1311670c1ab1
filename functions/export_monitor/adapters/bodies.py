"""The API's JSON bodies, read into values: tolerant of what differs between platforms, strict about whose answer it is.

Shapes: 'Get details of an export job', 'Get details of a volume', 'Get file details' (docs.cancergenomicscloud.org);
what the pages leave open, as the official clients read it.
"""

import json
from typing import Any

from export_monitor.domain.assessment import whole_number
from export_monitor.domain.model import ExportJob, JsonObject, SourceFile, Volume
from export_monitor.domain.timestamps import seconds


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body is, or None where it is anything else."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def error_code(body: JsonObject) -> int | None:
    """The numeric code by which an error is known to be the API's own, a number in a string included."""
    return whole_number(body.get("code"))


def error_message(body: JsonObject) -> str:
    """The API's words for an error, or its code where there are none."""
    message = body.get("message")
    return message[:500] if isinstance(message, str) and message else f"code {error_code(body)}"


def read_job(body: JsonObject, export_id: str) -> ExportJob | None:
    """The job with this id, or None where the body is not that job's."""
    state = body.get("state")
    if body.get("id") != export_id or not isinstance(state, str) or not state:
        return None
    destination = _object(body, "destination")
    return ExportJob(
        id=export_id,
        state=state,
        body=body,
        file_id=_text(_object(body, "source"), "file"),
        volume=_text(destination, "volume"),
        location=_text(destination, "location"),
        started_at=seconds(body.get("started_on")),
        finished_at=seconds(body.get("finished_on")),
        properties=_object(body, "properties"),
        error=_object(body, "error"),
        result=read_file(_object(body, "result")),
    )


def read_volume(body: JsonObject, name: str) -> Volume | None:
    """The volume of this name, or None where the body is not that volume's or names no bucket."""
    service = _object(body, "service")
    bucket = _text(service, "bucket")
    if str(body.get("id", name)).lower() != name.lower() or bucket is None:
        return None
    return Volume(
        name=name,
        type=_text(service, "type") or "s3",
        bucket=bucket,
        prefix=_text(service, "prefix") or "",
        # Older answers call it hostname.
        endpoint=_text(service, "endpoint") or _text(service, "hostname"),
    )


def read_file(body: JsonObject, file_id: str | None = None) -> SourceFile | None:
    """The file, with this id where one is given, or None where the body is not a file's."""
    found = _text(body, "id")
    if found is None or file_id not in (None, found):
        return None
    size = body.get("size")
    whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return SourceFile(found, _text(body, "name"), _text(body, "project"), size if whole else None)


def _object(body: JsonObject, name: str) -> JsonObject:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _text(body: JsonObject, name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) and value else None
