"""`docs/operations.md` says what the template and the code say."""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from export_monitor.adapters.aws.dynamodb.table import TTL_SECONDS
from export_monitor.application.batch import RETENTION_ERROR
from export_monitor.application.reporting import ACCESS_DENIED_REASONS
from export_monitor.domain.grace import OLDEST_SECONDS
from export_monitor.domain.poll_schedule import MAX_RECEIVES, PLANNED_RECEIVES, RETENTION_SECONDS, PollSchedule
from export_monitor.domain.report_csv import COLUMNS
from local.template import template
from local.translation import translate
from tests.cloudwatch import shown_on
from tests.contract.pages import quoted, tables

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text("utf-8")
RESOURCES: Mapping[str, Any] = template()["Resources"]
ALARMS = {name: one["Properties"] for name, one in RESOURCES.items() if one["Type"] == "AWS::CloudWatch::Alarm"}
QUEUE = RESOURCES["ExportQueue"]["Properties"]
FUNCTION = RESOURCES["ExportMonitorFunction"]["Properties"]
UNITS = {
    "count": "Count",
    "_count": "Count",
    "measure_count": "Count",
    "measure_seconds": "Seconds",
    "measure_bytes": "Bytes",
}
LEVELS = {"info": "INFO", "warning": "WARNING", "exception": "ERROR"}
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
# Datapoints to alarm, evaluation periods and the period in seconds, in words.
WINDOWS = {
    (1, 1, 60): "checked each minute",
    (1, 1, 300): "more than 96,000",
    (1, 3, 300): "within a quarter of an hour",
    (1, 6, 300): "within half an hour",
    (3, 3, 300): "three periods of five minutes in a row",
    (3, 4, 1200): "three of the last four periods of 20 minutes",
    (3, 4, 900): "three of the last four quarters of an hour",
}


def calls() -> Iterator[tuple[str, list[str], list[str]]]:
    """Every call of a method in the code that names something: the method, the names, and its keywords."""
    for path in (ROOT / "functions" / "export_monitor").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                of = node.args[0]
                parts = [of.body, of.orelse] if isinstance(of, ast.IfExp) else [of]
                names = [one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
                yield node.func.attr, names, [one.arg for one in node.keywords if one.arg]


def dashboard_body() -> str:
    """The dashboard with its optional widgets, as JSON with placeholders."""
    body, optional = RESOURCES["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    return str(body).replace("${ContentWidgets}", optional["ContentWidgets"]["Fn::If"][1]["Fn::Sub"])


def alarm_of(namespace: str, metric: str, resource: str = "") -> list[str]:
    return [
        name
        for name, one in ALARMS.items()
        if (one["Namespace"], one["MetricName"]) == (namespace, metric)
        and (
            not resource
            or one["Dimensions"][0]["Value"]
            in ({"Fn::GetAtt": [resource, "QueueName"]}, {"Fn::GetAtt": [resource, "TopicName"]}, {"Ref": resource})
        )
    ]


def test_metrics_and_their_units_are_the_code_s() -> None:
    documented = {quoted(name)[0]: unit for name, unit, *_ in tables(PAGE, "Metrics")[0]}
    counted = {
        name: UNITS[method] for method, names, _ in calls() if method in UNITS for name in names if name[0].isupper()
    }
    assert len(counted) > 10
    assert documented == counted


def test_metrics_are_those_of_the_dashboard() -> None:
    own, of_aws = tables(PAGE, "Metrics")
    shown = set(shown_on(dashboard_body()))
    assert {quoted(row[0])[0] for row in own} == {one.name for one in shown if one.namespace == "CgcExportMonitor"}
    of = {
        "the undelivered events' queue": ("QueueName", "${UndeliveredEventsQueue.QueueName}"),
        "the events topic": ("TopicName", "${ExportEventsTopic.TopicName}"),
        "the export queue": ("QueueName", "${ExportQueue.QueueName}"),
        "the dead-letter queue": ("QueueName", "${DeadLetterQueue.QueueName}"),
        "the function": ("FunctionName", "${ExportMonitorFunction}"),
        "the content check's function": ("FunctionName", "${ContentCheckFunction}"),
    }
    documented = {(quoted(name)[0], of[what]) for name, what, *_ in of_aws}
    assert documented == {(one.name, *one.dimensions) for one in shown if one.namespace != "CgcExportMonitor"}


def test_alarms_of_metrics_are_the_template_s() -> None:
    own, of_aws = tables(PAGE, "Metrics")
    for name, *_, alarm in own:
        assert quoted(alarm) == alarm_of("CgcExportMonitor", quoted(name)[0])
    resources = {
        "the undelivered events' queue": "UndeliveredEventsQueue",
        "the events topic": "ExportEventsTopic",
        "the export queue": "ExportQueue",
        "the dead-letter queue": "DeadLetterQueue",
        "the function": "ExportMonitorFunction",
        "the content check's function": "ContentCheckFunction",
    }
    for name, what, _, alarm in of_aws:
        namespace = {"queue": "AWS/SQS", "topic": "AWS/SNS"}.get(what.rpartition(" ")[2], "AWS/Lambda")
        assert quoted(alarm) == alarm_of(namespace, quoted(name)[0], resources[what])


def test_alarms_are_the_template_s_with_what_fires_them_and_what_to_do() -> None:
    [table] = tables(PAGE, "Alarms")
    assert [quoted(name)[0] for name, *_ in table] == list(ALARMS)
    for name, fires, to_do in table:
        alarm = ALARMS[quoted(name)[0]]
        periods = alarm["EvaluationPeriods"]
        window = WINDOWS[alarm.get("DatapointsToAlarm", periods), periods, alarm["Period"]]
        assert window in fires
        assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
        assert alarm["Threshold"] in (0, 96_000)
        # Metrics of the function's own are not there where there is nothing to report.
        assert alarm["TreatMissingData"] == "notBreaching"
        if alarm["Namespace"] != "AWS/SQS":
            assert quoted(fires) == [alarm["MetricName"]]
        assert len(to_do) > 40


def test_every_alarm_says_in_itself_what_to_do_and_reports_its_end() -> None:
    for alarm in ALARMS.values():
        assert len(alarm["AlarmDescription"]) > 100
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "AlarmsTopic"}]


