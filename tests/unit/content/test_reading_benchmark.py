"""The smallest run of the benchmark of reading."""

from pathlib import Path

import pytest

from benchmarks import content, content_reading


def test_worker_is_compared_with_one_get_after_the_other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PYTHONPATH", "functions")
    *_, cram = content.make_files(tmp_path, 300_000)
    section = content_reading.section(cram, 1)
    assert [figure.name for figure in section.figures] == ["time for 100 MB", "peak memory", "GETs, 1 parts"]
    assert section.figures[-1].app == 2
