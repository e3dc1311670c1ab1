"""The Seven Bridges API v2, as far as a watch needs it: jobs, volumes and files, singly and in bulk.

    NotAnsweredError          ask later; carries the Obstacle that the watch waits on
    └── BatchOverError        and ask nothing more for this batch

What the API itself says of a thing, that it is unknown or not shown, is a value (Denied), not an error.
"""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

from export_monitor.adapters import bodies
from export_monitor.adapters.api_token import TokenUnavailableError
from export_monitor.adapters.http import HttpAnswer, HttpRequest, NoAnswerError
from export_monitor.adapters.pace import Pace
from export_monitor.domain.model import (
    Denial,
    Denied,
    ExportJob,
    FileAnswer,
    JobAnswer,
    JobPage,
    JsonObject,
    Obstacle,
    SourceFile,
    Volume,
    VolumeAnswer,
)

BULK_LIMIT = 100
LIST_LIMIT = 100
_CALL_LIMIT_SECONDS = 10.0
# Below this a call is not worth starting: it would be cut off before a healthy API answers.
_LEAST_SECONDS = 0.5
_BULK_RETRIED_AFTER_SECONDS = 3600.0
_VOLUME_REMEMBERED_SECONDS = 900.0
# Of so many exports a worker remembers in which order the API answered about them, in about 2 MB.
_TURNS_REMEMBERED = 20_000
_RESET_UNKNOWN_SECONDS = 60.0
_RESET_SHORTEST_SECONDS = 1.0
# The interval of the documented limit is five minutes; a reset further ahead than that is not believed.
_RESET_LONGEST_SECONDS = 330.0
# As seconds this would be the year 5138.
_MILLISECONDS_FROM = 1e11

Parsed = TypeVar("Parsed", ExportJob, Volume, SourceFile)
Count = Callable[[str], None]
TimeLeft = Callable[[], float]


class NotAnsweredError(Exception):
    """A question that was not answered, or not by the API."""

    def __init__(self, text: str, *, wait_seconds: float | None = None, unasked: bool = False) -> None:
        super().__init__(text)
        self.obstacle = Obstacle(text, wait_seconds, unasked)


class BatchOverError(NotAnsweredError):
    """The same would befall every further question of this batch."""


class _RateLimitedError(BatchOverError):
    """The API's rate limit is used up; how long for is not believed where it says that it is over already."""

    def __init__(self, seconds: float) -> None:
        wait_seconds = seconds if seconds > _RESET_SHORTEST_SECONDS else None
        super().__init__("the API's rate limit is used up", wait_seconds=wait_seconds, unasked=True)


class Exchange(Protocol):
    """Sends one request within a time limit in seconds; raises NoAnswerError."""

    def send(self, request: HttpRequest, limit_seconds: float) -> HttpAnswer: ...


class Token(Protocol):
    """The API token; both raise TokenUnavailableError."""

    def current(self) -> str: ...
    def afresh(self) -> str: ...