def test_log_lines_are_the_code_s_with_their_levels_and_fields() -> None:
    [table] = [table for table in tables(PAGE, "The log") if len(table[0]) == 4]
    documented = {quoted(name)[0]: (level, set(quoted(fields))) for name, level, _, fields in table}
    written = {
        names[0]: (LEVELS[method], set(fields)) for method, names, fields in calls() if method in LEVELS and names
    }
    written["unexpected_error"][1].update({"exception_name", "exception", "stack_trace"})
    assert documented == written


def test_error_of_a_dead_letter_that_kept_failing_starts_as_the_page_says() -> None:
    unexpected, retention = re.findall(r"`error` that begins with `([^`]+)`", PAGE)
    batch = (ROOT / "functions" / "export_monitor" / "application" / "batch.py").read_text("utf-8")
    assert f'dead_letter(message, f"{unexpected}: ' in batch
    assert RETENTION_ERROR.startswith(retention)


def test_links_lead_to_headings() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links
    assert links <= anchors


def test_columns_of_a_report_are_the_code_s() -> None:
    section = PAGE.partition("\n## Reports of groups\n")[2].partition("\n## ")[0]
    [columns] = [part for part in section.split("\n\n") if part.startswith("`export_id`")]
    assert tuple(quoted(columns)) == COLUMNS


def test_subscriptions_that_need_a_confirmation_are_the_template_s() -> None:
    section = PAGE.partition("\n## A mail address that was not confirmed\n")[2].partition("\n## ")[0]
    mails = {
        name
        for name, one in RESOURCES.items()
        if one["Type"] == "AWS::SNS::Subscription" and one["Properties"]["Protocol"] == "email"
    }
    assert {name for name in quoted(section) if name in RESOURCES} == mails != set()


