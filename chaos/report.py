"""Judges a finished campaign, and writes the report."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chaos.group_reports import report_complaints
from chaos.oracle import complaints, too_early
from chaos.run import Publication, Run
from local.stack import Notification

ENDS = ("cgc.export.completed.v1", "cgc.export.failed.v1")
CONCLUDED = "cgc.export.group.concluded.v1"
_CONCLUDED = ":concluded"


@dataclass(frozen=True)
class Findings:
    """The result of a campaign.

    `broken` contains each broken guarantee by kind. `unsure` are exports that cannot be judged because the
    campaign itself was too slow.
    """

    broken: Mapping[str, Sequence[str]]
    explained: Mapping[str, str]
    unsure: Sequence[str]
    longest_wait: tuple[float, str]

    @property
    def passed(self) -> bool:
        """Whether every guarantee was kept."""
        return not any(self.broken.values())


def judge(run: Run) -> Findings:
    """Compare the run with what was expected."""
    ends = [one for one in run.received if one.event.get("type") in ENDS]
    unsure = {i for i, timeline in run.timelines.items() if not timeline.is_sure(run.times)}
    explained, unexplained = _duplicates(run, ends)
    return Findings(
        broken={
            "lost": sorted([*_lost(run, ends, unsure), *_lost_groups(run)]),
            "wrong": sorted(
                {f"{event_id}: {what}" for event_id, what in _wrong(run, ends) if _export(event_id) not in unsure}
                | set(_wrong_groups(run, unsure))
            ),
            "report wrong": sorted(set(_wrong_reports(run, ends))),
            "not explained": [f"{one}: {why}" for one, why in unexplained.items()],
            "dead letter lost": [
                bad.mark
                for bad in run.bad_starts
                if not any(bad.mark in dead_letter.body for dead_letter in run.dead_letters)
            ],
            "dead letter": list(_unexpected_dead_letters(run)),
            "message left": [f"{run.messages_left} in the queue"] * bool(run.messages_left),
            "raised": run.raised,
        },
        explained=explained,
        unsure=sorted(unsure),
        longest_wait=_longest_wait(run),
    )


def _lost(run: Run, ends: Sequence[Notification], unsure: set[str]) -> Iterator[str]:
    seen = {str(one.event["id"]) for one in ends}
    ended = {str(one.event["subject"]) for one in ends}
    for export_id, timeline in run.timelines.items():
        if timeline.export.event_id not in seen and not (export_id in unsure and export_id in ended):
            yield timeline.export.event_id


def _unexpected_dead_letters(run: Run) -> Iterator[str]:
    for dead_letter in run.dead_letters:
        if not any(bad.mark in dead_letter.body and dead_letter.error.startswith(bad.error) for bad in run.bad_starts):
            yield f"{dead_letter.error or '(no error)'}: {dead_letter.body[:200]}"


def _wrong(run: Run, ends: Sequence[Notification]) -> Iterator[tuple[str, str]]:
    for one in ends:
        timeline = run.timelines.get(str(one.event.get("subject")))
        if timeline is None:
            yield str(one.event["id"]), "was never announced"
            continue
        yield from ((str(one.event["id"]), what) for what in complaints(timeline, one, run.source, run.times))
    of_exports = [one for one in run.publications if not one.event_id.endswith(_CONCLUDED)]
    for publication in of_exports:
        timeline = run.timelines.get(_export(publication.event_id))
        early = timeline and too_early(timeline, publication.asked_at, run.times)
        if early:
            yield publication.event_id, early
    recorded = {record.event_id for record in run.records}
    yield from ((one.event_id, "never recorded") for one in of_exports if one.event_id not in recorded)


def _members(run: Run) -> dict[str, dict[str, str]]:
    """The expected event id of each member of each group."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for export_id, timeline in run.timelines.items():
        if timeline.export.group:
            groups[timeline.export.group["id"]][export_id] = timeline.export.event_id
    return groups


def _lost_groups(run: Run) -> list[str]:
    seen = {str(one.event["id"]) for one in run.received}
    return [event_id for group in _members(run) if (event_id := group + _CONCLUDED) not in seen]


def _wrong_groups(run: Run, unsure: set[str]) -> Iterator[str]:
    groups = _members(run)
    for one in run.received:
        if one.event.get("type") != CONCLUDED:
            continue
        members, data = groups[str(one.event["subject"])], one.event["data"]
        failed = {export_id for export_id, event_id in members.items() if ":failed:" in event_id}
        listed = {failure["export_id"] for failure in data["failures"]}
        counts = (data["completed"], data["failed"], data["missing"])
        if data["missing"] and _seconds_of(data) >= run.times.timeout + run.times.refusal - 1:
            # Its final deadline came first (times are short here): what was counted by then must be right.
            is_right = listed <= failed and data["completed"] <= len(members) - len(failed)
        else:
            is_right = (listed, counts) == (failed, (len(members) - len(failed), len(failed), 0))
        if unsure.isdisjoint(members) and not is_right:
            yield f"{one.event['id']}: {counts} of {len(members)} members, of which {len(failed)} had to fail"


