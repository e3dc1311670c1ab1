"""Gathers what one poll of a batch needs: jobs, files and volumes from the API, objects from S3.

What several exports share is read once, and independent reads run in parallel. An unexpected error stays with the
exports that it concerns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from export_monitor.domain.assessment import (
    ContentAnswer,
    Snapshot,
    content_to_verify,
    file_to_read,
    has_valid_volume_name,
    needs_object,
)
from export_monitor.domain.content.eligibility import ContentPolicy
from export_monitor.domain.content.target import ContentTarget
from export_monitor.domain.model import (
    ExportJob,
    FileAnswer,
    JobAnswer,
    ObjectAnswer,
    ObjectForbidden,
    ObjectNotFound,
    Volume,
    VolumeAnswer,
)
from export_monitor.domain.object_location import is_on_amazon_s3
from export_monitor.domain.unexpected import Unexpected, attempt

Answer = TypeVar("Answer")
TimeLeft = Callable[[], float]


class Api(Protocol):
    """The Seven Bridges API. `time_left` returns the seconds that requests may still take."""

    def read_jobs(
        self, export_ids: Sequence[str], time_left: TimeLeft, follow_ups: Callable[[ExportJob], int]
    ) -> Mapping[str, JobAnswer | Unexpected]: ...
    def read_files(self, file_ids: Sequence[str], time_left: TimeLeft) -> Mapping[str, FileAnswer | Unexpected]: ...
    def read_volume(self, name: str, time_left: TimeLeft) -> VolumeAnswer: ...
    def cached_volume(self, name: str) -> Volume | None: ...


class Objects(Protocol):
    """S3: an answer for each object, in the given order, within these seconds."""

    def inspect(
        self, wanted: Sequence[tuple[Volume, ExportJob]], within_seconds: float
    ) -> Sequence[ObjectAnswer | Unexpected]: ...


class Contents(Protocol):
    """The content checks: what is known of each version, in the given order, after asking for what is not."""

    def answers(self, targets: Sequence[ContentTarget], now: float) -> Sequence[ContentAnswer | Unexpected]: ...


def gather(
    overdue: Mapping[str, bool], api: Api, objects: Objects, time_left: TimeLeft
) -> dict[str, Snapshot | Unexpected]:
    """The answers for each export, by its id. `overdue` says whether its watch has timed out."""

    def follow_ups(job: ExportJob) -> int:
        has_file = file_to_read(job, is_overdue=overdue[job.id]) is not None
        has_volume = needs_object(job) and job.volume is not None and has_valid_volume_name(job.volume)
        return has_file + (has_volume and api.cached_volume(job.volume or "") is None)

    answers = _by_id(list(overdue), lambda: api.read_jobs(list(overdue), time_left, follow_ups))
    jobs = {export_id: job for export_id, job in answers.items() if isinstance(job, ExportJob)}
    wanted = {export_id: file_to_read(job, is_overdue=overdue[export_id]) for export_id, job in jobs.items()}
    file_ids = sorted({file_id for file_id in wanted.values() if file_id})
    files = _by_id(file_ids, lambda: api.read_files(file_ids, time_left)) if file_ids else {}
    seen = _Inspection(api, objects, time_left).inspect({i: job for i, job in jobs.items() if needs_object(job)})
    return {
        export_id: _together(answer, *seen.get(export_id, (None, None)), files.get(wanted.get(export_id) or ""))
        for export_id, answer in answers.items()
    }


def with_content(
    snapshots: Mapping[str, Snapshot | Unexpected], contents: Contents, policy: ContentPolicy, now: float
) -> dict[str, Snapshot | Unexpected]:
    """The answers, with what is known of the contents of the objects that have passed all other checks."""
    known = {export_id: one for export_id, one in snapshots.items() if not isinstance(one, Unexpected)}
    asked: dict[str, ContentAnswer | Unexpected] = {}
    targets: dict[str, ContentTarget] = {}
    for export_id, snapshot in known.items():
        target = attempt(partial(content_to_verify, snapshot, now, policy))
        if isinstance(target, ContentTarget):
            targets[export_id] = target
        else:
            asked[export_id] = target
    found = _by_id(
        list(targets), lambda: dict(zip(targets, contents.answers(list(targets.values()), now), strict=True))
    )
    answers = (asked | dict(found)).items()
    return {**snapshots} | {
        export_id: one if isinstance(one, Unexpected) else replace(known[export_id], content=one)
        for export_id, one in answers
    }


def _together(
    job: JobAnswer | Unexpected,
    volume: VolumeAnswer | Unexpected | None,
    found: ObjectAnswer | Unexpected | None,
    file: FileAnswer | Unexpected | None,
) -> Snapshot | Unexpected:
    """All answers about one export, or the first unexpected error among them."""
    if isinstance(job, Unexpected):
        return job
    if isinstance(volume, Unexpected):
        return volume
    if isinstance(found, Unexpected):
        return found
    if isinstance(file, Unexpected):
        return file
    return Snapshot(job, volume, file, found)


def _by_id(ids: Sequence[str], ask: Callable[[], Mapping[str, Answer]]) -> Mapping[str, Answer | Unexpected]:
    answers = attempt(ask)
    return dict.fromkeys(ids, answers) if isinstance(answers, Unexpected) else answers


Seen = tuple[VolumeAnswer | Unexpected | None, ObjectAnswer | Unexpected | None]


@dataclass(frozen=True, slots=True)
class _Inspection:
    """Finds the volumes and the objects of completed exports."""

    api: Api
    objects: Objects
    time_left: TimeLeft

    def inspect(self, completed: Mapping[str, ExportJob]) -> dict[str, Seen]:
        """Each export's volume, and its object where there was one to inspect."""
        names = {i: job.volume for i, job in completed.items() if job.volume and has_valid_volume_name(job.volume)}
        remembered = {name: self.api.cached_volume(name) for name in sorted(set(names.values()))}
        volumes = {name: volume or self._read_volume(name) for name, volume in remembered.items()}
        seen = self._objects({i: (volumes[name], completed[i]) for i, name in names.items()})
        # A volume may point elsewhere since it was read, so no object is called missing by a remembered one.
        doubtful = {
            export_id: names[export_id]
            for export_id, (_, found) in seen.items()
            if isinstance(found, ObjectNotFound | ObjectForbidden) and remembered[names[export_id]]
        }
        read_again = {name: self._read_volume(name) for name in sorted(set(doubtful.values()))}
        moved = {
            i: (read_again[name], completed[i]) for i, name in doubtful.items() if read_again[name] != remembered[name]
        }
        return seen | self._objects(moved)

    def _read_volume(self, name: str) -> VolumeAnswer | Unexpected:
        return attempt(partial(self.api.read_volume, name, self.time_left))

    def _objects(self, wanted: Mapping[str, tuple[VolumeAnswer | Unexpected, ExportJob]]) -> dict[str, Seen]:
        on_s3 = {
            export_id: (volume, job)
            for export_id, (volume, job) in wanted.items()
            if isinstance(volume, Volume) and is_on_amazon_s3(volume)
        }
        found: Mapping[str, ObjectAnswer | Unexpected] = {}
        if on_s3:
            places = list(on_s3.values())
            found = _by_id(
                list(on_s3),
                lambda: dict(zip(on_s3, self.objects.inspect(places, self.time_left()), strict=True)),
            )
        return {export_id: (volume, found.get(export_id)) for export_id, (volume, _) in wanted.items()}
