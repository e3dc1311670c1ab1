"""Log lines and metrics through Powertools."""

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit


class Telemetry:
    """Writes the function's log lines and metrics."""

    def __init__(self, logger: Logger, metrics: Metrics) -> None:
        self._logger = logger
        self._metrics = metrics

    def count(self, metric: str) -> None:
        """Add one to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Count, 1)

    def measure_count(self, metric: str, value: int) -> None:
        """Add a number to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Count, value)

    def measure_seconds(self, metric: str, value: float) -> None:
        """Add a duration to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Seconds, round(value, 3))

    def measure_bytes(self, metric: str, value: int) -> None:
        """Add a size to a metric."""
        self._metrics.add_metric(metric, MetricUnit.Bytes, value)

    def info(self, event: str, **fields: Any) -> None:
        """Log a normal event; fields that are None are omitted."""
        self._logger.info(event, extra=_without_none(fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Log something that may need an operator's attention."""
        self._logger.warning(event, extra=_without_none(fields))

    def exception(self, event: str, error: Exception, **fields: Any) -> None:
        """Log an error with its traceback."""
        self._logger.error(event, exc_info=error, extra=_without_none(fields))


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
