"""Reads and validates the environment variables that the template sets, and reports all errors at once."""

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

from export_monitor.domain.content.eligibility import GIB, ContentPolicy
from export_monitor.domain.grace import OBJECT_POLL_SECONDS, GracePolicy
from export_monitor.domain.poll_schedule import PollSchedule

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOUR = 3600.0
# MaximumConcurrency in the template: this many workers share the stack's requests.
_WORKERS = 2
# What CloudFormation accepts as a Number (`.5`, `5.`, `1e0` and `+1` too) and passes on as written.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]*")

Value = TypeVar("Value")


class SettingsError(ValueError):
    """Environment variables that are missing or invalid, one per line."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The values of the template's parameters and resources. Durations are in seconds."""

    api_base_url: str
    requests_per_minute_and_worker: int
    token_secret_arn: str
    export_buckets: tuple[str, ...]
    start_event_source: str
    export_queue_url: str
    dead_letter_queue_url: str
    events_topic_arn: str
    ledger_table_name: str
    group_ledger_table_name: str
    report_bucket: str
    discovery_minutes: int
    delayed_after: float
    grace: GracePolicy
    content: "ContentSettings | None"

    @property
    def token_secret_region(self) -> str:
        """The region of the secret; it may differ from the function's."""
        return self.token_secret_arn.split(":")[3]


@dataclass(frozen=True, slots=True)
class ContentSettings:
    """The settings of the content check, where it is on."""

    policy: ContentPolicy
    queue_url: str
    table_name: str


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Read the environment. Raises SettingsError, which names each invalid variable and the rule that it breaks."""
    reader = _Reader(environment)
    api_base_url = reader.read("API_BASE_URL", _base_url)
    requests_per_minute = reader.read("API_REQUESTS_PER_MINUTE", _whole_number(range(10, 201)))
    min_poll = reader.read("MIN_POLL_SECONDS", _number(1, 60))
    max_poll = reader.read("MAX_POLL_SECONDS", _number(1, 3600))
    timeout_hours = reader.read("WATCH_TIMEOUT_HOURS", _number(0.001, 168))
    refusal_hours = reader.read("REFUSAL_GRACE_HOURS", _number(0, 72))
    delayed_hours = reader.read("DELAYED_AFTER_HOURS", _number(0, 168))
    object_grace = reader.read("OBJECT_GRACE_SECONDS", _number(0, 3600))
    not_found_grace = reader.read("NOT_FOUND_GRACE_SECONDS", _number(0, 3600))
    discovery_minutes = reader.read("DISCOVERY_MINUTES", _whole_number(range(2, 1441), or_zero=True))
    content = _read_content(reader, environment)
    buckets = reader.read("EXPORT_BUCKETS", _names)
    secret_arn = reader.read("TOKEN_SECRET_ARN", _secret_arn)
    texts = {
        name: reader.read(name, _text)
        for name in (
            "START_EVENT_SOURCE",
            "EXPORT_QUEUE_URL",
            "DEAD_LETTER_QUEUE_URL",
            "EXPORT_EVENTS_TOPIC_ARN",
            "LEDGER_TABLE_NAME",
            "GROUP_LEDGER_TABLE_NAME",
            "REPORT_BUCKET",
        )
    }
    # An invalid value is None.
    if min_poll and max_poll and max_poll < min_poll:
        reader.faults.append(f"MAX_POLL_SECONDS: must be at least MIN_POLL_SECONDS ({min_poll:g})")
    if reader.faults:
        raise SettingsError("\n".join(reader.faults))
    horizon = (timeout_hours + refusal_hours) * _HOUR + max(object_grace, OBJECT_POLL_SECONDS)
    return Settings(
        api_base_url=api_base_url,
        requests_per_minute_and_worker=requests_per_minute // _WORKERS,
        token_secret_arn=secret_arn,
        export_buckets=buckets,
        start_event_source=texts["START_EVENT_SOURCE"],
        export_queue_url=texts["EXPORT_QUEUE_URL"],
        dead_letter_queue_url=texts["DEAD_LETTER_QUEUE_URL"],
        events_topic_arn=texts["EXPORT_EVENTS_TOPIC_ARN"],
        ledger_table_name=texts["LEDGER_TABLE_NAME"],
        group_ledger_table_name=texts["GROUP_LEDGER_TABLE_NAME"],
        report_bucket=texts["REPORT_BUCKET"],
        discovery_minutes=discovery_minutes,
        delayed_after=delayed_hours * _HOUR,
        grace=GracePolicy(
            schedule=PollSchedule(min_poll, max_poll, horizon, _phase_seconds(texts["EXPORT_QUEUE_URL"])),
            timeout=timeout_hours * _HOUR,
            object_grace=object_grace,
            not_found_grace=not_found_grace,
            refusal_grace=refusal_hours * _HOUR,
        ),
        content=content,
    )


def _read_content(reader: "_Reader", environment: Mapping[str, str]) -> ContentSettings | None:
    max_gib = reader.read("CONTENT_CHECK_MAX_GIB", _number(0, 51200))
    if not max_gib:
        return None
    policy = ContentPolicy(max_gib * GIB, environment.get("AWS_REGION") or None)
    queue_url = reader.read("CONTENT_QUEUE_URL", _text)
    return ContentSettings(policy, queue_url, reader.read("CONTENT_CHECKS_TABLE_NAME", _text))


@dataclass(frozen=True, slots=True)
class ContentWorkerSettings:
    """The settings of the content worker."""

    export_buckets: tuple[str, ...]
    content_queue_url: str
    dead_letter_queue_url: str
    content_checks_table_name: str
    part_bytes: int


def read_content_settings(environment: Mapping[str, str]) -> ContentWorkerSettings:
    """Read the content worker's environment. Raises SettingsError, as `read_settings` does."""
    reader = _Reader(environment)
    settings = ContentWorkerSettings(
        export_buckets=reader.read("EXPORT_BUCKETS", _names),
        content_queue_url=reader.read("CONTENT_QUEUE_URL", _text),
        dead_letter_queue_url=reader.read("DEAD_LETTER_QUEUE_URL", _text),
        content_checks_table_name=reader.read("CONTENT_CHECKS_TABLE_NAME", _text),
        part_bytes=(reader.read("CONTENT_PART_MIB", _whole_number(range(1, 16_385))) or 0) << 20,
    )
    if reader.faults:
        raise SettingsError("\n".join(reader.faults))
    return settings


