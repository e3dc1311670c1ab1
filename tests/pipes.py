"""What an EventBridge pipe makes of a message from SQS: its filter, and its input template.

The filter is the emulator's evaluator of event patterns. The template is rendered as AWS documents it; where the
documentation leaves the result open, this raises ValueError, so that a template which passes does not depend on it:
a path that is missing, a null, an object or a text with quotes inside a text, and the body alone, whose quotes Pipes
removes.
"""

import json
import re
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from typing import Any

from moto.events.models import EventPattern

_PATH = re.compile(r"<\$\.([\w.-]+)>")
# What is the same inside and outside of a JSON string.
_PLAIN = re.compile(r"[\w .:/-]*", re.ASCII)


def passes(pipe: Mapping[str, Any], body: str) -> bool:
    """Whether the filter of a pipe, if it has one, lets the message with this body through."""
    filters = pipe["SourceParameters"].get("FilterCriteria", {}).get("Filters", [])
    message = {"messageId": "m", "body": json.loads(body)}
    return not filters or any(EventPattern.load(one["Pattern"]).matches_event(message) for one in filters)


def value_at(path: str, body: str) -> Any:
    """What a path such as `$.body.type` finds; raises ValueError if it finds nothing."""
    try:
        return reduce(getitem, path.removeprefix("$.").split("."), {"body": json.loads(body)})
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path} finds nothing") from error


def render(template: str, body: str) -> Any:
    """What the target gets from an input template that is a JSON object."""
    if not template.startswith("{"):
        raise ValueError("Pipes removes the quotes of a body that is not inside an object")
    written, end = [], 0
    for match in _PATH.finditer(template):
        value = value_at(f"$.{match[1]}", body)
        before = template[: match.start()]
        in_text = (before.count('"') - before.count('\\"')) % 2 == 1
        written += [template[end : match.start()], _inside_text(value) if in_text else json.dumps(value)]
        end = match.end()
    return json.loads("".join([*written, template[end:]]))


def _inside_text(value: Any) -> str:
    if not isinstance(value, str | int) or isinstance(value, bool) or not _PLAIN.fullmatch(str(value)):
        raise ValueError(f"{value!r} inside a text")
    return str(value)
