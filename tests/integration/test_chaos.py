"""A short fault campaign: nothing lost, nothing wrong, and every duplicate explained."""

import pytest

from chaos.campaign import Campaign
from chaos.report import judge, lines

pytestmark = pytest.mark.once


def test_short_campaign_keeps_every_promise() -> None:
    run = Campaign(1, exports=40, workers=3).run()
    findings = judge(run)
    assert findings.passed, "\n".join(lines(run, findings))
    assert len(run.timelines) == 40
    assert sum(run.faults.values()) > 20
    assert len(run.faults) > 8
