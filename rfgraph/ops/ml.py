"""Classical models (domain ai.onnx.ml): trees, support vectors, linear models and encoders.

Tensors are tables of rows and features; a vector is a table of one row.
"""

from __future__ import annotations

from math import prod

import numpy as np

from rfgraph.ops.onnx.elementwise import elementwise
from rfgraph.ops.onnx.moving import gathered
from rfgraph.ops.onnx.reduction import reduced
from rfgraph.ops.registry import Operation, Reads, transfer
from rfgraph.reads.words import (
    STATISTIC,
    WHOLE,
    AxisRead,
    Elementwise,
    Everything,
    PerAxis,
    Read,
    Rearrange,
    Shape,
    Stage,
    Table,
    part,
    point,
    same,
)

_ML = "ai.onnx.ml"


def _rows(op: Operation) -> int:
    shape = op.shape(0)
    return shape[0] if len(shape) > 1 else 1


def _unchanged(op: Operation) -> Shape:
    return op.shape(0)


def _whole_rows(op: Operation, features: AxisRead) -> list[Read]:
    """Each output row reads all features of its row."""
    before = [same(0)] if len(op.shape(0)) > 1 else []
    return [PerAxis(0, (*before, *[features] * (len(op.shape(0)) - len(before))))]


# ---------------------------------------------------------------- element by element


for _name in ("Binarizer", "CategoryMapper"):
    transfer(_name, domain=_ML)(elementwise)
for _name in ("Imputer", "LabelEncoder", "Scaler"):
    transfer(_name, domain=_ML, shape=_unchanged)(elementwise)
# Its shapes are inferred from version 2 on.
transfer("LabelEncoder", domain=_ML, since=2)(elementwise)


@transfer("OneHotEncoder", domain=_ML)
def one_hot_encoder(op: Operation) -> Reads:
    """Each element becomes a row of ones and zeros.

    Y[o, j] <- X[o]

    https://onnx.ai/onnx/operators/onnx_aionnxml_OneHotEncoder.html
    """
    return [PerAxis(0, tuple(same(a) for a in range(len(op.shape(0)))))]


@transfer("Normalizer", domain=_ML, shape=_unchanged)
def normalizer(op: Operation) -> Reads:
    """Each element, and the norm of its row.

    Y[n, c] <- X[n, c], X[n, all]

    https://onnx.ai/onnx/operators/onnx_aionnxml_Normalizer.html
    """
    shape = op.shape(0)
    return [Elementwise(0), reduced(0, shape, {min(len(shape) - 1, 1)}, True)]


# ---------------------------------------------------------------- features picked and joined


def _extracted(op: Operation) -> Shape:
    return (*(op.shape(0)[:-1] or (1,)), prod(op.shape(1)))


@transfer(
    "ArrayFeatureExtractor",
    domain=_ML,
    shape=_extracted,
    computed="any feature of the row is assumed",
)
def array_feature_extractor(op: Operation) -> Reads:
    """Features are listed.

    Z[n, j] <- X[n, Y.flat[j]], Y.flat[j]

    indices [2, 0]:   j: 0 1   reads: {2} {0}

    https://onnx.ai/onnx/operators/onnx_aionnxml_ArrayFeatureExtractor.html
    """
    rank, last = len(op.shape(0)), len(op.out()) - 1
    indices = op.static(1)
    chosen: AxisRead = WHOLE
    if indices is not None:
        chosen = gathered([last], indices.reshape(-1))
    elif op.live(0):
        op.note("its indices are computed: any feature of the row is assumed")
    before = [same(a) for a in range(rank - 1)]
    Y = op.shape(1)
    listed = Stage((prod(Y),), [Rearrange(1, Y, tuple(range(len(Y))))])
    return [PerAxis(0, (*before, chosen)), PerAxis(listed, (same(last),))]


def _sizes(op: Operation) -> list[int]:
    sizes: list[int] = op.attribute("inputdimensions") or [op.shape(k)[-1] for k in op.inputs]
    return sizes


def _joined(op: Operation) -> Shape:
    return _rows(op), sum(_sizes(op))


