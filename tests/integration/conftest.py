"""A deployed stack, and a world of the function's parts alone, for the tests of the contract's promises."""

from collections.abc import Iterator

import pytest
from moto import mock_aws

from local.emulator import ACCOUNT_ID, REGION
from local.export_jobs import documented_failed
from local.simulated_api import serve
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack, deliver_to
from tests import fakes
from tests.cloudwatch import Alarm
from tests.integration.harness import FILE, World
from tests.integration.role import rights_exceeded

QUICK = {
    "ApiRequestsPerMinute": "200",
    "MinPollSeconds": "1",
    "MaxPollSeconds": "1",
    "ObjectGraceSeconds": "0",
    "NotFoundGraceSeconds": "0",
    "DiscoveryMinutes": "2",
    # Longer than any test watches an export.
    "DelayedAfterHours": "1",
    "KmsKeyArns": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/1234abcd-12ab-34cd-56ef-1234567890ab",
}


@pytest.fixture(scope="module")
def deployed() -> Iterator[Stack]:
    """One deployment for all tests here; each works with exports of its own names."""
    platform = Platform(TOKEN)
    platform.add_volume("rfranklin/output", bucket="bucket")
    platform.add_file(FILE, name="output.vcf", size=1234, project="rfranklin/my-project")
    platform.add_job(documented_failed())
    with Stack(
        platform,
        buckets=("bucket", "versions"),
        parameters=QUICK,
        polls=False,
        workers=4,
    ) as stack:
        enabled = {"Status": "Enabled"}
        stack.client("s3").put_bucket_versioning(Bucket="versions", VersioningConfiguration=enabled)
        yield stack
        assert TOKEN not in "\n".join(stack.log_lines)
        assert rights_exceeded(stack) == set()


@pytest.fixture(scope="module")
def alarms(deployed: Stack) -> dict[str, Alarm]:
    """The alarms as deployed, by their logical ids."""
    described = deployed.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return {one["AlarmName"].rpartition("-")[2]: Alarm.of(one) for one in described}


@pytest.fixture
def stack(deployed: Stack) -> Iterator[Stack]:
    """The stack with an empty queue, a new process and nothing amiss; the test steps the mapping."""
    deployed.platform.faults.clear()
    deployed.aws.fault_for = lambda _: None
    deployed.platform.tokens = {TOKEN}
    deployed.platform.deliver = deliver_to(deployed)
    deployed.client("secretsmanager").put_secret_value(SecretId=deployed.secret_arn, SecretString=TOKEN)
    deployed.environments[0].kill()
    deployed.log_lines.clear()
    deployed.receive(timeout_seconds=0)
    deployed.dead_letters()
    yield deployed
    assert TOKEN not in "\n".join(deployed.log_lines)


@pytest.fixture
def platform(stack: Stack) -> Platform:
    return stack.platform


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        aws = fakes.AwsAccount()
        platform = Platform(fakes.TOKEN, deliver=aws.put_object)
        platform.add_volume("rfranklin/output", bucket="bucket")
        platform.add_file(FILE, name="output.vcf", size=1234, project="rfranklin/my-project")
        with serve(platform) as base_url:
            world = World(aws, platform, base_url)
            yield world
            # Whatever a test did: the token is nowhere, and every unexpected error is logged.
            reported = [world.report.lines, aws.published(), aws.dead_letters(), world.report.counts]
            assert fakes.TOKEN not in repr(reported)
            assert world.report.counts["UnexpectedErrors"] == len(world.report.logged("unexpected_error"))


@pytest.fixture
def calm(world: World) -> Iterator[World]:
    """A world in which nothing happens that nobody foresaw."""
    yield world
    assert world.report.logged("unexpected_error") == []
