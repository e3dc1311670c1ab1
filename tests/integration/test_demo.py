"""`make demo`, as a new user sees it."""

import json
import re
import subprocess
import sys
from typing import Any

from local.bam import bam
from local.demo import exports
from local.demo_files import FOLDER
from local.demo_output import WIDTH
from tests.documented_commands import ROOT, blocks
from tools.demo_picture import PICTURE, facts, lines_of, shown_part

# By export: its file, outcome, reason with code, object and checks, whatever their number.
TABLE = """
5AfGvYSsAgQ...  output.vcf      completed                      s3://bucket/output.vcf  N passed, N skipped
DMqdv6gRq79...  _4_s3_file.jpg  failed     EXPORT_FAILED 9107  -                       -
slow            S1.bam          completed                      s3://bucket/S1.bam      N passed, N skipped
no-object       S2.bam          failed     OBJECT_MISSING      -                       failed: exists
cut-short       S3.bam          failed     OBJECT_MISMATCH     s3://bucket/S3.bam      failed: size, integrity
bit-flipped     S7.bam          failed     OBJECT_MISMATCH     s3://bucket/S7.bam      failed: content
other-kms-key   S4.vcf          failed     OBJECT_MISMATCH     s3://bucket/S4.vcf      failed: kms_key
never-ends      S5.bam          failed     TIMED_OUT           -                       -
run-42-1        R1.vcf          completed                      s3://bucket/R1.vcf      N passed, N skipped
run-42-2        R2.vcf          completed                      s3://bucket/R2.vcf      N passed, N skipped
run-42-3        R3.vcf          failed     EXPORT_FAILED 9107  -                       -
not-announced   S6.vcf          completed                      s3://bucket/S6.vcf      N passed, N skipped
"""
EVENT_FILES = {export.event_id.replace(":", ".") for export in exports()} | {"run-42.concluded"}


def shown_event(output: str) -> dict[str, Any]:
    """The event that the demo prints in full."""
    event: dict[str, Any] = json.JSONDecoder().raw_decode(output, output.index("\n{") + 1)[0]
    return event


def event_file(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((FOLDER / "events" / f"{name}.json").read_text("utf-8"))
    return event


def check_documented(event: dict[str, Any]) -> None:
    """Check the event of a job of the vendor's documentation against the published example of that job."""
    text = (ROOT / "schemas" / "examples" / "valid" / event["type"] / "documented-job.json").read_text("utf-8")
    example = json.loads(text)
    for place in ("export", "file", "failure"):
        assert event["data"][place] == example["data"][place]
    assert event["time"] == example["time"]
    assert (event["data"]["object"] or {}).get("uri") == (example["data"]["object"] or {}).get("uri")


def check_output(output: str) -> None:
    lines = output.splitlines()
    assert len(lines) <= 115
    assert max(map(len, lines)) <= WIDTH
    assert "\x1b" not in output
    assert TABLE in re.sub(r"\d+ (?=passed|skipped)", "N ", output)
    assert "3 completed, 4 failed, 0 missing" in output
    assert "Dead-letter queue: the message with the invalid id. export_id: must be" in output
    damage = re.search(r"^Content of s3://bucket/S7\.bam: byte (\d+): ", output, re.MULTILINE)
    assert damage
    assert 0 < int(damage[1]) < len(bam(3)) / 2
    assert "  Subject: Export failed (EXPORT_FAILED): _4_s3_file.jpg\n" in output
    for line in lines[-6:]:
        assert (ROOT / line.split()[0]).exists()


def check_files() -> None:
    for folder, ending in (("events", "json"), ("emails", "txt")):
        assert {path.name for path in (FOLDER / folder).iterdir()} == {f"{name}.{ending}" for name in EVENT_FILES}
    assert event_file("run-42.concluded")["data"]["group"] == {"id": "run-42", "size": 7}
    [letter] = json.loads((FOLDER / "dead-letters.json").read_text("utf-8"))
    assert "../not-an-id" in letter["body"]
    check_documented(event_file("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2.completed"))
    check_documented(event_file("DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY.failed.EXPORT_FAILED"))


def test_demo_ends_by_itself_with_an_event_for_each_export() -> None:
    left_behind = FOLDER / "events" / "of-the-demo-before.json"
    left_behind.parent.mkdir(parents=True, exist_ok=True)
    left_behind.touch()
    command = [sys.executable, "-m", "local.demo"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True).stdout  # noqa: S603 -- the project's own demo
    check_output(output)
    check_documented(shown_event(output))
    check_files()
    [shown_in_readme] = [block.text for block in blocks(ROOT / "README.md") if "no-object" in block.text]
    assert shown_in_readme in output
    assert len(shown_in_readme.splitlines()) == 4
    # docs/demo.svg shows this demo: `make demo-svg` draws it again.
    assert facts(lines_of(PICTURE.read_text("utf-8"))) == facts(shown_part(output))
