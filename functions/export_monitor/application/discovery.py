"""Discovers exports without a start event in the token owner's list, which is read as far back as recent exports go.

A run that stops early, or leaves something out, says so. The next run reads the first page, continues where the last
one stopped, and then reads the pages between. One odd item, volume or page does not stop the others.
"""

from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from export_monitor.application.reporting import Reporter
from export_monitor.domain.assessment import has_valid_volume_name
from export_monitor.domain.list_order import ListOrder, Stretch, has_more, order_of, start_times, stretches
from export_monitor.domain.model import JobPage, Unavailable, UnavailableError, Volume, VolumeAnswer
from export_monitor.domain.start_events import is_id
from export_monitor.domain.time_budget import TimeBudget

RECENT_SECONDS = 24 * 3600.0
# A start event has arrived by then, if one was sent.
MIN_AGE_SECONDS = 120.0

TimeLeft = Callable[[], float]


class ExportList(Protocol):
    """The API's list of exports and its volumes: see adapters.sevenbridges.client."""

    def list_jobs(self, offset: int, time_left: TimeLeft) -> JobPage | Unavailable: ...
    def read_volume(self, name: str, time_left: TimeLeft) -> VolumeAnswer: ...
    def cached_volume(self, name: str) -> Volume | None: ...


class DiscoveryState(Protocol):
    """Which exports have a watch, and where the last run stopped: see adapters.aws.dynamodb.watched_exports.

    Everything raises UnavailableError.
    """

    def watched(self, export_ids: Collection[str]) -> set[str]: ...
    def add(self, export_ids: Collection[str], now: float) -> None: ...
    def list_offset(self) -> int | None: ...
    def remember_list_offset(self, offset: int | None) -> None: ...


class DiscoveredExportSender(Protocol):
    """The queue of watched exports. Returns the ids of the exports that it took."""

    def send_discovered(self, export_ids: Sequence[str]) -> list[str]: ...


@dataclass(slots=True)
class _Run:
    """What one run has come to: how many jobs it read, for which it started a watch, what it left out and why.

    `stopped_at` is where the next run goes on: where this one stopped, or the last one until this one has read a page.
    """

    since: float
    until: float
    left: TimeLeft
    exports_read: int = 0
    sent: list[str] = field(default_factory=list)
    obstacles: list[str] = field(default_factory=list)
    stopped_at: int | None = None
    over: bool = False
    last_ids: list[str] = field(default_factory=list)

    def leave_out(self, cause: str) -> None:
        """Note that something was left out; each reason counts once."""
        if cause not in self.obstacles:
            self.obstacles.append(cause)

    def repeats(self, page: JobPage) -> bool:
        """Whether a page is the same as the page before it."""
        last_ids, self.last_ids = self.last_ids, [job.id for job in page.jobs]
        return bool(last_ids) and self.last_ids == last_ids


