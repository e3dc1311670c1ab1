"""Writes docs/cost.md: the monthly cost of the app, from simulated rounds, the template and the requests of a round.

PYTHONPATH=functions python -m benchmarks.cost docs/cost.md
"""

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import rounds
from benchmarks.rounds import (
    END_SECONDS,
    ENDING_SECONDS,
    EXPORTS_A_MONTH,
    HOUR,
    MONTH_SECONDS,
    POLL_SECONDS,
    ROUND_SECONDS,
    Way,
)
from export_monitor.domain.crowding import CROWDED_POLLS_PER_MINUTE
from export_monitor.domain.messages import MAX_MESSAGES
from local.template import template

HOURS = MONTH_SECONDS / HOUR
FIVE_MINUTES = MONTH_SECONDS / 300

SQS = "SQS, polls of the idle queue included"
# Dollars per number of units: US East (N. Virginia), first tier, no free tier. AWS's price pages load their prices by
# script, so these come from copies of the pages and from articles, with their dates, or are general knowledge of 2025.
PRICES = {
    "Lambda, invocations": (0.20, 1_000_000, "invocations"),  # May 2026
    "Lambda, time": (13.3334, 1_000_000, "GB-seconds on arm64"),  # 2024
    SQS: (0.40, 1_000_000, "requests"),
    "EventBridge, start events": (1.00, 1_000_000, "events"),  # March 2026
    "S3, reads of objects": (0.40, 1_000_000, "GETs or HEADs"),
    "S3, writes of reports": (5.00, 1_000_000, "PUTs"),
    "S3, storage of reports": (0.023, 1, "a GB-month"),
    "DynamoDB, writes": (0.625, 1_000_000, "write units"),  # July 2025
    "DynamoDB, storage": (0.25, 1, "a GB-month"),
    "SNS, events": (0.50, 1_000_000, "publications of 64 KB"),  # June 2026
    "KMS, for the topic": (3.00, 1_000_000, "requests"),
    "Secrets Manager, the token": (0.40, 1, "a secret"),
    "X-Ray, traces": (5.00, 1_000_000, "traces"),  # undated copy of the page
    "CloudWatch, logs ingested": (0.50, 1, "a GB"),  # June 2026
    "CloudWatch, logs kept": (0.03, 1, "a GB-month, compressed"),
    "CloudWatch, custom metrics": (0.30, 1, "a metric"),  # February 2026
    "CloudWatch, alarms": (0.10, 1, "an alarm"),
    "CloudWatch, dashboard": (3.00, 1, "a dashboard"),  # June 2026
}
# Other ways of waiting need these as well, so the comparison leaves them out.
OPERATION = ("X-Ray", "CloudWatch")
TRANSITION = 25.00 / 1_000_000  # 2026
TASK_HOUR = 0.25 * 0.03238 + 0.5 * 0.00356 + 0.005  # vCPU and GB of Fargate on arm64, a public IPv4 address

# ---- Assumptions, listed on the page. Tests compare the bytes with real log lines and events.
FAILED_SHARE, BAM_SHARE = 0.1, 0.45
POLL_LINE_BYTES, METRICS_LINE_BYTES, PLATFORM_BYTES, LINE_OVERHEAD_BYTES = 700, 310, 450, 26
EVENT_BYTES, ITEM_BYTES, ITEM_MONTHS = 3000, 900, 1.5
# Every export belongs to a group of this size. Its row in both parts of the report, and the write units of an item with
# it: a failed one has more than the 1 KB of a unit.
GROUP_SIZE, REPORT_BYTES_OF_A_ROW, ROW_UNITS = 100, 1200, 1 + FAILED_SHARE


@dataclass
class Month:
    """The usage of a number of exports in a month; `used` has the keys of `PRICES`."""

    exports: float
    polls: float = 0
    rounds: float = 0
    ends: float = 0
    api_requests: float = 0
    paused_seconds: float = 0
    used: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def dollars(self, *left_out: str) -> float:
        """The total without the services whose names start with `left_out`."""
        return sum(cost(name, self.used[name]) for name in PRICES if not name.startswith(left_out))


