"""Export files of a project in bulk, and announce the exports as one group.

    python with_official_client.py rfranklin/my-project/results rfranklin/output --to 2026/run-42
    python with_official_client.py --list files.txt rfranklin/output
    python with_official_client.py --task 5e1b6e4c-… rfranklin/output

The first exports every file in a folder and its sub-folders, the second those of a list (each line is a file's id, or
its id, a tab and its location), and the third all output files of a task.

What is started is written to a journal. All are announced after the last one was started, because the announcement
needs the group's size. So after a crash, or if the API rejected some files, run the same command again: it announces
the journal's exports that were not announced yet, and starts none of them twice.

The platform is the one of SB_API_ENDPOINT and SB_AUTH_TOKEN, or of the profile `default` in
~/.sevenbridges/credentials if those are not set.
"""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import sevenbridges
from bulk_start import SETTLE_SECONDS, conclude, find_unanswered, start
from export_check import problems_of_files, problems_of_volume, taken_twice
from export_sources import files_in, files_of_list, files_of_task
from journal import Export, Journal, identity
from sevenbridges.errors import SbgError
from sevenbridges.http.error_handlers import rate_limit_sleeper
from stack import StackError, described
from with_boto3 import MAX_GROUP_SIZE, checked_id


def wanted_exports(api: Any, options: argparse.Namespace) -> list[Export]:
    """The exports that the command asks for. Exits and names each destination that is taken twice."""
    if options.list:
        files = files_of_list(api, options.list)
    elif options.task:
        files = files_of_task(api, options.task)
    else:
        owner, name, folder = [*options.source.strip("/").split("/", 2), "", ""][:3]
        files = files_in(api, f"{owner}/{name}", folder)
    prefix = "".join(f"{part}/" for part in options.to.split("/") if part)
    exports = [{"file": file_id, "volume": options.volume, "location": prefix + path} for file_id, path in files]
    _stop_if(taken_twice(exports))
    return exports


def check(api: Any, exports: list[Export], options: argparse.Namespace) -> None:
    """Exit with 1 and a list if something cannot be exported."""
    buckets = options.buckets
    if options.stack:
        buckets = described(options.stack)[0].get("ExportBuckets", "").split(",")
    _stop_if([*problems_of_volume(api, options.volume, buckets), *problems_of_files(api, exports)])
    print(f"Nothing is known against exporting these {len(exports)} files.")


def _stop_if(problems: list[str]) -> None:
    if problems:
        sys.exit("\n".join([*[f"cannot be exported: {one}" for one in problems], "Nothing was started."]))


def arguments() -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", help="owner/project, or owner/project/folder")
    parser.add_argument("volume", help="owner/volume")
    parser.add_argument("--list", type=Path, metavar="FILE", help="export these files: lines of id, or id<TAB>location")
    parser.add_argument("--task", metavar="ID", help="export the output files of this task")
    parser.add_argument("--to", default="", metavar="PREFIX", help="folder on the volume (default: its top level)")
    parser.add_argument("--move", action="store_true", help="let the platform remove its own copy of each file")
    parser.add_argument("--dry-run", action="store_true", help="show what would be started, and start nothing")
    parser.add_argument("--check", action="store_true", help="name what cannot be exported, and start nothing")
    parser.add_argument("--stack", help="with --check: the stack whose ExportBuckets must have the volume's bucket")
    parser.add_argument("--buckets", type=lambda text: text.split(","), help="the same, for a stack you cannot read")
    parser.add_argument("--journal", type=Path, default=Path("exports.jsonl"), help="default: %(default)s")
    parser.add_argument(
        "--settle",
        type=float,
        default=SETTLE_SECONDS,
        metavar="SECONDS",
        help="how old an unanswered request must be before its exports are looked for (default: %(default)s)",
    )
    parser.add_argument(
        "--group",
        type=checked_id,
        default=f"export-{datetime.now(UTC):%Y%m%dT%H%M%SZ}",
        help="the group's id, a new one for each run (default: from the current time)",
    )
    parser.add_argument("--bus", default="default", help="the stack's EventBusName (default: %(default)s)")
    options = parser.parse_intermixed_args()
    if sum(map(bool, (options.source, options.list, options.task))) != 1:
        parser.error("one source is needed: a project's folder, --list or --task")
    return options


def main() -> None:
    """Start and announce the exports. Exits with 1 if that was not possible for all of them."""
    options = arguments()
    api = sevenbridges.Api(timeout=60, error_handlers=[rate_limit_sleeper])
    only_looks = options.dry_run or options.check
    journal, events = Journal(options.journal, writes=not only_looks), boto3.client("events")
    if not only_looks:
        find_unanswered(api, journal, options.settle)
        if journal.group:
            conclude(events, journal, journal.group, options.bus)
    wanted = [one for one in wanted_exports(api, options) if identity(one) not in journal.started]
    if options.check:
        check(api, wanted, options)
    if options.dry_run:
        print(*[f"would start  {one['location']}" for one in wanted], sep="\n")
    if only_looks:
        return
    if wanted and options.group in journal.groups:
        sys.exit(f"{options.group} was already announced: use another --group for the remaining {len(wanted)} exports.")
    if len(wanted) + len(journal.waiting) > MAX_GROUP_SIZE:
        sys.exit(f"Nothing was started: a group has at most {MAX_GROUP_SIZE} exports. Export its parts one by one.")
    rejected = start(api, journal, wanted, copy_only=not options.move)
    if journal.waiting:
        conclude(events, journal, options.group, options.bus)
    sys.exit(1 if rejected else 0)


if __name__ == "__main__":
    try:
        main()
    except (StackError, SbgError) as error:
        sys.exit(f"Stopped: {error}.")