def _phase_seconds(queue_url: str) -> float:
    """A number from 0 to 3,600 that differs between stacks. No time slot is longer than that."""
    digest = hashlib.sha256(queue_url.encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 * _HOUR


class _Reader:
    """Reads variables one by one and collects their errors."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.faults: list[str] = []

    def read(self, name: str, parse: Callable[[str], Value]) -> Value:
        try:
            return parse(self._environment.get(name, "").strip())
        except ValueError as error:
            self.faults.append(f"{name}: {error}")
            # Never used: read_settings raises before it builds anything.
            return None  # type: ignore[return-value]


def _text(value: str) -> str:
    if not value:
        raise ValueError("is missing or empty")
    return value


def _secret_arn(value: str) -> str:
    if not re.fullmatch(r"arn:[^:]+:secretsmanager:[^:]+:[^:]+:secret:[^:]+", value):
        raise ValueError("must be the complete ARN of a Secrets Manager secret")
    return value


def _names(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not names:
        raise ValueError("must name at least one bucket")
    return names


def _number(least: float, most: float) -> Callable[[str], float]:
    def parse(value: str) -> float:
        rule = f"must be a number from {least:g} to {most:g}"
        if not _NUMBER.fullmatch(value) or not least <= float(value) <= most:
            raise ValueError(rule)
        return float(value)

    return parse


def _whole_number(allowed: range, *, or_zero: bool = False) -> Callable[[str], int]:
    def parse(value: str) -> int:
        # Check the length first: int() rejects thousands of digits with a message of its own.
        number = int(value) if len(value) < 9 and _WHOLE_NUMBER.fullmatch(value) else -1
        if number not in allowed and not (or_zero and number == 0):
            zero = "0 or " if or_zero else ""
            raise ValueError(f"must be {zero}a whole number from {allowed[0]} to {allowed[-1]}, digits only")
        return number

    return parse


def _base_url(value: str) -> str:
    parts = urlsplit(value)
    safe = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
    if not safe or not parts.hostname or parts.username is not None or "?" in value or "#" in value:
        raise ValueError("must be an https URL (http only for loopback hosts) without user, query or fragment")
    return value.rstrip("/")
