"""Which parts of the platform's list of exports to read, and in what order, so that recent exports need few pages.

The API documents neither the list's order nor the real length of a page, and its total may be wrong. So the order is
derived from the start times, each page begins where the last one ended, and the total only says where to try.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import TypeAlias

from export_monitor.domain.model import JobPage

# A part of the list: from the first offset to before the second, or to the end of the list (inf).
Stretch: TypeAlias = tuple[int, float]

# How many different start times must be in order before the list counts as ordered. Equal times prove nothing, and a
# few times may be in order by chance.
_TIMES_IN_ORDER = 5


@dataclass(slots=True)
class ListOrder:
    """Whether the start times read so far descend, and the oldest of them.

    If the list ascends (`ascends`), it is read from its end, in stretches of a page's length. `steps` counts how often
    a different time followed.
    """

    ascends: bool = False
    is_descending: bool = True
    oldest: float = inf
    steps: int = 0

    def update(self, starts: Sequence[float]) -> None:
        """Add the start times of the next page, or of the next stretch of an ascending list."""
        if not starts:
            return
        in_order = list(starts) == sorted(starts, reverse=not self.ascends) and max(starts) <= self.oldest
        self.is_descending = self.is_descending and in_order
        self.steps += len({*starts, min(self.oldest, max(starts))}) - 1
        self.oldest = min(self.oldest, *starts)

    def is_past(self, since: float) -> bool:
        """Whether everything not yet read started before a time (epoch seconds)."""
        return self.is_descending and self.steps >= _TIMES_IN_ORDER and self.oldest < since


def start_times(page: JobPage) -> list[float]:
    """The known start times of a page's jobs (epoch seconds)."""
    return [job.started_at for job in page.jobs if job.started_at is not None]


def order_of(first: JobPage) -> ListOrder:
    """The order that the first page of a list suggests."""
    starts = start_times(first)
    # Reading from the end needs the position of the end.
    is_longer = first.total is not None and first.total > first.length
    if is_longer and len(set(starts)) > 1 and starts == sorted(starts):
        return ListOrder(ascends=True)
    order = ListOrder()
    order.update(starts)
    return order


def has_more(page: JobPage, offset: int) -> bool:
    """Whether the list has more items after this page, which is at this offset."""
    return page.has_next or (page.total is not None and page.total > offset + page.length)


def stretches(first: JobPage, order: ListOrder, stopped_at: int | None) -> list[Iterable[Stretch]]:
    """What to read after the first page, in one or two legs. `stopped_at` is where the last run stopped early, if so.

    The first leg continues there. The second one covers what lies before: earlier runs have read it, but may have
    skipped exports. The caller ends a leg when the rest of it is too old.
    """
    step = first.length
    if order.ascends and first.total is not None:
        return _from_the_end(first.total, step, stopped_at)
    if stopped_at is None or stopped_at <= step:
        return [[(step, inf)]]
    return [[(stopped_at, inf)], [(step, stopped_at)]]


def _from_the_end(total: int, step: int, stopped_at: int | None) -> list[Iterable[Stretch]]:
    last = max(step, total - step)
    if stopped_at is None or stopped_at < step:
        return [chain([(last, inf)], _down(last, step, step))]
    if stopped_at >= last:
        return [chain([(stopped_at, inf)], _down(last, step, step)), [(last, stopped_at)]]
    middle = min(last, stopped_at + step)
    return [_down(middle, step, step), chain([(last, inf)], _down(last, middle, step))]


def _down(top: int, bottom: int, step: int) -> Iterator[Stretch]:
    """The part between two offsets, in stretches from the top to the bottom."""
    while top > bottom:
        low = max(bottom, top - step)
        yield low, top
        top = low
