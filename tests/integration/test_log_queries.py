"""The queries of `docs/operations.md` answer what their headings ask, over the log of a run.

moto's `logs.start_query` knows fields, limit and sort, and passes over every other command: too weak for these.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from local.stack import Stack
from tests.integration.eventful_run import log_of, run_eventfully
from tests.logs_insights import QueryError, Row, ask

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
QUERIES = {
    section.partition("\n")[0]: section.partition("```logs-insights\n")[2].partition("```")[0]
    for section in PAGE.split("\n### ")[1:]
}
TOKEN_REFUSED = "the API refuses the token"


@dataclass(frozen=True)
class Run:
    """The log of an eventful run, and its messages' ids by their exports."""

    lines: list[str]
    messages: Mapping[str, str]

    def ask(self, heading: str, **placeholders: str) -> list[Row]:
        query = QUERIES[heading]
        for name, value in placeholders.items():
            assert query.count(name) == 1
            query = query.replace(name, value)
        return ask(query, self.lines)


@pytest.fixture(scope="module")
def run(deployed: Stack) -> Run:
    messages = run_eventfully(deployed)
    return Run(log_of(deployed), messages)


def test_what_became_of_an_export(run: Run) -> None:
    [failed] = run.ask("What became of an export?", EXPORT_ID="failed")
    assert (failed["outcome"], failed["state"], failed["reason"]) == ("failed", "FAILED", "EXPORT_FAILED")
    assert "already holds" in failed["because"]
    slow = run.ask("What became of an export?", EXPORT_ID="slow")
    assert {row["outcome"] for row in slow} == {"waiting"}
    assert (slow[0]["state"], slow[0]["because"]) == ("RUNNING", "the job is RUNNING")
    assert slow[-1]["because"] == TOKEN_REFUSED
    assert slow == sorted(slow, key=lambda row: row["@timestamp"])
    announced = run.ask("What became of an export?", EXPORT_ID="announced")
    assert [row["message"] for row in announced] == ["export_announced", "export_looked_at"]
    assert run.ask("What became of an export?", EXPORT_ID="another") == []


def test_which_exports_wait_longest_and_on_what(run: Run) -> None:
    rows = run.ask("Which exports wait longest, and on what?")
    waits_on = {row["export_id"]: row["waits_on"] for row in rows}
    assert waits_on.keys() == {"slow", "slower", "sealed", "held", "announced"}
    assert "AuthorizationError" in waits_on.pop("held")
    assert set(waits_on.values()) == {TOKEN_REFUSED}
    assert rows[0]["export_id"] == "slow"
    assert [row["age"] for row in rows] == sorted((row["age"] for row in rows), reverse=True)
    assert {row["message_id"] for row in rows} >= {run.messages[name] for name in ("slow", "slower", "sealed", "held")}


def test_why_the_token_was_refused(run: Run) -> None:
    [row] = run.ask("Why was the token refused?")
    assert (row["obstacle"], row["exports"]) == (TOKEN_REFUSED, 4)
    assert row["first_seen"] <= row["last_seen"]


def test_what_the_api_answers(run: Run) -> None:
    [row] = run.ask("What does the API answer?")
    assert "HTTP 500" in row["obstacle"]
    assert row["polls"] >= 1


def test_which_access_is_refused(run: Run) -> None:
    [row] = run.ask("Which access is refused?")
    assert (row["reason"], row["exports"], row["for_example"]) == ("OBJECT_FORBIDDEN", 1, "sealed")
    assert row["because"] == "The bucket somebody-else-s is not one of ExportBuckets."


def test_what_was_rejected_and_why(run: Run) -> None:
    direct, set_aside = run.ask("What was rejected, and why?")
    assert set_aside["message_id"] == run.messages["not understood"]
    assert set_aside["error"].startswith("body: must be JSON")
    assert "StartEventError: export_id: must be 1 to 128" in direct["@message"]


def test_what_failed_by_reason(run: Run) -> None:
    rows = {row["reason"]: (row["exports"], row["for_example"]) for row in run.ask("What failed, by reason?")}
    assert rows == {"EXPORT_FAILED": (1, "failed"), "EXPORT_NOT_FOUND": (1, "unknown")}


