"""Virtual time, and in-memory versions of AWS: a queue with its mapping, a ledger, a topic and a bucket.

Hours pass in seconds: while one process sleeps, the next event happens. Everything is in memory; one seed always gives
the same run.
"""

import heapq
import math
import random
import threading
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import count

from export_monitor.domain.claims import Claim, ClaimStatus, RejectedClaim
from export_monitor.domain.events import SnsMessage, Unpublished
from export_monitor.domain.grace import FaultObservation
from export_monitor.domain.model import ExportJob, ObjectAnswer, QueueMessage, StoredObject, Unavailable, Volume

# The template's values for the queue, the function and the mapping.
VISIBILITY_TIMEOUT_SECONDS = 360.0
MAX_RECEIVES = 1000
FUNCTION_TIMEOUT_SECONDS = 60.0
BATCH_SIZE = 10
# How often a poller asks an empty queue again.
_POLL_SECONDS = 0.5


class VirtualTime:
    """A clock that jumps to the next event; calling it gives epoch seconds.

    Processes are threads that run one at a time, each until it sleeps, so the machine's speed has no influence.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._order = count()
        self._waiting: list[tuple[float, int, threading.Semaphore]] = []
        self._given_way = threading.Semaphore(0)
        self._errors: list[BaseException] = []

    def __call__(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let this much time pass; other processes run in the meantime."""
        at = self._now + seconds
        if not self._waiting or at < self._waiting[0][0]:
            self._now = at
            return
        turn = self._wait_until(at)
        self._given_way.release()
        turn.acquire()

    def run(self, *processes: Callable[[], None]) -> None:
        """Run the processes until all have ended. An exception in one of them is raised here."""
        for process in processes:
            threading.Thread(target=self._live, args=(process, self._wait_until(self._now)), daemon=True).start()
        while self._waiting and not self._errors:
            self._now, _, turn = heapq.heappop(self._waiting)
            turn.release()
            self._given_way.acquire()
        if self._errors:
            raise self._errors[0]

    def _wait_until(self, at: float) -> threading.Semaphore:
        turn = threading.Semaphore(0)
        heapq.heappush(self._waiting, (at, next(self._order), turn))
        return turn

    def _live(self, process: Callable[[], None], turn: threading.Semaphore) -> None:
        turn.acquire()
        try:
            process()
        except BaseException as error:  # noqa: BLE001 -- raised again by run()
            self._errors.append(error)
        finally:
            self._given_way.release()


@dataclass
class _Kept:
    """A message in the queue, visible from `due_at` on."""

    message_id: str
    body: str
    sent_at: float
    due_at: float
    receive_count: int = 0
    is_shown: bool = False


class VirtualQueue:
    """A standard queue: messages come in no order, and each receive hides them for the visibility timeout."""

    def __init__(self, clock: Callable[[], float], randomness: random.Random) -> None:
        self._clock = clock
        self._random = randomness
        self._numbers = count(1)
        self._kept: dict[str, _Kept] = {}
        self._hidden: list[tuple[float, str]] = []
        self._shown: list[str] = []
        self.dead_letters: list[tuple[str, str]] = []
        self.most_receives = 0
        self.hides: list[tuple[float, str, float]] = []

    def __len__(self) -> int:
        return len(self._kept)

    def send(self, body: str) -> None:
        now = self._clock()
        kept = _Kept(f"message-{next(self._numbers)}", body, now, now)
        self._kept[kept.message_id] = kept
        self._hide_until(kept, now)

    def receive(self, limits: Sequence[int]) -> list[list[QueueMessage] | Exception]:
        """Make a call for each of these limits, as the function does."""
        return [self.receive_batch(limit) for limit in limits]

    def receive_batch(self, limit: int) -> list[QueueMessage]:
        """Receive up to `limit` of the visible messages."""
        received: list[QueueMessage] = []
        self._show()
        while self._shown and len(received) < limit:
            position = self._random.randrange(len(self._shown))
            self._shown[position], self._shown[-1] = self._shown[-1], self._shown[position]
            kept = self._kept[self._shown.pop()]
            kept.receive_count += 1
            self.most_receives = max(self.most_receives, kept.receive_count)
            if kept.receive_count > MAX_RECEIVES:
                self._move_to_dead_letters(kept.message_id, "received too often")
                continue
            self._hide_until(kept, self._clock() + VISIBILITY_TIMEOUT_SECONDS)
            handle = f"{kept.message_id}/{kept.receive_count}"
            received.append(QueueMessage(kept.message_id, handle, kept.body, kept.sent_at, kept.receive_count))
        return received

    def change_visibility(self, delays: Sequence[tuple[QueueMessage, float]], *_: object) -> list[QueueMessage]:
        """Hide messages for a number of seconds, rounded up as SQS takes whole seconds."""
        for message, seconds in delays:
            kept = self._kept[message.message_id]
            if f"{kept.message_id}/{kept.receive_count}" == message.receipt_handle and not kept.is_shown:
                self._hide_until(kept, self._clock() + max(1, math.ceil(seconds)))
                self.hides.append((self._clock(), message.message_id, seconds))
        return []

    def dead_letter(self, message: QueueMessage, error: str, *_: object) -> None:
        """Move an invalid or repeatedly failing message to the dead-letter queue."""
        self._move_to_dead_letters(message.message_id, error)

    def delete(self, messages: Sequence[QueueMessage]) -> list[QueueMessage]:
        """Delete messages that were handled."""
        for message in messages:
            self._kept.pop(message.message_id, None)
        return []

    def next_due_at(self) -> float:
        """When the next message becomes visible, as far as known."""
        self._show()
        if self._shown:
            return self._clock()
        return self._hidden[0][0] if self._hidden else math.inf

    def _hide_until(self, kept: _Kept, due_at: float) -> None:
        kept.due_at, kept.is_shown = due_at, False
        heapq.heappush(self._hidden, (due_at, kept.message_id))

    def _show(self) -> None:
        while self._hidden and self._hidden[0][0] <= self._clock():
            due_at, message_id = heapq.heappop(self._hidden)
            kept = self._kept.get(message_id)
            # Skip entries whose visibility has changed since.
            if kept and kept.due_at == due_at and not kept.is_shown:
                kept.is_shown = True
                self._shown.append(message_id)

    def _move_to_dead_letters(self, message_id: str, error: str) -> None:
        self.dead_letters.append((message_id, error))
        self._kept.pop(message_id, None)


