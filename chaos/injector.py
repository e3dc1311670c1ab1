"""Decides for each call whether it fails, from the schedule, the clock and a seeded generator; counts the faults."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from chaos.schedule import Kill, Schedule
from chaos.timing import Times
from local.faults import Call, Disconnect, Fault


class Injector:
    """Applies the schedule to calls from many threads.

    The seed determines the schedule, but not the order of calls, so not which calls fail.
    """

    def __init__(self, schedule: Schedule, times: Times, random: Random) -> None:
        self._schedule = schedule
        self._times = times
        self._random = random
        self._lock = threading.Lock()
        self._fault_counts: Counter[str] = Counter()
        self._kills = [kill for kill in schedule.kills if kill.operation]
        self._began_at = 0.0

    def begin(self) -> None:
        """Start the campaign's clock."""
        self._began_at = time.time()

    def now(self) -> float:
        """Seconds since the campaign began."""
        return time.time() - self._began_at

    @property
    def fault_counts(self) -> dict[str, int]:
        """The number of injected faults of each kind."""
        with self._lock:
            return dict(self._fault_counts)

    def count(self, name: str) -> None:
        with self._lock:
            self._fault_counts[name] += 1

    def is_on(self, what: str) -> bool:
        """Whether an event of this kind is in progress; if so, count it."""
        now = self.now()
        on = any(one.what == what and one.at <= now < one.at + one.seconds for one in self._schedule.events)
        if on:
            self.count(what)
        return on

    def jump(self) -> float:
        """Seconds by which the sender's clock is currently ahead of the function's."""
        return self._random.uniform(-1, 1) * self._times.clock_jump if self.is_on("clock jump") else 0.0

    def fault_for(self, call: Call, kill: Callable[[], None] = lambda: None) -> Fault | None:
        """The fault to inject into a call; `kill` ends the calling worker."""
        now = self.now()
        planned = self._kill_at(call, now)
        if planned:
            self.count(f"worker killed {planned.moment} a call")
            return Disconnect(planned.moment, kill)
        for burst in self._schedule.bursts:
            is_on = burst.at <= now < burst.at + burst.seconds
            if is_on and burst.match.meets(call) and self._random.random() < burst.chance:
                self.count(burst.name)
                return burst.fault(time.time())
        return None

    def _kill_at(self, call: Call, now: float) -> Kill | None:
        with self._lock:
            due = next((one for one in self._kills if one.at <= now and one.operation == call.operation), None)
            if due is not None:
                self._kills.remove(due)
        return due if now < self._times.faults else None
