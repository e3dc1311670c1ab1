"""`make import-contracts` finds what breaks a contract: each test adds one module to a copy of the code."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from local.artifact import ROOT

# The same on each Python.
pytestmark = pytest.mark.once

LINT_IMPORTS = Path(sys.executable).with_name("lint-imports")
INWARD = "Imports point inward"
STEPS = "Use cases are built from steps"
OUTSIDE = "Only adapters, the composition root and the handler know AWS, HTTP and a clock"
ENVIRONMENT = "Only the handlers read the environment"


def broken_contracts(folder: Path, module: str = "", line: str = "") -> set[str]:
    """The contracts that a copy of the code breaks once it has this module too, with this one line."""
    shutil.copytree(ROOT / "functions", folder / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    if module:
        path = folder / "functions" / "export_monitor" / module
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(f"{line}\n")
    run = subprocess.run(  # noqa: S603 -- the check of our own environment
        [LINT_IMPORTS, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "functions"), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Contracts: " in run.stdout, run.stdout + run.stderr
    found = {line.partition(" BROKEN")[0] for line in run.stdout.splitlines() if " BROKEN" in line}
    assert (run.returncode == 0) == (found == set())
    return found


def test_code_as_it_is_breaks_no_contract(tmp_path: Path) -> None:
    assert broken_contracts(tmp_path) == set()


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        # One that no layer names, whatever it imports.
        ("restart.py", "", {INWARD}),
        ("use_cases/restart.py", "import requests", {INWARD, OUTSIDE}),
        ("application/restart.py", "import boto3", {STEPS, OUTSIDE}),
        # One in a package that has its place.
        ("domain/restart.py", "import time", {OUTSIDE}),
        ("domain/restart.py", "import os", {ENVIRONMENT}),
        ("domain/restart.py", "import export_monitor.application.publishing", {INWARD}),
        ("adapters/restart.py", "import export_monitor.application.publishing", {INWARD}),
        ("adapters/aws/restart.py", "import boto3, time, export_monitor.domain.model", set()),
    ],
)
def test_new_module_is_bound_by_the_contracts(tmp_path: Path, module: str, line: str, broken: set[str]) -> None:
    assert broken_contracts(tmp_path, module, line) == broken
