"""The subject line and the text of the e-mail for an event."""

from collections.abc import Iterator
from typing import Any

from export_monitor.domain.checks import CHECKS
from export_monitor.domain.model import JsonObject

# SNS accepts fewer than 100 printable ASCII characters.
MAX_SUBJECT_CHARACTERS = 99


def subject_line(event: JsonObject) -> str:
    """The outcome and the file, in the characters that SNS accepts in a subject."""
    failure = event["data"]["failure"]
    name = _file_name(event["data"])
    if "delay" in event["data"]:
        return _subject(f"Export delayed: {name}")
    subject = f"Export failed ({failure['reason']}): {name}" if failure else f"Export completed: {name}"
    return _subject(subject)


def email_text(event: JsonObject) -> str:
    """What happened, what to do next, where the object is, and what was checked; readable without the JSON."""
    data = event["data"]
    failure = data["failure"]
    paragraphs = [
        [_headline(data), *([failure["message"]] if failure else [])],
        list(_delay(data)),
        [f"What to do: {failure['advice']}"] if failure else [],
        list(_facts(event)),
        list(_checks(data["verification"])),
        [f"More: {failure['more_info']}"] if failure and failure["more_info"] else [],
    ]
    return _text(paragraphs)


def _headline(data: JsonObject) -> str:
    name, failure, verification = _file_name(data), data["failure"], data["verification"]
    if "delay" in data:
        return (
            f"The export of {name} is delayed: it was announced at {data['watch']['requested_at']} and has not ended."
        )
    if failure:
        return f"The export of {name} has failed ({failure['reason']})."
    if verification and verification["status"] == "passed":
        return f"The export of {name} has completed. Its object was checked: it exists, and no check failed."
    return f"The export of {name} has completed. Its object was not checked; the reason is below."


def _delay(data: JsonObject) -> Iterator[str]:
    if "delay" in data:
        yield f"Waiting for: {data['delay']['waiting_for']}"
        yield f"State on the platform: {data['delay']['state'] or 'unknown'}"
        yield (
            "What to do: delete nothing and start nothing again. Check the export on the platform, and fix what it "
            "waits for if that is yours to fix. The app keeps watching it, and sends another event when it has ended."
        )


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
        label = CHECKS[check["name"]].label
        if check["status"] == "failed":
            yield f"FAILED   {label}: expected {_value(check['expected'])}, found {_value(check['actual'])}"
        elif check["status"] == "passed":
            yield f"passed   {label}"
        else:
            yield f"skipped  {label}: {check['reason']}"


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


def _subject(text: str) -> str:
    return "".join(c if " " <= c <= "~" else "?" for c in text)[:MAX_SUBJECT_CHARACTERS].rstrip()


def _text(paragraphs: list[list[str]]) -> str:
    return "\n\n".join("\n".join(_printable(line) for line in lines) for lines in paragraphs if lines) + "\n"


def _printable(line: str) -> str:
    return line if line.isprintable() else "".join(c if c.isprintable() else " " for c in line)


# Nobody reads a longer mail; the event itself lists the others.
_FAILURES_IN_A_MAIL = 50


def group_subject_line(event: JsonObject) -> str:
    """How a group has ended, in the characters that SNS accepts in a subject."""
    data = event["data"]
    group = data["group"]
    label = {
        "completed": f"all {group['size']} exports completed",
        "failed": f"{data['failed']} of {group['size']} exports failed",
        "incomplete": f"{data['missing']} of {group['size']} exports missing, {data['failed']} failed",
    }
    return _subject(f"Group {group['id']}: {label[data['outcome']]}")


def group_email_text(event: JsonObject, steps: JsonObject) -> str:
    """How a group has ended, what to do next and which exports failed; `steps` maps each cause to its advice."""
    data = event["data"]
    shown = data["failures"][:_FAILURES_IN_A_MAIL]
    more = data["failed"] - len(shown)
    paragraphs = [
        [_group_headline(data)],
        [f"Completed: {data['completed']}", f"Failed:    {data['failed']}", f"Missing:   {data['missing']}"],
        [f"What to do about {cause}: {step}" for cause, step in steps.items()],
        [line for one in shown for line in _failed_member(one)],
        [f"… and {more} more. The report lists all of them."] if more > 0 else [],
        [
            f"Report of all {data['report']['rows']:,} exports that ended: {data['report']['html']}",
            f"Get it:  aws s3 cp {data['report']['html']} .",
            f"As CSV:  aws s3 cp {data['report']['csv']} .",
        ],
        [f"First announced: {data['first_requested_at']}", f"Concluded:       {data['concluded_at']}"],
    ]
    return _text(paragraphs)


def _group_headline(data: JsonObject) -> str:
    group, size = data["group"]["id"], data["group"]["size"]
    if data["outcome"] == "completed":
        return (
            f"The export of group {group} has completed."
            if size == 1
            else f"All {size} exports of group {group} have completed."
        )
    if data["outcome"] == "failed" and data["completed"]:
        return f"{data['failed']} of the {size} exports of group {group} failed; the others completed."
    if data["outcome"] == "failed":
        return f"The export of group {group} failed." if size == 1 else f"All {size} exports of group {group} failed."
    return (
        f"Group {group} is incomplete: of its {size} exports, {data['missing']} were not announced in time or have not "
        "ended. Check that they were started, and announce each of them without a group."
    )


def _failed_member(one: JsonObject) -> Iterator[str]:
    cause = one["reason"] if one["code"] is None else f"{one['reason']} {one['code']}"
    yield f"{one['export_id']}  {cause}: {one['message']}"
    yield f"    file {_named(one['file'])}, volume {_named(one['volume'])}, location {_named(one['location'])}"
