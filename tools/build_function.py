"""Build a function's artifact: the modules that it imports, and the parts of its dependencies that it uses.

`sam build` calls this through the Makefile for Lambda's Python and processor; `make demo` and the tests call it for
this machine. Both install the same requirements and remove the same files.
"""

import argparse
import ast
import compileall
import gzip
import json
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if sys.version_info < (3, 10):  # noqa: UP036 -- the Python of the build varies, and macOS has 3.9
    sys.exit(
        f"sam build needs Python 3.10 or newer with pip, and {sys.executable} is {sys.version.split()[0]}. "
        "Name another one: PYTHON=python3.13 sam build"
    )

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "functions" / "export_monitor"


@dataclass(frozen=True)
class Function:
    """What an artifact holds: packages, the modules that the handler's module imports, and AWS operations.

    botocore reads complete descriptions of some four hundred services at each cold start: with the operations that the
    adapters call only, five clients need half of the memory and two thirds of the time. `unused` are packages that the
    function does not import.
    """

    requirements: str
    handler: str
    aws_operations: Mapping[str, Set[str]]
    unused: Sequence[str] = ()


FUNCTIONS = {
    "ExportMonitorFunction": Function(
        "requirements.txt",
        "export_monitor.handler",
        {
            "dynamodb": {"BatchGetItem", "GetItem", "Query", "TransactWriteItems", "UpdateItem"},
            # botocore itself calls HeadBucket to find a bucket's region.
            "s3": {
                "GetBucketAcl",
                "GetBucketOwnershipControls",
                "GetObject",
                "GetObjectAcl",
                "HeadBucket",
                "HeadObject",
                "PutObject",
            },
            "secretsmanager": {"GetSecretValue"},
            "sns": {"PublishBatch"},
            "sqs": {
                "ChangeMessageVisibilityBatch",
                "DeleteMessageBatch",
                "ReceiveMessage",
                "SendMessage",
                "SendMessageBatch",
            },
        },
    ),
    "ContentCheckFunction": Function(
        "requirements-content.txt",
        "export_monitor.content_handler",
        {
            "dynamodb": {"GetItem", "UpdateItem"},
            "s3": {"GetObject", "HeadBucket"},
            "sqs": {"SendMessage", "SendMessageBatch"},
        },
        unused=("charset_normalizer", "idna", "requests"),
    ),
}
# Console scripts, files for type checkers and packagers, and time zones: never read.
NOT_RUN = (
    "bin",
    "**/*.pyi",
    "**/py.typed",
    "**/tests",
    "**/__pycache__",
    "boto3/examples",
    "boto3/data",
    "dateutil/zoneinfo/*.tar.gz",
)


def install(into: Path, requirements: Path, target_python: str | None, platforms: list[str]) -> None:
    """Install requirements into a folder, for this interpreter or for another one, from wheels alone."""
    options = ["--quiet", "--no-compile", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(into), "-r", str(requirements)]
    if target_python:
        command += ["--implementation", "cp", "--python-version", target_python]
        command += [part for platform in platforms for part in ("--platform", platform)]
    subprocess.run(command, check=True)


