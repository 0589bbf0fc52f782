"""Write docs/architecture.svg: the way from a file to an answer, room by room.

Usage: python docs/architecture.py
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

PICTURE = Path(__file__).with_name("architecture.svg")

WIDTH, HEIGHT = 830, 640

# Left edge, top edge, width, height, colour, room, and what it does or holds.
FILE, WORD, ENGINE, ANSWER, SHOWN = "#f2efe9", "#fdf3d8", "#d7ecf0", "#dff0dd", "#ecebf6"
BOXES = (
    (300, 15, 230, 40, FILE, "model.onnx", ""),
    (300, 85, 230, 50, FILE, "model/", "nodes and weights of the file"),
    (300, 165, 230, 50, FILE, "shapes/ unroll/", "sizes; loops written out"),
    (300, 245, 230, 50, ENGINE, "engine/trace", "each node tells what it reads"),
    (20, 245, 220, 50, WORD, "ops/", "what one operator reads"),
    (20, 165, 220, 50, WORD, "reads/", "the words to say it in"),
    (590, 245, 220, 50, WORD, "prune/", "what constants cut"),
    (300, 325, 230, 50, ENGINE, "engine/ lowering", "reads become a program"),
    (20, 405, 380, 50, ENGINE, "engine/ forward", "bounds of all units, closed form"),
    (430, 405, 380, 50, ENGINE, "engine/ backward", "support, paths, influence, why"),
    (20, 485, 250, 50, ANSWER, "checks/ compare", "findings, differences"),
    (300, 485, 230, 50, ANSWER, "analysis/", "questions and answers"),
    (560, 485, 250, 50, ANSWER, "validation/", "held against onnxruntime"),
    (20, 575, 380, 50, SHOWN, "cli/ testing pytest_rfgraph", "commands, assertions"),
    (430, 575, 380, 50, SHOWN, "render/ plot", "a file a format, pictures"),
)

# From where to where.
ARROWS = (
    (415, 55, 415, 83),
    (415, 135, 415, 163),
    (415, 215, 415, 243),
    (130, 215, 130, 243),
    (240, 270, 298, 270),
    (590, 270, 532, 270),
    (415, 295, 415, 323),
    (370, 375, 300, 403),
    (460, 375, 530, 403),
    (300, 455, 370, 483),
    (530, 455, 460, 483),
    (300, 510, 272, 510),
    (530, 510, 558, 510),
    (145, 535, 170, 573),
    (380, 535, 340, 573),
    (450, 535, 490, 573),
    (685, 535, 660, 573),
    (430, 600, 402, 600),
)


def picture() -> str:
    """The text of the file."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" text-anchor="middle">'
    )
    yield "<title>From a file to an answer</title>"
    yield '<defs><marker id="tip" markerWidth="9" markerHeight="8" refX="8" refY="4" orient="auto">'
    yield '<path d="M0,0 L9,4 L0,8 z" fill="#555555"/></marker></defs>'
    # A page may be dark.
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'
    for x, y, to_x, to_y in ARROWS:
        yield (
            f'<line x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" stroke="#555555" '
            f'stroke-width="1.5" marker-end="url(#tip)"/>'
        )
    for x, y, width, height, colour, room, text in BOXES:
        middle = x + width // 2
        yield (
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="5" fill="{colour}" '
            f'stroke="#888888"/>'
        )
        first = y + (21 if text else height // 2 + 5)
        yield (
            f'<text x="{middle}" y="{first}" font-size="14" font-weight="bold" fill="#222222">'
            f"{escape(room)}</text>"
        )
        if text:
            yield (
                f'<text x="{middle}" y="{y + 40}" font-size="13" fill="#444444">'
                f"{escape(text)}</text>"
            )
    yield "</svg>"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
