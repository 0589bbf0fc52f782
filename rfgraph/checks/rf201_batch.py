"""RF201."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

import numpy as np

from rfgraph.analysis.analysis import Analysis
from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, axis_or_none
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject, first, unit_text
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.reads.words import Along, Fixed, PerAxis, Read, same

BATCH_AXIS = Option(
    "batch-axis", axis_or_none, 0, "the axis of inputs and outputs that is the batch", "model"
)


@check("RF201", "batch-dependence", "error", (BATCH_AXIS,))
def batch_dependence(subject: Subject) -> Iterator[Finding]:
    """An output for one sample of the batch depends on other samples.

    What a model says of one sample then changes with what happens to be beside it: results are not
    reproducible, differ between training, testing and serving, and information leaks from one
    user's request to another's. It comes from a batch normalisation that was exported in training
    mode (Ioffe and Szegedy 2015, Batch Normalization: in training the statistics are those of the
    batch), or from a reshape or transposition that mistakes tokens for the batch.

    An open batch axis is given a size that no other axis has. One of a fixed size larger than 1 is
    taken as it is, if all outputs have it, if a layer whose windows move along other axes (or a
    convolution of kernel 1) takes it for the batch, or if `batch-axis` is set; of a batch of 1
    nothing can be said. A unit may depend on one sample only, and at place b of the batch axis of
    an output that is as long as the batch, on sample b. Where an output has no such axis, one of
    its axes goes through the samples in turn.

    Example: after BatchNormalization with training_mode=1,

        RF201 output 'y' at 0,0,0,0 sees samples 0 to 1 of input 'x', first at
        BatchNormalization 'bn'

    What to do: export in evaluation mode (`model.eval()`); permute axes by a transposition and not
    by a reshape. Where axis 0 is no batch (tokens or time come first) say which one is, by
    `batch-axis`, or `batch-axis = false`.
    """
    axis = subject.settings.get("batch-axis")
    if axis is None:
        return
    batched = _batched(subject, axis)
    if batched is None:
        return
    if isinstance(batched, Finding):
        yield batched
        return
    analysis, inputs = batched
    for output, given in subject.pairs(analysis):
        if given not in inputs:
            continue
        size = (analysis.extent(given) or ())[axis]
        lo, hi = analysis.bounds(output, given, axis=axis)
        mixed = lo < hi
        if mixed.any():
            unit = tuple(int(c) for c in np.argwhere(mixed)[0])
            ends = f"{int(lo[unit])} to {int(hi[unit])}"
            where = first(analysis, output, partial(_mixes, analysis, given, axis), given)
            yield subject.finding(
                f"output '{output}'{unit_text(unit)} sees samples {ends} of input "
                f"'{given}'" + (f", first at {node}" if (node := analysis.node(where)) else ""),
                "export in evaluation mode, and permute axes with Transpose, not with Reshape",
                value=output,
                made_by=where,
                input=given,
                axis=axis,
            )
            continue
        shape = analysis.extent(output) or ()
        if axis < len(shape) and shape[axis] == size:
            own = np.arange(size).reshape([-1 if a == axis else 1 for a in range(len(shape))])
            lo, hi, own = np.broadcast_arrays(lo, hi, own)
            other = (lo <= hi) & (lo != own)
            if other.any():
                unit = tuple(int(c) for c in np.argwhere(other)[0])
                yield subject.finding(
                    f"output '{output}'{unit_text(unit)} sees sample {int(lo[unit])} of input "
                    f"'{given}' in place of its own",
                    "permute axes with Transpose, not with Reshape",
                    value=output,
                    made_by=output,
                    input=given,
                    axis=axis,
                )
        elif not _in_turn(lo, hi, shape, size):
            where = first(analysis, output, partial(_folded, analysis, given, axis), given)
            yield subject.finding(
                f"output '{output}' of shape {shape} combines samples {int(lo.min())} to "
                f"{int(hi.max())} of input '{given}', and none of its axes goes through them in "
                "turn" + (f", first at {node}" if (node := analysis.node(where)) else ""),
                "let every Reshape keep the batch, and permute axes with Transpose",
                value=output,
                made_by=where,
                input=given,
                axis=axis,
            )


def _in_turn(lo: np.ndarray, hi: np.ndarray, shape: tuple[int, ...], size: int) -> bool:
    """Whether the samples lie one after the other along an axis, or only one is seen at all."""
    seen = lo <= hi
    if not seen.any() or lo[seen].min() == hi[seen].max():
        return True
    for axis, length in enumerate(shape):
        if length % size == 0:
            own = np.arange(length) // (length // size)
            own = own.reshape([-1 if a == axis else 1 for a in range(len(shape))])
            if (~seen | (lo == own)).all():
                return True
    return False


def _folded(analysis: Analysis, given: str, axis: int, tensor: str) -> bool:
    shape = analysis.extent(tensor)
    if not shape or not analysis.depends(tensor, given):
        return False
    lo, hi = analysis.bounds(tensor, given, axis=axis)
    return not _in_turn(lo, hi, shape, (analysis.extent(given) or ())[axis])


def is_batch(subject: Subject, given: str, axis: int) -> bool:
    """Whether an axis of an input, of a fixed size, is taken for the batch."""
    if axis != subject.settings.get(BATCH_AXIS.name):
        return False
    return (
        subject.settings.has(BATCH_AXIS.name)
        or _through(subject.analysis, given, axis)
        or _taken_for_batch(subject.analysis, given, axis)
    )


def _through(analysis: Analysis, given: str, axis: int) -> bool:
    """Whether all outputs are as long as an input along its batch axis."""
    size = (analysis.extent(given) or ())[axis]
    outputs = [shape for o in analysis.outputs if (shape := analysis.extent(o)) is not None]
    return {shape[axis : axis + 1] for shape in outputs} == {(size,)}


def _taken_for_batch(analysis: Analysis, given: str, axis: int) -> bool:
    """Whether a layer keeps the samples apart whose windows move along other axes, or that mixes
    the channels behind them at each place, as a convolution of kernel 1 does.
    """
    size = (analysis.extent(given) or ())[axis]
    for tensor in analysis.tensors:
        shape = analysis.extent(tensor) or ()
        if tensor == given or shape[axis : axis + 1] != (size,):
            continue
        if not analysis.depends(tensor, given):
            continue
        sides = analysis.field(tensor, given)
        moves = any(s.size > 1 and s.stride > 0 for a, s in enumerate(sides) if a != axis)
        mixes = any(_mixes_channels(read, axis) for read in analysis.reads(tensor))
        if (moves or mixes) and (sides[axis].size, sides[axis].stride) == (1, 1):
            return True
    return False


def _mixes_channels(read: Read, axis: int) -> bool:
    """Whether a read takes all channels, behind `axis`, of one place."""
    if not isinstance(read, PerAxis) or len(read.axes) < axis + 3:
        return False
    channels = read.axes[axis + 1]
    mixed = isinstance(channels, Fixed) and channels.count is None and not channels.statistic
    others = [(a, r) for a, r in enumerate(read.axes) if a != axis + 1]
    return mixed and all(isinstance(r, Along) and r == same(a) for a, r in others)


def _batched(subject: Subject, axis: int) -> tuple[Analysis, list[str]] | Finding | None:
    """The analysis of a batch of several samples, and the inputs that have it; None: of none."""
    analysis, sizes = subject.analysis, subject.sizes
    inputs = [name for name, shape in sizes.items() if axis < len(shape)]
    chosen = subject.settings.has(BATCH_AXIS.name)
    if chosen and not inputs:
        raise QueryError(f"batch-axis: no input has axis {axis}")
    open_axes = _open_batch(subject, inputs, axis)
    if not open_axes:
        # Channels or tokens come first too.
        several = [name for name in inputs if sizes[name][axis] > 1]
        found = {sizes[name][axis] for name in several if is_batch(subject, name, axis)}
        if len(found) > 1:
            subject.remark(
                "batch-axis: inputs have different numbers of samples "
                f"({', '.join(map(str, sorted(found)))}), so RF201 was skipped"
            )
        if len(found) != 1:
            return None
        return analysis, [name for name in inputs if sizes[name][axis] in found]
    taken = {size for shape in sizes.values() for size in shape}
    taken |= {size for output in analysis.outputs for size in analysis.extent(output) or ()}
    batch = next(size for size in range(2, len(taken) + 4) if size not in taken)
    sizes = subject.resized({(name, axis): batch for name in open_axes})
    try:
        return subject.at(sizes), open_axes
    except RFGraphError as error:
        return subject.finding(
            f"the batch axis of input '{open_axes[0]}' is open, and the model fits no batch of "
            f"{batch}: {error.message}",
            "export with a batch of 2 or more, so that no shape of a batch of 1 is built in",
            input=open_axes[0],
            axis=axis,
        )


def _open_batch(subject: Subject, inputs: list[str], axis: int) -> list[str]:
    """The inputs whose batch the model leaves open, and of which no more than one sample is given.

    Of several names the batch is the one that most inputs with further axes begin with: positions
    and masks of tokens begin with others.
    """
    dims = {name: subject.analysis.dims(name) for name in inputs}
    found = [
        name
        for name in inputs
        if not isinstance(dims[name][axis], int)
        and (axis in subject.assumed(name) or subject.sizes[name][axis] == 1)
    ]
    if len({dims[name][axis] for name in found}) < 2:
        return found
    counts = Counter(dims[name][axis] for name in found if len(dims[name]) > 1)
    if not counts:
        return found
    # An axis that stands elsewhere too is no batch: a mask of tokens has it twice.
    twice = {dim for name in found for a, dim in enumerate(dims[name]) if a != axis}
    ((batch, _),) = sorted(counts.items(), key=lambda item: (item[0] in twice, -item[1]))[:1]
    return [name for name in found if dims[name][axis] == batch]


def _mixes(analysis: Analysis, given: str, axis: int, tensor: str) -> bool:
    if not analysis.depends(tensor, given):
        return False
    lo, hi = analysis.bounds(tensor, given, axis=axis)
    return bool((lo < hi).any())
