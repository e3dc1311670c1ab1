"""Writes the report of a group: a CSV for programs and a page for people, of the same rows.

Both depend only on what is fixed when the group is closed, so a report that is written again has the same bytes. A
context may have 8 KiB and a group 10,000 exports, so the CSV is written row by row.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, TypeVar

from export_monitor.domain.group_reports import WrittenReport, csv_key, html_key
from export_monitor.domain.groups import FailedMember, GroupProgress, failed_member
from export_monitor.domain.model import UnavailableError
from export_monitor.domain.report_csv import csv_lines, json_cell
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.time_budget import TimeBudget

_CSV = "text/csv; charset=utf-8; header=present"
_HTML = "text/html; charset=utf-8"
_PAGE_CONTEXT_CHARACTERS = 300
_LONG_CONTEXT = {"\u2026": "too long for this page; report.csv has all of it"}

# The parts of the page of a group, which was concluded at a time (epoch seconds) with these rows and this CSV.
RenderPage: TypeAlias = Callable[[GroupProgress, float, Sequence[ReportRow], WrittenReport], Iterable[str]]

_Part = TypeVar("_Part", ReportRow, bytes)


class RowStore(Protocol):
    """The table of groups: see adapters.aws.dynamodb.group_ledger."""

    # Of the members counted before that time (epoch seconds), in the order of the exports' ids; just after they were
    # counted, some may not be seen yet. Raises UnavailableError, also while it is read.
    def rows(self, group_id: str, closed_at: float) -> Iterator[ReportRow]: ...


class ReportStore(Protocol):
    """The stack's own bucket: see adapters.aws.reports."""

    @property
    def bucket(self) -> str: ...

    # Returns the SHA-256 of what was written, in hexadecimal digits. Raises UnavailableError.
    def write(self, key: str, content: Iterable[bytes], content_type: str) -> str: ...


@dataclass(frozen=True, slots=True)
class GroupReports:
    """Writes reports of groups."""

    rows: RowStore
    store: ReportStore
    render_page: RenderPage

    def write(
        self, progress: GroupProgress, concluded_at: float, budget: TimeBudget
    ) -> tuple[WrittenReport, list[FailedMember]]:
        """Write the report of a closed group; return where it is, and the failed members. Raises UnavailableError.

        `concluded_at` is in epoch seconds.
        """
        group_id = progress.group.id
        shown: list[ReportRow] = []
        rows = _in_time(_all(self.rows.rows(group_id, concluded_at), progress), budget)
        csv_sha256 = self.store.write(csv_key(group_id), csv_lines(_kept(rows, shown)), _CSV)
        report = WrittenReport(self.store.bucket, group_id, len(shown), csv_sha256)
        page = (part.encode(errors="replace") for part in self.render_page(progress, concluded_at, shown, report))
        self.store.write(html_key(group_id), _in_time(page, budget), _HTML)
        return report, [failed_member(row) for row in shown if row.reason]


def _all(rows: Iterable[ReportRow], progress: GroupProgress) -> Iterator[ReportRow]:
    """Pass rows on. Raises UnavailableError at their end if they are not those of all members that were counted."""
    unseen = progress.completed + progress.failed
    for row in rows:
        unseen -= 1
        yield row
    if unseen:
        raise UnavailableError(f"DynamoDB: {unseen} of the members that were counted cannot be read yet")


def _in_time(parts: Iterable[_Part], budget: TimeBudget) -> Iterator[_Part]:
    """Pass parts on as long as the report's event could still be published. Raises UnavailableError."""
    for part in parts:
        budget.require_time_to_publish()
        yield part


def _kept(rows: Iterable[ReportRow], shown: list[ReportRow]) -> Iterator[ReportRow]:
    """Pass rows on, and keep each as the page shows it."""
    for row in rows:
        is_long = len(json_cell(row.context)) > _PAGE_CONTEXT_CHARACTERS
        shown.append(replace(row, context=_LONG_CONTEXT) if is_long else row)
        yield row
