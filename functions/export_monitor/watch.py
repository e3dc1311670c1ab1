"""One batch of the queue's messages, looked at: understand, gather, decide, then publish or hide.

A message leaves the queue only when its watch has ended with a published event, or when it lies in the dead-letter
queue instead. Whatever else happens, it is kept.
"""

import random as random_module
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.domain.assessment import Answers, assess
from export_monitor.domain.events import ending_message
from export_monitor.domain.groups import MemberEnd, member_end
from export_monitor.domain.model import (
    Evidence,
    Faulty,
    Group,
    Obstacle,
    QueueMessage,
    StartEvent,
    UnavailableError,
    Verdict,
    Watch,
)
from export_monitor.domain.patience import End, Patience, Sight, Wait, decide, fault_key, healed_after, poll_delay
from export_monitor.domain.start_events import ORIGIN, StartEventError, WatchedGroup, read_message
from export_monitor.gathering import Api, Objects, gather
from export_monitor.grouping import Groups
from export_monitor.publication import Claims, Ending, Fate, Settled, Topic, publish_once, rounds
from export_monitor.reporting import Look, Reporter, tell_kept, tell_published, tell_published_before, tell_waiting

# What is left of the invocation when asking stops: enough to publish and to hand 100 messages back, if slowly.
_RESERVE_SECONDS = 15.0
_RESERVE_SHARE = 0.25
# When a message that cannot even be set aside is tried again.
_SET_ASIDE_AGAIN_SECONDS = 60.0
_MARKED_RECEIVES = 2


@dataclass(frozen=True, slots=True)
class Invocation:
    """When this look is made and when it must be over (epoch seconds), and how many seconds are left of it."""

    now: float
    deadline_at: float
    time_left: Callable[[], float]

    @property
    def present(self) -> float:
        """The time as it is by now, in epoch seconds."""
        return self.deadline_at - self.time_left()


class Queue(Protocol):
    """SQS: see adapters.export_queue."""

    def hide(self, delays: Sequence[tuple[QueueMessage, float]]) -> list[QueueMessage]: ...
    def set_aside(self, message: QueueMessage, error: str) -> None: ...


class Ledger(Claims, Protocol):
    """The ledger of publications, which also remembers faults: see adapters.ledger."""

    def first_seen_at(self, sights: Collection[Sight], now: float) -> dict[Sight, float | Obstacle]: ...
    def mark_watched(self, export_ids: Collection[str], now: float) -> None: ...


@dataclass(slots=True)
class _Batch:
    """What becomes of the messages of one batch: kept for so many seconds, or done with."""

    invocation: Invocation
    reserve: float
    kept: list[tuple[QueueMessage, float]] = field(default_factory=list)
    settled: set[str] = field(default_factory=set)

    def keep(self, message: QueueMessage, seconds: float) -> None:
        self.kept.append((message, seconds))
        self.settled.add(message.message_id)

    def done(self, message: QueueMessage) -> None:
        self.settled.add(message.message_id)

    def may_ask_for(self) -> float:
        return self.invocation.time_left() - self.reserve

    def may_publish(self) -> bool:
        return self.invocation.time_left() > self.reserve / 2