@transfer("FeatureVectorizer", domain=_ML, shape=_joined)
def feature_vectorizer(op: Operation) -> Reads:
    """The features of all inputs, side by side.

    Y[n, j] <- X_k[n, j - b],  b <= j < b + inputdimensions[k],  b the sizes before it

    An input with more features than that is cut, one with fewer filled up with zeros.

    https://onnx.ai/onnx/operators/onnx_aionnxml_FeatureVectorizer.html
    """
    reads: list[Read] = []
    begin = 0
    for k, size in enumerate(_sizes(op)):
        features = part(1, begin, size)
        reads.append(PerAxis(k, (same(0), features) if len(op.shape(k)) > 1 else (features,)))
        begin += size
    return reads


# ---------------------------------------------------------------- linear models, support vectors


def _regressed(op: Operation) -> Shape:
    return _rows(op), op.attribute("targets", op.attribute("n_targets", 1))


def _labels(op: Operation) -> list[int] | list[bytes]:
    for kind in ("ints", "int64s", "strings"):
        labels: list[int] | list[bytes] = op.attribute(f"classlabels_{kind}")
        if labels:
            return labels
    raise ValueError("there are no classlabels")


def _classified(op: Operation) -> list[Shape | None]:
    """A score a class; of support vectors without probabilities one for each pair of classes."""
    scores = len(_labels(op))
    if op.attribute("vectors_per_class") and not op.attribute("prob_a") and scores > 2:
        scores = scores * (scores - 1) // 2
    return [(_rows(op),), (_rows(op), scores)]


@transfer("LinearClassifier", domain=_ML)
@transfer("LinearRegressor", domain=_ML, shape=_regressed)
@transfer("SVMClassifier", domain=_ML, shape=_classified)
@transfer("SVMRegressor", domain=_ML, shape=_regressed)
def by_row(op: Operation) -> Reads:
    """Each row by itself, all its features by fixed weights.

    Y[n], Z[n, j] <- X[n, all]

    https://onnx.ai/onnx/operators/onnx_aionnxml_LinearRegressor.html
    https://onnx.ai/onnx/operators/onnx_aionnxml_SVMRegressor.html
    """
    return _whole_rows(op, STATISTIC)


# ---------------------------------------------------------------- trees


@transfer("TreeEnsemble", domain=_ML, since=5)
def tree_ensemble(op: Operation) -> Reads:
    """Each target reads the features by which its leaves are told apart.

    Y[n, t] <- X[n, features tested by nodes above a leaf of target t]

    A node both of whose branches are the same tests nothing.

    https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsemble.html
    """
    true, false = (
        np.array(op.attribute(f"nodes_{branch}nodeids"))
        # After the nodes come the leaves.
        + np.array(op.attribute(f"nodes_{branch}leafs")) * len(op.attribute("nodes_featureids"))
        for branch in ("true", "false")
    )
    targets = op.attribute("leaf_targetids")
    votes = np.zeros((len(true) + len(targets), op.attribute("n_targets", 1)), bool)
    votes[len(true) + np.arange(len(targets)), targets] = True
    return _scores(op, _tested(op, true, false, votes))


@transfer("TreeEnsembleRegressor", domain=_ML, shape=_regressed)
def tree_ensemble_regressor(op: Operation) -> Reads:
    """As TreeEnsemble, with leaves that may count for several targets.

    Y[n, t] <- X[n, features tested by nodes above a leaf of target t]

    https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
    """
    return _scores(op, _numbered(op, "target", op.attribute("n_targets", 1)))


@transfer("TreeEnsembleClassifier", domain=_ML, shape=_classified)
def tree_ensemble_classifier(op: Operation) -> Reads:
    """Each class has a score as in TreeEnsembleRegressor; the label is that of the best.

    Y[n] <- X[n, features tested by any node]
    Z[n, c] <- X[n, features tested by nodes above a leaf of class c]

    Of two classes only one may be scored, by all leaves or by some: the other is what it leaves,
    so both scores read all.

    https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleClassifier.html
    """
    tested = _numbered(op, "class", len(_labels(op)))
    every = np.logical_or.reduce(tested, axis=1)
    if len(tested.T) == 2:
        tested[:] = every[:, None]
    label: list[Read] = []
    if every.any():
        label.append(PerAxis(_mixed(op, every), (same(0), point(0))))
    return label, _scores(op, tested)


