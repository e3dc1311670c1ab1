"""Exports started in bulk: few requests, and a journal with which nothing is started twice."""

import fcntl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from local.faults import Ask, Disconnect, Match, Status
from local.http_messages import Reply, Request
from tests.integration.announcing import PATHS, VOLUME, Run, World, add_files, add_project, journal, started

pytestmark = pytest.mark.once

SCRIPT = "with_official_client.py"
CREATE = Match(["POST"], "/bulk/storage/exports/create")


@pytest.fixture
def project(world: World) -> str:
    add_project(world.platform, "rfranklin/project")
    return "rfranklin/project"


@dataclass(frozen=True)
class OnlyTheFirst:
    """A bulk call that the platform ends after some of its items; its answer is lost."""

    count: int

    def meet(self, request: Request, ask: Ask) -> Reply:
        return Disconnect("after").meet(request.with_body({"items": request.body["items"][: self.count]}), ask)


@pytest.mark.parametrize("fault", [Disconnect("before"), Disconnect("after"), OnlyTheFirst(2)])
def test_what_a_request_started_whose_answer_was_lost_is_found_and_not_started_again(
    world: World, project: str, run_alone: Run, fault: Any, tmp_path: Path
) -> None:
    arguments = [f"{project}/results", VOLUME, "--group", "lost", "--settle", "0"]
    world.platform.fail(CREATE, fault)
    lost = run_alone(SCRIPT, *arguments)
    assert (lost.returncode, lost.stdout) == (1, "")
    assert "The platform's answer was lost" in lost.stderr
    assert list(journal(tmp_path)[-1]) == ["starting", "at"]

    done = run_alone(SCRIPT, *arguments)
    assert done.returncode == 0
    assert started(world.platform, "") == PATHS
    assert world.groups() == {"lost": (5, {job.id for job in world.platform.jobs()})}


def test_an_older_export_of_the_same_file_is_not_taken_for_one_of_a_lost_answer(
    world: World, project: str, run_alone: Run
) -> None:
    destination = {"volume": VOLUME, "location": "a.vcf"}
    old = world.platform.start({"source": {"file": f"{project}:a.vcf"}, "destination": destination}, copy_only=True)
    world.platform.add_job(replace(old, began_at=None, started_at=None), age_seconds=3600)
    world.platform.fail(CREATE, Disconnect("before"))
    arguments = [f"{project}/results", VOLUME, "--group", "new", "--settle", "0"]
    run_alone(SCRIPT, *arguments)
    assert run_alone(SCRIPT, *arguments).returncode == 0
    assert old.id not in world.groups()["new"][1]
    assert started(world.platform, "") == ["a.vcf", *PATHS]


def test_a_refused_request_starts_nothing_and_is_simply_sent_again(
    world: World, project: str, run_alone: Run, tmp_path: Path
) -> None:
    body = {"status": 403, "code": 90002, "message": "No."}
    world.platform.fail(CREATE, Status(403, body))
    arguments = [f"{project}/results", VOLUME, "--group", "refused"]
    refused = run_alone(SCRIPT, *arguments)
    assert refused.stderr == "The platform refused to start exports: No. (code 90002)\n"
    assert journal(tmp_path)[-1] == {"answered": 0}
    assert run_alone(SCRIPT, *arguments).returncode == 0
    assert started(world.platform, "") == PATHS


def test_an_announcement_that_failed_is_repeated_with_the_same_group_and_size(
    world: World, project: str, run_alone: Run, tmp_path: Path
) -> None:
    arguments = [f"{project}/results", VOLUME]
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"}
    lost = run_alone(SCRIPT, *arguments, "--group", "lost", **nowhere)
    assert lost.returncode == 1
    assert journal(tmp_path)[-1] == {"announcing": "lost", "size": 5}

    done = run_alone(SCRIPT, *arguments, "--group", "another")
    assert done.returncode == 0
    assert done.stdout == "Announced 5 exports as the group lost.\n"
    assert started(world.platform, "") == PATHS
    assert world.groups() == {"lost": (5, {job.id for job in world.platform.jobs()})}


def test_a_journal_whose_last_line_was_cut_off_is_read_without_it(
    world: World, project: str, run_alone: Run, tmp_path: Path
) -> None:
    add_files(world.platform, "one", 1)
    (tmp_path / "list").write_text("one-0\n")
    run_alone(SCRIPT, "--list", "list", VOLUME)
    whole = (tmp_path / "exports.jsonl").read_bytes()
    (tmp_path / "exports.jsonl").write_bytes(whole + b'{"starting": [{"fi')
    assert run_alone(SCRIPT, f"{project}/results", VOLUME).returncode == 0
    assert (tmp_path / "exports.jsonl").read_bytes().startswith(whole + b'{"starting": [{"file": ')
    assert started(world.platform, "") == ["0.vcf", *PATHS]


def test_a_second_run_at_the_same_time_starts_nothing(
    project: str, run_alone: Run, world: World, tmp_path: Path
) -> None:
    with (tmp_path / "exports.jsonl").open("a") as journal_of_another:
        fcntl.flock(journal_of_another, fcntl.LOCK_EX)
        done = run_alone(SCRIPT, f"{project}/results", VOLUME)
    assert (done.returncode, "another run uses the journal" in done.stderr) == (1, True)
    assert world.start_requests() == []


def test_a_thousand_exports_take_ten_requests_to_start(world: World, run_alone: Run, tmp_path: Path) -> None:
    files = add_files(world.platform, "many", 1000)
    (tmp_path / "list").write_text("\n".join(files))
    done = run_alone(SCRIPT, "--list", "list", VOLUME, "--group", "many")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Announced 1000 exports as the group many.")
    assert world.start_requests() == ["/bulk/storage/exports/create"] * 10
    assert len(world.platform.requests) == 20
    assert world.groups() == {"many": (1000, {job.id for job in world.platform.jobs()})}