def _wrong_reports(run: Run, ends: Sequence[Notification]) -> Iterator[str]:
    first = _first_published(run)
    events = [one.event for one in ends]
    for one in run.received:
        if one.event.get("type") == CONCLUDED:
            event_id = str(one.event["id"])
            for what in report_complaints(one.event, first.get(event_id, 0), run.report_writes, events):
                yield f"{event_id}: {what}"


def _seconds_of(group: Mapping[str, str]) -> float:
    first, last = (datetime.fromisoformat(group[name]) for name in ("first_requested_at", "concluded_at"))
    return (last - first).total_seconds()


def _export(event_id: str) -> str:
    return event_id.partition(":")[0]


def _duplicates(run: Run, ends: Sequence[Notification]) -> tuple[dict[str, str], dict[str, str]]:
    """Events received more than once: those that a kill or a lost answer explains, and the others."""
    by_event: dict[str, list[Publication]] = defaultdict(list)
    for publication in run.publications:
        by_event[publication.event_id].append(publication)
    explained, unexplained = {}, {}
    for event_id, count in Counter(str(one.event["id"]) for one in ends).items():
        if count == 1:
            continue
        excuses, without = _excuses(run, event_id, by_event[event_id])
        if without is None:
            explained[event_id] = f"{count} times: {', '.join(excuses)}"
        else:
            unexplained[event_id] = f"{count} times: {without}"
    return explained, unexplained


def _excuses(run: Run, event_id: str, publications: Sequence[Publication]) -> tuple[list[str], str | None]:
    """The explanation of each repeated publication; and a sentence if one has none."""
    recorded_at = min((record.asked_at for record in run.records if record.event_id == event_id), default=None)
    lost_calls = {one.call for one in publications if one.answer_lost}
    excuses: list[str] = []
    accounted = []
    for publication in sorted(publications, key=lambda one: one.asked_at):
        if publication.call in lost_calls:
            excuses.append("its answer was lost")
        elif recorded_at is not None and publication.asked_at > recorded_at:
            return excuses, "published after it had been recorded"
        elif why := _how_it_ended(run, publication, recorded_at):
            excuses.append(why)
        else:
            accounted.append(publication)
    if len(accounted) > 1:
        return excuses, f"{len(accounted)} times by workers that were neither killed nor left without an answer"
    return excuses, None


def _how_it_ended(run: Run, publication: Publication, recorded_at: float | None) -> str | None:
    """How the publishing invocation ended, if that prevented its record; else None."""
    for one in run.invocations:
        if one.worker == publication.worker and one.began_at <= publication.asked_at <= one.ended_at:
            unrecorded = recorded_at is None or recorded_at > one.ended_at
            return f"its worker {one.status}" if unrecorded and one.status in ("crashed", "timed_out") else None
    return None


def _first_published(run: Run) -> dict[str, float]:
    first: dict[str, float] = {}
    for publication in run.publications:
        first[publication.event_id] = min(first.get(publication.event_id, math.inf), publication.asked_at)
    return first


def _longest_wait(run: Run) -> tuple[float, str]:
    """The longest time in seconds from when a watch could end to its event, and that event."""
    first = _first_published(run)
    waits = [
        (first[timeline.export.event_id] - timeline.may_end_at, timeline.export.event_id)
        for timeline in run.timelines.values()
        if timeline.export.event_id in first
    ]
    return max(waits, default=(0.0, "none"))


def lines(run: Run, findings: Findings) -> Iterator[str]:
    """The report, line by line."""
    seconds, slowest = findings.longest_wait
    statuses = Counter(one.status for one in run.invocations)
    rows = {
        "seed": run.seed,
        "seconds": f"{run.seconds:.0f}",
        "exports started": len(run.timelines),
        "events published": len(run.received),
        "published twice": f"{len(findings.explained)} explained",
        "reports written": len(run.report_writes),
        "dead letters": f"{len(run.dead_letters)} for {len(run.bad_starts)} bad start events",
        **{kind: len(items) for kind, items in findings.broken.items()},
        "longest wait": f"{seconds:.1f} s, {slowest}",
        "invocations": ", ".join(f"{number} {status}" for status, number in sorted(statuses.items())),
        "campaign behind": f"at most {run.late:.1f} s; {len(findings.unsure)} exports cannot be judged",
        "faults injected": sum(run.faults.values()),
        **{f"  {name}": number for name, number in sorted(run.faults.items())},
    }
    yield from (f"{name:<30}{value}" for name, value in rows.items())
    yield from (f"published twice: {one}: {why}" for one, why in findings.explained.items())
    yield from (f"{kind}: {item}" for kind, items in findings.broken.items() for item in items)
    yield "every guarantee was kept" if findings.passed else "NOT every guarantee was kept"
