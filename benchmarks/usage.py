"""What the app uses in a month, and what other ways of waiting would: amounts by the names of their prices."""

from collections.abc import Mapping

from benchmarks.cost_model import (
    FIVE_MINUTES_A_MONTH,
    MONTH_HOURS,
    MONTH_SECONDS,
    ROUND_SECONDS,
    Load,
    Round,
    looks_for_each,
    memory_gb,
    occupied,
)
from benchmarks.detection_lag import Polling, template
from benchmarks.prices import PRICES

# ---- What is assumed of the work
# One export in ten fails; half of the others are BAM or CRAM files, of which two ends are read.
FAILED_SHARE = 0.1
WITH_ENDS_SHARE = 0.5

# ---- What is assumed of AWS
# Lambda keeps five long polls of 20 s open on a queue, idle or not; users have counted 15 empty receives a minute.
IDLE_RECEIVES = 5 * MONTH_SECONDS / 20
# Messages of a batch are received one by one at worst; SQS would give up to ten at once.
MESSAGES_A_RECEIVE = 1
# X-Ray's default rule records the first request of a second, and 5 % of the others.
TRACED_SHARE = 0.05
# SNS uses a data key for five minutes; one request to make it, one to read it.
KMS_REQUESTS = 2

# ---- Sizes in bytes; tests hold the first two against real lines
LOOK_LINE_BYTES = 700
METRICS_LINE_BYTES = 310
# Lambda's own START, END and REPORT, with the trace's id.
PLATFORM_LINES, PLATFORM_BYTES = 3, 450
# CloudWatch Logs counts so much for each line besides.
LINE_OVERHEAD_BYTES = 26
LOG_COMPRESSION = 0.15
LEDGER_ITEM_BYTES = 500
LEDGER_DAYS = 45
GB = 1e9

# The two that are there whenever anything is watched, and those that come with an end that completed or failed.
STEADY_METRICS, COMPLETED_METRICS, FAILED_METRICS, END_METRICS = 2, 3, 1, 1


Amounts = Mapping[str, float]


def standing() -> Amounts:
    """What is there whether anything is exported or not; by the names of prices."""
    resources = template()["Resources"].values()
    return {
        "alarms": sum(one["Type"] == "AWS::CloudWatch::Alarm" for one in resources),
        "dashboards": sum(one["Type"] == "AWS::CloudWatch::Dashboard" for one in resources),
        "secrets": 1,
        "sqs": IDLE_RECEIVES,
    }


def watching(load: Load) -> Amounts:
    """What exports add to it in a month."""
    receives = load.looks / MESSAGES_A_RECEIVE
    return {
        "eventbridge": load.exports,
        "sqs": load.exports + receives + load.each_month(lambda one: one.hides + one.deletes),
        "lambda requests": load.rounds,
        "lambda time": load.each_month(lambda one: one.seconds) * memory_gb(),
        **ending(load),
        "kms": KMS_REQUESTS * occupied(load.exports, FIVE_MINUTES_A_MONTH),
        **operation(load),
    }


def ending(load: Load) -> dict[str, float]:
    """What the ends of exports need: looked at, recorded, published."""
    return {
        "s3": _s3_requests(load),
        "dynamodb writes": load.each_month(lambda one: one.write_units),
        "dynamodb storage": load.exports * LEDGER_ITEM_BYTES / GB * LEDGER_DAYS / 30,
        "sns": load.each_month(lambda one: one.publishes),
    }


def operation(load: Load) -> dict[str, float]:
    """Logs, traces and metrics."""
    lines = load.looks + load.rounds * (1 + PLATFORM_LINES)
    bytes_ = load.looks * LOOK_LINE_BYTES + load.rounds * (METRICS_LINE_BYTES + PLATFORM_BYTES)
    gigabytes = (bytes_ + lines * LINE_OVERHEAD_BYTES) / GB
    months_kept = template()["Parameters"]["LogRetentionDays"]["Default"] / 30
    first_of_second = occupied(load.rounds, MONTH_SECONDS)
    return {
        "logs": gigabytes,
        "log storage": gigabytes * LOG_COMPRESSION * months_kept,
        "traces": first_of_second + TRACED_SHARE * (load.rounds - first_of_second),
        "metrics": _metric_months(load),
    }


