"""What an operator hears of content checks."""

from collections.abc import Callable
from typing import Any, Protocol

from export_monitor.domain.content.check import Verdict
from export_monitor.domain.content.formats import Unverifiable
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import ContentVerdict, PartResult
from export_monitor.domain.content.target import ContentTarget


class ContentReporter(Protocol):
    """Log lines and metrics: see adapters.telemetry."""

    @property
    def count(self) -> Callable[[str], None]: ...
    def measure_count(self, metric: str, value: int) -> None: ...
    def measure_seconds(self, metric: str, value: float) -> None: ...
    def measure_bytes(self, metric: str, value: int) -> None: ...
    def info(self, event: str, **fields: Any) -> None: ...
    def warning(self, event: str, **fields: Any) -> None: ...
    def exception(self, event: str, error: Exception, **fields: Any) -> None: ...


def report_part(target: ContentTarget, part: Part, result: PartResult, seconds: float, report: ContentReporter) -> None:
    """A part was read, in this time, and what was found in it is recorded."""
    report.measure_bytes("ContentBytesVerified", result.end - result.first)
    report.measure_count("ContentUnitsVerified", result.units)
    report.measure_seconds("ContentSeconds", seconds)
    report.info(
        "content_part_verified",
        object=uri(target),
        version_id=target.version_id,
        part=part.number,
        first=result.first,
        end=result.end,
        units=result.units,
        inflated_bytes=result.inflated,
        fault=result.fault.reason if result.fault else None,
        fault_offset=result.fault.offset if result.fault else None,
        seconds=round(seconds, 3),
    )


def report_verdict(target: ContentTarget, verdict: Verdict, seconds: float | None, report: ContentReporter) -> None:
    """The verdict is recorded; `seconds` after the check was asked for, if that is known."""
    content = verdict if isinstance(verdict, ContentVerdict) else None
    fault = content.fault if content else None
    if fault:
        report.count("ContentFaults")
    report.info(
        "content_verified",
        object=uri(target),
        version_id=target.version_id,
        outcome=_outcome(verdict),
        reason=verdict.reason if isinstance(verdict, Unverifiable) else None,
        format=content.format if content else None,
        bytes_read=content.bytes_read if content else None,
        units=content.units if content else None,
        inflated_bytes=content.inflated_bytes if content else None,
        fault=fault.reason if fault else None,
        fault_offset=fault.offset if fault else None,
        seconds=None if seconds is None else round(seconds, 1),
    )


def uri(target: ContentTarget) -> str:
    """The object's URI, as log lines show it."""
    return f"s3://{target.bucket}/{target.key}"


def _outcome(verdict: Verdict) -> str:
    if isinstance(verdict, ContentVerdict):
        return "failed" if verdict.fault else "passed"
    return "skipped" if isinstance(verdict, Unverifiable) else "replaced"
