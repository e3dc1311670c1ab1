"""The examples of announcing, run as their users run them, against the local stack."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import BotoCoreError

from local.emulator import CREDENTIALS, REGION
from local.export_jobs import AT_ONCE
from local.faults import Drip, Match, Status
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to
from tests import aws_cli

pytestmark = pytest.mark.once

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "announce"
VOLUME = "rfranklin/output"
PATHS = ["a.vcf", "b.vcf", "sub/c.vcf", "sub/d.vcf", "sub/sub/e.vcf"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    platform = Platform(TOKEN)
    platform.default_steps = AT_ONCE
    platform.add_volume(VOLUME, bucket="bucket")
    with Stack(platform, parameters={"MinPollSeconds": "1"}, workers=1) as running:
        platform.deliver = deliver_to(running)
        yield running


def add_project(platform: Platform, name: str) -> None:
    """A project whose folder `results` has five files at three depths; another file is outside of it."""
    for folder, parent in {"results": None, "sub": "results", "sub/sub": "sub"}.items():
        within = {} if parent is None else {"parent": f"{name}:{parent}"}
        platform.add_folder(f"{name}:{folder}", name=folder.rpartition("/")[2], project=name, **within)
    for path in PATHS:
        add_file(platform, name, path)
    platform.add_file(f"{name}:outside", name="outside.vcf", size=9, project=name)


def add_file(platform: Platform, project: str, path: str, **fields: Any) -> None:
    folder, _, name = path.rpartition("/")
    parent = f"{project}:{folder or 'results'}"
    platform.add_file(f"{project}:{path}", name=name, size=9, project=project, parent=parent, **fields)


@pytest.fixture
def project(stack: Stack, request: pytest.FixtureRequest) -> str:
    """The test's own project."""
    name = f"rfranklin/{request.node.name.replace('_', '-')[:60]}"
    add_project(stack.platform, name)
    return name


