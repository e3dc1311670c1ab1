"""`docs/architecture.md` and the code say the same: modules, layers, and how long the longest are."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text("utf-8")
PACKAGE = ROOT / "functions" / "export_monitor"


def modules() -> dict[str, Path]:
    """The modules of the function by their names below the package."""
    found = (path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")
    return {path.relative_to(PACKAGE).with_suffix("").as_posix(): path for path in found}


def rows(heading: str) -> list[list[str]]:
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]


def functions(path: Path) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef):
            yield (node.end_lineno or 0) - node.lineno + 1, node.name


def test_every_module_has_its_row() -> None:
    assert sorted(row[0].strip("`") for row in rows("Where a thing is")) == sorted(modules())


def test_layers_are_those_that_are_checked() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    [layers] = [contract["layers"] for contract in contracts if contract["name"] == "Imports point inward"]
    checked = [{name.strip() for name in layer.split("|")} for layer in layers]
    told = [{name.removesuffix("/…") for name in re.findall(r"`([^`]+)`", row[1])} for row in rows("Who imports whom")]
    # Adapters stand beside the doers.
    assert told[3] == {"adapters"}
    assert [*told[:2], told[2] | told[3], *told[4:]] == checked


def test_longest_function_and_module_are_named() -> None:
    lines, function, name = max((*found, name) for name, path in modules().items() for found in functions(path))
    assert f"The longest function is `{function}` in `{name}` ({lines} lines)" in PAGE
    length, longest = max((len(path.read_text("utf-8").splitlines()), name) for name, path in modules().items())
    assert f"the longest module is `{longest}` ({length} lines)" in PAGE
