"""The queries of `docs/operations.md` and the dashboard name what is in the log of a run.

The queries' results are not tested: moto ignores every command except `fields`, `limit` and `sort`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cost import METRICS_LINE_BYTES, POLL_LINE_BYTES
from local.stack import Stack
from tests.cloudwatch import Alarm, Datapoint, Metric, dimensions, emitted, shown_on
from tests.integration.incident_run import log_of, run_eventfully, run_group_and_discovery

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
QUERIES = {
    section.partition("\n")[0]: section.partition("```logs-insights\n")[2].partition("```")[0]
    for section in PAGE.split("\n### ")[1:]
}
NAMESPACE = "CgcExportMonitor"
UNITS = {"DetectionLagSeconds": "Seconds", "OldestWatchAgeSeconds": "Seconds", "VerifiedBytes": "Bytes"}
COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
WORDS = COMMANDS | {"and", "or", "not", "in", "like", "by", "as", "asc", "desc"}
FUNCTIONS = {"avg", "count", "count_distinct", "earliest", "latest", "max", "min"}
DISCOVERED = {"@timestamp", "@message"}
# Placeholders, and what contract tests compare with the code: reasons of denied access, and failures of groups.
NOT_IN_THE_RUN = {"EXPORT_ID", "MESSAGE_ID", "EXPORT_FORBIDDEN", "VOLUME_UNAVAILABLE"}
NOT_IN_THE_RUN |= {"group_update_failed", "group_conclusion_failed"}

TEXT, PATTERN = r'"[^"]*"', r"/(?:\\.|[^/\\])+/"
LITERAL = re.compile(f"{TEXT}|{PATTERN}")
COMPARISON = re.compile(rf"(\S+) (=|in|like) ({TEXT}|\[[^\]]*\]|{PATTERN})")


@pytest.fixture(scope="module")
def written(deployed: Stack) -> list[str]:
    """The lines of a run in which everything happens."""
    run_eventfully(deployed)
    run_group_and_discovery(deployed)
    return log_of(deployed)


@pytest.fixture(scope="module")
def log(written: list[str]) -> list[dict[str, str]]:
    """The lines: each its fields by their dotted paths, and the whole as `@message`."""
    return [{**(dict(leaves(json.loads(line))) if line.startswith("{") else {}), "@message": line} for line in written]


@pytest.fixture(scope="module")
def eventful(written: list[str]) -> dict[Metric, list[Datapoint]]:
    """The metrics in these lines."""
    return emitted(written)


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The values in a JSON value by their paths, such as `message_ids.0`; a null is no value."""
    if isinstance(node, dict | list):
        for name, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(part, f"{path}.{name}".lstrip("."))
    elif node is not None:
        yield path, str(node)


def names(query: str) -> set[str]:
    """What a query names that is neither the language's, nor a literal, nor an alias of its own."""
    bare = LITERAL.sub("", query)
    assert set(re.findall(r"(\w+)\(", bare)) <= FUNCTIONS
    assert {line.removeprefix("| ").partition(" ")[0] for line in query.splitlines()} <= COMMANDS
    aliases = set(re.findall(r" as (\w+)", bare))
    return set(re.findall(r"@?[A-Za-z_][\w.]*", bare)) - aliases - WORDS - FUNCTIONS - DISCOVERED


def test_every_query_is_read() -> None:
    assert len(QUERIES) == PAGE.count("```logs-insights\n") > 10
    assert all(QUERIES.values())


@pytest.mark.parametrize("heading", QUERIES)
def test_fields_of_a_query_are_logged_on_the_lines_that_it_selects(log: list[dict[str, str]], heading: str) -> None:
    query = QUERIES[heading]
    [message] = re.findall(r'message = "(\w+)"(?! or)', query) or [None]
    chosen = {field for line in log if message in (None, line.get("message")) for field in line}
    assert names(query) - chosen == set()


