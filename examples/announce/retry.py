"""Start again what failed in a group and may be started again, and announce the new exports as a group.

    python retry.py s3://…/groups/run-42/report.csv
    python retry.py s3://…/groups/run-42/report.csv --overwrite
    python retry.py s3://…/groups/run-42/report.csv --to second-try --fixed

It starts again what failed because the platform was unavailable. Where the destination already held an object, it needs
--overwrite, or --to; where somebody had to fix permissions or the volume, --fixed. It never starts a file again that
the platform will not export, nor an export that may still run, nor one that was COMPLETED; it says why. It reads
destination, properties and `overwrite` of each export from the platform. The platform does not say whether an export
was a copy or a move, so these are copies unless you say --move.

The new exports of run-42 are the group run-42-retry-1, those of that group's report run-42-retry-2. A journal keeps
what was started: run the same command again after a crash, and nothing is started twice.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import boto3
import sevenbridges
from bulk_start import SETTLE_SECONDS, conclude, find_unanswered, start
from journal import PER_REQUEST, Export, Journal, identity, place
from retry_advice import DESTINATION_EXISTS, NAME_EXISTS, Allowed, why_not
from sevenbridges.errors import SbgError
from sevenbridges.http.error_handlers import rate_limit_sleeper
from stack import StackError, read_report
from with_boto3 import checked_id

Row = dict[str, str]
MAX_GROUP_ID = 128
_OCCUPIED = (DESTINATION_EXISTS, NAME_EXISTS)


def group_of(report: str) -> str | None:
    """The group's id from its report's address; None if the address does not say it."""
    found = re.search(r"groups/([A-Za-z0-9_-]{1,128})/[^/]+$", report)
    return found[1] if found else None


def next_group(group: str, announced: set[str]) -> str:
    """The first id after the group's that was not announced: run-42-retry-1, run-42-retry-2, ….

    A long id is cut, and gets a hash in place of the rest.
    """
    base, number = group, 0
    if found := re.fullmatch(r"(.+)-retry-(\d+)", group):
        base, number = found[1], int(found[2])
    while True:
        number += 1
        name = f"{base}-retry-{number}"
        if len(name) > MAX_GROUP_ID:
            base = f"{base[:100]}-{hashlib.sha256(base.encode()).hexdigest()[:8]}"
            name = f"{base}-retry-{number}"
        if name not in announced:
            return name


def failed_jobs(api: Any, rows: Sequence[Row]) -> Iterator[tuple[Row, Any, str | None]]:
    """Each row with its job, or why that is not known; 100 with each request."""
    for first in range(0, len(rows), PER_REQUEST):
        hundred = rows[first : first + PER_REQUEST]
        answer = api.exports.bulk_get([row["export_id"] for row in hundred])
        jobs = {one.resource.id: one.resource for one in answer if one.resource is not None}
        for row in hundred:
            job = jobs.get(row["export_id"])
            problem = None
            if job is None:
                problem = "the platform does not give its job"
            elif job.state != "FAILED":
                problem = f"its job is {job.state}"
            yield row, job, problem


def again(row: Row, job: Any, options: argparse.Namespace) -> Export:
    """The export that replaces a failed one, as the platform shows that one."""
    occupied = _code(row) in _OCCUPIED
    prefix = "".join(f"{part}/" for part in (options.to or "").split("/") if part) if occupied else ""
    properties = {name: value for name, value in (job.field("properties") or {}).items() if value is not None}
    return {
        "file": job.source.id,
        "volume": job.destination.volume,
        "location": prefix + job.destination.location.lstrip("/") if prefix else job.destination.location,
        "properties": properties,
        "overwrite": bool(job.overwrite) or (occupied and options.overwrite),
        "context": json.loads(row["context"] or "{}"),
        "retry_of": row["export_id"],
    }


def to_start(api: Any, journal: Journal, rows: Sequence[Row], options: argparse.Namespace) -> list[Export]:
    """The exports to start; prints why each of the others is not."""
    allowed = Allowed(overwrite=options.overwrite, elsewhere=bool(options.to), fixed=options.fixed)
    may = []
    for row in rows:
        started = journal.started.get(row["export_id"])
        reason = f"it was started again as {started}" if started else why_not(row["reason"], _code(row), allowed)
        may += [row] if reason is None else []
        _explain(row, reason)
    exports: dict[tuple[str, str, str], Export] = {}
    for row, job, problem in failed_jobs(api, may):
        _explain(row, problem)
        if problem is None:
            one = again(row, job, options)
            _explain(row, "another one of them has the same file and destination" if place(one) in exports else None)
            exports.setdefault(place(one), one)
    return list(exports.values())


def _code(row: Row) -> int | None:
    return int(row["code"]) if row["code"] else None


def _explain(row: Row, reason: str | None) -> None:
    if reason is not None:
        print(f"not started: {row.get('location') or row['export_id']}: {reason}")


def arguments() -> argparse.Namespace:
    """The command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", help="a group's report.csv, a file or an s3:// address")
    parser.add_argument("--overwrite", action="store_true", help="replace the object at an occupied destination")
    parser.add_argument("--to", metavar="PREFIX", help="put exports with an occupied destination below this folder")
    parser.add_argument("--fixed", action="store_true", help="also start what failed for a cause that is fixed now")
    parser.add_argument("--move", action="store_true", help="let the platform remove its own copy of each file")
    parser.add_argument("--dry-run", action="store_true", help="show what would be started, and start nothing")
    parser.add_argument("--group", type=checked_id, help="the report's group, if its address does not say it")
    parser.add_argument("--journal", type=Path, help="default: GROUP.retries.jsonl, without -retry-N")
    parser.add_argument(
        "--settle",
        type=float,
        default=SETTLE_SECONDS,
        metavar="SECONDS",
        help="how old an unanswered request must be before its exports are looked for (default: %(default)s)",
    )
    parser.add_argument("--bus", default="default", help="the stack's EventBusName (default: %(default)s)")
    options = parser.parse_args()
    if options.overwrite and options.to:
        parser.error("--overwrite and --to exclude each other")
    options.group = options.group or group_of(options.report)
    if options.group is None:
        parser.error("the report's address does not say its group: add --group")
    options.journal = options.journal or Path(f"{re.sub(r'-retry-[0-9]+$', '', options.group)}.retries.jsonl")
    return options


def main() -> None:
    """Start and announce the exports. Exits with 1 if the platform rejected some of them."""
    options = arguments()
    rows = read_report(options.report)
    api = sevenbridges.Api(timeout=60, error_handlers=[rate_limit_sleeper])
    journal, events = Journal(options.journal, writes=not options.dry_run), boto3.client("events")
    if not options.dry_run:
        find_unanswered(api, journal, options.settle, known={row["export_id"] for row in rows})
        if journal.group:
            conclude(events, journal, journal.group, options.bus)
    failed = [row for row in rows if row["outcome"] == "failed"]
    exports = [one for one in to_start(api, journal, failed, options) if identity(one) not in journal.started]
    if options.dry_run:
        print(*[f"would start  {one['location']}" for one in exports], sep="\n")
        return
    rejected = start(api, journal, exports, copy_only=not options.move)
    if journal.waiting:
        conclude(events, journal, next_group(options.group, journal.groups), options.bus)
    sys.exit(1 if rejected else 0)


if __name__ == "__main__":
    try:
        main()
    except (StackError, SbgError) as error:
        sys.exit(f"Stopped: {error}.")
