"""`docs/security.md` names what exists, and leaves out no right and no exception of the template."""

import ast
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from local.template import template
from tests.contract.pages import Table, quoted, tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
RESOURCES: Mapping[str, Any] = template()["Resources"]


def rows(heading: str) -> Table:
    return [row for table in tables(PAGE, heading) for row in table]


@cache
def functions_in(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def is_a_test(name: str) -> bool:
    path, _, function = name.partition("::")
    return function.startswith("test_") and (ROOT / path).is_file() and function in functions_in(path)


def is_a_place(name: str) -> bool:
    """Whether it is a module of the function, another file, or a resource or parameter of the template."""
    files = (ROOT / "functions" / "export_monitor" / name, ROOT / name)
    return any(path.is_file() for path in files) or name in RESOURCES or name in template()["Parameters"]


def role_statements(role: str) -> Iterator[Mapping[str, Any]]:
    for policy in RESOURCES[role]["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["Fn::If"][1] if "Fn::If" in statement else statement


def test_every_threat_names_where_it_is_met_and_which_test_shows_it() -> None:
    threats = rows("Threats")
    assert len(threats) > 30
    for threat, _, where, shown_by in threats:
        assert quoted(where), threat
        assert quoted(shown_by), threat
        assert [place for place in quoted(where) if not is_a_place(place)] == [], threat
        assert [test for test in quoted(shown_by) if not is_a_test(test)] == [], threat


def test_every_right_of_the_roles_is_explained() -> None:
    explained = tables(PAGE, "Least privilege")
    for role, table in zip(("ExportMonitorRole", "ContentCheckRole"), explained, strict=True):
        documented = [(quoted(statement)[0], quoted(allows)) for statement, allows, *_ in table]
        assert documented == [
            (one["Sid"], one["Action"] if isinstance(one["Action"], list) else [one["Action"]])
            for one in role_statements(role)
        ]


def test_everything_that_keeps_data_is_documented_with_its_encryption() -> None:
    keeps = {"AWS::SQS::Queue", "AWS::SNS::Topic", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup", "AWS::S3::Bucket"}
    documented = {name for what, *_ in rows("Encryption") for name in quoted(what)}
    assert documented - {"ExportMonitorFunction", "ContentCheckFunction"} == {
        name for name, one in RESOURCES.items() if one["Type"] in keeps
    }


def test_every_exception_from_the_scanner_s_rules_has_its_reason() -> None:
    exceptions = [
        one
        for resource in RESOURCES.values()
        for one in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    ]
    assert exceptions
    for one in exceptions:
        assert re.fullmatch(r"CKV2?_AWS_\d+", one["id"])
        assert one["comment"].endswith(".")


def test_ci_audits_what_is_deployed() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text("utf-8"))
    runs = [step.get("run") for job in workflow["jobs"].values() for step in job["steps"]]
    assert {"make check", "make audit"} <= set(runs)
    recipe = (ROOT / "Makefile").read_text("utf-8").partition("\naudit: ")[2].partition("\n\n")[0]
    assert "pip-audit --strict" in recipe
    assert "--requirement requirements-content.txt" in recipe
