"""One HTTP exchange with limits that hold: of the whole time, and of the body's size.

requests bounds each read of the socket, so a server that sends a byte now and then is never cut off by it. Here the
exchange runs in a thread that is waited for no longer than its limit, and that gives up by itself soon after.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

import requests

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
        self._executor = ThreadPoolExecutor(max_workers=8, thread_name_prefix="http")

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpAnswer:
        """Send and wait for the whole answer, at most so long. Raises NoAnswerError."""
        exchange = self._executor.submit(_exchange, self._session, request, limit_seconds)
        try:
            return exchange.result(limit_seconds + 0.5)
        except FutureTimeoutError:
            # The thread still uses the session, which must not be shared.
            self._session = _new_session()
            raise NoAnswerError(f"no answer within {limit_seconds:.0f} s", slow=True) from None


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
    except requests.Timeout:
        raise NoAnswerError("no answer in time", slow=True) from None
    except (requests.RequestException, OSError, ValueError) as error:
        # urllib3's and http.client's own errors are OSError or ValueError, or wrapped by requests.
        raise NoAnswerError(f"the connection failed ({type(error).__name__})") from None


def _body(response: requests.Response, deadline: float) -> bytes:
    expected = response.headers.get("Content-Length", "")
    parts, size = [], 0
    # read1 returns what one read of the socket brings; read would wait for a whole chunk, however slowly it drips.
    while chunk := response.raw.read1(_CHUNK_BYTES):
        parts.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise NoAnswerError(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        if time.monotonic() > deadline:
            raise NoAnswerError("the answer came too slowly", slow=True)
    if expected.isdigit() and size < int(expected):
        raise NoAnswerError("the answer was cut off")
    return b"".join(parts)
