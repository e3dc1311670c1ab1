"""Joins the results of an object's parts to a verdict, or says what has to be read for one."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from export_monitor.domain.content.formats import Format, Unverifiable
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult

NOTHING = "nothing follows the file definition"


def join(
    content_format: Format, parts: Sequence[Part], results: Mapping[int, PartResult]
) -> ContentVerdict | Unverifiable | tuple[Part, ...]:
    """The verdict on an object, given the results of its parts by their numbers; or the parts that must still be read.

    A part whose first unit isn't where the chain of the parts before it ends is read again from there, where a unit
    must begin. So each part is read twice at most, if the result of a proven part is never replaced by another's.
    """
    chain = ContentVerdict(content_format.name, content_format.first_unit, 0, 0, fault=None)
    for index, part in enumerate(parts):
        at = chain.bytes_read
        # A unit that began in an earlier part may end in a later one, or with the object.
        if at >= part.stop:
            continue
        result = results.get(part.number)
        if result is None or result.first != at:
            return (replace(part, start=at, is_proven=True), *_unread(parts[index + 1 :], results))
        if result.unverifiable:
            return Unverifiable(result.unverifiable)
        chain = _extended(chain, result)
        if chain.fault:
            return chain
    if chain.units:
        return chain
    size = parts[-1].stop
    return replace(chain, bytes_read=size, fault=Fault(size, NOTHING))


def _extended(chain: ContentVerdict, result: PartResult) -> ContentVerdict:
    units, inflated = chain.units + result.units, chain.inflated_bytes + result.inflated
    return ContentVerdict(chain.format, result.end, units, inflated, result.fault)


def _unread(parts: Iterable[Part], results: Mapping[int, PartResult]) -> Iterator[Part]:
    """The parts without a result. Those after a fault can wait, since it probably decides."""
    for part in parts:
        result = results.get(part.number)
        if result is None:
            yield part
        elif result.fault:
            return
