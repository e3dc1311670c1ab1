"""The fenced blocks of the project's pages, and the commands in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# A command's words: those before its first option, value in quotes, variable or capital letter.
_WORDS = re.compile(r"(?:[A-Z_]+=\$\()?([a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)*)")
_NO_COMMAND = re.compile(r"[A-Z_]+=[^$]*|}|")


@dataclass(frozen=True)
class Block:
    """A fenced block: its page's path from the top, its language and its text."""

    page: str
    language: str
    text: str

    def commands(self) -> Iterator[str]:
        """The words of each command of a shell's block (`sh`, or `console` with `$ ` before a command).

        Raises ValueError for a line in which no command can be seen.
        """
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        for line in lines:
            words = _WORDS.match(line.strip())
            if words:
                yield words[1]
            elif not _NO_COMMAND.fullmatch(line.strip()):
                raise ValueError(f"{self.page}: no command is seen in {line!r}")


def pages() -> list[Path]:
    """The README and the pages of `docs/`."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def blocks(page: Path) -> list[Block]:
    """The fenced blocks of a page, in its order; raises ValueError where a fence is not closed."""
    text = page.read_text("utf-8")
    found = [Block(str(page.relative_to(ROOT)), *match.groups()) for match in _FENCE.finditer(text)]
    if 2 * len(found) != len(re.findall("^```", text, re.MULTILINE)):
        raise ValueError(f"{page}: a fence is not closed")
    return found


def targets(page: Path) -> set[str]:
    """Every target of `make` that a page names, in a block or in its text."""
    return set(re.findall(r"(?:`|^|^\$ )make ([a-z0-9-]+)", page.read_text("utf-8"), re.MULTILINE))