def cost(name: str, amount: float) -> float:
    """Dollars at this list price."""
    dollars, per, _ = PRICES[name]
    return amount * dollars / per


def month(exports: float, way: Way = rounds.NOW, polls: int = 40_000) -> Month:
    """A month of this app with this number of exports, from a simulation of about this many polls."""
    record = rounds.month(way, exports, polls) if exports else rounds.Record(seconds=MONTH_SECONDS)
    times = MONTH_SECONDS / record.seconds
    one = Month(exports, polls=record.polls * times, rounds=record.invocations * times)
    for (kept, ended), number in record.rounds.items():
        add_rounds(one, number * times, kept, ended)
    add_pauses(one, record.paused_seconds * times)
    one.used[SQS] += record.receives * times
    # Instead of the rounds' number of requests, which leaves out those that the rate limit postponed.
    one.api_requests = record.api_requests * times
    _add_exports(one)
    _add_operation(one)
    return one


def add_rounds(one: Month, times: float, kept: int, ended: int) -> None:
    """Add `times` rounds, each with `kept` unfinished and `ended` ended exports."""
    seconds = ROUND_SECONDS + ENDING_SECONDS * (ended > 0) + POLL_SECONDS * (kept + ended) + END_SECONDS * ended
    one.ends += times * ended
    # The jobs and, if any has ended, the files.
    one.api_requests += times * (1 + (ended > 0))
    one.used["Lambda, invocations"] += times
    one.used["Lambda, time"] += times * seconds * _memory_gb()
    # Ten messages are hidden, deleted or published at once.
    one.used[SQS] += times * (_tens(kept) + _tens(ended))
    one.used["SNS, events"] += times * _tens(ended)
    one.used["DynamoDB, writes"] += times * _write_units(ended)


def _write_units(ended: int) -> float:
    """What a round with this number of ended exports writes. A write in a transaction costs double."""
    if not ended:
        return 0
    claims_and_records = ended * (1 + ROW_UNITS) * (1 if ended == 1 else 2)
    members_and_their_group = 2 * (ended * ROW_UNITS + 1)
    return claims_and_records + members_and_their_group


def add_pauses(one: Month, seconds: float) -> None:
    """Add the pauses until a common instant."""
    one.paused_seconds += seconds
    one.used["Lambda, time"] += seconds * _memory_gb()


def _memory_gb() -> float:
    return float(template()["Resources"]["ExportMonitorFunction"]["Properties"]["MemorySize"]) / 1024


def _add_exports(one: Month) -> None:
    # Lambda keeps five long polls of 20 s open.
    one.used[SQS] += one.exports + 5 * MONTH_SECONDS / 20
    one.used["EventBridge, start events"] += one.exports
    one.used["S3, reads of objects"] += one.exports * (1 - FAILED_SHARE + 2 * BAM_SHARE)
    # Of the export, and of a member of its group.
    one.used["DynamoDB, storage"] += one.exports * 2 * ITEM_BYTES / 1e9 * ITEM_MONTHS
    _add_groups(one)
    # SNS uses a data key for five minutes: one request creates it, one reads it.
    one.used["KMS, for the topic"] += 2 * _occupied(one.exports, FIVE_MINUTES)
    one.used["Secrets Manager, the token"] += 1


def report_days() -> int:
    """For how many days a report is kept."""
    return int(template()["Parameters"]["ReportRetentionDays"]["Default"])


def _add_groups(one: Month) -> None:
    groups = one.exports / GROUP_SIZE
    months_kept = report_days() * 24 / HOURS
    one.used["S3, writes of reports"] += 2 * groups
    one.used["S3, storage of reports"] += one.exports * REPORT_BYTES_OF_A_ROW / 1e9 * months_kept
    one.used["SNS, events"] += groups


