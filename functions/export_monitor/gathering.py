"""Asks everything that one look at a batch of exports needs: jobs, files and volumes of the API, objects of S3.

What several exports share is asked once, and what does not depend on each other is asked side by side.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from export_monitor.domain.assessment import Answers, file_to_read, may_read_volume, needs_object
from export_monitor.domain.model import (
    ExportJob,
    FileAnswer,
    JobAnswer,
    MissingObject,
    ObjectAnswer,
    RefusedObject,
    Volume,
    VolumeAnswer,
)
from export_monitor.domain.object_location import is_on_amazon_s3

TimeLeft = Callable[[], float]


class Api(Protocol):
    """The Seven Bridges API. `time_left` says how many seconds may still be spent on asking."""

    def read_jobs(
        self, export_ids: Sequence[str], time_left: TimeLeft, follow_ups: Callable[[ExportJob], int]
    ) -> Mapping[str, JobAnswer]: ...
    def read_files(self, file_ids: Sequence[str], time_left: TimeLeft) -> Mapping[str, FileAnswer]: ...
    def read_volume(self, name: str, time_left: TimeLeft) -> VolumeAnswer: ...
    def remembered_volume(self, name: str) -> Volume | None: ...


class Objects(Protocol):
    """S3: an answer for each, in the order of asking, within so many seconds."""

    def look(self, wanted: Sequence[tuple[Volume, ExportJob]], within_seconds: float) -> list[ObjectAnswer]: ...


def gather(overdue: Mapping[str, bool], api: Api, objects: Objects, time_left: TimeLeft) -> dict[str, Answers]:
    """The answers for each export, by its id. `overdue` says of each whether its watch has timed out."""

    def follow_ups(job: ExportJob) -> int:
        has_file = file_to_read(job, is_overdue=overdue[job.id]) is not None
        has_volume = needs_object(job) and job.volume is not None and may_read_volume(job.volume)
        return has_file + (has_volume and api.remembered_volume(job.volume or "") is None)

    answers = api.read_jobs(list(overdue), time_left, follow_ups)
    jobs = {export_id: job for export_id, job in answers.items() if isinstance(job, ExportJob)}
    wanted = {export_id: file_to_read(job, is_overdue=overdue[export_id]) for export_id, job in jobs.items()}
    file_ids = sorted({file_id for file_id in wanted.values() if file_id})
    files = api.read_files(file_ids, time_left) if file_ids else {}
    completed = {export_id: job for export_id, job in jobs.items() if needs_object(job)}
    volumes, seen = _look(completed, api, objects, time_left)
    gathered = {export_id: Answers(answer) for export_id, answer in answers.items()}
    for export_id, job in jobs.items():
        file = files.get(wanted[export_id] or "")
        gathered[export_id] = Answers(job, volumes.get(export_id), file, seen.get(export_id))
    return gathered


def _look(
    completed: Mapping[str, ExportJob], api: Api, objects: Objects, time_left: TimeLeft
) -> tuple[dict[str, VolumeAnswer], dict[str, ObjectAnswer]]:
    """Each export's volume, and its object where there was one to look at."""
    named = {i: job.volume for i, job in completed.items() if job.volume and may_read_volume(job.volume)}
    remembered = {name: api.remembered_volume(name) for name in sorted(set(named.values()))}
    read = {name: volume or api.read_volume(name, time_left) for name, volume in remembered.items()}
    volumes: dict[str, VolumeAnswer] = {export_id: read[name] for export_id, name in named.items()}
    seen = _look_at_all(completed, volumes, objects, time_left)
    # A volume may have been pointed elsewhere since it was read, so nothing is called missing by memory.
    doubtful = {
        export_id: named[export_id]
        for export_id, answer in seen.items()
        if isinstance(answer, MissingObject | RefusedObject) and remembered[named[export_id]]
    }
    afresh = {name: api.read_volume(name, time_left) for name in sorted(set(doubtful.values()))}
    moved = {i: completed[i] for i, name in doubtful.items() if afresh[name] != remembered[name]}
    for export_id in moved:
        del seen[export_id]
        volumes[export_id] = afresh[named[export_id]]
    return volumes, seen | _look_at_all(moved, volumes, objects, time_left)


def _look_at_all(
    jobs: Mapping[str, ExportJob], volumes: Mapping[str, VolumeAnswer], objects: Objects, time_left: TimeLeft
) -> dict[str, ObjectAnswer]:
    wanted: list[tuple[Volume, ExportJob]] = []
    for export_id, job in jobs.items():
        volume = volumes.get(export_id)
        if isinstance(volume, Volume) and is_on_amazon_s3(volume):
            wanted.append((volume, job))
    answers = objects.look(wanted, time_left()) if wanted else []
    return {job.id: answer for (_, job), answer in zip(wanted, answers, strict=True)}
