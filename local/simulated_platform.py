"""The simulated platform: jobs, volumes, files, tokens, rate limit and planned faults, without HTTP.

Everything is looked up at the moment of asking: a job's state follows from its script and the clock, and no thread of
its own moves it on. What the platform refuses it refuses with the codes of the vendor's table:
https://docs.cancergenomicscloud.org/docs/api-status-codes
"""

import secrets
import string
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from local.api_objects import finished_task, project_file, s3_volume
from local.export_jobs import IN_A_FEW_SECONDS, Job, Steps, error_body
from local.faults import Fault, FaultFor, FaultPlan, Match
from local.rate_window import RateWindow

Kept = TypeVar("Kept")
ListOrder = Literal["oldest first", "newest first", "none"]


class ApiError(Exception):
    """A refusal of the API, with its error object."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = error_body(status, code, message)


@dataclass(frozen=True)
class LoggedRequest:
    """One request, and the status of its reply (None if no proper reply was sent).

    `at` is in epoch seconds, `path` is the part below ``/v2``; `ids` are those that the body of a bulk read asks for;
    header names are in lower case, and of the token it keeps only whether it was right.
    """

    at: float
    method: str
    path: str
    query: Mapping[str, tuple[str, ...]]
    header_names: frozenset[str]
    token_was_right: bool
    ids: tuple[str, ...]
    status: int | None


class Platform:
    """The state behind the simulated API; safe to use from many threads.

    `clock` gives epoch seconds. `deliver` is called once for each job that completed, before any answer shows it: the
    place to put the object into a bucket; its exceptions are raised to the caller, and it is called again next time.
    May be changed at any moment: `tokens` (those that are accepted), `rate`, `bulk_enabled`, `list_order`, `page_limit`
    (the most items that a page of a list has, whatever number is asked for) and `default_steps` (the script of jobs
    that are started through the API). `faults` are those planned with `fail`; `fault_for` is asked for the fault of
    each request, and takes one of those unless it is replaced.
    """

    def __init__(
        self, *tokens: str, clock: Callable[[], float] = time.time, deliver: Callable[[Job], None] | None = None
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self.deliver = deliver
        self.tokens = set(tokens)
        self.rate = RateWindow()
        self.faults = FaultPlan()
        self.fault_for: FaultFor = self.faults.take
        self.bulk_enabled = True
        self.list_order: ListOrder = "newest first"
        self.page_limit = 100
        self.default_steps: Steps = IN_A_FEW_SECONDS
        self._jobs: dict[str, Job] = {}
        self._undelivered: set[str] = set()
        self._volumes: dict[str, dict[str, Any]] = {}
        self._files: dict[str, dict[str, Any]] = {}
        self._archived: set[str] = set()
        self._tasks: dict[str, dict[str, Any]] = {}
        self._log: list[LoggedRequest] = []

    def add_volume(self, name: str, *, bucket: str, prefix: str = "", **fields: Any) -> None:
        """A volume named ``owner/name`` on S3; `fields` override those of the body, `service` entry by entry."""
        with self.lock:
            self._volumes[name] = s3_volume(name, bucket, prefix, fields)

    def add_file(self, file_id: str, *, name: str, size: int, project: str, **fields: Any) -> None:
        """A file of `size` bytes in a project named ``owner/project``; `fields` override those of the body.

        The field `parent` is the id of the folder that it is in.
        """
        with self.lock:
            self._files[file_id] = project_file(file_id, name, size, project, {"type": "file", **fields})

    def add_folder(self, folder_id: str, *, name: str, project: str, **fields: Any) -> None:
        """A folder of a project; one within another has that one's id as its `parent`. The API calls it a file too."""
        with self.lock:
            self._files[folder_id] = {"id": folder_id, "name": name, "project": project, "type": "folder", **fields}

    def archive_file(self, file_id: str) -> None:
        """Archive a file: it looks as before and cannot be exported. No source says how the API shows the archive."""
        with self.lock:
            self._archived.add(file_id)

    def add_task(self, task_id: str, *, outputs: Mapping[str, Any], **fields: Any) -> None:
        """A COMPLETED task; files in its outputs are objects with their id as `path`; `fields` override its fields."""
        with self.lock:
            self._tasks[task_id] = finished_task(task_id, outputs, fields)

    def add_job(self, job: Job, *, age_seconds: float = 0) -> Job:
        """Add a job whose script began `age_seconds` ago; a job with the same id is replaced and delivered again."""
        with self.lock:
            started = job.started(self.clock() - age_seconds)
            self._jobs[job.id] = started
            self._undelivered.add(job.id)
            return started

    def volume(self, name: str) -> dict[str, Any]:
        with self.lock:
            return _found(self._volumes, name, ApiError(404, 9007, "Volume not found."))

    def file(self, file_id: str) -> dict[str, Any]:
        with self.lock:
            return _found(self._files, file_id, ApiError(404, 5002, "File not found."))

    def task(self, task_id: str) -> dict[str, Any]:
        with self.lock:
            return _found(self._tasks, task_id, ApiError(404, 90003, "Task not found."))

    def files_in(self, project: str | None, parent: str | None) -> list[str]:
        """The ids of files and folders directly in a folder or project, by name."""
        with self.lock:
            if parent is not None and self.file(parent).get("type") != "folder":
                raise ApiError(404, 5002, "Folder not found.")
            if project is not None and all(file["project"] != project for file in self._files.values()):
                raise ApiError(403, 3001, "You do not have access to this project.")
            found = [
                file
                for file in self._files.values()
                if file.get("parent") == parent and project in (None, file["project"])
            ]
            return [file["id"] for file in sorted(found, key=lambda file: file["name"])]

    def job(self, export_id: str) -> Job:
        with self.lock:
            job = _found(self._jobs, export_id, ApiError(404, 9008, "Job not found."))
            if job.foreign:
                raise ApiError(403, 9005, "You do not have access to this job.")
            return job

    def jobs(self, volume: str | None = None, states: Iterable[str] = ()) -> list[Job]:
        """The user's own jobs, in `list_order` ('none' sorts by id)."""
        wanted = set(states)
        with self.lock:
            found = [
                job
                for job in self._jobs.values()
                if not job.foreign
                and volume in (None, job.volume)
                and (not wanted or job.state(self.clock()) in wanted)
            ]
            if self.list_order == "none":
                return sorted(found, key=lambda job: job.id)
            return sorted(found, key=lambda job: job.started_at or 0, reverse=self.list_order == "newest first")

    def show(self, job: Job, href: str) -> dict[str, Any]:
        """The job's current body; the object is delivered before it first shows COMPLETED."""
        with self.lock:
            now = self.clock()
            if job.state(now) == "COMPLETED" and job.id in self._undelivered:
                if self.deliver is not None and job.delivers:
                    self.deliver(job)
                self._undelivered.discard(job.id)
                self._move_file(job)
            return job.body(now, href, self._files.get(job.file))

    def start(self, submission: Mapping[str, Any], *, copy_only: bool) -> Job:
        """Start a job as `submission`, the body of a start call, describes; it then follows `default_steps`.

        Raises `ApiError` for an invalid body, an unknown file or volume, a volume that cannot be written to, and a file
        that cannot be exported.
        """
        try:
            file_id, destination = submission["source"]["file"], submission["destination"]
            volume_name, location = destination["volume"], destination["location"]
            asked = dict(submission.get("properties") or {})
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(400, 90000, "source.file, destination.volume and .location are needed.") from error
        if not all(isinstance(name, str) for name in (file_id, volume_name, location)):
            raise ApiError(400, 90000, "source.file, destination.volume and .location are strings.")
        with self.lock:
            volume = self.volume(volume_name)
            self._check_destination(volume, location)
            self._check_source(file_id)
            job = Job(
                id="".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32)),
                file=file_id,
                volume=volume_name,
                location=location,
                steps=self.default_steps,
                properties=volume["service"].get("properties", {}) | asked,
                overwrite=submission.get("overwrite") is True,
                copy_only=copy_only,
            )
            return self.add_job(job)

    def fail(self, match: Match, fault: Fault, times: int | None = 1) -> None:
        """Plan a fault for the next `times` requests that match (None: all); the oldest plan applies first."""
        self.faults.add(match, fault, times)

    def log(self, request: LoggedRequest) -> None:
        with self.lock:
            self._log.append(request)

    @property
    def requests(self) -> tuple[LoggedRequest, ...]:
        """All requests so far, in order of arrival."""
        with self.lock:
            return tuple(self._log)

    def _check_destination(self, volume: Mapping[str, Any], location: str) -> None:
        if not volume["active"]:
            raise ApiError(409, 9069, "The volume is inactive.")
        if volume["access_mode"] != "RW":
            raise ApiError(403, 9026, "The volume is read-only.")
        if location.endswith("/"):
            raise ApiError(400, 9072, "The location ends with a slash.")

    def _check_source(self, file_id: str) -> None:
        if file_id not in self._files:
            raise ApiError(404, 9009, "File not found.")
        file = self._files[file_id]
        # A folder has no storage; a file of a public dataset names that as its origin.
        on_platform = file.get("storage", {}).get("type") == "PLATFORM"
        if not on_platform or file["origin"].get("dataset") or file_id in self._archived:
            raise ApiError(403, 9006, "This file cannot be exported.")

    def _move_file(self, job: Job) -> None:
        # A move leaves an alias of the new object in the project, which cannot be exported again.
        if job.file in self._files and not job.copy_only:
            storage = {"type": "VOLUME", "volume": job.volume, "location": job.location}
            self._files[job.file] = self._files[job.file] | {"storage": storage}


def _found(kept: Mapping[str, Kept], key: str, refused: ApiError) -> Kept:
    if key not in kept:
        raise refused
    return kept[key]
