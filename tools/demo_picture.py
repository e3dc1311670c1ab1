"""`make demo-svg`: draws the output of `make demo`, without the event and the e-mail, as `docs/demo.svg`.

A line with `…` stands for omitted lines. The picture contains no font, loads nothing, and adapts to a
light or dark background.
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

_POLL = re.compile(r" *[0-9.]+ s  (?P<poll>.*)")
_VARIABLE = re.compile(r"[0-9]+(?= s\b| passed| skipped)")

_NAMESPACE = "http://www.w3.org/2000/svg"
_CHARACTER, _LINE, _MARGIN, _BAR = 8.4, 20, 16, 28
# Words with single spaces between them form a piece; each piece is placed separately, so that columns stay aligned in
# every font.
_PIECE = re.compile(r"\S+(?: \S+)*")
_COLOURS = {
    "good": re.compile(r"(published: )?completed$"),
    "bad": re.compile(r"(published: )?failed\b"),
    "aside": re.compile(r"…$|\$ |[0-9.]+ s$"),
}
_STYLE = """
  text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; fill: #24292f; }
  .screen { fill: #f6f8fa; stroke: #d0d7de; } .button { fill: #d0d7de; }
  .good { fill: #1a7f37; } .bad { fill: #cf222e; } .aside { fill: #57606a; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .screen { fill: #161b22; stroke: #30363d; } .button { fill: #30363d; }
    .good { fill: #56d364; } .bad { fill: #ff7b72; } .aside { fill: #9198a1; }
  }
"""


def shown_part(output: str) -> list[str]:
    """The lines of the demo's output that the picture shows.

    Raises ValueError if the last part is missing: the demo has changed or failed.
    """
    shown: list[str] = []
    leaves_out = False
    for line in output.splitlines():
        if line.startswith("The "):
            shown += ["", line, LEFT_OUT] if leaves_out else [line, LEFT_OUT]
            leaves_out = True
        elif line.startswith("Done in "):
            shown += ["", line]
            leaves_out = False
        elif not leaves_out:
            shown.append(line)
    if leaves_out or not any(line.startswith("Done in ") for line in shown):
        raise ValueError("the demo's output has no end")
    return shown


def facts(lines: Iterable[str]) -> set[str]:
    """What is the same in each run: lines without times and numbers of checks, and polls that published something."""
    polls = {line: _POLL.match(line) for line in lines}
    published = {poll["poll"] for poll in polls.values() if poll and "published: " in poll["poll"]}
    return published | {_VARIABLE.sub("…", line) for line, poll in polls.items() if not poll}


def svg(lines: Iterable[str]) -> str:
    """A picture of the command and these lines in a terminal."""
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
        colour = next((f' class="{name}"' for name, pattern in _COLOURS.items() if pattern.match(text)), "")
        length = f'textLength="{round(len(text) * _CHARACTER, 1)}" lengthAdjust="spacingAndGlyphs"'
        yield f'<text{colour} x="{x}" y="{y}" {length}>{escape(text)}</text>'


def lines_of(picture: str) -> list[str]:
    """The lines in a picture, without the command."""
    lines: dict[int, str] = {}
    for piece in ET.fromstring(picture).iter(f"{{{_NAMESPACE}}}text"):  # noqa: S314 -- our own picture
        number = (int(piece.attrib["y"]) - _BAR) // _LINE
        column = round((float(piece.attrib["x"]) - _MARGIN) / _CHARACTER)
        lines[number] = lines.get(number, "").ljust(column) + (piece.text or "")
    return [lines.get(number, "") for number in range(1, max(lines) + 1)]


if __name__ == "__main__":
    demo = subprocess.run([sys.executable, "-m", "local.demo"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    PICTURE.write_text(svg(shown_part(demo.stdout)), "utf-8")
