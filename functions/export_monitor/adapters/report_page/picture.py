"""Where the bars of the page's picture are: completed exports above a line, failed ones below it."""

from dataclasses import dataclass

from export_monitor.domain.report_summary import human_duration
from export_monitor.domain.timeline import Step, Timeline

_STEP_WIDTH = 10
_HEIGHT = 100.0
# One failure among thousands must be seen.
_LEAST_HEIGHT = 4.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A step's bars, in the units of the picture: `above` and `below` are heights, 0 for none."""

    x: int
    above: float
    below: float
    step: Step


@dataclass(frozen=True, slots=True)
class Picture:
    """The bars, and the values that the text around them names. `line` is the height at which the two meet."""

    width: int
    line: float
    bars: tuple[Bar, ...]
    start: int
    end: int
    step: str
    busiest: Step
    has_failed: bool


def picture(timeline: Timeline | None) -> Picture | None:
    """The picture of a timeline; steps in which no export ended have no bar."""
    if timeline is None:
        return None
    most_completed = max(step.completed for step in timeline.steps)
    most_failed = max(step.failed for step in timeline.steps)
    unit = (_HEIGHT - 2 * _LEAST_HEIGHT) / (most_completed + most_failed)
    bars = (
        Bar(number * _STEP_WIDTH, _height(step.completed, unit), _height(step.failed, unit), step)
        for number, step in enumerate(timeline.steps)
        if step.completed or step.failed
    )
    return Picture(
        width=len(timeline.steps) * _STEP_WIDTH,
        line=_HEIGHT - _height(most_failed, unit),
        bars=tuple(bars),
        start=timeline.steps[0].start,
        end=timeline.end,
        step=human_duration(timeline.step_seconds),
        busiest=timeline.busiest,
        has_failed=most_failed > 0,
    )


def _height(number: int, unit: float) -> float:
    return round(max(number * unit, _LEAST_HEIGHT), 1) if number else 0.0
