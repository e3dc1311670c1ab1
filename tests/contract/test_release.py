"""A release fits together: its version, licence, notes, schemas, citation, and the jobs that make it."""

import json
import re
import shutil
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tools.release import ROOT, faults, main, pack, sections, version

NAMED = ("pyproject.toml", "CHANGELOG.md", "CITATION.cff", "docs/asyncapi.yaml")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """A tree that is released as it is."""
    for name in NAMED:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    present = version()
    edit(tmp_path / "CHANGELOG.md", "\n## .*", f"\n## {present} - 2026-11-26")
    edit(tmp_path / "CITATION.cff", '(?<=date-released: ").*(?=")', "2026-11-26")
    kept = tmp_path / "schemas" / "released" / present
    kept.mkdir(parents=True)
    for path in (ROOT / "schemas").glob("*.schema.json"):
        shutil.copy(path, kept)
        shutil.copy(path, tmp_path / "schemas")
    return tmp_path


def edit(path: Path, pattern: str, replacement: str) -> None:
    text, number = re.subn(pattern, replacement, path.read_text("utf-8"), count=1)
    assert number == 1
    path.write_text(text, "utf-8")


def test_this_version_fits_together_as_far_as_it_is_released() -> None:
    # Until the changelog's newest section has a version, it and the schemas are ahead of the last release.
    ahead = ("CHANGELOG.md", "schemas/") if "Unreleased" in sections() else ()
    assert [fault for fault in faults() if not fault.startswith(ahead)] == []


def test_release_that_fits_together_has_no_faults(released: Path) -> None:
    assert list(faults(released)) == []
    assert list(faults(released, f"v{version()}")) == []


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (lambda root: edit(root / "pyproject.toml", r'(?<=\nversion = ").*(?=")', "9.9.9"), "CHANGELOG.md: "),
        (lambda root: edit(root / "CHANGELOG.md", "\n## .*", "\n## Unreleased"), "CHANGELOG.md: "),
        (lambda root: edit(root / "CITATION.cff", r"\nversion: .*", "\nversion: 0.9.0"), "CITATION.cff: the version"),
        (lambda root: edit(root / "CITATION.cff", "2026-11-26", "2026-01-01"), "CITATION.cff: date-released"),
        (lambda root: edit(root / "docs/asyncapi.yaml", "version: .*", "version: 0.9.0"), "docs/asyncapi.yaml: "),
        (lambda root: edit(root / "schemas/common.schema.json", '"title"', '"name"'), "schemas/released/"),
        (lambda root: (root / "schemas/common.schema.json").unlink(), "schemas/released/"),
    ],
)
def test_what_does_not_belong_to_the_release_is_named(
    released: Path, spoil: Callable[[Path], None], fault: str
) -> None:
    spoil(released)
    assert any(found.startswith(fault) for found in faults(released))


def test_tag_of_another_version_is_a_fault(released: Path) -> None:
    assert list(faults(released, "v9.9.9")) == [f"the tag is v9.9.9, not v{version()}"]


def test_archive_has_what_was_built_and_the_notes_are_the_newest_section(released: Path) -> None:
    built = released / ".aws-sam" / "build"
    (built / "ExportMonitorFunction").mkdir(parents=True)
    (built / "ExportMonitorFunction" / "code.py").write_text("")
    (built / "template.yaml").write_text("Resources: {}")
    archive = pack(released)
    assert archive.name == f"cgc-export-monitor-{version()}.zip"
    assert {name for name in zipfile.ZipFile(archive).namelist() if not name.endswith("/")} == {
        "template.yaml",
        "ExportMonitorFunction/code.py",
    }
    assert (archive.parent / "notes.md").read_text("utf-8").strip() == next(iter(sections(released).values()))


def test_command_without_a_task_shows_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "python -m tools.release check" in capsys.readouterr().out


def test_licence_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    spdx = (ROOT / "LICENSE").read_text("utf-8").splitlines()[0]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert spdx == f"SPDX-License-Identifier: {project['license']}"
    assert citation["license"] == project["license"]
    assert project["license"] in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_pins_actions_by_commit_and_grants_each_job_what_it_needs(path: Path) -> None:
    text = path.read_text("utf-8")
    used = re.findall(r"uses: (.+)", text)
    assert used
    assert [one for one in used if not re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one)] == []
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    assert all(job["permissions"] for job in workflow["jobs"].values())
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"\bmake ([a-z-]+)", text):
        assert f"\n{target}:" in makefile


def test_dependabot_sees_every_list_of_packages() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))["updates"]
    [patterns] = [one["directories"] for one in updates if one["package-ecosystem"] == "pip"]
    lists = [
        path
        for folder in ("", "local", "examples", "benchmarks")
        for path in (ROOT / folder).glob("**/requirements*.txt" if folder else "requirements*.txt")
    ]
    assert lists
    for path in lists:
        folder = Path("/") / path.parent.relative_to(ROOT)
        assert any(folder.match(pattern) for pattern in patterns), folder


def test_dev_container_runs_the_demo() -> None:
    container = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text("utf-8"))
    assert container["postCreateCommand"] == "make demo"
