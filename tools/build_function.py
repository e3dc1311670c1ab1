"""Build the function's artifact: the code, and of what it needs only what runs.

`sam build` calls this through the Makefile for Lambda's Python and processor; `make demo` and the tests call
it for this machine. Both take the same list, requirements.txt, and leave out the same things.
"""

import argparse
import compileall
import shutil
import subprocess
import sys
from pathlib import Path
from py_compile import PycInvalidationMode

ROOT = Path(__file__).resolve().parent.parent
CODE = ROOT / "functions" / "export_monitor"
REQUIREMENTS = ROOT / "requirements.txt"

# The services that the adapters make clients of. botocore describes some four hundred; the rest are never read.
AWS_SERVICES = frozenset({"dynamodb", "s3", "secretsmanager", "sns", "sqs"})
# Console scripts, and what type checkers and packagers read: nothing imports them.
NOT_RUN = ("bin", "**/*.pyi", "**/py.typed", "**/tests", "**/__pycache__", "boto3/examples", "boto3/data")


def install(into: Path, target_python: str | None, platforms: list[str]) -> None:
    """Install requirements.txt into a folder, for this interpreter or for another one, from wheels alone."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
        "--no-deps",
        "--only-binary=:all:",
        "--target",
        str(into),
        "-r",
        str(REQUIREMENTS),
    ]
    if target_python:
        command += ["--implementation", "cp", "--python-version", target_python]
        command += [part for platform in platforms for part in ("--platform", platform)]
    subprocess.run(command, check=True)


def prune(artifact: Path) -> None:
    """Remove what no import and no call of the function reads."""
    for pattern in NOT_RUN:
        for path in list(artifact.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for path in (artifact / "botocore" / "data").iterdir():
        if path.is_dir() and path.name not in AWS_SERVICES:
            shutil.rmtree(path)
    # Licences must travel with the code; the rest of a distribution's metadata is for installers.
    for info in artifact.glob("*.dist-info"):
        for path in info.iterdir():
            if path.is_file() and not path.name.upper().startswith(("LICEN", "NOTICE", "COPYING", "METADATA")):
                path.unlink()


def compile_all(artifact: Path, target_python: str | None) -> None:
    """Add byte code, which the target could not keep: Lambda's code folder is read-only, and so compiled at each start.

    Unchecked, since Lambda does not keep the times by which sources are compared with their byte code.
    """
    running = f"{sys.version_info.major}.{sys.version_info.minor}"
    if target_python not in (None, running):
        print(f"No byte code: that of Python {target_python} is not made by {running}. Cold starts take twice as long.")
        return
    compileall.compile_dir(
        artifact, stripdir=artifact, quiet=1, workers=0, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH
    )


def main() -> None:
    """Read the command line, build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("into", type=Path, help="folder of the artifact; emptied first")
    parser.add_argument("--python", help="version of the target's CPython, as 3.13; this one when left out")
    parser.add_argument("--platform", action="append", default=[], help="the target's wheel tag, best first")
    options = parser.parse_args()
    shutil.rmtree(options.into, ignore_errors=True)
    options.into.mkdir(parents=True)
    install(options.into, options.python, options.platform)
    prune(options.into)
    shutil.copytree(CODE, options.into / CODE.name, ignore=shutil.ignore_patterns("__pycache__"))
    compile_all(options.into, options.python)


if __name__ == "__main__":
    main()
