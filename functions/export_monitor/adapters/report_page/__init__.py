"""A group's report as a page for people: one table for now."""

from collections.abc import Iterator, Sequence
from html import escape

from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.timestamps import format_rfc3339


def render(summary: GroupProgress, concluded_at: float, rows: Sequence[ReportRow]) -> Iterator[str]:
    """The parts of the page. `concluded_at` is in epoch seconds."""
    title = f"Group {escape(summary.group.id)}: {summary.outcome}, {format_rfc3339(concluded_at)}"
    yield f"<!doctype html>\n<meta charset=utf-8>\n<title>{title}</title>\n<h1>{title}</h1>\n<table>\n"
    for row in rows:
        cells = (row.export_id, row.outcome, row.reason, row.location, row.s3_uri, row.message, row.advice)
        yield "<tr>" + "".join(f"<td>{escape(cell or '')}" for cell in cells) + "\n"
    yield "</table>\n"
