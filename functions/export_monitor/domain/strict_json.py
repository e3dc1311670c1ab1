"""Strict JSON (RFC 8259). Python's parser accepts more, which could not be published again."""

import json
import math
import re
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

# Far below the recursion limit of Python's JSON encoder, with room for the event around the value and for the calls
# that lead to the encoder.
MAX_DEPTH = 500

# By default, Python reads and writes no whole number of more than 4,300 digits. A context of 8 KiB may hold a longer
# one, which must come back exact.
sys.set_int_max_str_digits(9000)

# In a Python string, every surrogate is a lone one: not a character, and not encodable in UTF-8.
_LONE_SURROGATE = re.compile("[\\ud800-\\udfff]")


def parse(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for invalid JSON, for a number beyond any float, and for too deep nesting.

    Bytes are UTF-8, with or without a byte order mark.
    """
    # json.loads would guess the encoding of bytes and accept surrogates.
    characters = text if isinstance(text, str) else text.decode("utf-8-sig")
    try:
        value = json.loads(characters, parse_constant=_reject_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Counting characters is cheap, and answers about one export do not have that many brackets.
    if characters.count("{") + characters.count("[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    return value


def depth(value: Any) -> int:
    """How deeply a JSON value is nested: 0 for scalars, 1 for an empty object or array."""
    deep = 0
    level: list[Any] = [[value]]
    while level := [child for item in level for child in _children(item) if isinstance(child, (dict, list))]:
        deep += 1
    return deep


def _children(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def without_lone_surrogates(value: Any) -> Any:
    """The same JSON value, with U+FFFD for each lone surrogate in its strings and names."""
    return json.loads(_LONE_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))


def _reject_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a JSON number")


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise ValueError(f"the number {literal[:20]} is too large")
    return number
