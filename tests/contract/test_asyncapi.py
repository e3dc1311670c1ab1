"""`docs/asyncapi.yaml` agrees with the code, the schemas and the template, and `docs/events.md` with it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from export_monitor.domain.events import DELAYED_TYPE
from export_monitor.domain.groups import CONCLUDED_TYPE, concluded_message
from export_monitor.domain.model import ExportJob
from local.template import template
from tests.contract.sample_events import API, COMPLETED, DELAYED, ENDED, ENDINGS, GROUPS, delayed, ending, example_watch
from tests.contract.schema_files import CONTENTS, example_files
from tools import events_page
from tools.schema_changes import last_release

DOCUMENT: Mapping[str, Any] = yaml.safe_load(events_page.DOCUMENT.read_text("utf-8"))
MESSAGES: Mapping[str, Any] = DOCUMENT["components"]["messages"]
PUBLISHED = [name for name, message in MESSAGES.items() if "headers" in message]
GROUP = {"group": {"id": "run-42", "size": 250}}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (inner for name, inner in value.items() if name == "$ref")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from references(inner)


def pointed_to(reference: str) -> Any:
    """What a reference of the document leads to, a file's whole content or a place in the document."""
    if not reference.startswith("#/"):
        return json.loads((events_page.DOCUMENT.parent / reference).read_text("utf-8"))
    found: Any = DOCUMENT
    for step in reference.split("/")[1:]:
        found = found[step]
    return found


def emitted(name: str) -> dict[str, dict[str, str | int]]:
    """The attributes of each exemplary message of a type; those of exports once alone and once in a group."""
    if name == CONCLUDED_TYPE:
        return {key: concluded_message(*group, ENDED, API).attributes for key, group in GROUPS.items()}
    if name == DELAYED_TYPE:
        return {f"{key}{len(detail)}": delayed(key, **detail).attributes for key in DELAYED for detail in ({}, GROUP)}
    found = {}
    for (schema, key), answers in ENDINGS.items():
        export_id = answers.job.id if isinstance(answers.job, ExportJob) else COMPLETED.id
        for suffix, detail in ("", {}), (" in a group", GROUP):
            if schema == name and (message := ending(answers, example_watch(export_id, **detail), now=ENDED)):
                found[key + suffix] = message.attributes
    return found


def test_every_reference_leads_somewhere() -> None:
    found = list(references(DOCUMENT))
    assert len(found) > len(MESSAGES)
    assert all(pointed_to(reference) for reference in found)


def test_every_schema_is_the_payload_of_the_message_of_its_name() -> None:
    assert {f"{name}.schema.json" for name in MESSAGES} == CONTENTS.keys() - {"common.schema.json"}
    for name, message in MESSAGES.items():
        assert message["payload"]["schema"] == {"$ref": f"../schemas/{name}.schema.json"}
        assert message["payload"]["schemaFormat"] == "application/schema+json;version=draft-2020-12"


def test_every_message_goes_through_a_channel_with_an_operation_in_its_direction() -> None:
    actions = {channel: set[str]() for channel in DOCUMENT["channels"]}
    for operation in DOCUMENT["operations"].values():
        actions[operation["channel"]["$ref"].removeprefix("#/channels/")].add(operation["action"])
    directions: dict[str, set[str]] = {name: set() for name in MESSAGES}
    for channel, content in DOCUMENT["channels"].items():
        for name, reference in content["messages"].items():
            assert reference == {"$ref": f"#/components/messages/{name}"}
            directions[name] |= actions[channel]
    assert directions == {name: {"send" if name in PUBLISHED else "receive"} for name in MESSAGES}


@pytest.mark.parametrize("name", PUBLISHED)
def test_headers_are_the_message_attributes_that_the_code_emits(name: str) -> None:
    headers = MESSAGES[name]["headers"]
    messages = emitted(name).values()
    for attributes in messages:
        Draft202012Validator({**headers, "additionalProperties": False}).validate(attributes)
    assert {attribute for attributes in messages for attribute in attributes} == headers["properties"].keys()
    assert {*headers["required"]} <= set.intersection(*({*attributes} for attributes in messages))


@pytest.mark.parametrize("name", MESSAGES)
def test_example_is_a_valid_one_of_its_message(name: str) -> None:
    files = {file.stem: file for file in example_files() if file.parent.name == name}
    for example in MESSAGES[name]["examples"]:
        path = (events_page.DOCUMENT.parent / example["payload"]["$ref"]).resolve()
        assert path == files[example["name"]].resolve()


def test_bus_topic_and_queues_are_those_of_the_template() -> None:
    parameters = DOCUMENT["channels"]["bus"]["parameters"]
    assert [(name, one["default"]) for name, one in parameters.items()] == [
        ("EventBusName", template()["Parameters"]["EventBusName"]["Default"])
    ]
    names = [DOCUMENT["channels"]["topic"]["bindings"]["sns"]["name"]]
    names += [one["name"] for one in DOCUMENT["channels"]["queue"]["bindings"]["sqs"].values()]
    types = [template()["Resources"][name]["Type"] for name in names]
    assert types == ["AWS::SNS::Topic", "AWS::SQS::Queue", "AWS::SQS::Queue"]


def test_document_has_the_version_that_was_released_last() -> None:
    assert DOCUMENT["info"]["version"] == last_release().name


def test_page_is_generated_from_the_document_and_the_schemas() -> None:
    assert events_page.PAGE.read_text("utf-8") == events_page.page(), "make docs"


def test_every_field_and_attribute_of_the_page_has_a_meaning() -> None:
    rows = [line for line in events_page.page().splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [row for row in rows if row.rstrip("| ").count(" | ") != 2] == []
