"""Writes down what the app costs, beside other ways of waiting.

    PYTHONPATH=functions python -m benchmarks.cost docs/cost.md

The page is made from the model alone, so that it is the same on every machine; a test holds the two together.
"""

import argparse
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks import cost_model as model
from benchmarks import usage
from benchmarks.cost_model import FIVE_MINUTES_A_MONTH, MONTH_SECONDS, Load
from benchmarks.detection_lag import app, fixed
from benchmarks.prices import DATE, FREE_EACH_MONTH, PRICES, REGION
from benchmarks.usage import Amounts, dollars, this_app

LOADS = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)

TOKEN_A_MINUTE = 200
_WIDTH = 120

_WHAT = {
    "lambda requests": "Lambda, invocations",
    "lambda time": "Lambda, time",
    "sqs": "SQS, idle polls included",
    "eventbridge": "EventBridge, start events",
    "sns": "SNS, published",
    "dynamodb writes": "DynamoDB, writes",
    "dynamodb storage": "DynamoDB, storage",
    "s3": "S3, looks at objects",
    "kms": "KMS, for the topic",
    "secrets": "Secrets Manager, the token",
    "traces": "X-Ray, traces",
    "logs": "CloudWatch, logs taken in",
    "log storage": "CloudWatch, logs kept",
    "metrics": "CloudWatch, custom metrics",
    "alarms": "CloudWatch, alarms",
    "dashboards": "CloudWatch, dashboard",
}
_SHOWN = (1_000, 100_000, 10_000_000)


def report() -> str:
    """The text of docs/cost.md."""
    parts = (_idle, _by_exports, _by_service, _other_ways, _rate_limit, _assumptions, _prices)
    lines = [
        "# What it costs",
        "",
        *_text(
            f"List prices of {REGION}, {DATE}, without any free tier; they stand in [one table](#prices), and "
            "[what is assumed](#what-is-assumed) before it. `make cost` writes all of it from the poll schedule, "
            "the template, and the requests of each round "
            "([`cost_model.py`](../benchmarks/cost_model.py), [`usage.py`](../benchmarks/usage.py))."
        ),
    ]
    for part in parts:
        lines += ["", *part()]
    return "\n".join(lines) + "\n"


def _idle() -> Iterator[str]:
    standing = usage.standing()
    billed = {name: max(0.0, amount - FREE_EACH_MONTH.get(name, 0.0)) for name, amount in standing.items()}
    yield "## When nothing is exported"
    yield ""
    yield f"**Idle: {dollars(standing):.2f} dollars a month.** It is paid for whether anything is exported or not:"
    yield ""
    yield from _table(
        ("What", "How much", "Dollars a month"),
        [
            ("dashboard", f"{standing['dashboards']:.0f}", _cents("dashboards", standing)),
            ("alarms", f"{standing['alarms']:.0f}", _cents("alarms", standing)),
            ("secret with the token", "1", _cents("secrets", standing)),
            ("Lambda's polls of the empty queue", f"{standing['sqs']:,.0f}", _cents("sqs", standing)),
        ],
    )
    yield ""
    yield from _text(
        f"What an account has free each month (ten alarms, three dashboards, a million requests to SQS) covers all but "
        f"{dollars(billed):.2f} dollars of it, the secret, where nothing else in the account uses it up. Nothing else "
        "costs anything meanwhile: custom metrics are billed by the hours in which they occur, and the table by its "
        "writes and for the 45 days that it keeps an item."
    )


def _by_exports() -> Iterator[str]:
    yield "## By the number of exports"
    yield ""
    yield from _text(
        "Exports begin independently of each other, all month. Those that fall due within the batching window share a "
        "round, so the more are watched, the less each costs."
    )
    yield ""
    head = ("Exports a month", "In a round", "Rounds a month", "API requests in 5 minutes", "Workers busy")
    yield from _table(
        (*head, "Dollars a month", "Dollars for 1,000 exports"),
        [
            (
                f"{load.exports:,}",
                f"{load.batch:.1f}",
                _three(load.rounds),
                _requests(load.api_requests),
                f"{100 * load.busy_share:.1f} %",
                f"{dollars(this_app(load)):,.2f}",
                _for_thousand(this_app(load), load),
            )
            for load in _loads()
        ],
    )
    yield ""
    yield from _text(
        f"† More than the share of {5 * model.share_a_minute()} (`ApiRequestsPerMinute` of {model.share_a_minute()}). "
        "The app does not send them but puts looks off: ends are noticed later, and less is spent than stands here."
    )


