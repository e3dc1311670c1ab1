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
        print("asleep", flush=True)
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
def lines():
    return []


@pytest.fixture
def start(tmp_path: Path, lines: list[str]):
    started = []

    def start(code: str = FUNCTION, **options) -> ExecutionEnvironment:
        (tmp_path / "tiny.py").write_text(textwrap.dedent(code))
        started.append(
            ExecutionEnvironment(
                CONFIGURATION,
                tmp_path,
                runtime_client(),
                endpoint_url="http://127.0.0.1:1",
                log=lines.append,
                **options,
            )
        )
        return started[-1]

    yield start
    for environment in started:
        environment.kill()


def answer(invocation):
    assert invocation.status == "returned", invocation
    return json.loads(invocation.response)


def test_the_context_contains_the_request_id_the_arn_and_the_remaining_time(start):
    environment = start()
    invocation = environment.invoke({"do": ""})
    context = answer(invocation)
    assert context["request_id"] == invocation.request_id
    assert context["arn"] == CONFIGURATION.arn
    assert 0 < context["remaining_ms"] <= 20_000


def test_the_process_has_only_the_variables_of_the_template_and_of_lambda(start, monkeypatch):
    monkeypatch.setenv("LEFT_OVER", "from the shell")
    variables = answer(start().invoke({"do": ""}))["environment"]
    assert variables["COLOUR"] == "green"
    assert variables["AWS_LAMBDA_FUNCTION_NAME"] == "tiny"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert variables["AWS_EXECUTION_ENV"] == "AWS_Lambda_python3.13"
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert variables["_X_AMZN_TRACE_ID"].startswith("Root=1-")
    assert "LEFT_OVER" not in variables
    assert "PYTHONDONTWRITEBYTECODE" not in variables


def test_a_package_that_is_not_in_the_artifact_cannot_be_imported(start):
    invocation = start().invoke({"do": "import", "module": "boto3"})
    assert invocation.status == "raised"
    assert invocation.error["errorType"] == "ModuleNotFoundError"


def test_an_exception_is_reported_with_its_type_and_stack_trace_and_the_process_continues(start):
    environment = start()
    invocation = environment.invoke({"do": "raise", "text": "no such key"})
    assert invocation.status == "raised"
    assert invocation.error["errorType"] == "KeyError"
    assert "no such key" in invocation.error["errorMessage"]
    assert any("tiny.py" in entry for entry in invocation.error["stackTrace"])
    assert answer(environment.invoke({"do": ""}))["event"] == {"do": ""}


def test_a_process_that_exits_has_crashed_and_the_next_invocation_starts_another(start):
    environment = start()
    first = answer(environment.invoke({"do": ""}))["pid"]
    invocation = environment.invoke({"do": "die"})
    assert invocation.status == "crashed"
    assert invocation.error["errorType"] == "Runtime.ExitError"
    assert answer(environment.invoke({"do": ""}))["pid"] != first


def test_a_process_that_exceeds_its_timeout_is_killed(start, lines):
    environment = start(timeout_seconds=0.5)
    invocation = environment.invoke({"do": "sleep"})
    assert invocation.status == "timed_out"
    assert invocation.error["errorType"] == "Sandbox.Timedout"
    assert "after 0.50 seconds" in invocation.error["errorMessage"]
    assert lines == ["asleep"]


def test_a_function_that_cannot_be_imported_has_crashed_with_the_reason(start):
    invocation = start("import there_is_no_such_module\n").invoke({"do": ""})
    assert invocation.status == "crashed"
    assert invocation.error["errorType"] == "Runtime.ImportModuleError"
    assert "there_is_no_such_module" in invocation.error["errorMessage"]
