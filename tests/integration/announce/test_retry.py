"""What failed in a group is started again where that makes sense, as its report says."""

import sys
from pathlib import Path
from typing import Any

import pytest

from export_monitor.domain.advice import BY_CODE, BY_CODE_OF_JOB
from export_monitor.domain.verdicts import Reason
from local.export_jobs import Job, error_body
from tests.integration.announcing import (
    EXAMPLES,
    VOLUME,
    Run,
    World,
    add_files,
    journal,
    shown,
    started,
    without_ids,
    write_report,
)

pytestmark = pytest.mark.once


def failed(world: World, name: str, code: int | None, **changes: Any) -> dict[str, Any]:
    """A failed export of a file, and its row in the report; `state` and `reason` make it another one."""
    add_files(world.platform, name, 1)
    state, reason = changes.pop("state", "FAILED"), changes.pop("reason", "EXPORT_FAILED")
    job = Job(
        id=name,
        file=f"{name}-0",
        volume=VOLUME,
        location=f"{name}.vcf",
        steps=((0, state),),
        error=error_body(409, code or 0, "It failed."),
        **changes,
    )
    world.platform.add_job(job, age_seconds=60)
    return {"export_id": name, "outcome": "failed", "reason": reason, "code": code, "location": job.location}


def put_report(world: World, path: Path, address: str) -> None:
    bucket, _, key = address.removeprefix("s3://").partition("/")
    s3 = world.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.upload_file(str(path), bucket, key)


def new_jobs(world: World) -> dict[str, Job]:
    """The started jobs by their file."""
    return {job.file: job for job in world.platform.jobs() if len(job.id) == 32}


@pytest.fixture
def advice(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.delitem(sys.modules, "retry_advice", raising=False)
    import retry_advice  # noqa: PLC0415 -- found by the path set here

    return retry_advice


def test_exports_of_a_report_are_started_again_as_the_page_shows(world: World, run_alone: Run, tmp_path: Path) -> None:
    rows = [failed(world, "a", 9100), failed(world, "b", 9107), failed(world, "c", 9006)]
    rows += [failed(world, "d", None, state="COMPLETED", reason="OBJECT_MISSING"), failed(world, "e", 9206)]
    rows += [{"export_id": "f", "outcome": "completed", "reason": "", "code": ""}]
    write_report(tmp_path / "report.csv", rows)
    for arguments, output in shown("retry.py"):
        put_report(world, tmp_path / "report.csv", arguments[0])
        done = run_alone("retry.py", *arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert without_ids(done.stdout.splitlines()) == without_ids(output)
    assert started(world.platform, "second-try/") == ["second-try/b.vcf"]
    assert {name: size for name, (size, _) in world.groups().items()} == {"run-42-retry-1": 1, "run-42-retry-2": 2}


def test_the_new_export_is_as_the_failed_one_was(world: World, run_alone: Run, tmp_path: Path) -> None:
    properties = {"sse_algorithm": "aws:kms", "aws_canned_acl": "private"}
    rows = [failed(world, "same", 9100, properties=properties, overwrite=True), failed(world, "taken", 9107)]
    rows[0]["context"] = '{"sample": "s1"}'
    write_report(tmp_path / "r.csv", rows)
    done = run_alone("retry.py", "r.csv", "--group", "run-1-retry-1", "--overwrite")
    assert done.returncode == 0
    jobs = new_jobs(world)
    same, taken = jobs["same-0"], jobs["taken-0"]
    assert (same.location, same.properties, same.overwrite, same.copy_only) == ("same.vcf", properties, True, True)
    assert (taken.location, taken.overwrite) == ("taken.vcf", True)
    assert world.groups() == {"run-1-retry-2": (2, {same.id, taken.id})}
    [detail] = [one for one in world.announced if one["export_id"] == same.id]
    assert detail["context"] == {"sample": "s1"}
    assert world.start_requests() == ["/bulk/storage/exports/create"]
    assert journal(tmp_path, "run-1.retries.jsonl")[-1] == {"announced": "run-1-retry-2"}


def test_a_second_run_starts_nothing_twice(world: World, run_alone: Run, tmp_path: Path) -> None:
    write_report(tmp_path / "r.csv", [failed(world, "a", 9100), failed(world, "b", 9204)])
    assert run_alone("retry.py", "r.csv", "--group", "run").returncode == 0
    first = new_jobs(world)["a-0"].id
    again = run_alone("retry.py", "r.csv", "--group", "run")
    assert f"not started: a.vcf: it was started again as {first}" in again.stdout
    assert len(world.announced) == 1
    fixed = run_alone("retry.py", "r.csv", "--group", "run", "--fixed", "--move")
    assert fixed.returncode == 0
    assert new_jobs(world)["b-0"].copy_only is False
    assert {name: size for name, (size, _) in world.groups().items()} == {"run-retry-1": 1, "run-retry-2": 1}


@pytest.mark.parametrize("state", ["COMPLETED", "RUNNING", "PENDING"])
def test_a_job_that_has_not_failed_on_the_platform_is_not_started_again_whatever_the_report_says(
    world: World, run_alone: Run, tmp_path: Path, state: str
) -> None:
    write_report(tmp_path / "r.csv", [failed(world, "a", 9100, state=state)])
    done = run_alone("retry.py", "r.csv", "--group", "run", "--fixed", "--overwrite")
    assert (done.returncode, done.stdout) == (0, f"not started: a.vcf: its job is {state}\n")
    assert world.start_requests() == []


def test_an_export_that_the_platform_does_not_show_is_not_started_again(
    world: World, run_alone: Run, tmp_path: Path
) -> None:
    rows = [{"export_id": "gone", "outcome": "failed", "reason": "EXPORT_FAILED", "code": 9100}]
    write_report(tmp_path / "r.csv", [*rows, failed(world, "a", 9100)])
    done = run_alone("retry.py", "r.csv", "--group", "run")
    assert "not started: gone: the platform does not give its job" in done.stdout
    assert list(new_jobs(world)) == ["a-0"]


def test_a_dry_run_starts_nothing(world: World, run_alone: Run, tmp_path: Path) -> None:
    write_report(tmp_path / "r.csv", [failed(world, "a", 9100)])
    done = run_alone("retry.py", "r.csv", "--group", "run", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "would start  a.vcf\n")
    assert world.start_requests() == []
    assert not (tmp_path / "run.retries.jsonl").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "cannot be read"), ("a,b\n1,2\n", "not the CSV report"), ("\udcff", "cannot be read")],
)
def test_what_is_no_report_is_named(run_alone: Run, tmp_path: Path, content: str | None, says: str) -> None:
    if content is not None:
        (tmp_path / "r.csv").write_bytes(content.encode(errors="surrogateescape"))
    done = run_alone("retry.py", "r.csv", "--group", "run")
    assert (done.returncode, says in done.stderr) == (1, True)


