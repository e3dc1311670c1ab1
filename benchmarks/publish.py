"""Writes the benchmark's figures into the README, between two markers, and as a plot into the docs.

`python -m benchmarks.publish FILE`, of what `python -m benchmarks --json FILE` wrote.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.plot import svg
from local.artifact import ROOT

BEGIN = "<!-- bench:begin -->"
END = "<!-- bench:end -->"
_COUNTED = ("requests", "looks", "share")


def main() -> None:
    """Read the command line, write both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md")
    parser.add_argument("--plot", type=Path, default=ROOT / "docs" / "benchmarks.svg")
    options = parser.parse_args()
    document = json.loads(options.file.read_text())
    options.readme.write_text(replaced(options.readme.read_text(), "\n".join(tables(document))))
    options.plot.write_text(svg(document))


def replaced(page: str, text: str) -> str:
    """The page with the text between its markers, all else as it was. Raises ValueError where markers lack."""
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"the page needs {BEGIN} and {END}, once each and in this order")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def tables(document: Mapping[str, Any]) -> Iterator[str]:
    """The lines of the tables in Markdown: what is counted as it is, everything else as a share of the other's."""
    machine = document["machine"]
    naive, *others = document["sections"]
    yield "| | naive | this app | floor | at most |"
    yield "| --- | ---: | ---: | ---: | ---: |"
    for figure in naive["figures"]:
        yield _line(figure["name"], _other(figure), f"**{_app(figure)}**", _floor(figure), _target(figure))
    yield ""
    yield "| | beside | other | this app | at most |"
    yield "| --- | --- | ---: | ---: | ---: |"
    for section in others:
        for figure in section["figures"]:
            yield _line(figure["name"], section["title"], _other(figure), f"**{_app(figure)}**", _target(figure))
    yield ""
    yield (
        f"`make bench` on {machine['date']}: {machine['processor']}, {machine['cores']}, {machine['python']}. Requests "
        "are counted; times and sizes are shares of the other's."
    )


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _is_counted(figure: Mapping[str, Any]) -> bool:
    return figure["unit"] in _COUNTED


def _other(figure: Mapping[str, Any]) -> str:
    return _short(figure["other"]) if _is_counted(figure) else "1"


def _app(figure: Mapping[str, Any]) -> str:
    return _short(figure["app"] if _is_counted(figure) else figure["ratio"])


def _floor(figure: Mapping[str, Any]) -> str:
    value = figure["floor"] if _is_counted(figure) else figure["floor_ratio"]
    return "" if value is None else _short(value)


def _target(figure: Mapping[str, Any]) -> str:
    target = figure["target"]
    if target is None:
        return ""
    return _short(target["most"] * (figure["other"] if target["of_other"] and _is_counted(figure) else 1))


def _short(value: float) -> str:
    """Two digits that count, or all of a whole number."""
    if value >= 10 or value == int(value):
        return f"{value:.0f}"
    return f"{value:.2g}" if value >= 0.001 else "< 0.001"


if __name__ == "__main__":
    main()
