"""The part of the Seven Bridges API v2 that a watch needs: jobs, volumes and files, singly and in bulk.

The API's answers "not found" and "forbidden" are values (Denied), not errors.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Generic, TypeAlias, TypeVar
from urllib.parse import quote

from export_monitor.adapters.sevenbridges import responses
from export_monitor.adapters.sevenbridges.session import ApiSession, ApiUnavailableError, StopBatchError, TimeLeft
from export_monitor.domain.model import (
    Denied,
    ExportJob,
    FileAnswer,
    JobAnswer,
    JobPage,
    JsonObject,
    SourceFile,
    Unavailable,
    Volume,
    VolumeAnswer,
)
from export_monitor.domain.unexpected import Unexpected, attempt

BULK_LIMIT = 100
LIST_LIMIT = 100
_BULK_RETRY_SECONDS = 3600.0
_VOLUME_CACHE_SECONDS = 900.0
# For how many exports a worker remembers when the API last answered: about 2 MB.
_MAX_ANSWER_TIMES = 20_000

Parsed = TypeVar("Parsed", ExportJob, Volume, SourceFile)

Answer: TypeAlias = Parsed | Denied | Unavailable | Unexpected


class CgcApi:
    """Reads from the API, and caches volumes. `monotonic` returns seconds; one object serves one worker."""

    def __init__(self, session: ApiSession, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._session = session
        self._monotonic = monotonic
        self._no_bulk_until: dict[str, float] = {}
        self._volumes: dict[str, tuple[float, Volume]] = {}
        self._answered_at: dict[str, float] = {}

    def read_jobs(
        self, export_ids: Sequence[str], time_left: TimeLeft, follow_ups: Callable[[ExportJob], int] | None = None
    ) -> dict[str, JobAnswer | Unexpected]:
        """Read export jobs: one singly, several in bulk if the platform has the bulk call. `time_left` is in seconds.

        `follow_ups` returns how many further requests a job needs. If the rate limit does not suffice for all, the jobs
        whose last answer is oldest come first, and only as many as can be followed up.
        """
        oldest_first = sorted(export_ids, key=lambda export_id: self._answered_at.get(export_id, float("-inf")))
        answers = self._read_many(_JOBS, oldest_first, time_left, follow_ups)
        unanswered = (Unavailable, Unexpected)
        self._remember_answer_times(
            export_id for export_id, answer in answers.items() if not isinstance(answer, unanswered)
        )
        return answers

    def read_files(self, file_ids: Sequence[str], time_left: TimeLeft) -> dict[str, FileAnswer | Unexpected]:
        """Read files: one singly, several in bulk if the platform has the bulk call. `time_left` is in seconds."""
        return self._read_many(_FILES, file_ids, time_left)

    def list_jobs(self, offset: int, time_left: TimeLeft) -> JobPage | Unavailable:
        """Read a page of at most a hundred of the token owner's jobs, in the order of the API (not documented)."""
        try:
            path = f"/storage/exports?limit={LIST_LIMIT}&offset={offset}&fields=_all"
            answer = self._session.request("GET", path, time_left, parse=responses.object_with_items)
            page = responses.parse_page(answer.body, answer.total) if answer.status < 300 else None
            if page is None:
                raise self._session.unexpected_response(answer)
        except ApiUnavailableError as error:
            return error.unavailable
        except RecursionError:
            return Unavailable("a page of the list of exports is nested too deeply")
        return page

    def read_volume(self, name: str, time_left: TimeLeft) -> VolumeAnswer:
        """Read a volume by its `owner/name`, whose form the caller has checked."""
        try:
            volume = self._read_one(_VOLUMES, name, time_left)
        except ApiUnavailableError as error:
            return error.unavailable
        if isinstance(volume, Volume):
            self._volumes[name] = (self._monotonic(), volume)
        return volume

    def cached_volume(self, name: str) -> Volume | None:
        """The volume, if it was read in the last 15 minutes."""
        read_at, volume = self._volumes.get(name, (float("-inf"), None))
        return volume if self._monotonic() - read_at < _VOLUME_CACHE_SECONDS else None

    def _remember_answer_times(self, answered: Iterable[str]) -> None:
        for export_id in answered:
            # Removed first, so that the dict stays ordered by time of answer.
            self._answered_at.pop(export_id, None)
            self._answered_at[export_id] = self._monotonic()
        for export_id in list(islice(self._answered_at, max(0, len(self._answered_at) - _MAX_ANSWER_TIMES))):
            del self._answered_at[export_id]

    def _read_many(
        self,
        resource_type: "_Resource[Parsed]",
        ids: Sequence[str],
        time_left: TimeLeft,
        follow_ups: Callable[[Parsed], int] | None = None,
    ) -> "dict[str, Answer[Parsed]]":
        answers: dict[str, Answer[Parsed]] = {}
        for start in range(0, len(ids), BULK_LIMIT):
            part = ids[start : start + BULK_LIMIT]
            unanswered = part
            if len(part) > 1 and self._no_bulk_until.get(resource_type.bulk_path, float("-inf")) <= self._monotonic():
                answers |= dict.fromkeys(part, Unavailable("it is missing from the bulk response"))
                outcome = attempt(partial(self._read_bulk, resource_type, part, time_left, 0 if follow_ups else None))
                if not isinstance(outcome, Unexpected):
                    found, unanswered = outcome
                    answers |= found
                elif isinstance(outcome.error, ApiUnavailableError):
                    answers |= dict.fromkeys(part, outcome.error.unavailable)
                    continue
                # Otherwise one item may have broken the whole response, so read each one singly.
            answers |= self._read_singly(resource_type, unanswered, time_left, follow_ups)
        return answers

    def _read_bulk(
        self, resource_type: "_Resource[Parsed]", ids: Sequence[str], time_left: TimeLeft, reserved: int | None
    ) -> tuple[dict[str, Parsed | Unexpected], Sequence[str]]:
        """The items of a bulk response by id, and the ids to read singly: all if the platform has no bulk call."""
        payload = {resource_type.bulk_field: list(ids)}
        answer = self._session.request(
            "POST", resource_type.bulk_path, time_left, payload, reserved, parse=responses.object_with_items
        )
        if answer.status in (404, 405) and responses.error_code(answer.body) is None:
            self._no_bulk_until[resource_type.bulk_path] = self._monotonic() + _BULK_RETRY_SECONDS
            return {}, ids
        items = answer.body.get("items")
        if answer.status >= 300 or not isinstance(items, list):
            raise self._session.unexpected_response(answer)
        found: dict[str, Parsed | Unexpected] = {}
        errors: list[int] = []
        for position, item in enumerate(items):
            resource = item.get("resource") if isinstance(item, dict) else None
            if isinstance(resource, dict) and resource.get("id") in ids:
                parsed = attempt(partial(resource_type.parse, resource, resource["id"]))
                if parsed is not None:
                    found[resource["id"]] = parsed
            elif isinstance(item, dict) and item.get("error"):
                errors.append(position)
        return found, _ids_to_confirm(ids, found, errors)

    def _read_singly(
        self,
        resource_type: "_Resource[Parsed]",
        ids: Iterable[str],
        time_left: TimeLeft,
        follow_ups: Callable[[Parsed], int] | None = None,
    ) -> "dict[str, Answer[Parsed]]":
        answers: dict[str, Answer[Parsed]] = {}
        reserved = 0 if follow_ups else None
        stopped_by: Unavailable | None = None
        for item_id in ids:
            if stopped_by:
                answers[item_id] = stopped_by
                continue
            try:
                answer = self._read_one(resource_type, item_id, time_left, reserved)
                answers[item_id] = answer
                if reserved is not None and follow_ups and not isinstance(answer, Denied):
                    reserved += follow_ups(answer)
            except ApiUnavailableError as error:
                answers[item_id] = error.unavailable
                stopped_by = error.unavailable if isinstance(error, StopBatchError) else None
            except Exception as error:  # noqa: BLE001 -- it must not affect the other items
                answers[item_id] = Unexpected(error)
        return answers

    def _read_one(
        self, resource_type: "_Resource[Parsed]", item_id: str, time_left: TimeLeft, reserved: int | None = None
    ) -> Parsed | Denied:
        """Read one resource. Raises ApiUnavailableError."""
        answer = self._session.request("GET", resource_type.path + quote(item_id), time_left, reserved=reserved)
        parsed = resource_type.parse(answer.body, item_id)
        # The vendor's OpenAPI documents a failed job's body under status 409, so accept a job with any 2xx or 4xx.
        if parsed is not None and (answer.status < 300 or isinstance(parsed, ExportJob)):
            return parsed
        if denied := responses.parse_denial(answer.status, answer.body):
            return denied
        raise self._session.unexpected_response(answer)


@dataclass(frozen=True, slots=True)
class _Resource(Generic[Parsed]):
    """A type of resource: its paths and its parser. Ids are quoted in the path, except for slashes."""

    path: str
    parse: Callable[[JsonObject, str], Parsed | None]
    bulk_path: str = ""
    bulk_field: str = ""


_JOBS = _Resource("/storage/exports/", responses.parse_job, "/bulk/storage/exports/get", "export_ids")
_FILES = _Resource("/files/", responses.parse_file, "/bulk/files/get", "file_ids")
_VOLUMES = _Resource("/storage/volumes/", responses.parse_volume)


def _ids_to_confirm(ids: Sequence[str], found: Mapping[str, object], errors: list[int]) -> list[str]:
    """The ids that the error items of a bulk response may concern: as many as error items, same positions first."""
    positions = set(errors)
    missing = [(position not in positions, item_id) for position, item_id in enumerate(ids) if item_id not in found]
    return [item_id for _, item_id in sorted(missing, key=lambda pair: pair[0])][: len(errors)]
