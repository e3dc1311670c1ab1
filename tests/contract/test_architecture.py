"""`docs/architecture.md` names modules that there are, in the layers that are checked."""

import re
import tomllib
from pathlib import Path

from tests.contract.pages import quoted, tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGE = ROOT / "functions" / "export_monitor"


def test_modules_that_the_page_names_are_there() -> None:
    steps = re.findall(r"\*\*([\w/]+)\*\*", PAGE)
    named = {*steps, *re.findall(r"`((?:application|domain|adapters)/[\w/]+)`", PAGE)}
    assert len(named) > 10
    assert {name for name in named if not (PACKAGE / f"{name}.py").exists() and not (PACKAGE / name).is_dir()} == set()


def test_diagram_names_modules_that_are_there() -> None:
    diagram = PAGE.partition("```mermaid\n")[2].partition("```")[0]
    nodes = set(re.findall(r"^ +(?:(?!subgraph|direction|end)(\w+))|(?:-->|\.->|&) (\w+)", diagram, re.MULTILINE))
    names = {name.rstrip("_") for pair in nodes for name in pair if name} - {"decide", "use", "ask"}
    assert len(names) > 20
    assert names <= {path.stem for path in PACKAGE.rglob("*.py")}


def test_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["name"] == "Imports point inward"]
    checked = [{name.strip() for name in layer.split("|")} for layer in layers]
    [table] = tables(PAGE, "Layers")
    assert [set(quoted(row[1])) for row in table] == checked