@pytest.fixture
def environment(stack: Stack, tmp_path: Path) -> Iterator[dict[str, str]]:
    with aws_cli.installed(tmp_path, boto3.Session("x", "x", region_name=REGION), stack.emulator.endpoint_url):
        yield {
            **CREDENTIALS,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": stack.emulator.endpoint_url,
            "SB_API_ENDPOINT": stack.api_url,
            "SB_AUTH_TOKEN": TOKEN,
            "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        }


@pytest.fixture
def with_boto3(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "with_boto3", raising=False)
    import with_boto3  # noqa: PLC0415 -- found by the path set here

    monkeypatch.setattr(with_boto3.time, "sleep", lambda _: None)
    return with_boto3


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path) -> Run:
    """Runs an example in the test's own folder."""

    def run(script: str, *arguments: str, given: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(  # noqa: S603 -- the project's own examples
            ["sh" if script.endswith(".sh") else sys.executable, str(EXAMPLES / script), *arguments],
            env={**environment, **variables},
            cwd=tmp_path,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


def journal(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "exports.jsonl").read_text().splitlines()]


def started(stack: Stack, prefix: str) -> list[str]:
    """The locations under a prefix of all exports that the platform has."""
    return sorted(job.location for job in stack.platform.jobs() if job.location.startswith(prefix))


def concluded(stack: Stack, group: str, exports: int) -> Mapping[str, Any]:
    """The data of the group's event, which comes with one event for each of its exports."""
    events = [one.event for one in stack.receive(exports + 1)]
    [data] = [event["data"] for event in events if event["subject"] == group]
    return dict(data)


def export_ids(stack: Stack, project: str, count: int) -> list[str]:
    """Exports that were started in another way."""
    return [
        stack.platform.start(
            {"source": {"file": f"{project}:outside"}, "destination": {"volume": VOLUME, "location": f"{project}/{n}"}},
            copy_only=True,
        ).id
        for n in range(count)
    ]


def shown() -> list[tuple[list[str], list[str]]]:
    """The commands that the page shows, in words, each with the lines of its output."""
    blocks = re.findall(r"```console\n(.*?)```", (EXAMPLES / "README.md").read_text(), re.DOTALL)
    commands = [one.splitlines() for block in blocks for one in re.split(r"^\$ ", block, flags=re.MULTILINE) if one]
    return [(shlex.split(command), output) for command, *output in commands]


def without_ids(lines: Sequence[str]) -> list[str]:
    return [re.sub(r"\b[A-Za-z0-9]{32}\b", "ID", line) for line in lines]


def test_a_folder_becomes_exports_and_one_event_that_all_are_completed_as_the_page_shows(
    stack: Stack, run: Run
) -> None:
    add_project(stack.platform, "rfranklin/my-project")
    (_, *command), output = shown()[0]
    tried = run(*command, "--dry-run")
    assert tried.stdout.splitlines() == [f"would start  2026/{path}" for path in PATHS]
    assert started(stack, "2026/") == []

    done = run(*command)
    assert (done.returncode, done.stderr) == (0, "")
    assert without_ids(done.stdout.splitlines()) == without_ids(output)
    assert started(stack, "2026/") == [f"2026/{path}" for path in PATHS]
    assert stack.platform.file("rfranklin/my-project:a.vcf")["storage"]["type"] == "PLATFORM"
    group = concluded(stack, "run-42", 5)
    assert (group["outcome"], group["completed"], group["group"]["size"]) == ("completed", 5, 5)


def test_exports_that_run_already_are_announced_as_the_page_shows(stack: Stack, project: str, run: Run) -> None:
    for (_, script, group, *_), output in shown()[1:]:
        given = "\n".join(export_ids(stack, project, 3))
        done = run(script, group, given=given)
        assert (done.returncode, done.stdout.splitlines()) == (0, output)
        assert concluded(stack, group, 3)["completed"] == 3


def test_export_that_the_api_rejects_is_named_and_can_follow_later_while_the_others_go_on(
    stack: Stack, project: str, run: Run
) -> None:
    add_file(stack.platform, project, "b.vcf", storage={"type": "VOLUME"})
    arguments = [f"{project}/results", VOLUME, "--to", "rejected"]
    one = run("with_official_client.py", *arguments, "--group", "four")
    assert one.returncode == 1
    assert one.stderr == "not started: rejected/b.vcf: This file cannot be exported. (code 9006)\n"
    assert concluded(stack, "four", 4)["completed"] == 4

    add_file(stack.platform, project, "b.vcf")
    again = run("with_official_client.py", *arguments, "--group", "four")
    assert (again.returncode, "four was already announced" in again.stderr) == (1, True)
    left = run("with_official_client.py", *arguments, "--group", "one")
    assert left.returncode == 0
    assert started(stack, "rejected/") == [f"rejected/{path}" for path in PATHS]
    assert concluded(stack, "one", 1)["completed"] == 1


def test_a_run_that_crashed_while_starting_is_resumed_without_starting_anything_twice(
    stack: Stack, project: str, run: Run
) -> None:
    arguments = [f"{project}/results", VOLUME, "--to", "crash", "--group", "crash"]
    starts = Match(["POST"], "/storage/exports")
    stack.platform.fail(starts, Drip(0), times=2)  # as ever
    # A reset that the official client cannot read is a crash: it raises an error that is not caught.
    stack.platform.fail(starts, Status(429, {}, {"X-RateLimit-Reset": "soon"}))
    broken = run("with_official_client.py", *arguments)
    assert "Traceback" in broken.stderr
    assert started(stack, "crash/") == ["crash/a.vcf", "crash/b.vcf"]

    done = run("with_official_client.py", *arguments)
    assert done.returncode == 0
    assert started(stack, "crash/") == [f"crash/{path}" for path in PATHS]
    assert concluded(stack, "crash", 5)["completed"] == 5


def test_an_announcement_that_failed_is_repeated_with_the_same_group(
    stack: Stack, project: str, run: Run, tmp_path: Path
) -> None:
    arguments = [f"{project}/results", VOLUME, "--to", "lost"]
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    lost = run("with_official_client.py", *arguments, "--group", "lost", **nowhere)
    assert lost.returncode == 1
    assert journal(tmp_path)[-1] == {"announcing": "lost"}

    done = run("with_official_client.py", *arguments, "--group", "another")
    assert done.returncode == 0
    assert done.stdout == "Announced 5 exports as the group lost.\n"
    assert started(stack, "lost/") == [f"lost/{path}" for path in PATHS]
    assert concluded(stack, "lost", 5)["group"] == {"id": "lost", "size": 5}


def test_a_folder_that_is_not_there_is_named(project: str, run: Run) -> None:
    done = run("with_official_client.py", f"{project}/results/no", VOLUME)
    assert done.returncode == 1
    assert f"There is no folder no in the path {project}/results/no." in done.stderr


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
