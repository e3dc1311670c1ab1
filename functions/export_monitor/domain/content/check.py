"""The state of one version's content check: its plan, what was found in its parts, and the verdict."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeAlias

from export_monitor.domain.content.formats import Format, Unverifiable
from export_monitor.domain.content.joining import join
from export_monitor.domain.content.plan import Part, plan_parts
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult


@dataclass(frozen=True, slots=True)
class Replaced:
    """The version is gone: the object was replaced or deleted after it was inspected."""


Verdict: TypeAlias = ContentVerdict | Unverifiable | Replaced


class CannotReadError(Exception):
    """S3 does not give the version's bytes, and asking again would not help. `verdict` is what follows."""

    def __init__(self, verdict: Replaced | Unverifiable) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict


@dataclass(frozen=True, slots=True)
class ContentPlan:
    """The parts that a version is read in, and what they follow from."""

    format: Format
    size: int
    part_bytes: int
    parts: tuple[Part, ...]

    def joined(self, results: Mapping[int, PartResult]) -> ContentVerdict | Unverifiable | tuple[Part, ...]:
        """The verdict that follows from the results of the parts, or the parts that must still be read for one."""
        return join(self.format, self.parts, results)

    def unread(self, results: Mapping[int, PartResult]) -> frozenset[int]:
        """The numbers of the parts that must still be read for a verdict."""
        outcome = self.joined(results)
        return frozenset(part.number for part in outcome) if isinstance(outcome, tuple) else frozenset()


def plan_content(content_format: Format, size: int, part_bytes: int) -> ContentPlan | Unverifiable:
    """The plan for a version of this format and size; or the reason why it is too large."""
    parts = plan_parts(size, part_bytes, content_format)
    return parts if isinstance(parts, Unverifiable) else ContentPlan(content_format, size, part_bytes, parts)


@dataclass(frozen=True, slots=True)
class ContentCheck:
    """What is recorded of a version. `plan` is None before it is planned, and `verdict` before it is decided.

    `requested_at` is when the check was first asked for, `touched_at` when it was last asked for or worked on.
    """

    plan: ContentPlan | None = None
    results: Mapping[int, PartResult] = field(default_factory=dict)
    verdict: Verdict | None = None
    requested_at: float | None = None
    touched_at: float | None = None

    def is_read(self, part: Part) -> bool:
        """Whether reading this part would only repeat what is recorded."""
        result = self.results.get(part.number)
        return result is not None and (not part.is_proven or result.first == part.start)


def verdict_to_text(verdict: Verdict) -> str:
    """The verdict as JSON."""
    content: dict[str, Any] = {"outcome": "replaced"}
    if isinstance(verdict, ContentVerdict):
        content = {"outcome": "verified", **asdict(verdict)}
    elif isinstance(verdict, Unverifiable):
        content = {"outcome": "skipped", "reason": verdict.reason}
    return json.dumps(content, separators=(",", ":"))


def verdict_from_text(text: str) -> Verdict:
    """The verdict that `verdict_to_text` wrote."""
    content = json.loads(text)
    outcome = content.pop("outcome")
    if outcome == "verified":
        fault = content.pop("fault")
        return ContentVerdict(**content, fault=Fault(**fault) if fault else None)
    return Unverifiable(content["reason"]) if outcome == "skipped" else Replaced()
