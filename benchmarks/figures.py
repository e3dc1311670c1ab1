"""Figures beside their targets, and the tables that show them, in a terminal and on a page."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
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


def table(section: Section) -> list[str]:
    """The lines of the section as a Markdown table, whose columns are aligned in a terminal too."""
    rows = [
        (f"Compared with {section.title}", section.other, "this app", "floor", "ratio", "at most", "met"),
        ("---", *["---:"] * 6),
        *(_cells(figure) for figure in section.figures),
    ]
    first, *others = (max(map(len, column)) for column in zip(*rows, strict=True))
    return [
        " | ".join([f"| {row[0]:<{first}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], others, strict=True))])
        + " |"
        for row in rows
    ]


def _cells(figure: Figure) -> tuple[str, ...]:
    return (
        figure.name,
        number(figure.other, figure.unit),
        number(figure.app, figure.unit),
        "" if figure.floor is None else number(figure.floor, figure.unit),
        "" if figure.ratio is None else f"{figure.ratio:.3f}",
        "" if figure.target is None else str(figure.target),
        {True: "yes", False: "**no**", None: ""}[figure.is_met],
    )


def number(value: float, unit: Unit) -> str:
    """A value with its unit, as precise as it is worth; counts have none."""
    text = f"{value:.{_DIGITS[unit]}f}"
    if unit in ("requests", "looks", "share"):
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}"


def replaced(page: str, text: str) -> str:
    """The page with the text between its two markers. Raises ValueError where they are not there once each."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs {BEGIN} and {END}, once each and in this order")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"