@dataclass(frozen=True, slots=True)
class ExportWatch:
    """Looks at batches of messages.

    `discovers` where exports are discovered too, so that those watched already must be known. `random` gives numbers
    from 0 to 1 that spread the delays.
    """

    api: Api
    objects: Objects
    queue: Queue
    ledger: Ledger
    topic: Topic
    report: Reporter
    patience: Patience
    groups: Groups
    start_event_source: str
    api_base_url: str
    discovers: bool = False
    random: Callable[[], float] = random_module.random

    def look_at(self, messages: Sequence[QueueMessage], invocation: Invocation) -> list[str]:
        """Handle each message once; the ids of those that stay in the queue, hidden until they are due."""
        batch = _Batch(invocation, min(_RESERVE_SECONDS, invocation.time_left() * _RESERVE_SHARE))
        watches, groups, rejected = self._understand(messages)
        if watches:
            oldest = max(watch.age(invocation.now) for _, watch in watches)
            self.report.measure_seconds("OldestWatchAgeSeconds", oldest)
            with self._keeping([message for message, _ in watches], batch):
                self._begin([watch for _, watch in watches], batch)
                answers = gather(self._overdue(watches, batch), self.api, self.objects, batch.may_ask_for)
                self._publish(self._decide(watches, answers, batch), batch)
        for message, group_id in groups:
            with self._keeping([message], batch):
                self._look_at_group(message, group_id, batch)
        # Last, so that a dead-letter queue that does not answer holds nothing up.
        for message, error in rejected:
            self._set_aside(message, error, batch)
        for message in self.queue.hide(batch.kept):
            self.report.warn("message_not_hidden", message_id=message.message_id)
        return [message.message_id for message, _ in batch.kept]

    def _understand(
        self, messages: Sequence[QueueMessage]
    ) -> tuple[list[tuple[QueueMessage, Watch]], list[tuple[QueueMessage, str]], list[tuple[QueueMessage, str]]]:
        """The watches and the groups that messages stand for, and what is not understood, each with why."""
        watches, groups, rejected = [], [], []
        for message in messages:
            try:
                meant = read_message(message.body, self.start_event_source)
            except StartEventError as error:
                self.report.count("StartEventsRejected")
                rejected.append((message, str(error)))
                continue
            if isinstance(meant, WatchedGroup):
                groups.append((message, meant.group_id))
            else:
                watches.append((message, _watch(message, meant)))
        return watches, groups, rejected

    def _begin(self, watches: Sequence[Watch], batch: _Batch) -> None:
        """Let it be known which exports and which groups are watched."""
        now = batch.invocation.now
        try:
            # A crash may have eaten a message's first receive.
            new = {watch.start.export_id for watch in watches if watch.receives <= _MARKED_RECEIVES}
            if self.discovers and new:
                self.ledger.mark_watched(new, now)
            self.groups.begin(watches, now)
        except UnavailableError as error:
            # An export that is not marked is discovered, which does no harm. A member whose group is not begun can be
            # looked at; counting it fails until the group is.
            self.report.warn("watches_not_begun", because=str(error))

    def _look_at_group(self, message: QueueMessage, group_id: str, batch: _Batch) -> None:
        now, until = batch.invocation.now, batch.invocation.deadline_at
        try:
            if self.groups.is_over(group_id, message.sent_at, self.patience.last_moment, now, until, batch.may_publish):
                batch.done(message)
                return
        except UnavailableError as error:
            self.report.warn("group_not_concluded", group_id=group_id, because=str(error))
        batch.keep(message, self._poll_delay(message, now))

    def _poll_delay(self, message: QueueMessage, now: float) -> float:
        return poll_delay(message.age(now), message.receives, self.patience, self.random())

    def _overdue(self, watches: Sequence[tuple[QueueMessage, Watch]], batch: _Batch) -> dict[str, bool]:
        overdue: dict[str, bool] = {}
        for _, watch in watches:
            is_overdue = watch.age(batch.invocation.now) >= self.patience.timeout
            overdue[watch.start.export_id] = is_overdue or overdue.get(watch.start.export_id, False)
        return overdue

    def _decide(
        self, watches: Sequence[tuple[QueueMessage, Watch]], answers: dict[str, Answers], batch: _Batch
    ) -> list[Look]:
        """Look at each; those whose watch is over come back, the others are kept."""
        now = batch.invocation.now
        assessed: list[tuple[QueueMessage, Watch, Verdict, Evidence]] = []
        for message, watch in watches:
            with self._keeping([message], batch):
                assessed.append((message, watch, *assess(answers[watch.start.export_id], now)))
        sights = {sight for _, watch, verdict, _ in assessed if (sight := self._sight(watch, verdict, now))}
        first_seen_at = self.ledger.first_seen_at(sights, now) if sights else {}
        ends = []
        for message, watch, verdict, evidence in assessed:
            with self._keeping([message], batch):
                sight = self._sight(watch, verdict, now)
                decision = self._decision(message, watch, verdict, first_seen_at[sight] if sight else None, now)
                look = Look(message, watch, now, verdict, evidence, decision)
                if isinstance(decision, Wait):
                    tell_waiting(look, decision.seconds, decision.because, self.report)
                    batch.keep(message, decision.seconds)
                else:
                    ends.append(look)
        return ends

    def _sight(self, watch: Watch, verdict: Verdict, now: float) -> Sight | None:
        if not isinstance(verdict, Faulty):
            return None
        healed = healed_after(watch.age(now), self.patience.schedule)
        return Sight(watch.start.export_id, fault_key(verdict.failure), healed)

    def _decision(
        self, message: QueueMessage, watch: Watch, verdict: Verdict, first_seen_at: float | Obstacle | None, now: float
    ) -> Wait | End:
        if isinstance(first_seen_at, Obstacle):
            # How long the fault has been there is not known, so nothing ends by it.
            return Wait(self._poll_delay(message, now), first_seen_at.text)
        return decide(verdict, watch, now, first_seen_at, self.patience, self.random())

    def _publish(self, looks: Sequence[Look], batch: _Batch) -> None:
        now, deadline_at = batch.invocation.now, batch.invocation.deadline_at
        by_message = {look.watch.message_id: look for look in looks}
        endings: list[Ending] = []
        for look in looks:
            with self._keeping([look.message], batch):
                endings.append(self._ending(look))
        for part in rounds(endings):
            part_looks = [by_message[ending.watch.message_id] for ending in part]
            with self._keeping([look.message for look in part_looks], batch):
                settled = publish_once(part, self.ledger, self.topic, now, deadline_at, batch.may_publish)
                uncounted = self._count_members(settled, by_message, batch)
                for one in settled:
                    self._settle(by_message[one.ending.watch.message_id], one, uncounted, batch)

    def _ending(self, look: Look) -> Ending:
        message = ending_message(look.watch, look.evidence, look.failure, look.now, self.api_base_url)
        return Ending(look.watch, message)

    def _count_members(self, settled: Sequence[Settled], looks: Mapping[str, Look], batch: _Batch) -> bool:
        """Count the members of groups whose watches are over; whether that failed."""
        members: list[tuple[Group, MemberEnd]] = []
        for one in settled:
            look = looks[one.ending.watch.message_id]
            group = look.watch.start.group
            if group and one.published:
                export_id = look.watch.start.export_id
                members.append((group, member_end(export_id, one.published, look.failure, look.evidence.job)))
        try:
            self.groups.count(members, batch.invocation.now, batch.invocation.deadline_at, batch.may_publish)
        except UnavailableError as error:
            self.report.warn("group_members_not_counted", because=str(error))
            return True
        return False

    def _settle(self, look: Look, settled: Settled, uncounted: bool, batch: _Batch) -> None:
        if settled.fate in (Fate.WAITING, Fate.HELD_BACK):
            age = look.watch.age(look.now)
            seconds = self.patience.schedule.within_budget(settled.seconds, age, look.watch.receives)
            batch.keep(look.message, seconds)
            held_back = settled.fate is Fate.HELD_BACK
            tell_kept(look, seconds, settled.because or "", self.report, held_back=held_back)
            return
        if uncounted and look.watch.start.group:
            # It comes again, publishes nothing more, and is counted.
            batch.keep(look.message, self._poll_delay(look.message, look.now))
        else:
            batch.done(look.message)
        if settled.fate is Fate.PUBLISHED:
            tell_published(look, batch.invocation.present, self.report)
        else:
            tell_published_before(look, self.report)

    def _set_aside(self, message: QueueMessage, error: str, batch: _Batch) -> None:
        with self._keeping([message], batch, is_set_aside=True):
            self.queue.set_aside(message, error)
            self.report.warn("message_set_aside", message_id=message.message_id, error=error)
            batch.done(message)

    @contextmanager
    def _keeping(
        self, messages: Sequence[QueueMessage], batch: _Batch, *, is_set_aside: bool = False
    ) -> Iterator[None]:
        """The one boundary: an error that nobody foresaw keeps the messages that it left unsettled."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, a message must not be lost or disturb others
            self.report.traceback("unforeseen_error", message_ids=[message.message_id for message in messages])
            self.report.count("UnforeseenErrors")
            for message in messages:
                if message.message_id in batch.settled:
                    continue
                if is_set_aside:
                    batch.keep(message, _SET_ASIDE_AGAIN_SECONDS)
                else:
                    self._after_surprise(message, error, batch)

    def _after_surprise(self, message: QueueMessage, error: Exception, batch: _Batch) -> None:
        now = batch.invocation.now
        if message.age(now) < self.patience.last_moment:
            batch.keep(message, self._poll_delay(message, now))
        else:
            self._set_aside(message, f"unforeseen error: {type(error).__name__}: {error}", batch)


def _watch(message: QueueMessage, start: StartEvent) -> Watch:
    origin = message.attributes.get(ORIGIN, {}).get("stringValue")
    return Watch(
        start,
        message.message_id,
        message.sent_at,
        message.receives,
        "discovered" if origin == "discovered" else "announced",
    )
