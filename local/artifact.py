"""The function's artifact and AWS's runtime client, built into `.build/` where they are missing or out of date."""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_BUILD = ROOT / ".build"
_PIP_INSTALL = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]


def function_artifact() -> Path:
    """The folder that `sam build` would hand to Lambda, built for this machine and its Python."""
    builder = ROOT / "tools" / "build_function.py"
    sources = [path for path in (ROOT / "functions").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return _built("function", [builder, ROOT / "requirements.txt", *sources], [sys.executable, str(builder)])


def runtime_client() -> Path:
    """A folder with AWS's Lambda runtime client and nothing else."""
    requirements = ROOT / "local" / "runtime-client.txt"
    return _built("runtime-client", [requirements], [*_PIP_INSTALL, "-r", str(requirements), "--target"])


def _built(name: str, sources: Iterable[Path], command: list[str]) -> Path:
    """Run the command, with the folder as its last argument, unless the folder holds what it made of these sources."""
    folder = _BUILD / name
    stamp = _BUILD / f"{name}.sha256"
    digest = hashlib.sha256(sys.version.encode())
    for source in sorted(sources):
        digest.update(f"{source.relative_to(ROOT)} {hashlib.sha256(source.read_bytes()).hexdigest()}\n".encode())
    if not folder.is_dir() or not stamp.is_file() or stamp.read_text() != digest.hexdigest():
        stamp.unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        _BUILD.mkdir(exist_ok=True)
        subprocess.run([*command, str(folder)], check=True)
        stamp.write_text(digest.hexdigest())
    return folder
