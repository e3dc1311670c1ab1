import pytest

from export_monitor.domain.content.eligibility import ContentPolicy
from export_monitor.domain.poll_schedule import PollSchedule
from export_monitor.settings import (
    ContentSettings,
    ContentWorkerSettings,
    SettingsError,
    read_content_settings,
    read_settings,
)

ENVIRONMENT = {
    "API_BASE_URL": "https://cgc-api.sbgenomics.com/v2/",
    "API_REQUESTS_PER_MINUTE": "101",
    "TOKEN_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:cgc-token-AbCdEf",
    "EXPORT_BUCKETS": "one, two,",
    "START_EVENT_SOURCE": "cgc.exports",
    "EXPORT_QUEUE_URL": "https://queue",
    "DEAD_LETTER_QUEUE_URL": "https://dead-letters",
    "EXPORT_EVENTS_TOPIC_ARN": "arn:topic",
    "LEDGER_TABLE_NAME": "ledger",
    "GROUP_LEDGER_TABLE_NAME": "groups",
    "REPORT_BUCKET": "reports",
    "DISCOVERY_MINUTES": "0",
    "CONTENT_CHECK_MAX_GIB": "0",
    "MIN_POLL_SECONDS": "5",
    "MAX_POLL_SECONDS": "900",
    "WATCH_TIMEOUT_HOURS": "72",
    "OBJECT_GRACE_SECONDS": "120",
    "NOT_FOUND_GRACE_SECONDS": "300",
    "REFUSAL_GRACE_HOURS": "0.5",
    "DELAYED_AFTER_HOURS": "0",
}


def test_settings_are_read_in_the_units_that_the_code_uses() -> None:
    settings = read_settings(ENVIRONMENT)
    assert settings.api_base_url == "https://cgc-api.sbgenomics.com/v2"
    assert settings.requests_per_minute_and_worker == 50
    assert settings.export_buckets == ("one", "two")
    assert settings.grace.timeout == 72 * 3600
    assert settings.grace.refusal_grace == 1800
    assert settings.grace.object_grace == 120
    assert settings.grace.not_found_grace == 300
    assert settings.grace.final_deadline == 72.5 * 3600
    schedule = settings.grace.schedule
    assert schedule == PollSchedule(5, 900, 72.5 * 3600 + 120, schedule.phase_seconds)
    assert (settings.export_queue_url, settings.dead_letter_queue_url) == ("https://queue", "https://dead-letters")
    assert (settings.events_topic_arn, settings.ledger_table_name) == ("arn:topic", "ledger")
    assert (settings.group_ledger_table_name, settings.report_bucket) == ("groups", "reports")
    assert settings.token_secret_arn == ENVIRONMENT["TOKEN_SECRET_ARN"]
    assert settings.token_secret_region == "eu-west-1"
    assert settings.start_event_source == "cgc.exports"


def test_content_check_is_off_at_zero() -> None:
    assert read_settings(ENVIRONMENT).content is None


def test_content_check_has_its_queue_its_table_and_the_largest_size() -> None:
    content = {
        "CONTENT_CHECK_MAX_GIB": ".5",
        "CONTENT_QUEUE_URL": "https://contents",
        "CONTENT_CHECKS_TABLE_NAME": "contents",
        "AWS_REGION": "eu-west-1",
    }
    settings = read_settings(ENVIRONMENT | content)
    policy = ContentPolicy(512 * 1024**2, "eu-west-1")
    assert settings.content == ContentSettings(policy, "https://contents", "contents")
    with pytest.raises(SettingsError, match="CONTENT_QUEUE_URL: is missing or empty"):
        read_settings(ENVIRONMENT | content | {"CONTENT_QUEUE_URL": ""})


