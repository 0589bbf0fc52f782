"""RF402."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject


@check("RF402", "parted", "error")
def parted(subject: Subject) -> Iterator[Finding]:
    """The model sees other elements in another runtime, or its twin does.

    A runtime may read an operator's attributes in another way, leave out what it does not know, or
    merge nodes into one that is not the same: a shift by one element passes every test of
    accuracy, and ruins tiles, boxes and keypoints. Quantising with ranges that are found while the
    model runs lets every unit see all of a value. `rfgraph agree` runs both sides to find this, and
    writes it under this code; `rfgraph check` runs no model, and never finds it.

    Example: a transposed convolution with `output_shape` and SAME_UPPER in OpenVINO,

        RF402 ConvTranspose 'up': all of it is that of onnxruntime, moved by -1 along axis 2

    What to do: write the operator in a way that both read alike, as with explicit pads; the
    difference itself is shown by what `rfgraph agree` saves with `--reproduce FOLDER`.
    """
    return iter(())