@dataclass
class Poller:
    """One of the mapping's workers: receives batches, without a window, and processes them one after the other.

    `process_batch` takes a batch and returns the ids of the messages that stay in the queue.
    """

    time: VirtualTime
    queue: VirtualQueue
    process_batch: Callable[[list[QueueMessage]], list[str]]
    until: float
    longest_invocation: float = 0.0

    def work(self) -> None:
        """Work until the time is over or the queue is empty."""
        while self.time() < self.until and len(self.queue):
            batch = self.queue.receive_batch(BATCH_SIZE)
            if batch:
                self._process(batch)
            else:
                self.time.sleep(min(_POLL_SECONDS, max(0.01, self.queue.next_due_at() - self.time())))

    def _process(self, batch: list[QueueMessage]) -> None:
        began_at = self.time()
        stays = set(self.process_batch(batch))
        self.queue.delete([message for message in batch if message.message_id not in stays])
        self.longest_invocation = max(self.longest_invocation, self.time() - began_at)


@dataclass
class _Item:
    """The ledger's item of one export."""

    claimed_until: float = -math.inf
    sent: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)


class VirtualLedger:
    """Claims and published events, by export."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}

    def claim(self, claims: Sequence[Claim], now: float, until: float, *_: object) -> dict[str, RejectedClaim]:
        refused: dict[str, RejectedClaim] = {}
        for claim in claims:
            item = self._items.setdefault(claim.export_id, _Item())
            if claim.event_id in item.sent or claim.message_id in item.over:
                refused[claim.export_id] = RejectedClaim(ClaimStatus.ALREADY_PUBLISHED)
            elif now < item.claimed_until:
                refused[claim.export_id] = RejectedClaim(ClaimStatus.IN_PROGRESS, item.claimed_until - now)
            else:
                item.claimed_until = until
        return refused

    def add(self, export_ids: Collection[str], now: float) -> None:
        """Do nothing: this simulation has no discovery."""

    def record(self, published: Sequence[Claim], over: Sequence[Claim], *_: object) -> set[str]:
        for claim in (*published, *over):
            item = self._items.setdefault(claim.export_id, _Item())
            item.claimed_until = -math.inf
            item.over.add(claim.message_id)
        for claim in published:
            self._items[claim.export_id].sent.add(claim.event_id)
        return set()

    def first_seen_at(
        self, observations: Collection[FaultObservation], now: float, *_: object
    ) -> dict[FaultObservation, float | Unavailable]:
        """Report every fault as new: none lasts in a run."""
        return dict.fromkeys(observations, now)


class NoGroups:
    """Groups that do nothing: no export of the simulation belongs to one."""

    def register(self, *_: object) -> None:
        """Do nothing."""

    def record_results(self, ends: Sequence[object], *_: object) -> None:
        """Do nothing."""


@dataclass
class VirtualTopic:
    """Counts published events by their ids."""

    published: Counter[str] = field(default_factory=Counter)

    def publish(self, messages: Sequence[SnsMessage], *_: object) -> dict[str, Unpublished]:
        self.published.update(message.event_id for message in messages)
        return {}


@dataclass(frozen=True)
class VirtualObjects:
    """A bucket that contains the object of every completed job."""

    clock: Callable[[], float]
    size: int

    def inspect(self, wanted: Sequence[tuple[Volume, ExportJob]], *_: object) -> list[ObjectAnswer]:
        return [
            StoredObject(volume.bucket, job.location or "", self.size, "etag", self.clock()) for volume, job in wanted
        ]
