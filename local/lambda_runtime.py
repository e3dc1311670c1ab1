"""One execution environment of Lambda: a process of AWS's own runtime client that runs the built artifact.

The process sees only the artifact and the runtime client, not the packages (`-S`) or variables of the parent process.
So a dependency that is missing from the artifact fails here as in AWS.
"""

import json
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from local.emulator import CREDENTIALS, REGION
from local.runtime_api import Report, RuntimeApi

# AWS restarts an initialisation after ten seconds; a machine under load may need longer.
_INITIALISATION_LIMIT_SECONDS = 60


@dataclass(frozen=True)
class FunctionConfiguration:
    """A function's properties in the template; `environment` excludes the variables that Lambda sets."""

    name: str
    arn: str
    handler: str
    environment: Mapping[str, str]
    timeout_seconds: float = 3
    memory_mb: int = 128
    runtime: str = "python3.13"
    log_group: str = ""


@dataclass(frozen=True)
class Invocation:
    """How an invocation ended, and what Lambda would have returned to a synchronous caller.

    `response` is the function's answer as it was sent (JSON); `error` is the document with `errorType`,
    `errorMessage` and, where the function raised, `stackTrace`. A function that cannot be imported has crashed.
    """

    request_id: str
    status: Literal["returned", "raised", "timed_out", "crashed"]
    response: bytes = b""
    error: Mapping[str, Any] = field(default_factory=dict)


def encode_event(event: Mapping[str, Any]) -> bytes:
    """An event as sent to a function: JSON in UTF-8."""
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()


class ExecutionEnvironment:
    """Runs one invocation at a time in a process that is reused, and replaced after it has ended.

    `timeout_seconds` overrides the function's own time limit. `log` is called with each line that the function
    writes to standard output or error, from another thread.
    """

    def __init__(
        self,
        function: FunctionConfiguration,
        artifact: Path,
        runtime_client: Path,
        *,
        endpoint_url: str,
        log: Callable[[str], None],
        timeout_seconds: float | None = None,
    ) -> None:
        self._function = function
        self._artifact = artifact
        self._runtime_client = runtime_client
        self._endpoint_url = endpoint_url
        self._timeout_seconds = timeout_seconds or function.timeout_seconds
        self._log = log
        self._process: _Process | None = None
        self._lock = threading.Lock()

    def invoke(self, event: Mapping[str, Any]) -> Invocation:
        """Invoke the function; wait for its response, its exit or its timeout."""
        with self._lock:
            if self._process is not None and self._process.has_ended:
                self._process.kill()
                self._process = None
            self._process = self._process or self._start()
            return self._process.invoke(encode_event(event))

    def kill(self) -> None:
        """Kill the process with SIGKILL; the next invocation starts another."""
        if self._process is not None:
            self._process.kill()

    def _start(self) -> "_Process":
        command = [sys.executable, "-S", "-m", "awslambdaric", self._function.handler]
        api = RuntimeApi(self._function.arn, self._timeout_seconds)
        variables = lambda_variables(self._function, self._endpoint_url)
        variables |= {"LAMBDA_TASK_ROOT": str(self._artifact), "PYTHONPATH": str(self._runtime_client)}
        return _Process(command, self._artifact, variables, api, self._log)


def lambda_variables(function: FunctionConfiguration, endpoint_url: str) -> dict[str, str]:
    """A function's environment: Lambda's "defined runtime environment variables" and the template's variables."""
    lambda_sets = {
        "_HANDLER": function.handler,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_{function.runtime}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group or f"/aws/lambda/{function.name}",
        "AWS_LAMBDA_LOG_STREAM_NAME": f"{time.strftime('%Y/%m/%d')}/[$LATEST]{uuid.uuid4().hex}",
        "AWS_REGION": REGION,
        "LANG": "en_US.UTF-8",
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "TZ": ":UTC",
    }
    return {**function.environment, **lambda_sets, **CREDENTIALS, "AWS_ENDPOINT_URL": endpoint_url}


class _Process:
    """A process of the runtime client, and its Runtime API."""

    def __init__(
        self,
        command: list[str],
        folder: Path,
        variables: Mapping[str, str],
        api: RuntimeApi,
        log: Callable[[str], None],
    ) -> None:
        self._api = api
        self._process = subprocess.Popen(  # noqa: S603 -- this interpreter, and the handler that the template names
            command,
            cwd=folder,
            env={**variables, "AWS_LAMBDA_RUNTIME_API": api.address},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # Ctrl-C must reach the main process only.
            start_new_session=True,
        )
        self._watcher = threading.Thread(target=self._watch, args=[log], daemon=True)
        self._watcher.start()

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def invoke(self, event: bytes) -> Invocation:
        request_id = str(uuid.uuid4())
        self._api.invocations.put((request_id, event))
        report = self._api.next_report(_INITIALISATION_LIMIT_SECONDS)
        if report is not None and report.what == "taken":
            report = self._api.next_report(self._api.timeout_seconds)
        if report is None:
            self.kill()
            message = f"Task timed out after {self._api.timeout_seconds:.2f} seconds"
            return Invocation(request_id, "timed_out", error=_error("Sandbox.Timedout", request_id, message))
        if report.what == "returned":
            return Invocation(request_id, "returned", response=report.body)
        if report.what == "raised":
            return Invocation(request_id, "raised", error=json.loads(report.body))
        self._process.wait()
        if report.what == "not_initialised":
            return Invocation(request_id, "crashed", error=json.loads(report.body))
        message = f"Runtime exited with status {self._process.returncode}"
        return Invocation(request_id, "crashed", error=_error("Runtime.ExitError", request_id, message))

    def kill(self) -> None:
        """End the process and its API; all its output is logged before this returns."""
        self._process.kill()
        self._watcher.join()
        self._api.close()

    def _watch(self, log: Callable[[str], None]) -> None:
        with self._process as process:
            for line in process.stdout or ():
                log(line.decode(errors="replace").rstrip("\n"))
        self._api.reports.put(Report("ended"))


def _error(error_type: str, request_id: str, message: str) -> dict[str, str]:
    return {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
