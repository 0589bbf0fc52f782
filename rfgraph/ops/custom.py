"""Transfers that are not rfgraph's own: files of them, and what they answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

from rfgraph.errors import TransferError
from rfgraph.ops.registry import Nonsense, Operation, Undetermined
from rfgraph.reads.words import (
    Along,
    AxisRead,
    Coordinate,
    Elementwise,
    Everything,
    Factor,
    Fixed,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    Tap,
    coordinates,
    followed,
    most,
)


def load(path: str | os.PathLike[str]) -> None:
    """Run a Python file that registers transfers.

    Parameters
    ----------
    path : path
        The file.

    Raises
    ------
    TransferError
        It can't be read or run; the message has the line.
    """
    file = Path(path)
    name = str(file.resolve())
    try:
        source = file.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise TransferError(
            f"can't be read: {reason}", file=str(path), remedy="check the path given to --ops"
        ) from None
    # Under the name of the file, so that the same file run again replaces what it registered.
    module = ModuleType(name)
    module.__file__ = name
    sys.modules[name] = module
    try:
        exec(compile(source, name, "exec"), module.__dict__)
    except (Exception, SystemExit) as error:
        import traceback

        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == name]
        if isinstance(error, SyntaxError) and error.filename == name:
            lines = [error.lineno]
        where = f"line {lines[-1]}: " if lines and lines[-1] else ""
        reason = error.msg if isinstance(error, SyntaxError) else str(error)
        raise TransferError(
            f"{where}{type(error).__name__}: {reason}",
            file=str(path),
            remedy="--ops takes a Python file that calls rfgraph.transfer",
        ) from error


# ---------------------------------------------------------------- answers


def check_answer(answer: object, operation: Operation) -> None:
    """Refuse what is no list of reads, or reads what is not there.

    Raises
    ------
    Nonsense
        What is wrong.
    """
    outputs = len(operation.outputs)
    several = answer if isinstance(answer, tuple) else (answer,) * outputs
    if len(several) != outputs:
        raise Nonsense(f"{len(several)} lists of reads for {outputs} outputs")
    for k, reads in enumerate(several):
        try:
            extent = operation.out(k)
        except Undetermined:
            extent = None
        _check_reads(reads, operation, extent)


def _check_reads(reads: object, operation: Operation, extent: Shape | None) -> None:
    if not isinstance(reads, list):
        raise Nonsense(f"{reads!r} is not a list of reads")
    for read in reads:
        if not isinstance(read, Read):
            raise Nonsense(f"{read!r} is not a read, such as Elementwise or PerAxis")
        size = _source(read, operation)
        if size is None or extent is None:
            continue
        if isinstance(read, PerAxis):
            _check_axes(read, size, extent)
        elif isinstance(read, Elementwise) and not _broadcasts(size, extent):
            raise Nonsense(
                f"{read}: an input of shape {size} can't be broadcast to an output of shape "
                f"{extent}"
            )
        if isinstance(read, PerAxis | Elementwise):
            _check_factors(read, operation, size, extent)


def _source(read: Elementwise | PerAxis | Rearrange | Everything, op: Operation) -> Shape | None:
    """The shape of what is read; None if it is not known, or not given."""
    source = read.source
    if isinstance(source, Stage):
        _check_reads(source.reads, op, source.shape)
        return source.shape
    if not isinstance(source, int) or source < 0:
        raise Nonsense(f"{read}: {source!r} is neither the number of an input nor a Stage")
    try:
        return op.shape(source) if op.has(source) else None
    except Undetermined:
        return None


def _broadcasts(size: Shape, extent: Shape) -> bool:
    pairs = zip(reversed(size), reversed(extent), strict=False)
    return len(size) <= len(extent) and all(n in (1, m) for n, m in pairs)


def _check_axes(read: PerAxis, source: Shape, extent: Shape) -> None:
    if len(read.axes) != len(source):
        raise Nonsense(f"{len(read.axes)} reads along axes, for an input of shape {source}")
    for axis, (along, size) in enumerate(zip(read.axes, source, strict=True)):
        if not isinstance(along, AxisRead):
            raise Nonsense(f"{along!r} is not a read along an axis, such as same or window")
        if any(not 0 <= a < len(extent) for a in followed(along)):
            raise Nonsense(
                f"{along} follows an axis that an output of shape {extent} does not have"
            )
        if not _inside(along, size, extent):
            raise Nonsense(
                f"{along} does not fit axis {axis} of an input of shape {source} and an output of "
                f"shape {extent}"
            )


def _check_factors(
    read: PerAxis | Elementwise, op: Operation, source: Shape, extent: Shape
) -> None:
    if not isinstance(read.times, tuple):
        raise Nonsense(f"{read}: its times={read.times!r} is not a tuple of Factor")
    axes = read.axes if isinstance(read, PerAxis) else ()
    for factor in read.times:
        if not isinstance(factor, Factor):
            raise Nonsense(f"{read}: {factor!r} is not a Factor")
        shape = _factor_shape(factor, op)
        if shape is None:
            continue
        if len(factor.axes) != len(shape):
            raise Nonsense(
                f"{factor} has {len(factor.axes)} axes, and its elements have the shape {shape}"
            )
        for word, n in zip(factor.axes, shape, strict=True):
            if isinstance(word, Tap | Coordinate):
                if not 0 <= word.axis < len(axes):
                    raise Nonsense(f"{word} counts along an axis that {read} does not have")
                along, size = axes[word.axis], source[word.axis]
                length = size if isinstance(word, Coordinate) else most(along, size)
                if isinstance(word, Tap) and word.adjoint:
                    length = word.adjoint[0]
                if n not in (1, length):
                    raise Nonsense(
                        f"{word} has {length} elements, and that axis of {factor} has {n}"
                    )
            elif not isinstance(word, str | AxisRead):
                raise Nonsense(f"{word!r} is not an axis of a factor, such as same, Tap or a name")
            elif not isinstance(word, str) and any(
                not 0 <= a < len(extent) for a in followed(word)
            ):
                raise Nonsense(
                    f"{word} follows an axis that an output of shape {extent} does not have"
                )


def _factor_shape(factor: Factor, op: Operation) -> Shape | None:
    """The shape of a factor's elements; None if it is not known, or not given."""
    if isinstance(factor.source, np.ndarray) and factor.source.dtype == bool:
        return factor.source.shape
    if not isinstance(factor.source, int) or factor.source < 0:
        raise Nonsense(
            f"{factor}: its source is neither the number of an input nor an array of bool"
        )
    try:
        return op.shape(factor.source) if op.has(factor.source) else None
    except Undetermined:
        return None


def _inside(along: Along | Fixed | Table, size: int, extent: Shape) -> bool:
    """Whether a read along an axis of `size` stays inside it, and has an entry for every output."""
    if isinstance(along, Along):
        return len(along.starts) == len(along.counts) > 0 and along.step != 0
    if isinstance(along, Fixed):
        starts, counts, _ = coordinates(along, size, extent)
        return bool(counts == 0 or (starts >= 0 and starts + counts <= size))
    sizes = tuple(extent[axis] for axis in along.axes)
    return along.starts.shape == along.counts.shape == sizes and along.step > 0
