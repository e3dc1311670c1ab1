"""Exemplary groups; run as a program, this writes the valid examples of the group's schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export_monitor.domain.groups import CONCLUDED_TYPE, FailedMember, GroupProgress, concluded_message
from export_monitor.domain.model import Group
from tests.contract.sample_events import API
from tests.contract.schema_files import DIRECTORY

STARTED, ENDED = 1466018259.0, 1466104659.0
CONFLICT = FailedMember(
    export_id="DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY",
    reason="EXPORT_FAILED",
    message="Destination already contains an object.",
    code=9107,
    file="57679b78f5b039a7e7fde6a9",
    volume="rfranklin/output",
    location="_4_s3_file.jpg",
)
UNKNOWN = FailedMember("5AfGvYSsAgQ9BxbBWUb2vLGeLLB56wL2", "EXPORT_NOT_FOUND", "Job not found.", 9008)
GROUPS: Mapping[str, tuple[GroupProgress, list[FailedMember]]] = {
    "completed": (GroupProgress(Group("run-42", 250), 250, 0, STARTED), []),
    "failed": (GroupProgress(Group("run-42", 250), 248, 2, STARTED), [CONFLICT, UNKNOWN]),
    "incomplete": (GroupProgress(Group("run-42", 250), 247, 1, STARTED), [UNKNOWN]),
}


def example(name: str) -> Any:
    """The exemplary event of this name."""
    progress, failures = GROUPS[name]
    return json.loads(json.loads(concluded_message(progress, failures, ENDED, API).body)["default"])


def example_file(name: str) -> Path:
    return DIRECTORY / "examples" / "valid" / CONCLUDED_TYPE / f"{name}.json"


if __name__ == "__main__":
    for name in GROUPS:
        example_file(name).parent.mkdir(parents=True, exist_ok=True)
        example_file(name).write_text(json.dumps(example(name), indent=2, ensure_ascii=False) + "\n", "utf-8")
