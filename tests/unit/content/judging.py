"""Judges an object as the app does: recognise it, plan its parts, read them, join them, read again what is wanted."""

from collections import Counter
from dataclasses import dataclass, field

from export_monitor.domain.content.formats import FIRST_BYTES, Format, Unverifiable, recognise
from export_monitor.domain.content.inflating import InflateLibrary
from export_monitor.domain.content.joining import join
from export_monitor.domain.content.plan import Part, plan_parts
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult, from_item
from export_monitor.domain.content.verifier import PartVerifier

WHOLE = 1 << 40


def format_of(content: bytes, key: str = "") -> Format:
    found = recognise(content[:FIRST_BYTES], key)
    assert isinstance(found, Format), found
    return found


def read(
    content: bytes, part: Part, chunk_bytes: int = 1 << 23, library: InflateLibrary | None = None, key: str = ""
) -> PartResult:
    """The result of a part, read in chunks of this length."""
    verifier = PartVerifier(format_of(content, key), len(content), part, library)
    at = part.start
    while verifier.result is None:
        assert at < len(content), "waits for bytes after the end"
        chunk = content[at : at + chunk_bytes]
        assert at < verifier.reads_until, "needs bytes that it has not announced"
        verifier.feed(chunk)
        at += len(chunk)
    return verifier.result


@dataclass
class Judge:
    """Reads parts of this length in chunks of this length. `reads` counts how often each was read last time."""

    part_bytes: int = WHOLE
    chunk_bytes: int = 1 << 23
    inflate: InflateLibrary | None = None
    key: str = ""
    reads: Counter[int] = field(default_factory=Counter)

    def verdict(self, content: bytes) -> ContentVerdict | Unverifiable:
        found = recognise(content[:FIRST_BYTES], self.key)
        parts = found if isinstance(found, Unverifiable) else plan_parts(len(content), self.part_bytes, found)
        if isinstance(found, Unverifiable) or isinstance(parts, Unverifiable):
            return found if isinstance(found, Unverifiable) else parts
        results: dict[int, PartResult] = {}
        self.reads.clear()
        joined = wanted = parts
        while isinstance(joined, tuple):
            for part in wanted:
                self.reads[part.number] += 1
                result = read(content, part, self.chunk_bytes, self.inflate, self.key)
                results[part.number] = from_item(result.to_item())
            joined = join(found, parts, results)
            wanted = joined if isinstance(joined, tuple) else ()
            assert wanted or not isinstance(joined, tuple), "waits for nothing"
        assert max(self.reads.values()) <= 2
        return joined

    def fault(self, content: bytes) -> Fault | None:
        verdict = self.verdict(content)
        assert isinstance(verdict, ContentVerdict), verdict
        return verdict.fault

    def fault_at(self, content: bytes) -> int | None:
        fault = self.fault(content)
        return fault.offset if fault else None
