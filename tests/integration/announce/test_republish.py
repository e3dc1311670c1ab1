"""Start events with `republish`, for exports by id, by a file of ids, or of a report."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.aws_calls import PartialBatchFailure
from local.stack import Stack
from tests.integration.announcing import Run, World, export_ids, shown, write_report

pytestmark = pytest.mark.once

SCRIPT = "republish.py"


@pytest.fixture
def queue_url(world: World, request: pytest.FixtureRequest) -> str:
    url: str = world.client("sqs").create_queue(QueueName=request.node.name[:70].replace("[", "-").rstrip("]"))[
        "QueueUrl"
    ]
    return url


def sent(world: World, queue_url: str) -> list[dict[str, Any]]:
    """The start events in the queue, by their exports."""
    found = []
    while messages := world.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages"):
        found += [json.loads(one["Body"]) for one in messages]
    return sorted(found, key=lambda one: one["export_id"])


def test_events_of_a_report_are_published_again_as_the_page_shows(
    stack: Stack, project: str, run: Run, tmp_path: Path
) -> None:
    [first, second, third] = export_ids(stack, project, 3)
    group = {"id": "missed", "size": 3}
    for one in (first, second, third):
        stack.announce({"export_id": one, "group": group, "context": {"n": one}})
    assert len(stack.receive(4)) == 4

    for arguments, output in shown(SCRIPT):
        write_report(
            tmp_path / "report.csv",
            [{"export_id": one, "context": json.dumps({"n": one})} for one in (first, second, third)],
        )
        (tmp_path / "export-ids.txt").write_text(f"{first}\n{second}\n{third}\n")
        done = run(SCRIPT, *arguments)
        assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, output, "")
        events = [one.event for one in stack.receive(3, timeout_seconds=30)]
        assert sorted(event["id"] for event in events) == sorted(f"{one}:completed" for one in (first, second, third))
        assert {event["type"] for event in events} == {"cgc.export.completed.v1"}
        if "--report" in arguments:
            assert all(event["data"]["context"] == {"n": event["subject"]} for event in events)


def test_each_export_is_sent_once_with_a_report_s_context_and_without_its_group(
    world: World, run_alone: Run, queue_url: str, tmp_path: Path
) -> None:
    write_report(tmp_path / "r.csv", [{"export_id": "'-a", "context": '{"n": 1}'}, {"export_id": "b"}])
    (tmp_path / "ids").write_text("c\nb\n")
    arguments = ["--queue-url", queue_url, "--report", "r.csv", "--file", "ids", "d", "c"]
    tried = run_alone(SCRIPT, *arguments, "--dry-run")
    assert tried.stdout.splitlines()[0] == 'would send  {"export_id": "-a", "republish": true, "context": {"n": 1}}'
    assert sent(world, queue_url) == []
    assert run_alone(SCRIPT, *arguments).returncode == 0
    assert sent(world, queue_url) == [
        {"export_id": "-a", "republish": True, "context": {"n": 1}},
        *({"export_id": one, "republish": True} for one in "bcd"),
    ]


def test_a_context_of_the_command_goes_to_every_export(world: World, run_alone: Run, queue_url: str) -> None:
    run_alone(SCRIPT, "--queue-url", queue_url, "a", "b", "--context", '{"why": "missed"}')
    assert [one["context"] for one in sent(world, queue_url)] == [{"why": "missed"}] * 2


def test_more_than_ten_go_in_tens_and_those_not_accepted_are_sent_again(
    world: World, run_alone: Run, queue_url: str
) -> None:
    faults = iter([PartialBatchFailure("InternalError")])
    world.aws.fault_for = lambda call: next(faults, None) if call.operation == "SendMessageBatch" else None
    ids = [f"e{n:02}" for n in range(12)]
    done = run_alone(SCRIPT, "--queue-url", queue_url, *ids)
    assert (done.returncode, done.stderr) == (0, "")
    assert [one["export_id"] for one in sent(world, queue_url)] == ids
    assert [call.operation for call in world.aws.calls].count("SendMessageBatch") == 3


def test_exports_that_are_never_accepted_are_named(world: World, run_alone: Run, queue_url: str) -> None:
    world.aws.fault_for = lambda call: PartialBatchFailure("No") if call.operation == "SendMessageBatch" else None
    done = run_alone(SCRIPT, "--queue-url", queue_url, "a")
    assert (done.returncode, done.stderr) == (1, "Not sent, run this again: a\n")


@pytest.mark.parametrize(
    ("arguments", "says", "code"),
    [
        (["../a"], "Nothing was sent: '../a' is not", 1),
        (["--file", "no-file"], "Nothing was sent: ", 1),
        ([], "no exports are named", 2),
        (["a", "--context", "[]"], "--context", 2),
    ],
)
def test_nothing_is_sent_where_the_command_is_wrong(
    run_alone: Run, world: World, arguments: list[str], says: str, code: int
) -> None:
    done = run_alone(SCRIPT, "--queue-url", "http://127.0.0.1:9/queue", *arguments)
    assert (done.returncode, says in done.stderr) == (code, True)
    assert world.aws.calls == []
