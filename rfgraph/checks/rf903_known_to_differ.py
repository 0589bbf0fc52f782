"""RF903."""

from __future__ import annotations

from collections.abc import Iterator

from rfgraph.checks.finding import Finding
from rfgraph.checks.options import Option, names
from rfgraph.checks.registry import check
from rfgraph.checks.subject import Subject

RUNTIMES = Option(
    "runtimes", names, None, 'the runtimes that the model is meant for, as ["openvino"]', "model"
)


@check("RF903", "known-to-differ", "warning", (RUNTIMES,), folds=True)
def known_to_differ(subject: Subject) -> Iterator[Finding]:
    """A runtime that the model is meant for is known to see other elements at one of its nodes.

    Runtimes read some attributes in their own way. What comes out has the right shape and numbers
    that look right, but from places beside those that the specification names: a shift by one
    pixel passes every test of accuracy, and ruins boxes, keypoints and tiles. A suite of models of
    one node each was run through runtimes, and what each is known to do stands in docs/runtimes.md,
    with versions: another version may have mended it, or have other faults. Nodes that a runtime
    refuses are not told, nor what depends on more than operator and attributes; and what the suite
    does not try is not known.

    Example: a model meant for OpenVINO has a transposed convolution with `auto_pad` SAME_UPPER and
    an `output_shape`:

        RF903 ConvTranspose 'up': openvino 2026.4.1 sees other elements where auto_pad is
        SAME_UPPER and output_shape is given: shifted by one, as if it were SAME_LOWER

    What to do: say the same in the way that the finding names (explicit pads in place of
    SAME_LOWER, sizes in place of scales), or test whether the runtime's version still does it:
    `rfgraph agree MODEL --runtimes onnxruntime,openvino`.
    """
    runtimes = subject.settings.get("runtimes")
    if runtimes is None:
        return
    # Runtimes are for those who name one.
    from rfgraph.runtimes.known import differences

    # As `agree` takes them: with options, of which nothing is known.
    plain = dict.fromkeys(runtime.partition(":")[0] for runtime in runtimes)
    known = [one for runtime in plain for one in differences(runtime) if one.checked]
    told, wanted = set(), subject.wanted
    for tensor in subject.analysis.tensors:
        node = subject.analysis.node(tensor)
        if node is None or node.outputs in told or tensor not in wanted:
            continue
        # Two nodes may have one name, and no two have an output in common.
        told.add(node.outputs)
        for one in known:
            if one.holds(node):
                sees = "sees" if one.other == one.of else "may see"
                where = f" where {' and '.join(one.where)}" if one.where else ""
                yield subject.finding(
                    f"{node.op_type} '{node.name}': {one.runtime} {one.version} {sees} other "
                    f"elements{where}: {one.seen}",
                    one.remedy,
                    node=node.name,
                    operator=node.op_type,
                )
