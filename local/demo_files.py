"""The results of the demo, and the files it writes."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.artifact import ROOT
from local.stack import DeadLetter

FOLDER = ROOT / ".build" / "demo"

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """The output of the stack; each of `mails` is an event id, a subject and a text, `reports` are files by name."""

    events: Sequence[Event]
    mails: Sequence[tuple[str, str, str]]
    dead_letters: Sequence[DeadLetter]
    log_lines: Sequence[str]
    reports: Mapping[str, bytes]


def empty_folder() -> None:
    """Create the folder, without the files of the previous demo."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    for name in ("events", "emails"):
        (FOLDER / name).mkdir(parents=True)


def write_files(results: Results) -> None:
    """Write all results to files."""
    for event in results.events:
        _file("events", event["id"], "json").write_text(json.dumps(event, indent=2) + "\n", "utf-8")
    for event_id, subject, text in results.mails:
        _file("emails", event_id, "txt").write_text(f"Subject: {subject}\n\n{text}\n", "utf-8")
    letters = [{"error": letter.error, "body": letter.body} for letter in results.dead_letters]
    (FOLDER / "dead-letters.json").write_text(json.dumps(letters, indent=2) + "\n", "utf-8")
    for name, content in results.reports.items():
        (FOLDER / name).write_bytes(content)
    (FOLDER / "log.jsonl").write_text("".join(f"{line}\n" for line in results.log_lines), "utf-8")


def _file(folder: str, event_id: str, ending: str) -> Path:
    return FOLDER / folder / f"{event_id.replace(':', '.')}.{ending}"
