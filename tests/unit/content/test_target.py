"""What identifies a version of an object, and the messages of the content queue."""

import json
from dataclasses import replace
from typing import Any

import pytest

from export_monitor.domain.content.plan import Part
from export_monitor.domain.content.target import (
    ContentMessage,
    ContentTarget,
    InvalidContentMessageError,
    parse_content_message,
)
from export_monitor.domain.model import StoredObject

TARGET = ContentTarget("bucket", "reads.bam", 100, "tag")
BODY: dict[str, Any] = json.loads(ContentMessage(TARGET, Part(1, 10, 20)).to_body())


def test_target_is_what_was_inspected() -> None:
    assert ContentTarget.of(StoredObject("bucket", "reads.bam", 100, "tag", 0)) == TARGET


def test_etag_tells_versions_apart_where_there_is_no_version_id() -> None:
    versioned = replace(TARGET, version_id="v1")
    assert versioned.id == replace(versioned, etag="another").id
    different = [TARGET, versioned, *(replace(TARGET, **one) for one in ({"etag": "x"}, {"key": "x"}, {"size": 1}))]
    assert len({one.id for one in different}) == 5


@pytest.mark.parametrize("part", [None, Part(0, 0, 20, is_proven=True), Part(1, 10, 20)])
def test_message_comes_back(part: Part | None) -> None:
    message = ContentMessage(replace(TARGET, version_id="v1"), part)
    assert parse_content_message(message.to_body()) == message


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("rubbish", "the body is not JSON"),
        ("[]", "the body is not a content message: "),
        ("{}", "the body is not a content message: 'target'"),
        (json.dumps({**BODY, "target": {}}), "the body is not a content message: "),
        (json.dumps({**BODY, "target": {**BODY["target"], "etag": ""}}), "target: bucket, key and etag must be text"),
        (json.dumps({**BODY, "target": {**BODY["target"], "size": 1.5}}), "size, number, start and stop must be"),
        (json.dumps({**BODY, "part": {**BODY["part"], "start": -1}}), "size, number, start and stop must be"),
    ],
)
def test_message_that_says_nothing_is_refused_with_the_rule(body: str, error: str) -> None:
    with pytest.raises(InvalidContentMessageError, match=error):
        parse_content_message(body)
