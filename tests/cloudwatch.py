"""CloudWatch's part between log lines and alarms: metrics of the embedded metric format, and the states of alarms.

Written after AWS's "Specification: Embedded metric format" and "Alarm evaluation".
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

State = Literal["OK", "ALARM"]
Dimensions = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Metric:
    """A metric, identified by all three parts."""

    namespace: str
    name: str
    dimensions: Dimensions


@dataclass(frozen=True)
class Datapoint:
    """A value that was reported `at` a time in epoch seconds."""

    at: float
    value: float
    unit: str = "None"


def dimensions(named: Mapping[str, str]) -> Dimensions:
    return frozenset(named.items())


def emitted(lines: Iterable[str]) -> dict[Metric, list[Datapoint]]:
    """The metrics that log lines carry, each value of each a datapoint."""
    metrics: dict[Metric, list[Datapoint]] = defaultdict(list)
    for line in lines:
        fields = json.loads(line) if line.startswith("{") else {}
        if "_aws" not in fields:
            continue
        at = fields["_aws"]["Timestamp"] / 1000
        for directive in fields["_aws"]["CloudWatchMetrics"]:
            for names in directive["Dimensions"]:
                of = dimensions({name: fields[name] for name in names})
                for declared in directive["Metrics"]:
                    metric = Metric(directive["Namespace"], declared["Name"], of)
                    values = fields[declared["Name"]]
                    metrics[metric] += [
                        Datapoint(at, value, declared["Unit"])
                        for value in (values if isinstance(values, list) else [values])
                    ]
    return dict(metrics)


def again(datapoints: Sequence[Datapoint], every_seconds: float, times: int) -> list[Datapoint]:
    """The same datapoints repeated: the metrics of a lasting situation."""
    return [replace(one, at=one.at + turn * every_seconds) for turn in range(times) for one in datapoints]


def shown_on(dashboard_body: str) -> Iterator[Metric]:
    """The metrics of a dashboard's widgets, their short forms written out."""
    for widget in json.loads(dashboard_body)["widgets"]:
        before: list[str] = []
        for row in widget["properties"]["metrics"]:
            short = [part for part in row if isinstance(part, str)]
            if short[0] == "...":
                short = before[: len(before) - len(short) + 1] + short[1:]
            before = [before[place] if part == "." else part for place, part in enumerate(short)]
            yield Metric(before[0], before[1], dimensions(dict(zip(before[2::2], before[3::2], strict=True))))


@dataclass(frozen=True)
class Alarm:
    """An alarm by its own properties, as `DescribeAlarms` gives them."""

    metric: Metric
    statistic: str
    period: float
    evaluation_periods: int
    datapoints_to_alarm: int
    threshold: float
    comparison: str
    missing_data: str

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> "Alarm":
        named = {one["Name"]: one["Value"] for one in described["Dimensions"]}
        return cls(
            metric=Metric(described["Namespace"], described["MetricName"], dimensions(named)),
            statistic=described["Statistic"],
            period=described["Period"],
            evaluation_periods=described["EvaluationPeriods"],
            datapoints_to_alarm=described.get("DatapointsToAlarm", described["EvaluationPeriods"]),
            threshold=described["Threshold"],
            comparison=described["ComparisonOperator"],
            missing_data=described["TreatMissingData"],
        )

    def state(self, datapoints: Iterable[Datapoint], at: float) -> State:
        """The state at a time, by the periods that have ended, and the current one if it has datapoints.

        Where there are gaps, AWS evaluates an undocumented number of earlier periods too; here none.
        """
        periods: dict[int, list[float]] = defaultdict(list)
        for one in datapoints:
            if one.at <= at:
                periods[math.floor(one.at / self.period)].append(one.value)
        now = math.floor(at / self.period)
        last = now if now in periods else now - 1
        polled = range(last - self.evaluation_periods + 1, last + 1)
        breaching = sum(self._is_breaching(periods.get(period)) for period in polled)
        return "ALARM" if breaching >= self.datapoints_to_alarm else "OK"

    def _is_breaching(self, values: list[float] | None) -> bool:
        if values is None:
            return {"breaching": True, "notBreaching": False}[self.missing_data]
        value = {"Sum": sum, "Maximum": max}[self.statistic](values)
        return {
            "GreaterThanThreshold": value > self.threshold,
            "GreaterThanOrEqualToThreshold": value >= self.threshold,
        }[self.comparison]