@pytest.mark.parametrize("heading", QUERIES)
def test_values_that_a_query_compares_with_are_logged_under_that_field(log: list[dict[str, str]], heading: str) -> None:
    aliases = {alias: field for field, alias in re.findall(r"\((\w+)\) as (\w+)", QUERIES[heading])}
    for name, operator, literals in COMPARISON.findall(QUERIES[heading]):
        logged = {line.get(aliases.get(name, name), "") for line in log}
        matches = re.search if operator == "like" else re.fullmatch
        texts = {literal[1:-1] for literal in LITERAL.findall(literals)} - NOT_IN_THE_RUN
        assert {text for text in texts if not any(matches(text, value) for value in logged)} == set()


def test_lines_are_as_long_as_the_cost_model_assumes(log: list[dict[str, str]]) -> None:
    polls = [len(line["@message"]) for line in log if line.get("message") == "export_polled"]
    # A quiet round has two metrics; each further one takes some 55 bytes.
    rounds = [
        len(line["@message"]) - 55 * (line["@message"].count('"Name"') - 2)
        for line in log
        if "OldestWatchAgeSeconds.0" in line
    ]
    assert sum(polls) / len(polls) == pytest.approx(POLL_LINE_BYTES, rel=0.1)
    assert min(rounds) == pytest.approx(METRICS_LINE_BYTES, rel=0.1)


@pytest.fixture(scope="module")
def on_dashboard(deployed: Stack) -> set[Metric]:
    cloudwatch = deployed.client("cloudwatch")
    [dashboard] = cloudwatch.list_dashboards()["DashboardEntries"]
    body = cloudwatch.get_dashboard(DashboardName=dashboard["DashboardName"])["DashboardBody"]
    return set(shown_on(body))


def test_every_metric_of_the_dashboard_and_the_alarms_is_emitted_under_that_name(
    alarms: Mapping[str, Alarm], eventful: dict[Metric, list[Datapoint]], on_dashboard: set[Metric]
) -> None:
    watched = {alarm.metric for alarm in alarms.values()}
    named = {metric for metric in watched | on_dashboard if metric.namespace == NAMESPACE}
    assert len(named) > 10
    assert {metric.dimensions for metric in named} == {dimensions({"service": "cgc-export-monitor"})}
    assert named - eventful.keys() == set()


def test_every_metric_that_is_emitted_is_on_the_dashboard(
    eventful: dict[Metric, list[Datapoint]], on_dashboard: set[Metric]
) -> None:
    assert eventful.keys() - on_dashboard == set()


def test_metrics_have_the_units_that_their_names_say(eventful: dict[Metric, list[Datapoint]]) -> None:
    units = {metric.name: {one.unit for one in datapoints} for metric, datapoints in eventful.items()}
    assert units == {name: {UNITS.get(name, "Count")} for name in units}


def test_metrics_of_aws_s_are_those_of_the_stack_s_own_queues_topic_and_function(
    deployed: Stack, alarms: Mapping[str, Alarm], on_dashboard: set[Metric]
) -> None:
    queue, letters, function = (
        deployed.deployment.outputs["ExportQueueUrl"].rpartition("/")[2],
        deployed.deployment.outputs["DeadLetterQueueUrl"].rpartition("/")[2],
        deployed.deployment.function.name,
    )
    undelivered = deployed.deployment.outputs["UndeliveredEventsQueueUrl"].rpartition("/")[2]
    topic = deployed.deployment.outputs["ExportEventsTopicArn"].rpartition(":")[2]
    watched = {alarm.metric for alarm in alarms.values()}
    of_aws = {metric for metric in watched | on_dashboard if metric.namespace != NAMESPACE}
    assert {(metric.namespace, metric.name, *metric.dimensions) for metric in of_aws} == {
        ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible", ("QueueName", queue)),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", queue)),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", letters)),
        ("AWS/SQS", "ApproximateNumberOfMessagesVisible", ("QueueName", undelivered)),
        ("AWS/SNS", "NumberOfNotificationsFailed", ("TopicName", topic)),
        ("AWS/Lambda", "Duration", ("FunctionName", function)),
        ("AWS/Lambda", "Errors", ("FunctionName", function)),
        ("AWS/Lambda", "Throttles", ("FunctionName", function)),
    }
