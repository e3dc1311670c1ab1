"""How the exports of a group ended over time, counted in steps of a convenient length. Times are in epoch seconds."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from export_monitor.domain.report_rows import FAILED, ReportRow
from export_monitor.domain.timestamps import parse_rfc3339

_MINUTE, _HOUR, _DAY = 60, 3600, 86_400
_STEPS = (1, 5, 15, 30, _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY)
_MOST_STEPS = 60
_FEWEST_STEPS = 12


@dataclass(frozen=True, slots=True)
class Step:
    """How many exports ended in a step that begins at `start`."""

    start: int
    completed: int
    failed: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """Steps of the same length in seconds, without gaps."""

    step_seconds: int
    steps: tuple[Step, ...]

    @property
    def end(self) -> int:
        """When the last step ends."""
        return self.steps[-1].start + self.step_seconds

    @property
    def busiest(self) -> Step:
        """The step in which most exports ended; the first of several."""
        return max(self.steps, key=lambda step: step.completed + step.failed)


def ended_at(row: ReportRow) -> float | None:
    """When the export ended: when the job finished, but no later than its watch concluded."""
    known = [at for at in map(parse_rfc3339, (row.finished_on, row.concluded_at)) if at is not None]
    return min(known, default=None)


def timeline(rows: Iterable[ReportRow]) -> Timeline | None:
    """The timeline of these exports; None if none of them says when it ended."""
    ends = Counter((int(at), row.outcome == FAILED) for row in rows if (at := ended_at(row)) is not None)
    if not ends:
        return None
    first, last = min(ends)[0], max(ends)[0]
    length = _step_seconds(first, last)
    counts: Counter[tuple[int, bool]] = Counter()
    for (at, has_failed), number in ends.items():
        counts[at // length, has_failed] += number
    numbers = range(first // length, max(last // length + 1, first // length + _FEWEST_STEPS))
    return Timeline(length, tuple(Step(one * length, counts[one, False], counts[one, True]) for one in numbers))


def _step_seconds(first: int, last: int) -> int:
    for length in _STEPS:
        if last // length - first // length < _MOST_STEPS:
            return length
    return ((last - first) // _DAY // (_MOST_STEPS - 1) + 1) * _DAY
