"""Short fault campaigns, each from a seed: nothing lost, nothing wrong, and every duplicate explained."""

import pytest

from chaos.campaign import Campaign
from chaos.report import judge, lines

pytestmark = pytest.mark.once


@pytest.mark.parametrize("seed", [1, 2])
def test_short_campaign_keeps_every_promise(seed: int) -> None:
    run = Campaign(seed, exports=40, workers=3).run()
    findings = judge(run)
    assert findings.passed, "\n".join(lines(run, findings))
    assert len(run.timelines) == 40
    assert sum(run.faults.values()) > 20
    assert len(run.faults) > 8
