"""AWS calls as HTTP requests: which call a request is, and faults in each service's protocol.

ServiceError           replaces the service's reply
PartialBatchFailure    fails half of a batch
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, unquote, urlencode

from local.faults import Ask, Call
from local.http_messages import Reply, Request

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")
_JSON = {"Content-Type": "application/x-amz-json-1.0"}
_XML = {"Content-Type": "text/xml"}
_ENTRY = "PublishBatchRequestEntries.member."
_NONE = b"<PublishBatchResponse><PublishBatchResult></PublishBatchResult></PublishBatchResponse>"
# Query parameters that identify S3's calls, longest first.
_S3_CALLS = {
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("GET", "acl"): "GetObjectAcl",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("PUT", ""): "PutObject",
}


def called(request: Request) -> Call:
    """The call that a request makes, by the rules of its protocol."""
    scope = _SCOPE.search(request.headers.get("authorization", ""))
    service = scope["service"] if scope else ""
    if service == "s3":
        return _s3_call(request)
    if "x-amz-target" in request.headers:
        return Call(service, request.headers["x-amz-target"].partition(".")[2], _named_in(request.body))
    form = dict(parse_qsl(request.content.decode()))
    return Call(service, form.get("Action", ""), form.get("TopicArn", ""))


def _s3_call(request: Request) -> Call:
    query = dict(parse_qsl(request.query, keep_blank_values=True))
    resource = unquote(request.path).removeprefix("/")
    sub_resource = next((name for name in ("ownershipControls", "acl") if name in query), "")
    operation = _S3_CALLS.get((request.method, sub_resource), "")
    if operation == "GetObjectAcl" and not resource.partition("/")[2]:
        operation = "GetBucketAcl"
    return Call("s3", operation, resource.rstrip("/"), versioned="versionId" in query)


def messages_published(form: bytes) -> list[tuple[str, dict[str, str]]]:
    """The subject, and the text for each protocol, of each message in a call to SNS."""
    fields = dict(parse_qsl(form.decode()))
    places = [name.removesuffix("Message") for name in fields if name.rpartition(".")[2] == "Message"]
    return [(fields.get(f"{place}Subject", ""), json.loads(fields[f"{place}Message"])) for place in places]


@dataclass(frozen=True)
class ServiceError:
    """An error response of the service itself."""

    status: int
    code: str

    def meet(self, request: Request, _ask: Ask) -> Reply:
        if "x-amz-target" in request.headers:
            body = json.dumps({"__type": f"com.amazonaws#{self.code}", "message": self.code})
            return Reply(self.status, body.encode(), _JSON)
        error = f"<Error><Type>Receiver</Type><Code>{self.code}</Code><Message>{self.code}</Message></Error>"
        if called(request).service != "s3":
            error = f"<ErrorResponse>{error}<RequestId>made-up</RequestId></ErrorResponse>"
        return Reply(self.status, b"" if request.method == "HEAD" else error.encode(), _XML)


@dataclass(frozen=True)
class PartialBatchFailure:
    """Every second entry of a batch fails with this code; the others reach the service."""

    code: str

    def meet(self, request: Request, ask: Ask) -> Reply:
        if "x-amz-target" in request.headers:
            return self._of_json(request, ask)
        return self._of_a_form(request, ask)

    def _of_json(self, request: Request, ask: Ask) -> Reply:
        asked = request.body
        refused, kept = asked["Entries"][::2], asked["Entries"][1::2]
        reply = ask(request.with_body({**asked, "Entries": kept})) if kept else Reply(200, b"{}", _JSON)
        failed = [{"Id": one["Id"], "Code": self.code, "SenderFault": False} for one in refused]
        return replace(reply, content=json.dumps({**json.loads(reply.content or b"{}"), "Failed": failed}).encode())

    def _of_a_form(self, request: Request, ask: Ask) -> Reply:
        refused, kept = [], {}
        for name, value in parse_qsl(request.content.decode(), keep_blank_values=True):
            entry = re.fullmatch(rf"{_ENTRY}(\d+)(\..+)", name)
            if not entry:
                kept[name] = value
            elif int(entry[1]) % 2 == 0:
                kept[f"{_ENTRY}{int(entry[1]) // 2}{entry[2]}"] = value
            elif entry[2] == ".Id":
                refused.append(value)
        has_entries = any(name.startswith(_ENTRY) for name in kept)
        reply = ask(replace(request, content=urlencode(kept).encode())) if has_entries else Reply(200, _NONE, _XML)
        failed = "".join(
            f"<member><Id>{one}</Id><Code>{self.code}</Code><SenderFault>false</SenderFault></member>"
            for one in refused
        )
        text = re.sub(r"<Failed>.*?</Failed>|<Failed ?/>", "", reply.content.decode(), flags=re.DOTALL)
        end = "</PublishBatchResult>"
        return replace(reply, content=text.replace(end, f"<Failed>{failed}</Failed>{end}").encode())


def _named_in(asked: Mapping[str, object]) -> str:
    for name in ("QueueUrl", "TableName", "SecretId"):
        if name in asked:
            return str(asked[name])
    tables = asked.get("RequestItems")
    if isinstance(tables, dict):
        return str(next(iter(tables), ""))
    # A transaction has a table name in each item.
    items = asked.get("TransactItems")
    if isinstance(items, list) and items:
        return str(next(iter(items[0].values()))["TableName"])
    return ""
