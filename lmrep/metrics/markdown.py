"""Markdown whose raw text can be read too: tables with aligned columns, and short lines."""

import re
from collections.abc import Sequence
from textwrap import fill

LINE = 120


def cell(text: object) -> str:
    """Text of a table's cell: on one line, and a bar does not end it."""
    return " ".join(str(text).split()).replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of Markdown whose columns are aligned in the raw text too."""
    cells = [[cell(text) for text in row] for row in (head, *rows)]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    lines = [" | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    return "\n".join(f"| {line} |" for line in lines)


def wrapped(text: str) -> str:
    """Markdown whose paragraphs and points have lines no longer than LINE; headings stay as they are."""
    found = []
    for block in re.split(r"\n(?=- |\n)", text):
        lead, words = block[: len(block) - len(block.lstrip("\n"))], " ".join(block.split())
        if not words.startswith("#"):
            indent = "  " if words.startswith("- ") else ""
            words = fill(words, LINE, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False)
        found.append(lead + words)
    return "\n".join(found)


def points(lines: Sequence[str]) -> str:
    """A list of Markdown, with lines no longer than LINE."""
    return wrapped("\n".join(f"- {line}" for line in lines))
