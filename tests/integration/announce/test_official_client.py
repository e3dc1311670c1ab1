"""Exports of a folder, a list or a task, started in bulk and announced as a group."""

from pathlib import Path
from typing import Any

import pytest

from local.faults import Match
from local.stack import Stack
from tests.integration.announcing import (
    PATHS,
    VOLUME,
    Run,
    World,
    add_file,
    add_files,
    add_project,
    concluded,
    shown,
    started,
    without_ids,
)

pytestmark = pytest.mark.once

SCRIPT = "with_official_client.py"
TASK = "123a1a1a-12a1-1234-a123-1234567a1a12"
CREATE = Match(["POST"], "/bulk/storage/exports/create")


@pytest.fixture
def project(world: World) -> str:
    add_project(world.platform, "rfranklin/project")
    return "rfranklin/project"


def test_a_folder_becomes_exports_and_one_event_that_all_are_completed_as_the_page_shows(
    stack: Stack, run: Run
) -> None:
    add_project(stack.platform, "rfranklin/my-project")
    [(arguments, output), *_] = shown(SCRIPT)
    tried = run(SCRIPT, *arguments, "--dry-run")
    assert tried.stdout.splitlines() == [f"would start  2026/{path}" for path in PATHS]
    assert started(stack.platform, "2026/") == []

    done = run(SCRIPT, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert without_ids(done.stdout.splitlines()) == without_ids(output)
    assert started(stack.platform, "2026/") == [f"2026/{path}" for path in PATHS]
    assert stack.platform.file("rfranklin/my-project:a.vcf")["storage"]["type"] == "PLATFORM"
    group = concluded(stack, "run-42", 5)
    assert (group["outcome"], group["completed"], group["group"]["size"]) == ("completed", 5, 5)


def test_export_that_the_api_rejects_is_named_and_can_follow_later_while_the_others_go_on(
    world: World, project: str, run_alone: Run
) -> None:
    add_file(world.platform, project, "b.vcf", storage={"type": "VOLUME"})
    arguments = [f"{project}/results", VOLUME, "--to", "rejected"]
    one = run_alone(SCRIPT, *arguments, "--group", "four")
    assert one.returncode == 1
    assert one.stderr == "not started: rejected/b.vcf: This file cannot be exported. (code 9006)\n"
    assert world.groups()["four"][0] == 4

    add_file(world.platform, project, "b.vcf")
    again = run_alone(SCRIPT, *arguments, "--group", "four")
    assert (again.returncode, "four was already announced" in again.stderr) == (1, True)
    left = run_alone(SCRIPT, *arguments, "--group", "one")
    assert left.returncode == 0
    assert started(world.platform, "rejected/") == [f"rejected/{path}" for path in PATHS]
    assert world.groups()["one"][0] == 1


def test_an_archived_file_that_looks_like_any_other_is_named_when_its_export_is_refused(
    world: World, project: str, run_alone: Run
) -> None:
    world.platform.archive_file(f"{project}:a.vcf")
    done = run_alone(SCRIPT, f"{project}/results", VOLUME)
    assert (done.returncode, "a.vcf: This file cannot be exported. (code 9006)" in done.stderr) == (1, True)
    assert started(world.platform, "") == PATHS[1:]


def test_files_of_a_list_go_to_their_location_or_get_their_name(world: World, run_alone: Run, tmp_path: Path) -> None:
    add_files(world.platform, "f", 2)
    (tmp_path / "list").write_text("f-0\n\nf-1\tdeep/other name.vcf\n")
    done = run_alone(SCRIPT, VOLUME, "--list", "list", "--to", "listed")
    assert done.returncode == 0
    assert started(world.platform, "") == ["listed/0.vcf", "listed/deep/other name.vcf"]


def test_a_list_with_an_unknown_file_starts_nothing(world: World, run_alone: Run, tmp_path: Path) -> None:
    add_files(world.platform, "f", 1)
    (tmp_path / "list").write_text("f-0\nno-file\n")
    done = run_alone(SCRIPT, "--list", "list", VOLUME)
    assert done.returncode == 1
    assert done.stderr == "cannot be exported: no-file: File not found. (code 5002)\nNothing was started.\n"
    assert world.start_requests() == []


def test_all_outputs_of_a_task_are_exported_once(world: World, run_alone: Run) -> None:
    add_files(world.platform, "out", 5)
    file = [{"class": "File", "path": f"out-{n}"} for n in range(5)]
    outputs = {
        "bam": file[0] | {"name": "0.vcf", "secondaryFiles": [file[1]]},
        "nested": [[file[2]], [], None, [file[0]]],
        "record": {"calls": file[3], "score": 0.5},
        "folder": {"class": "Directory", "path": "folder"},
        "none": None,
        "text": "out-4",
    }
    world.platform.add_folder("folder", name="sub", project="rfranklin/my-project")
    world.platform.add_folder("inner", name="sub", project="rfranklin/my-project", parent="folder")
    for file_id, parent in {"c": "folder", "e": "inner"}.items():
        world.platform.add_file(file_id, name=file_id, size=9, project="rfranklin/my-project", parent=parent)
    world.platform.add_task(TASK, outputs=outputs)
    done = run_alone(SCRIPT, "--task", TASK, VOLUME)
    assert done.returncode == 0
    files = [f"{n}.vcf" for n in range(4)]
    assert started(world.platform, "") == [*files, "sub/c", "sub/sub/e"]


@pytest.mark.parametrize(("fields", "says"), [({"status": "RUNNING"}, "is RUNNING"), ({"batch": True}, "is a batch")])
def test_a_task_without_all_its_outputs_starts_nothing(
    world: World, run_alone: Run, fields: dict[str, Any], says: str
) -> None:
    world.platform.add_task(TASK, outputs={}, **fields)
    done = run_alone(SCRIPT, "--task", TASK, VOLUME)
    assert (done.returncode, says in done.stderr) == (1, True)


def test_a_destination_that_is_taken_twice_is_named_and_nothing_is_started(
    world: World, run_alone: Run, tmp_path: Path
) -> None:
    add_files(world.platform, "f", 3)
    (tmp_path / "list").write_text("f-0\tsame\nf-1\t/same\nf-2\n")
    done = run_alone(SCRIPT, "--list", "list", VOLUME)
    assert done.returncode == 1
    assert done.stderr == "cannot be exported: same: 2 files have this destination\nNothing was started.\n"
    assert world.start_requests() == []


_NOT_ALLOWED = "is not in the stack's ExportBuckets, so its objects cannot be verified"


def test_check_names_all_that_cannot_be_exported_and_starts_nothing(
    world: World, run_alone: Run, tmp_path: Path
) -> None:
    platform = world.platform
    files = add_files(platform, "f", 4)
    platform.add_folder("folder", name="folder", project="rfranklin/my-project")
    storage = {"type": "VOLUME", "volume": VOLUME, "location": "there.vcf"}
    platform.add_file("f-0", name="0.vcf", size=9, project="rfranklin/my-project", storage=storage)
    platform.add_file("f-1", name="1.vcf", size=9, project="rfranklin/my-project", origin={"dataset": "tcga"})
    platform.add_file("f-2", name="2.vcf", size=9, project="rfranklin/my-project", storage={"type": "ARCHIVE"})
    (tmp_path / "list").write_text("\n".join([*files, "folder"]))
    platform.add_volume("rfranklin/read_only", bucket="elsewhere", access_mode="RO", active=False)
    done = run_alone(SCRIPT, "--list", "list", "rfranklin/read_only", "--check", "--buckets", "bucket,other")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "cannot be exported: rfranklin/read_only: the volume is read-only; make it read-write on the platform",
        "cannot be exported: rfranklin/read_only: the volume is inactive; activate it on the platform",
        f"cannot be exported: rfranklin/read_only: its bucket elsewhere {_NOT_ALLOWED}",
        f"cannot be exported: 0.vcf: already an alias of there.vcf on the volume {VOLUME}",
        "cannot be exported: 1.vcf: a public file cannot be exported",
        "cannot be exported: 2.vcf: its storage is ARCHIVE; an archived file must be restored first",
        "cannot be exported: folder: a folder cannot be exported, only its files",
        "Nothing was started.",
    ]
    assert world.start_requests() == []
    assert not (tmp_path / "exports.jsonl").exists()