def prune(artifact: Path, function: Function) -> None:
    """Remove files that the function never reads."""
    for pattern in (*NOT_RUN, *function.unused, *(f"{name}-*.dist-info" for name in function.unused)):
        for path in list(artifact.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    prune_descriptions(artifact / "botocore" / "data", function.aws_operations)
    # Licences must travel with the code; the rest of a distribution's metadata is for installers.
    for info in artifact.glob("*.dist-info"):
        for path in info.iterdir():
            if path.is_file() and not path.name.upper().startswith(("LICEN", "NOTICE", "COPYING", "METADATA")):
                path.unlink()


def prune_descriptions(data: Path, aws_operations: Mapping[str, Set[str]]) -> None:
    """Reduce botocore's descriptions of AWS to these operations, and their services' endpoints."""
    for path in data.iterdir():
        if path.is_dir() and path.name not in aws_operations:
            shutil.rmtree(path)
    for service, operations in aws_operations.items():
        for path in (data / service).glob("*/service-2.json.gz"):
            model = _model_of(json.loads(gzip.decompress(path.read_bytes())), operations)
            # Without a time stamp, so that two builds are the same.
            path.write_bytes(gzip.compress(json.dumps(model, separators=(",", ":")).encode(), mtime=0))
        for path in (data / service).glob("*/examples-1.json*"):
            path.unlink()
    endpoints = json.loads((data / "endpoints.json").read_text())
    for partition in endpoints["partitions"]:
        partition["services"] = {name: one for name, one in partition["services"].items() if name in aws_operations}
    (data / "endpoints.json").write_text(json.dumps(endpoints, separators=(",", ":")))


def _model_of(model: dict[str, Any], operations: Set[str]) -> dict[str, Any]:
    """A service's description with these operations and the shapes they use, without documentation."""
    kept = {name: model["operations"][name] for name in operations}
    waiting: list[Any] = [kept]
    shapes: dict[str, Any] = {}
    while waiting:
        for name in _shapes_named_in(waiting.pop()) - shapes.keys():
            shapes[name] = model["shapes"][name]
            waiting.append(shapes[name])
    cut: dict[str, Any] = _without_documentation({**model, "operations": kept, "shapes": shapes})
    return cut


def _shapes_named_in(node: Any) -> set[str]:
    if isinstance(node, list):
        return {name for item in node for name in _shapes_named_in(item)}
    if not isinstance(node, dict):
        return set()
    named = {node["shape"]} if isinstance(node.get("shape"), str) else set()
    return named | {name for value in node.values() for name in _shapes_named_in(value)}


def _without_documentation(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_documentation(item) for item in node]
    if not isinstance(node, dict):
        return node
    # Only text, as a shape may have a member of this name; emptied, as botocore requires some of these keys.
    return {
        name: "" if name == "documentation" and isinstance(value, str) else _without_documentation(value)
        for name, value in node.items()
    }


def modules_of(handler: str) -> set[Path]:
    """The file of the handler's module, and of every module of ours that it imports, directly or through others."""
    if _source(handler) is None:
        sys.exit(f"there is no module {handler}")
    waiting, found = [handler], set[Path]()
    while waiting:
        name = waiting.pop()
        source = _source(name)
        # Importing a module imports the package that it is in.
        waiting += [name.rpartition(".")[0]] if "." in name else []
        if source and source not in found:
            found.add(source)
            waiting += _imported_by(ast.parse(source.read_text("utf-8")))
    return found


def files_of(handler: str) -> set[Path]:
    """The handler's modules, and the other files of their packages, such as a page's template."""
    modules = modules_of(handler)
    folders = {module.parent for module in modules if module.name == "__init__.py"}
    data = {path for folder in folders for path in folder.iterdir() if path.is_file() and path.suffix != ".py"}
    return modules | data


def _imported_by(module: ast.Module) -> Iterator[str]:
    """The names that a module may import; a name imported from a package may be a module."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{one.name}" for one in node.names)


def _source(module: str) -> Path | None:
    """The file of a module or package of ours."""
    path = CODE.parent.joinpath(*module.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((one for one in candidates if one.is_file() and CODE in one.parents), None)


def compile_all(artifact: Path, target_python: str | None) -> None:
    """Add byte code: Lambda's code folder is read-only, so without it every cold start compiles the code.

    Unchecked, because Lambda does not keep the sources' modification times.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if target_python not in (None, running):
        print(
            f"No byte code: Python {running} cannot compile for Python {target_python}. Cold starts take twice as long."
        )
        return
    compileall.compile_dir(
        artifact, stripdir=artifact, quiet=1, workers=0, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
    )


def main() -> None:
    """Read the command line, build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path, help="folder of the artifact; emptied first")
    parser.add_argument(
        "--function", choices=FUNCTIONS, default="ExportMonitorFunction", help="its name in the template"
    )
    parser.add_argument("--python", help="version of the target's CPython, as 3.13; this one when left out")
    parser.add_argument("--platform", action="append", default=[], help="the target's wheel tag, best first")
    options = parser.parse_args()
    shutil.rmtree(options.into, ignore_errors=True)
    options.into.mkdir(parents=True)
    function = FUNCTIONS[options.function]
    install(options.into, ROOT / function.requirements, options.python, options.platform)
    prune(options.into, function)
    for source in files_of(function.handler):
        target = options.into / source.relative_to(CODE.parent)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    compile_all(options.into, options.python)


if __name__ == "__main__":
    main()
