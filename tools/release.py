"""Holds a release together: its version, its notes, and the file that people deploy without a clone.

    python -m tools.release check [TAG]   prints each fault; exits with 1 if there is one
    python -m tools.release pack          writes .build/release/, from what `make build` built

The version is the one of `pyproject.toml`. Every other place repeats it, or says what is released with it.
"""

import re
import shutil
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from tools.schema_changes import DIRECTORY, load

ROOT = Path(__file__).resolve().parent.parent
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_DATED = r"{version} - ([0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})"


def version(root: Path = ROOT) -> str:
    """The version of this tree."""
    return str(tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def sections(root: Path = ROOT) -> dict[str, str]:
    """The sections of the changelog by their titles, newest first."""
    _, *parts = _SECTION.split((root / "CHANGELOG.md").read_text("utf-8"))
    return dict(zip(parts[::2], map(str.strip, parts[1::2]), strict=True))


def faults(root: Path = ROOT, tag: str | None = None) -> Iterator[str]:
    """What does not belong to the release of this version; with a tag, whether it is the version's."""
    released = version(root)
    if tag is not None and tag != f"v{released}":
        yield f"the tag is {tag}, not v{released}"
    newest = next(iter(sections(root)))
    dated = re.fullmatch(_DATED.format(version=re.escape(released)), newest)
    if not dated:
        yield f"CHANGELOG.md: the newest section is {newest!r}, not '{released} - (its date)'"
    citation = yaml.safe_load((root / "CITATION.cff").read_text("utf-8"))
    if citation["version"] != released:
        yield f"CITATION.cff: the version is {citation['version']}, not {released}"
    if dated and citation["date-released"] != dated[1]:
        yield f"CITATION.cff: date-released is {citation['date-released']}, not {dated[1]}"
    asyncapi = yaml.safe_load((root / "docs" / "asyncapi.yaml").read_text("utf-8"))["info"]["version"]
    if asyncapi != released:
        yield f"docs/asyncapi.yaml: info.version is {asyncapi}, not {released}"
    kept, present = load(root / "schemas" / "released" / released), load(root / "schemas")
    for name in sorted(kept.keys() | present.keys()):
        if kept.get(name) != present.get(name):
            yield f"schemas/released/{released}: {name} is not the schema of {DIRECTORY.name}/"


def pack(root: Path = ROOT) -> Path:
    """Write the archive of the built functions with their template, and the release's notes; returns the archive."""
    built, target = root / ".aws-sam" / "build", root / ".build" / "release"
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / "notes.md").write_text(next(iter(sections(root).values())) + "\n", "utf-8")
    return Path(shutil.make_archive(str(target / f"cgc-export-monitor-{version(root)}"), "zip", built))


def main(arguments: Sequence[str]) -> int:
    """Check or pack the release. Returns the exit status."""
    match list(arguments):
        case ["check", *tag] if len(tag) <= 1:
            found = list(faults(ROOT, *tag))
            print("\n".join(found) or f"Release {version()} fits together.")
            return 1 if found else 0
        case ["pack"]:
            print(pack())
            return 0
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
