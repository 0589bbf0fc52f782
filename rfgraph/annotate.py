"""A copy of a model that carries its receptive fields, for Netron and other viewers to show."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from rfgraph.analysis.analysis import Analysis
from rfgraph.errors import ModelError, QueryError
from rfgraph.files import save as write
from rfgraph.model import model_file
from rfgraph.model.metadata import Chunk, with_metadata
from rfgraph.render import text
from rfgraph.render.rows import rows
from rfgraph.version import VERSION

# What the keys begin with; what stands under such keys already is replaced.
PREFIX = "rfgraph: "

_LEGEND = (
    f"as rfgraph {VERSION} tells them: size /stride @start along the axes of the input on which "
    "fields move, and reach back/ahead of a unit's own place"
)


def save(analysis: Analysis, path: str | os.PathLike[str]) -> int:
    """Write the model with what each node and value sees in its ``metadata_props``.

    The key is ``rfgraph: sees x`` for the input ``x``, and the text that of `rfgraph show`:
    ``7x7 /2 @-3``. Everything else stays as it is, byte for byte. Weights are copied from where
    they lie, and never held in memory; those in other files stay there.

    Parameters
    ----------
    analysis : Analysis
        The analysis of a file.
    path : path
        Where to write: a file that is whole or not there. It may be the model itself.

    Returns
    -------
    int
        How many nodes were annotated.

    Raises
    ------
    QueryError
        The analysis is not of a file, or weights lie beside the model and `path` in another folder.
    ModelError
        The file is no longer what it was.
    RFGraphError
        It can't be written.

    Examples
    --------
    >>> import onnx, rfgraph, tempfile
    >>> a = rfgraph.analyze("models/lenet_textbook.onnx")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     nodes = save(a, f"{folder}/lenet.onnx")
    ...     model = onnx.load(f"{folder}/lenet.onnx")
    >>> nodes
    2
    >>> [p.value for node in model.graph.node for p in node.metadata_props]
    ['5x5 /1 @0 reach 0/4', '6x6 /2 @0 reach 0/4']
    """
    chunks, nodes = pieces(analysis, Path(path).resolve().parent)
    write(Path(path), lambda stream: stream.writelines(chunks))
    return nodes


def pieces(analysis: Analysis, folder: Path | None = None) -> tuple[list[Chunk], int]:
    """What `save` writes into a folder, and how many nodes are annotated."""
    if analysis.file is None:
        raise QueryError(
            "only the model of a file can be annotated", remedy="analyse it by its path"
        )
    content = model_file.load(analysis.file)
    source = Path(analysis.file).resolve().parent
    if folder not in (None, source) and content.weights.are_elsewhere:
        raise QueryError(
            "its weights lie in files beside it, which a copy in another folder does not find",
            file=analysis.file,
            remedy=f"write it into {source}",
        )
    axes = {name: analysis.moving_axes(name) for name in analysis.inputs}
    seen = {
        row.tensor: {
            name: text.field(pair.local, pair.full, axes[name]) for name, pair in row.fields.items()
        }
        for row in rows(analysis)
    }
    annotated = 0

    def told(kind: str, names: tuple[str, ...]) -> Mapping[str, str]:
        nonlocal annotated
        if kind == "model":
            return {f"{PREFIX}what nodes see": "; ".join([_LEGEND, *map(str, analysis.notes)])}
        found = {name: seen[name] for name in names if name in seen}
        annotated += bool(found) and kind == "node"
        inputs = dict.fromkeys(name for fields in found.values() for name in fields)
        return {f"{PREFIX}sees {name}": _joined(found, name) for name in inputs}

    try:
        return with_metadata(content.buffer, PREFIX, told), annotated
    except ValueError as error:
        raise ModelError(f"it changed on the way: {error}", file=analysis.file) from None


def _joined(found: Mapping[str, Mapping[str, str]], name: str) -> str:
    """What the outputs of a node see of an input: each by its name where they differ."""
    texts = {output: fields[name] for output, fields in found.items() if name in fields}
    if len(found) == 1 or (len(texts) == len(found) and len(set(texts.values())) == 1):
        return next(iter(texts.values()))
    return "; ".join(f"{output}: {told}" for output, told in texts.items())
