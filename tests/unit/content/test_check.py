"""The state of a content check."""

import pytest

from export_monitor.domain.content.check import (
    ContentCheck,
    ContentPlan,
    Replaced,
    Verdict,
    plan_content,
    verdict_from_text,
    verdict_to_text,
)
from export_monitor.domain.content.formats import Format, Kind, Unverifiable
from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.results import ContentVerdict, Fault, PartResult

VERIFIED = '{"outcome":"verified","format":"BAM","bytes_read":9,"units":2,"inflated_bytes":20'
BAM = Format(Kind.BGZF, "BAM", demands_eof_marker=True)


@pytest.mark.parametrize(
    ("verdict", "text"),
    [
        (ContentVerdict("BAM", 9, 2, 20, Fault(5, "bad")), f'{VERIFIED},"fault":{{"offset":5,"reason":"bad"}}}}'),
        (ContentVerdict("BAM", 9, 2, 20, None), f'{VERIFIED},"fault":null}}'),
        (Unverifiable("why"), '{"outcome":"skipped","reason":"why"}'),
        (Replaced(), '{"outcome":"replaced"}'),
    ],
)
def test_verdict_is_json_and_comes_back(verdict: Verdict, text: str) -> None:
    assert verdict_to_text(verdict) == text
    assert verdict_from_text(text) == verdict


def test_part_is_read_unless_it_must_be_read_again_from_its_true_start() -> None:
    check = ContentCheck(results={1: PartResult(110, 200)})
    assert not check.is_read(Part(0, 0, 100, is_proven=True))
    assert check.is_read(Part(1, 100, 200))
    assert not check.is_read(Part(1, 105, 200, is_proven=True))
    assert check.is_read(Part(1, 110, 200, is_proven=True))


def test_parts_after_a_fault_can_wait_until_it_is_known_to_be_false() -> None:
    plan = plan_content(BAM, 500, 100)
    assert isinstance(plan, ContentPlan)
    results = {2: PartResult(210, 250, 1, 1, Fault(250, "bad"))}
    assert plan.unread(results) == {0, 1}
    results |= {0: PartResult(0, 100, 1, 1), 1: PartResult(100, 200, 1, 1)}
    assert plan.unread(results) == {2, 3, 4}
    results[2] = PartResult(200, 300, 2, 2)
    assert plan.unread(results) == {3, 4}


def test_plan_of_a_gzip_that_is_too_large_is_the_reason() -> None:
    assert isinstance(plan_content(Format(Kind.GZIP, "gzip", demands_eof_marker=False), 1 << 40, 1), Unverifiable)