def _add_operation(one: Month) -> None:
    # Without optional parts.
    kinds = Counter(one["Type"] for one in template()["Resources"].values() if "Condition" not in one)
    round_bytes = METRICS_LINE_BYTES + PLATFORM_BYTES + 4 * LINE_OVERHEAD_BYTES
    gigabytes = (one.polls * (POLL_LINE_BYTES + LINE_OVERHEAD_BYTES) + one.rounds * round_bytes) / 1e9
    months_kept = template()["Parameters"]["LogRetentionDays"]["Default"] / 30
    traced_first = _occupied(one.rounds, MONTH_SECONDS)
    # Metrics of each poll, each end, each completed and each failed export; billed by the hour.
    metrics = ((2, one.polls), (1, one.exports), (3, one.exports * (1 - FAILED_SHARE)), (1, one.exports * FAILED_SHARE))
    one.used["CloudWatch, dashboard"] += kinds["AWS::CloudWatch::Dashboard"]
    one.used["CloudWatch, alarms"] += kinds["AWS::CloudWatch::Alarm"]
    one.used["CloudWatch, logs ingested"] += gigabytes
    one.used["CloudWatch, logs kept"] += gigabytes * 0.15 * months_kept
    one.used["CloudWatch, custom metrics"] += sum(number * _occupied(times, HOURS) / HOURS for number, times in metrics)
    one.used["X-Ray, traces"] += traced_first + 0.05 * (one.rounds - traced_first)


def _tens(number: int) -> int:
    return math.ceil(number / 10)


def _occupied(happenings: float, spans: float) -> float:
    """The expected number of `spans` equal time spans with at least one of the random `happenings`."""
    return -spans * math.expm1(-happenings / spans)


def step_functions(one: Month) -> float:
    """Dollars for one Standard workflow per export: three transitions per poll, six for the end."""
    shared = one.dollars(*OPERATION, "Lambda", "SQS", "DynamoDB", "KMS", "SNS") + cost("SNS, events", one.exports)
    return shared + TRANSITION * (3 * one.polls + 6 * one.exports)


def polling_task(one: Month) -> float:
    """Dollars for one Fargate task that polls all month, with the app's start queue and ledger."""
    messages = cost(SQS, 3 * one.exports + MONTH_SECONDS / 20)
    return one.dollars(*OPERATION, "Lambda", "SQS", "KMS") + messages + TASK_HOUR * HOURS


def rows(months: list[Month]) -> Iterator[list[str]]:
    """The rows of the table."""
    yield ["Exports a month", "List price", *(f"{one.exports:,}" for one in months)]
    yield ["---", "---", *["---:"] * len(months)]
    for name, (dollars, per, unit) in PRICES.items():
        price = f"{dollars:g} for {per:,} {unit}" if per > 1 else f"{dollars:g} for {unit}"
        yield [name, price, *(f"{cost(name, one.used[name]):.2f}" for one in months)]
    yield ["**dollars in all**", "", *(f"**{one.dollars():.2f}**" for one in months)]
    yield ["without operation", "", *(f"{one.dollars(*OPERATION):.2f}" for one in months)]
    yield ["a Step Functions workflow for each export", "", *(f"{step_functions(one):.2f}" for one in months)]
    yield ["one Fargate task that polls", "", *(f"{polling_task(one):.2f}" for one in months)]


def rows_of_rounds(pairs: list[tuple[Month, Month]]) -> Iterator[list[str]]:
    """The rows of the table that compares the months before and with time slots."""
    months = [one for pair in pairs for one in pair]
    yield [
        "Exports a month",
        *(f"{one.exports:,} {name}" for pair in pairs for one, name in zip(pair, ("before", "now"), strict=True)),
    ]
    yield ["---", *["---:"] * len(months)]
    yield ["polls of an export", *(f"{one.polls / one.exports:.0f}" for one in months)]
    yield ["exports in a round", *(f"{one.polls / one.rounds:.1f}" for one in months)]
    yield ["invocations", *(f"{float(f'{one.rounds:.3g}'):,.0f}" for one in months)]
    yield ["requests to the API in 5 minutes", *(f"{one.api_requests / FIVE_MINUTES:.0f}" for one in months)]
    yield ["pauses, dollars", *(f"{pauses(one):.2f}" for one in months)]
    yield ["dollars in all", *(f"{one.dollars():.2f}" for one in months)]
    yield ["dollars for 1,000 exports", *(f"{one.dollars() / one.exports * 1000:.3f}" for one in months)]


