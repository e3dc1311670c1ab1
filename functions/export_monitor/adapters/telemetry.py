"""Log lines and metrics, through Powertools: one line for each export looked at, one metric for each outcome."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit


class Telemetry:
    """What the function tells its operator."""

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics

    def count(self, metric: str) -> None:
        """Add one to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Count, 1)

    def measure_seconds(self, metric: str, value: float) -> None:
        """Add a duration to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Seconds, round(value, 3))

    def measure_bytes(self, metric: str, value: int) -> None:
        """Add a size to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Bytes, value)

    def info(self, event: str, **fields: Any) -> None:
        """Log something that is as it should be; fields without a value are left out."""
        self._logger.info(event, extra=_given(fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Log something that an operator may have to see to."""
        self._logger.warning(event, extra=_given(fields))

    def exception(self, event: str, error: Exception, **fields: Any) -> None:
        """Log an error with its traceback."""
        self._logger.error(event, exc_info=error, extra=_given(fields))


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
