"""Requests and answers of the simulated API as values, and what a fault makes of them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

from local.faults import Close, Drip, Fault, Hang, Html, LeftOut, OtherJob, Raw, Redirect, Status, Truncated, Wire


@dataclass(frozen=True)
class Request:
    """A request: `path` is the part below ``/v2`` as it was sent (empty outside), header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def body(self) -> Mapping[str, Any]:
        """The JSON object it carries; empty where it carries none (official clients send ``null`` with GET)."""
        try:
            body = json.loads(self.content)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    @property
    def ids(self) -> tuple[str, ...]:
        """What a bulk read asks for."""
        asked = self.body.get("export_ids", self.body.get("file_ids"))
        return tuple(map(str, asked)) if isinstance(asked, list) else ()


@dataclass(frozen=True)
class Reply:
    """An answer, and what befalls it on its way."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: Wire | None = None

    def with_usual(self, headers: Mapping[str, str]) -> "Reply":
        """The same with the headers that every answer carries, where it has none of that name."""
        own = {name.lower() for name in self.headers}
        kept = {name: value for name, value in headers.items() if name.lower() not in own}
        return replace(self, headers={**kept, **self.headers})


@dataclass(frozen=True)
class LoggedRequest:
    """One request as it arrived, and the status of its answer (None where no answer was sent as such).

    `at` is in epoch seconds, `path` is the part below ``/v2``; `ids` are those that the body of a bulk read asks for;
    header names are in lower case, and of the token it keeps only whether it was right.
    """

    at: float
    method: str
    path: str
    query: Mapping[str, tuple[str, ...]]
    header_names: frozenset[str]
    token_was_right: bool
    ids: tuple[str, ...]
    status: int | None


def json_reply(status: int, body: Mapping[str, Any], **headers: str) -> Reply:
    """An answer with a JSON body."""
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


def substitute(fault: Fault | None) -> Reply | None:
    """The answer that a fault puts in place of the platform's; None where the platform answers."""
    match fault:
        case Status(status, body, headers):
            if isinstance(body, str):
                return Reply(status, body.encode(), {"Content-Type": "text/plain", **headers})
            return json_reply(status, body, **headers)
        case Html(status):
            page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
            return Reply(status, page.encode(), {"Content-Type": "text/html"})
        case Redirect(location, status):
            return Reply(status, b"", {"Location": location})
    return None


def understood(request: Request, fault: Fault | None) -> Request:
    """The request as the platform takes it: as it was sent, unless a fault changes what was asked for."""
    match fault:
        case OtherJob(export_id) if request.ids:
            return _asking_for(request, [export_id] * len(request.ids))
        case OtherJob(export_id) if request.path.startswith("/storage/exports/"):
            return replace(request, path=f"/storage/exports/{export_id}")
        case LeftOut(export_id):
            return _asking_for(request, [asked for asked in request.ids if asked != export_id])
    return request


def on_the_wire(fault: Fault | None) -> Wire | None:
    """The fault, where it is one of the way to the client."""
    return fault if isinstance(fault, Truncated | Hang | Drip | Close | Raw) else None


def logged(at: float, request: Request, reply: Reply, *, token_was_right: bool) -> LoggedRequest:
    """The entry of the log for a request and the answer that it is about to get."""
    return LoggedRequest(
        at=at,
        method=request.method,
        path=request.path,
        query={name: tuple(values) for name, values in parse_qs(request.query).items()},
        header_names=frozenset(request.headers),
        token_was_right=token_was_right,
        ids=request.ids,
        status=None if isinstance(reply.wire, Close | Raw) else reply.status,
    )


def _asking_for(request: Request, export_ids: list[str]) -> Request:
    return replace(request, content=json.dumps({"export_ids": export_ids}).encode())
