"""Announce exports that were already started, as one group: one event is published when all of them have ended.

    python with_boto3.py run-42 < export-ids.txt

Each line of the input is an export's id, or a JSON object with the id as `export_id` or `id`: the API's response to
'start an export job', or a detail object with your own `context`, which is returned in the event.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import boto3

SOURCE = "cgc.exports"  # the stack's StartEventSource
MAX_GROUP_SIZE = 10_000
ATTEMPTS = 5
Details = Sequence[Mapping[str, Any]]


def announce(events: Any, details: Details, bus: str = "default") -> list[str]:
    """Put a start event on the bus for each detail. Returns the export ids of those that failed.

    `events` is a boto3 client. An entry that arrives twice does no harm.
    """
    return send_in_tens(partial(_refused, events, bus), details)


def send_in_tens(send: Callable[[Details], Details], details: Details) -> list[str]:
    """Send start events, ten at a time. Returns the export ids of those that failed.

    AWS can reject some entries of a request; `send` returns those, and they are sent again.
    """
    waiting = list(details)
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(2 ** (attempt - 2))
        waiting = [one for i in range(0, len(waiting), 10) for one in send(waiting[i : i + 10])]
        if not waiting:
            break
    return [detail["export_id"] for detail in waiting]


def _refused(events: Any, bus: str, ten: Details) -> Details:
    entry = {"EventBusName": bus, "Source": SOURCE, "DetailType": "Export Started"}
    answer = events.put_events(Entries=[{**entry, "Detail": json.dumps(detail)} for detail in ten])
    # Results are in the order of the entries. boto3 does not raise if FailedEntryCount is above 0.
    return [detail for detail, result in zip(ten, answer["Entries"], strict=True) if "ErrorCode" in result]


def in_group(exports: Iterable[Mapping[str, Any]], group_id: str) -> list[dict[str, Any]]:
    """The details that announce these exports as one group.

    Its size is the number of different exports, so a repeated one counts once.
    """
    distinct = {export["export_id"]: export for export in exports}
    group = {"id": group_id, "size": len(distinct)}
    return [{**export, "group": group} for export in distinct.values()]


def checked_id(text: str) -> str:
    """The text, if it is a valid id of an export or a group. Raises ValueError if not."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text):
        raise ValueError(f"{text!r} is not 1 to 128 letters, digits, '-' or '_'")
    return text


def _read(line: str) -> dict[str, Any]:
    given = json.loads(line) if line.startswith("{") else {"export_id": line}
    export_id = given.get("export_id", given.get("id"))
    if not isinstance(export_id, str):
        raise ValueError(f"{line} has no id")  # noqa: TRY004 -- the line is invalid, not a caller's type
    export = {"export_id": checked_id(export_id)}
    return export | ({"context": given["context"]} if "context" in given else {})


def main() -> None:
    """Announce the exports of the input. Exits with 1 and their ids if some could not be announced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("group", type=checked_id, help="the group's id: a new one for each run")
    parser.add_argument("--bus", default="default", help="the stack's EventBusName (default: %(default)s)")
    options = parser.parse_args()
    try:
        details = in_group([_read(line.strip()) for line in sys.stdin if line.strip()], options.group)
    except ValueError as error:
        sys.exit(f"Nothing was announced: {error}.")
    if not 1 <= len(details) <= MAX_GROUP_SIZE:
        sys.exit(f"Nothing was announced: a group has 1 to {MAX_GROUP_SIZE} exports, not {len(details)}.")
    if refused := announce(boto3.client("events"), details, options.bus):
        sys.exit(f"Not announced, run this again: {' '.join(refused)}")
    print(f"Announced {len(details)} exports as the group {options.group}.")


if __name__ == "__main__":
    main()
