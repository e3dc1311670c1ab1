"""The progress of a group, by the function's own answers."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from local.aws_proxy import aws_proxy
from local.export_jobs import documented_failed
from local.faults import Ask, Call, Fault
from local.http_messages import Reply, Request, json_reply
from local.stack import Stack
from tests.integration.announcing import Run, command, export_ids, runner, shown, variables

pytestmark = pytest.mark.once

SCRIPT = "follow.py"
STATUS = {
    "group": {"id": "run-42", "size": 3}, "completed": 1, "failed": 0, "remaining": 2,
    "first_requested_at": "2026-01-01T00:00:00Z", "concluded_at": None, "report": None,
}  # fmt: skip
CONCLUDED = {"concluded_at": "2026-01-01T00:10:00Z"}


@dataclass
class Function:
    """Lambda's Invoke, answered by the stack's function, or by the next of `answers` while there are any."""

    stack: Stack
    answers: list[dict[str, Any]] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)

    def fault_for(self, call: Call) -> Fault | None:
        return self if call.service == "lambda" else None

    def meet(self, request: Request, _ask: Ask) -> Reply:
        self.asked.append(request.body)
        if self.answers:
            return json_reply(200, self.answers.pop(0))
        ended = self.stack.invoke(request.body)
        if ended.status == "returned":
            return json_reply(200, json.loads(ended.response))
        return json_reply(200, ended.error, **{"X-Amz-Function-Error": "Unhandled"})


@pytest.fixture
def function(stack: Stack) -> Function:
    return Function(stack)


@pytest.fixture
def environment(stack: Stack, function: Function) -> Iterator[dict[str, str]]:
    with aws_proxy(stack.emulator.endpoint_url, function.fault_for) as proxy:
        yield variables(stack.api_url, proxy.endpoint_url)


@pytest.fixture
def follow(environment: dict[str, str], tmp_path: Any) -> Run:
    run = runner(environment, tmp_path)
    return lambda *arguments: run(SCRIPT, *arguments, "--stack", "cgc-export-monitor", "--every", "0.1")


def test_a_group_is_followed_to_its_end_as_the_page_shows(
    function: Function, environment: dict[str, str], tmp_path: Any
) -> None:
    [(arguments, output)] = shown(SCRIPT)
    address = "s3://cgc-export-monitor-reports/groups/run-42/report"
    report = {"csv": f"{address}.csv", "html": f"{address}.html", "rows": 3, "csv_sha256": "0"}
    end = STATUS | CONCLUDED | {"completed": 2, "failed": 1, "remaining": 0, "report": report}
    function.answers = [STATUS, STATUS, STATUS | {"completed": 2, "remaining": 1}, end]
    done = runner(environment, tmp_path)(SCRIPT, *arguments, "--every", "0.1")
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (1, output, "")
    assert function.asked == [{"status_of": {"group": "run-42"}}] * 4


@pytest.mark.parametrize(
    ("counts", "outcome", "code"),
    [
        ({"completed": 3, "failed": 0, "remaining": 0}, "completed", 0),
        ({"completed": 2, "failed": 1, "remaining": 0}, "failed", 1),
        ({"completed": 1, "failed": 1, "remaining": 1}, "incomplete", 3),
    ],
)
def test_the_exit_code_says_how_the_group_ended(
    function: Function, follow: Run, counts: dict[str, int], outcome: str, code: int
) -> None:
    function.answers = [STATUS | CONCLUDED | counts]
    done = follow("run-42")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (code, f"run-42: {outcome}")


def test_the_stack_s_own_answers_are_followed_without_a_request_to_the_platform(
    stack: Stack, project: str, follow: Run
) -> None:
    [one] = export_ids(stack, project, 1)
    stack.platform.add_job(documented_failed())
    for export_id in (one, documented_failed().id):
        stack.announce({"export_id": export_id, "group": {"id": "followed", "size": 2}})
    assert len(stack.receive(3)) == 3
    requests = len(stack.platform.requests)
    done = follow("followed")
    assert done.returncode == 1
    assert done.stdout.splitlines()[:2] == ["1 completed, 1 failed, 0 remaining", "followed: failed"]
    assert len(stack.platform.requests) == requests


def test_a_group_that_is_not_known_yet_is_waited_for(function: Function, follow: Run) -> None:
    unknown = {"errorType": "UnknownError", "errorMessage": "unknown group"}
    real = function.meet

    def meet(request: Request, ask: Ask) -> Reply:
        if not function.asked:
            function.asked.append(request.body)
            return json_reply(200, unknown, **{"X-Amz-Function-Error": "Unhandled"})
        return real(request, ask)

    function.meet = meet  # type: ignore[method-assign]
    function.answers = [STATUS | CONCLUDED | {"completed": 3, "remaining": 0}]
    done = follow("run-42")
    assert (done.returncode, len(function.asked)) == (0, 2)


def test_an_unknown_group_is_named_after_a_while(function: Function, follow: Run) -> None:
    done = follow("nobody", "--wait", "0.5")
    assert done.returncode == 2
    assert done.stderr == "The stack knows no group nobody: none of its exports was polled so far.\n"
    assert len(function.asked) > 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["../x"], "invalid checked_id value"), (["run", "--stack", "none"], "the stack none cannot be read")],
)
def test_a_wrong_command_has_an_exit_code_of_its_own(
    environment: dict[str, str], tmp_path: Any, arguments: list[str], says: str
) -> None:
    done = runner(environment, tmp_path)(SCRIPT, *arguments)
    assert (done.returncode, says in done.stderr) == (2, True)


def test_another_error_of_the_function_is_shown(function: Function, follow: Run) -> None:
    function.meet = lambda _request, _ask: json_reply(  # type: ignore[method-assign]
        200, {"errorType": "UnavailableError", "errorMessage": "DynamoDB"}, **{"X-Amz-Function-Error": "Unhandled"}
    )
    done = follow("run-42")
    assert (done.returncode, done.stderr) == (2, "Cannot follow the group: the function failed: DynamoDB\n")


def test_a_terminal_gets_a_bar(function: Function, environment: dict[str, str], tmp_path: Any) -> None:
    function.answers = [STATUS, STATUS | CONCLUDED | {"completed": 3, "remaining": 0}]
    ours, theirs = pty.openpty()
    arguments = ["run-42", "--stack", "cgc-export-monitor", "--every", "0.1"]
    terminal = {"TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(  # noqa: S603 -- the project's own examples
        command(SCRIPT, *arguments), env=environment | terminal, cwd=tmp_path, stdout=theirs
    ) as following:
        os.close(theirs)
        shown_text = b""
        while part := _read(ours):
            shown_text += part
    os.close(ours)
    assert following.returncode == 0
    assert "3 completed, 0 failed, 0 remaining" in shown_text.decode()
    assert "━" in shown_text.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # Linux's way to say that nobody writes any more
        return b""
