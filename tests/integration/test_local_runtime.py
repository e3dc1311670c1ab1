import json
import textwrap
from pathlib import Path

import pytest

from local.artifact import runtime_client
from local.lambda_runtime import ExecutionEnvironment, FunctionConfiguration

FUNCTION = """
import os, signal, sys, time

def handler(event, context):
    do = event["do"]
    if do == "raise":
        raise KeyError(event["text"])
    if do == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if do == "sleep":
        time.sleep(60)
    if do == "import":
        __import__(event["module"])
    return {
        "pid": os.getpid(),
        "event": event,
        "environment": dict(os.environ),
        "path": sys.path,
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }
"""
CONFIGURATION = FunctionConfiguration(
    name="tiny",
    arn="arn:aws:lambda:us-east-1:123456789012:function:tiny",
    handler="tiny.handler",
    environment={"COLOUR": "green"},
    timeout_seconds=20,
    memory_mb=256,
)


@pytest.fixture
def start(tmp_path: Path):
    started = []

    def start(code: str = FUNCTION, **options) -> ExecutionEnvironment:
        (tmp_path / "tiny.py").write_text(textwrap.dedent(code))
        started.append(
            ExecutionEnvironment(
                CONFIGURATION, tmp_path, runtime_client(), endpoint_url="http://127.0.0.1:1", log=print, **options
            )
        )
        return started[-1]

    yield start
    for environment in started:
        environment.kill()


def answer(invocation):
    assert invocation.status == "returned", invocation
    return json.loads(invocation.response)


def test_the_function_gets_its_event_its_context_and_only_the_variables_of_the_template_and_of_lambda(
    start, monkeypatch
):
    monkeypatch.setenv("LEFT_OVER", "from the shell")
    event = {"do": "", "text": 'ø "quoted" \\ \n', "numbers": [1, 2.5, None]}
    invocation = start().invoke(event)
    found = answer(invocation)
    assert (found["event"], found["request_id"], found["arn"]) == (event, invocation.request_id, CONFIGURATION.arn)
    assert 0 < found["remaining_ms"] <= 20_000
    variables = found["environment"]
    assert variables["COLOUR"] == "green"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "tiny"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert variables["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert not variables.keys() & {"LEFT_OVER", "PYTHONDONTWRITEBYTECODE"}


@pytest.mark.parametrize(
    ("event", "status", "error_type", "says"),
    [
        ({"do": "raise", "text": "no such key"}, "raised", "KeyError", "no such key"),
        # It is not in the artifact.
        ({"do": "import", "module": "boto3"}, "raised", "ModuleNotFoundError", "boto3"),
        ({"do": "die"}, "crashed", "Runtime.ExitError", "status -9"),
        ({"do": "sleep"}, "timed_out", "Sandbox.Timedout", "after 2.00 seconds"),
    ],
)
def test_an_invocation_that_fails_is_reported_and_the_next_one_succeeds(start, event, status, error_type, says):
    environment = start(timeout_seconds=2)
    first = answer(environment.invoke({"do": ""}))["pid"]
    invocation = environment.invoke(event)
    assert (invocation.status, invocation.error["errorType"]) == (status, error_type)
    assert says in invocation.error["errorMessage"]
    assert (status != "raised") or any("tiny.py" in entry for entry in invocation.error["stackTrace"])
    # The process is kept, unless it has ended.
    assert (answer(environment.invoke({"do": ""}))["pid"] == first) is (status == "raised")


def test_a_function_that_cannot_be_imported_has_crashed_with_the_reason(start):
    invocation = start("import there_is_no_such_module\n").invoke({"do": ""})
    assert invocation.status == "crashed"
    assert invocation.error["errorType"] == "Runtime.ImportModuleError"
    assert "there_is_no_such_module" in invocation.error["errorMessage"]