def pauses(one: Month) -> float:
    """Dollars for the pauses until a common instant."""
    return cost("Lambda, time", one.paused_seconds * _memory_gb())


def report(polls: int = 40_000) -> str:
    """The text of docs/cost.md."""
    share = 5 * int(template()["Parameters"]["ApiRequestsPerMinute"]["Default"])
    pairs = [(month(number, rounds.BEFORE, polls), month(number, rounds.NOW, polls)) for number in EXPORTS_A_MONTH]
    return f"""\
# What it costs

**{month(0).dollars():.2f} dollars a month** without exports, for the dashboard, the alarms, the secret and
Lambda's polls of the idle queue. AWS's free tier covers everything but the secret and the alarms beyond ten, unless you
use it up elsewhere.
With exports that take from a minute to a day, evenly spread on a logarithmic scale:

{_table(rows([now for _, now in pairs]))}

`make cost` writes this page from simulated rounds ([`rounds.py`](../benchmarks/rounds.py)) and the template.
[`cost.py`](../benchmarks/cost.py) contains the model and the dates of the prices (US East (N. Virginia), no free tier).

* By default the app uses {share} requests in 5 minutes of the platform's rate limit, and postpones polls beyond that.
* The last three rows exclude logs, traces, metrics, alarms and the dashboard, which all three need. A workflow polls
  its own export only, so its API requests grow with the exports. The task costs the same without any export.
* One export in {1 / FAILED_SHARE:g} fails; {100 * BAM_SHARE:g} % are BAM or CRAM files, of which both ends are read.
  Start events arrive through EventBridge. One volume, no customer-managed key, no ACL.
* Every export belongs to a group of {GROUP_SIZE}. Its row takes {REPORT_BYTES_OF_A_ROW:,} bytes of the group's report,
  which is kept for {report_days()} days, and up to {ITEM_BYTES} bytes of an item in each of two tables.
  Without groups, half of DynamoDB's writes and storage and the reports cost nothing.
* A round takes {ROUND_SECONDS:g} s, {ENDING_SECONDS:g} s more if an export has ended, plus {1000 * POLL_SECONDS:g} ms
  for each poll and {1000 * END_SECONDS:g} ms for each end. These times were not measured in a deployed stack. Cold
  starts are not included.
* The log line of a poll has {POLL_LINE_BYTES} bytes, an event {EVENT_BYTES:,}.
* Not included: deliveries to subscribers (free to SQS and Lambda, 2 dollars for 100,000 e-mails), data sent to the API
  over the internet, reads of the secret and of DynamoDB, log queries.

## Time slots

*Before*: batches of {rounds.BEFORE.batch_size}, a batching window of {rounds.BEFORE.window_seconds:g} s (up to \
{rounds.QUIET_QUEUE_SECONDS:g} s on a quiet queue, as AWS documents), and jitter. *Now*: batches of \
{rounds.NOW.batch_size} without a window, topped up to {MAX_MESSAGES}, and polls that end on common time slots.

{_table(rows_of_rounds(pairs))}

* An export is noticed sooner, and polled more often, since no poll waits for a window. Its start event is read at once.
* A worker that kept at least {CROWDED_POLLS_PER_MINUTE} messages in a minute pauses until a common instant before it
  hides them, since SQS hides messages for whole seconds. The pauses are part of Lambda's time.
* How many exports a round reads depends on how closely together AWS shows messages that are due at the same time. That
  was not measured in a deployed stack: here, calls of SQS take from 5 to 30 ms, and two workers compete.
* Receives are counted as the simulation makes them.
"""


def _table(lines: Iterator[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(report(), encoding="utf-8")