def test_what_keeps_events_from_being_published(run: Run) -> None:
    [row] = run.ask("What keeps events from being published?")
    assert row["exports"] == 1
    assert row["because"].startswith("SNS: ")


def test_what_went_wrong_that_nobody_foresaw(run: Run) -> None:
    [row] = run.ask("What went wrong that nobody foresaw?")
    assert row["exception_name"] == "KeyError"
    assert "Traceback" in row["exception"]
    assert "in set_aside" in row["exception"]
    assert row["message_ids.0"] == "made-by-hand"


def test_which_invocations_failed(run: Run) -> None:
    [row] = run.ask("Which invocations failed?")
    assert "StartEventError" in row["@message"]


def test_what_happened_to_one_message(run: Run) -> None:
    slow = run.ask("What happened to one message?", MESSAGE_ID=run.messages["slow"])
    assert [row["receives"] for row in slow] == list(range(1, len(slow) + 1))
    assert len(slow) >= 2
    [rejected] = run.ask("What happened to one message?", MESSAGE_ID=run.messages["not understood"])
    assert rejected["message"] == "message_set_aside"
    by_hand = run.ask("What happened to one message?", MESSAGE_ID="made-by-hand")
    assert [row["message"] for row in by_hand] == ["unforeseen_error", "message_not_hidden"]


def test_how_long_exports_took(run: Run) -> None:
    failed, completed = run.ask("How long did exports take?")
    assert (failed["outcome"], failed["exports"], failed["most_looks"]) == ("failed", 2, 1)
    assert (completed["outcome"], completed["exports"]) == ("completed", 1)
    assert 0 < failed["average_seconds"] <= failed["longest_seconds"] < 600


def test_no_query_goes_unasked() -> None:
    assert len(QUERIES) == PAGE.count("```logs-insights\n")
    asked = set(re.findall(r'run\.ask\("([^"]+)"', Path(__file__).read_text("utf-8")))
    assert asked == set(QUERIES)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "filter a = 1",
        "fields a | dedup a",
        "fields a | filter a != 1",
        "fields a | filter a like b",
        "fields a | filter",
        "fields a | sort a",
        "fields a | sort a sideways",
        "fields a | sort missing asc",
        "fields a; limit 1",
        "stats pct(a, 99) as p",
        "stats count(*)",
        "stats latest(missing) as m",
        "stats latest(missing) as m by a | filter m = 1",
    ],
)
def test_query_that_is_not_known_to_mean_something_is_refused(query: str) -> None:
    with pytest.raises(QueryError):
        ask(query, ['{"a": 1}'])


def test_query_is_answered_as_aws_documents_it() -> None:
    lines = [
        '{"timestamp": "2026-11-24 10:00:00,000+0000", "a": 1, "list": [{"b": "x"}], "c": "10"}',
        '{"timestamp": "2026-11-24 10:00:02,000+0000", "a": 2, "c": 10, "d": null}',
        '{"timestamp": "2026-11-24 10:00:01,500+0000", "a": 3, "s": "aXb"}',
        "REPORT RequestId: x",
    ]
    assert ask("fields a, list.0.b | filter a < 3 and not (a = 2) | limit 5", lines) == [{"a": 1, "list.0.b": "x"}]
    assert ask("fields a | filter a in [1, 3] or @message like /^REPORT/ | limit 2", lines) == [{"a": 1}, {"a": 3}]
    # A text is no number, and what is null is not there.
    assert ask('fields a | filter c = 10 or c = "11"', lines) == [{"a": 2}]
    assert ask("fields a | filter ispresent(d)", lines) == []
    assert ask('fields a | filter s like "X" | sort a desc', lines) == [{"a": 3}]
    assert ask("stats count(*) as n, count(c) as c", lines) == [{"n": 4, "c": 2}]
    assert ask(
        "filter a > 0 | stats latest(a) as z, earliest(a) as y, min(a) as x, max(a) as w, avg(a) as v", lines
    ) == [{"z": 2, "y": 1, "x": 1, "w": 3, "v": 2.0}]
    assert ask("filter a >= 2 and a <= 3 | stats count_distinct(a) as n by s | sort n asc | limit 1", lines) == [
        {"n": 1}
    ]
