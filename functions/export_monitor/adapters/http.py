"""One HTTP exchange with limits that hold: of the whole time, and of the body's size.

requests bounds each read of the socket, so a server that sends a byte now and then is never cut off by it. Here the
exchange runs in a thread that is waited for no longer than its limit, and that gives up by itself soon after, or is
left alone where a server drips the head of its answer.
"""

import time
from dataclasses import dataclass
from typing import Any

import requests
import urllib3

from export_monitor.adapters.threads import LateError, Threads

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
class HttpAnswer:
    """What came back, whole. `headers` are looked up without regard to case."""

    status: int
    headers: requests.structures.CaseInsensitiveDict[str]
    body: bytes


class NoAnswerError(Exception):
    """No whole answer came. `slow` where it was waited for in vain, so that asking on would cost as much again."""

    def __init__(self, text: str, *, slow: bool = False) -> None:
        super().__init__(text)
        self.slow = slow


class HttpExchange:
    """Sends requests one after the other over kept connections."""

    def __init__(self) -> None:
        self._session = _new_session()
        self._threads = Threads(1)

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpAnswer:
        """Send and wait for the whole answer, at most so long. Raises NoAnswerError."""
        session = self._session
        # Half a second more, since who gives up by itself leaves the thread and the session free.
        [outcome] = self._threads.run([lambda: _exchange(session, request, limit_seconds)], limit_seconds + 0.5)
        if isinstance(outcome, LateError):
            # The thread may be busy for as long as the server likes, and its session must not be shared.
            self._session = _new_session()
            raise NoAnswerError(f"no answer within {limit_seconds:.0f} s", slow=True)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def _new_session() -> requests.Session:
    session = requests.Session()
    # Neither a .netrc nor a proxy variable may see the token.
    session.trust_env = False
    return session


def _exchange(session: requests.Session, request: HttpRequest, limit_seconds: float) -> HttpAnswer:
    deadline = time.monotonic() + limit_seconds
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
            return HttpAnswer(response.status_code, response.headers, _body(response, deadline))
    except (requests.Timeout, urllib3.exceptions.TimeoutError):
        raise NoAnswerError("no answer in time", slow=True) from None
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as error:
        # requests wraps the errors of its own calls; those of reading the body come as urllib3 raises them.
        raise NoAnswerError(f"the connection failed ({type(error).__name__})") from None


def _body(response: requests.Response, deadline: float) -> bytes:
    parts, size = [], 0
    # read1 returns what one read of the socket brings; read would wait for a whole chunk, however slowly it drips. A
    # body that ends before its announced length is an error of urllib3's.
    while chunk := response.raw.read1(_CHUNK_BYTES):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise NoAnswerError(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise NoAnswerError("the answer came too slowly", slow=True)
    return b"".join(parts)
