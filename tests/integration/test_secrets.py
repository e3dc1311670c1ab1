"""Secrets of every kind, given to the built function: one without a token pauses its exports and is never shown."""

import itertools
import json
from typing import Any

import pytest

from local.aws_calls import ServiceError
from local.simulated_platform import Platform
from local.stack import TOKEN, Stack
from tests.integration.steps import completed, drained, failing, run_until_drained

pytestmark = pytest.mark.once

# Part of each text that holds no token, so that it is known wherever it turns up.
HIDDEN = "s3cret"
_numbers = itertools.count()


def put(stack: Stack, secret: str | bytes) -> None:
    kept: dict[str, Any] = {"SecretBinary" if isinstance(secret, bytes) else "SecretString": secret}
    stack.client("secretsmanager").put_secret_value(SecretId=stack.secret_arn, **kept)


def announce(stack: Stack, platform: Platform) -> str:
    """Announce an export that has completed; gives its id."""
    export_id = f"secret-{next(_numbers)}"
    platform.add_job(completed(export_id))
    stack.send(json.dumps({"export_id": export_id}))
    return export_id


def poll_and_wait(stack: Stack) -> None:
    """One invocation, which keeps the message and counts a rejected token."""
    invocation = stack.mapping.run_once()
    assert invocation is not None
    assert invocation.status == "returned"
    assert not drained(stack)
    assert stack.receive(timeout_seconds=0) == []
    [metrics] = [line for line in stack.logs() if "TokenRejected" in line]
    assert metrics["TokenRejected"] == [1.0]


def fix_and_conclude(stack: Stack, export_id: str) -> None:
    """Put the good token into the secret: the export is concluded by the process that runs already."""
    put(stack, TOKEN)
    run_until_drained(stack, stack.mapping)
    assert [one.event["id"] for one in stack.receive()] == [f"{export_id}:completed"]
    cold_starts = [line["cold_start"] for line in stack.logs() if "cold_start" in line]
    assert len(cold_starts) >= 2
    assert not any(cold_starts[1:])


@pytest.mark.parametrize(
    "secret",
    [
        " \n\t",
        f'{{"auth_token": "{TOKEN}-{HIDDEN}"',
        f"{TOKEN}-{HIDDEN}".encode(),
        json.dumps({"auth_token": f"{TOKEN}\r\n\r\nGET /v2/user HTTP/1.1\r\nX-Injected: {HIDDEN}"}),
    ],
    ids=["white space", "broken JSON", "binary", "newline inside of JSON"],
)
def test_secret_without_a_token_pauses_its_exports_until_it_is_fixed_without_a_restart(
    stack: Stack, platform: Platform, secret: str | bytes
) -> None:
    put(stack, secret)
    asked_before = len(platform.requests)
    export_id = announce(stack, platform)
    poll_and_wait(stack)
    assert len(platform.requests) == asked_before
    fix_and_conclude(stack, export_id)
    assert all(one.token_was_right for one in platform.requests[asked_before:])
    assert not any("x-injected" in one.header_names for one in platform.requests)
    assert HIDDEN not in "\n".join(stack.log_lines)


def test_secret_that_was_damaged_when_the_token_was_rotated_splits_no_header(stack: Stack, platform: Platform) -> None:
    before = announce(stack, platform)
    run_until_drained(stack, stack.mapping)
    assert [one.event["id"] for one in stack.receive()] == [f"{before}:completed"]
    # The platform knows the new token only, and the worker still keeps the old one.
    platform.tokens = {"the-new-token"}
    put(stack, f"the-new-token\nX-Injected: {HIDDEN}")
    export_id = announce(stack, platform)
    poll_and_wait(stack)
    assert platform.requests[-1].status == 401
    assert not any("x-injected" in one.header_names for one in platform.requests)
    platform.tokens = {"the-new-token", TOKEN}
    fix_and_conclude(stack, export_id)
    assert HIDDEN not in "\n".join(stack.log_lines)


def test_rejected_token_is_read_again_and_never_shown(stack: Stack, platform: Platform) -> None:
    put(stack, f"another-{HIDDEN}")
    export_id = announce(stack, platform)
    poll_and_wait(stack)
    assert [one.status for one in platform.requests[-2:]] == [401, 401]
    fix_and_conclude(stack, export_id)
    assert HIDDEN not in "\n".join(stack.log_lines)


def test_secret_that_cannot_be_read_is_reported_by_its_error_code(stack: Stack, platform: Platform) -> None:
    stack.aws.fault_for = failing("GetSecretValue", ServiceError(400, "AccessDeniedException"))
    export_id = announce(stack, platform)
    poll_and_wait(stack)
    [polled] = [line for line in stack.logs() if line.get("export_id") == export_id]
    assert polled["blocked_by"] == "the secret cannot be read: AccessDeniedException"
    stack.aws.fault_for = lambda _: None
    fix_and_conclude(stack, export_id)
