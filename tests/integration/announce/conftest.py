"""Where the examples of announcing run: the local stack, or a platform and AWS without the stack."""

import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from local.aws_proxy import aws_proxy
from local.emulator import REGION, Emulator, emulator
from local.export_jobs import AT_ONCE
from local.simulated_api import serve
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to
from tests import aws_cli
from tests.integration.announcing import VOLUME, Run, World, add_project, runner, variables


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    platform = Platform(TOKEN)
    platform.default_steps = AT_ONCE
    platform.add_volume(VOLUME, bucket="bucket")
    with Stack(platform, parameters={"MinPollSeconds": "1"}, workers=1) as running:
        platform.deliver = deliver_to(running)
        yield running


@pytest.fixture
def project(stack: Stack, request: pytest.FixtureRequest) -> str:
    """The test's own project."""
    name = f"rfranklin/{request.node.name.replace('_', '-')[:60]}"
    add_project(stack.platform, name)
    return name


@pytest.fixture
def run(stack: Stack, tmp_path: Path) -> Iterator[Run]:
    """Runs an example in the test's own folder, against the stack."""
    endpoint_url = stack.emulator.endpoint_url
    with aws_cli.installed(tmp_path, boto3.Session("x", "x", region_name=REGION), endpoint_url):
        environment = variables(stack.api_url, endpoint_url)
        yield runner(environment | {"PATH": f"{tmp_path}{os.pathsep}{environment['PATH']}"}, tmp_path)


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    """AWS without the stack."""
    with emulator() as account:
        yield account


@pytest.fixture
def world(aws: Emulator) -> Iterator[World]:
    platform = Platform(TOKEN)
    platform.add_volume(VOLUME, bucket="bucket")
    with aws_proxy(aws.endpoint_url) as proxy, serve(platform) as api_url:
        yield World(platform, api_url, proxy, aws.client)


@pytest.fixture
def run_alone(world: World, tmp_path: Path) -> Run:
    """Runs an example in the test's own folder, without the stack."""
    return runner(variables(world.api_url, world.aws.endpoint_url), tmp_path)
