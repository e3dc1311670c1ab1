"""Exports that nobody announced: the token owner's own list, read as far as recent exports go.

Nothing is known for certain of the list's order, so it is taken from what is seen: where times go down page by page,
from either end, reading stops at the first page that is too old; where they do not, all pages are read. A run that had
to stop early says so, and the next one goes on where it stopped.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from export_monitor.domain.assessment import may_read_volume
from export_monitor.domain.model import JobPage, Obstacle, UnavailableError, Volume, VolumeAnswer
from export_monitor.reporting import Reporter

# The most that the API gives at once.
PAGE_SIZE = 100
RECENT_SECONDS = 24 * 3600.0
# Whoever announces an export has done so by then.
SETTLED_SECONDS = 120.0
# What is kept of the invocation for sending and recording what was found.
_RESERVE_SHARE = 0.25

TimeLeft = Callable[[], float]


class ExportList(Protocol):
    """The API's list of exports and its volumes: see adapters.cgc."""

    def list_jobs(self, offset: int, time_left: TimeLeft) -> JobPage | Obstacle: ...
    def read_volume(self, name: str, time_left: TimeLeft) -> VolumeAnswer: ...
    def remembered_volume(self, name: str) -> Volume | None: ...


class WatchedExports(Protocol):
    """Which exports have a watch, and where the last run stopped: see adapters.watch_marks.

    Everything raises UnavailableError.
    """

    def watched(self, export_ids: Collection[str]) -> set[str]: ...
    def mark_watched(self, export_ids: Collection[str], now: float) -> None: ...
    def list_offset(self) -> int | None: ...
    def remember_list_offset(self, offset: int | None) -> None: ...


class Announcer(Protocol):
    """The queue of exports being watched; the ids of those come back that are in it now."""

    def send_discovered(self, export_ids: Sequence[str]) -> list[str]: ...


@dataclass(slots=True)
class _Run:
    """What one run has come to: how many jobs it read, whose watch it began, where it stopped early and why."""

    exports_read: int = 0
    sent: list[str] = field(default_factory=list)
    stopped_at: int | None = None
    because: str | None = None

    def stop(self, offset: int, because: str) -> None:
        """Note where the next run has to go on; the first of several places counts."""
        if self.because is None:
            self.stopped_at, self.because = offset, because


@dataclass(slots=True)
class _Order:
    """Whether start times have gone down from page to page, by all that was seen, and how far."""

    ascends: bool = False
    goes_down: bool = True
    oldest: float = float("inf")

    def see(self, page: JobPage) -> None:
        """Take in a page of a list that is read forwards, or backwards where its times ascend."""
        starts = _starts(page)
        in_order = starts == sorted(starts, reverse=not self.ascends) and max(starts, default=0.0) <= self.oldest
        self.goes_down = self.goes_down and in_order
        self.oldest = min([self.oldest, *starts])


@dataclass(frozen=True, slots=True)
class Discovery:
    """Finds exports that have no watch, and begins one for each."""

    api: ExportList
    marks: WatchedExports
    queue: Announcer
    report: Reporter
    buckets: Collection[str]

    def discover(self, now: float, time_left: TimeLeft) -> None:
        """Look through the list once, and deal with each page before the next is read."""
        reserve = time_left() * _RESERVE_SHARE
        run = _Run()

        def left() -> float:
            return time_left() - reserve

        try:
            for offset, page in self._pages(now, left, run):
                run.exports_read += len(page.jobs)
                self._begin_watches(page, offset, run, now, left)
            self.marks.remember_list_offset(run.stopped_at)
        except UnavailableError as error:
            run.because = str(error)
        for _ in run.sent:
            self.report.count("ExportsDiscovered")
        if run.because is not None:
            self.report.count("DiscoveryStoppedEarly")
        self.report.note(
            "discovery", exports_read=run.exports_read, export_ids=run.sent or None, stopped_early=run.because
        )

    def _pages(self, now: float, left: TimeLeft, run: _Run) -> Iterator[tuple[int, JobPage]]:
        """The pages of the list with their offsets, the newest first where its order shows where they are."""
        first = self.api.list_jobs(0, left)
        if isinstance(first, Obstacle):
            run.stop(0, first.text)
            return
        starts = _starts(first)
        # The list can be read from its end only where it is known how long it is.
        order = _Order(ascends=first.total is not None and len(set(starts)) > 1 and starts == sorted(starts))
        if not order.ascends:
            order.see(first)
        yield 0, first
        for offset in self._offsets(first, order):
            if order.goes_down and order.oldest < now - RECENT_SECONDS:
                return
            page = self.api.list_jobs(offset, left)
            if isinstance(page, Obstacle):
                run.stop(offset, page.text)
                return
            if not page.jobs:
                return
            order.see(page)
            yield offset, page

    def _offsets(self, first: JobPage, order: _Order) -> Iterator[int]:
        """Where the pages after the first begin, in the order of reading."""
        if first.total is None:
            yield from count(PAGE_SIZE, PAGE_SIZE) if first.has_next else ()
            return
        offsets = list(range(PAGE_SIZE, first.total, PAGE_SIZE))
        if order.ascends:
            offsets.reverse()
        stopped_at = self.marks.list_offset()
        if stopped_at in offsets:
            # What lies before was read by the runs before.
            place = offsets.index(stopped_at)
            offsets = offsets[place:] + offsets[:place]
        yield from offsets

    def _begin_watches(self, page: JobPage, offset: int, run: _Run, now: float, left: TimeLeft) -> None:
        """Announce the recent exports of a page that go to our buckets and have no watch."""
        recent = {
            job.id: job
            for job in page.jobs
            if job.started_at is not None and now - RECENT_SECONDS <= job.started_at <= now - SETTLED_SECONDS
        }
        watched = self.marks.watched(recent) if recent else set()
        unwatched = {export_id: job for export_id, job in recent.items() if export_id not in watched}
        ours = self._our_volumes({job.volume for job in unwatched.values() if job.volume}, offset, run, left)
        found = [export_id for export_id, job in unwatched.items() if job.volume in ours]
        if found:
            # Sent before it is marked: a crash between the two can double a watch, which does no harm, but lose none.
            sent = self.queue.send_discovered(found)
            self.marks.mark_watched(sent, now)
            run.sent += sent
            if len(sent) < len(found):
                run.stop(offset, "SQS did not take every start event")

    def _our_volumes(self, names: Collection[str], offset: int, run: _Run, left: TimeLeft) -> set[str]:
        ours = set()
        for name in sorted(filter(may_read_volume, names)):
            volume = self.api.remembered_volume(name) or self.api.read_volume(name, left)
            if isinstance(volume, Obstacle):
                run.stop(offset, volume.text)
            elif isinstance(volume, Volume) and volume.bucket in self.buckets:
                ours.add(name)
        return ours


def _starts(page: JobPage) -> list[float]:
    return [job.started_at for job in page.jobs if job.started_at is not None]