class CgcApi:
    """One worker's conversation with the API. `count` takes the name of a metric; clocks are in seconds."""

    def __init__(
        self,
        base_url: str,
        exchange: Exchange,
        token: Token,
        pace: Pace,
        count: Count,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._base_url = base_url
        self._exchange = exchange
        self._token = token
        self._pace = pace
        self._count = count
        self._monotonic = monotonic
        self._wall_clock = wall_clock
        self._no_bulk_until: dict[str, float] = {}
        self._volumes: dict[str, tuple[float, Volume]] = {}
        self._answered_at: dict[str, float] = {}

    def read_jobs(
        self, export_ids: Sequence[str], time_left: TimeLeft, follow_ups: Callable[[ExportJob], int] | None = None
    ) -> dict[str, JobAnswer]:
        """Read export jobs: one singly, several in bulk where the platform can. `time_left` is in seconds.

        `follow_ups` says how many further requests a job calls for. Where the share is short, those are asked for whose
        last answer is longest ago, and no more of them than can be followed up.
        """
        in_turn = sorted(export_ids, key=lambda export_id: self._answered_at.get(export_id, float("-inf")))
        answers = self._read_many(_JOBS, in_turn, time_left, follow_ups)
        self._remember_turns(export_id for export_id, answer in answers.items() if not isinstance(answer, Obstacle))
        return answers

    def read_files(self, file_ids: Sequence[str], time_left: TimeLeft) -> dict[str, FileAnswer]:
        """Read files: one singly, several in bulk where the platform can. `time_left` is in seconds."""
        return self._read_many(_FILES, file_ids, time_left)

    def list_jobs(self, offset: int, time_left: TimeLeft) -> JobPage | Obstacle:
        """Read a page of at most a hundred of the token owner's jobs, in whatever order the API keeps them."""
        try:
            answer = self._ask("GET", f"/storage/exports?limit={LIST_LIMIT}&offset={offset}&fields=_all", time_left)
            page = bodies.read_page(answer.body, answer.total) if answer.status < 300 else None
            if page is None:
                raise self._not_own(answer)
        except NotAnsweredError as error:
            return error.obstacle
        return page

    def read_volume(self, name: str, time_left: TimeLeft) -> VolumeAnswer:
        """Read a volume by its `owner/name`, which must have been checked to be one."""
        try:
            volume = self._read_one(_VOLUMES, name, time_left)
        except NotAnsweredError as error:
            return error.obstacle
        if isinstance(volume, Volume):
            self._volumes[name] = (self._monotonic(), volume)
        return volume

    def remembered_volume(self, name: str) -> Volume | None:
        """A volume that was read in the last quarter of an hour."""
        read_at, volume = self._volumes.get(name, (float("-inf"), None))
        return volume if self._monotonic() - read_at < _VOLUME_REMEMBERED_SECONDS else None

    def _remember_turns(self, answered: Iterable[str]) -> None:
        for export_id in answered:
            # Taken out first, so that the dict stays in the order of the turns.
            self._answered_at.pop(export_id, None)
            self._answered_at[export_id] = self._monotonic()
        for export_id in list(islice(self._answered_at, max(0, len(self._answered_at) - _TURNS_REMEMBERED))):
            del self._answered_at[export_id]

    def _read_many(
        self,
        kind: "_Kind[Parsed]",
        ids: Sequence[str],
        time_left: TimeLeft,
        follow_ups: Callable[[Parsed], int] | None = None,
    ) -> dict[str, Parsed | Denied | Obstacle]:
        answers: dict[str, Parsed | Denied | Obstacle] = {}
        for start in range(0, len(ids), BULK_LIMIT):
            part = ids[start : start + BULK_LIMIT]
            unanswered = part
            if len(part) > 1 and self._no_bulk_until.get(kind.bulk_path, float("-inf")) <= self._monotonic():
                answers |= dict.fromkeys(part, Obstacle("the bulk answer lacks it"))
                try:
                    found, unanswered = self._read_bulk(kind, part, time_left, 0 if follow_ups else None)
                    answers |= found
                except NotAnsweredError as error:
                    answers |= dict.fromkeys(part, error.obstacle)
                    continue
            answers |= self._read_singly(kind, unanswered, time_left, follow_ups)
        return answers

    def _read_bulk(
        self, kind: "_Kind[Parsed]", ids: Sequence[str], time_left: TimeLeft, owed: int | None
    ) -> tuple[dict[str, Parsed], Sequence[str]]:
        """What a bulk answer holds by id, and which ids need a single read; all where there is no such call."""
        answer = self._ask("POST", kind.bulk_path, time_left, {kind.bulk_field: list(ids)}, owed)
        if answer.status in (404, 405) and bodies.error_code(answer.body) is None:
            self._no_bulk_until[kind.bulk_path] = self._monotonic() + _BULK_RETRIED_AFTER_SECONDS
            return {}, ids
        items = answer.body.get("items")
        if answer.status >= 300 or not isinstance(items, list):
            raise self._not_own(answer)
        found: dict[str, Parsed] = {}
        errors: list[int] = []
        for position, item in enumerate(items):
            resource = item.get("resource") if isinstance(item, dict) else None
            if isinstance(resource, dict) and resource.get("id") in ids:
                parsed = kind.parse(resource, resource["id"])
                if parsed is not None:
                    found[resource["id"]] = parsed
            elif isinstance(item, dict) and item.get("error"):
                errors.append(position)
        return found, _suspects(ids, found, errors)

    def _read_singly(
        self,
        kind: "_Kind[Parsed]",
        ids: Iterable[str],
        time_left: TimeLeft,
        follow_ups: Callable[[Parsed], int] | None = None,
    ) -> dict[str, Parsed | Denied | Obstacle]:
        answers: dict[str, Parsed | Denied | Obstacle] = {}
        owed = 0 if follow_ups else None
        over: Obstacle | None = None
        for item_id in ids:
            if over:
                answers[item_id] = over
                continue
            try:
                answer = answers[item_id] = self._read_one(kind, item_id, time_left, owed)
                if owed is not None and follow_ups and not isinstance(answer, Denied):
                    owed += follow_ups(answer)
            except NotAnsweredError as error:
                answers[item_id] = error.obstacle
                over = error.obstacle if isinstance(error, BatchOverError) else None
        return answers

    def _read_one(
        self, kind: "_Kind[Parsed]", item_id: str, time_left: TimeLeft, owed: int | None = None
    ) -> Parsed | Denied:
        """The thing asked for, or the API's own word that it is unknown or not shown."""
        answer = self._ask("GET", kind.path + quote(item_id), time_left, owed=owed)
        parsed = kind.parse(answer.body, item_id)
        # The vendor's OpenAPI files a failed job's body under 409, so a job is one whatever the 2xx or 4xx status.
        if parsed is not None and (answer.status < 300 or isinstance(parsed, ExportJob)):
            return parsed
        if answer.status in (403, 404) and bodies.error_code(answer.body) is not None:
            denial = Denial.UNKNOWN if answer.status == 404 else Denial.HIDDEN
            return Denied(denial, bodies.error_message(answer.body))
        raise self._not_own(answer)

    def _not_own(self, answer: "_JsonAnswer") -> NotAnsweredError:
        self._count("ApiErrors")
        code = bodies.error_code(answer.body)
        if code is None:
            return NotAnsweredError(f"an answer that is not the API's own (HTTP {answer.status})")
        return NotAnsweredError(f"the API's error {code} (HTTP {answer.status}): {bodies.error_message(answer.body)}")

    def _ask(
        self, method: str, path: str, time_left: TimeLeft, payload: JsonObject | None = None, owed: int | None = None
    ) -> "_JsonAnswer":
        answer = self._send(method, path, time_left, payload, self._current_token, owed)
        if answer.status == 401:
            answer = self._send(method, path, time_left, payload, self._fresh_token)
        if answer.status == 401:
            self._refuse_token("the API refuses the token")
        body = bodies.json_object(answer.body)
        if answer.status >= 500 or 300 <= answer.status < 400 or body is None:
            self._count("ApiErrors")
            text = f"HTTP {answer.status}" if body is None else f"HTTP {answer.status}, {bodies.error_message(body)}"
            raise NotAnsweredError(f"the API did not answer as itself ({text})")
        return _JsonAnswer(answer.status, body, answer.headers.get("X-Total-Matching-Query"))

    def _send(
        self,
        method: str,
        path: str,
        time_left: TimeLeft,
        payload: JsonObject | None,
        token: Callable[[], str],
        owed: int | None = None,
    ) -> HttpAnswer:
        closed = self._pace.closed_for()
        if closed:
            raise _RateLimitedError(closed)
        secret = token()
        headers = {"X-SBG-Auth-Token": secret, "Content-Type": "application/json"}
        limit = min(_CALL_LIMIT_SECONDS, time_left())
        if limit < _LEAST_SECONDS:
            raise BatchOverError("the invocation's time is up", unasked=True)
        if not self._pace.admit(owed):
            raise BatchOverError("this worker's share of the rate limit is used up", unasked=True)
        try:
            answer = self._exchange.send(HttpRequest(method, self._base_url + path, headers, payload), limit)
        except NoAnswerError as error:
            self._count("ApiErrors")
            kind = BatchOverError if error.slow else NotAnsweredError
            raise kind(f"the API cannot be reached: {error}") from None
        self._heed_rate_limit(answer)
        # What the API says ends up in log lines and events, and an API may repeat what it was sent.
        return replace(answer, body=answer.body.replace(secret.encode(), b"(the token)"))

    def _current_token(self) -> str:
        try:
            return self._token.current()
        except TokenUnavailableError as error:
            return self._refuse_token(str(error))

    def _fresh_token(self) -> str:
        try:
            return self._token.afresh()
        except TokenUnavailableError as error:
            return self._refuse_token(str(error))

    def _refuse_token(self, text: str) -> str:
        self._count("TokenRefused")
        raise BatchOverError(text)

    def _heed_rate_limit(self, answer: HttpAnswer) -> None:
        remaining = answer.headers.get("X-RateLimit-Remaining", "").strip()
        if answer.status == 429 or remaining == "0":
            wait = _until_reset(answer.headers.get("X-RateLimit-Reset"), self._wall_clock())
            self._pace.close_for(wait)
            if answer.status == 429:
                self._count("RateLimited")
                raise _RateLimitedError(wait)


@dataclass(frozen=True, slots=True)
class _JsonAnswer:
    """An answer below 500 whose body is a JSON object; of a list, the header that says how long it is."""

    status: int
    body: JsonObject
    total: str | None = None


@dataclass(frozen=True, slots=True)
class _Kind(Generic[Parsed]):
    """A kind of thing that the API has: where it is read, and how. Ids must be safe in a path but for slashes."""

    path: str
    parse: Callable[[JsonObject, str], Parsed | None]
    bulk_path: str = ""
    bulk_field: str = ""


_JOBS = _Kind("/storage/exports/", bodies.read_job, "/bulk/storage/exports/get", "export_ids")
_FILES = _Kind("/files/", bodies.read_file, "/bulk/files/get", "file_ids")
_VOLUMES = _Kind("/storage/volumes/", bodies.read_volume)


def _suspects(ids: Sequence[str], found: Mapping[str, object], errors: list[int]) -> list[str]:
    """The ids that a bulk answer's error items may speak of: as many as there are, those at their places first."""
    positions = set(errors)
    lacking = [(position not in positions, item_id) for position, item_id in enumerate(ids) if item_id not in found]
    return [item_id for _, item_id in sorted(lacking, key=lambda pair: pair[0])][: len(errors)]


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
