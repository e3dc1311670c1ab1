"""Start exports in bulk, with a journal: a crash at any point loses no export, and starts none twice.

Before each request, the journal gets what the request will start; afterwards, what it started. If the program dies in
between, the next run looks for the exports in the API's list before it starts any: see `find_unanswered`.
"""

import sys
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from journal import PER_REQUEST, Export, Journal, place
from sevenbridges.errors import SbgError
from with_boto3 import announce, in_group

CLOCK_SKEW = timedelta(minutes=5)
SETTLE_SECONDS = 30
_PASSING_STATUSES = (408, 429)
_RUN_AGAIN = "Run the same command again: it looks for them before it starts any."


def start(api: Any, journal: Journal, exports: Sequence[Export], *, copy_only: bool) -> int:
    """Start the exports, 100 with each request. Prints those that the API rejects, and returns how many."""
    rejected = 0
    for first in range(0, len(exports), PER_REQUEST):
        hundred = exports[first : first + PER_REQUEST]
        journal.add({"starting": hundred, "at": datetime.now(UTC).isoformat()})
        try:
            answer = api.exports.bulk_submit(hundred, copy_only=copy_only)
        except (SbgError, ValueError) as error:
            _give_up(journal, error)
        rejected += _take_answer(journal, hundred, answer)
    return rejected


def find_unanswered(api: Any, journal: Journal, settle_seconds: float, known: Collection[str] = ()) -> None:
    """Find out which exports of an unanswered request were started, and write them to the journal.

    They are in the API's list with the same file, volume and location, and started after the request. The platform may
    still be working on the request, so this waits until it is `settle_seconds` old. `known` are ids of other exports.
    """
    if not journal.unanswered:
        return
    age = (datetime.now(UTC) - journal.asked_at).total_seconds()
    time.sleep(max(0, settle_seconds - age))
    earliest = journal.asked_at - CLOCK_SKEW
    others = {*known, *journal.started.values()}
    found: dict[tuple[str, str, str], Any] = {}
    for volume in {one["volume"] for one in journal.unanswered.values()}:
        for job in api.exports.query(volume=volume, limit=PER_REQUEST).all():
            is_older = job.started_on is not None and job.started_on.replace(tzinfo=UTC) < earliest
            if job.id not in others and not is_older:
                found[_place_of(job)] = job
    asked = journal.unanswered.items()
    started = [{"export_id": found[where].id, **one} for where, one in asked if where in found]
    _write_started(journal, started)
    journal.add({"answered": len(started)})


def conclude(events: Any, journal: Journal, group: str, bus: str) -> None:
    """Announce the waiting exports as a group. Exits with 1 if EventBridge rejects some of them."""
    announced = ("export_id", "context")
    details = in_group([{name: one[name] for name in announced if one.get(name)} for one in journal.waiting], group)
    if journal.group is None:
        journal.add({"announcing": group, "size": len(details)})
    if missed := announce(events, details, bus):
        sys.exit(f"Not announced, run this again: {' '.join(missed)}")
    journal.add({"announced": group})
    print(f"Announced {len(details)} exports as the group {group}.")


def _take_answer(journal: Journal, hundred: Sequence[Export], answer: Sequence[Any]) -> int:
    """Write down what was started; returns how many were rejected.

    The answer's items are in the order of the request in every client that is known, but no documentation says so.
    Jobs say what they export, so only errors are matched by their place.
    """
    jobs = {_place_of(one.resource): one.resource.id for one in answer if one.resource is not None}
    started = [{"export_id": jobs[place(one)], **one} for one in hundred if place(one) in jobs]
    _write_started(journal, started)
    errors = [one.error for one in answer if one.error is not None]
    left = [one for one in hundred if place(one) not in jobs]
    if len(left) != len(errors):
        sys.exit(f"The platform did not say what became of {len(left) - len(errors)} exports. {_RUN_AGAIN}")
    for one, error in zip(left, errors, strict=True):
        print(f"not started: {one['location']}: {error.message} (code {error.code})", file=sys.stderr)
    journal.add({"answered": len(started)})
    return len(left)


def _write_started(journal: Journal, started: Sequence[Export]) -> None:
    journal.add(*started)
    for one in started:
        print(f"started {one['export_id']}  {one['location']}")


def _place_of(job: Any) -> tuple[str, str, str]:
    return place({"file": job.source.id, "volume": job.destination.volume, "location": job.destination.location})


def _give_up(journal: Journal, error: Exception) -> NoReturn:
    status = getattr(error, "status", None)
    if isinstance(status, int) and 400 <= status < 500 and status not in _PASSING_STATUSES:
        journal.add({"answered": 0})
        sys.exit(f"The platform refused to start exports: {error} (code {getattr(error, 'code', None)})")
    sys.exit(f"The platform's answer was lost: {error}. {_RUN_AGAIN}")
