"""The examples of announcing, run as their users run them, and what they read and write."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.aws_calls import called
from local.aws_proxy import AwsProxy, ForwardedCall
from local.emulator import CREDENTIALS, REGION
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack

EXAMPLES = Path(__file__).resolve().parent.parent.parent / "examples" / "announce"
VOLUME = "rfranklin/output"
PATHS = ["a.vcf", "b.vcf", "sub/c.vcf", "sub/d.vcf", "sub/sub/e.vcf"]
COLUMNS = ["export_id", "outcome", "reason", "code", "message", "location", "context", "advice"]

Ended = subprocess.CompletedProcess[str]
Run = Callable[..., Ended]


def add_project(platform: Platform, name: str) -> None:
    """A project whose folder `results` has five files at three depths; another file is outside of it."""
    for folder, parent in {"results": None, "sub": "results", "sub/sub": "sub"}.items():
        within = {} if parent is None else {"parent": f"{name}:{parent}"}
        platform.add_folder(f"{name}:{folder}", name=folder.rpartition("/")[2], project=name, **within)
    for path in PATHS:
        add_file(platform, name, path)
    platform.add_file(f"{name}:outside", name="outside.vcf", size=9, project=name)


def add_file(platform: Platform, project: str, path: str, **fields: Any) -> None:
    folder, _, name = path.rpartition("/")
    parent = f"{project}:{folder or 'results'}"
    platform.add_file(f"{project}:{path}", name=name, size=9, project=project, parent=parent, **fields)


def add_files(platform: Platform, prefix: str, count: int) -> list[str]:
    """Files of one project, whose ids begin with a prefix."""
    ids = [f"{prefix}-{n}" for n in range(count)]
    for n, file_id in enumerate(ids):
        platform.add_file(file_id, name=f"{n}.vcf", size=9, project="rfranklin/my-project")
    return ids


def variables(api_url: str, endpoint_url: str) -> dict[str, str]:
    """The environment of an example."""
    return {
        **CREDENTIALS,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint_url,
        "SB_API_ENDPOINT": api_url,
        "SB_AUTH_TOKEN": TOKEN,
        "PATH": os.environ["PATH"],
    }


def command(script: str, *arguments: str) -> list[str]:
    return ["sh" if script.endswith(".sh") else sys.executable, str(EXAMPLES / script), *arguments]


def runner(environment: Mapping[str, str], folder: Path) -> Run:
    """Runs an example in a folder."""

    def run(script: str, *arguments: str, given: str = "", **changes: str) -> Ended:
        return subprocess.run(  # noqa: S603 -- the project's own examples
            command(script, *arguments),
            env={**environment, **changes},
            cwd=folder,
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run


@dataclass
class World:
    """A simulated platform, and AWS without the stack: `announced` are the details that reached EventBridge."""

    platform: Platform
    api_url: str
    aws: AwsProxy
    client: Callable[[str], Any]
    announced: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.aws.reached = self._keep_announced

    def groups(self) -> dict[str, tuple[int, set[str]]]:
        """The size and the exports of each announced group."""
        found: dict[str, tuple[int, set[str]]] = {}
        for detail in self.announced:
            group = detail["group"]
            size, exports = found.setdefault(group["id"], (group["size"], set()))
            assert size == group["size"]
            exports.add(detail["export_id"])
        return found

    def start_requests(self) -> list[str]:
        """The paths of all requests so far that start exports."""
        starts = ("/storage/exports", "/bulk/storage/exports/create")
        return [one.path for one in self.platform.requests if one.method == "POST" and one.path in starts]

    def _keep_announced(self, reached: ForwardedCall) -> None:
        if called(reached.request).operation == "PutEvents":
            self.announced += [json.loads(entry["Detail"]) for entry in reached.request.body["Entries"]]


def write_report(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """A small report of a group, with the columns that the examples read."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        writer.writerows({"context": "{}", **row} for row in rows)


def journal(folder: Path, name: str = "exports.jsonl") -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def started(platform: Platform, prefix: str) -> list[str]:
    """The locations under a prefix of all exports that the platform has."""
    return sorted(job.location for job in platform.jobs() if job.location.startswith(prefix))


def concluded(stack: Stack, group: str, exports: int) -> Mapping[str, Any]:
    """The data of the group's event, which comes with one event for each of its exports."""
    events = [one.event for one in stack.receive(exports + 1)]
    [data] = [event["data"] for event in events if event["subject"] == group]
    return dict(data)


def export_ids(stack: Stack, project: str, count: int) -> list[str]:
    """Exports that were started in another way."""
    return [
        stack.platform.start(
            {"source": {"file": f"{project}:outside"}, "destination": {"volume": VOLUME, "location": f"{project}/{n}"}},
            copy_only=True,
        ).id
        for n in range(count)
    ]


def shown(script: str) -> list[tuple[list[str], list[str]]]:
    """The commands of a script that the page shows, in words, each with the lines of its output."""
    blocks = re.findall(r"```console\n(.*?)```", (EXAMPLES / "README.md").read_text(), re.DOTALL)
    commands = [one.splitlines() for block in blocks for one in re.split(r"^\$ ", block, flags=re.MULTILINE) if one]
    words = [(shlex.split(command), output) for command, *output in commands]
    return [(arguments[2:], output) for arguments, output in words if arguments[1] == script]


def without_ids(lines: Sequence[str]) -> list[str]:
    return [re.sub(r"\b[A-Za-z0-9]{32}\b", "ID", line) for line in lines]
