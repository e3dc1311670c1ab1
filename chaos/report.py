"""Judges a campaign by what was seen, and says it in words: nothing here runs anything."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chaos.oracle import complaints, too_early
from chaos.run import Publication, Run
from local.stack import Notification

ENDS = ("cgc.export.completed.v1", "cgc.export.failed.v1")
CONCLUDED = "cgc.export.group.concluded.v1"


_CONCLUDED = ":concluded"


@dataclass(frozen=True)
class Findings:
    """What a campaign came to.

    Each promise that was not kept is in `broken`, by the kind of promise. `unsure` are exports that the campaign itself
    was too slow with, so that nothing can be said of how they had to end.
    """

    broken: Mapping[str, Sequence[str]]
    explained: Mapping[str, str]
    of_other_types: int
    unsure: Sequence[str]
    longest_wait: tuple[float, str]

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not any(self.broken.values())


def judge(run: Run) -> Findings:
    """Hold what was seen against what must have been."""
    ends = [one for one in run.received if one.event.get("type") in ENDS]
    unsure = {i for i, story in run.stories.items() if not story.is_sure(run.times)}
    explained, unexplained = _duplicates(run, ends)
    return Findings(
        broken={
            "lost": sorted([*_lost(run, ends, unsure), *_lost_groups(run)]),
            "wrong": sorted(
                {f"{event_id}: {what}" for event_id, what in _wrong(run, ends) if _export(event_id) not in unsure}
                | set(_wrong_groups(run, unsure))
            ),
            "not explained": [f"{one}: {why}" for one, why in unexplained.items()],
            "dead letter lost": [
                bad.mark for bad in run.bad_starts if not any(bad.mark in letter.body for letter in run.letters)
            ],
            "dead letter": list(_unexpected_letters(run)),
            "message left": [f"{run.messages_left} in the queue"] * bool(run.messages_left),
            "raised": run.raised,
        },
        explained=explained,
        of_other_types=len(run.received) - len(ends),
        unsure=sorted(unsure),
        longest_wait=_longest_wait(run),
    )


def _lost(run: Run, ends: Sequence[Notification], unsure: set[str]) -> Iterator[str]:
    seen = {str(one.event["id"]) for one in ends}
    ended = {str(one.event["subject"]) for one in ends}
    for export_id, story in run.stories.items():
        if story.export.event_id not in seen and not (export_id in unsure and export_id in ended):
            yield story.export.event_id


def _unexpected_letters(run: Run) -> Iterator[str]:
    for letter in run.letters:
        if not any(bad.mark in letter.body and letter.error.startswith(bad.error) for bad in run.bad_starts):
            yield f"{letter.error or '(no error)'}: {letter.body[:200]}"


def _wrong(run: Run, ends: Sequence[Notification]) -> Iterator[tuple[str, str]]:
    for one in ends:
        story = run.stories.get(str(one.event.get("subject")))
        if story is None:
            yield str(one.event["id"]), "nobody announced it"
            continue
        yield from ((str(one.event["id"]), what) for what in complaints(story, one, run.source, run.times))
    of_exports = [one for one in run.publications if not one.event_id.endswith(_CONCLUDED)]
    for publication in of_exports:
        story = run.stories.get(_export(publication.event_id))
        early = story and too_early(story, publication.asked_at, run.times)
        if early:
            yield publication.event_id, early
    recorded = {record.event_id for record in run.records}
    yield from ((one.event_id, "never recorded") for one in of_exports if one.event_id not in recorded)


def _members(run: Run) -> dict[str, dict[str, str]]:
    """The event by which each member of each group must end."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for export_id, story in run.stories.items():
        if story.export.group:
            groups[story.export.group["id"]][export_id] = story.export.event_id
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
        told = {failure["export_id"] for failure in data["failures"]}
        counts = (data["completed"], data["failed"], data["missing"])
        if data["missing"] and _seconds_of(data) >= run.times.timeout + run.times.refusal - 1:
            # Its last moment came first, since times are short here: what was counted by then must be right.
            is_right = told <= failed and data["completed"] <= len(members) - len(failed)
        else:
            is_right = (told, counts) == (failed, (len(members) - len(failed), len(failed), 0))
        if unsure.isdisjoint(members) and not is_right:
            yield f"{one.event['id']}: {counts} of {len(members)} members, of which {len(failed)} had to fail"


def _seconds_of(group: Mapping[str, str]) -> float:
    first, last = (datetime.fromisoformat(group[name]) for name in ("first_requested_at", "concluded_at"))
    return (last - first).total_seconds()


def _export(event_id: str) -> str:
    return event_id.partition(":")[0]


def _duplicates(run: Run, ends: Sequence[Notification]) -> tuple[dict[str, str], dict[str, str]]:
    """The events that came more than once, and why, by whether a kill or a lost answer explains it."""
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
    """Why an event may have been published again each time; and what excuses none of them, if anything."""
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
    """How the invocation ended that published, where that kept it from recording; None where nothing did."""
    for one in run.invocations:
        if one.worker == publication.worker and one.began_at <= publication.asked_at <= one.ended_at:
            unrecorded = recorded_at is None or recorded_at > one.ended_at
            return f"its worker {one.status}" if unrecorded and one.status in ("crashed", "timed_out") else None
    return None


def _longest_wait(run: Run) -> tuple[float, str]:
    """Seconds from when a watch could end to its event, and which event that was."""
    first: dict[str, float] = {}
    for publication in run.publications:
        earlier = first.get(publication.event_id, publication.asked_at)
        first[publication.event_id] = min(earlier, publication.asked_at)
    waits = [
        (first[story.export.event_id] - story.may_end_at, story.export.event_id)
        for story in run.stories.values()
        if story.export.event_id in first
    ]
    return max(waits, default=(0.0, "none"))


def lines(run: Run, findings: Findings) -> Iterator[str]:
    """The report, line by line."""
    seconds, slowest = findings.longest_wait
    statuses = Counter(one.status for one in run.invocations)
    rows = {
        "seed": run.seed,
        "seconds": f"{run.seconds:.0f}",
        "exports started": len(run.stories),
        "events published": len(run.received),
        "published twice": f"{len(findings.explained)} explained",
        "dead letters": f"{len(run.letters)} for {len(run.bad_starts)} bad start events",
        **{kind: len(items) for kind, items in findings.broken.items()},
        "longest wait": f"{seconds:.1f} s, {slowest}",
        "invocations": ", ".join(f"{number} {status}" for status, number in sorted(statuses.items())),
        "campaign behind": f"{run.late:.1f} s at most, too late to judge {len(findings.unsure)} exports",
        "faults that bit": sum(run.faults.values()),
        **{f"  {name}": number for name, number in sorted(run.faults.items())},
    }
    yield from (f"{name:<30}{value}" for name, value in rows.items())
    yield from (f"published twice: {one}: {why}" for one, why in findings.explained.items())
    yield from (f"{kind}: {item}" for kind, items in findings.broken.items() for item in items)
    yield "every promise was kept" if findings.passed else "NOT every promise was kept"
