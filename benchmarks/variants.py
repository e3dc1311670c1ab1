"""The variants: artifacts built as they would be deployed, and the environment they run in."""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.exports import BUCKET
from local.artifact import ROOT, built_once, function_artifact
from local.emulator import ACCOUNT_ID, REGION
from local.lambda_runtime import FunctionConfiguration, lambda_variables
from local.template import function_environment

_HERE = Path(__file__).parent
# Like `sam build` with a requirements.txt: wheels unpacked, without byte code.
_PIP_INSTALL = [sys.executable, "-m", "pip", "install", "-qq", "--no-compile", "--disable-pip-version-check"]

QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:benchmark-queue"
_PARAMETERS = {
    "TokenSecretArn": f"arn:aws:secretsmanager:{REGION}:{ACCOUNT_ID}:secret:token-AbCdEf",
    "ExportBuckets": BUCKET,
    # The maximum, so that the rate limit does not affect the measurement.
    "ApiRequestsPerMinute": "200",
}


@dataclass(frozen=True, slots=True)
class Variant:
    """A function: its module folders, its handler and its batch size."""

    name: str
    path: tuple[Path, ...]
    handler: str
    batch_size: int


def app() -> Variant:
    """This app, as it is deployed."""
    return Variant("app", (function_artifact(),), "export_monitor.handler.lambda_handler", 100)


def baseline() -> Variant:
    """The plain function and its dependencies, in batches of Lambda's default size."""
    return Variant("baseline", (_built("baseline"),), "baseline.app.handler", 10)


def official_client() -> Variant:
    """The official client, as installed with the development tools."""
    packages = Path(sysconfig.get_path("purelib"))
    return Variant("official client", (ROOT, packages), "benchmarks.official_client.handler", 100)


def zipped_bytes(variant: Variant) -> int:
    """The size of the artifact as it is uploaded."""
    [folder] = variant.path
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    archive.write(path, path.relative_to(folder))
        return file.tell()


def environment(variant: Variant, address: str) -> dict[str, str]:
    """The environment variables of the process: the template's and Lambda's; `address` is the stub server's."""
    endpoint = f"http://{address}"
    resources = {
        "ExportQueue": f"{endpoint}/{ACCOUNT_ID}/benchmark-queue",
        "DeadLetterQueue": f"{endpoint}/{ACCOUNT_ID}/benchmark-dead-letters",
        "ExportEventsTopic": f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:benchmark-events",
    }
    variables = function_environment(resources, ApiBaseUrl=f"{endpoint}/v2", **_PARAMETERS)
    function = FunctionConfiguration("benchmark", "arn", variant.handler, variables, memory_mb=512)
    # Lambda's code folder is read-only: modules without byte code are compiled at each start.
    own = {"PYTHONPATH": ":".join(map(str, variant.path)), "PYTHONDONTWRITEBYTECODE": "1"}
    return lambda_variables(function, endpoint) | own


def _built(name: str) -> Path:
    """A folder with this package and its requirements; built once."""
    source = _HERE / name
    requirements = source / "requirements.txt"

    def make(folder: Path) -> None:
        if requirements.is_file():
            command = [*_PIP_INSTALL, "-r", str(requirements), "--target", str(folder)]
            subprocess.run(command, check=True)  # noqa: S603 -- this interpreter, and our own list
        shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", requirements.name))

    return built_once(name, (path for path in source.iterdir() if path.is_file()), make)
