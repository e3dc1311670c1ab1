"""Every alarm fires in the situation that it is for, and in no quiet run.

The alarms are those of the translated template, as deployed; their datapoints come from the metrics in the
function's log, the emulator's queues and how invocations ended.
"""

import itertools
import json
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from local.aws_calls import ServiceError
from local.export_jobs import NEVER, documented_failed
from local.faults import Hang, Match, Status
from local.lambda_runtime import Invocation
from local.simulated_platform import Platform
from local.sqs_event import sqs_record
from local.stack import Stack
from tests.cloudwatch import Alarm, Datapoint, Metric, again, dimensions, emitted
from tests.integration.incident_run import (
    direct,
    invoke_with_an_odd_record,
    log_of,
    send,
)
from tests.integration.steps import completed, failing, run_until_drained

pytestmark = pytest.mark.once

FIVE_MINUTES, QUARTER, HOUR = 300.0, 900.0, 3600.0
# The longest default delay between two polls: MaxPollSeconds and a tenth, in whole seconds.
LONGEST_DELAY = QUARTER * 1.1 + 1

Datapoints = dict[Metric, list[Datapoint]]
Situation = Callable[[Stack], Datapoints]
_numbers = itertools.count()


def of_queue(stack: Stack, output: str, name: str, attribute: str) -> Datapoints:
    """A metric of SQS, by the queue's attribute that it samples."""
    url = stack.deployment.outputs[output]
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=[attribute])
    metric = Metric("AWS/SQS", name, dimensions({"QueueName": url.rpartition("/")[2]}))
    return {metric: [Datapoint(time.time(), float(answer["Attributes"][attribute]))]}


def dead_letters_of(stack: Stack) -> Datapoints:
    name = "ApproximateNumberOfMessagesVisible"
    return of_queue(stack, "DeadLetterQueueUrl", name, "ApproximateNumberOfMessages")


def undelivered_of(stack: Stack) -> Datapoints:
    name = "ApproximateNumberOfMessagesVisible"
    return of_queue(stack, "UndeliveredEventsQueueUrl", name, "ApproximateNumberOfMessages")


def in_flight_of(stack: Stack) -> Datapoints:
    name = "ApproximateNumberOfMessagesNotVisible"
    return of_queue(stack, "ExportQueueUrl", name, name)


def errors_of(stack: Stack, invocations: Iterable[Invocation | None]) -> Datapoints:
    """Lambda's metric Errors: one for each invocation that did not return, else nought."""
    metric = Metric("AWS/Lambda", "Errors", dimensions({"FunctionName": stack.deployment.function.name}))
    return {metric: [Datapoint(time.time(), float(one.status != "returned")) for one in invocations if one]}


def process_batch(stack: Stack, body: str) -> Invocation:
    """The invocation that processes a message, which is deleted afterwards in any case."""
    queue_url, sqs = stack.deployment.outputs["ExportQueueUrl"], stack.client("sqs")
    message_id = stack.send(body)
    [message] = sqs.receive_message(
        QueueUrl=queue_url, AttributeNames=["All"], MessageAttributeNames=["All"], VisibilityTimeout=600
    )["Messages"]
    assert message["MessageId"] == message_id
    record = sqs_record(message, stack.deployment.mapping.queue_arn)
    invocation = stack.environments[0].invoke({"Records": [record]})
    sqs.delete_message(QueueUrl=queue_url, ReceiptHandle=message["ReceiptHandle"])
    return invocation


def metrics_of_a_poll(stack: Stack, export_id: str) -> Datapoints:
    """The metrics of one poll of one export, which must keep its message."""
    invocation = process_batch(stack, json.dumps({"export_id": export_id}))
    assert len(json.loads(invocation.response)["batchItemFailures"]) == 1
    return emitted(log_of(stack))


def state(alarm: Alarm, datapoints: Datapoints, at: float | None = None) -> str:
    """An alarm's state, unless said otherwise at the time of the last datapoint of its metric."""
    its_own = datapoints.get(alarm.metric, [])
    last = max((one.at for one in its_own), default=time.time())
    return alarm.state(its_own, last if at is None else at)


# ---- What fires each alarm -------------------------------------------------------------------------------------------


def a_token_that_the_api_rejects(stack: Stack) -> Datapoints:
    stack.platform.tokens = set()
    return metrics_of_a_poll(stack, "with-a-rejected-token")


def a_job_of_another_user(stack: Stack) -> Datapoints:
    stack.platform.add_job(replace(completed("foreign"), foreign=True))
    return metrics_of_a_poll(stack, "foreign")


