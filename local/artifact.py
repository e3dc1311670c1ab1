"""The functions' artifacts and AWS's runtime client, built into `.build/` if missing or out of date."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BUILD = ROOT / ".build"
_KEPT_BUILDS = 4
_PIP_INSTALL = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-deps"]


def function_artifact(function: str = "ExportMonitorFunction") -> Path:
    """The folder that `sam build` would deploy for a function of the template, for this machine and its Python."""
    builder = ROOT / "tools" / "build_function.py"
    sources = [path for path in (ROOT / "functions").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    sources += [builder, ROOT / "requirements.txt", ROOT / "requirements-content.txt"]
    return built_once(function, sources, _run(sys.executable, str(builder), "--function", function))


def runtime_client() -> Path:
    """A folder with AWS's Lambda runtime client and nothing else."""
    requirements = ROOT / "local" / "runtime-client.txt"
    return built_once("runtime-client", [requirements], _run(*_PIP_INSTALL, "-r", str(requirements), "--target"))


def _run(*command: str) -> Callable[[Path], object]:
    return lambda folder: subprocess.run([*command, str(folder)], check=True)  # noqa: S603 -- this interpreter, and our own files


def built_once(name: str, sources: Iterable[Path], make: Callable[[Path], object]) -> Path:
    """The folder built from these sources, built by `make` unless it exists.

    Its name contains a hash of the sources, and it appears complete, so an interrupted build does no harm. Of several
    processes one builds, and the others wait for it.
    """
    digest = hashlib.sha256(sys.version.encode())
    for source in sorted(sources):
        digest.update(f"{source.relative_to(ROOT)} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    folder = _BUILD / f"{name}-{digest.hexdigest()[:12]}"
    _BUILD.mkdir(exist_ok=True)
    with (_BUILD / f"{name}.lock").open("w") as lock, tempfile.TemporaryDirectory(dir=_BUILD) as scratch:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if folder.is_dir():
            return folder
        made = Path(scratch, name)
        make(made)
        made.rename(folder)
        # Keep some: another terminal or Python may be using one.
        for outdated in sorted(_BUILD.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime)[:-_KEPT_BUILDS]:
            shutil.rmtree(outdated, ignore_errors=True)
    return folder