def _by_service() -> Iterator[str]:
    amounts = [this_app(Load(exports)) for exports in _SHOWN]
    yield "## By service"
    yield ""
    yield "Dollars a month, by exports a month:"
    yield ""
    lines = [
        (_WHAT[name], *(_cents(name, one) for one in amounts))
        for name in sorted(amounts[0], key=lambda name: -PRICES[name].each * amounts[-1][name])
    ]
    totals = tuple(f"**{dollars(one):,.2f}**" for one in amounts)
    yield from _table(("What", *(f"{exports:,}" for exports in _SHOWN)), [*lines, ("**in all**", *totals)])


def _other_ways() -> Iterator[str]:
    yield "## Beside other ways of waiting"
    yield ""
    yield from _text(
        "Dollars for 1,000 exports, by exports a month. All but the first line are without logs, traces, metrics, "
        "alarms and dashboard, which the others would need too. All have the app's schedule where nothing else is said."
    )
    yield ""
    ways: list[tuple[str, Callable[[Load], Amounts]]] = [
        ("this app, its operation included", this_app),
        ("this app", lambda load: usage.bare(this_app(load))),
        ("Step Functions, wait loop", lambda load: usage.step_functions(load, app())),
        ("Step Functions, wait loop, each 60 s", lambda load: usage.step_functions(load, fixed(60))),
        ("Lambda durable function", lambda load: usage.durable_function(load, app())),
        ("one Fargate task that polls", usage.polling_task),
    ]
    head = ("", *(f"{exports:,}" for exports in LOADS))
    yield from _table(head, [(name, *(_for_thousand(use(load), load) for load in _loads())) for name, use in ways])
    yield ""
    yield "Requests to the API in 5 minutes:"
    yield ""
    asking: list[tuple[str, Callable[[Load], float]]] = [
        ("this app", lambda load: load.api_requests),
        ("Step Functions, Lambda durable function", lambda load: usage.single_reads(load, app(), at_end=2)),
        ("Step Functions, each 60 s", lambda load: usage.single_reads(load, fixed(60), at_end=2)),
        ("one Fargate task that polls, in bulk", lambda load: Load(load.exports, workers=1).api_requests),
    ]
    yield from _table(head, [(name, *(_requests(ask(load)) for load in _loads())) for name, ask in asking])
    yield ""
    yield from _text(
        f"† More than the share of {5 * model.share_a_minute()}. ‡ More than the {5 * TOKEN_A_MINUTE:,} that a token "
        "may send at all: it cannot be done so."
    )
    yield ""
    yield from _points(
        "A workflow, or a durable execution, is one export's. Nothing is shared, so dollars and requests grow with the "
        "exports.",
        "The task is the cheapest for many exports. It costs as much in a month without any, watches nothing while it "
        "is deployed or restarted, and would need the app's bulk reading, checks and ledger written into it.",
    )


def _rate_limit() -> Iterator[str]:
    share = model.share_a_minute()
    ways: list[tuple[str, Callable[[Load], float]]] = [
        ("in bulk, as batches form by themselves", lambda load: load.api_requests),
        ("in bulk, with every batch full", model.full_batches),
        ("one by one, where the platform has no bulk calls", lambda load: usage.single_reads(load, app(), at_end=1)),
    ]
    yield "## Where the rate limit is the limit, and not money"
    yield ""
    yield from _text(
        f"So many exports a month can be watched by the schedule with the default share of {share} requests a minute, "
        f"and with the {TOKEN_A_MINUTE} that are all of a token's:"
    )
    yield ""
    yield from _table(
        ("Reading", f"Exports with {share}", "watched at once", "dollars", f"Exports with {TOKEN_A_MINUTE}"),
        [
            (name, *_capacity(model.most_exports(share, ask)), _three(model.most_exports(TOKEN_A_MINUTE, ask)))
            for name, ask in ways
        ],
    )
    yield ""
    yield from _text(
        "A round asks once for its jobs and, where any of them has ended, once for their files. Beyond these numbers "
        "looks are put off: batches fill up, ends are noticed later, and nothing is lost. SQS's limit of about 120,000 "
        "messages in flight comes later."
    )


