"""What the page of a group's report says above its rows: whether all is there, how much it is, what failed and why.

Times are seconds since the epoch in UTC, sizes are in bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.report_rows import FAILED, ReportRow

# No object is as large; the API's numbers have no limit.
_NO_OBJECT_BYTES = 2**63
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_NO_ADVICE = "Read the message and the platform's page about this export."


class Tone(StrEnum):
    """How good the news is. UNVERIFIED: nothing failed, but not every object could be verified."""

    VERIFIED = "verified"
    UNVERIFIED = "unverified"
    FAILED = "failed"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Cause:
    """Failures with the same reason, code and advice, in the order of their names."""

    label: str
    advice: str
    rows: tuple[ReportRow, ...]


@dataclass(frozen=True, slots=True)
class Summary:
    """The top of the page. `size_bytes` is the sum over the completed exports whose size is known.

    The most frequent cause comes first. `others` are the rows of exports that did not fail: first those that were not
    verified, then by name.
    """

    tone: Tone
    headline: str
    details: str
    duration: str
    verified: int
    unverified: int
    size_bytes: int
    unknown_sizes: int
    causes: tuple[Cause, ...]
    others: tuple[ReportRow, ...]


def summary(progress: GroupProgress, concluded_at: float, rows: Sequence[ReportRow]) -> Summary:
    """Summarize a group, with a row for each export that ended."""
    failed = [row for row in rows if row.outcome == FAILED]
    completed = [row for row in rows if row.outcome != FAILED]
    verified = sum(map(is_verified, completed))
    sizes = [row.size_bytes for row in completed if row.size_bytes is not None and row.size_bytes < _NO_OBJECT_BYTES]
    unverified = len(completed) - verified
    tone = _tone(progress, unverified)
    return Summary(
        tone=tone,
        headline=_headline(progress, unverified),
        details=_details(tone, progress, unverified),
        duration=human_duration(concluded_at - progress.first_requested_at),
        verified=verified,
        unverified=unverified,
        size_bytes=sum(sizes),
        unknown_sizes=len(completed) - len(sizes),
        causes=tuple(_causes(failed)),
        others=tuple(sorted(completed, key=lambda row: (is_verified(row), *_by_name(row)))),
    )


def is_verified(row: ReportRow) -> bool:
    """Whether the export's object was inspected and no check failed."""
    return row.verification == "passed"


def _tone(progress: GroupProgress, unverified: int) -> Tone:
    if progress.missing:
        return Tone.INCOMPLETE
    if progress.failed:
        return Tone.FAILED
    return Tone.UNVERIFIED if unverified else Tone.VERIFIED


def _headline(progress: GroupProgress, unverified: int) -> str:
    size, failed, missing = progress.group.size, progress.failed, progress.missing
    all_of_them = "The export" if size == 1 else f"All {size:,} exports"
    if missing:
        also = f", and {failed:,} failed" if failed else ""
        return "The export is missing" if size == 1 else f"{_of(missing, size)} {_are(missing)} missing{also}"
    if failed:
        return "The export failed" if size == 1 else f"{_of(failed, size)} failed"
    if not unverified:
        return f"{all_of_them} completed and {_were(size)} verified"
    return f"{all_of_them} completed, but {'it' if size == 1 else f'{unverified:,}'} {_were(unverified)} not verified"


def _of(number: int, size: int) -> str:
    return f"{number:,} of {size:,} exports"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _details(tone: Tone, progress: GroupProgress, unverified: int) -> str:
    completed = f"{progress.completed:,} completed"
    verified = f"{unverified:,} of them {_were(unverified)} not verified" if unverified else "all of them were verified"
    if tone is Tone.INCOMPLETE:
        return (
            "Missing exports were not announced in time, or have not ended. Check that they were started, and announce "
            f"each of them without a group. {completed}{f', and {verified}' if progress.completed else ''}."
        )
    if tone is Tone.FAILED:
        return (
            f"What to do about each failure is below. {completed}{f', and {verified}' if progress.completed else ''}."
        )
    if tone is Tone.UNVERIFIED:
        return "No check failed, but not every object could be read. Check the ones that were not verified yourself."
    return "Every object was inspected where it was exported to, and none of its checks failed."


def _causes(failed: Iterable[ReportRow]) -> list[Cause]:
    found: dict[tuple[str, str], list[ReportRow]] = {}
    for row in failed:
        found.setdefault((cause_of(row), row.advice or _NO_ADVICE), []).append(row)
    causes = [Cause(*key, tuple(sorted(rows, key=_by_name))) for key, rows in found.items()]
    return sorted(causes, key=lambda cause: (-len(cause.rows), cause.label, cause.advice))


def cause_of(row: ReportRow) -> str:
    """The reason of a failure, and the API's code if it has one."""
    reason = row.reason or "unknown"
    return reason if row.code is None else f"{reason} {row.code}"


def name_of(row: ReportRow) -> str:
    """What a person calls the export: its file, else where it was to go, else its id."""
    return row.file_name or row.location or row.export_id


def _by_name(row: ReportRow) -> tuple[str, str]:
    return name_of(row), row.export_id


def human_bytes(size: int) -> str:
    """A size with three digits, in units of a thousand."""
    if size < 1000:
        return "1 byte" if size == 1 else f"{size} bytes"
    for power, unit in enumerate(_UNITS, start=1):
        # One more digit would round to a thousand.
        if 2 * size < 1999 * 1000**power:
            return f"{size / 1000**power:.3g} {unit}"
    return f"{size // 1000 ** len(_UNITS):,} {_UNITS[-1]}"


def human_duration(seconds: float) -> str:
    """A duration in its two largest units."""
    left = max(round(seconds), 0)
    parts: list[str] = []
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        number, left = divmod(left, length)
        if number or parts:
            parts.append(f"{number} {unit}" if number else "")
    return " ".join(filter(None, parts[:2])) or "0 s"
