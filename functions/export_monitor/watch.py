"""One batch of the queue's messages, looked at: understand, gather, decide, then publish or hide.

A message leaves the queue only when its watch has ended with a published event, or when it lies in the dead-letter
queue instead. Whatever else happens, it is kept.
"""

import random as random_module
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from export_monitor.domain.assessment import Answers, assess
from export_monitor.domain.events import ending_message
from export_monitor.domain.model import Evidence, Faulty, Obstacle, QueueMessage, Verdict, Watch
from export_monitor.domain.patience import End, Patience, Sight, Wait, decide, fault_key, healed_after, poll_delay
from export_monitor.domain.start_events import StartEventError, read_start_event
from export_monitor.gathering import Api, Objects, gather
from export_monitor.publication import Claims, Ending, Fate, Settled, Topic, publish_once, rounds
from export_monitor.reporting import Look, Reporter, tell_kept, tell_published, tell_published_before, tell_waiting

# What is left of the invocation when asking stops: enough to publish and to hand 100 messages back, if slowly.
_RESERVE_SECONDS = 15.0
_RESERVE_SHARE = 0.25
# When a message that cannot even be set aside is tried again.
_SET_ASIDE_AGAIN_SECONDS = 60.0


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
    """Looks at batches of messages. `random` gives numbers from 0 to 1 that spread the delays."""

    api: Api
    objects: Objects
    queue: Queue
    ledger: Ledger
    topic: Topic
    report: Reporter
    patience: Patience
    start_event_source: str
    api_base_url: str
    random: Callable[[], float] = random_module.random

    def look_at(self, messages: Sequence[QueueMessage], invocation: Invocation) -> list[str]:
        """Handle each message once; the ids of those that stay in the queue, hidden until they are due."""
        batch = _Batch(invocation, min(_RESERVE_SECONDS, invocation.time_left() * _RESERVE_SHARE))
        watches, rejected = self._understand(messages)
        if watches:
            oldest = max(watch.age(invocation.now) for _, watch in watches)
            self.report.measure_seconds("OldestWatchAgeSeconds", oldest)
            with self._keeping(watches, batch):
                answers = gather(self._overdue(watches, batch), self.api, self.objects, batch.may_ask_for)
                self._publish(self._decide(watches, answers, batch), batch)
        # Last, so that a dead-letter queue that does not answer holds nothing up.
        for message, error in rejected:
            self._set_aside(message, error, batch)
        for message in self.queue.hide(batch.kept):
            self.report.warn("message_not_hidden", message_id=message.message_id)
        return [message.message_id for message, _ in batch.kept]

    def _understand(
        self, messages: Sequence[QueueMessage]
    ) -> tuple[list[tuple[QueueMessage, Watch]], list[tuple[QueueMessage, str]]]:
        """The watches that messages stand for, and the messages that are not understood, each with why."""
        watches, rejected = [], []
        for message in messages:
            try:
                start = read_start_event(message.body, self.start_event_source)
            except StartEventError as error:
                self.report.count("StartEventsRejected")
                rejected.append((message, str(error)))
            else:
                watches.append((message, Watch(start, message.message_id, message.sent_at, message.receives)))
        return watches, rejected

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
            with self._keeping([(message, watch)], batch):
                assessed.append((message, watch, *assess(answers[watch.start.export_id], now)))
        sights = {sight for _, watch, verdict, _ in assessed if (sight := self._sight(watch, verdict, now))}
        first_seen_at = self.ledger.first_seen_at(sights, now) if sights else {}
        ends = []
        for message, watch, verdict, evidence in assessed:
            with self._keeping([(message, watch)], batch):
                sight = self._sight(watch, verdict, now)
                decision = self._decision(watch, verdict, first_seen_at[sight] if sight else None, now)
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
        self, watch: Watch, verdict: Verdict, first_seen_at: float | Obstacle | None, now: float
    ) -> Wait | End:
        if isinstance(first_seen_at, Obstacle):
            # How long the fault has been there is not known, so nothing ends by it.
            return Wait(poll_delay(watch, now, self.patience, self.random()), first_seen_at.text)
        return decide(verdict, watch, now, first_seen_at, self.patience, self.random())

    def _publish(self, looks: Sequence[Look], batch: _Batch) -> None:
        now, deadline_at = batch.invocation.now, batch.invocation.deadline_at
        by_message = {look.watch.message_id: look for look in looks}
        endings: list[Ending] = []
        for look in looks:
            with self._keeping([(look.message, look.watch)], batch):
                endings.append(self._ending(look))
        for part in rounds(endings):
            part_looks = [by_message[ending.watch.message_id] for ending in part]
            with self._keeping([(look.message, look.watch) for look in part_looks], batch):
                settled = publish_once(part, self.ledger, self.topic, now, deadline_at, batch.may_publish)
                for one in settled:
                    self._settle(by_message[one.ending.watch.message_id], one, batch)

    def _ending(self, look: Look) -> Ending:
        message = ending_message(look.watch, look.evidence, look.failure, look.now, self.api_base_url)
        return Ending(look.watch, message)

    def _settle(self, look: Look, settled: Settled, batch: _Batch) -> None:
        if settled.fate in (Fate.WAITING, Fate.HELD_BACK):
            age = look.watch.age(look.now)
            seconds = self.patience.schedule.within_budget(settled.seconds, age, look.watch.receives)
            batch.keep(look.message, seconds)
            held_back = settled.fate is Fate.HELD_BACK
            tell_kept(look, seconds, settled.because or "", self.report, held_back=held_back)
        elif settled.fate is Fate.PUBLISHED:
            batch.done(look.message)
            tell_published(look, batch.invocation.present, self.report)
        else:
            batch.done(look.message)
            tell_published_before(look, self.report)

    def _set_aside(self, message: QueueMessage, error: str, batch: _Batch) -> None:
        with self._keeping([(message, None)], batch):
            self.queue.set_aside(message, error)
            self.report.warn("message_set_aside", message_id=message.message_id, error=error)
            batch.done(message)

    @contextmanager
    def _keeping(self, watches: Sequence[tuple[QueueMessage, Watch | None]], batch: _Batch) -> Iterator[None]:
        """The one boundary: an error that nobody foresaw keeps the messages that it left unsettled."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever it is, a message must not be lost or disturb others
            self.report.traceback("unforeseen_error", message_ids=[message.message_id for message, _ in watches])
            self.report.count("UnforeseenErrors")
            for message, watch in watches:
                if message.message_id not in batch.settled:
                    self._after_surprise(message, watch, error, batch)

    def _after_surprise(self, message: QueueMessage, watch: Watch | None, error: Exception, batch: _Batch) -> None:
        now = batch.invocation.now
        if watch is None:
            batch.keep(message, _SET_ASIDE_AGAIN_SECONDS)
        elif watch.age(now) < self.patience.last_moment:
            batch.keep(message, poll_delay(watch, now, self.patience, self.random()))
        else:
            self._set_aside(message, f"unforeseen error: {type(error).__name__}: {error}", batch)
