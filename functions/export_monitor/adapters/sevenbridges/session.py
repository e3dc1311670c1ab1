"""Requests to the Seven Bridges API with the token and within the rate limit.

ApiUnavailableError       no usable answer; poll again later. Carries the Unavailable value that the watch waits on
└── StopBatchError        the batch's other requests would fail too, so send none
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from export_monitor.adapters.aws.secrets import TokenUnavailableError
from export_monitor.adapters.sevenbridges import responses
from export_monitor.adapters.sevenbridges.rate_limiter import RateLimiter
from export_monitor.adapters.sevenbridges.transport import HttpRequest, HttpResponse, TransportError
from export_monitor.domain.model import JsonObject, Unavailable

_CALL_LIMIT_SECONDS = 10.0
# With less time, a request would be cut off before a healthy API answers.
_MIN_SECONDS = 0.5
_DEFAULT_RESET_SECONDS = 60.0
_MIN_RESET_SECONDS = 1.0
# The documented interval of the rate limit is five minutes; a later reset is wrong.
_MAX_RESET_SECONDS = 330.0
# Larger numbers are milliseconds: as seconds this would be the year 5138.
_MILLISECONDS_FROM = 1e11

Count = Callable[[str], None]
TimeLeft = Callable[[], float]


class ApiUnavailableError(Exception):
    """A request that got no answer, or none from the API itself."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None, not_attempted: bool = False) -> None:
        super().__init__(message)
        self.unavailable = Unavailable(message, retry_after_seconds, not_attempted)


class StopBatchError(ApiUnavailableError):
    """Every further request of this batch would fail in the same way."""


class _RateLimitedError(StopBatchError):
    """The API's rate limit is used up. A reset time that has already passed is ignored."""

    def __init__(self, seconds: float) -> None:
        retry_after_seconds = seconds if seconds > _MIN_RESET_SECONDS else None
        super().__init__("the API's rate limit is used up", retry_after_seconds=retry_after_seconds, not_attempted=True)


class Transport(Protocol):
    """Sends one request within a time limit in seconds. Raises TransportError."""

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpResponse: ...


class Token(Protocol):
    """The API token: cached, or read again. Both raise TokenUnavailableError."""

    def get(self) -> str: ...
    def refresh(self) -> str: ...


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """A response with a status below 500 and a JSON object as its body; `total` is X-Total-Matching-Query."""

    status: int
    body: JsonObject
    total: str | None = None


class ApiSession:
    """One worker's requests to the API. `count` adds one to the named metric; `wall_clock` is in epoch seconds."""

    def __init__(
        self,
        base_url: str,
        transport: Transport,
        token: Token,
        rate_limiter: RateLimiter,
        count: Count,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._transport = transport
        self._token = token
        self._rate_limiter = rate_limiter
        self._count = count
        self._wall_clock = wall_clock

    def request(
        self,
        method: str,
        path: str,
        time_left: TimeLeft,
        payload: JsonObject | None = None,
        reserved: int | None = None,
        parse: Callable[[bytes], JsonObject | None] = responses.json_object,
    ) -> JsonResponse:
        """Send a request to a path below the API's base URL, within the seconds left.

        If the API rejects the token, the token is read from the secret again and the request sent once more.
        `reserved`: see RateLimiter.try_acquire. `parse` returns None for a body that does not come from the API.
        Raises ApiUnavailableError.
        """
        answer = self._send(method, path, time_left, payload, self._current_token, reserved)
        if answer.status == 401:
            answer = self._send(method, path, time_left, payload, self._fresh_token)
        if answer.status == 401:
            self._reject_token("the API rejects the token")
        body = parse(answer.body)
        if answer.status >= 500 or 300 <= answer.status < 400 or body is None:
            self._count("ApiErrors")
            text = f"HTTP {answer.status}" if body is None else f"HTTP {answer.status}, {responses.error_message(body)}"
            raise ApiUnavailableError(f"the API gave no usable answer ({text})")
        return JsonResponse(answer.status, body, answer.headers.get("X-Total-Matching-Query"))

    def unexpected_response(self, answer: JsonResponse) -> ApiUnavailableError:
        """The error to raise for a response that does not contain what was requested."""
        self._count("ApiErrors")
        code = responses.error_code(answer.body)
        if code is None:
            return ApiUnavailableError(f"the response does not come from the API (HTTP {answer.status})")
        return ApiUnavailableError(
            f"the API's error {code} (HTTP {answer.status}): {responses.error_message(answer.body)}"
        )

    def _send(
        self,
        method: str,
        path: str,
        time_left: TimeLeft,
        payload: JsonObject | None,
        token: Callable[[], str],
        reserved: int | None = None,
    ) -> HttpResponse:
        pause = self._rate_limiter.pause_remaining()
        if pause:
            raise _RateLimitedError(pause)
        secret = token()
        headers = {"X-SBG-Auth-Token": secret, "Content-Type": "application/json"}
        limit = min(_CALL_LIMIT_SECONDS, time_left())
        if limit < _MIN_SECONDS:
            raise StopBatchError("the invocation has no time left", not_attempted=True)
        if not self._rate_limiter.try_acquire(reserved):
            raise StopBatchError("this worker's share of the rate limit is used up", not_attempted=True)
        answer = self._exchange(HttpRequest(method, self._base_url + path, headers, payload), limit, time_left)
        self._apply_rate_limit(answer)
        # Responses end up in log lines and events, and may repeat what was sent.
        return replace(answer, body=answer.body.replace(secret.encode(), b"(the token)"))

    def _exchange(self, request: HttpRequest, limit: float, time_left: TimeLeft) -> HttpResponse:
        try:
            try:
                return self._transport.send(request, limit)
            except TransportError as error:
                # The server closed the connection while the worker was frozen: send once more, on a new connection.
                if not error.reused or not self._rate_limiter.try_acquire():
                    raise
                return self._transport.send(request, min(limit, max(time_left(), _MIN_SECONDS)))
        except TransportError as error:
            self._count("ApiErrors")
            error_type = StopBatchError if error.timed_out else ApiUnavailableError
            raise error_type(f"the API cannot be reached: {error}") from None

    def _current_token(self) -> str:
        try:
            return self._token.get()
        except TokenUnavailableError as error:
            return self._reject_token(str(error))

    def _fresh_token(self) -> str:
        try:
            return self._token.refresh()
        except TokenUnavailableError as error:
            return self._reject_token(str(error))

    def _reject_token(self, text: str) -> str:
        self._count("TokenRejected")
        raise StopBatchError(text)

    def _apply_rate_limit(self, answer: HttpResponse) -> None:
        remaining = answer.headers.get("X-RateLimit-Remaining", "").strip()
        if answer.status == 429 or remaining == "0":
            wait = _until_reset(answer.headers.get("X-RateLimit-Reset"), self._wall_clock())
            self._rate_limiter.pause_for(wait)
            if answer.status == 429:
                self._count("ApiThrottles")
                raise _RateLimitedError(wait)


def _until_reset(header: str | None, now: float) -> float:
    """Seconds until the rate limit's reset. The header is in epoch seconds; one old sample has milliseconds."""
    try:
        reset = float(header or "")
    except ValueError:
        return _DEFAULT_RESET_SECONDS
    if not math.isfinite(reset):
        return _DEFAULT_RESET_SECONDS
    seconds = reset / 1000 if reset > _MILLISECONDS_FROM else reset
    return min(max(seconds - now, _MIN_RESET_SECONDS), _MAX_RESET_SECONDS)
