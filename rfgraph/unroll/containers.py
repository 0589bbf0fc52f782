"""Sequences and optionals: a sequence that is known is the list of its elements."""

from __future__ import annotations

import numpy as np

from rfgraph.model.graph import Node
from rfgraph.model.sizes import is_unknown
from rfgraph.unroll.writer import MAX_UNROLLED, Writer

# ---------------------------------------------------------------- sequences


def sequence_construct(writer: Writer, node: Node) -> None:
    """SequenceConstruct and SequenceEmpty."""
    writer.sequence(node, list(node.inputs))


def sequence_insert(writer: Writer, node: Node) -> None:
    """SequenceInsert, where the place is known."""
    elements = writer.sequences.get(node.inputs[0])
    place = _place(writer, node, 2, len(elements or ()), end=1)
    if elements is None or place is None:
        writer.emit(node)
    else:
        writer.sequence(node, [*elements[:place], node.inputs[1], *elements[place:]])


def sequence_erase(writer: Writer, node: Node) -> None:
    """SequenceErase, where the place is known."""
    elements = writer.sequences.get(node.inputs[0])
    place = _place(writer, node, 1, len(elements or ()))
    if elements is None or place is None:
        writer.emit(node)
    else:
        writer.sequence(node, [*elements[:place], *elements[place + 1 :]])


def _place(writer: Writer, node: Node, k: int, length: int, end: int = 0) -> int | None:
    """A position in a sequence, which is its last where input `k` is left out."""
    if len(node.inputs) <= k or not node.inputs[k]:
        return length if end else length - 1
    given = writer.static(node.inputs[k])
    if given is None:
        return None
    place = int(writer.single(node, given, "position"))
    if length and not -length <= place < length + end:
        raise writer.error(node, f"it asks for element {place} of a sequence of {length}")
    return place + length if place < 0 else place


def sequence_at(writer: Writer, node: Node) -> None:
    """SequenceAt: the element, or a choice of all where the data decide which."""
    elements = writer.sequences.get(node.inputs[0])
    if not elements:
        writer.emit(node)
        return
    place = _place(writer, node, 1, len(elements))
    if place is not None:
        writer.same(elements[place], node.outputs[0], node)
    else:
        writer.put("SequenceAt", [node.inputs[1], *elements], node.outputs, node.name)


def sequence_length(writer: Writer, node: Node) -> None:
    """SequenceLength."""
    elements = writer.sequences.get(node.inputs[0])
    if elements is None:
        writer.emit(node)
    else:
        length = writer.constant(np.int64(len(elements)), "length", node)
        writer.same(length, node.outputs[0], node)


def split_to_sequence(writer: Writer, node: Node) -> None:
    """SplitToSequence as a Split, where the parts are known."""
    parts = _parts(writer, node)
    if parts is None:
        writer.emit(node)
        return
    source, target = node.inputs[0], node.outputs[0]
    axis = node.attribute("axis", 0)
    names = [writer.fresh(f"{target}/{k}", node.name, keep=True) for k in range(len(parts))]
    split = writer.constant(np.array(parts, dtype=np.int64), "split", node)
    if parts:
        writer.put("Split", [source, split], names, f"{node.name}/split", axis=axis)
    if not _has_split(node) and not node.attribute("keepdims", 1):
        axes = writer.constant(np.array([axis]), "axes", node)
        flat = [writer.fresh(f"{name}/squeezed", node.name, keep=True) for name in names]
        for name, squeezed in zip(names, flat, strict=True):
            writer.put("Squeeze", [name, axes], [squeezed], f"{node.name}/{squeezed}")
        names = flat
    writer.sequence(node, names)


def _has_split(node: Node) -> bool:
    return len(node.inputs) > 1 and bool(node.inputs[1])


def _parts(writer: Writer, node: Node) -> list[int] | None:
    """The lengths that a SplitToSequence cuts its input into; None if they are not known."""
    shape = writer.shapes.shape(node.inputs[0])
    given = writer.static(node.inputs[1]) if _has_split(node) else None
    if shape is None or (given is None and _has_split(node)):
        return None
    axis = node.attribute("axis", 0)
    if not -len(shape) <= axis < len(shape):
        raise writer.error(node, f"there is no axis {axis} among {len(shape)} axes")
    size = shape[axis]
    if given is None:
        return None if is_unknown(size) or size > MAX_UNROLLED else [1] * size
    if given.ndim:
        return [int(v) for v in given]
    chunk = max(int(given), 1)
    return [min(chunk, size - begin) for begin in range(0, size, chunk)]


def concat_from_sequence(writer: Writer, node: Node) -> None:
    """ConcatFromSequence of the elements."""
    elements = writer.sequences.get(node.inputs[0])
    if elements is None:
        writer.emit(node)
        return
    writer.put(
        "ConcatFromSequence",
        elements,
        node.outputs,
        node.name,
        axis=node.attribute("axis"),
        new_axis=node.attribute("new_axis", 0),
    )


def sequence_map(writer: Writer, node: Node) -> None:
    """SequenceMap as a copy of its body for each element."""
    first = writer.sequences.get(node.inputs[0])
    given = [writer.sequences.get(name) for name in node.inputs]
    if first is None or len(first) * len(node.attribute("body").node) > writer.room:
        writer.emit(node)
        return
    made: list[list[str]] = [[] for _ in node.outputs]
    for k in range(len(first)):
        inputs = [
            name if elements is None else elements[k]
            for name, elements in zip(node.inputs, given, strict=True)
        ]
        found = writer.subgraph(node, "body", inputs, f"{node.name}/{k}", keep=False)
        for kept, name in zip(made, found, strict=False):
            kept.append(name)
    for outer, names in zip(node.outputs, made, strict=True):
        if outer:
            writer.sequences[outer] = names
            writer.put("SequenceConstruct", names, [outer], f"{node.name}/{outer}")


# ---------------------------------------------------------------- optionals


def optional(writer: Writer, node: Node) -> None:
    """Optional, of a value or of nothing."""
    held = node.inputs[0] if node.inputs and node.inputs[0] else None
    writer.optionals[node.outputs[0]] = held
    writer.emit(node)


def optional_get_element(writer: Writer, node: Node) -> None:
    """OptionalGetElement: what an optional holds; a tensor is what it is."""
    name = node.inputs[0]
    held = writer.optionals.get(name, name)
    opaque = name not in writer.optionals and _is_optional(writer, name)
    if held is None or opaque:
        writer.emit(node)
    else:
        writer.same(held, node.outputs[0], node)


def optional_has_element(writer: Writer, node: Node) -> None:
    """OptionalHasElement."""
    name = node.inputs[0] if node.inputs else ""
    if name and name not in writer.optionals and _is_optional(writer, name):
        writer.emit(node)
        return
    holds = bool(name) and writer.optionals.get(name, name) is not None
    answer = writer.constant(np.array(holds), "holds", node)
    writer.same(answer, node.outputs[0], node)


def _is_optional(writer: Writer, name: str) -> bool:
    kind = writer.shapes.type(name)
    return kind is not None and kind.HasField("optional_type")


def identity(writer: Writer, node: Node) -> None:
    """Identity, of a container too."""
    writer.hold_alike(node.inputs[0], node.outputs[0])
    writer.emit(node)
