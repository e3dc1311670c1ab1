"""Exports that run already, announced with boto3 and the AWS CLI, against the local stack."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError

from local.emulator import REGION
from local.stack import Stack
from tests import aws_cli
from tests.integration.announcing import EXAMPLES, Run, concluded, export_ids, shown

pytestmark = pytest.mark.once


@pytest.fixture
def with_boto3(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "with_boto3", raising=False)
    import with_boto3  # noqa: PLC0415 -- found by the path set here

    monkeypatch.setattr(with_boto3.time, "sleep", lambda _: None)
    return with_boto3


def test_exports_that_run_already_are_announced_as_the_page_shows(stack: Stack, project: str, run: Run) -> None:
    for script in ("with_boto3.py", "with_aws_cli.sh"):
        [((group, *_), output)] = shown(script)
        given = "\n".join(export_ids(stack, project, 3))
        done = run(script, group, given=given)
        assert (done.returncode, done.stdout.splitlines()) == (0, output)
        assert concluded(stack, group, 3)["completed"] == 3


def test_ids_and_the_api_s_own_answers_are_announced_with_boto3_each_once(stack: Stack, project: str, run: Run) -> None:
    one, two, three = export_ids(stack, project, 3)
    lines = [
        one,
        json.dumps({"id": two, "state": "PENDING"}),
        json.dumps({"export_id": three, "context": {"n": 3}}),
        one,
    ]
    done = run("with_boto3.py", "boto3", given="\n".join(lines))
    assert (done.returncode, done.stdout) == (0, "Announced 3 exports as the group boto3.\n")
    assert concluded(stack, "boto3", 3)["completed"] == 3


@pytest.mark.parametrize(
    ("script", "line", "rule"),
    [
        ("with_boto3.py", "../no-id", ""),
        ("with_aws_cli.sh", "../no-id", ""),
        ("with_boto3.py", '{"code": 9005, "message": "You do not have access."}', " has no id.\n"),
        ("with_boto3.py", '{"id": null}', " has no id.\n"),
        ("with_boto3.py", '{"id": 7}', " has no id.\n"),
    ],
)
def test_nothing_is_announced_where_a_line_has_no_id(run: Run, script: str, line: str, rule: str) -> None:
    done = run(script, "rejected", given=f"valid\n{line}\n")
    assert done.returncode == 1
    assert done.stderr.startswith("Nothing was announced")
    assert line + rule in done.stderr
    assert not rule or done.stderr == f"Nothing was announced: {line}{rule}"


def test_more_than_ten_ids_are_announced_with_the_aws_cli_each_once(stack: Stack, project: str, run: Run) -> None:
    ids = export_ids(stack, project, 11)
    given = "\n".join([*ids, ids[0]])
    done = run("with_aws_cli.sh", "cli", given=given)
    assert (done.returncode, done.stdout, done.stderr) == (0, "Announced 11 exports as the group cli.\n", "")
    assert concluded(stack, "cli", 11)["completed"] == 11


def test_ids_that_eventbridge_does_not_take_are_named_by_the_aws_cli(run: Run, tmp_path: Path) -> None:
    for name, says in {"aws": "echo 1", "sleep": "exit 0"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{says}\n")
        (tmp_path / name).chmod(0o755)
    done = run("with_aws_cli.sh", "cli", given="one\ntwo\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "Not announced, run this again: one two\n"


class Bus:
    """An EventBridge that rejects an entry as often as `rejections` says of its export."""

    def __init__(self, rejections: Mapping[str, int]) -> None:
        self.rejections = dict(rejections)
        self.calls: list[list[str]] = []

    def put_events(self, Entries: Sequence[Mapping[str, str]]) -> dict[str, Any]:  # noqa: N803 -- AWS's name
        ids = [json.loads(entry["Detail"])["export_id"] for entry in Entries]
        self.calls.append(ids)
        results = [self._result(one) for one in ids]
        return {"FailedEntryCount": sum("ErrorCode" in one for one in results), "Entries": results}

    def _result(self, export_id: str) -> dict[str, str]:
        left = self.rejections.get(export_id, 0)
        self.rejections[export_id] = left - 1
        return {"ErrorCode": "InternalFailure"} if left > 0 else {"EventId": export_id}


@pytest.mark.parametrize(
    ("rejections", "sent_again", "left"),
    [({"e3": 2, "e11": 1}, [["e3", "e11"], ["e3"]], []), ({"e1": 99}, [["e1"]] * 4, ["e1"])],
    ids=["for a while", "always"],
)
def test_an_entry_that_eventbridge_rejects_is_sent_again_alone_and_named_if_it_stays_rejected(
    with_boto3: Any, rejections: dict[str, int], sent_again: list[list[str]], left: list[str]
) -> None:
    bus = Bus(rejections)
    details = with_boto3.in_group([{"export_id": f"e{n}"} for n in range(12)], "run")
    assert with_boto3.announce(bus, details) == left
    assert [len(call) for call in bus.calls[:2]] == [10, 2]
    assert bus.calls[2:] == sent_again


@pytest.mark.parametrize(
    "arguments",
    [["events", "put-event"], ["event", "put-events"], ["events", "put-events", "--entry", "[]"]],
    ids=["operation", "service", "option"],
)
def test_the_stand_in_for_the_aws_cli_rejects_a_misspelt_command(arguments: list[str]) -> None:
    with pytest.raises((BotoCoreError, KeyError, ValueError)):
        aws_cli.run(arguments, boto3.Session("x", "x", region_name=REGION))
