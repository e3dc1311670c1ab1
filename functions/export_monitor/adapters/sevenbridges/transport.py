"""HTTP requests with a limit for the whole time and for the size of the body.

The timeouts of requests bound each read of the socket, not the whole exchange, so a server that sends a byte now and
then never hits them. Here the exchange runs in a thread, and the caller waits no longer than the limit. The thread
gives up by itself soon after; it is abandoned if a server sends its headers too slowly.
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
    """A request. `json` is the payload, if there is one."""

    method: str
    url: str
    headers: dict[str, str]
    json: Any = None


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete response. The names of `headers` are case-insensitive."""

    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    body: bytes


class TransportError(Exception):
    """There is no complete response.

    `timed_out`: further requests would probably cost as much time. `reused`: a reused connection broke before any
    response, so the server had closed it, and the same request may succeed on a new one.
    """

    def __init__(self, message: str, *, timed_out: bool = False, reused: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out
        self.reused = reused


class HttpTransport:
    """Sends requests one after the other over persistent connections."""

    def __init__(self) -> None:
        self._session = _Session()
        self._threads = TimeoutExecutor(1)

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpResponse:
        """Send a request and return the complete response. Raises TransportError."""
        session = self._session
        # Half a second more: a thread that gives up by itself can be used again, and so can its session.
        [outcome] = self._threads.run([lambda: _exchange(session, request, limit_seconds)], limit_seconds + 0.5)
        if isinstance(outcome, CallTimeoutError):
            # The thread may stay busy for as long as the server likes, and its session must not be shared.
            self._session = _Session()
            raise TransportError(f"no answer within {limit_seconds:.0f} s", timed_out=True)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class _Session(requests.Session):
    """Counts the connections that it opens, to know whether a request used an existing one."""

    def __init__(self) -> None:
        super().__init__()
        # A .netrc file must not replace the headers, and no proxy may see the token.
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
        # requests wraps the errors of its own calls; reading the body raises the errors of urllib3.
        is_broken = isinstance(error, requests.ConnectionError) and not answered
        reused = is_broken and session.opened == opened > 0
        raise TransportError(f"the connection failed ({type(error).__name__})", reused=reused) from None


def _body(response: requests.Response, deadline: float) -> bytes:
    parts, size = [], 0
    # read1 returns after one read of the socket; read would wait for a whole chunk, however slowly it arrives. urllib3
    # raises an error for a body that is shorter than its announced length. The size limit applies to the decompressed
    # body, because a server may compress although the request forbids it.
    while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise TransportError(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise TransportError("the answer came too slowly", timed_out=True)
    return b"".join(parts)
