"""An event as a person reads it: the subject line and the text of an e-mail."""

from collections.abc import Iterator
from typing import Any

from export_monitor.domain.checks import CHECKS
from export_monitor.domain.model import JsonObject

# SNS takes fewer than 100 printable ASCII characters.
MAX_SUBJECT_CHARACTERS = 99


def subject_line(event: JsonObject) -> str:
    """What happened to which file, in the characters that SNS takes for a subject."""
    failure = event["data"]["failure"]
    name = _file_name(event["data"])
    subject = f"Export failed ({failure['reason']}): {name}" if failure else f"Export completed: {name}"
    return "".join(c if " " <= c <= "~" else "?" for c in subject)[:MAX_SUBJECT_CHARACTERS].rstrip()


def email_text(event: JsonObject) -> str:
    """What happened, where the object is, what was checked, and what to do next; readable without any of the JSON."""
    data = event["data"]
    failure = data["failure"]
    paragraphs = [
        [_headline(data), *([failure["message"]] if failure else [])],
        [f"What to do: {failure['advice']}"] if failure else [],
        list(_facts(event)),
        list(_checks(data["verification"])),
        [f"More: {failure['more_info']}"] if failure and failure["more_info"] else [],
    ]
    return "\n\n".join("\n".join(_printable(line) for line in lines) for lines in paragraphs if lines) + "\n"


def _headline(data: JsonObject) -> str:
    name, failure, verification = _file_name(data), data["failure"], data["verification"]
    if failure:
        return f"The export of {name} has failed ({failure['reason']})."
    if verification and verification["status"] == "passed":
        return f"The export of {name} has completed, and its object is what was asked for."
    return f"The export of {name} has completed. Its object could not be checked from here."


def _facts(event: JsonObject) -> Iterator[str]:
    data = event["data"]
    yield f"Export:   {event['subject']}"
    if data["file"]:
        yield f"File:     {_named(data['file']['name'])} ({data['file']['id']})"
        yield f"Project:  {_named(data['file']['project'])}"
    destination = data["export"].get("destination")
    if isinstance(destination, dict):
        yield f"Volume:   {_named(destination.get('volume'))}, location {_named(destination.get('location'))}"
    if data["object"]:
        yield f"Object:   {data['object']['uri']} ({data['object']['size']:,} bytes)"
    if data["failure"] and data["failure"]["code"] is not None:
        yield f"Code:     {data['failure']['code']}"
    yield f"Time:     {event['time']}"


def _checks(verification: dict[str, Any] | None) -> Iterator[str]:
    for check in verification["checks"] if verification else ():
        words = CHECKS[check["name"]].words
        if check["status"] == "failed":
            yield f"FAILED   {words}: expected {_value(check['expected'])}, found {_value(check['actual'])}"
        elif check["status"] == "passed":
            yield f"passed   {words}"
        else:
            yield f"skipped  {words}: {check['reason']}"


def _named(name: Any) -> str:
    return name if isinstance(name, str) else "unknown"


def _value(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return "; ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _file_name(data: JsonObject) -> str:
    if data["file"] and data["file"]["name"]:
        return str(data["file"]["name"])
    destination = data["export"].get("destination")
    location = destination.get("location") if isinstance(destination, dict) else None
    return location if isinstance(location, str) and location else str(data["export"]["id"])


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else " " for c in line)
