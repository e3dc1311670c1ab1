"""A journal of the exports that were started, with which a crash at any point loses none.

An export is a dictionary with `file`, `volume` and `location`, and, where needed, `properties`, `overwrite`, `context`,
and `retry_of`, the id of the failed export that it replaces.
"""

import fcntl
import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

Export = dict[str, Any]
PER_REQUEST = 100  # the API's limit for a bulk call


def place(export: Export) -> tuple[str, str, str]:
    """What the platform shows of an export in its list, and by which it is found there."""
    return export["file"], export["volume"], export["location"].lstrip("/")


def identity(export: Export) -> object:
    """What may be started only once."""
    return export.get("retry_of") or place(export)


class Journal:
    """A file of JSON lines: what was to start, what was started, and which group it was announced as.

    `started` has the id of each started export by its identity. `waiting` has the exports that are not announced yet,
    and `group` is the group's id if their announcement was interrupted. `unanswered` has the exports of a request at
    `asked_at` whose answer is not known. Exits if another run uses the file; with `writes` false, it is only read.
    """

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path = path
        self.started: dict[object, str] = {}
        self.groups: set[str] = set()
        self.waiting: list[Export] = []
        self.group: str | None = None
        self.unanswered: dict[tuple[str, str, str], Export] = {}
        self.asked_at = datetime.min.replace(tzinfo=UTC)
        if writes:
            self._file = path.open("ab")
            self._lock()
        # A line without its end was cut off by a crash.
        lines = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        if writes:
            self._file.truncate(len(lines) + 1 if lines else 0)
        for line in lines.splitlines():
            self._take(json.loads(line))

    def add(self, *entries: dict[str, Any]) -> None:
        """Write entries; they are on disk when this returns."""
        self._file.write(b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
        self._file.flush()
        os.fsync(self._file.fileno())
        for entry in entries:
            self._take(entry)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Nothing was started: another run uses the journal {self.path}.")

    def _take(self, entry: dict[str, Any]) -> None:
        match entry:
            case {"starting": exports, "at": at}:
                self.unanswered = {place(one): one for one in exports}
                self.asked_at = datetime.fromisoformat(at)
            case {"export_id": export_id}:
                self.started[identity(entry)] = export_id
                self.unanswered.pop(place(entry), None)
                self.waiting.append(entry)
            case {"answered": _}:
                self.unanswered = {}
            case {"announcing": group}:
                self.groups.add(group)
                self.group = group
            case {"announced": _}:
                self.waiting, self.group = [], None
