"""Export every file in a folder of a project and its sub-folders, and announce the exports as one group.

    python with_official_client.py rfranklin/my-project/results rfranklin/output --to 2026/run-42

Each started export is written to a journal immediately. All are announced after the last one was started, because the
announcement needs the group's size. So after a crash, or if the API rejected some files, run the same command again: it
announces the journal's exports that were not announced yet, and starts none of them twice.

The platform is the one of SB_API_ENDPOINT and SB_AUTH_TOKEN, or of the profile `default` in
~/.sevenbridges/credentials if those are not set.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import sevenbridges
from sevenbridges.errors import SbgError
from sevenbridges.http.error_handlers import rate_limit_sleeper
from with_boto3 import MAX_GROUP_SIZE, announce, checked_id, in_group


class Journal:
    """A file of JSON lines: the started exports, the group they were announced as, and whether that succeeded.

    `started` has the file, volume and location of every started export. `waiting` has the exports that are not yet
    announced, and `group` is the group's id if their announcement was interrupted.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started: set[tuple[str, str, str]] = set()
        self.groups: set[str] = set()
        self.waiting: list[dict[str, Any]] = []
        self.group: str | None = None
        for line in path.read_text().splitlines() if path.exists() else []:
            self._take(json.loads(line))

    def add(self, **entry: str) -> None:
        """Write an entry; it is on disk when this returns."""
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._take(entry)

    def _take(self, entry: dict[str, str]) -> None:
        match entry:
            case {"export_id": _}:
                self.started.add((entry["file"], entry["volume"], entry["location"]))
                self.waiting.append(entry)
            case {"announcing": group}:
                self.groups.add(group)
                self.group = group
            case {"announced": _}:
                self.waiting, self.group = [], None


def files_in(api: Any, project: str, folder: str) -> Iterator[tuple[str, Any]]:
    """Every file below a folder of a project (an empty name is its top level), with its path relative to the folder."""
    where = {"project": project}
    for name in filter(None, folder.split("/")):
        found = [one for one in _listed(api, where) if one.is_folder() and one.name == name]
        if not found:
            sys.exit(f"There is no folder {name} in the path {project}/{folder}.")
        where = {"parent": found[0].id}
    yield from _below(api, where, "")


def _below(api: Any, where: dict[str, str], path: str) -> Iterator[tuple[str, Any]]:
    for one in _listed(api, where):
        if one.is_folder():
            yield from _below(api, {"parent": one.id}, f"{path}{one.name}/")
        else:
            yield path + one.name, one


def _listed(api: Any, where: dict[str, str]) -> Iterator[Any]:
    return api.files.query(**where, limit=100).all()  # type: ignore[no-any-return]


def start(api: Any, journal: Journal, wanted: list[tuple[Any, str]], options: argparse.Namespace) -> int:
    """Start an export of each file to its location. Prints those that the API rejects, and returns how many."""
    refused = 0
    for file, location in wanted:
        try:
            export = api.exports.submit_export(file, options.volume, location, copy_only=not options.move)
        except SbgError as error:
            refused += 1
            print(f"not started: {location}: {error} (code {error.code})", file=sys.stderr)
        else:
            journal.add(export_id=export.id, file=file.id, volume=options.volume, location=location)
            print(f"started {export.id}  {location}")
    return refused


def conclude(events: Any, journal: Journal, group: str, bus: str) -> None:
    """Announce the waiting exports as a group. Exits with 1 if EventBridge rejects some of them."""
    if journal.group is None:
        journal.add(announcing=group)
    details = in_group([{"export_id": one["export_id"]} for one in journal.waiting], group)
    if missed := announce(events, details, bus):
        sys.exit(f"Not announced, run this again: {' '.join(missed)}")
    journal.add(announced=group)
    print(f"Announced {len(details)} exports as the group {group}.")


def arguments() -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="owner/project, or owner/project/folder")
    parser.add_argument("volume", help="owner/volume")
    parser.add_argument("--to", default="", metavar="PREFIX", help="folder on the volume (default: its top level)")
    parser.add_argument("--move", action="store_true", help="let the platform remove its own copy of each file")
    parser.add_argument("--dry-run", action="store_true", help="show what would be started, and start nothing")
    parser.add_argument("--journal", type=Path, default=Path("exports.jsonl"), help="default: %(default)s")
    parser.add_argument(
        "--group",
        type=checked_id,
        default=f"export-{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        help="the group's id, a new one for each run (default: from the current time)",
    )
    parser.add_argument("--bus", default="default", help="the stack's EventBusName (default: %(default)s)")
    return parser.parse_args()


def main() -> None:
    """Start and announce the exports. Exits with 1 if that was not possible for all of them."""
    options = arguments()
    api = sevenbridges.Api(timeout=60, error_handlers=[rate_limit_sleeper])
    events, journal = boto3.client("events"), Journal(options.journal)
    if journal.group and not options.dry_run:
        conclude(events, journal, journal.group, options.bus)
    owner, name, folder = [*options.source.strip("/").split("/", 2), "", ""][:3]
    prefix = "".join(f"{part}/" for part in options.to.split("/") if part)
    found = [(file, prefix + path) for path, file in files_in(api, f"{owner}/{name}", folder)]
    wanted = [(file, at) for file, at in found if (file.id, options.volume, at) not in journal.started]
    if options.dry_run:
        print(*[f"would start  {location}" for _, location in wanted], sep="\n")
        return
    if wanted and options.group in journal.groups:
        sys.exit(f"{options.group} was already announced: use another --group for the remaining {len(wanted)} exports.")
    if len(wanted) + len(journal.waiting) > MAX_GROUP_SIZE:
        sys.exit(
            f"Nothing was started: a group has at most {MAX_GROUP_SIZE} exports. Export its sub-folders one by one."
        )
    refused = start(api, journal, wanted, options)
    if journal.waiting:
        conclude(events, journal, options.group, options.bus)
    sys.exit(1 if refused else 0)


if __name__ == "__main__":
    main()