def as_deployed(value: Any) -> Any:
    """A value of the template's with 128 characters for each name, ARN or address that AWS gives."""
    match value:
        case {"Ref": _} | {"Fn::GetAtt": _}:
            return "x" * 128
        case {"Fn::Sub": [text, dict(values)]}:
            for name, part in values.items():
                text = text.replace(f"${{{name}}}", as_deployed(part))
            return as_deployed({"Fn::Sub": text})
        case {"Fn::Sub": text}:
            return re.sub(r"\$\{[^}]+\}", "aws-us-gov", text)
        case {"Fn::Split": [separator, text]}:
            return as_deployed(text).split(separator)
        case {"Fn::Join": [separator, parts]}:
            return separator.join(as_deployed(parts))
        case dict():
            return {name: as_deployed(part) for name, part in value.items()}
        case list():
            return [as_deployed(part) for part in value]
    return value


@pytest.mark.parametrize("place", [0, 1])
def test_as_many_buckets_as_the_page_says_fit_into_lambda_s_variables_and_the_role(place: int) -> None:
    [row] = [row for row in tables(PAGE, "Limits")[0] if row[0] == "buckets"]
    count, length = re.findall(r"(\d+) (?:names )?of (\d+)", row[1])[place]
    names = [f"{number:03}".ljust(int(length), "b") for number in range(int(count))]
    secret = f"arn:aws:secretsmanager:us-east-1:123456789012:secret:{'s' * 40}-AbCdEf"
    translated = translate(
        ROOT / "template.yaml",
        {
            "TokenSecretArn": secret,
            "ExportBuckets": ",".join(names),
            "DiscoveryMinutes": "5",
            "KmsKeyArns": KEY,
            "ContentCheckMaxGiB": "100",
        },
        "s3://deployment/function.zip",
    )["Resources"]
    variables = as_deployed(translated["ExportMonitorFunction"]["Properties"]["Environment"]["Variables"])
    # Lambda measures them as JSON.
    assert len(json.dumps(variables, separators=(",", ":"))) <= 4096
    policies = as_deployed(translated["ExportMonitorRole"]["Properties"]["Policies"])
    assert sum(len(json.dumps(one["PolicyDocument"], separators=(",", ":"))) for one in policies) <= 10_240


@pytest.mark.parametrize(
    ("limit", "says"),
    [
        ("messages in flight", f"fires at {ALARMS['InFlightAlarm']['Threshold']:,}"),
        ("receives of a message", f"{QUEUE['RedrivePolicy']['maxReceiveCount']:,} (`"),
        ("receives of a message", f"needs at most {PLANNED_RECEIVES}."),
        ("receives of a message", f"after {MAX_RECEIVES:,}, SQS moves"),
        ("retention of a message", f"{QUEUE['MessageRetentionPeriod'] // 86400} days in"),
        ("retention of a message", f"an hour before {RETENTION_SECONDS // 86400} days"),
        ("retention of a message", f"given up after {OLDEST_SECONDS / 86400:.0f} days"),
        ("a start event", f"{QUEUE['MaximumMessageSize'] // 1024} KiB in the export"),
        ("an invocation", f"{FUNCTION['Timeout']} s | "),
        ("an invocation", f"come back after {QUEUE['VisibilityTimeout']} s"),
        ("memory", f"{FUNCTION['MemorySize']} MB | "),
        ("what was published is remembered", f"{TTL_SECONDS // 86400} days (30 are promised)"),
    ],
)
def test_limits_are_the_template_s_and_the_code_s(limit: str, says: str) -> None:
    [row] = [" | ".join(row) for row in tables(PAGE, "Limits")[0] if row[0] == limit]
    assert says in row


def test_polls_that_the_page_counts_are_the_schedule_s() -> None:
    schedule = PollSchedule(min_seconds=5, max_seconds=900, horizon_seconds=96 * 3600)

    def polls(length: float) -> int:
        age, count = 2.0, 1
        while age < length:
            age, count = age + schedule.delay(age), count + 1
        return count

    text = " ".join(PAGE.split())
    counted = re.search(
        r"(\d+) for an export of a minute, (\d+) for ten minutes, (\d+) for an hour, (\d+) for a day", text
    )
    assert counted is not None
    assert [int(count) for count in counted.groups()] == [polls(60), polls(600), polls(3600), polls(86400)]


def test_query_for_refused_access_has_the_reasons_that_count_as_such() -> None:
    [listed] = re.findall(r'outcome = "waiting" and reason in \[(.*)\]', PAGE)
    assert [reason.strip('"') for reason in listed.split(", ")] == list(ACCESS_DENIED_REASONS)
