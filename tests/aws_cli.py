"""A stand-in for the AWS CLI: options and their values by botocore's description of each operation.

So a misspelt option is rejected here too. Of the CLI's own commands there is `aws s3 cp` from a bucket. Not modelled:
paging, the pauses of waiters, negated flags, configuration files.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import boto3
import jmespath
from botocore import xform_name
from botocore.model import OperationModel, Shape

from local.http_messages import Reply, Request
from local.loopback import Loopback, serving

# `aws sns subscribe` has a name of its own for the parameter Endpoint.
_RENAMED = {"Endpoint": "notification-endpoint"}
_SERVICES = {"s3api": "s3"}
_AWS = """\
#!{python} -IS
import http.client, json, sys
connection = http.client.HTTPConnection("{address}")
connection.request("POST", "/", json.dumps(sys.argv[1:]))
answer = connection.getresponse()
print(answer.read().decode(), file=sys.stdout if answer.status == 200 else sys.stderr)
sys.exit(answer.status != 200)
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ValueError(message)


def run(arguments: Sequence[str], session: boto3.Session, endpoint_url: str | None = None) -> str:
    """Run a command and return what the CLI would print; `arguments` follow the word `aws`.

    Raises botocore's errors, KeyError for an unknown operation, and ValueError for an unknown option or waiter.
    """
    service, operation, *options = arguments
    client = session.client(_SERVICES.get(service, service), endpoint_url=endpoint_url)  # type: ignore[call-overload]
    if (service, operation) == ("s3", "cp"):
        return _copied(client, *options)
    if operation == "wait":
        return _waited(client, *options)
    names = {xform_name(name, "-"): name for name in client.meta.service_model.operation_names}
    given = vars(_parser(client.meta.service_model.operation_model(names[operation])).parse_args(options))
    query, output, outfile = given.pop("query"), given.pop("output"), given.pop("outfile", None)
    given.pop("cli_binary_format", None)
    answer = getattr(client, xform_name(names[operation]))(**given)
    answer.pop("ResponseMetadata", None)
    if outfile:
        Path(outfile).write_bytes(answer.pop("Payload").read())
    found = jmespath.search(query, answer)
    return json.dumps(found, indent=4, default=str) if output == "json" else _text(found)


def _copied(client: Any, source: str, target: str) -> str:
    """Copy an object to a file, or into a folder."""
    url = urlsplit(source)
    path = Path(target)
    path = path / Path(url.path).name if path.is_dir() else path
    path.write_bytes(client.get_object(Bucket=url.netloc, Key=url.path[1:])["Body"].read())
    return f"download: {source} to {path}"


def _waited(client: Any, name: str, *options: str) -> str:
    """Wait until what a waiter of this name asks for is true; ask twice at most, without a pause."""
    waiter = client.get_waiter(name.replace("-", "_"))
    waiter.config.delay, waiter.config.max_attempts = 0, 2
    parser = _parser(client.meta.service_model.operation_model(waiter.config.operation))
    given = vars(parser.parse_args(options))
    waiter.wait(**{option: value for option, value in given.items() if option not in ("query", "output")})
    return ""


@contextmanager
def installed(folder: Path, session: boto3.Session, endpoint_url: str | None = None) -> Iterator[None]:
    """Put an executable named `aws` into a folder, to be the first on a PATH.

    It only passes its arguments to this process, so that no command has to load boto3.
    """

    def answer(request: Request) -> Reply:
        try:
            return Reply(200, run(json.loads(request.content), session, endpoint_url).encode())
        except Exception as error:  # noqa: BLE001 -- shown to the shell, whose command then fails
            return Reply(500, repr(error).encode())

    server = Loopback(answer)
    with serving(server):
        (folder / "aws").write_text(_AWS.format(python=sys.executable, address=server.address))
        (folder / "aws").chmod(0o755)
        yield


def _parser(operation: OperationModel) -> _Parser:
    parser = _Parser(allow_abbrev=False)
    parser.add_argument("--query", default="@")
    parser.add_argument("--output", default="json", choices=("json", "text"))
    if operation.has_streaming_output:
        # The answer's payload goes to a file; the request's is text and not base64.
        parser.add_argument("outfile")
        parser.add_argument("--cli-binary-format", required=True, choices=("raw-in-base64-out",))
    for name, shape in (operation.input_shape.members if operation.input_shape else {}).items():
        option = f"--{_RENAMED.get(name) or xform_name(name, '-')}"
        if shape.type_name == "list":
            read = partial(_value, shape.member)
            parser.add_argument(option, dest=name, default=argparse.SUPPRESS, nargs="+", type=read, action=_List)
        else:
            parser.add_argument(option, dest=name, default=argparse.SUPPRESS, type=partial(_value, shape))
    return parser


class _List(argparse.Action):
    """Keeps the values of a list, which may also be one value: the whole list as JSON."""

    def __call__(self, _parser: Any, namespace: argparse.Namespace, values: Any, _option: str | None = None) -> None:
        setattr(namespace, self.dest, values[0] if isinstance(values[0], list) else values)


def _value(shape: Shape, text: str) -> Any:
    """An option's value, JSON, shorthand or plain text, as the API's type."""
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text()
    if shape.type_name in ("structure", "map"):
        return json.loads(text) if text[0] in "[{" else dict(pair.split("=", 1) for pair in text.split(","))
    return int(text) if shape.type_name in ("integer", "long") else text


def _text(found: Any) -> str:
    cells = found if isinstance(found, list) else [found]
    return "\t".join("None" if cell is None else str(cell) for cell in cells)
