"""The AWS CLI's part between a command line and boto3, as far as the project's own commands use it.

Options are checked against botocore's description of each operation, so that a misspelt one is rejected here too. Not
modelled: paging, waiters, `--generate-cli-skeleton`, configuration files.
"""

import json
import re
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name
from botocore.model import OperationModel, Shape

_GLOBAL = {"--query", "--output", "--endpoint-url", "--region"}
# `aws sns subscribe` has a name of its own for the parameter Endpoint.
_RENAMED = {"--notification-endpoint": "--endpoint"}
_AWS = """\
#!{python} -IS
import http.client, json, sys
connection = http.client.HTTPConnection("127.0.0.1", {port})
connection.request("POST", "/", json.dumps(sys.argv[1:]))
answer = connection.getresponse()
print(answer.read().decode(), file=sys.stdout if answer.status == 200 else sys.stderr)
sys.exit(answer.status != 200)
"""


class UsageError(Exception):
    """A command that the CLI rejects before it sends anything."""


def run(arguments: Sequence[str], session: boto3.Session, endpoint_url: str | None = None) -> str:
    """Run a command and return what the CLI would print; `arguments` follow the word `aws`.

    Raises UsageError for an unknown service, operation or option, botocore's ParamValidationError for a value of the
    wrong shape, and its ClientError for an error of AWS.
    """
    arguments = [_RENAMED.get(word, word) for word in arguments]
    options = {name: values[-1] for name, values in _options(arguments) if name in _GLOBAL}
    positional = [one for one in _positional(arguments) if not one.startswith("-")]
    if len(positional) < 2 or positional[0] not in session.get_available_services():
        raise UsageError(f"no such command: {' '.join(positional)}")
    service, operation = positional[:2]
    client = session.client(
        service,  # type: ignore[call-overload]
        endpoint_url=options.get("--endpoint-url", endpoint_url),
        region_name=options.get("--region"),
    )
    name = {xform_name(one, "-"): one for one in client.meta.service_model.operation_names}.get(operation)
    if name is None:
        raise UsageError(f"{service} has no operation {operation}")
    model = client.meta.service_model.operation_model(name)
    own = [(option, values) for option, values in _options(arguments) if option not in _GLOBAL]
    answer = getattr(client, xform_name(name))(**_parameters(model, own))
    answer.pop("ResponseMetadata", None)
    found = jmespath.search(options["--query"], answer) if "--query" in options else answer
    return _shown(found, options.get("--output", "json"))


@contextmanager
def installed(folder: Path, session: boto3.Session, endpoint_url: str | None = None) -> Iterator[None]:
    """Put an executable named `aws` into a folder, to be the first on a PATH.

    It only passes its arguments to this process, so that no command has to load boto3.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            words = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, shown = 200, run(words, session, endpoint_url)
            except Exception as error:  # noqa: BLE001 -- shown to the shell, whose command then fails
                status, shown = 500, repr(error)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(shown.encode())

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (folder / "aws").write_text(_AWS.format(python=sys.executable, port=server.server_port))
        (folder / "aws").chmod(0o755)
        try:
            yield
        finally:
            server.shutdown()


def _positional(arguments: Sequence[str]) -> list[str]:
    """Service and operation, which may have global options in front, each with one value."""
    rest = list(arguments)
    while rest and rest[0] in _GLOBAL:
        rest = rest[2:]
    return rest[:2]


def _options(arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Each option with the values behind it."""
    found: list[tuple[str, list[str]]] = []
    command = _positional(arguments)
    for one in arguments:
        if one.startswith("--"):
            found.append((one, []))
        elif command and one == command[0] and (not found or found[-1][1]):
            command.pop(0)
        elif not found:
            raise UsageError(f"unexpected: {one}")
        else:
            found[-1][1].append(one)
    return found


def _parameters(model: OperationModel, options: Sequence[tuple[str, list[str]]]) -> dict[str, Any]:
    shapes: Mapping[str, Shape] = model.input_shape.members if model.input_shape else {}
    members = {f"--{xform_name(name, '-')}": name for name in shapes}
    negated = {f"--no-{option[2:]}": option for option in members if shapes[members[option]].type_name == "boolean"}
    parameters: dict[str, Any] = {}
    for option, values in options:
        if option in negated:
            parameters[members[negated[option]]] = False
        elif option in members:
            parameters[members[option]] = _value(shapes[members[option]], values)
        else:
            raise UsageError(f"unknown option {option}")
    return parameters


def _value(shape: Shape, values: Sequence[str]) -> Any:
    """An option's value, JSON, shorthand or plain text, as the API's type."""
    texts = [_content(value) for value in values]
    if shape.type_name == "boolean" and not texts:
        return True
    if shape.type_name in ("structure", "map", "list") and texts and re.match(r"\s*[\[{]", texts[0]):
        given = json.loads(" ".join(texts))
        return [given] if shape.type_name == "list" and isinstance(given, dict) else given
    if shape.type_name == "list":
        return [_value(shape.member, [text]) for text in texts]  # type: ignore[attr-defined]
    if len(texts) != 1:
        raise UsageError(f"one value is expected, not {len(texts)}: {' '.join(texts)}")
    if shape.type_name in ("structure", "map"):
        return dict(pair.split("=", 1) for pair in texts[0].split(","))
    return _scalar(shape.type_name, texts[0])


def _scalar(kind: str, text: str) -> Any:
    if kind in ("integer", "long"):
        return int(text)
    if kind in ("float", "double"):
        return float(text)
    return text


def _content(value: str) -> str:
    return Path(value.removeprefix("file://")).read_text() if value.startswith("file://") else value


def _shown(found: Any, output: str) -> str:
    if output == "json":
        return "" if found in ({}, None) else json.dumps(found, indent=4, default=str)
    if output != "text":
        raise UsageError(f"unknown output {output}")
    rows = found if isinstance(found, list) else [found]
    if not any(isinstance(row, list) for row in rows):
        rows = [rows]
    return "\n".join("\t".join("None" if cell is None else str(cell) for cell in row) for row in rows)
