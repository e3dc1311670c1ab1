"""`make demo`, as a newcomer sees it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

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

# The values of the vendor's two examples, at docs.cancergenomicscloud.org, 'Get details of an export job'.
DOCUMENTED_COMPLETED = {
    "id": "5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2",
    "state": "COMPLETED",
    "source": {"file": "576159f7f53e9e1de6ae7b5f0"},
    "destination": {"volume": "rfranklin/output", "location": "output.vcf"},
    "started_on": "2016-06-15T19:17:39Z",
    "finished_on": "2016-06-15T19:17:41Z",
    "properties": {"sse_algorithm": "AES256", "aws_storage_class": "STANDARD", "aws_canned_acl": "public-read"},
    "overwrite": False,
}
DOCUMENTED_FAILED = {
    "id": "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY",
    "state": "FAILED",
    "source": {"file": "57679b78f5b039a7e7fde6a9"},
    "destination": {"volume": "rfranklin/output", "location": "_4_s3_file.jpg"},
    "started_on": "2016-06-22T13:38:57Z",
    "finished_on": "2016-06-22T13:38:57Z",
    "properties": {
        "sse_algorithm": "AES256",
        "sse_aws_kms_key_id": "1234ab56-78d9-10a1-1d23-cc391dc099b",
        "aws_canned_acl": "public-read",
    },
    "overwrite": False,
}


def event_in(shown: str, event_id: str) -> dict[str, Any]:
    """The event of this id, as the demo shows it."""
    start = shown.rindex("\n{\n", 0, shown.index(f'"id": "{event_id}"'))
    event: dict[str, Any] = json.JSONDecoder().raw_decode(shown, start + 1)[0]
    return event


def check_documented_examples(shown: str) -> None:
    completed = event_in(shown, f"{DOCUMENTED_COMPLETED['id']}:completed")
    data = completed["data"]
    assert (completed["time"], data["export"]) == (DOCUMENTED_COMPLETED["finished_on"], DOCUMENTED_COMPLETED)
    assert data["file"] == {
        "id": "576159f7f53e9e1de6ae7b5f0", "name": "output.vcf", "project": "rfranklin/my-project", "size": 1234,
    }  # fmt: skip
    assert (data["object"]["uri"], data["object"]["encryption"]) == ("s3://bucket/output.vcf", "AES256")
    assert (data["verification"]["status"], data["failure"]) == ("passed", None)
    failed = event_in(shown, f"{DOCUMENTED_FAILED['id']}:failed:EXPORT_FAILED")
    failure = failed["data"]["failure"]
    error = failed["data"]["export"].pop("error")
    assert (failed["time"], failed["data"]["export"]) == (DOCUMENTED_FAILED["finished_on"], DOCUMENTED_FAILED)
    assert (error["status"], error["code"]) == (failure["status"], failure["code"]) == (409, 9107)
    assert failed["data"]["file"]["name"] == "_4_s3_file.jpg"


def test_demo_ends_by_itself_with_an_event_for_each_export() -> None:
    command = [sys.executable, "-m", "local.demo"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=True).stdout  # noqa: S603 -- the project's own demo
    for export_id, end in ENDS.items():
        assert f'"id": "{export_id}:{end}"' in shown
    for state in ("PENDING", "RUNNING", "COMPLETED"):
        assert f"SlowButSound0000000000000000000a  {state}" in shown
    check_documented_examples(shown)
    assert "FAILED   begins and ends as a whole file does: expected BAM with its end-of-file marker" in shown
    assert "In the dead-letter queue: export_id: must be" in shown
    # docs/demo.svg shows this demo: `make picture` draws it anew.
    assert facts(lines_of(PICTURE.read_text("utf-8"))) == facts(telling_part(shown))
