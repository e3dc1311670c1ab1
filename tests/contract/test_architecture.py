"""`docs/architecture.md` names existing modules, in the layers that are checked, and names in the code are clear."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

from tests.contract.pages import quoted, tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGE = ROOT / "functions" / "export_monitor"
NODES = [node for path in PACKAGE.rglob("*.py") for node in ast.walk(ast.parse(path.read_text("utf-8")))]
QUESTION = re.compile(r"(is|are|has|may|can|needs|expects|demands)_")


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


def test_no_two_public_classes_share_a_name() -> None:
    names = [node.name for node in NODES if isinstance(node, ast.ClassDef) and not node.name.startswith("_")]
    assert len(names) > 80
    assert [name for name, number in Counter(names).items() if number > 1] == []


def test_functions_named_like_a_question_return_bool() -> None:
    questions = {
        node.name: ast.unparse(node.returns) if node.returns else "nothing"
        for node in NODES
        if isinstance(node, ast.FunctionDef) and QUESTION.match(node.name)
    }
    assert len(questions) > 10
    assert {name: returns for name, returns in questions.items() if returns != "bool"} == {}
