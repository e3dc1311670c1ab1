"""JSON as RFC 8259 has it, where Python's parser takes more: what comes in must be able to go out again."""

import json
import math
from typing import Any, NoReturn


def parse(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError for what is not JSON, holds a number beyond any float, or is nested too deeply."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON's")


def _finite(literal: str) -> float:
    number = float(literal)
    if math.isinf(number):
        raise ValueError(f"the number {literal[:20]} is too large")
    return number