OPERATION = ("logs", "log storage", "traces", "metrics", "alarms", "dashboards")


def this_app(load: Load) -> Amounts:
    """All that the app uses in a month."""
    return _sum(standing(), watching(load))


def bare(amounts: Amounts) -> Amounts:
    """The same without its operation: logs, traces, metrics, alarms and dashboard."""
    return {name: amount for name, amount in amounts.items() if name not in OPERATION}


def step_functions(load: Load, polling: Polling) -> Amounts:
    """A Standard workflow for each export: wait, HTTP task, choice a look; volume, file, object, publish at the end."""
    transitions = 3 * looks_for_each(polling) + 6
    return {"transitions": load.exports * transitions, **_one_by_one(load)}


def durable_function(load: Load, polling: Polling) -> Amounts:
    """A durable execution for each export: a step and a wait a look, each wait's end another invocation.

    A kilobyte is written at each look, and kept for the 14 days that are the default.
    """
    looks = load.exports * looks_for_each(polling)
    lone = load.exports * (Round(completed=1).seconds - ROUND_SECONDS) + looks * ROUND_SECONDS
    written = looks * 1000 / GB
    return {
        "durable operations": 2 * looks + 5 * load.exports,
        "durable writes": written,
        "durable storage": written * 14 / 30,
        "lambda requests": looks,
        "lambda time": lone * memory_gb(),
        **_one_by_one(load),
    }


def polling_task(load: Load) -> Amounts:
    """One Fargate task that runs all month, reads in bulk by the app's schedule, and keeps its books in DynamoDB."""
    alone = Load(load.exports, workers=1)
    return {
        "fargate cpu": 0.25 * MONTH_HOURS,
        "fargate memory": 0.5 * MONTH_HOURS,
        "addresses": MONTH_HOURS,
        "secrets": 1,
        "eventbridge": load.exports,
        # A start event is sent, received and deleted; one long poll is kept open.
        "sqs": 3 * load.exports + MONTH_SECONDS / 20,
        **ending(alone),
    }


def _one_by_one(load: Load) -> dict[str, float]:
    return {"eventbridge": load.exports, "sns": load.exports, "s3": _s3_requests(load), "secrets": 1}


def _s3_requests(load: Load) -> float:
    bams = (1 - FAILED_SHARE) * WITH_ENDS_SHARE
    of_hundred = Round(completed=round(100 * (1 - FAILED_SHARE - bams)), completed_bams=round(100 * bams))
    return load.exports * of_hundred.s3_requests / 100


def single_reads(load: Load, polling: Polling, at_end: int) -> float:
    """Requests to the API a month where each export is read by itself, with so many more at its end."""
    return load.exports * (looks_for_each(polling) + at_end)


def dollars(amounts: Amounts) -> float:
    """What that costs."""
    return sum(PRICES[name].each * amount for name, amount in amounts.items())


def _metric_months(load: Load) -> float:
    def hours_share(happenings: float) -> float:
        return occupied(happenings, MONTH_HOURS) / MONTH_HOURS

    return (
        STEADY_METRICS * hours_share(load.looks)
        + END_METRICS * hours_share(load.exports)
        + COMPLETED_METRICS * hours_share(load.exports * (1 - FAILED_SHARE))
        + FAILED_METRICS * hours_share(load.exports * FAILED_SHARE)
    )


def _sum(*many: Amounts) -> Amounts:
    names = dict.fromkeys(name for amounts in many for name in amounts)
    return {name: sum(amounts.get(name, 0.0) for amounts in many) for name in names}
