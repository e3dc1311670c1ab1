"""What can go wrong between a client and the API, as values: a test says which requests, and what becomes of them.

Three kinds, by where they bite:

    OtherJob, LeftOut                    change what was asked; the platform then answers in earnest
    Status, Html, Redirect               take the place of the platform's answer
    Truncated, Hang, Drip, Close, Raw    spoil the way of the answer to the client, on the socket itself
"""

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Match:
    """Which requests a fault meets: every given condition has to hold.

    `path` is a regular expression for the whole path below ``/v2``, without the query. `export_id` is met where the
    path ends with it or a bulk read asks for it.
    """

    method: str | None = None
    path: str | None = None
    export_id: str | None = None

    def meets(self, method: str, path: str, ids: tuple[str, ...]) -> bool:
        return (
            self.method in (None, method)
            and (self.path is None or re.fullmatch(self.path, path) is not None)
            and (self.export_id is None or self.export_id in ids or path.endswith(f"/{self.export_id}"))
        )


@dataclass(frozen=True)
class OtherJob:
    """Another export's body: `export_id` is looked up in place of every export that the request names."""

    export_id: str


@dataclass(frozen=True)
class LeftOut:
    """A bulk answer that lacks `export_id`, as if it had not been asked for."""

    export_id: str


@dataclass(frozen=True)
class Status:
    """An answer of this status: a mapping goes out as JSON, a text as plain text; `headers` win over the usual ones."""

    status: int
    body: Mapping[str, object] | str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Html:
    """What a gateway in front of the API says: a page for people, with this status."""

    status: int


@dataclass(frozen=True)
class Redirect:
    """A redirect to `location`, which an API client that carries a token must not follow."""

    location: str
    status: int = 302


@dataclass(frozen=True)
class Truncated:
    """The ordinary answer with its full Content-Length, cut off in the middle of the body by a closed connection."""


@dataclass(frozen=True)
class Hang:
    """Nothing for so long, then the ordinary answer as it was when asked for."""

    seconds: float


@dataclass(frozen=True)
class Drip:
    """The ordinary answer, its body byte by byte with so long between two: no single read of the socket times out."""

    seconds: float


@dataclass(frozen=True)
class Close:
    """A connection closed without an answer."""


@dataclass(frozen=True)
class Raw:
    """Just these bytes, HTTP or not, and a closed connection."""

    content: bytes


Question = OtherJob | LeftOut
Substitute = Status | Html | Redirect
Wire = Truncated | Hang | Drip | Close | Raw
Fault = Question | Substitute | Wire


@dataclass
class _Planned:
    match: Match
    fault: Fault
    left: int | None


class FaultPlan:
    """The faults that wait for their requests; `lock` guards them."""

    def __init__(self, lock: threading.RLock) -> None:
        self._lock = lock
        self._planned: list[_Planned] = []

    def add(self, match: Match, fault: Fault, times: int | None) -> None:
        """Plan a fault for the next requests that match: so many of them, or all of them."""
        with self._lock:
            self._planned.append(_Planned(match, fault, times))

    def clear(self) -> None:
        """Forget every planned fault."""
        with self._lock:
            self._planned.clear()

    def take(self, method: str, path: str, ids: tuple[str, ...]) -> Fault | None:
        """The first planned fault that meets this request, if any; it is used up by that."""
        with self._lock:
            for planned in self._planned:
                if planned.left != 0 and planned.match.meets(method, path, ids):
                    planned.left = None if planned.left is None else planned.left - 1
                    return planned.fault
        return None
