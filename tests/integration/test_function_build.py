"""`sam build` works in a container, which has only the mounts, and rejects an old Python with a clear error."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from samtranslator.yaml_helper import yaml_parse

from local.artifact import ROOT

FUNCTION = yaml_parse((ROOT / "template.yaml").read_text("utf-8"))["Resources"]["ExportMonitorFunction"]
# What a clone does not have, and no build reads.
NOT_CLONED = shutil.ignore_patterns(".venv*", ".build", ".git", ".aws-sam", ".*_cache", "__pycache__")


@pytest.mark.once
def test_container_with_the_code_and_the_makefile_s_folder_builds_the_function(tmp_path: Path) -> None:
    # As the SAM CLI mounts them (samcli/local/docker/lambda_build_container.py), in a path with a space.
    container = tmp_path / "sam cli"
    source, manifest = ROOT / FUNCTION["Properties"]["CodeUri"], ROOT / FUNCTION["Metadata"]["ContextPath"]
    shutil.copytree(manifest, container / "manifest", ignore=NOT_CLONED)
    shutil.copytree(source, container / "scratch", ignore=NOT_CLONED)
    # A folder outside of the code keeps its path on the host, which a container does not have.
    working_directory = (ROOT / FUNCTION["Metadata"].get("WorkingDirectory", source)).resolve()
    assert working_directory.is_relative_to(source.resolve())
    before = sorted(container.rglob("*"))
    subprocess.run(  # noqa: S603 -- our own Makefile
        ["make", "--silent", "--makefile", container / "manifest" / "Makefile", "build-ExportMonitorFunction"],  # noqa: S607
        cwd=container / "scratch" / working_directory.relative_to(source.resolve()),
        env=os.environ | {"ARTIFACTS_DIR": str(container / "artifacts"), "PYTHON": sys.executable},
        check=True,
    )
    artifacts = container / "artifacts"
    assert sorted(path for path in container.rglob("*") if not path.is_relative_to(artifacts)) == before
    assert (artifacts / "export_monitor" / "handler.py").is_file()
    pinned = re.findall(r"^([^#\s]+)==(\S+)$", (ROOT / "requirements.txt").read_text("utf-8"), re.MULTILINE)
    assert {path.name for path in artifacts.glob("*.dist-info")} == {
        f"{name.replace('-', '_')}-{version}.dist-info" for name, version in pinned
    }


def test_python_that_is_too_old_is_named_with_the_version_that_is_needed() -> None:
    pretending = "import runpy, sys; sys.version_info = (3, 9, 6); runpy.run_path(sys.argv[1], run_name='__main__')"
    run = subprocess.run(  # noqa: S603 -- this interpreter, and our own file
        [sys.executable, "-c", pretending, ROOT / "tools" / "build_function.py"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "needs Python 3.10 or newer" in run.stderr
    assert sys.executable in run.stderr
