"""What can go wrong between the function and AWS, as values; calls as they pass by, and answers that are made up.

Refused                 takes the place of the service's answer
PartlyRefused           lets half of a batch through
Hang, Drip, Close       spoil the way, as between a client and the API (see local.faults)
Interrupted             does something before or after the call is made, and closes the connection: an answer that
                        is lost, or a function that is killed
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from local.faults import Close, Drip, Hang

_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/(?P<service>[^/]+)/aws4_request")
# The query that tells S3's calls apart, longest first where one has several.
_S3_CALLS = {
    ("GET", "ownershipControls"): "GetBucketOwnershipControls",
    ("GET", "acl"): "GetObjectAcl",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
}


@dataclass(frozen=True)
class AwsCall:
    """One call: `service` and `operation` by AWS's names, `resource` as the call names it.

    That is a queue's URL, a topic's or secret's ARN, a table's name, a bucket, or bucket/key. `versioned` where S3 is
    asked for one version of an object.
    """

    service: str
    operation: str
    resource: str
    versioned: bool = False


@dataclass(frozen=True)
class Refused:
    """An error of the service's own, in the shape of its protocol."""

    status: int
    code: str


@dataclass(frozen=True)
class PartlyRefused:
    """Every second entry of a batch is refused with this code; the others reach the service."""

    code: str


@dataclass(frozen=True)
class Interrupted:
    """`act` is called before or after the call is made; then the connection is closed without an answer."""

    moment: Literal["before", "after"]
    act: Callable[[], None] = lambda: None


AwsFault = Refused | PartlyRefused | Hang | Drip | Close | Interrupted
FaultFor = Callable[[AwsCall], AwsFault | None]


@dataclass(frozen=True)
class AwsRequest:
    """A request as it passes by; header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def call(self) -> AwsCall:
        """What is called, read from where each protocol names it."""
        scope = _SCOPE.search(self.headers.get("authorization", ""))
        service = scope["service"] if scope else ""
        if service == "s3":
            return self._s3_call()
        if "x-amz-target" in self.headers:
            operation = self.headers["x-amz-target"].partition(".")[2]
            return AwsCall(service, operation, _named_in(json.loads(self.body or b"{}")))
        form = dict(parse_qsl(self.body.decode()))
        return AwsCall(service, form.get("Action", ""), form.get("TopicArn", ""))

    def _s3_call(self) -> AwsCall:
        url = urlsplit(self.target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        resource = unquote(url.path).removeprefix("/")
        sub_resource = next((name for name in ("ownershipControls", "acl") if name in query), "")
        operation = _S3_CALLS.get((self.method, sub_resource), "")
        if operation == "GetObjectAcl" and not resource.partition("/")[2]:
            operation = "GetBucketAcl"
        return AwsCall("s3", operation, resource.rstrip("/"), versioned="versionId" in query)


@dataclass(frozen=True)
class Reached:
    """A request as it reached its service, and the status of what the service answered.

    The function asked at `asked_at`, the service answered at `answered_at`, in epoch seconds; with some faults the
    answer never went back.
    """

    request: AwsRequest
    status: int
    fault: AwsFault | None
    asked_at: float
    answered_at: float


@dataclass(frozen=True)
class AwsAnswer:
    """An answer as it goes back."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def refusal(request: AwsRequest, fault: Refused) -> AwsAnswer:
    """A service's error, in the shape of the protocol that it was asked by."""
    if "x-amz-target" in request.headers:
        body = json.dumps({"__type": f"com.amazonaws#{fault.code}", "message": fault.code}).encode()
        return AwsAnswer(fault.status, {"Content-Type": "application/x-amz-json-1.0"}, body)
    error = f"<Error><Type>Receiver</Type><Code>{fault.code}</Code><Message>{fault.code}</Message></Error>"
    if request.call.service != "s3":
        error = f"<ErrorResponse>{error}<RequestId>made-up</RequestId></ErrorResponse>"
    return AwsAnswer(fault.status, {"Content-Type": "text/xml"}, b"" if request.method == "HEAD" else error.encode())


def halved(request: AwsRequest) -> tuple[AwsRequest | None, list[str]]:
    """A batch call without every second of its entries, None where none is left, and the ids of those."""
    if "x-amz-target" in request.headers:
        asked = json.loads(request.body)
        refused = [entry["Id"] for entry in asked["Entries"][::2]]
        asked["Entries"] = asked["Entries"][1::2]
        return replace(request, body=json.dumps(asked).encode()) if asked["Entries"] else None, refused
    form = parse_qsl(request.body.decode(), keep_blank_values=True)
    refused, kept = [], []
    for name, value in form:
        entry = re.fullmatch(r"PublishBatchRequestEntries\.member\.(\d+)(\..+)", name)
        number = int(entry[1]) if entry else 0
        if entry and number % 2:
            refused += [value] if entry[2] == ".Id" else []
        else:
            kept.append((f"PublishBatchRequestEntries.member.{number // 2}{entry[2]}" if entry else name, value))
    has_entries = any(name.startswith("PublishBatchRequestEntries") for name, _ in kept)
    return replace(request, body=urlencode(kept).encode()) if has_entries else None, refused


def with_refused(request: AwsRequest, answer: AwsAnswer, ids: list[str], code: str) -> AwsAnswer:
    """The answer to the rest of a batch, which says of the others that they failed; `request` is the whole call."""
    if "x-amz-target" in request.headers:
        said = json.loads(answer.body or b"{}")
        said["Failed"] = [{"Id": one, "Code": code, "SenderFault": False} for one in ids]
        return replace(answer, body=json.dumps(said).encode())
    failed = "".join(
        f"<member><Id>{one}</Id><Code>{code}</Code><SenderFault>false</SenderFault></member>" for one in ids
    )
    text = re.sub(r"<Failed>.*?</Failed>|<Failed ?/>", "", answer.body.decode(), flags=re.DOTALL)
    body = text.replace("</PublishBatchResult>", f"<Failed>{failed}</Failed></PublishBatchResult>")
    return replace(answer, body=body.encode())


def nothing_of_a_batch(request: AwsRequest) -> AwsAnswer:
    """The answer to a batch of which no entry reached the service."""
    if "x-amz-target" in request.headers:
        return AwsAnswer(200, {"Content-Type": "application/x-amz-json-1.0"}, b"{}")
    body = b"<PublishBatchResponse><PublishBatchResult></PublishBatchResult></PublishBatchResponse>"
    return AwsAnswer(200, {"Content-Type": "text/xml"}, body)


def _named_in(asked: Mapping[str, object]) -> str:
    for name in ("QueueUrl", "TableName", "SecretId"):
        if name in asked:
            return str(asked[name])
    tables = asked.get("RequestItems")
    if isinstance(tables, dict):
        return str(next(iter(tables), ""))
    # A transaction names its table with each item.
    items = asked.get("TransactItems")
    if isinstance(items, list) and items:
        return str(next(iter(items[0].values()))["TableName"])
    return ""