def _numbered(op: Operation, kind: str, targets: int) -> np.ndarray:
    """`_tested` of nodes that are numbered tree by tree; `kind` of votes at the leaves."""
    trees, modes = op.attribute("nodes_treeids"), op.attribute("nodes_modes")
    nodes = zip(trees, op.attribute("nodes_nodeids"), strict=True)
    place = {node: k for k, node in enumerate(nodes)}

    def led(branch: str) -> np.ndarray:
        children = enumerate(op.attribute(f"nodes_{branch}nodeids"))
        return np.array([k if modes[k] == b"LEAF" else place[trees[k], n] for k, n in children])

    votes = np.zeros((len(place), targets), bool)
    voters = zip(op.attribute(f"{kind}_treeids"), op.attribute(f"{kind}_nodeids"), strict=True)
    votes[[place[voter] for voter in voters], op.attribute(f"{kind}_ids")] = True
    return _tested(op, led("true"), led("false"), votes)


def _tested(op: Operation, true: np.ndarray, false: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """Which features tell in which targets: bool, shape (features, targets).

    Parameters
    ----------
    op : Operation
        A tree ensemble.
    true, false : ndarray of int
        Where each node leads, a leaf of the same numbering to itself.
    votes : ndarray of bool, shape (nodes, targets)
        The targets that each leaf counts for.
    """
    nodes = len(true)
    # A node may have several parents: votes go up until nothing changes.
    while True:
        risen = votes[:nodes] | votes[true] | votes[false]
        if (risen == votes[:nodes]).all():
            break
        votes[:nodes] = risen
    tested = np.zeros((op.shape(0)[-1], votes.shape[1]), bool)
    decides = np.flatnonzero(true != false)
    np.logical_or.at(tested, np.array(op.attribute("nodes_featureids"))[decides], votes[decides])
    # By name or, in TreeEnsemble, by number, where onnxruntime takes 1 for 2 and 2 for 1.
    if op.attribute("post_transform") in ("SOFTMAX", "SOFTMAX_ZERO", 1, 2, 3):
        tested[:] = tested.any(axis=1, keepdims=True)
    return tested


def _mixed(op: Operation, features: np.ndarray) -> Stage:
    """Some features of each row made one."""
    chosen = np.flatnonzero(features)
    picked = Stage((_rows(op), len(chosen)), [PerAxis(0, (same(0), gathered((1,), chosen)))])
    return Stage((_rows(op), 1), [PerAxis(picked, (same(0), STATISTIC))])


def _scores(op: Operation, tested: np.ndarray) -> list[Read]:
    """The targets that test the same features read them together."""
    alike: dict[bytes, list[int]] = {}
    for target, features in enumerate(tested.T):
        alike.setdefault(features.tobytes(), []).append(target)
    reads: list[Read] = []
    for targets in alike.values():
        features = tested[:, targets[0]]
        if features.any():
            theirs = np.zeros(tested.shape[1], np.int64)
            theirs[targets] = 1
            among = Table((1,), np.zeros_like(theirs), theirs)
            reads.append(PerAxis(_mixed(op, features), (same(0), among)))
    return reads


# ---------------------------------------------------------------- maps


def _mapped(op: Operation) -> Shape | None:
    """Runtimes give a row, as long as what the keys are looked up in."""
    if op.op_type == "CastMap":
        sparse = op.attribute("map_form", "DENSE") == "SPARSE"
        return (1, op.attribute("max_map", 1)) if sparse else None
    return 1, len(op.attribute("string_vocabulary") or op.attribute("int64_vocabulary"))


@transfer(
    "CastMap", domain=_ML, shape=_mapped, conservative="the entries of a map are not told apart"
)
@transfer(
    "DictVectorizer",
    domain=_ML,
    shape=_mapped,
    conservative="the entries of a map are not told apart",
)
def from_map(op: Operation) -> Reads:
    """A map is read as a whole.

    Y <- X[all]

    https://onnx.ai/onnx/operators/onnx_aionnxml_DictVectorizer.html
    """
    return [Everything(0)]


@transfer("ZipMap", domain=_ML, shape=lambda op: (_rows(op),))
def zip_map(op: Operation) -> Reads:
    """A sequence with a map for each row: its places are the rows.

    Z[n] <- X[n, all]

    https://onnx.ai/onnx/operators/onnx_aionnxml_ZipMap.html
    """
    return _whole_rows(op, WHOLE)
