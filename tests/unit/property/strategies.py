"""What a stranger may send: texts and JSON of every kind, and sound things with some part of them exchanged.

The examples are the same in every run; an input that once found a fault is a separate case next to its test.
"""

import json
from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

_SLOW_TO_MAKE = (HealthCheck.too_slow, HealthCheck.data_too_large)


def bounded(examples: int) -> settings:
    """So many examples, the same in every run, however long each takes."""
    return settings(
        max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=_SLOW_TO_MAKE
    )


def nested(depth: int, opening: str = '{"a":', closing: str = "}", core: str = "1") -> str:
    """JSON that is nested so deeply."""
    return opening * depth + core + closing * depth


# Characters that mean something to a path, a header, a terminal or a parser, and halves of characters.
CHARACTERS = st.characters(exclude_categories=()) | st.sampled_from(
    "/.?#%@\\:\r\n\0\t \u00a0\u2028\ufeff\ud800\udfff'\"{["
)
ODD_TEXTS = st.sampled_from(
    [
        *("", " ", ".", "..", "../..", "/", "//", "%2e%2e", "%2F", "?a=b", "#a", "@elsewhere", "//elsewhere/a", "a\\b"),
        *("a\nb", "a\r\nX-Injected: 1", "\x00", "\x1b[2J", "\u202e", "\ufeff", "\ud800", "\udc00a", "٣", "\uff11", "İ"),
        *("null", "NaN", "1e999", "COMPLETED", "COMPLETED ", "completed", "x" * 1024, "x" * 1025, "\U0001f9ec" * 1024),
        *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59", "2016-06-15T19:17:39Z", "1969-12-31T23:59:59Z"),
    ]
)
TEXTS = st.text(CHARACTERS, max_size=12) | ODD_TEXTS
ODD_NUMBERS = st.sampled_from([0, -1, 1.5, -0.0, 1e300, 2**63, -(2**63), 10**30, 10**4299, -(10**4299), 9107, "9107"])
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | FLOATS | ODD_NUMBERS | TEXTS
JSON: SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)

# Pieces of text that are JSON by a parser's mercy, at a limit, or not at all.
PIECES = st.sampled_from(
    [
        *("NaN", "-Infinity", "1e999", "-0", "1" * 4300, "1" * 4301, "1.0" + "0" * 5000, "01", "+1", "٣"),
        *('"\\ud800"', '"\\udc00\\ud800"', '"\\ud83e\\uddec"', '"\\uD800x"', '{"\\ud800": 1, "\\ud801": 2}'),
        *('"\\x41"', '"a\nb"', '"\x00"', '"', "'a'", "[1,]", "{a: 1}", "/* a */ 1", "\u00a01"),
        *('{"a": 1, "a": {"b": 2}}', '{"id": "b", "id": "a"}'),
        *(nested(depth) for depth in (199, 200, 201, 490, 499, 500, 501, 700, 980, 990, 1000, 100_000)),
        *(nested(depth, "[", "]") for depth in (199, 499, 500, 700)),
        *("[" * 100_000, f"[{'[],' * 600}0]", f"[{nested(495, '[', ']')}, {json.dumps('[{' * 600)}]"),
    ]
)
_PLACE = "a piece of text"


def mutated(value: Any) -> SearchStrategy[Any]:
    """The value with one part of it exchanged for any JSON, left out, or doubled under another name."""
    return st.one_of(_mutations(value))


def _mutations(value: Any) -> list[SearchStrategy[Any]]:
    here: list[SearchStrategy[Any]] = [JSON, st.just(_PLACE)]
    if isinstance(value, Mapping):
        for name, part in value.items():
            rest = {other: kept for other, kept in value.items() if other != name}
            here.append(st.just(rest))
            here.append(TEXTS.map(lambda other, rest=rest, part=part: rest | {other: part}))
            here += [changed.map(lambda changed, name=name: value | {name: changed}) for changed in _mutations(part)]
    return here


def often(usual: SearchStrategy[Any], other: SearchStrategy[Any], times: int = 4) -> SearchStrategy[Any]:
    """The one so many times as often as the other."""
    return st.sampled_from([usual] * times + [other]).flatmap(lambda chosen: chosen)


@st.composite
def json_texts(draw: st.DrawFn, values: SearchStrategy[Any]) -> str:
    """JSON as somebody writes it: escaped or not, a name twice, a piece of it replaced by what may be none."""
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
    if _PLACE in text:
        text = text.replace(json.dumps(_PLACE), draw(PIECES))
    if text.startswith("{") and draw(often(st.just(False), st.just(True))):
        name, value = draw(st.sampled_from(["id", "export_id", "context", "state", "code", "auth_token"])), draw(PIECES)
        text = "{" + f'"{name}": {value}' + ("" if text == "{}" else ", ") + text[1:]
    return text


@st.composite
def json_bytes(draw: st.DrawFn, values: SearchStrategy[Any]) -> bytes:
    """JSON as it comes over the wire, for the most part whole and in UTF-8."""
    encoding = draw(often(st.just("utf-8"), st.sampled_from(["utf-8-sig", "utf-16", "utf-32-be"]), times=9))
    content = draw(json_texts(values)).encode(encoding, "surrogatepass")
    is_cut = draw(often(st.just(False), st.just(True), times=9))
    return content[: draw(st.integers(0, len(content)))] if is_cut else content
