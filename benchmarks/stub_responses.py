"""Responses of AWS and the API to the benchmark's requests.

The simulated platform answers for the API. AWS's responses are always successes, built from the request alone: an
emulator would be slower than the code being measured.
"""

import json
import re
import zlib
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from benchmarks import TOKEN
from benchmarks.exports import ENDED_AT, SIZE_BYTES, BenchmarkPlatform
from local.api_routes import ROOT, answer
from local.aws_calls import called
from local.bam import bam
from local.http_messages import Reply, Request

# A BAM: the start of a small one, zeros instead of other blocks, and the end-of-file marker.
_BAM, _MARKER = bam()[:-28], bam()[-28:]
_OBJECT = _BAM.ljust(SIZE_BYTES - len(_MARKER), b"\0") + _MARKER


def respond(platform: BenchmarkPlatform, request: Request, base_url: str) -> tuple[str, Reply]:
    """The operation, as `service Operation`, and the reply: status 400 if the operation is unknown."""
    if request.path.startswith(f"{ROOT}/"):
        path = request.path if request.method == "POST" else request.path.rpartition("/")[0]
        return f"api {request.method} {path.removeprefix(ROOT)}", answer(platform, request, base_url)
    call = called(request)
    operation = f"{call.service} {call.operation}"
    reply = _AWS.get(operation)
    return operation, reply(request) if reply else Reply(400)


def published(request: Request) -> int:
    """How many messages the request publishes."""
    return len(_ENTRY_ID.findall(request.content)) or request.content.count(b"Action=Publish&")


def _json_of(document: Callable[[Any], Any]) -> Callable[[Request], Reply]:
    def reply(request: Request) -> Reply:
        content = json.dumps(document(request.body)).encode()
        headers = {"Content-Type": "application/x-amz-json-1.0"}
        if request.headers["x-amz-target"].startswith("DynamoDB"):
            headers["x-amz-crc32"] = str(zlib.crc32(content))
        return Reply(200, content, headers)

    return reply


# Not parsed as a form: the messages are long, and only the ids are needed.
_ENTRY_ID = re.compile(rb"PublishBatchRequestEntries\.member\.\d+\.Id=([^&]*)")


def _publish(_request: Request) -> Reply:
    return _xml("Publish", "<MessageId>00000000-0000-0000-0000-000000000000</MessageId>")


def _publish_batch(request: Request) -> Reply:
    ids = [unquote(entry.decode()) for entry in _ENTRY_ID.findall(request.content)]
    entries = "".join(f"<member><Id>{entry}</Id><MessageId>m-{entry}</MessageId></member>" for entry in ids)
    return _xml("PublishBatch", f"<Failed/><Successful>{entries}</Successful>")


def _xml(action: str, result: str) -> Reply:
    text = (
        f'<{action}Response xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><{action}Result>{result}</{action}Result>'
        f"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></{action}Response>"
    )
    return Reply(200, text.encode(), {"Content-Type": "text/xml"})


_OBJECT_HEADERS = {
    "Content-Type": "binary/octet-stream",
    "ETag": '"9a0364b9e99bb480dd25e1f0284c8555"',
    "Last-Modified": formatdate(ENDED_AT - 10, usegmt=True),
    "Accept-Ranges": "bytes",
    "x-amz-server-side-encryption": "AES256",
}


def _head_object(request: Request) -> Reply:
    headers = _OBJECT_HEADERS | {"Content-Length": str(SIZE_BYTES)}
    if "x-amz-checksum-mode" in request.headers:
        headers |= {"x-amz-checksum-crc64nvme": "QXNrIHRoZSBz", "x-amz-checksum-type": "FULL_OBJECT"}
    return Reply(200, b"", headers)


def _get_object(request: Request) -> Reply:
    start, end = (int(number) for number in request.headers["range"].removeprefix("bytes=").split("-"))
    content = _OBJECT[start : end + 1]
    content_range = f"bytes {start}-{start + len(content) - 1}/{SIZE_BYTES}"
    return Reply(206, content, _OBJECT_HEADERS | {"Content-Range": content_range})


_AWS: dict[str, Callable[[Request], Reply]] = {
    "dynamodb TransactWriteItems": _json_of(lambda _: {}),
    "dynamodb UpdateItem": _json_of(lambda _: {}),
    "s3 GetObject": _get_object,
    "s3 HeadObject": _head_object,
    "secretsmanager GetSecretValue": _json_of(lambda asked: {"ARN": asked["SecretId"], "SecretString": TOKEN}),
    "sns Publish": _publish,
    "sns PublishBatch": _publish_batch,
    "sqs ChangeMessageVisibilityBatch": _json_of(
        lambda asked: {"Successful": [{"Id": entry["Id"]} for entry in asked["Entries"]]}
    ),
    # All messages are in the event.
    "sqs ReceiveMessage": _json_of(lambda _: {}),
}
