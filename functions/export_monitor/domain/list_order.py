"""Which parts of the platform's list of exports to read, and in what order, so that recent exports cost few pages.

Nothing is certain about the list: neither its order, nor how many items a page has, whatever number was asked for, nor
whether its total is right. So the order is taken from the start times that are seen, each page begins where the last
one ended, and a total only says where to try.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from math import inf
from typing import TypeAlias

from export_monitor.domain.model import JobPage

# A part of the list: from this offset up to that one, which is not included, or to the end of the list (inf).
Stretch: TypeAlias = tuple[int, float]

# How many different start times must follow each other in order before the list is believed to have one: jobs that were
# started together say nothing, and a few in no order may look as if they had one.
_TIMES_IN_ORDER = 5


@dataclass(slots=True)
class ListOrder:
    """Whether start times go down from page to page in the order of reading, by all that was seen, and how far.

    Where times ascend (`ascends`), the list is read from its end, one stretch of a page's length after the other.
    `steps` counts how often a time was followed by another one.
    """

    ascends: bool = False
    goes_down: bool = True
    oldest: float = inf
    steps: int = 0

    def take_in(self, starts: Sequence[float]) -> None:
        """Take in the start times of the next page, or of the next stretch of a list that ascends."""
        if not starts:
            return
        in_order = list(starts) == sorted(starts, reverse=not self.ascends) and max(starts) <= self.oldest
        self.goes_down = self.goes_down and in_order
        self.steps += len({*starts, min(self.oldest, max(starts))}) - 1
        self.oldest = min(self.oldest, *starts)

    def is_past(self, since: float) -> bool:
        """Whether everything that comes next started before a time (epoch seconds)."""
        return self.goes_down and self.steps >= _TIMES_IN_ORDER and self.oldest < since


def start_times(page: JobPage) -> list[float]:
    """When the jobs of a page started, as far as the page says (epoch seconds)."""
    return [job.started_at for job in page.jobs if job.started_at is not None]


def order_of(first: JobPage) -> ListOrder:
    """The order that the first page of a list suggests."""
    starts = start_times(first)
    # Where the end of the list is must be known to read from there.
    is_longer = first.total is not None and first.total > first.length
    if is_longer and len(set(starts)) > 1 and starts == sorted(starts):
        return ListOrder(ascends=True)
    order = ListOrder()
    order.take_in(starts)
    return order


def goes_on(page: JobPage, offset: int) -> bool:
    """Whether the list, by what its page at this offset says, has more items after that page."""
    return page.has_next or (page.total is not None and page.total > offset + page.length)


def stretches(first: JobPage, order: ListOrder, stopped_at: int | None) -> list[Iterable[Stretch]]:
    """What to read after the first page, in one or two legs. `stopped_at` is where the last run stopped, if it did.

    The first leg goes on there, and the second has what lies before: it was read by earlier runs, but some of it may
    have been left out. Each leg ends where it is past what is recent.
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
    """What lies between two offsets, in stretches from the top to the bottom."""
    while top > bottom:
        low = max(bottom, top - step)
        yield low, top
        top = low
