"""Decides at every call what goes wrong with it, by the schedule, the clock and seeded dice; and counts what bit."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

from chaos.schedule import Kill, Schedule
from chaos.timing import Times
from local.faults import Call, Disconnect, Fault


class Dice:
    """The schedule at work, asked from many threads.

    The schedule follows from the seed; which call comes when does not, so neither do the throws.
    """

    def __init__(self, schedule: Schedule, times: Times, random: Random) -> None:
        self._schedule = schedule
        self._times = times
        self._random = random
        self._lock = threading.Lock()
        self._bitten: Counter[str] = Counter()
        self._kills = [kill for kill in schedule.kills if kill.operation]
        self._begun_at = 0.0

    def begin(self) -> None:
        """Let the campaign's clock begin."""
        self._begun_at = time.time()

    def now(self) -> float:
        """Seconds since the campaign began."""
        return time.time() - self._begun_at

    @property
    def fault_counts(self) -> dict[str, int]:
        """How many faults of each kind bit."""
        with self._lock:
            return dict(self._bitten)

    def bit(self, name: str) -> None:
        with self._lock:
            self._bitten[name] += 1

    def is_on(self, what: str) -> bool:
        """Whether one of the schedule's events of this kind lasts at the moment; counted as a bite."""
        now = self.now()
        on = any(one.what == what and one.at <= now < one.at + one.seconds for one in self._schedule.events)
        if on:
            self.bit(what)
        return on

    def jump(self) -> float:
        """How far the clock of who sends messages is ahead of the function's, at this moment."""
        return self._random.uniform(-1, 1) * self._times.clock_jump if self.is_on("clock jump") else 0.0

    def fault_for(self, call: Call, kill: Callable[[], None] = lambda: None) -> Fault | None:
        """The fault that a call meets; `kill` ends the worker that makes it."""
        now = self.now()
        planned = self._kill_at(call, now)
        if planned:
            self.bit(f"worker killed {planned.moment} a call")
            return Disconnect(planned.moment, kill)
        for burst in self._schedule.bursts:
            is_on = burst.at <= now < burst.at + burst.seconds
            if is_on and burst.match.meets(call) and self._random.random() < burst.chance:
                self.bit(burst.name)
                return burst.fault(time.time())
        return None

    def _kill_at(self, call: Call, now: float) -> Kill | None:
        with self._lock:
            due = next((one for one in self._kills if one.at <= now and one.operation == call.operation), None)
            if due is not None:
                self._kills.remove(due)
        return due if now < self._times.faults else None