@dataclass(frozen=True, slots=True)
class Discovery:
    """Finds exports that have no watch, and starts one for each."""

    api: ExportList
    state: DiscoveryState
    queue: DiscoveredExportSender
    report: Reporter
    buckets: Collection[str]

    def discover(self, budget: TimeBudget) -> None:
        """Read the list once, and start the watches of each page before the next page is read."""
        now = budget.now
        run = _Run(now - RECENT_SECONDS, now - MIN_AGE_SECONDS, budget.for_requests)
        with self._isolated(run):
            try:
                self._read_list(run, now)
            except UnavailableError as error:
                run.leave_out(str(error))
        for _ in run.sent:
            self.report.count("ExportsDiscovered")
        self.report.info("discovery_finished", exports_read=run.exports_read, export_ids=run.sent or None)
        if run.obstacles:
            self.report.count("DiscoveryTruncated")
            self.report.warning("discovery_truncated", cause=run.obstacles)

    def _read_list(self, run: _Run, now: float) -> None:
        stopped_at = run.stopped_at = self.state.list_offset()
        for page in self._pages(run):
            run.exports_read += len(page.jobs)
            with self._isolated(run):
                self._start_watches(page, run, now)
        if run.stopped_at != stopped_at:
            self.state.remember_list_offset(run.stopped_at)

    def _pages(self, run: _Run) -> Iterator[JobPage]:
        """The pages of the list, the newest first where its order shows where they are."""
        first = self._page(0, run)
        if first is None:
            return
        stopped_at, run.stopped_at = run.stopped_at, None
        yield first
        if not has_more(first, 0):
            return
        order = order_of(first)
        oldest = order.oldest
        for leg in stretches(first, order, stopped_at):
            order.oldest = oldest
            for stretch in leg:
                if order.is_past(run.since) or not (yield from self._stretch(stretch, order, run)):
                    break

    def _stretch(self, stretch: Stretch, order: ListOrder, run: _Run) -> Generator[JobPage, None, bool]:
        """The pages of a stretch; whether what comes after it may be read."""
        offset, end = stretch
        starts: list[float] = []
        while offset < end and not order.is_past(run.since):
            page = self._page(offset, run)
            if page is None:
                return False
            yield page
            starts += start_times(page)
            if not order.ascends:
                order.update(start_times(page))
            if not has_more(page, offset):
                break
            offset += page.length
        if order.ascends:
            order.update(starts)
        return True

    def _page(self, offset: int, run: _Run) -> JobPage | None:
        """The page at an offset, or None where it could not be read, or says that reading leads nowhere."""
        if run.over:
            return None
        page: JobPage | Unavailable = Unavailable("a page of the list could not be read")
        with self._isolated(run):
            page = self.api.list_jobs(offset, run.left)
        if isinstance(page, Unavailable):
            run.leave_out(page.message)
            run.stopped_at = offset or run.stopped_at
            run.over = page.not_attempted
            return None
        if run.repeats(page):
            run.leave_out("the API gives the same page for different offsets")
            run.over = True
            return None
        if page.length == 0 and has_more(page, offset):
            run.leave_out("the API gives an empty page where its list goes on")
        return page if page.length else replace(page, has_next=False, total=None)

    def _start_watches(self, page: JobPage, run: _Run, now: float) -> None:
        """Send start events for the recent exports of a page that go to our buckets and have no watch."""
        recent = {
            job.id: job
            for job in page.jobs
            if job.started_at is not None and run.since <= job.started_at <= run.until and is_id(job.id)
        }
        watched = self.state.watched(recent) if recent else set()
        unwatched = {export_id: job for export_id, job in recent.items() if export_id not in watched}
        ours = self._our_volumes({job.volume for job in unwatched.values() if job.volume}, run)
        found = [export_id for export_id, job in unwatched.items() if job.volume in ours]
        if found:
            # Sent before it is recorded: a crash between the two can double a watch, but lose none.
            sent = self.queue.send_discovered(found)
            run.sent += sent
            if len(sent) < len(found):
                run.leave_out("SQS did not take every start event")
            self.state.add(sent, now)

    def _our_volumes(self, names: Collection[str], run: _Run) -> set[str]:
        ours = set()
        for name in sorted(filter(has_valid_volume_name, names)):
            with self._isolated(run):
                volume = self.api.cached_volume(name) or self.api.read_volume(name, run.left)
                if isinstance(volume, Unavailable):
                    run.leave_out(volume.message)
                elif isinstance(volume, Volume) and volume.bucket in self.buckets:
                    ours.add(name)
        return ours

    @contextmanager
    def _isolated(self, run: _Run) -> Iterator[None]:
        """Let an unexpected error leave out what it concerns, and nothing else."""
        try:
            yield
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, other exports must not be left out for it
            self.report.exception("unexpected_error", error, message_ids=None)
            self.report.count("UnexpectedErrors")
            run.leave_out(f"unexpected error: {type(error).__name__}")
