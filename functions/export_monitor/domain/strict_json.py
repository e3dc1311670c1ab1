"""JSON as RFC 8259 has it, where Python's parser takes more: what comes in must be able to go out again."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, NoReturn

# Far below what Python's JSON can nest on any supported version, with room for the event around it and for the calls
# that lead to where it is written.
MAX_DEPTH = 500

# In a string of Python's, every surrogate is a lone one: no character, and nothing that UTF-8 can write.
_LONE_SURROGATE = re.compile("[\\ud800-\\udfff]")


def parse(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for what is not JSON, holds a number beyond any float, or is nested too deeply.

    Bytes are UTF-8, with or without a byte order mark.
    """
    # Python's parser would guess the encoding, and let surrogates pass.
    characters = text if isinstance(text, str) else text.decode("utf-8-sig")
    try:
        value = json.loads(characters, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    # Counting characters costs next to nothing, and no answer about one export has so many brackets.
    if characters.count("{") + characters.count("[") > MAX_DEPTH and depth(value) > MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    return value


def depth(value: Any) -> int:
    """How deeply a JSON value is nested: 0 for what is neither an object nor an array, 1 for an empty one of them."""
    deep = 0
    level: list[Any] = [[value]]
    while level := [child for item in level for child in _children(item) if isinstance(child, (dict, list))]:
        deep += 1
    return deep


def _children(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def without_lone_surrogates(value: Any) -> Any:
    """The same JSON value, with the replacement character for each half of a character in its strings and names."""
    return json.loads(_LONE_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON's")


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise ValueError(f"the number {literal[:20]} is too large")
    return number
