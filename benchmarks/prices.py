"""The prices that the cost model reckons with: US East (N. Virginia), first tier, without any free tier."""

from dataclasses import dataclass

REGION = "US East (N. Virginia)"
DATE = "November 2026"

_MILLION = 1_000_000
# Where no source with a date was at hand.
_UNDATED = "general knowledge of 2025, not looked up"


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars for so many units. `page` is AWS's page that states it; `seen` says how old the figure is."""

    dollars: float
    per: int
    unit: str
    page: str
    seen: str

    @property
    def each(self) -> float:
        """Dollars for one unit."""
        return self.dollars / self.per


PRICES = {
    "lambda requests": Price(0.20, _MILLION, "invocations", "AWS Lambda pricing", "May 2026"),
    "lambda time": Price(13.3334, _MILLION, "GB-seconds on arm64", "AWS Lambda pricing", "2024"),
    "sqs": Price(0.40, _MILLION, "requests to a standard queue", "Amazon SQS pricing", _UNDATED),
    "eventbridge": Price(1.00, _MILLION, "custom events", "Amazon EventBridge pricing", "March 2026"),
    "sns": Price(0.50, _MILLION, "publications of up to 64 KB", "Amazon SNS pricing", "June 2026"),
    "dynamodb writes": Price(0.625, _MILLION, "write request units", "Amazon DynamoDB pricing", "July 2025"),
    "dynamodb storage": Price(0.25, 1, "GB-month", "Amazon DynamoDB pricing", _UNDATED),
    "s3": Price(0.40, _MILLION, "GETs or HEADs, S3 Standard", "Amazon S3 pricing", _UNDATED),
    "kms": Price(3.00, _MILLION, "requests", "AWS KMS pricing", _UNDATED),
    "secrets": Price(0.40, 1, "secret for a month", "AWS Secrets Manager pricing", _UNDATED),
    "traces": Price(5.00, _MILLION, "traces recorded", "AWS X-Ray pricing", "copy of the page, undated"),
    "logs": Price(0.50, 1, "GB taken in", "Amazon CloudWatch pricing", "June 2026"),
    "log storage": Price(0.03, 1, "GB-month, compressed", "Amazon CloudWatch pricing", _UNDATED),
    "metrics": Price(0.30, 1, "custom metric for a month", "Amazon CloudWatch pricing", "February 2026"),
    "alarms": Price(0.10, 1, "alarm for a month", "Amazon CloudWatch pricing", _UNDATED),
    "dashboards": Price(3.00, 1, "dashboard for a month", "Amazon CloudWatch pricing", "June 2026"),
    "transitions": Price(25.00, _MILLION, "state transitions, Standard", "AWS Step Functions pricing", "2026"),
    "durable operations": Price(8.00, _MILLION, "durable operations", "AWS Lambda pricing", "September 2026"),
    "durable writes": Price(0.25, 1, "GB written by durable operations", "AWS Lambda pricing", "2026"),
    "durable storage": Price(0.15, 1, "GB-month retained by them", "AWS Lambda pricing", "2026"),
    "fargate cpu": Price(0.03238, 1, "vCPU-hour on arm64", "AWS Fargate pricing", _UNDATED),
    "fargate memory": Price(0.00356, 1, "GB-hour on arm64", "AWS Fargate pricing", _UNDATED),
    "addresses": Price(0.005, 1, "hour of a public IPv4 address", "Amazon VPC pricing", _UNDATED),
}

# What an account has free each month, for as long as it lasts; its other uses share it.
FREE_EACH_MONTH = {"sqs": 1_000_000.0, "alarms": 10.0, "dashboards": 3.0}
