"""`make demo`, as a newcomer sees it."""

import subprocess
import sys
from pathlib import Path

from tools.demo_picture import PICTURE, facts, lines_of, telling_part

ROOT = Path(__file__).resolve().parent.parent.parent

ENDS = {
    "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2": "completed",
    "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY": "failed:EXPORT_FAILED",
    "SlowButSound0000000000000000000a": "completed",
    "LiesAboutItsObject0000000000000b": "failed:OBJECT_MISSING",
    "CutShort00000000000000000000000c": "failed:OBJECT_MISMATCH",
    "UnderAnotherKey000000000000000d": "failed:OBJECT_MISMATCH",
    "NeverEnds0000000000000000000000e": "failed:TIMED_OUT",
}


def test_demo_ends_by_itself_with_an_event_for_each_export() -> None:
    command = [sys.executable, "-m", "local.demo"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=True).stdout  # noqa: S603 -- the project's own demo
    for export_id, end in ENDS.items():
        assert f'"id": "{export_id}:{end}"' in shown
    for state in ("PENDING", "RUNNING", "COMPLETED"):
        assert f"SlowButSound0000000000000000000a  {state}" in shown
    assert '"code": 9107' in shown
    assert "FAILED   begins and ends as a whole file does: expected BAM with its end-of-file marker" in shown
    assert "In the dead-letter queue: export_id: must be" in shown
    # docs/demo.svg shows this demo: `make picture` draws it anew.
    assert facts(lines_of(PICTURE.read_text("utf-8"))) == facts(telling_part(shown))
