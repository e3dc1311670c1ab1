"""The smallest benchmark, from the command to the README."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.publish import BEGIN, END
from local.artifact import ROOT

pytestmark = pytest.mark.once


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": "functions"}
    command = [sys.executable, "-m", *arguments]
    ran = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 -- ours
    return ran.stdout


def test_smallest_benchmark_counts_what_the_app_asks_for_and_publishes_it(tmp_path):
    figures, readme, plot = tmp_path / "figures.json", tmp_path / "README.md", tmp_path / "plot.svg"
    smallest = ("--exports", "10", "--repetitions", "1", "--watched", "10", "20")
    printed = run("benchmarks", *smallest, "--json", str(figures))
    naive, *others = json.loads(figures.read_text())["sections"]
    by_name = {figure["name"]: (figure["other"], figure["app"], figure["floor"]) for figure in naive["figures"]}
    assert by_name["requests to the API, 10 unfinished"] == (10, 1, 1)
    assert by_name["requests to the API, 10 completed"] == (20, 2, 2)
    assert by_name["requests to AWS, 10 unfinished"] == (0, 1, 1)
    # Ten heads, a claim, a publication and a record.
    assert by_name["requests to AWS, 10 completed"][1:] == (13, 13)
    assert all(figure["app"] > 0 for section in (naive, *others) for figure in section["figures"])
    assert all(figure["name"] in printed for figure in naive["figures"])

    readme.write_text(f"Before.\n{BEGIN}\n{END}\nAfter.\n")
    run("benchmarks.publish", str(figures), "--readme", str(readme), "--plot", str(plot))
    assert "| requests to the API, 10 unfinished | 10 | **1** | 1 |  |" in readme.read_text()
    assert plot.read_text().startswith("<svg")
