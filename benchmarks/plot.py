"""The benchmark's figures as a plot: the app's share of what the naive function needs, on a logarithmic scale.

An SVG without scripts, whose colours follow the reader's light or dark background.
"""

import math
from collections.abc import Iterator
from xml.sax.saxutils import escape

from benchmarks.figures import Figure, Section

_WIDTH = 860
_LEFT = 300
_RIGHT = 60
_TOP = 58
_ROW = 24
_LEAST = 0.005
_MOST = 4.0
_TICKS = (0.01, 0.1, 1.0)
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f; }
  .small { font-size: 11px; fill: #57606a; }
  .grid { stroke: #d0d7de; } .naive { stroke: #57606a; stroke-dasharray: 4 3; }
  .app { fill: #0969da; } .floor { fill: #24292f; stroke: #ffffff; } .target { stroke: #cf222e; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .small { fill: #9198a1; }
    .grid { stroke: #30363d; } .naive { stroke: #9198a1; }
    .app { fill: #1f6feb; } .floor { fill: #e6edf3; stroke: #0d1117; } .target { stroke: #ff7b72; }
  }
"""


def svg(section: Section, machine: str) -> str:
    """The plot of the section about the naive function, as the text of an SVG file."""
    figures = [figure for figure in section.figures if figure.ratio]
    height = _TOP + _ROW * len(figures) + 34
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}">',
        "<title>What the app needs, as a share of what a naive function needs</title>",
        f"<style>{_STYLE}</style>",
        *_legend(),
        *_scale(height - 34),
        *(line for number, figure in enumerate(figures) for line in _bar(figure, _TOP + number * _ROW)),
        _text(0, height - 8, machine, "small"),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _x(ratio: float) -> float:
    share = math.log(min(max(ratio, _LEAST), _MOST) / _LEAST) / math.log(_MOST / _LEAST)
    return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)


def _legend() -> Iterator[str]:
    yield _text(0, 16, "Share of what a naive function needs (logarithmic)")
    yield f'<rect class="app" x="{_LEFT + 170}" y="7" width="16" height="10"/>'
    yield _text(_LEFT + 192, 16, "this app", "small")
    yield _diamond(_LEFT + 268, 12)
    yield _text(_LEFT + 280, 16, "floor", "small")
    yield f'<line class="target" x1="{_LEFT + 330}" x2="{_LEFT + 330}" y1="5" y2="19"/>'
    yield _text(_LEFT + 338, 16, "at most", "small")


def _scale(bottom: int) -> Iterator[str]:
    for tick in _TICKS:
        kind = "naive" if tick == 1 else "grid"
        yield f'<line class="{kind}" x1="{_x(tick)}" x2="{_x(tick)}" y1="{_TOP - 8}" y2="{bottom}"/>'
        label = "naive = 1" if tick == 1 else f"{tick:g}"
        yield _text(_x(tick), _TOP - 14, label, "small", "middle")


def _bar(figure: Figure, y: int) -> Iterator[str]:
    end = rightmost = _x(figure.app / figure.other)
    yield _text(_LEFT - 10, y + 13, figure.name, anchor="end")
    yield f'<rect class="app" x="{_LEFT}" y="{y + 3}" width="{round(end - _LEFT, 1)}" height="12" rx="2"/>'
    if (figure.floor or 0) / figure.other >= _LEAST:
        at = _x((figure.floor or 0) / figure.other)
        yield _diamond(at, y + 9)
        rightmost = max(rightmost, at + 6)
    if figure.target is not None:
        limit = _x(figure.target.most / (1 if figure.target.of_other else figure.other))
        yield f'<line class="target" x1="{limit}" x2="{limit}" y1="{y}" y2="{y + 18}"/>'
        rightmost = max(rightmost, limit)
    yield _text(rightmost + 6, y + 13, f"{figure.app / figure.other:.2g}", "small")


def _diamond(x: float, y: float) -> str:
    return f'<path class="floor" d="M{x - 5},{y}l5,-5l5,5l-5,5z"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'