def _assumptions() -> Iterator[str]:
    looks, looks_each_minute = model.looks_for_each(app()), model.looks_for_each(fixed(60))
    yield "## What is assumed"
    yield ""
    yield from _points(
        f"Exports take from two seconds to a day, evenly spread over the logarithm: {model.mean_duration():,.0f} s on "
        f"average. With the default schedule that is {looks:.1f} looks at an export, with one each 60 s "
        f"{looks_each_minute:.0f} (`python -m benchmarks.detection_lag`).",
        f"{100 * usage.FAILED_SHARE:.0f} % of them fail; of {100 * usage.WITH_ENDS_SHARE:.0f} % of the others both "
        "ends are read, as of a BAM. Start events come by EventBridge. One volume, no key of yours, no ACL.",
        "Each of the two workers gathers its batch for the whole window. Where Lambda gathers in more places, batches "
        "are smaller, and there are more rounds. It may also wait longer than the window, up to 20 s, for a queue with "
        "next to no traffic: then an export has fewer looks, and its end is noticed later.",
        f"A round takes {model.ROUND_SECONDS:g} s, {model.ENDING_SECONDS:g} s more where an export has ended, and "
        f"{1000 * model.LOOK_SECONDS:g} ms for each look and {1000 * model.END_SECONDS:g} ms for each end: an API that "
        "answers within 150 ms, services of AWS that answer within 15, and the CPU time that `make bench` measures, at "
        f"the share of a core that {1024 * model.memory_gb():.0f} MB buy. None of it was measured in a deployed stack. "
        "Cold starts are left out.",
        f"An idle queue is polled {usage.IDLE_RECEIVES:,.0f} times a month: Lambda keeps five long polls of 20 s open. "
        "AWS does not say so, nor whether `MaximumConcurrency` makes it fewer; users have "
        "[counted](https://github.com/getlift/lift/issues/132) 15 empty receives a minute. Each look is one receive "
        "more, the most that it can be: SQS gives up to ten messages at once.",
        f"A look's log line has {usage.LOOK_LINE_BYTES} bytes, a round's metrics {usage.METRICS_LINE_BYTES}, Lambda's "
        f"own lines {usage.PLATFORM_BYTES}, and CloudWatch adds {usage.LINE_OVERHEAD_BYTES} to each line. An event has "
        f"{model.EVENT_BYTES:,} bytes.",
        f"X-Ray records the first round of a second, and {100 * usage.TRACED_SHARE:.0f} % of the others.",
        "Not reckoned: deliveries to subscribers (free to SQS and Lambda, 2 dollars for 100,000 mails), what is sent "
        "to the API over the internet, reads of the secret, queries of the log.",
        "Step Functions makes three transitions a look (wait, HTTP task, choice) and six besides; a durable function "
        "two operations a look (step, wait), five besides, and a kilobyte written a look. Neither is charged for the "
        "app's checks, nor for remembering what was published.",
        "The task has 0.25 vCPU, 0.5 GB and a public address, since the API is on the internet; a NAT gateway costs "
        "more.",
    )


def _prices() -> Iterator[str]:
    yield "## Prices"
    yield ""
    yield from _text(
        "AWS's pages fill in their figures by script, so these are from copies of the pages and articles about them; "
        "the last column says how old they are. Change them in [`benchmarks/prices.py`](../benchmarks/prices.py)."
    )
    yield ""
    yield from _table(
        ("Dollars", "For", "Page", "As of"),
        [
            (f"{one.dollars:g}", f"{one.per:,} {one.unit}" if one.per > 1 else one.unit, one.page, one.seen)
            for one in PRICES.values()
        ],
    )


def _capacity(exports: float) -> tuple[str, str, str]:
    at_once = exports * model.mean_duration() / MONTH_SECONDS
    return _three(exports), _three(at_once), f"{dollars(this_app(Load(exports))):,.0f}"


def _loads() -> list[Load]:
    return [Load(exports) for exports in LOADS]


def _cents(name: str, amounts: Amounts) -> str:
    return f"{PRICES[name].each * amounts[name]:,.2f}"


def _for_thousand(amounts: Amounts, load: Load) -> str:
    amount = dollars(amounts) / load.exports * 1000
    return f"{amount:.2f}" if amount >= 1 else f"{amount:.3f}"


def _three(number: float) -> str:
    """Three digits that count: more would claim too much."""
    digits = len(str(int(number)))
    return f"{round(number, 3 - digits):,.0f}"


def _requests(a_month: float) -> str:
    number = a_month / FIVE_MINUTES_A_MONTH
    mark = "‡" if number > 5 * TOKEN_A_MINUTE else "†" if number > 5 * model.share_a_minute() else ""
    return f"{number:,.0f} {mark}".rstrip()


def _table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Iterator[str]:
    for line in (head, ["---"] * len(head), *lines):
        yield f"| {' | '.join(line)} |"


def _text(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _points(*texts: str) -> Iterator[str]:
    for text in texts:
        yield from _text(f"* {text}", "  ")


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="where to write it")
    parser.parse_args().file.write_text(report(), encoding="utf-8")


if __name__ == "__main__":
    main()
