"""Pictures that commands write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rfgraph import plot
from rfgraph.errors import QueryError
from rfgraph.files import save

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURES = (".png", ".svg", ".pdf")


def check_kind(path: Path | None, option: str, kinds: tuple[str, ...]) -> None:
    """Refuse what can't be saved, before anything is run."""
    if path is None:
        return
    if path.suffix.lower() not in kinds:
        raise QueryError(f"{option} {path}: its name has to end in one of {', '.join(kinds)}")
    if path.suffix.lower() in PICTURES:
        plot.available()


def draw_into(path: Path, figure: Figure) -> None:
    """Write a picture in the format that its name says."""
    save(path, lambda stream: figure.savefig(stream, format=path.suffix[1:].lower()))


__all__ = ["PICTURES", "check_kind", "draw_into"]
