"""The programs that start exports, killed after each of their steps and run again: nothing is started twice."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from local.export_jobs import Job, error_body
from tests.integration.announcing import (
    PATHS,
    VOLUME,
    Run,
    World,
    add_files,
    add_project,
    command,
    variables,
    write_report,
)

pytestmark = pytest.mark.once

KILLING = Path(__file__).with_name("killing.py")
STEPS = range(1, 30)


def killed_after(step: int, world: World, folder: Path, script: str, *arguments: str) -> bool:
    """Run a script until a step; false if it has fewer."""
    ended = subprocess.run(  # noqa: S603 -- the project's own examples
        [sys.executable, str(KILLING), str(step), *command(script, *arguments)[1:]],
        env=variables(world.api_url, world.aws.endpoint_url),
        cwd=folder,
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode != 0


def test_exports_of_a_folder_are_started_once_and_announced_as_one_group(
    world: World, run_alone: Run, tmp_path: Path
) -> None:
    steps = 0
    for step in STEPS:
        add_project(world.platform, f"rfranklin/p{step}")
        place = ["--to", f"to-{step}", "--journal", f"{step}.jsonl", "--group", f"group-{step}", "--settle", "0"]
        arguments = [f"rfranklin/p{step}/results", VOLUME, *place]
        if not killed_after(step, world, tmp_path, "with_official_client.py", *arguments):
            break
        steps += 1
        again = run_alone("with_official_client.py", *arguments)
        assert again.returncode == 0, again.stderr
        jobs = [job for job in world.platform.jobs() if job.location.startswith(f"to-{step}/")]
        assert sorted(job.location for job in jobs) == [f"to-{step}/{path}" for path in PATHS]
        assert world.groups()[f"group-{step}"] == (5, {job.id for job in jobs})
    assert steps >= 3 * 4 + 2 + 1


def test_failed_exports_are_started_again_once_and_announced_as_one_group(
    world: World, run_alone: Run, tmp_path: Path
) -> None:
    steps = 0
    for step in STEPS:
        files = add_files(world.platform, f"s{step}", 3)
        ids = [failed_job(world, file) for file in files]
        rows = [{"export_id": id_, "outcome": "failed", "reason": "EXPORT_FAILED", "code": 9100} for id_ in ids]
        write_report(tmp_path / f"{step}.csv", rows)
        arguments = [f"{step}.csv", "--group", f"run-{step}", "--settle", "0"]
        if not killed_after(step, world, tmp_path, "retry.py", *arguments):
            break
        steps += 1
        again = run_alone("retry.py", *arguments)
        assert again.returncode == 0, again.stderr
        new = [job for job in world.platform.jobs() if job.file in files and job.id not in ids]
        assert Counter(job.file for job in new) == Counter(files)
        groups = {name: group for name, group in world.groups().items() if name.startswith(f"run-{step}-")}
        assert groups == {f"run-{step}-retry-1": (3, {job.id for job in new})}
    assert steps >= 2 * 4 + 2 + 1


def failed_job(world: World, file: str) -> str:
    """A job that failed a moment ago."""
    job = Job(
        id=f"job-{file}",
        file=file,
        volume=VOLUME,
        location=f"{file}.vcf",
        steps=((0, "FAILED"),),
        error=error_body(503, 9100, "The storage was unavailable."),
    )
    return world.platform.add_job(job).id
