"""The current schemas keep the promises of the last release, and broken promises are detected."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from tests.contract.schema_files import DIRECTORY, example_files, example_id, validator_of
from tools import schema_changes
from tools.schema_changes import ACCEPTED_PREFIX, SUFFIX, changes, last_release, load

RELEASED, PRESENT = load(last_release()), load()
PUBLISHED = [path for path in example_files() if not path.parent.name.startswith(ACCEPTED_PREFIX)]


def test_every_promise_of_the_last_release_is_kept() -> None:
    assert changes(RELEASED, PRESENT) == []


@pytest.mark.parametrize("path", PUBLISHED, ids=example_id)
def test_event_of_this_version_is_valid_for_a_subscriber_of_the_last_release(path: Path) -> None:
    # An event type that is new since then does not concern it.
    if path.parent.name in RELEASED:
        released = {f"{name}{SUFFIX}": schema for name, schema in RELEASED.items()}
        validator_of(released, path.parent.name).validate(json.loads(path.read_text("utf-8")))


def described_fields(schema: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each unconditional field: the `properties` that contain it, and its name."""
    if not isinstance(schema, dict):
        return
    properties = schema.get("properties", {})
    if "object" in schema.get("type", ()):
        yield from ((properties, name) for name in properties)
    for inner in (*properties.values(), *schema.get("$defs", {}).values()):
        yield from described_fields(inner)


def test_no_field_can_go_or_change_its_type_unnoticed() -> None:
    unnoticed, tried = [], 0
    for file in PRESENT:
        for index, (_, name) in enumerate(described_fields(PRESENT[file])):
            for change in ("gone", "changed"):
                new = {**PRESENT, file: deepcopy(PRESENT[file])}
                properties, _ = list(described_fields(new[file]))[index]
                if change == "gone":
                    del properties[name]
                else:
                    properties[name] = {"type": "array"}
                tried += 1
                unnoticed += [] if changes(PRESENT, new) else [(file, name, change)]
    assert tried > 100
    assert unnoticed == []


def test_command_says_which_promises_are_broken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert schema_changes.main([]) == 0
    assert capsys.readouterr().out == f"Every promise of {last_release().name} is kept.\n"
    for path in DIRECTORY.glob(f"*{SUFFIX}"):
        text = path.read_text("utf-8").replace('"OBJECT_FORBIDDEN", "TIMED_OUT"', '"OBJECT_FORBIDDEN"')
        (tmp_path / path.name).write_text(text.replace('"origin"', '"beginning"'), "utf-8")
    assert schema_changes.main([str(tmp_path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "cgc.export.completed.v1: data.watch.origin is gone" in lines
    assert any(line.startswith("cgc.export.failed.v1: data.failure.reason: enum was ") for line in lines)