def test_a_report_without_a_group_in_its_address_needs_one(run_alone: Run) -> None:
    done = run_alone("retry.py", "report.csv")
    assert (done.returncode, "add --group" in done.stderr) == (2, True)


@pytest.mark.parametrize(("group", "announced", "name"), [
    ("run", set(), "run-retry-1"),
    ("run-retry-1", set(), "run-retry-2"),
    ("run", {"run-retry-1", "run-retry-2"}, "run-retry-3"),
])  # fmt: skip
def test_the_next_group_has_the_next_free_number(advice: Any, group: str, announced: set[str], name: str) -> None:
    import retry  # noqa: PLC0415 -- found by the path set by the fixture

    assert retry.next_group(group, announced) == name


def test_a_long_group_id_is_cut_and_stays_distinct(advice: Any) -> None:
    import retry  # noqa: PLC0415 -- likewise

    first, second = (retry.next_group("x" * 127 + end, set()) for end in "ab")
    assert first != second
    assert max(len(first), len(second)) <= 128
    assert retry.next_group(first, set()) == first[:-1] + "2"


def test_every_code_with_an_advice_has_a_place(advice: Any) -> None:
    places = [advice.TRANSIENT, advice.NEEDS_FIX, set(advice.NEVER), {advice.DESTINATION_EXISTS, advice.NAME_EXISTS}]
    codes = [code for place in places for code in place]
    assert sorted(codes) == sorted(BY_CODE)


def test_transient_are_the_codes_whose_advice_is_to_start_the_export_again_later(advice: Any) -> None:
    later = {code for code, text in BY_CODE.items() if "again later." in text or "when it is back." in text}
    assert later == advice.TRANSIENT


def test_what_needs_a_fix_has_an_advice_that_names_one(advice: Any) -> None:
    for code in advice.NEEDS_FIX - {9105, 9109, 9209}:
        assert "then start the export again" in BY_CODE[code].replace("then start\nthe", "then start the")
    assert not any("later" in BY_CODE[code] for code in advice.NEEDS_FIX)


@pytest.mark.parametrize("reason", [one for one in Reason if one is not Reason.EXPORT_FAILED])
@pytest.mark.parametrize("code", [None, 9107, *BY_CODE_OF_JOB])
def test_nothing_but_a_failed_job_is_ever_started_again(advice: Any, reason: Reason, code: int | None) -> None:
    everything = advice.Allowed(overwrite=True, elsewhere=True, fixed=True)
    assert advice.why_not(reason.value, code, everything) is not None
    assert reason.value in advice.NOT_FAILED_ON_PLATFORM


@pytest.mark.parametrize(
    ("code", "allowed", "starts"),
    [
        (9107, {}, False), (9107, {"overwrite": True}, True), (9107, {"elsewhere": True}, True),
        (9107, {"fixed": True}, False), (9108, {"overwrite": True}, False), (9108, {"elsewhere": True}, True),
        (9206, {}, False), (9206, {"fixed": True}, True), (None, {}, False), (None, {"fixed": True}, True),
        (12345, {}, False), (0, {}, True), (9006, {"overwrite": True, "elsewhere": True, "fixed": True}, False),
    ],
)  # fmt: skip
def test_a_code_decides_with_what_the_user_allows(
    advice: Any,
    code: int | None,
    allowed: dict[str, bool],
    starts: bool,
) -> None:
    assert (advice.why_not("EXPORT_FAILED", code, advice.Allowed(**allowed)) is None) == starts