def test_each_stack_has_a_phase_of_its_own() -> None:
    phases = {
        read_settings(ENVIRONMENT | {"EXPORT_QUEUE_URL": f"https://queue-{number}"}).grace.schedule.phase_seconds
        for number in range(100)
    }
    assert len({phase // 36 for phase in phases}) > 50
    assert 0 <= min(phases) <= max(phases) < 3600


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("API_BASE_URL", "http://cgc-api.sbgenomics.com/v2", "must be an https URL"),
        ("API_BASE_URL", "ftp://localhost", "must be an https URL"),
        ("API_BASE_URL", "https://user@host/v2", "must be an https URL"),
        ("API_BASE_URL", "https:///v2", "must be an https URL"),
        ("API_BASE_URL", "http://127.0.0.1.example.org/v2", "must be an https URL"),
        ("API_BASE_URL", "http://localhost@example.org/v2", "must be an https URL"),
        ("API_BASE_URL", "https://:secret@host/v2", "must be an https URL"),
        ("API_BASE_URL", "https://[::1/v2", ""),
        ("API_BASE_URL", "https://host/v2?q", "must be an https URL"),
        ("API_BASE_URL", "https://host/v2?", "must be an https URL"),
        ("API_BASE_URL", "https://host/v2#", "must be an https URL"),
        ("API_REQUESTS_PER_MINUTE", "9", "must be a whole number from 10 to 200, digits only"),
        ("API_REQUESTS_PER_MINUTE", "201", "must be a whole number from 10 to 200, digits only"),
        ("API_REQUESTS_PER_MINUTE", "9" * 5000, "must be a whole number from 10 to 200, digits only"),
        ("MIN_POLL_SECONDS", "0", "must be a number from 1 to 60"),
        ("MAX_POLL_SECONDS", "4", "must be at least MIN_POLL_SECONDS (5)"),
        ("WATCH_TIMEOUT_HOURS", "0", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "nan", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "1e3", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "1_0", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "1 0", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", ".", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "e1", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "1e", "must be a number from 0.001 to 168"),
        ("WATCH_TIMEOUT_HOURS", "٣", "must be a number from 0.001 to 168"),
        ("REFUSAL_GRACE_HOURS", "-1", "must be a number from 0 to 72"),
        ("DELAYED_AFTER_HOURS", "168.1", "must be a number from 0 to 168"),
        ("NOT_FOUND_GRACE_SECONDS", "9" * 400, "must be a number from 0 to 3600"),
        ("EXPORT_BUCKETS", " , ", "must name at least one bucket"),
        ("LEDGER_TABLE_NAME", "", "is missing or empty"),
        ("TOKEN_SECRET_ARN", "", "must be the complete ARN of a Secrets Manager secret"),
        ("TOKEN_SECRET_ARN", "cgc-token", "must be the complete ARN of a Secrets Manager secret"),
        ("TOKEN_SECRET_ARN", "arn:aws:secretsmanager::123456789012:secret:cgc-token-AbCdEf", "must be the complete"),
        ("DISCOVERY_MINUTES", "1", "must be 0 or a whole number from 2 to 1440, digits only"),
    ],
)
def test_bad_setting_is_named_with_its_rule(name: str, value: str, rule: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(ENVIRONMENT | {name: value})
    assert str(refused.value).startswith(f"{name}: {rule}")


def test_all_faults_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({})
    reported = [line.partition(":")[0] for line in str(refused.value).splitlines()]
    assert sorted(reported) == sorted(ENVIRONMENT)


def test_longest_interval_below_the_shortest_is_reported_with_the_other_faults() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(ENVIRONMENT | {"MAX_POLL_SECONDS": "4", "LEDGER_TABLE_NAME": ""})
    reported = [line.partition(":")[0] for line in str(refused.value).splitlines()]
    assert sorted(reported) == ["LEDGER_TABLE_NAME", "MAX_POLL_SECONDS"]


@pytest.mark.parametrize(
    ("written", "hours"),
    [(".5", 0.5), ("5.", 5), ("1e0", 1), ("+1", 1), ("2.5E+1", 25), ("50e-2", 0.5), ("007.50", 7.5), ("-0", 0)],
)
def test_number_may_have_every_form_that_cloudformation_takes(written: str, hours: float) -> None:
    assert read_settings(ENVIRONMENT | {"REFUSAL_GRACE_HOURS": written}).grace.refusal_grace == hours * 3600


@pytest.mark.parametrize("grace_seconds", ["0", "10"])
def test_horizon_has_room_for_an_object_that_was_missed_at_the_final_deadline(grace_seconds: str) -> None:
    grace = read_settings(ENVIRONMENT | {"OBJECT_GRACE_SECONDS": grace_seconds}).grace
    assert grace.schedule.horizon_seconds == grace.final_deadline + 30


@pytest.mark.parametrize("url", ["http://localhost:8080/v2", "http://127.0.0.1/v2", "http://[::1]:80/v2"])
def test_plain_http_is_taken_for_loopback(url: str) -> None:
    assert read_settings(ENVIRONMENT | {"API_BASE_URL": url}).api_base_url == url


CONTENT_ENVIRONMENT = {
    "EXPORT_BUCKETS": "one, two",
    "CONTENT_QUEUE_URL": "https://content",
    "DEAD_LETTER_QUEUE_URL": "https://dead-letters",
    "CONTENT_CHECKS_TABLE_NAME": "checks",
    "CONTENT_PART_MIB": "4096",
}


def test_content_settings_are_read_in_the_units_that_the_code_uses() -> None:
    expected = ContentWorkerSettings(("one", "two"), "https://content", "https://dead-letters", "checks", 4 * 1024**3)
    assert read_content_settings(CONTENT_ENVIRONMENT) == expected


@pytest.mark.parametrize("value", ["0", "16385", "1.5", "-1"])
def test_part_of_content_is_a_whole_number_of_mib(value: str) -> None:
    with pytest.raises(SettingsError, match="CONTENT_PART_MIB: must be a whole number from 1 to 16384, digits only"):
        read_content_settings(CONTENT_ENVIRONMENT | {"CONTENT_PART_MIB": value})


def test_all_faults_of_content_settings_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as refused:
        read_content_settings({})
    reported = [line.partition(":")[0] for line in str(refused.value).splitlines()]
    assert sorted(reported) == sorted(CONTENT_ENVIRONMENT)
