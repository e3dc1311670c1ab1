"""The smallest run of the benchmark, and the sums of its paper model."""

from pathlib import Path

import pytest

from benchmarks import content


def test_app_is_compared_with_each_other_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", "functions")
    *_, cram = content.make_files(tmp_path, 300_000)
    section, cpu_seconds_per_gb = content.section(cram, 1)
    compared = [figure.name.rpartition("next to ")[2] for figure in section.figures]
    expected = {name for name, _ in content.others(cram)} | {"the process before it reads"}
    assert expected <= set(compared)
    assert content.paper_model({"a file": cpu_seconds_per_gb})[-1].startswith("| 1 TB | 233 |")


def test_parts_go_to_the_worker_that_is_free_first() -> None:
    assert content._makespan([1, 1, 1, 1, 1], 4) == 2
    assert content._makespan([3, 1, 1, 1], 2) == 3
    assert content._makespan([1, 2], 16) == 2
