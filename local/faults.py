"""Faults of calls to the API and to AWS: which calls they affect, and how.

A fault stands between a client and a service. It is given the request, and a function that asks the service:

    WrongJob, OmittedItem                change the request to the API
    Status, html_page, redirect          reply instead of the service
    Truncated, Hang, Drip, Close, Raw    damage the service's reply on the socket
    Disconnect                           runs a callback before or after the call, and closes the connection

Faults in AWS's protocols are in `local.aws_calls`.
"""

import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any, Literal, Protocol

from local.http_messages import Reply, Request, json_reply

Ask = Callable[[Request], Reply]


class Fault(Protocol):
    """A fault that a call can meet."""

    def meet(self, request: Request, ask: Ask, /) -> Reply:
        """The reply to a request that meets this fault."""


@dataclass(frozen=True)
class Call:
    """A call of a service.

    Of the API (`service` is ``api``) `operation` is the HTTP method, `resource` the path below ``/v2``, and `ids` are
    what the body of a bulk read asks for. Of AWS `service` and `operation` have AWS's names, and `resource` is what the
    call names: a queue's URL, a topic's or secret's ARN, a table's name, a bucket, or bucket/key; `versioned` where S3
    is asked for one version of an object.
    """

    service: str
    operation: str
    resource: str
    ids: tuple[str, ...] = ()
    versioned: bool = False


FaultFor = Callable[[Call], Fault | None]


@dataclass(frozen=True)
class Match:
    """Which calls a fault affects: all given conditions must hold.

    `path` is a regular expression for the whole resource. `export_id` matches if the resource ends with it or a bulk
    read contains it.
    """

    operations: Collection[str] = ()
    path: str | None = None
    export_id: str | None = None
    service: str | None = None

    def meets(self, call: Call) -> bool:
        return (
            self.service in (None, call.service)
            and (not self.operations or call.operation in self.operations)
            and (self.path is None or re.fullmatch(self.path, call.resource) is not None)
            and (self.export_id is None or self.export_id in call.ids or call.resource.endswith(f"/{self.export_id}"))
        )


@dataclass(frozen=True)
class WrongJob:
    """The body of another export: `export_id` replaces every export in the request."""

    export_id: str

    def meet(self, request: Request, ask: Ask) -> Reply:
        if "export_ids" in request.body:
            return ask(request.with_body({"export_ids": [self.export_id] * len(request.body["export_ids"])}))
        single = re.sub(r"^(/v2/storage/exports/)[^/?]+", rf"\g<1>{self.export_id}", request.target)
        return ask(replace(request, target=single))


@dataclass(frozen=True)
class OmittedItem:
    """A bulk reply that lacks `export_id`, as if it were not in the request."""

    export_id: str

    def meet(self, request: Request, ask: Ask) -> Reply:
        asked = request.body.get("export_ids", [])
        return ask(request.with_body({"export_ids": [one for one in asked if one != self.export_id]}))


@dataclass(frozen=True)
class Status:
    """A reply with this status: a mapping goes out as JSON, a text as plain text; `headers` win over the usual ones."""

    status: int
    body: Mapping[str, Any] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def meet(self, _request: Request, _ask: Ask) -> Reply:
        if isinstance(self.body, str):
            return Reply(self.status, self.body.encode(), {"Content-Type": "text/plain", **self.headers})
        return json_reply(self.status, self.body, **self.headers)


def html_page(status: int) -> Status:
    """An HTML error page, as a gateway in front of the API sends it."""
    return Status(status, f"<html><body><h1>{status}</h1></body></html>", {"Content-Type": "text/html"})


def redirect(location: str) -> Status:
    """A redirect, which an API client that carries a token must not follow."""
    return Status(302, headers={"Location": location})


class Wire:
    """A fault on the way back to the client."""

    def meet(self, request: Request, ask: Ask) -> Reply:
        return replace(ask(request), wire=self)


class Truncated(Wire):
    """The ordinary reply with its full Content-Length, cut off in the middle of the body by a closed connection."""


@dataclass(frozen=True)
class Hang(Wire):
    """No reply for `seconds`, then the API's reply as of the request. AWS is called only afterwards."""

    seconds: float


@dataclass(frozen=True)
class Drip(Wire):
    """The ordinary reply byte by byte with `seconds` in between: no single read of the socket times out."""

    seconds: float


class Close(Wire):
    """A connection closed without a reply."""


@dataclass(frozen=True)
class Raw(Wire):
    """Just these bytes, HTTP or not, and a closed connection."""

    content: bytes


@dataclass(frozen=True)
class Disconnect:
    """Calls `act` before or after the service, then closes the connection: loses a reply or kills a function."""

    moment: Literal["before", "after"]
    act: Callable[[], None] = lambda: None

    def meet(self, request: Request, ask: Ask) -> Reply:
        if self.moment == "after":
            ask(request)
        self.act()
        return Reply(0, wire=Close())


class FaultPlan:
    """Planned faults that have not met a call yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._planned: list[tuple[Match, Fault, Iterator[bool]]] = []

    def add(self, match: Match, fault: Fault, times: int | None) -> None:
        """Plan a fault for the next `times` calls that match; None: all of them."""
        with self._lock:
            self._planned.append((match, fault, repeat(True) if times is None else repeat(True, times)))

    def clear(self) -> None:
        """Remove every planned fault."""
        with self._lock:
            self._planned.clear()

    def take(self, call: Call) -> Fault | None:
        """The first planned fault that meets this call, if any; this counts as one use."""
        with self._lock:
            return next((one for match, one, left in self._planned if match.meets(call) and next(left, False)), None)
