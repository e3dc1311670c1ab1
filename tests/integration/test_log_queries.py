"""The queries of `docs/operations.md` name fields, values and texts that are in the log of a run.

Their results are not tested: moto ignores every command except `fields`, `limit` and `sort`.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cost import METRICS_LINE_BYTES, POLL_LINE_BYTES
from local.stack import Stack
from tests.integration.incident_run import log_of, run_eventfully

pytestmark = pytest.mark.once

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
QUERIES = {
    section.partition("\n")[0]: section.partition("```logs-insights\n")[2].partition("```")[0]
    for section in PAGE.split("\n### ")[1:]
}
COMMANDS = {"fields", "filter", "stats", "sort", "limit"}
WORDS = COMMANDS | {"and", "or", "not", "in", "like", "by", "as", "asc", "desc"}
FUNCTIONS = {"avg", "count", "count_distinct", "earliest", "latest", "max", "min"}
DISCOVERED = {"@timestamp", "@message"}
# Placeholders, and the reasons of denied access, which a contract test compares with the code.
NOT_IN_THE_RUN = {"EXPORT_ID", "MESSAGE_ID", "EXPORT_FORBIDDEN", "VOLUME_UNAVAILABLE"}

TEXT, PATTERN = r'"[^"]*"', r"/(?:\\.|[^/\\])+/"
LITERAL = re.compile(f"{TEXT}|{PATTERN}")
COMPARISON = re.compile(rf"(\S+) (=|in|like) ({TEXT}|\[[^\]]*\]|{PATTERN})")


@pytest.fixture(scope="module")
def log(deployed: Stack) -> list[dict[str, str]]:
    """The lines of an eventful run: each its fields by their dotted paths, and the whole as `@message`."""
    run_eventfully(deployed)
    return [
        {**(dict(leaves(json.loads(line))) if line.startswith("{") else {}), "@message": line}
        for line in log_of(deployed)
    ]


def leaves(node: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """The values in a JSON value by their paths, such as `message_ids.0`; a null is no value."""
    if isinstance(node, dict | list):
        for name, part in node.items() if isinstance(node, dict) else enumerate(node):
            yield from leaves(part, f"{path}.{name}".lstrip("."))
    elif node is not None:
        yield path, str(node)


def names(query: str) -> set[str]:
    """What a query names that is neither the language's, nor a literal, nor an alias of its own."""
    bare = LITERAL.sub("", query)
    assert set(re.findall(r"(\w+)\(", bare)) <= FUNCTIONS
    assert {line.removeprefix("| ").partition(" ")[0] for line in query.splitlines()} <= COMMANDS
    aliases = set(re.findall(r" as (\w+)", bare))
    return set(re.findall(r"@?[A-Za-z_][\w.]*", bare)) - aliases - WORDS - FUNCTIONS - DISCOVERED


def test_every_query_is_read() -> None:
    assert len(QUERIES) == PAGE.count("```logs-insights\n") > 10
    assert all(QUERIES.values())


@pytest.mark.parametrize("heading", QUERIES)
def test_fields_of_a_query_are_logged_on_the_lines_that_it_selects(log: list[dict[str, str]], heading: str) -> None:
    query = QUERIES[heading]
    [message] = re.findall(r'message = "(\w+)"(?! or)', query) or [None]
    chosen = {field for line in log if message in (None, line.get("message")) for field in line}
    assert names(query) - chosen == set()


@pytest.mark.parametrize("heading", QUERIES)
def test_values_that_a_query_compares_with_are_logged_under_that_field(log: list[dict[str, str]], heading: str) -> None:
    aliases = {alias: field for field, alias in re.findall(r"\((\w+)\) as (\w+)", QUERIES[heading])}
    for name, operator, literals in COMPARISON.findall(QUERIES[heading]):
        logged = {line.get(aliases.get(name, name), "") for line in log}
        matches = re.search if operator == "like" else re.fullmatch
        texts = {literal[1:-1] for literal in LITERAL.findall(literals)} - NOT_IN_THE_RUN
        assert {text for text in texts if not any(matches(text, value) for value in logged)} == set()


def test_lines_are_as_long_as_the_cost_model_assumes(log: list[dict[str, str]]) -> None:
    polls = [len(line["@message"]) for line in log if line.get("message") == "export_polled"]
    # A quiet round has two metrics; each further one takes some 55 bytes.
    rounds = [
        len(line["@message"]) - 55 * (line["@message"].count('"Name"') - 2)
        for line in log
        if "OldestWatchAgeSeconds.0" in line
    ]
    assert sum(polls) / len(polls) == pytest.approx(POLL_LINE_BYTES, rel=0.1)
    assert min(rounds) == pytest.approx(METRICS_LINE_BYTES, rel=0.1)
