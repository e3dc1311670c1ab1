"""The function's artifact and AWS's runtime client, built into `.build/` where they are missing or out of date."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BUILD = ROOT / ".build"
_KEPT_BUILDS = 4


def function_artifact() -> Path:
    """The folder that `sam build` would hand to Lambda, built for this machine and its Python."""
    builder = ROOT / "tools" / "build_function.py"
    sources = [path for path in (ROOT / "functions").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return built("function", [builder, ROOT / "requirements.txt", *sources], lambda into: _run(str(builder), str(into)))


def runtime_client() -> Path:
    """A folder with AWS's Lambda runtime client and nothing else."""
    requirements = ROOT / "local" / "runtime-client.txt"
    return built(
        "runtime-client",
        [requirements],
        lambda into: pip_install("--no-deps", "-r", str(requirements), "--target", str(into)),
    )


def pip_install(*arguments: str) -> None:
    """Install packages as these arguments of `pip install` say."""
    _run("-m", "pip", "install", "-qq", "--disable-pip-version-check", *arguments)


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True)  # noqa: S603 -- this interpreter, and our own files


def built(name: str, sources: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """The folder that `make` makes of these sources, given where; made once.

    The folder is named after its sources and appears whole, so that neither a build that broke off nor two at a time
    do harm.
    """
    digest = hashlib.sha256(sys.version.encode())
    for source in sorted(sources):
        digest.update(f"{source.relative_to(ROOT)} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    folder = _BUILD / f"{name}-{digest.hexdigest()[:12]}"
    if not folder.is_dir():
        _BUILD.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_BUILD) as scratch:
            made = Path(scratch, name)
            make(made)
            with suppress(OSError):  # another process was quicker
                made.rename(folder)
        # Not all the others: one may be running, in another terminal or under another Python.
        for outdated in sorted(_BUILD.glob(f"{name}-*"), key=lambda path: path.stat().st_mtime)[:-_KEPT_BUILDS]:
            shutil.rmtree(outdated, ignore_errors=True)
    return folder
