"""`make demo`, as a new user sees it."""

import json
import subprocess
import sys
from typing import Any

from local.demo import exports
from local.demo_files import FOLDER
from local.demo_output import WIDTH
from tests.documented_commands import ROOT, blocks
from tools.demo_picture import PICTURE, facts, lines_of, shown_part

# By export: its file, outcome, reason with code, object and checks.
TABLE = """
5AfGvYSsAgQ...  output.vcf      completed                      s3://bucket/output.vcf  6 passed, 2 skipped
DMqdv6gRq79...  _4_s3_file.jpg  failed     EXPORT_FAILED 9107  -                       -
slow            S1.bam          completed                      s3://bucket/S1.bam      7 passed, 1 skipped
no-object       S2.bam          failed     OBJECT_MISSING      -                       failed: exists
cut-short       S3.bam          failed     OBJECT_MISMATCH     s3://bucket/S3.bam      failed: size, integrity
other-kms-key   S4.vcf          failed     OBJECT_MISMATCH     s3://bucket/S4.vcf      failed: kms_key
never-ends      S5.bam          failed     TIMED_OUT           -                       -
run-42-1        R1.vcf          completed                      s3://bucket/R1.vcf      6 passed, 2 skipped
run-42-2        R2.vcf          completed                      s3://bucket/R2.vcf      6 passed, 2 skipped
run-42-3        R3.vcf          failed     EXPORT_FAILED 9107  -                       -
not-announced   S6.vcf          completed                      s3://bucket/S6.vcf      6 passed, 2 skipped
"""
EVENT_FILES = {export.event_id.replace(":", ".") for export in exports()} | {"run-42.concluded"}

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


def shown_event(output: str) -> dict[str, Any]:
    """The event that the demo prints in full."""
    event: dict[str, Any] = json.JSONDecoder().raw_decode(output, output.index("\n{") + 1)[0]
    return event


def event_file(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((FOLDER / "events" / f"{name}.json").read_text("utf-8"))
    return event


def check_documented_completed(completed: dict[str, Any]) -> None:
    data = completed["data"]
    assert (completed["time"], data["export"]) == (DOCUMENTED_COMPLETED["finished_on"], DOCUMENTED_COMPLETED)
    assert data["file"] == {
        "id": "576159f7f53e9e1de6ae7b5f0", "name": "output.vcf", "project": "rfranklin/my-project", "size": 1234,
    }  # fmt: skip
    assert (data["object"]["uri"], data["object"]["encryption"]) == ("s3://bucket/output.vcf", "AES256")
    assert (data["verification"]["status"], data["failure"]) == ("passed", None)


def check_documented_failed(failed: dict[str, Any]) -> None:
    failure = failed["data"]["failure"]
    error = failed["data"]["export"].pop("error")
    assert (failed["time"], failed["data"]["export"]) == (DOCUMENTED_FAILED["finished_on"], DOCUMENTED_FAILED)
    assert (error["status"], error["code"]) == (failure["status"], failure["code"]) == (409, 9107)
    assert failed["data"]["file"]["name"] == "_4_s3_file.jpg"


def check_output(output: str) -> None:
    lines = output.splitlines()
    assert len(lines) <= 105
    assert max(map(len, lines)) <= WIDTH
    assert "\x1b" not in output
    assert TABLE in output
    assert "2 completed, 1 failed, 0 missing" in output
    assert "Dead-letter queue: the message with the invalid id. export_id: must be" in output
    assert "  Subject: Export failed (EXPORT_FAILED): _4_s3_file.jpg\n" in output
    for line in lines[-4:]:
        assert (ROOT / line.split()[0]).exists()


def check_files() -> None:
    for folder, ending in (("events", "json"), ("emails", "txt")):
        assert {path.name for path in (FOLDER / folder).iterdir()} == {f"{name}.{ending}" for name in EVENT_FILES}
    assert event_file("run-42.concluded")["data"]["group"] == {"id": "run-42", "size": 3}
    [letter] = json.loads((FOLDER / "dead-letters.json").read_text("utf-8"))
    assert "../not-an-id" in letter["body"]
    check_documented_completed(event_file("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2.completed"))
    check_documented_failed(event_file("DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY.failed.EXPORT_FAILED"))


def test_demo_ends_by_itself_with_an_event_for_each_export() -> None:
    left_behind = FOLDER / "events" / "of-the-demo-before.json"
    left_behind.parent.mkdir(parents=True, exist_ok=True)
    left_behind.touch()
    command = [sys.executable, "-m", "local.demo"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=110, check=True).stdout  # noqa: S603 -- the project's own demo
    check_output(output)
    check_documented_completed(shown_event(output))
    check_files()
    [shown_in_readme] = [block.text for block in blocks(ROOT / "README.md") if "no-object" in block.text]
    assert shown_in_readme in output
    assert len(shown_in_readme.splitlines()) == 3
    # docs/demo.svg shows this demo: `make demo-svg` draws it again.
    assert facts(lines_of(PICTURE.read_text("utf-8"))) == facts(shown_part(output))
