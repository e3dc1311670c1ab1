"""One HTTP exchange with limits that hold: of the whole time, and of the body's size.

requests bounds each read of the socket, so a server that sends a byte now and then is never cut off by it. Here the
exchange runs in a thread that is waited for no longer than its limit, and that gives up by itself soon after, or is
left alone where a server drips the head of its answer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from export_monitor.adapters.timeouts import CallTimeoutError, TimeoutExecutor

MAX_BODY_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent: the path's host is never anything but the configured one, and redirects are not followed."""

    method: str
    url: str
    headers: dict[str, str]
    json: Any = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What came back, whole. `headers` are looked up without regard to case."""

    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    body: bytes


class TransportError(Exception):
    """No whole answer came. `slow` where it was waited for in vain, so that asking on would cost as much again.

    `reused` where a connection that had served before broke before any answer: the other side had dropped it, and the
    same request may pass on a new one.
    """

    def __init__(self, text: str, *, timed_out: bool = False, reused: bool = False) -> None:
        super().__init__(text)
        self.timed_out = timed_out
        self.reused = reused


class HttpTransport:
    """Sends requests one after the other over kept connections."""

    def __init__(self) -> None:
        self._session = _Session()
        self._threads = TimeoutExecutor(1)

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpResponse:
        """Send and wait for the whole answer, at most so long. Raises NoAnswerError."""
        session = self._session
        # Half a second more, since who gives up by itself leaves the thread and the session free.
        [outcome] = self._threads.run([lambda: _exchange(session, request, limit_seconds)], limit_seconds + 0.5)
        if isinstance(outcome, CallTimeoutError):
            # The thread may be busy for as long as the server likes, and its session must not be shared.
            self._session = _Session()
            raise TransportError(f"no answer within {limit_seconds:.0f} s", timed_out=True)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _Session(requests.Session):
    """Counts the connections that it opens, which tells whether a request was sent on one that had served before."""

    def __init__(self) -> None:
        super().__init__()
        # Neither a .netrc nor a proxy variable may see the token.
        self.trust_env = False
        self.opened = 0
        for scheme, pool in (("http", urllib3.HTTPConnectionPool), ("https", urllib3.HTTPSConnectionPool)):
            adapter = requests.adapters.HTTPAdapter()
            adapter.poolmanager.pool_classes_by_scheme = {scheme: self._counting(pool)}
            self.mount(f"{scheme}://", adapter)

    def _counting(self, pool: type[urllib3.HTTPConnectionPool]) -> type[urllib3.HTTPConnectionPool]:
        connect: Callable[[Any], None] = pool.ConnectionCls.connect

        def counted(connection: Any) -> None:
            self.opened += 1
            connect(connection)

        connection_class = type(pool.ConnectionCls.__name__, (pool.ConnectionCls,), {"connect": counted})
        return type(pool.__name__, (pool,), {"ConnectionCls": connection_class})


def _exchange(session: _Session, request: HttpRequest, limit_seconds: float) -> HttpResponse:
    deadline = time.monotonic() + limit_seconds
    opened = session.opened
    answered = False
    try:
        with session.request(
            request.method,
            request.url,
            headers=request.headers | {"Accept-Encoding": "identity"},
            json=request.json,
            timeout=(min(5.0, limit_seconds), limit_seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            answered = True
            return HttpResponse(response.status_code, response.headers, _body(response, deadline))
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise TransportError("no answer in time", timed_out=True) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        # requests wraps the errors of its own calls; those of reading the body come as urllib3 raises them.
        is_broken = isinstance(error, requests.ConnectionError) and not answered
        reused = is_broken and session.opened == opened > 0
        raise TransportError(f"the connection failed ({type(error).__name__})", reused=reused) from None


def _body(response: requests.Response, deadline: float) -> bytes:
    parts, size = [], 0
    # read1 returns what one read of the socket brings; read would wait for a whole chunk, however slowly it drips. A
    # body that ends before its announced length is an error of urllib3's. A server may compress a body though it was
    # asked not to; the limit is that of what it inflates to.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TransportError(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TransportError("the answer came too slowly", timed_out=True)
    return b"".join(parts)
