"""The page of a group's report: one HTML file without outside parts, safe whatever a file is called.

Jinja2 escapes each value; the page's Content-Security-Policy allows its own style and script, by their hashes, and
nothing else. The same input gives the same page, byte for byte.
"""

from base64 import b64encode
from collections.abc import Iterator, Sequence
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from export_monitor.adapters.report_page.picture import picture
from export_monitor.adapters.report_page.visible import visible
from export_monitor.domain import report_summary
from export_monitor.domain.group_reports import WrittenReport
from export_monitor.domain.groups import GroupProgress
from export_monitor.domain.model import JsonObject
from export_monitor.domain.report_csv import json_cell
from export_monitor.domain.report_rows import ReportRow
from export_monitor.domain.report_summary import summary
from export_monitor.domain.timeline import ended_at, timeline
from export_monitor.domain.timestamps import format_rfc3339, parse_rfc3339

if TYPE_CHECKING:
    from jinja2 import Template

_TEMPLATE = Path(__file__).with_name("page.html.jinja")
# The table has all failures. Above it are few of each cause, so that the advice on every cause is seen at once.
_FAILURES_OF_A_CAUSE = 5
_PIECES_OF_A_CHUNK = 1000


def render(
    progress: GroupProgress, concluded_at: float, rows: Sequence[ReportRow], report: WrittenReport
) -> Iterator[str]:
    """The page, in chunks that can be encoded as UTF-8. Loads Jinja2 when the first one is asked for.

    `concluded_at` is in epoch seconds, and `report` says where the CSV of the same rows is.
    """
    values = {
        "progress": progress,
        "report": report,
        "concluded_at": concluded_at,
        "summary": summary(progress, concluded_at, rows),
        "picture": picture(timeline(rows)),
        "failures_of_a_cause": _FAILURES_OF_A_CAUSE,
    }
    stream = _template().stream(values)
    stream.enable_buffering(_PIECES_OF_A_CHUNK)
    yield from stream


@cache
def _template() -> "Template":
    # Takes a third of a cold start, and most invocations write no page.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, finalize=visible, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "bytes": report_summary.human_bytes,
        "cause": report_summary.cause_of,
        "name": report_summary.name_of,
        "ended_at": ended_at,
        "finished": _finished,
        "moment": _moment,
        "context": _context,
        "csp_hash": _csp_hash,
    }
    environment.tests["verified"] = report_summary.is_verified
    return environment.from_string(_TEMPLATE.read_text("utf-8"))


def _finished(row: ReportRow) -> str:
    """When the job finished; as the API says it if that is no time."""
    finished_at = parse_rfc3339(row.finished_on)
    return (row.finished_on or "") if finished_at is None else _moment(finished_at)


def _moment(at: float) -> str:
    """A time in UTC as people read it."""
    return format_rfc3339(at).replace("T", " ").removesuffix("Z")


def _context(context: JsonObject) -> str:
    """The context as the CSV has it; nothing if it is empty."""
    return json_cell(context) if context else ""


def _csp_hash(text: str) -> str:
    """The source expression that allows exactly this inline style or script."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
