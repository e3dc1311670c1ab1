"""What is asked for one look, and how often."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.application.gathering import gather
from export_monitor.domain.assessment import Snapshot
from export_monitor.domain.model import (
    Denial,
    Denied,
    ExportJob,
    FileAnswer,
    JobAnswer,
    ObjectAnswer,
    ObjectForbidden,
    ObjectNotFound,
    SourceFile,
    StoredObject,
    Unavailable,
    Volume,
    VolumeAnswer,
)
from export_monitor.domain.unexpected import Unexpected

VOLUME = Volume("o/v", "s3", "bucket", "")
MOVED = replace(VOLUME, prefix="moved")
FILE = SourceFile("f", "a", "o/p", 1)
FOUND = StoredObject("bucket", "a", 1, "etag", 0.0)
MISSING = ObjectNotFound("bucket", ("a",))


def job(export_id: str, state: str = "COMPLETED", **changes: object) -> ExportJob:
    made = ExportJob(export_id, state, {}, file_id="f", volume="o/v", location="a")
    return replace(made, **changes)  # type: ignore[arg-type]


class Platform:
    """An API and a bucket that note what they are asked."""

    def __init__(
        self,
        *jobs: ExportJob,
        volume: VolumeAnswer = VOLUME,
        remembered: Volume | None = None,
        see: Callable[[Volume], ObjectAnswer] = lambda _: FOUND,
        others: Mapping[str, JobAnswer] | None = None,
    ) -> None:
        self.answers: dict[str, JobAnswer] = {one.id: one for one in jobs} | dict(others or {})
        self.volume = volume
        self.remembered = remembered
        self.see = see
        self.asked: list[tuple[Any, ...]] = []
        self.looked_within: list[float] = []

    def read_jobs(
        self, export_ids: Sequence[str], time_left: Callable[[], float], follow_ups: Callable[[ExportJob], int]
    ) -> Mapping[str, JobAnswer]:
        self.asked.append(("jobs", list(export_ids)))
        return self.answers

    def read_files(self, file_ids: Sequence[str], time_left: Callable[[], float]) -> Mapping[str, FileAnswer]:
        self.asked.append(("files", list(file_ids)))
        return dict.fromkeys(file_ids, FILE)

    def read_volume(self, name: str, time_left: Callable[[], float]) -> VolumeAnswer:
        self.asked.append(("volume", name))
        return self.volume

    def cached_volume(self, name: str) -> Volume | None:
        return self.remembered

    def inspect(self, wanted: Sequence[tuple[Volume, ExportJob]], within_seconds: float) -> list[ObjectAnswer]:
        self.looked_within.append(within_seconds)
        self.asked += [("object", job.id, volume.prefix) for volume, job in wanted]
        return [self.see(volume) for volume, _ in wanted]

    time_left = 10.0

    def gather(self, **overdue: bool) -> dict[str, Snapshot]:
        return gather(dict.fromkeys(self.answers, False) | overdue, self, self, lambda: self.time_left)


def test_what_exports_share_is_asked_once() -> None:
    platform = Platform(job("a"), job("b"), job("c", "FAILED"))
    answers = platform.gather()
    assert platform.asked[:3] == [("jobs", ["a", "b", "c"]), ("files", ["f"]), ("volume", "o/v")]
    assert sorted(platform.asked[3:]) == [("object", "a", ""), ("object", "b", "")]
    assert answers["a"].object is FOUND
    assert (answers["c"].file, answers["c"].volume, answers["c"].object) == (FILE, None, None)


def test_unfinished_export_costs_one_question() -> None:
    platform = Platform(job("a", "RUNNING"))
    platform.gather()
    assert platform.asked == [("jobs", ["a"])]


def test_file_of_an_overdue_export_is_read_for_its_last_event() -> None:
    platform = Platform(job("a", "RUNNING"))
    assert platform.gather(a=True)["a"].file is FILE


def test_export_without_a_job_asks_nothing_more() -> None:
    denied, unavailable = Denied(Denial.NOT_FOUND, "m"), Unavailable("outage")
    platform = Platform(others={"a": denied, "b": unavailable})
    answers = platform.gather()
    assert (answers["a"].job, answers["b"].job) == (denied, unavailable)
    assert platform.asked == [("jobs", ["a", "b"])]


def test_volume_that_may_not_enter_a_path_is_not_asked_for() -> None:
    platform = Platform(job("a", volume="../x"), job("b", volume=None))
    answers = platform.gather()
    assert [answers[name].volume for name in "ab"] == [None, None]
    assert ("volume", "../x") not in platform.asked


def test_volume_outside_s3_is_not_inspected() -> None:
    platform = Platform(job("a"), volume=replace(VOLUME, type="gcs"))
    assert platform.gather()["a"].object is None


FORBIDDEN = ObjectForbidden("bucket", "no")
DENIED = Denied(Denial.FORBIDDEN, "m")


@pytest.mark.parametrize(
    ("remembered", "now", "seen", "volume", "found", "reads"),
    [
        (VOLUME, MOVED, FOUND, VOLUME, FOUND, 0),
        (VOLUME, MOVED, MISSING, MOVED, FOUND, 1),
        (VOLUME, MOVED, FORBIDDEN, MOVED, FOUND, 1),
        (VOLUME, VOLUME, MISSING, VOLUME, MISSING, 1),
        (VOLUME, DENIED, MISSING, DENIED, None, 1),
        (None, VOLUME, MISSING, VOLUME, MISSING, 1),
    ],
)
def test_no_object_is_called_missing_or_forbidden_by_a_remembered_volume(
    *,
    remembered: Volume | None,
    now: VolumeAnswer,
    seen: ObjectAnswer,
    volume: VolumeAnswer,
    found: ObjectAnswer | None,
    reads: int,
) -> None:
    jobs = job("a"), job("b")
    platform = Platform(*jobs, volume=now, remembered=remembered, see=lambda one: FOUND if one == MOVED else seen)
    answers = platform.gather()
    assert [(answers[name].volume, answers[name].object) for name in "ab"] == [(volume, found)] * 2
    assert platform.asked.count(("volume", "o/v")) == reads
    # Nothing is asked twice.
    assert len(set(map(repr, platform.asked))) == len(platform.asked)


def test_objects_are_inspected_within_the_time_that_is_left() -> None:
    platform = Platform(job("a"))
    platform.time_left = 4.0
    platform.gather()
    assert platform.looked_within == [4.0]


class HalfEmpty(Platform):
    """A bucket that holds the object of export `a` alone."""

    def inspect(self, wanted: Sequence[tuple[Volume, ExportJob]], within_seconds: float) -> list[ObjectAnswer]:
        return [FOUND if job.id == "a" else MISSING for _, job in wanted]


@pytest.mark.parametrize("refresh", [Unavailable("outage"), Denied(Denial.FORBIDDEN, "m"), MOVED])
def test_object_that_was_seen_stays_seen_though_its_volume_is_read_again_for_another(refresh: VolumeAnswer) -> None:
    answers = HalfEmpty(job("a"), job("b"), remembered=VOLUME, volume=refresh).gather()
    assert (answers["a"].volume, answers["a"].object) == (VOLUME, FOUND)
    assert answers["b"].volume == refresh


class Odd(Platform):
    """A platform and a bucket that raise an unexpected error for what the export `odd` needs."""

    def __init__(self, where: str) -> None:
        self.where = where
        odd = job("odd", file_id="odd-file", volume="o/odd", location="odd.bin")
        super().__init__(odd, job("sound"))

    def read_files(self, file_ids: Sequence[str], time_left: Callable[[], float]) -> Mapping[str, Any]:
        if self.where == "all files":
            raise KeyError("files")
        answers: dict[str, Any] = dict(super().read_files(file_ids, time_left))
        return answers | ({"odd-file": Unexpected(KeyError("size"))} if self.where == "file" else {})

    def read_volume(self, name: str, time_left: Callable[[], float]) -> VolumeAnswer:
        if self.where == "volume" and name == "o/odd":
            raise KeyError("service")
        return super().read_volume(name, time_left)

    def inspect(self, wanted: Sequence[tuple[Volume, ExportJob]], within_seconds: float) -> Any:
        answers: list[Any] = list(super().inspect(wanted, within_seconds))
        if self.where == "object":
            answers[[one.id for _, one in wanted].index("odd")] = Unexpected(KeyError("ETag"))
        return answers


@pytest.mark.parametrize("where", ["file", "volume", "object"])
def test_unexpected_error_stays_with_the_export_it_concerns(where: str) -> None:
    answers = Odd(where).gather()
    assert isinstance(answers["odd"], Unexpected)
    assert isinstance(answers["sound"], Snapshot)


def test_unexpected_error_of_a_shared_request_concerns_every_export_that_needs_its_answer() -> None:
    answers = Odd("all files").gather()
    assert isinstance(answers["odd"], Unexpected)
    assert isinstance(answers["sound"], Unexpected)
