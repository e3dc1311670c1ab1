"""The API's JSON bodies, read into values: tolerant of what differs between platforms, strict about whose answer it is.

Shapes: 'Get details of an export job', 'Get details of a volume', 'Get file details' (docs.cancergenomicscloud.org);
what the pages leave open, as the official clients read it.
"""

import json
import re
from typing import Any

from export_monitor.domain import strict_json
from export_monitor.domain.json_values import as_int, short_text
from export_monitor.domain.model import Denial, Denied, ExportJob, JobPage, JsonObject, SourceFile, Volume
from export_monitor.domain.timestamps import parse_rfc3339

# A file's id enters a path, so one that is anything but an id is none.
_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

# Of a pair or alone.
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def json_object(body: bytes) -> dict[str, Any] | None:
    """The JSON object that a body is, or None where it is anything else.

    A half of a character, which JSON can escape and nothing else can write, is replaced: a log, S3 or a subscriber
    would stumble over it.
    """
    try:
        value = strict_json.parse(body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    return strict_json.without_lone_surrogates(value) if _ESCAPED_SURROGATE.search(body) else value


def object_with_items(body: bytes) -> dict[str, Any] | None:
    """The JSON object around a list of `items`, with None for each that is not strict JSON; None where it is not one.

    Raises RecursionError where an item is nested beyond any parser. An item that cannot be read alone must not hide the
    others: NaN, a number beyond any float, bytes that are not UTF-8.
    """
    whole = json_object(body)
    if whole is not None:
        return whole
    try:
        value = json.loads(body.decode("utf-8-sig", "replace"))
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("items"), list):
        return None
    items = (json_object(json.dumps(item, ensure_ascii=False).encode(errors="replace")) for item in value["items"])
    return {"items": [item if item is not None and "\ufffd" not in str(item) else None for item in items]}


def error_code(body: JsonObject) -> int | None:
    """The numeric code by which an error is known to be the API's own, a number in a string included."""
    return as_int(body.get("code"))


def error_message(body: JsonObject) -> str:
    """The API's words for an error, or its code where there are none."""
    message = body.get("message")
    return message[:500] if isinstance(message, str) and message else f"code {error_code(body)}"


def parse_denial(status: int, body: JsonObject) -> Denied | None:
    """The API's own denial, or None where the answer is none: its status is 403 or 404, and its body has a code."""
    code = error_code(body)
    if status not in (403, 404) or code is None:
        return None
    denial = Denial.NOT_FOUND if status == 404 else Denial.FORBIDDEN
    return Denied(denial, error_message(body), code, status, _text(body, "more_info"))


def parse_job(body: JsonObject, export_id: str) -> ExportJob | None:
    """The job with this id, or None where the body is not that job's."""
    state = _text(body, "state")
    if body.get("id") != export_id or state is None:
        return None
    destination = _object(body, "destination")
    return ExportJob(
        id=export_id,
        state=state,
        body=body,
        file_id=_file_id(_object(body, "source")),
        volume=_text(destination, "volume"),
        location=_text(destination, "location"),
        started_at=parse_rfc3339(body.get("started_on")),
        finished_at=parse_rfc3339(body.get("finished_on")),
        properties=_object(body, "properties"),
        error=_object(body, "error"),
        result=parse_file(_object(body, "result")),
    )


def parse_page(body: JsonObject, total: str | None) -> JobPage | None:
    """A page of the list of jobs, or None where the body is not one; `total` is a header's value.

    Without the documented `links` and a total, the list may go on after any page that is not empty.
    """
    items = body.get("items")
    if not isinstance(items, list):
        return None
    jobs = (parse_job(item, _text(item, "id") or "") for item in items if isinstance(item, dict))
    links, whole_total = body.get("links"), as_int((total or "").strip())
    if isinstance(links, list):
        has_next = "next" in [link.get("rel") for link in links if isinstance(link, dict)]
    else:
        has_next = whole_total is None and bool(items)
    return JobPage(tuple(job for job in jobs if job), len(items), has_next, whole_total)


def parse_volume(body: JsonObject, name: str) -> Volume | None:
    """The volume of this name, or None where the body is not that volume's, or is S3's and names no bucket."""
    service = _object(body, "service")
    service_type, bucket = _text(service, "type") or "s3", _text(service, "bucket")
    found = body.get("id", name)
    is_it = isinstance(found, str) and found.lower() == name.lower()
    if not is_it or (bucket is None and service_type.lower() == "s3"):
        return None
    return Volume(
        name=name,
        type=service_type,
        # Other services have other words for it, and nothing is looked at there.
        bucket=bucket or "",
        prefix=_text(service, "prefix") or "",
        # Older answers call it hostname.
        endpoint=_text(service, "endpoint") or _text(service, "hostname"),
    )


def parse_file(body: JsonObject, file_id: str | None = None) -> SourceFile | None:
    """The file, with this id where one is given, or None where the body is not a file's."""
    found = _text(body, "id")
    if found is None or file_id not in (None, found):
        return None
    size = body.get("size")
    whole = isinstance(size, int) and not isinstance(size, bool) and size >= 0
    return SourceFile(found, _text(body, "name"), _text(body, "project"), size if whole else None)


def _file_id(source: JsonObject) -> str | None:
    file_id = _text(source, "file")
    return file_id if file_id and _FILE_ID.fullmatch(file_id) else None


def _object(body: JsonObject, name: str) -> JsonObject:
    value = body.get(name)
    return value if isinstance(value, dict) else {}


def _text(body: JsonObject, name: str) -> str | None:
    return short_text(body.get(name))
