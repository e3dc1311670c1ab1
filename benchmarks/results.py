"""Results with their targets, and the tables that show them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
Unit = Literal["requests", "polls", "number", "s", "ms", "µs", "MB", "share"]

_DIGITS: Mapping[Unit, int] = {"requests": 2, "polls": 0, "number": 1, "s": 1, "ms": 1, "µs": 1, "MB": 2, "share": 3}


@dataclass(frozen=True, slots=True)
class Target:
    """The upper limit of a figure: a share of the other variant's figure, or a number in the figure's unit."""

    most: float
    of_other: bool = True

    def __str__(self) -> str:
        return f"{self.most:g} of it" if self.of_other else f"{self.most:g}"


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: the app compared with another variant."""

    name: str
    unit: Unit
    other: float
    app: float
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        """The app's figure divided by the other's; None if the other's is 0."""
        return self.app / self.other if self.other else None

    @property
    def is_met(self) -> bool | None:
        """Whether the target is met; None without a target."""
        if self.target is None:
            return None
        return self.app <= self.target.most * (self.other if self.target.of_other else 1)


@dataclass(frozen=True, slots=True)
class Section:
    """Comparisons with one other variant: `title` describes it, `other` is its column heading."""

    title: str
    other: str
    figures: tuple[Figure, ...]


def table(section: Section) -> list[str]:
    """The section as the lines of a Markdown table with aligned columns."""
    rows = [
        (f"Compared with {section.title}", section.other, "this app", "ratio", "at most", "met"),
        ("---", *["---:"] * 5),
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
        "" if figure.ratio is None else f"{figure.ratio:.3f}",
        "" if figure.target is None else str(figure.target),
        {True: "yes", False: "**no**", None: ""}[figure.is_met],
    )


def number(value: float, unit: Unit) -> str:
    """A value, rounded for its unit; counts have no unit."""
    text = f"{value:.{_DIGITS[unit]}f}"
    if unit in ("requests", "polls", "number", "share"):
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{text} {unit}"


def replaced(page: str, text: str) -> str:
    """The page with the text between its two markers. Raises ValueError if the page lacks one or repeats it."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page must contain {BEGIN} and {END}, once each and in this order")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}"
