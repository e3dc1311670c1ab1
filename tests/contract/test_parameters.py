"""The template accepts a parameter's value only if the function accepts the variable that is set from it."""

from collections.abc import Mapping
from typing import Any

import pytest
from samtranslator.yaml_helper import yaml_parse

from export_monitor.application.content_worker import LAST_RECEIVE
from export_monitor.settings import SettingsError, read_content_settings, read_settings
from local.artifact import ROOT
from local.translation import parameter_values
from tools.translated_template import EVERY_PART

TEMPLATE: Mapping[str, Any] = yaml_parse((ROOT / "template.yaml").read_text("utf-8"))
PARAMETERS = TEMPLATE["Parameters"]
ENVIRONMENT = TEMPLATE["Resources"]["ExportMonitorFunction"]["Properties"]["Environment"]["Variables"]
VARIABLES = {
    value["Ref"]: name
    for name, value in ENVIRONMENT.items()
    if isinstance(value, Mapping) and value.get("Ref") in PARAMETERS
}
VALUES = parameter_values(PARAMETERS, EVERY_PART)
NUMBERS = [name for name, one in PARAMETERS.items() if one["Type"] == "Number" and name in VARIABLES]
# The smallest and the largest value of each parameter whose pattern stands for whole numbers.
WHOLE_NUMBERS = {"DiscoveryMinutes": (2, 1440), "ApiRequestsPerMinute": (10, 200)}


def taken_by_template(name: str, value: str) -> bool:
    try:
        parameter_values({name: PARAMETERS[name]}, {name: value})
    except ValueError:
        return False
    return True


def taken_by_function(name: str, value: str) -> bool:
    environment = dict.fromkeys(ENVIRONMENT, "text") | {one: str(VALUES[of]) for of, one in VARIABLES.items()}
    # The longest poll interval must not be below the shortest.
    environment |= {"MIN_POLL_SECONDS": "1", VARIABLES[name]: value}
    try:
        read_settings(environment)
    except SettingsError:
        return False
    return True


def forms(number: float) -> list[str]:
    """A number in the forms that CloudFormation knows."""
    digits = f"{number:g}"
    dotted = digits.removeprefix("0") if "." in digits else f"{digits}."
    return [digits, dotted, f"+{digits}", f"{digits}e0", f"{digits}E+0", f"0{digits}"]


@pytest.mark.parametrize("name", NUMBERS)
def test_number_that_the_template_takes_is_taken_by_the_function_in_every_form(name: str) -> None:
    least, most = PARAMETERS[name]["MinValue"], PARAMETERS[name]["MaxValue"]
    for number in (least, (least + most) / 2, most):
        for form in forms(number):
            assert taken_by_template(name, form)
            assert taken_by_function(name, form), form
    for form in (*forms(most + 1), f"{least - 0.0005:g}"):
        assert (taken_by_template(name, form), taken_by_function(name, form)) == (False, False)


@pytest.mark.parametrize("name", WHOLE_NUMBERS)
def test_whole_number_is_taken_by_template_and_function_alike_and_in_digits_alone(name: str) -> None:
    least, most = WHOLE_NUMBERS[name]
    never = {0} if PARAMETERS[name]["Default"] == "0" else set()
    for number in range(most + 200):
        fits = least <= number <= most or number in never
        assert (taken_by_template(name, str(number)), taken_by_function(name, str(number))) == (fits, fits)
    for form in (
        "",
        " ",
        "5 0",
        *("50.5", "2.0", "0.0", "5e1", "+50", "-50", "050", "00", "0x32", "\u0665\u0660", "fifty"),
    ):
        assert (taken_by_template(name, form), taken_by_function(name, form)) == (False, False)


def test_part_of_content_is_taken_by_template_and_worker_alike() -> None:
    variables = TEMPLATE["Resources"]["ContentCheckFunction"]["Properties"]["Environment"]["Variables"]
    environment = dict.fromkeys(variables, "text")
    for number in (0, 1, 999, 4096, 9999, 16383, 16384, 16385, 20000):
        fits = 1 <= number <= 16384
        assert taken_by_template("ContentPartMiB", str(number)) == fits
        if fits:
            assert read_content_settings(environment | {"CONTENT_PART_MIB": str(number)}).part_bytes == number << 20
    for form in ("", "1.5", "1e3", "+5", "05"):
        assert not taken_by_template("ContentPartMiB", form)


def test_content_workers_are_a_whole_number_that_lambda_takes() -> None:
    for number in range(300):
        assert taken_by_template("ContentCheckConcurrency", str(number)) == (2 <= number <= 100)
    assert not taken_by_template("ContentCheckConcurrency", "2.5")


def test_worker_dead_letters_a_message_before_sqs_would() -> None:
    redrive = TEMPLATE["Resources"]["ContentQueue"]["Properties"]["RedrivePolicy"]
    assert redrive["maxReceiveCount"] == LAST_RECEIVE


def test_every_parameter_that_is_a_number_of_the_function_is_tested_here() -> None:
    texts = {"ApiBaseUrl", "TokenSecretArn", "StartEventSource"}
    assert {*NUMBERS, *WHOLE_NUMBERS, *texts} == VARIABLES.keys()


def test_days_of_reports_are_a_whole_number_from_1_to_3650() -> None:
    for number in range(4000):
        assert taken_by_template("ReportRetentionDays", str(number)) == (1 <= number <= 3650)
    assert not taken_by_template("ReportRetentionDays", "2.5")
