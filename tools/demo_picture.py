"""`make picture`: the telling part of what `make demo` prints, as the picture `docs/demo.svg`.

    python -m tools.demo_picture             runs the demo
    python -m tools.demo_picture OUTPUT      takes its output from a file, `-` for standard input

A line with `…` ends each part from which lines are left out. The picture brings no font, fetches nothing, and follows
the reader's light or dark background.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parent.parent
PICTURE = ROOT / "docs" / "demo.svg"
LEFT_OUT = "…"
_PROMPT = "$ make demo"

# One export that fails, one that completes after a while, and one that only says so.
_FOLLOWED = "DMqdv6gRq79BkNyHZnc6rhweyJt9KSAY|SlowButSound0000000000000000000a|LiesAboutItsObject0000000000000b"
_LOOK = re.compile(r" *[0-9.]+ s  (?P<look>\S+ +\S+ +(?P<outcome>\w+).*)")
_TELLING = re.compile(
    rf"""Starting\ |Deployed\ |What\ an\ SQS\ subscriber
    | announced\ +(five|{_FOLLOWED}) | discovered
    | \ *[0-9.]+\ s\ \ ({_FOLLOWED})
    | (?!MemberOf)\S+\ +(completed|failed|concluded)\b""",
    re.VERBOSE,
)

_NAMESPACE = "http://www.w3.org/2000/svg"
_CHARACTER, _LINE, _MARGIN, _BAR = 8.4, 20, 16, 28
# Words with single spaces between them stand together; each such piece is placed by itself, so that columns stay
# columns in every font.
_PIECE = re.compile(r"\S+(?: \S+)*")
_LOOKS = {
    "good": re.compile(r"completed$"),
    "bad": re.compile(r"failed\b"),
    "open": re.compile(r"waiting\b"),
    "aside": re.compile(r"…$|\$ |[0-9.]+ s$"),
}
_STYLE = """
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #24292f; }
  .screen { fill: #f6f8fa; stroke: #d0d7de; } .button { fill: #d0d7de; }
  .good { fill: #1a7f37; } .bad { fill: #cf222e; } .open { fill: #9a6700; } .aside { fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .screen { fill: #161b22; stroke: #30363d; } .button { fill: #30363d; }
    .good { fill: #56d364; } .bad { fill: #ff7b72; } .open { fill: #e3b341; } .aside { fill: #9198a1; }
  }
"""


def telling_part(output: str) -> list[str]:
    """The lines of the demo's output that the picture shows, its parts parted by empty lines.

    Raises ValueError where an export that is to be shown has no end: the demo has changed, or broke off.
    """
    shown: list[str] = []
    for part in output.strip("\n").split("\n\n"):
        lines = part.splitlines()
        telling = [line for line in lines if _TELLING.match(line)]
        if telling:
            shown += ["", *telling] if shown else telling
        if len(telling) < len(lines) and shown[-1:] != [LEFT_OUT]:
            shown.append(LEFT_OUT)
    if missing := [name for name in _FOLLOWED.split("|") if not any(end.startswith(name) for end in facts(shown))]:
        raise ValueError(f"the demo's output has no end of {', '.join(missing)}")
    return shown


def facts(lines: Iterable[str]) -> set[str]:
    """What is the same in each run of the demo: headings and ends, without times and without looks that end nothing."""
    looks = {line: _LOOK.match(line) for line in lines}
    ends = {look["look"] for look in looks.values() if look and look["outcome"] in ("completed", "failed")}
    return ends | {line for line, look in looks.items() if not look}


def svg(lines: Iterable[str]) -> str:
    """The lines behind the command, as they look in a terminal."""
    screen = [_PROMPT, *lines]
    width = round(max(len(line) for line in screen) * _CHARACTER) + 2 * _MARGIN
    height = _BAR + len(screen) * _LINE + _MARGIN
    return "\n".join(
        [
            f'<svg xmlns="{_NAMESPACE}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            "<title>What make demo prints</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="screen" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="8"/>',
            *(f'<circle class="button" cx="{_MARGIN + 6 + 18 * number}" cy="16" r="5"/>' for number in range(3)),
            *(piece for number, line in enumerate(screen) for piece in _placed(line, number)),
            "</svg>\n",
        ]
    )


def _placed(line: str, number: int) -> Iterator[str]:
    for piece in _PIECE.finditer(line):
        text = piece.group()
        x, y = round(_MARGIN + piece.start() * _CHARACTER, 1), _BAR + 14 + number * _LINE
        look = next((f' class="{name}"' for name, pattern in _LOOKS.items() if pattern.match(text)), "")
        length = f'textLength="{round(len(text) * _CHARACTER, 1)}" lengthAdjust="spacingAndGlyphs"'
        yield f'<text{look} x="{x}" y="{y}" {length}>{escape(text)}</text>'


def lines_of(picture: str) -> list[str]:
    """The lines that a picture shows, without the command."""
    lines: dict[int, str] = {}
    for piece in ET.fromstring(picture).iter(f"{{{_NAMESPACE}}}text"):  # noqa: S314 -- our own picture
        number = (int(piece.attrib["y"]) - _BAR) // _LINE
        column = round((float(piece.attrib["x"]) - _MARGIN) / _CHARACTER)
        lines[number] = lines.get(number, "").ljust(column) + (piece.text or "")
    return [lines.get(number, "") for number in range(1, max(lines) + 1)]


def _output(arguments: list[str]) -> str:
    if not arguments:
        command = [sys.executable, "-m", "local.demo"]
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    return sys.stdin.read() if arguments == ["-"] else Path(arguments[0]).read_text("utf-8")


if __name__ == "__main__":
    PICTURE.write_text(svg(telling_part(_output(sys.argv[1:]))), "utf-8")
