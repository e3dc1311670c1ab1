"""A shell whose `aws` speaks to moto with the template deployed, and whose `sam` does nothing."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import boto3
from moto import mock_aws

from local.deployment import deploy
from local.emulator import REGION
from tests import aws_cli
from tests.documented_commands import ROOT

SECRET = "the-stack-s"


@dataclass
class World:
    """The template deployed to moto, and a shell whose `aws` speaks to it."""

    session: boto3.Session
    folder: Path
    outputs: Mapping[str, str] = field(default_factory=dict)
    moves: list[Mapping[str, Any]] = field(default_factory=list)
    invocations: list[tuple[str, Any]] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return self.session.client(service)

    def run(self, *parts: str, **variables: str) -> str:
        """What a shell prints that runs the parts one after the other; it has to succeed."""
        script = "\n".join(parts)
        path = f"{self.folder}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(  # noqa: S603 -- the documented commands
            ["/bin/sh", "-euc", script],
            cwd=self.folder,
            env={"PATH": path, **variables},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{script}\n{done.stderr}"
        return done.stdout

    def take(self, output: str) -> list[str]:
        """The bodies of the messages in a queue that an output of the stack names; they are deleted."""
        url = self.outputs[output]
        messages = self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [message["Body"] for message in messages]


def _answer_moves(world: World) -> Callable[..., Any]:
    """moto knows no tasks that move messages: botocore checks what is asked, and this answers."""

    def answer(params: Mapping[str, Any], **_: Any) -> Any:
        world.moves.append(json.loads(params["body"]))
        return SimpleNamespace(status_code=200), {"TaskHandle": "a-task", "Results": []}

    return answer


def _answer_invocations(world: World) -> Callable[..., Any]:
    """moto invokes functions in Docker only: this answers with nothing, and keeps what was invoked with what."""

    def answer(params: Mapping[str, Any], **_: Any) -> Any:
        arn = unquote(params["url_path"].split("/")[3])
        world.invocations.append((arn, json.loads(params["body"])))
        return SimpleNamespace(status_code=200), {"StatusCode": 200, "Payload": BytesIO(b"{}")}

    return answer


@contextmanager
def shell(folder: Path) -> Iterator[World]:
    """Deploy the template to moto; the shell's commands are put into the folder, and it runs there."""
    with mock_aws():
        world = World(boto3.Session(region_name=REGION), folder)
        secret = world.client("secretsmanager").create_secret(Name=SECRET, SecretString="old")
        parameters = {"TokenSecretArn": secret["ARN"], "ExportBuckets": "bucket"}
        world.outputs = deploy(SimpleNamespace(client=world.client), ROOT / "template.yaml", parameters).outputs
        for operation in ("StartMessageMoveTask", "ListMessageMoveTasks"):
            world.session.events.register(f"before-call.sqs.{operation}", _answer_moves(world))
        world.session.events.register("before-call.lambda.Invoke", _answer_invocations(world))
        (folder / "sam").write_text("#!/bin/sh\n")
        (folder / "sam").chmod(0o755)
        with aws_cli.installed(folder, world.session):
            yield world
