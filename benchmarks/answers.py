"""What AWS and the API answer to the benchmark's requests, each in its own protocol, and what each request was.

Every answer is a success, made up from the request alone. A request that is not known is refused, and shows in the
counts as such.
"""

import json
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from benchmarks import exports

TOKEN = "benchmark-token"  # noqa: S105 -- opens nothing
UNKNOWN = "unknown"

# A BGZF block whose content begins as a BAM's, and the marker that ends every BGZF file.
_BAM_BODY = zlib.compressobj(wbits=-15)
_BAM_BLOCK = _BAM_BODY.compress(b"BAM\x01" + bytes(60)) + _BAM_BODY.flush()
_BGZF_HEAD = bytes.fromhex("1f8b08040000000000ff0600424302001b00")
_BGZF_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
# A BAM: a first block, zeros in place of the others, and the marker.
_OBJECT = (_BGZF_HEAD + _BAM_BLOCK).ljust(exports.SIZE_BYTES - len(_BGZF_END), b"\0") + _BGZF_END

_JSON_1_0 = "application/x-amz-json-1.0"
_RATE = {"X-RateLimit-Limit": "1000", "X-RateLimit-Remaining": "990", "X-RateLimit-Reset": "1900000000"}


@dataclass(frozen=True, slots=True)
class Request:
    """A request, its header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `operation` is what was asked for, as `service Operation`; `items` is how much of it."""

    operation: str
    body: bytes = b""
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    items: int = 1


def answer(request: Request, base_url: str) -> Reply:
    """The answer to a request; `base_url` is the API's own address."""
    target = request.headers.get("x-amz-target")
    if target is not None:
        return _json_service(target, request.body)
    path = urlsplit(request.target).path
    if path.startswith("/v2/"):
        return _api(request, unquote(path.removeprefix("/v2")), base_url)
    if request.method == "POST" and path == "/":
        return _sns(request.body)
    return _s3(request, unquote(path))


def _json_service(target: str, body: bytes) -> Reply:
    prefix, _, operation = target.partition(".")
    known = _JSON_SERVICES.get(target)
    if known is None:
        return _unknown(target)
    answered, items = known(json.loads(body))
    encoded = json.dumps(answered).encode()
    headers = {"x-amz-crc32": str(zlib.crc32(encoded))} if prefix.startswith("DynamoDB") else {}
    service = _SERVICE_NAMES[prefix]
    content_type = "application/x-amz-json-1.1" if service == "secretsmanager" else _JSON_1_0
    return Reply(f"{service} {operation}", encoded, content_type, headers, items=items)


def _change_visibility(asked: Any) -> tuple[Any, int]:
    return {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]], "Failed": []}, len(asked["Entries"])


def _send_message(_: Any) -> tuple[Any, int]:
    return {"MessageId": "00000000-0000-0000-0000-000000000000", "MD5OfMessageBody": "0" * 32}, 1


def _transact(asked: Any) -> tuple[Any, int]:
    return {}, len(asked["TransactItems"])


def _update_item(_: Any) -> tuple[Any, int]:
    return {}, 1


def _secret(asked: Any) -> tuple[Any, int]:
    version = "00000000-0000-0000-0000-000000000001"
    return {"ARN": asked["SecretId"], "Name": "token", "SecretString": TOKEN, "VersionId": version}, 1


_SERVICE_NAMES = {"AmazonSQS": "sqs", "DynamoDB_20120810": "dynamodb", "secretsmanager": "secretsmanager"}
_JSON_SERVICES: dict[str, Callable[[Any], tuple[Any, int]]] = {
    "AmazonSQS.ChangeMessageVisibilityBatch": _change_visibility,
    "AmazonSQS.SendMessage": _send_message,
    "DynamoDB_20120810.TransactWriteItems": _transact,
    "DynamoDB_20120810.UpdateItem": _update_item,
    "secretsmanager.GetSecretValue": _secret,
}

_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z]+)")
# Not parsed as a form: the messages are long, and only the ids are wanted.
_ENTRY_ID = re.compile(rb"PublishBatchRequestEntries\.member\.\d+\.Id=([^&]*)")


def _sns(body: bytes) -> Reply:
    found = _ACTION.search(body)
    action = found[1].decode() if found else ""
    ids = [unquote(entry.decode()) for entry in _ENTRY_ID.findall(body)]
    if action == "PublishBatch":
        entries = "".join(f"<member><Id>{entry}</Id><MessageId>m-{entry}</MessageId></member>" for entry in ids)
        result = f"<Failed/><Successful>{entries}</Successful>"
    elif action == "Publish":
        result = "<MessageId>00000000-0000-0000-0000-000000000000</MessageId>"
    else:
        return _unknown(f"sns {action}")
    text = (
        f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
    return Reply(f"sns {action}", text.encode(), "text/xml", items=max(1, len(ids)))


def _api(request: Request, path: str, base_url: str) -> Reply:
    if request.headers.get("x-sbg-auth-token") != TOKEN:
        return Reply("api refused", b'{"code": 90001}', "application/json", status=401)
    if request.method == "POST":
        return _api_bulk(path, json.loads(request.body), base_url)
    parent, _, name = path.rpartition("/")
    match parent:
        case "/storage/exports":
            return _api_reply("GET export", exports.job(name, base_url))
        case "/files":
            return _api_reply("GET file", exports.file(name, base_url))
        case "/storage/volumes/benchmark":
            return _api_reply("GET volume", exports.volume(base_url))
    return _unknown(f"api {request.method} {path}")


def _api_bulk(path: str, asked: Any, base_url: str) -> Reply:
    match path:
        case "/bulk/storage/exports/get":
            items = [{"resource": exports.job(one, base_url)} for one in asked["export_ids"]]
            return _api_reply("POST exports in bulk", {"items": items}, len(items))
        case "/bulk/files/get":
            items = [{"resource": exports.file(one, base_url)} for one in asked["file_ids"]]
            return _api_reply("POST files in bulk", {"items": items}, len(items))
    return _unknown(f"api POST {path}")


def _api_reply(operation: str, body: Any, items: int = 1) -> Reply:
    return Reply(f"api {operation}", json.dumps(body).encode(), "application/json", _RATE, items=items)


def _s3(request: Request, path: str) -> Reply:
    headers = {
        "ETag": '"9a0364b9e99bb480dd25e1f0284c8555"',
        "Last-Modified": exports.http_date(290),
        "Accept-Ranges": "bytes",
        "x-amz-server-side-encryption": "AES256",
    }
    if request.method == "HEAD":
        if "x-amz-checksum-mode" in request.headers:
            headers |= {"x-amz-checksum-crc64nvme": "QXNrIHRoZSBz", "x-amz-checksum-type": "FULL_OBJECT"}
        headers["Content-Length"] = str(exports.SIZE_BYTES)
        return Reply("s3 HeadObject", b"", "binary/octet-stream", headers)
    asked = re.fullmatch(r"bytes=(\d+)-(\d+)", request.headers.get("range", ""))
    if request.method != "GET" or asked is None:
        return _unknown(f"s3 {request.method} {path}")
    start, end = int(asked[1]), min(int(asked[2]), exports.SIZE_BYTES - 1)
    headers["Content-Range"] = f"bytes {start}-{end}/{exports.SIZE_BYTES}"
    return Reply("s3 GetObject", _OBJECT[start : end + 1], "binary/octet-stream", headers, status=206)


def _unknown(what: str) -> Reply:
    return Reply(f"{UNKNOWN} {what}", b"{}", "application/json", status=400)
