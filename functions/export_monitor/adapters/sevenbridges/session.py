"""A conversation with the Seven Bridges API: one question, one answer, at the API's pace and with the token.

NotAnsweredError          ask later; carries the Obstacle that the watch waits on
└── BatchOverError        and ask nothing more for this batch
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
# Below this a call is not worth starting: it would be cut off before a healthy API answers.
_LEAST_SECONDS = 0.5
_RESET_UNKNOWN_SECONDS = 60.0
_RESET_SHORTEST_SECONDS = 1.0
# The interval of the documented limit is five minutes; a reset further ahead than that is not believed.
_RESET_LONGEST_SECONDS = 330.0
# As seconds this would be the year 5138.
_MILLISECONDS_FROM = 1e11

Count = Callable[[str], None]
TimeLeft = Callable[[], float]


class ApiUnavailableError(Exception):
    """A question that was not answered, or not by the API."""

    def __init__(self, text: str, *, retry_after_seconds: float | None = None, not_attempted: bool = False) -> None:
        super().__init__(text)
        self.unavailable = Unavailable(text, retry_after_seconds, not_attempted)


class StopBatchError(ApiUnavailableError):
    """The same would befall every further question of this batch."""


class _RateLimitedError(StopBatchError):
    """The API's rate limit is used up; how long for is not believed where it says that it is over already."""

    def __init__(self, seconds: float) -> None:
        retry_after_seconds = seconds if seconds > _RESET_SHORTEST_SECONDS else None
        super().__init__("the API's rate limit is used up", retry_after_seconds=retry_after_seconds, not_attempted=True)


class Transport(Protocol):
    """Sends one request within a time limit in seconds; raises NoAnswerError."""

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpResponse: ...


class Token(Protocol):
    """The API token; both raise TokenUnavailableError."""

    def get(self) -> str: ...
    def refresh(self) -> str: ...


@dataclass(frozen=True, slots=True)
class JsonResponse:
    """An answer below 500 whose body is a JSON object; of a list, the header that says how long it is."""

    status: int
    body: JsonObject
    total: str | None = None


class ApiSession:
    """One worker's conversation with the API. `count` takes the name of a metric; the clock is in epoch seconds."""

    def __init__(
        self,
        base_url: str,
        exchange: Transport,
        token: Token,
        rate_limiter: RateLimiter,
        count: Count,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._exchange = exchange
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
        """Send a request to a path below the API's URL, within the seconds left.

        Where the token is rejected, it is repeated once with the token that the secret holds now.
        `owed` says how many follow-ups of other requests the pace must leave room for; `parse` reads the body, and
        returns None for one that is not the API's. Raises NotAnsweredError.
        """
        answer = self._send(method, path, time_left, payload, self._current_token, reserved)
        if answer.status == 401:
            answer = self._send(method, path, time_left, payload, self._fresh_token)
        if answer.status == 401:
            self._refuse_token("the API refuses the token")
        body = parse(answer.body)
        if answer.status >= 500 or 300 <= answer.status < 400 or body is None:
            self._count("ApiErrors")
            text = f"HTTP {answer.status}" if body is None else f"HTTP {answer.status}, {responses.error_message(body)}"
            raise ApiUnavailableError(f"the API did not answer as itself ({text})")
        return JsonResponse(answer.status, body, answer.headers.get("X-Total-Matching-Query"))

    def unexpected_response(self, answer: JsonResponse) -> ApiUnavailableError:
        """What to raise for an answer that says nothing of what was asked for."""
        self._count("ApiErrors")
        code = responses.error_code(answer.body)
        if code is None:
            return ApiUnavailableError(f"an answer that is not the API's own (HTTP {answer.status})")
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
        closed = self._rate_limiter.pause_remaining()
        if closed:
            raise _RateLimitedError(closed)
        secret = token()
        headers = {"X-SBG-Auth-Token": secret, "Content-Type": "application/json"}
        limit = min(_CALL_LIMIT_SECONDS, time_left())
        if limit < _LEAST_SECONDS:
            raise StopBatchError("the invocation's time is up", not_attempted=True)
        if not self._rate_limiter.try_acquire(reserved):
            raise StopBatchError("this worker's share of the rate limit is used up", not_attempted=True)
        answer = self._answer(HttpRequest(method, self._base_url + path, headers, payload), limit, time_left)
        self._heed_rate_limit(answer)
        # What the API says ends up in log lines and events, and an API may repeat what it was sent.
        return replace(answer, body=answer.body.replace(secret.encode(), b"(the token)"))

    def _answer(self, request: HttpRequest, limit: float, time_left: TimeLeft) -> HttpResponse:
        try:
            try:
                return self._exchange.send(request, limit)
            except TransportError as error:
                # While the worker was frozen, the other side dropped the connection: once more, on a new one.
                if not error.reused or not self._rate_limiter.try_acquire():
                    raise
                return self._exchange.send(request, min(limit, max(time_left(), _LEAST_SECONDS)))
        except TransportError as error:
            self._count("ApiErrors")
            kind = StopBatchError if error.timed_out else ApiUnavailableError
            raise kind(f"the API cannot be reached: {error}") from None

    def _current_token(self) -> str:
        try:
            return self._token.get()
        except TokenUnavailableError as error:
            return self._refuse_token(str(error))

    def _fresh_token(self) -> str:
        try:
            return self._token.refresh()
        except TokenUnavailableError as error:
            return self._refuse_token(str(error))

    def _refuse_token(self, text: str) -> str:
        self._count("TokenRejected")
        raise StopBatchError(text)

    def _heed_rate_limit(self, answer: HttpResponse) -> None:
        remaining = answer.headers.get("X-RateLimit-Remaining", "").strip()
        if answer.status == 429 or remaining == "0":
            wait = _until_reset(answer.headers.get("X-RateLimit-Reset"), self._wall_clock())
            self._rate_limiter.pause_for(wait)
            if answer.status == 429:
                self._count("ApiThrottles")
                raise _RateLimitedError(wait)


def _until_reset(header: str | None, now: float) -> float:
    """Seconds until the rate limit's reset, given in epoch seconds, or milliseconds in one old sample."""
    try:
        reset = float(header or "")
    except ValueError:
        return _RESET_UNKNOWN_SECONDS
    if not math.isfinite(reset):
        return _RESET_UNKNOWN_SECONDS
    seconds = reset / 1000 if reset > _MILLISECONDS_FROM else reset
    return min(max(seconds - now, _RESET_SHORTEST_SECONDS), _RESET_LONGEST_SECONDS)