def one_poll_in_which_the_api_fails(stack: Stack) -> Datapoints:
    stack.platform.fail(Match(), Status(503, {"status": 503, "code": 0, "message": "maintenance"}), times=None)
    return metrics_of_a_poll(stack, "while-the-api-fails")


def one_poll_in_which_s3_fails(stack: Stack) -> Datapoints:
    stack.platform.add_job(completed("failed-by-s3"))
    stack.aws.fault_for = failing("HeadObject", ServiceError(503, "SlowDown"))
    return metrics_of_a_poll(stack, "failed-by-s3")


def each_quarter_of_an_hour(poll: Situation) -> Situation:
    """A single old watch, which is polled no more often than that, and meets the same at every poll."""

    def situation(stack: Stack) -> Datapoints:
        return {metric: again(datapoints, QUARTER, times=4) for metric, datapoints in poll(stack).items()}

    situation.__name__ = f"{poll.__name__}_each_quarter_of_an_hour"
    return situation


def one_event_that_sns_rejects(stack: Stack) -> Datapoints:
    # A name of its own each time: the claim of a publication that failed stands for a minute.
    export_id = f"rejected-by-sns-{next(_numbers)}"
    stack.platform.add_job(documented_failed(id=export_id))
    stack.aws.fault_for = failing("PublishBatch", ServiceError(403, "AuthorizationError"))
    return metrics_of_a_poll(stack, export_id)


def an_event_that_sns_keeps_rejecting(stack: Stack) -> Datapoints:
    """It is tried again each minute, as soon as its claim has ended."""
    once = one_event_that_sns_rejects(stack)
    [line] = [line for line in stack.logs() if line.get("outcome") == "deferred"]
    assert line["delay_seconds"] < FIVE_MINUTES
    return {metric: again(datapoints, line["delay_seconds"], times=15) for metric, datapoints in once.items()}


def an_unexpected_error(stack: Stack) -> Datapoints:
    assert invoke_with_an_odd_record(stack).status == "returned"
    return emitted(log_of(stack))


def a_message_that_cannot_be_parsed(stack: Stack) -> Datapoints:
    process_batch(stack, "not understood")
    return dead_letters_of(stack)


def an_invocation_that_is_killed(stack: Stack) -> Datapoints:
    stack.platform.add_job(completed("while-killed"))
    stack.platform.fail(Match(path="/storage/exports/while-killed"), Hang(20))
    with ThreadPoolExecutor(1) as pool:
        asked_before = len(stack.platform.requests)
        invocation = pool.submit(process_batch, stack, '{"export_id": "while-killed"}')
        while len(stack.platform.requests) == asked_before:
            time.sleep(0.05)
        stack.environments[0].kill()
    return errors_of(stack, [invocation.result()])


def a_direct_start_event_that_is_rejected(stack: Stack) -> Datapoints:
    return errors_of(stack, [direct(stack, "../not-understood")])


def more_exports_in_flight_than_can_be_had_here(stack: Stack) -> Datapoints:
    return {metric: [Datapoint(time.time(), 96_001)] for metric in in_flight_of(stack)}


def an_event_that_sns_cannot_deliver(stack: Stack) -> Datapoints:
    """The emulator has no metrics of SNS: this is the one that AWS documents for a subscriber's queue that is gone."""
    name = stack.deployment.outputs["ExportEventsTopicArn"].rpartition(":")[2]
    metric = Metric("AWS/SNS", "NumberOfNotificationsFailed", dimensions({"TopicName": name}))
    return {metric: [Datapoint(time.time(), 1)]}


def an_e_mail_that_sns_cannot_deliver(stack: Stack) -> Datapoints:
    url = stack.deployment.outputs["UndeliveredEventsQueueUrl"]
    stack.client("sqs").send_message(QueueUrl=url, MessageBody="an e-mail")
    datapoints = undelivered_of(stack)
    stack.client("sqs").purge_queue(QueueUrl=url)
    return datapoints


SITUATIONS: Mapping[Situation, str] = {
    a_message_that_cannot_be_parsed: "DeadLetterAlarm",
    a_token_that_the_api_rejects: "TokenRejectedAlarm",
    a_job_of_another_user: "AccessDeniedAlarm",
    each_quarter_of_an_hour(one_poll_in_which_the_api_fails): "ApiErrorsAlarm",
    each_quarter_of_an_hour(one_poll_in_which_s3_fails): "S3ErrorsAlarm",
    an_event_that_sns_keeps_rejecting: "PublishFailuresAlarm",
    an_event_that_sns_cannot_deliver: "FailedDeliveriesAlarm",
    an_e_mail_that_sns_cannot_deliver: "UndeliveredEventsAlarm",
    an_unexpected_error: "UnexpectedErrorsAlarm",
    an_invocation_that_is_killed: "FunctionErrorsAlarm",
    a_direct_start_event_that_is_rejected: "FunctionErrorsAlarm",
    more_exports_in_flight_than_can_be_had_here: "InFlightAlarm",
}


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda situation: situation.__name__)
def test_alarm_fires(stack: Stack, alarms: Mapping[str, Alarm], situation: Situation) -> None:
    assert state(alarms[SITUATIONS[situation]], situation(stack)) == "ALARM"


