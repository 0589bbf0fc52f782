"""Output shapes where ONNX's own inference is wrong or missing; each rule says in what.

A rule looks at a node and answers with a function from the shape of its first input to that of
its output, or with None where ONNX's inference is right.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod

from rfgraph.graph import Node

Shape = tuple[int, ...]
Rule = Callable[[Shape, list[Shape | None]], Shape]


def rule(node: Node) -> Rule | None:
    """The rule for `node`, called with the shapes of its first input and of all its inputs."""
    if node.domain or node.op_type not in _RULES:
        return None
    return _RULES[node.op_type](node)


def _unchanged(node: Node) -> Rule:
    """GroupNormalization is deprecated at 18, where inference refuses it, and from 21 on a
    function, as MeanVarianceNormalization is, whose body infers wrongly.
    """
    return lambda shape, _: shape


def _pool(node: Node) -> Rule | None:
    """With ``ceil_mode`` a window that would begin beyond the input and its first padding does
    not count (https://onnx.ai/onnx/operators/onnx__AveragePool.html); inference counts it.
    """
    kernel = node.attribute("kernel_shape")
    if not node.attribute("ceil_mode", 0) or not kernel:
        return None
    rank = len(kernel)
    strides = node.attribute("strides") or [1] * rank
    dilations = node.attribute("dilations") or [1] * rank
    pads = node.attribute("pads") or [0] * (2 * rank)
    auto_pad = node.attribute("auto_pad", "NOTSET")

    def output(shape: Shape, _: list[Shape | None]) -> Shape:
        sizes = []
        for a, n in enumerate(shape[2:]):
            if auto_pad.startswith("SAME"):
                sizes.append(ceil(n / strides[a]))
                continue
            begin, end = (pads[a], pads[a + rank]) if auto_pad == "NOTSET" else (0, 0)
            reach = (kernel[a] - 1) * dilations[a] + 1
            count = -((reach - n - begin - end) // strides[a]) + 1
            if (count - 1) * strides[a] >= n + begin:
                count -= 1
            sizes.append(count)
        return (*shape[:2], *sizes)

    return output


def _conv_transpose(node: Node) -> Rule | None:
    """An `output_shape` is that of the spatial axes, which inference takes for all. With
    ``auto_pad=SAME_*`` the output is size * stride long, to which inference adds
    `output_padding` (https://onnx.ai/onnx/operators/onnx__ConvTranspose.html); runtimes don't
    lengthen it to that where it is shorter by itself.
    """
    spatial = node.attribute("output_shape")
    if not spatial and not node.attribute("auto_pad", "NOTSET").startswith("SAME"):
        return None

    def output(shape: Shape, inputs: list[Shape | None]) -> Shape:
        W = inputs[1]
        assert W is not None
        rank = len(shape) - 2
        strides = node.attribute("strides") or [1] * rank
        dilations = node.attribute("dilations") or [1] * rank
        extra = node.attribute("output_padding") or [0] * rank
        sizes = list(spatial or [])[-rank:]
        if not sizes:
            for a, n in enumerate(shape[2:]):
                reach = (W[a + 2] - 1) * dilations[a] + 1
                sizes.append(min(n * strides[a], (n - 1) * strides[a] + extra[a] + reach))
        return (shape[0], W[1] * node.attribute("group", 1), *sizes)

    return output


def _reshape(node: Node) -> Rule | None:
    """Before version 5 the new shape is an attribute, and inference knows nothing."""
    new = node.attribute("shape")
    if node.version >= 5 or new is None:
        return None

    def output(shape: Shape, _: list[Shape | None]) -> Shape:
        sizes = [n if n else shape[axis] for axis, n in enumerate(new)]
        if -1 in sizes:
            open_ = sizes.index(-1)
            sizes[open_] = prod(shape) // prod(sizes[:open_] + sizes[open_ + 1 :])
        return tuple(sizes)

    return output


def _slice(node: Node) -> Rule | None:
    """Before version 10 inference gives up on axes that are out of order."""
    starts, ends = node.attribute("starts"), node.attribute("ends")
    if node.version >= 10 or not starts or not ends:
        return None
    axes = node.attribute("axes") or range(len(starts))

    def output(shape: Shape, _: list[Shape | None]) -> Shape:
        sizes = list(shape)
        for start, end, axis in zip(starts, ends, axes, strict=True):
            sizes[axis] = len(range(*slice(start, end).indices(shape[axis])))
        return tuple(sizes)

    return output


def _dropout(node: Node) -> Rule | None:
    """Before version 10 inference leaves the mask open."""
    if node.version >= 10 or len(node.outputs) < 2:
        return None
    return lambda shape, _: shape


def _gather_nd(node: Node) -> Rule:
    """An output without axes is left open by inference."""

    def output(shape: Shape, inputs: list[Shape | None]) -> Shape:
        indices = inputs[1]
        assert indices is not None
        return indices[:-1] + shape[node.attribute("batch_dims", 0) + indices[-1] :]

    return output


def _squeeze(node: Node) -> Rule | None:
    """Before version 13 inference drops the wrong axes where they are out of order."""
    axes = node.attribute("axes") or []
    if axes == sorted(axes):
        return None

    def output(shape: Shape, _: list[Shape | None]) -> Shape:
        dropped = {axis % len(shape) for axis in axes}
        return tuple(size for axis, size in enumerate(shape) if axis not in dropped)

    return output


_RULES: dict[str, Callable[[Node], Rule | None]] = {
    "AveragePool": _pool,
    "ConvTranspose": _conv_transpose,
    "Dropout": _dropout,
    "GatherND": _gather_nd,
    "GroupNormalization": _unchanged,
    "LpPool": _pool,
    "MaxPool": _pool,
    "MeanVarianceNormalization": _unchanged,
    "Reshape": _reshape,
    "Slice": _slice,
    "Squeeze": _squeeze,
}

# The operators that may have a rule.
RULED = frozenset(_RULES)
