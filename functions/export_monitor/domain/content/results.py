"""What was found in a part of an object, and in the whole object."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with the unit that begins at this offset of the object."""

    offset: int
    reason: str


@dataclass(frozen=True, slots=True)
class PartResult:
    """The chain of units that was found in a part.

    Holds *if* a unit begins at `first`: from there to `end` is an unbroken chain of sound units, and what follows `end`
    is the `fault`, or can't be verified for the reason `unverifiable`. If no unit was found to begin in the part,
    `first` and `end` are both its stop. CRAM is not inflated, so `inflated` is 0.
    """

    first: int
    end: int
    units: int = 0
    inflated: int = 0
    fault: Fault | None = None
    unverifiable: str | None = None

    def to_item(self) -> dict[str, int | str]:
        """The result as a flat mapping of about 100 bytes."""
        item: dict[str, int | str] = {
            "first": self.first,
            "end": self.end,
            "units": self.units,
            "inflated": self.inflated,
        }
        if self.fault:
            item |= {"fault_at": self.fault.offset, "fault": self.fault.reason}
        if self.unverifiable:
            item["unverifiable"] = self.unverifiable
        return item


def from_item(item: Mapping[str, Any]) -> PartResult:
    """The result that `to_item` made this mapping of; its numbers may be of any type that `int` takes."""
    first, end, units, inflated = (int(item[name]) for name in ("first", "end", "units", "inflated"))
    fault = Fault(int(item["fault_at"]), item["fault"]) if "fault" in item else None
    return PartResult(first, end, units, inflated, fault, item.get("unverifiable"))


@dataclass(frozen=True, slots=True)
class ContentVerdict:
    """What the whole object's checksums say, with the fields of `data.verification.content`.

    With a fault, the numbers count what is sound before it.
    """

    format: str
    bytes_read: int
    units: int
    inflated_bytes: int
    fault: Fault | None