def test_every_alarm_has_a_situation(alarms: Mapping[str, Alarm]) -> None:
    assert alarms.keys() == set(SITUATIONS.values())


def test_no_alarm_fires_in_a_quiet_run(stack: Stack, platform: Platform, alarms: Mapping[str, Alarm]) -> None:
    platform.add_job(completed("quiet"))
    platform.add_job(documented_failed(id="quiet-failure"))
    platform.add_job(replace(completed("quiet-later"), steps=NEVER))
    send(stack, "quiet", "quiet-failure")
    invocations = [direct(stack, "quiet-later")]
    while not any("UnfinishedPolls" in line for line in stack.logs()):
        invocations.append(stack.mapping.run_once())
    platform.add_job(completed("quiet-later"))
    datapoints = in_flight_of(stack) | dead_letters_of(stack) | undelivered_of(stack) | errors_of(stack, invocations)
    run_until_drained(stack, stack.mapping)
    datapoints |= emitted(log_of(stack))
    assert {"ExportsCompleted", "ExportsFailed", "UnfinishedPolls"} <= {metric.name for metric in datapoints}
    assert {name for name, alarm in alarms.items() if state(alarm, datapoints) == "ALARM"} == set()


# ---- When an alarm starts and ends ----------------------------------------------------------


@pytest.mark.parametrize(
    ("outage", "name"),
    [
        (one_poll_in_which_the_api_fails, "ApiErrorsAlarm"),
        (one_poll_in_which_s3_fails, "S3ErrorsAlarm"),
        (one_event_that_sns_rejects, "PublishFailuresAlarm"),
    ],
    ids=["api", "s3", "sns"],
)
def test_short_outage_fires_no_alarm(stack: Stack, alarms: Mapping[str, Alarm], outage: Situation, name: str) -> None:
    datapoints = outage(stack)
    assert alarms[name].metric in datapoints
    assert state(alarms[name], datapoints) == "OK"


@pytest.mark.parametrize(
    "name", ["TokenRejectedAlarm", "AccessDeniedAlarm", "FailedDeliveriesAlarm", "UnexpectedErrorsAlarm"]
)
def test_alarm_lasts_from_poll_to_poll_and_ends_within_an_hour_of_the_last(
    alarms: Mapping[str, Alarm], name: str
) -> None:
    polls = {alarms[name].metric: again([Datapoint(1_800_000_000.0, 1)], LONGEST_DELAY, times=5)}
    first, last = polls[alarms[name].metric][0].at, polls[alarms[name].metric][-1].at
    every_minute = [first + minute * 60 for minute in range(int((last - first) / 60) + 1)]
    assert {state(alarms[name], polls, at) for at in every_minute} == {"ALARM"}
    assert state(alarms[name], polls, last + HOUR) == "OK"


@pytest.mark.parametrize("name", ["ApiErrorsAlarm", "S3ErrorsAlarm", "PublishFailuresAlarm", "FunctionErrorsAlarm"])
def test_alarm_ends_when_its_cause_is_gone_and_nothing_is_reported_any_more(
    alarms: Mapping[str, Alarm], name: str
) -> None:
    lasting = {alarms[name].metric: again([Datapoint(1_800_000_000.0, 1)], 60, times=120)}
    assert state(alarms[name], lasting) == "ALARM"
    assert state(alarms[name], lasting, lasting[alarms[name].metric][-1].at + HOUR) == "OK"


def test_failing_api_fires_its_alarm_however_its_polls_fall_into_quarters_of_an_hour(
    alarms: Mapping[str, Alarm],
) -> None:
    alarm = alarms["ApiErrorsAlarm"]
    for offset in range(0, 900, 50):
        polls = again([Datapoint(1_800_000_000.0 + offset, 1)], LONGEST_DELAY, times=4)
        assert alarm.state(polls, polls[-1].at) == "ALARM"


def test_four_fifths_of_sqs_s_limit_are_no_alarm_yet(alarms: Mapping[str, Alarm]) -> None:
    alarm = alarms["InFlightAlarm"]
    assert state(alarm, {alarm.metric: [Datapoint(0, 96_000)]}) == "OK"