def test_check_reads_the_buckets_of_the_stack(stack: Stack, run: Run) -> None:
    add_project(stack.platform, "rfranklin/checked")
    stack.platform.add_volume("rfranklin/other", bucket="other")
    arguments = ["rfranklin/checked/results", "--check", "--stack", "cgc-export-monitor"]
    good = run(SCRIPT, arguments[0], VOLUME, *arguments[1:])
    assert (good.returncode, good.stdout) == (0, "Nothing is known against exporting these 5 files.\n")
    bad = run(SCRIPT, arguments[0], "rfranklin/other", *arguments[1:])
    assert (bad.returncode, "its bucket other is not in the stack's ExportBuckets" in bad.stderr) == (1, True)
    unknown = run(SCRIPT, arguments[0], VOLUME, "--check", "--stack", "no-stack")
    assert (unknown.returncode, "no-stack" in unknown.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [[VOLUME], ["rfranklin/project", VOLUME, "--task", "task"]])
def test_exactly_one_source_is_needed(run_alone: Run, arguments: list[str]) -> None:
    done = run_alone(SCRIPT, *arguments)
    assert (done.returncode, "one source is needed" in done.stderr) == (2, True)


def test_a_folder_that_is_not_there_is_named(project: str, run_alone: Run) -> None:
    done = run_alone(SCRIPT, f"{project}/results/no", VOLUME)
    assert done.returncode == 1
    assert f"There is no folder no in the path {project}/results/no." in done.stderr
