"""Parsers of the API's JSON bodies: tolerant of differences between platforms, strict about ids.

Sources: 'Get details of an export job', 'Get details of a volume', 'Get file details' (docs.cancergenomicscloud.org),
and the official clients where these pages leave something open.
"""

import json
import re
from typing import Any

from export_monitor.domain import strict_json
from export_monitor.domain.json_values import as_int, short_text
from export_monitor.domain.model import Denial, Denied, ExportJob, JobPage, JsonObject, SourceFile, Volume
from export_monitor.domain.timestamps import parse_rfc3339

# A file's id becomes part of a path, so anything else is ignored.
_FILE_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")

# Half of a surrogate pair, or a lone surrogate.
_ESCAPED_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object; None if it is anything else.

    Lone surrogates, which JSON can escape but UTF-8 cannot encode, are replaced: logs, S3 and subscribers cannot handle
    them.
    """
    try:
        value = strict_json.parse(body)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    return strict_json.without_lone_surrogates(value) if _ESCAPED_SURROGATE.search(body) else value


def object_with_items(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object with a list of `items`, each None if it is not strict JSON; None for any other body.

    One item with NaN, a number beyond any float or bytes that are not UTF-8 must not hide the others. Raises
    RecursionError if an item is nested too deeply for Python's parser.
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
    """The API's numeric error code, also one written as a string. A body without a code is not the API's error."""
    return as_int(body.get("code"))


def error_message(body: JsonObject) -> str:
    """The API's error message, or the code if there is no message."""
    message = body.get("message")
    return message[:500] if isinstance(message, str) and message else f"code {error_code(body)}"


def parse_denial(status: int, body: JsonObject) -> Denied | None:
    """The denial in a response whose status is 403 or 404 and whose body has an error code; otherwise None."""
    code = error_code(body)
    if status not in (403, 404) or code is None:
        return None
    denial = Denial.NOT_FOUND if status == 404 else Denial.FORBIDDEN
    return Denied(denial, error_message(body), code, status, _text(body, "more_info"))


def parse_job(body: JsonObject, export_id: str) -> ExportJob | None:
    """The job with this id; None if the body is not that job."""
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
    """A page of the list of jobs; None if the body is not one. `total` is the value of X-Total-Matching-Query.

    A page without the documented `links` and without a total has a next page unless it is empty.
    """
    items = body.get("items")
    if not isinstance(items, list):
        return None
    jobs = (parse_job(item, _text(item, "id") or "") for item in items if isinstance(item, dict))
    links, total_count = body.get("links"), as_int((total or "").strip())
    if isinstance(links, list):
        has_next = "next" in [link.get("rel") for link in links if isinstance(link, dict)]
    else:
        has_next = total_count is None and bool(items)
    return JobPage(tuple(job for job in jobs if job), len(items), has_next, total_count)


def parse_volume(body: JsonObject, name: str) -> Volume | None:
    """The volume of this name; None if the body is another volume, or a volume on S3 without a bucket."""
    service = _object(body, "service")
    service_type, bucket = _text(service, "type") or "s3", _text(service, "bucket")
    found = body.get("id", name)
    is_same = isinstance(found, str) and found.lower() == name.lower()
    if not is_same or (bucket is None and service_type.lower() == "s3"):
        return None
    return Volume(
        name=name,
        type=service_type,
        # Volumes on other services name it differently, and their objects are not inspected.
        bucket=bucket or "",
        prefix=_text(service, "prefix") or "",
        # Older answers call it hostname.
        endpoint=_text(service, "endpoint") or _text(service, "hostname"),
    )


def parse_file(body: JsonObject, file_id: str | None = None) -> SourceFile | None:
    """The file; None if the body is not a file, or not the one with `file_id`."""
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
