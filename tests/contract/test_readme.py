"""The tables of the README and of `docs/parameters.md` say what the template, the code and the benchmarks say."""

import re
from pathlib import Path

from botocore import xform_name
from samtranslator.yaml_helper import yaml_parse

from export_monitor.domain.checks import CHECKS
from export_monitor.domain.poll_schedule import MAX_RECEIVES, RETENTION_SECONDS
from export_monitor.domain.verdicts import Reason
from local.template import template
from tests.contract.pages import tables
from tools.build_function import FUNCTIONS, Function, modules_of
from tools.report_picture import PICTURE, WIDTH

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
PARAMETERS = (ROOT / "docs" / "parameters.md").read_text()
BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text()
WORDS = {10: "Ten", 11: "Eleven", 12: "Twelve", 13: "Thirteen"}


def test_parameters_are_the_template_s() -> None:
    documented = {row[0].strip("` "): row[1].strip("`") for row in tables(PARAMETERS, "All parameters")[0]}
    declared = {
        name: "none" if "Default" not in parameter else str(parameter["Default"]) or "empty"
        for name, parameter in template()["Parameters"].items()
    }
    assert documented == declared


def test_parameters_have_the_template_s_largest_values() -> None:
    documented = {row[0].strip("` "): row[2] for row in tables(PARAMETERS, "All parameters")[0]}
    limits = {name: one["MaxValue"] for name, one in template()["Parameters"].items() if "MaxValue" in one}
    assert len(limits) > 5
    for name, most in limits.items():
        assert re.search(rf"\((`\w+`|[\d.]+) to {most:,}\)", documented[name]), name


def test_outputs_are_the_template_s_in_its_order() -> None:
    documented = [row[0].strip("` ") for row in tables(PARAMETERS, "All outputs")[0]]
    assert documented == list(template()["Outputs"])


def test_every_task_is_described_for_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    # Those that `sam build` calls are no tasks.
    [phony, _] = re.findall(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    assert re.findall(r"^([a-z0-9-]+):.*## \S", makefile, re.MULTILINE) == phony.split()


def test_every_example_is_linked_from_the_readme() -> None:
    examples = {path.name for path in (ROOT / "examples").iterdir() if path.is_dir() and any(path.glob("*.*"))}
    assert set(re.findall(r"\(examples/([a-z-]+)\)", README)) == examples


def test_every_page_is_linked_from_the_readme() -> None:
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").iterdir() if path.is_file()}
    assert pages - set(re.findall(r"\]\(([\w./-]+)", README)) == set()


def test_alarms_are_as_many_as_the_readme_says() -> None:
    alarms = [one for one in template()["Resources"].values() if one["Type"] == "AWS::CloudWatch::Alarm"]
    always = [one for one in alarms if "Condition" not in one]
    assert f"{WORDS[len(always)]} alarms ({WORDS[len(alarms)].lower()} with content checks)" in README


def test_every_parameter_has_a_description() -> None:
    assert {name for name, parameter in template()["Parameters"].items() if not parameter["Description"]} == set()


def test_checks_are_the_code_s() -> None:
    assert [row[0].strip("` ") for row in tables(README, "What is checked")[0]] == list(CHECKS)


def test_reasons_are_the_code_s() -> None:
    [_, reasons] = tables(README, "Subscribe")
    assert [row[0].strip("` ") for row in reasons] == list(Reason)


def test_figures_are_the_benchmarks_page_s() -> None:
    measured = {}
    for block in BENCHMARKS.split("\n\n"):
        if block.startswith(("<!-- bench:begin -->\n| Compared", "| Compared")):
            lines = block.removeprefix("<!-- bench:begin -->\n").splitlines()
            (title, _, *names), _, *rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
            for name, value, *values in rows:
                cells = {"other": value, **dict(zip(names, values, strict=True))}
                measured[title.removeprefix("Compared with "), name] = cells
    [figures] = tables(README, "How fast")
    assert len(figures) == 3
    for compared_with, name, *shown in figures:
        cells = measured[compared_with, name]
        assert [cell.strip("*") for cell in shown] == [
            cells[column].strip("*") for column in ("other", "this app", "at most", "met")
        ]


def test_idle_cost_is_the_cost_page_s() -> None:
    [dollars] = re.findall(r"\[([\d.]+) dollars a month\]\(docs/cost\.md\)", README)
    assert (ROOT / "docs" / "cost.md").read_text().count(f"**{dollars} dollars a month**") == 1


def test_receives_and_days_that_the_function_counts_on_are_the_queue_s() -> None:
    queue = template()["Resources"]["ExportQueue"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == MAX_RECEIVES
    assert queue["MessageRetentionPeriod"] == RETENTION_SECONDS


def test_what_holds_data_goes_with_the_stack_and_stays_where_an_update_replaces_it() -> None:
    examples = [yaml_parse(path.read_text()) for path in (ROOT / "examples").glob("*/template.yaml")]
    kinds = {"AWS::SQS::Queue", "AWS::DynamoDB::Table", "AWS::Logs::LogGroup"}
    policies = {
        (one["Type"], one.get("DeletionPolicy"), one.get("UpdateReplacePolicy"))
        for template in (template(), *examples)
        for one in template["Resources"].values()
        if one["Type"] in kinds
    }
    assert policies == {(kind, "Delete", "Retain") for kind in kinds}


def test_artifact_keeps_the_services_that_the_code_makes_clients_of() -> None:
    for function in FUNCTIONS.values():
        code = "".join(path.read_text() for path in modules_of(function.handler))
        assert set(re.findall(r'client\("([a-z0-9]+)"', code)) == function.aws_operations.keys()


def operations(function: Function) -> tuple[set[str], set[str]]:
    """The operations of AWS that an artifact keeps, and those that its modules name."""
    code = "".join(path.read_text() for path in modules_of(function.handler) if "adapters" in path.parts)
    kept = {xform_name(one) for names in function.aws_operations.values() for one in names}
    # botocore calls this one.
    called = re.findall(r"client(?:\(\))?\.([a-z_]+)", code) + re.findall(r'get_paginator\("(\w+)"\)', code)
    return kept - {"head_bucket"}, set(called) - {"get_paginator"}


def test_artifact_keeps_the_operations_that_the_adapters_call() -> None:
    kept, called = operations(FUNCTIONS["ExportMonitorFunction"])
    assert kept == called


def test_artifact_of_the_content_check_keeps_only_operations_that_its_adapters_call() -> None:
    kept, called = operations(FUNCTIONS["ContentCheckFunction"])
    assert kept < called


def test_functions_have_the_modules_that_they_import_and_no_others() -> None:
    ours = {path.relative_to(ROOT) for path in (ROOT / "functions").rglob("*.py")}
    of = {name: {path.relative_to(ROOT) for path in modules_of(one.handler)} for name, one in FUNCTIONS.items()}
    assert set[Path]().union(*of.values()) == ours
    package = Path("functions/export_monitor")
    assert package / "adapters/sevenbridges/client.py" not in of["ContentCheckFunction"]
    assert package / "domain/content/verifier.py" not in of["ExportMonitorFunction"]


def test_picture_of_a_report_is_as_wide_as_it_is_made_and_small() -> None:
    [path] = re.findall(r"\]\((docs/\S+\.png)\)", README)
    picture = (ROOT / path).read_bytes()
    assert (ROOT / path, picture[:8]) == (PICTURE, b"\x89PNG\r\n\x1a\n")
    assert int.from_bytes(picture[16:20]) == WIDTH
    assert len(picture) < 150_000
