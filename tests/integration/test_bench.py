"""The smallest benchmark run, from the command to the page."""

import os
import subprocess
import sys

import pytest

from benchmarks.results import BEGIN, END
from local.artifact import ROOT

pytestmark = pytest.mark.once


def test_smallest_benchmark_counts_requests_and_publishes_tables(tmp_path):
    page = tmp_path / "README.md"
    page.write_text(f"Before.\n{BEGIN}\n{END}\nAfter.\n")
    smallest = ("--exports", "2", "--repetitions", "1", "--watched", "10", "20")
    environment = {**os.environ, "PYTHONPATH": "functions"}
    command = [sys.executable, "-m", "benchmarks", *smallest, "--publish", str(page)]
    ran = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 -- ours
    rows = [line for line in page.read_text().splitlines() if line.startswith("|")]
    figures = {name: values for name, *values in ([cell.strip() for cell in row.split("|")[1:]] for row in rows)}
    assert figures["requests to the API, 2 unfinished"][:2] == ["2", "1"]
    assert figures["requests to the API, 2 completed"][:2] == ["4", "2"]
    assert figures["requests to AWS, 2 unfinished"][:2] == ["0", "1"]
    # Two heads, a claim, a publication and a record.
    assert figures["requests to AWS, 2 completed"][1] == "5"
    assert all(row in ran.stdout for row in rows)
    assert f"Python {sys.version.split()[0]}" in ran.stdout
