"""HTTP requests and replies as values."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from local.faults import Wire


@dataclass(frozen=True)
class Request:
    """A request; `target` is path and query as they were sent, header names are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    content: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> str:
        return urlsplit(self.target).query

    @property
    def body(self) -> Mapping[str, Any]:
        """The JSON object in the body; empty if there is none (official clients send ``null`` with GET)."""
        try:
            body = json.loads(self.content)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def with_body(self, body: Mapping[str, Any]) -> "Request":
        return replace(self, content=json.dumps(body).encode())


@dataclass(frozen=True)
class Reply:
    """A reply, and a fault on the wire."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    wire: "Wire | None" = None


def json_reply(status: int, body: Mapping[str, Any], **headers: str) -> Reply:
    """A reply with a JSON body."""
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
