"""What the demo prints."""

import json
import os
import re
import sys
import textwrap
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from local.artifact import ROOT
from local.demo_files import FOLDER, Results
from local.export_jobs import Job

WIDTH = 110
_FOLDER_NAME = FOLDER.relative_to(ROOT)
_LONGEST_NAME = 14
_HEADINGS = ("export", "file", "outcome", "reason, code", "object", "checks")
_MARGIN = "  "
_COMPLETED = re.compile(r"(?<=  )(published: )?completed(?=  |$)")
_FAILED = re.compile(r"(?<=  )(published: )?failed\b.*?(?=  |$)")


class Progress:
    """Prints a line for each poll that changes something, from the function's log; collects its errors."""

    def __init__(self, started_at: float) -> None:
        self.errors: list[str] = []
        self._started_at = started_at
        self._lock = threading.Lock()
        self._last: dict[str, tuple[str, ...]] = {}

    def log(self, text: str) -> None:
        """Process a line of the function's log, from any thread."""
        line: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        with self._lock:
            if line.get("level") in ("ERROR", "CRITICAL"):
                self.errors.append(f"the function logged the error {line.get('message')}, see log.jsonl")
            if "outcome" in line and ("export_id" in line or "group_id" in line):
                self._show(line)

    def _show(self, line: Mapping[str, Any]) -> None:
        name = line.get("export_id") or f"group {line['group_id']}"
        state, outcome, reason = line.get("state") or "", line["outcome"], line.get("reason") or ""
        if self._last.get(name) == (state, outcome, reason):
            return
        self._last[name] = state, outcome, reason
        if "delay_seconds" in line:
            what = f"{reason}{', ' if reason else ''}next poll in {line['delay_seconds']} s"
        else:
            published = "published: " if outcome in ("completed", "failed") else ""
            what = f"{published}{outcome.replace('_', ' ')} {reason}".rstrip()
        seconds = time.monotonic() - self._started_at
        _print(f"{seconds:5.1f} s  {_short(name):{_LONGEST_NAME}}  {state:9}  {what}")


def show_table(jobs: Iterable[Job], results: Results) -> None:
    """Print a table of the exports."""
    by_export = {event["subject"]: event["data"] for event in results.events}
    rows = [_HEADINGS, *(_row(job, by_export.get(job.id)) for job in jobs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    print()
    for row in rows:
        _print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(job: Job, data: Mapping[str, Any] | None) -> tuple[str, ...]:
    if data is None:
        return _short(job.id), job.location, "no event", "", "", ""
    failure, found = data["failure"], data["object"]
    reason = " ".join(str(word) for word in (failure["reason"], failure["code"]) if word) if failure else ""
    checks = data["verification"]["checks"] if data["verification"] else []
    outcome = "failed" if failure else "completed"
    name = data["file"]["name"] if data["file"] else job.location
    return _short(job.id), name, outcome, reason, found["uri"] if found else "-", _summary(checks)


def _summary(checks: Sequence[Mapping[str, Any]]) -> str:
    """The failed checks; if none, the numbers of passed and skipped checks."""
    if failed := [check["name"] for check in checks if check["status"] == "failed"]:
        return f"failed: {', '.join(failed)}"
    counts = {status: sum(check["status"] == status for check in checks) for status in ("passed", "skipped")}
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "-"


def show_others(results: Results, group: str) -> None:
    """Print the results of the group and of the invalid message."""
    print()
    for data in (event["data"] for event in results.events if event["id"] == f"{group}:concluded"):
        counts = ", ".join(f"{data[name]} {name}" for name in ("completed", "failed", "missing"))
        print(f"Group {group}: one event for its {data['group']['size']} exports: {counts}.")
        print(f"Its report, for your browser: {_FOLDER_NAME}/report.html")
    for letter in results.dead_letters:
        print(f"Dead-letter queue: the message with the invalid id. {letter.error}")


def show_damage(export_id: str, results: Results) -> None:
    """Print what the content check found in an export's object."""
    for event in (event for event in results.events if event["subject"] == export_id):
        for check in event["data"]["verification"]["checks"]:
            if (check["name"], check["status"]) == ("content", "failed"):
                print(f"Content of {event['data']['object']['uri']}: {check['actual']}.")


def show_event(event_id: str, results: Results) -> None:
    """Print an event in full, as JSON."""
    for event in (event for event in results.events if event["id"] == event_id):
        print("\nThe event of the documented COMPLETED export, as a subscriber receives it:")
        print("\n".join(packed(event)))


def show_mail(event_id: str, results: Results) -> None:
    """Print an e-mail in full, with long lines wrapped."""
    for subject, text in (mail[1:] for mail in results.mails if mail[0] == event_id):
        print("\nThe e-mail about the documented FAILED export:")
        for line in (f"Subject: {subject}", "", *text.rstrip().splitlines()):
            print(textwrap.fill(line, WIDTH, initial_indent=_MARGIN, subsequent_indent=_MARGIN))


def show_files(seconds: float) -> None:
    """Print where the files are."""
    print(f"\nDone in {seconds:.0f} s. Everything is in {_FOLDER_NAME}:")
    for path, what in (
        ("report.html", "the group's report, for people"),
        ("report.csv", "the same, for programs and spreadsheets"),
        ("events/", "every event, the group's too"),
        ("emails/", "the e-mail for each"),
        ("dead-letters.json", "the dead-letter queue"),
        ("log.jsonl", "what the functions logged"),
    ):
        print(f"  {f'{_FOLDER_NAME}/{path}':32}  {what}")


def packed(value: Any, indent: int = 0, name: str = "", end: str = "") -> list[str]:
    """JSON in few lines: values that fit are on one line, and fields of an object share lines."""
    start, brackets = " " * indent + name, "{}" if isinstance(value, dict) else "[]"
    whole = start + json.dumps(value) + end
    if len(whole) <= WIDTH or not isinstance(value, dict | list):
        return [whole]
    named = value.items() if isinstance(value, dict) else ()
    members = [(f"{json.dumps(key)}: ", one) for key, one in named] or [("", one) for one in value]
    lines, may_join = [start + brackets[0]], True
    for number, (key, one) in enumerate(members, 1):
        added = packed(one, indent + 1, key, "," if number < len(members) else brackets[1] + end)
        shared = lines[-1] + (" " if number > 1 else "") + added[0].lstrip()
        joins = may_join and len(shared) <= WIDTH and (number == 1 or len(added) == 1)
        lines[-1:] = [shared, *added[1:]] if joins else [lines[-1], *added]
        may_join = isinstance(value, dict) and len(added) == 1
    return lines


def coloured(line: str) -> str:
    """The line with terminal colours: green for completed, red for failed."""
    return _FAILED.sub("\x1b[31m\\g<0>\x1b[0m", _COMPLETED.sub("\x1b[32m\\g<0>\x1b[0m", line))


def _print(line: str) -> None:
    print(coloured(line) if sys.stdout.isatty() and "NO_COLOR" not in os.environ else line, flush=True)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 3]}..."
