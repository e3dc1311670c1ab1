"""CloudWatch Logs Insights QL, as much of it as `docs/operations.md` uses, over log lines in memory.

Written after AWS's "CloudWatch Logs Insights language query syntax" and "Supported logs and discovered fields". What
is not known here is refused, and so is what those pages leave open (the value of `latest` where the latest event lacks
the field, sorting by a field that a row lacks), so that no query gives an answer by being half understood.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

Row = dict[str, Any]
Command = Callable[[list[Row]], list[Row]]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"[^"]*")|(?P<regex>/(?:\\.|[^/\\])+/)|(?P<number>-?\d+(?:\.\d+)?\b)"""
    r"""|(?P<name>@?[A-Za-z_][\w.]*)|(?P<sign><=|>=|[=<>(),\[\]*|]))"""
)
_DEFAULT_LIMIT = 10_000
# What `latest` gives where the documentation does not say: an error as soon as it is looked at.
_UNCLEAR = object()


class QueryError(ValueError):
    """A query that is not understood, or whose answer is not documented."""


def ask(query: str, lines: Sequence[str]) -> list[Row]:
    """The rows that a query gives over log lines; fields without a value are left out of a row."""
    rows = list(_events(lines))
    is_shown = False
    for keyword, command in _Parser(query).commands():
        rows = command(rows)
        is_shown = is_shown or keyword in ("fields", "stats")
    if not is_shown:
        raise QueryError("says neither which fields nor which statistics to show")
    if any(value is _UNCLEAR for row in rows for value in row.values()):
        raise QueryError("shows what the latest event lacks")
    return [{name: value for name, value in row.items() if not name.startswith("\0")} for row in rows[:_DEFAULT_LIMIT]]


def _events(lines: Sequence[str]) -> Iterator[Row]:
    """Log events with their discovered fields, all hidden (by a prefix) until a command shows them."""
    at = 0.0
    for line in lines:
        discovered = dict(_flat(json.loads(line))) if line.startswith("{") else {}
        if "_aws.Timestamp" in discovered:
            at = discovered["_aws.Timestamp"] / 1000
        elif "timestamp" in discovered:
            at = datetime.strptime(discovered["timestamp"], "%Y-%m-%d %H:%M:%S,%f%z").timestamp()
        fields = discovered | {"@timestamp": at, "@message": line}
        yield {f"\0{name}": value for name, value in fields.items()}


