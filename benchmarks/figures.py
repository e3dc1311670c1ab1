"""Figures beside their targets, and how they are shown in a terminal."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Unit = Literal["requests", "looks", "ms", "µs", "MB", "share"]

_DIGITS: Mapping[Unit, int] = {"requests": 2, "looks": 0, "ms": 1, "µs": 1, "MB": 2, "share": 3}


@dataclass(frozen=True, slots=True)
class Target:
    """The most that a figure may be: so much of the other's, or so much in its unit."""

    most: float
    of_other: bool = True

    def __str__(self) -> str:
        return f"{self.most:g} of it" if self.of_other else f"{self.most:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: the app beside another way of doing it, and beside the floor where there is one."""

    name: str
    unit: Unit
    other: float
    app: float
    floor: float | None = None
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """The app's share of the other's, None where the other has none."""
        return self.app / self.other if self.other else None

    @property
    def floor_ratio(self) -> float | None:
        """The floor's share of the other's."""
        return self.floor / self.other if self.floor is not None and self.other else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met, None where there is none."""
        if self.target is None:
            return None
        return self.app <= self.target.most * (self.other if self.target.of_other else 1)


@dataclass(frozen=True, slots=True)
class Section:
    """Figures beside the same other way, which is `title`, and `other` in a word."""

    title: str
    other: str
    figures: tuple[Figure, ...]


def as_text(section: Section) -> str:
    """The section as a table for a terminal."""
    head = ("", section.other, "app", "floor", f"app : {section.other}", "at most", "met")
    rows = [head, *(_cells(figure) for figure in section.figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    lines = [
        row[0].ljust(widths[0]) + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    return "\n".join([f"Beside {section.title}", *(line.rstrip() for line in lines)])


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        number(figure.other, figure.unit),
        number(figure.app, figure.unit),
        "" if figure.floor is None else number(figure.floor, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.3f}",
        "" if figure.target is None else str(figure.target),
        {True: "yes", False: "no", None: ""}[figure.is_met],
    )


def number(value: float, unit: Unit) -> str:
    """A value with its unit, as precise as it is worth; counts have none."""
    text = f"{value:.{_DIGITS[unit]}f}"
    if unit in ("requests", "looks", "share"):
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}"


def as_json(section: Section) -> dict[str, Any]:
    """The section with all that is reckoned from its figures."""
    figures = [
        asdict(figure) | {"ratio": figure.ratio, "floor_ratio": figure.floor_ratio, "is_met": figure.is_met}
        for figure in section.figures
    ]
    return asdict(section) | {"figures": figures}
