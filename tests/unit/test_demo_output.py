"""What the demo prints and how it judges its own results, without the stack."""

import json
from dataclasses import replace
from typing import Any

import pytest

from local.demo import GROUP, INVALID_ID, exports, faults
from local.demo_files import Results
from local.demo_output import WIDTH, Progress, coloured, packed
from local.stack import DeadLetter

INVALID = DeadLetter(body=json.dumps({"export_id": INVALID_ID}), error="export_id: invalid", attributes={})
IDS = [export.event_id for export in exports()] + [f"{GROUP}:concluded"]
ROWS = "\r\n".join(["export_id", *sorted(export.job.id for export in exports() if export.group)])
GOOD = Results(
    events=[{"id": name} for name in IDS],
    mails=[(name, "subject", "text") for name in IDS],
    dead_letters=[INVALID],
    log_lines=[],
    reports={"report.csv": ROWS.encode()},
)
FIRST = IDS[0]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"events": GOOD.events[1:]}, f"{FIRST}: 0 events instead of 1"),
        ({"events": [*GOOD.events, {"id": FIRST}]}, f"{FIRST}: 2 events instead of 1"),
        ({"events": [*GOOD.events, {"id": "other:completed"}]}, "other:completed: 1 events instead of 0"),
        ({"mails": GOOD.mails[1:]}, f"{FIRST}: 0 e-mails instead of 1"),
        ({"dead_letters": []}, "the dead-letter queue does not hold the message with the invalid id alone"),
        ({"reports": {}}, f"the report does not have one row for each export of {GROUP}"),
        (
            {"dead_letters": [INVALID, replace(INVALID, body="{}")]},
            "the dead-letter queue does not hold the message with the invalid id alone",
        ),
    ],
)
def test_missing_duplicated_or_unexpected_results_are_named(changes: dict[str, Any], fault: str) -> None:
    assert faults(exports(), replace(GOOD, **changes)) == [fault]


def log_line(**fields: Any) -> str:
    return json.dumps({"level": "INFO", **fields})


def test_progress_has_a_line_for_each_poll_that_changes_something(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress(started_at=0)
    waiting = {"export_id": "slow", "outcome": "waiting", "delay_seconds": 1.0}
    for line in (
        log_line(**waiting, state="PENDING"),
        log_line(**waiting, state="PENDING"),
        log_line(**waiting, state="COMPLETED", reason="OBJECT_MISSING"),
        log_line(export_id="slow", state="COMPLETED", outcome="failed", reason="OBJECT_MISSING"),
        log_line(export_id="slow", state="COMPLETED", outcome="already_published"),
        log_line(group_id="run-42", outcome="failed"),
        log_line(message="discovery", export_ids=["a"]),
        "a line that is no JSON",
    ):
        progress.log(line)
    shown = [line.partition(" s  ")[2] for line in capsys.readouterr().out.splitlines()]
    assert shown == [
        "slow            PENDING    next poll in 1.0 s",
        "slow            COMPLETED  OBJECT_MISSING, next poll in 1.0 s",
        "slow            COMPLETED  published: failed OBJECT_MISSING",
        "slow            COMPLETED  already published",
        "group run-42               published: failed",
    ]
    assert progress.errors == []


def test_terminal_shows_completed_in_green_and_failed_in_red() -> None:
    row = "cut-short  S3.bam  failed     OBJECT_MISMATCH  failed: size, integrity"
    red = "cut-short  S3.bam  \x1b[31mfailed\x1b[0m     OBJECT_MISMATCH  \x1b[31mfailed: size, integrity\x1b[0m"
    assert coloured(row) == red
    assert coloured("slow  published: completed") == "slow  \x1b[32mpublished: completed\x1b[0m"
    assert coloured("export  outcome  has not completed") == "export  outcome  has not completed"


def test_error_in_the_log_is_a_problem() -> None:
    progress = Progress(started_at=0)
    progress.log(json.dumps({"level": "ERROR", "message": "it_failed"}))
    assert progress.errors == ["the function logged the error it_failed, see log.jsonl"]


@pytest.mark.parametrize(
    "value",
    [
        {},
        [],
        {"a": [], "b": {}, "c": None},
        {"names": [f"name-{number}" for number in range(40)], "end": True},
        {f"field-{number}": {"one": "x" * 40, "two": ["y" * 50, "z" * 50]} for number in range(3)},
    ],
)
def test_packed_json_is_the_same_json_within_the_width(value: Any) -> None:
    lines = packed(value)
    assert json.loads("\n".join(lines)) == value
    assert max(map(len, lines)) <= WIDTH