def _flat(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a JSON value by their paths, such as `stack_trace.frames.0.file`; a null is no value."""
    if isinstance(node, dict | list):
        parts = node.items() if isinstance(node, dict) else enumerate(node)
        for name, part in parts:
            yield from _flat(part, f"{path}.{name}" if path else str(name))
    elif node is not None:
        yield path, node


def _value(row: Row, name: str) -> Any:
    value = row.get(name, row.get(f"\0{name}"))
    if value is _UNCLEAR:
        raise QueryError(f"uses {name} where the latest event lacks it")
    return value


class _Parser:
    """Reads a query by recursive descent."""

    def __init__(self, query: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        rest = query.strip()
        while rest:
            match = _TOKEN.match(rest)
            if match is None or match.lastgroup is None:
                raise QueryError(f"not understood: {rest[:40]}")
            self._tokens.append((match.lastgroup, match[match.lastgroup]))
            rest = rest[match.end() :].strip()

    def commands(self) -> Iterator[tuple[str, Command]]:
        known = {
            "fields": self._fields,
            "filter": self._filter,
            "stats": self._stats,
            "sort": self._sort,
            "limit": self._limit,
        }
        while True:
            keyword = self._take("name")
            if keyword not in known:
                raise QueryError(f"unknown command: {keyword}")
            yield keyword, known[keyword]()
            if not self._tokens:
                return
            self._take("sign", "|")

    def _next(self) -> tuple[str, str]:
        return self._tokens[0] if self._tokens else ("end", "")

    def _is_next(self, text: str) -> bool:
        if self._next()[1] == text:
            del self._tokens[0]
            return True
        return False

    def _take(self, kind: str, text: str | None = None) -> str:
        found, value = self._next()
        if found != kind or text not in (None, value):
            raise QueryError(f"wanted {text or kind}, found {value or 'the end'}")
        del self._tokens[0]
        return value

    def _listed(self, one: Callable[[], Any]) -> list[Any]:
        items = [one()]
        while self._is_next(","):
            items.append(one())
        return items

    def _fields(self) -> Command:
        names = self._listed(lambda: self._take("name"))
        return lambda rows: [
            row | {name: value for name in names if (value := _value(row, name)) is not None} for row in rows
        ]

    def _limit(self) -> Command:
        count = int(self._take("number"))
        return lambda rows: rows[:count]

    def _sort(self) -> Command:
        name = self._take("name")
        direction = self._take("name")
        if direction not in ("asc", "desc"):
            raise QueryError(f"unknown direction: {direction}")

        def command(rows: list[Row]) -> list[Row]:
            if any(_value(row, name) is None for row in rows):
                raise QueryError(f"sorts by {name}, which a row lacks")
            return sorted(rows, key=lambda row: _value(row, name), reverse=direction == "desc")

        return command

    def _filter(self) -> Command:
        holds = self._either()
        return lambda rows: [row for row in rows if holds(row)]

    def _either(self) -> Callable[[Row], bool]:
        parts = [self._both()]
        while self._is_next("or"):
            parts.append(self._both())
        return lambda row: any(part(row) for part in parts)

    def _both(self) -> Callable[[Row], bool]:
        parts = [self._negated()]
        while self._is_next("and"):
            parts.append(self._negated())
        return lambda row: all(part(row) for part in parts)

    def _negated(self) -> Callable[[Row], bool]:
        if self._is_next("not"):
            part = self._negated()
            return lambda row: not part(row)
        if self._is_next("("):
            part = self._either()
            self._take("sign", ")")
            return part
        return self._comparison()

    def _comparison(self) -> Callable[[Row], bool]:
        name = self._take("name")
        if name == "ispresent":
            self._take("sign", "(")
            field = self._take("name")
            self._take("sign", ")")
            return lambda row: _value(row, field) is not None
        if self._is_next("like"):
            pattern = self._pattern()
            return lambda row: pattern.search(str(_value(row, name) or "")) is not None
        if self._is_next("in"):
            self._take("sign", "[")
            wanted = self._listed(self._literal)
            self._take("sign", "]")
            return lambda row: _value(row, name) in wanted
        sign = self._take("sign")
        if sign not in _COMPARES:
            raise QueryError(f"unknown comparison: {sign}")
        literal, compares = self._literal(), _COMPARES[sign]
        # Only like is compared with like; what is absent compares with nothing.
        return lambda row: _is_like(_value(row, name), literal) and compares(_value(row, name), literal)

    def _pattern(self) -> re.Pattern[str]:
        kind, text = self._next()
        if kind not in ("text", "regex"):
            raise QueryError(f"like takes a text or a pattern, not {text}")
        del self._tokens[0]
        return re.compile(text[1:-1] if kind == "regex" else re.escape(text[1:-1]))

    def _literal(self) -> str | float:
        if self._next()[0] == "number":
            return float(self._take("number"))
        return self._take("text")[1:-1]

    def _stats(self) -> Command:
        statistics = self._listed(self._statistic)
        groups: list[str] = self._listed(lambda: self._take("name")) if self._is_next("by") else []

        def command(rows: list[Row]) -> list[Row]:
            grouped: dict[tuple[Any, ...], list[Row]] = {}
            for row in rows:
                grouped.setdefault(tuple(_value(row, name) for name in groups), []).append(row)
            return [
                {name: value for name, value in zip(groups, key, strict=True) if value is not None}
                | {name: value for name, of in statistics if (value := of(members)) is not None}
                for key, members in grouped.items()
            ]

        return command

    def _statistic(self) -> tuple[str, Callable[[list[Row]], Any]]:
        function = self._take("name")
        if function not in _STATISTICS:
            raise QueryError(f"unknown statistic: {function}")
        self._take("sign", "(")
        field = "*" if function == "count" and self._is_next("*") else self._take("name")
        self._take("sign", ")")
        self._take("name", "as")
        of = _STATISTICS[function]
        return self._take("name"), lambda rows: of(rows, field)


def _is_like(value: Any, literal: str | float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number if isinstance(literal, float) else isinstance(value, str)


def _values(rows: list[Row], name: str) -> list[Any]:
    return [value for row in rows if (value := _value(row, name)) is not None]


def _average(rows: list[Row], name: str) -> float | None:
    values = _values(rows, name)
    return sum(values) / len(values) if values else None


def _at_end(rows: list[Row], name: str, choose: Callable[..., Row]) -> Any:
    value = _value(choose(rows, key=lambda row: _value(row, "@timestamp")), name)
    return _UNCLEAR if value is None else value


def _latest(rows: list[Row], name: str) -> Any:
    # Of equal times the last written, as events come in.
    return _at_end(rows[::-1], name, max)


_COMPARES: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda value, literal: value == literal,
    "<": lambda value, literal: value < literal,
    "<=": lambda value, literal: value <= literal,
    ">": lambda value, literal: value > literal,
    ">=": lambda value, literal: value >= literal,
}
_STATISTICS: dict[str, Callable[[list[Row], str], Any]] = {
    "avg": _average,
    "count": lambda rows, name: len(rows) if name == "*" else len(_values(rows, name)),
    "count_distinct": lambda rows, name: len(set(_values(rows, name))),
    "earliest": lambda rows, name: _at_end(rows, name, min),
    "latest": _latest,
    "max": lambda rows, name: max(_values(rows, name), default=None),
    "min": lambda rows, name: min(_values(rows, name), default=None),
}
