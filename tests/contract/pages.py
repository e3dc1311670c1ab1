"""Reads the tables of the project's pages."""

import re

Table = list[list[str]]


def tables(page: str, heading: str) -> list[Table]:
    """The tables in the section of a second-level heading, each as the cells of its rows; heads are left out."""
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = [block.splitlines()[2:] for block in section.strip().split("\n\n") if block.startswith("|")]
    return [[[cell.strip() for cell in line.strip("|").split(" | ")] for line in block] for block in blocks]


def quoted(text: str) -> list[str]:
    """What stands in a text between backticks."""
    return re.findall(r"`([^`]+)`", text)
