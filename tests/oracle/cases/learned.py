"""Cases of classical models (domain ai.onnx.ml)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import count
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.graphs import single

from ..observe import session
from ..perturbation import Case, Feeds
from . import cases

_ML = "ai.onnx.ml"
_INT, _TEXT = TensorProto.INT64, TensorProto.STRING


def _table(*shape: int) -> np.ndarray:
    return np.random.default_rng(5).normal(size=shape).astype(np.float32)


def _floats(count: int, low: float = 0.5) -> list[float]:
    signs = np.where(np.arange(count) % 2, 1.0, -1.0)
    values = signs * np.random.default_rng(6).uniform(low, 1, count)
    return [float(value) for value in values]


def _model(
    operator: str, inputs: Feeds, outputs: int = 1, ml: int = 3, **options: Any
) -> tuple[onnx.ModelProto, Feeds]:
    opset = 21 if ml == 5 else 15
    versions = {_ML: ml}
    return single(operator, inputs, outputs, domain=_ML, opset=opset, versions=versions, **options)


@cases("Binarizer", _ML)
def binarizer() -> Iterator[Case]:
    yield Case("2d", *_model("Binarizer", {"X": -abs(_table(2, 3))}, threshold=0.5))


@cases("Imputer", _ML)
def imputer() -> Iterator[Case]:
    for shape in ((2, 3), (3,)):
        for values in ([7.0], [7.0, 8.0, 9.0]):
            options = {"imputed_value_floats": values, "replaced_value_float": 0.5}
            model, feeds = _model("Imputer", {"X": _table(*shape)}, **options)
            yield Case(f"{shape}-{len(values)}", model, feeds)


@cases("Scaler", _ML)
def scaler() -> Iterator[Case]:
    for shape in ((2, 3), (3,)):
        options = {"offset": _floats(3), "scale": _floats(3)}
        yield Case(f"{shape}", *_model("Scaler", {"X": _table(*shape)}, **options))
    inputs = {"X": np.arange(6).reshape(2, 3)}
    model, feeds = _model("Scaler", inputs, offset=[0.5], scale=[2.0])
    # What is made of whole numbers are floats: the next operator takes no others.
    options = {"keys_floats": [1.0, 3.0], "values_floats": [5.0, 7.0]}
    model = _followed_by(model, "LabelEncoder", **options)
    feeds["X"] = np.array([[1, 2, 0], [2, 1, 0]])
    yield Case("integers", model, feeds, follow=("X",), within=(0, 2))


def _followed_by(model: onnx.ModelProto, operator: str, **attributes: Any) -> onnx.ModelProto:
    name = model.graph.output[0].name
    model.graph.node[0].output[0] = "inner"
    node = helper.make_node(operator, ["inner"], [name], domain=_ML, **attributes)
    model.graph.node.append(node)
    return model


_NUMBERS = np.array([[0, 3, 1], [2, 0, 3]])


@cases("LabelEncoder", _ML)
def label_encoder() -> Iterator[Case]:
    texts = ["a", "b", "c", "d"]
    numbers = list(range(4))
    for name, options, kind in (
        ("texts", {"keys_int64s": numbers, "values_strings": texts}, _TEXT),
        ("numbers", {"keys_int64s": numbers, "values_int64s": numbers[::-1]}, _INT),
        ("floats", {"keys_int64s": numbers, "values_floats": _floats(4)}, TensorProto.FLOAT),
    ):
        for ml in (2, 4):
            model, feeds = _model(
                "LabelEncoder", {"X": _NUMBERS}, ml=ml, kinds={"y0": kind}, **options
            )
            yield Case(f"{ml}-{name}", model, feeds, follow=("X",), within=(0, 3))
    tensors = {
        "keys_tensor": onnx.numpy_helper.from_array(np.arange(4)),
        "values_tensor": onnx.numpy_helper.from_array(np.array([3.0, 1.0, 0.0, 2.0])),
        "default_tensor": onnx.numpy_helper.from_array(np.array([9.0])),
    }
    kinds = {"y0": TensorProto.DOUBLE}
    model, feeds = _model("LabelEncoder", {"X": _NUMBERS[0]}, ml=4, kinds=kinds, **tensors)
    yield Case("4-tensors", model, feeds, follow=("X",), within=(0, 3))
    kinds = {"y0": _TEXT}
    options = {"classes_strings": texts}
    model, feeds = _model("LabelEncoder", {"X": _NUMBERS}, ml=1, kinds=kinds, **options)

    def run(feeds: Feeds) -> list[np.ndarray]:
        return [np.array(texts, dtype=object)[feeds["X"]]]

    yield Case("1", model, feeds, run=run, follow=("X",), within=(0, 3))


@cases("CategoryMapper", _ML)
def category_mapper() -> Iterator[Case]:
    options = {"cats_int64s": [0, 1, 2, 3], "cats_strings": ["a", "b", "c", "d"]}
    for shape in ((2, 3), (6,)):
        inputs = {"X": _NUMBERS.reshape(shape)}
        model, feeds = _model("CategoryMapper", inputs, kinds={"y0": _TEXT}, **options)
        yield Case(f"{shape}", model, feeds, follow=("X",), within=(0, 3))


@cases("OneHotEncoder", _ML)
def one_hot_encoder() -> Iterator[Case]:
    for shape in ((2, 3), (6,), (2, 1, 3)):
        inputs = {"X": _NUMBERS.reshape(shape) % 2}
        model, feeds = _model("OneHotEncoder", inputs, cats_int64s=[0, 1])
        yield Case(f"{shape}", model, feeds, follow=("X",), within=(0, 1))


@cases("Normalizer", _ML)
def normalizer() -> Iterator[Case]:
    for shape in ((2, 3), (4,)):
        for norm in ("MAX", "L1", "L2"):
            model, feeds = _model("Normalizer", {"X": abs(_table(*shape))}, norm=norm)
            yield Case(f"{shape}-{norm}", model, feeds, within=(0.1, 9))


@cases("ArrayFeatureExtractor", _ML)
def array_feature_extractor() -> Iterator[Case]:
    for shape in ((2, 4), (4,), (2, 3, 4)):
        for indices in ([[3, 1]], [0, 0, 2], [[2], [0]], 2):
            inputs = {"X": _table(*shape), "Y": np.array(indices)}
            model, feeds = _model("ArrayFeatureExtractor", inputs, constants=["Y"])
            yield Case(f"{shape}-{indices}", model, feeds)
    model, feeds = _model("ArrayFeatureExtractor", {"X": _table(2, 4), "Y": np.array([3, 1])})
    yield Case("held", model, feeds)
    reason = "each run picks one of the features"
    yield Case("computed", model, feeds, reason, follow=("X", "Y"), within=(0, 3))
    yield Case("computed-indices", model, feeds, follow=("Y",), within=(0, 3))
    model, feeds = _model("ArrayFeatureExtractor", {"X": _table(2, 2), "Y": np.array([0, 1])})
    yield Case("computed-both", model, feeds, reason, follow=("X", "Y"), within=(0, 1), trials=24)
    inputs = {"X": _table(4), "Y": np.array([[3, 1], [0, 2]])}
    model, feeds = _model("ArrayFeatureExtractor", inputs)
    yield Case("computed-matrix", model, feeds, follow=("Y",), within=(0, 3))


@cases("FeatureVectorizer", _ML)
def feature_vectorizer() -> Iterator[Case]:
    for sizes in ([3, 2, 1], [2, 2, 1], [4, 2, 3]):
        for rows in ((2,), ()):
            inputs = {f"X{k}": _table(*rows, n) for k, n in enumerate((3, 2, 1))}
            model, feeds = _model("FeatureVectorizer", inputs, inputdimensions=sizes)
            yield Case(f"{rows}-{sizes}", model, feeds)
    # The last of them is cut off too.
    for rows in ((2,), ()):
        inputs = {f"X{k}": _table(*rows, n) for k, n in enumerate((1, 2, 4))}
        model, feeds = _model("FeatureVectorizer", inputs, inputdimensions=[1, 2, 3])
        yield Case(f"{rows}-cut", model, feeds)


# ---------------------------------------------------------------- linear models, support vectors


@cases("LinearRegressor", _ML)
def linear_regressor() -> Iterator[Case]:
    for shape in ((3, 2), (3,)):
        for targets in (1, 2):
            for transform in ("NONE", "LOGISTIC"):
                options = {"targets": targets, "post_transform": transform}
                options |= {"coefficients": _floats(targets * shape[-1]), "intercepts": [0.1] * 2}
                options["intercepts"] = options["intercepts"][:targets]
                model, feeds = _model("LinearRegressor", {"X": _table(*shape)}, **options)
                yield Case(f"{shape}-{targets}-{transform}", model, feeds, within=(-2, 2))


def _labelled(
    name: str, model: onnx.ModelProto, feeds: Feeds, within: tuple[float, float]
) -> Iterator[Case]:
    """Labels and scores, and scores alone: a label changes only where another class wins."""
    yield Case(name, model, feeds, "a label changes only where another class wins", within=within)
    scores = onnx.ModelProto()
    scores.CopyFrom(model)
    del scores.graph.output[0]
    yield Case(f"{name}-scores", scores, feeds, within=within)


@cases("LinearClassifier", _ML)
def linear_classifier() -> Iterator[Case]:
    for shape in ((3, 2), (3,)):
        for classes in (2, 3):
            for transform in ("NONE", "LOGISTIC", "SOFTMAX"):
                options = {
                    "coefficients": _floats(classes * shape[-1]),
                    "intercepts": [0.1, 0.0, 0.2][:classes],
                    "classlabels_ints": [3, 5, 7][:classes],
                    "post_transform": transform,
                    "multi_class": classes % 2,
                }
                model, feeds = _model(
                    "LinearClassifier", {"X": _table(*shape)}, 2, kinds={"y0": _INT}, **options
                )
                yield from _labelled(f"{shape}-{classes}-{transform}", model, feeds, (-9, 9))
    # Any feature that grows makes the other label.
    options = {"coefficients": [1.0, 2.0, 3.0], "intercepts": [0.1]}
    options["classlabels_strings"] = ["a", "b"]
    model, feeds = _model(
        "LinearClassifier", {"X": -1 - abs(_table(2, 3))}, 2, kinds={"y0": _TEXT}, **options
    )
    yield Case("one-score", model, feeds, within=(-15, 1000))
    model, feeds = _model(
        "LinearClassifier", {"X": -1 - abs(_table(3))}, 2, kinds={"y0": _TEXT}, **options
    )
    yield Case("one-score-vector", model, feeds, within=(-15, 1000))


_KERNELS = (
    ("LINEAR", [0.0, 0.0, 0.0]),
    ("RBF", [0.1, 0.0, 0.0]),
    ("POLY", [0.3, 1.0, 3.0]),
    ("SIGMOID", [0.2, 0.1, 0.0]),
)


@cases("SVMRegressor", _ML)
def svm_regressor() -> Iterator[Case]:
    for kernel, parameters in _KERNELS:
        for shape in ((2, 3), (3,)):
            options = {
                "kernel_type": kernel,
                "kernel_params": parameters,
                "support_vectors": _floats(2 * 3),
                "coefficients": [0.7, -1.0],
                "n_supports": 2,
                "rho": [0.1],
            }
            model, feeds = _model("SVMRegressor", {"X": _table(*shape)}, **options)
            yield Case(f"{kernel}-{shape}", model, feeds, within=(-2, 2))
    options = {"kernel_type": "LINEAR", "coefficients": _floats(3), "rho": [0.1]}
    options["kernel_params"] = [0.0] * 3
    model, feeds = _model("SVMRegressor", {"X": _table(2, 3)}, **options)
    yield Case("linear", model, feeds)


@cases("SVMClassifier", _ML)
def svm_classifier() -> Iterator[Case]:
    for kernel, parameters in _KERNELS:
        for classes in (2, 3, 4):
            pairs = classes * (classes - 1) // 2
            for probabilities in (False, True):
                options = {
                    "kernel_type": kernel,
                    "kernel_params": parameters,
                    "support_vectors": _floats(classes * 3, 0.1),
                    "vectors_per_class": [1] * classes,
                    "coefficients": _floats(classes * (classes - 1)),
                    "rho": [0.1] * pairs,
                    "classlabels_ints": [3, 5, 7, 9][:classes],
                }
                if probabilities:
                    options |= {"prob_a": [-1.0] * pairs, "prob_b": [0.1] * pairs}
                model, feeds = _model(
                    "SVMClassifier", {"X": _table(2, 3)}, 2, kinds={"y0": _INT}, **options
                )
                name = f"{kernel}-{classes}-{probabilities}"
                yield from _labelled(name, model, feeds, (-2, 2))
    options = {
        "kernel_type": "LINEAR",
        "kernel_params": [0.0] * 3,
        "coefficients": _floats(3 * 3),
        "rho": [0.1] * 3,
        "classlabels_strings": ["a", "b", "c"],
    }
    model, feeds = _model("SVMClassifier", {"X": _table(3)}, 2, kinds={"y0": _TEXT}, **options)
    # Text goes on as text, whatever there was at first.
    model = _followed_by(
        model, "LabelEncoder", keys_strings=["a", "b", "c"], values_int64s=[1, 2, 3]
    )
    model.graph.output[0].type.tensor_type.elem_type = _INT
    yield from _labelled("linear", model, feeds, (-2, 2))
    # Any feature that grows makes the other label.
    options = {
        "kernel_type": "LINEAR",
        "kernel_params": [0.0] * 3,
        "coefficients": [1.0, 2.0, 3.0, 0.5, 0.3, 0.2],
        "rho": [0.1],
        "classlabels_ints": [3, 5],
    }
    for shape in ((2, 3), (3,)):
        inputs = {"X": -1 - abs(_table(*shape))}
        model, feeds = _model("SVMClassifier", inputs, 2, kinds={"y0": _INT}, **options)
        yield Case(f"one-label-{shape}", model, feeds, run=_greatest, within=(-15, 1000))


def _greatest(feeds: Feeds) -> list[np.ndarray]:
    """The label of the greatest score; onnxruntime may take another one's."""
    X = np.atleast_2d(feeds["X"])
    scores = X @ np.float32([[1, 0.5], [2, 0.3], [3, 0.2]]) + np.float32(0.1)
    return [np.array([3, 5])[scores.argmax(axis=1)], scores]


# ---------------------------------------------------------------- trees

# A node is (feature, threshold, where it is lower, where it is not), a leaf {target: weight}.
Tree: TypeAlias = "tuple[int, float, Tree, Tree] | dict[int, float]"

# All that is tested is reached where the features are high.
_TREES: list[Tree] = [
    (1, 0.1, {0: 0.1}, (3, -0.2, {0: 0.2}, {1: 0.3})),
    (0, 0.0, {1: 0.05}, {1: 0.07}),
    # What feature 2 is tells nothing of target 2.
    (4, 0.3, {2: 0.4}, (2, 0.0, {0: 0.8}, {0: 1.6})),
    {1: 0.02},
]
_TARGETS = 4
_HIGH = 1 + abs(_table(3, 6))


def _numbered(kind: str, trees: list[Tree]) -> dict[str, Any]:
    """The attributes of the operators that number the nodes of each tree."""
    nodes: dict[str, list[Any]] = {
        "nodes_treeids": [],
        "nodes_nodeids": [],
        "nodes_featureids": [],
        "nodes_modes": [],
        "nodes_values": [],
        "nodes_truenodeids": [],
        "nodes_falsenodeids": [],
        "nodes_hitrates": [],
        "nodes_missing_value_tracks_true": [],
    }
    votes: dict[str, list[Any]] = {
        f"{kind}_{name}": [] for name in ("treeids", "nodeids", "ids", "weights")
    }

    def add(number: int, tree: Tree, ids: Iterator[int]) -> int:
        own, place = next(ids), len(nodes["nodes_nodeids"])
        mode = "LEAF" if isinstance(tree, dict) else ("BRANCH_LEQ", "BRANCH_GTE")[number % 2]
        entry = (number, own, 0, mode, 0.0, 0, 0, 1.0, 0)
        for values, value in zip(nodes.values(), entry, strict=True):
            values.append(value)
        if isinstance(tree, dict):
            for target, weight in tree.items():
                for values, value in zip(
                    votes.values(), (number, own, target, weight), strict=True
                ):
                    values.append(value)
        else:
            feature, threshold, *children = tree
            true, false = children if mode == "BRANCH_LEQ" else children[::-1]
            nodes["nodes_featureids"][place] = feature
            nodes["nodes_values"][place] = threshold
            nodes["nodes_truenodeids"][place] = add(number, true, ids)
            nodes["nodes_falsenodeids"][place] = add(number, false, ids)
        return own

    for number, tree in enumerate(trees):
        add(number, tree, count())
    return nodes | votes


def _flat(trees: list[Tree]) -> dict[str, Any]:
    """The attributes of TreeEnsemble, which has lists of nodes and of leaves."""
    nodes: list[list[Any]] = []
    leaves: list[tuple[int, float]] = []

    def add(tree: Tree) -> tuple[int, int]:
        if isinstance(tree, dict):
            leaves.extend(tree.items())
            return len(leaves) - 1, 1
        feature, threshold, true, false = tree
        place = len(nodes)
        nodes.append([])
        one = add(true)
        nodes[place] = [feature, threshold, *one, *(one if false is true else add(false))]
        return place, 0

    roots = [add(tree if isinstance(tree, tuple) else (5, 0.0, tree, tree))[0] for tree in trees]
    features, splits, true, trueleafs, false, falseleafs = map(list, zip(*nodes, strict=True))
    return {
        "tree_roots": roots,
        "nodes_modes": _tensor([0] * len(nodes), np.uint8),
        "nodes_featureids": features,
        "nodes_splits": _tensor(splits, np.float32),
        "nodes_truenodeids": true,
        "nodes_trueleafs": trueleafs,
        "nodes_falsenodeids": false,
        "nodes_falseleafs": falseleafs,
        "leaf_targetids": [target for target, _ in leaves],
        "leaf_weights": _tensor([weight for _, weight in leaves], np.float32),
    }


def _tensor(values: list[Any], kind: type) -> onnx.TensorProto:
    return onnx.numpy_helper.from_array(np.array(values, dtype=kind))


def _softmax(raw: Any, feeds: Feeds) -> list[np.ndarray]:
    """What 1 stands for, where onnxruntime takes the logistic function and for 2 this."""
    exponential = np.exp(raw.run(None, feeds)[0].astype(np.float64))
    return [exponential / exponential.sum(axis=1, keepdims=True)]


_ZERO = "a target without leaves is zero whatever the others are"


@cases("TreeEnsemble", _ML)
def tree_ensemble() -> Iterator[Case]:
    for aggregate in (0, 1, 2, 3):
        for transform in (0, 1, 2, 3):
            options = {"aggregate_function": aggregate, "post_transform": transform}
            options |= {"n_targets": _TARGETS, **_flat(_TREES)}
            reason = _ZERO if transform == 3 else ""
            reason = "the least and the greatest hide others" if aggregate > 1 else reason
            model, feeds = _model("TreeEnsemble", {"X": _HIGH}, ml=5, **options)
            run = None
            if transform == 1:
                raw, _ = _model("TreeEnsemble", feeds, ml=5, **(options | {"post_transform": 0}))
                run = partial(_softmax, session(raw))
            yield Case(f"{aggregate}-{transform}", model, feeds, reason, run)
    scaled, feeds = _model("Scaler", {"X": _HIGH}, ml=5, offset=[0.1], scale=[0.9])
    yield Case("scaled", _followed_by(scaled, "TreeEnsemble", **_flat(_TREES), n_targets=4), feeds)
    options = _flat([(0, 0.5, (2, 0.5, {0: 1.0}, {0: 2.0}), {0: 4.0})])
    options |= {"nodes_modes": _tensor([0, 6], np.uint8)}
    options |= {"n_targets": 1, "membership_values": _tensor([1, 3, np.nan], np.float32)}
    X = np.array([[0, 0, 1], [0, 1, 2], [0, 2, 3]], np.float32)
    reason = "members are hit by chance"
    yield Case("members", *_model("TreeEnsemble", {"X": X}, ml=5, **options), reason)


@cases("TreeEnsembleRegressor", _ML)
def tree_ensemble_regressor() -> Iterator[Case]:
    both: Tree = (5, 0.4, {0: 0.5, 2: 0.25}, {2: 0.75, 0: 1.0})
    for ml in (1, 3):
        for trees in (_TREES, [*_TREES, both]):
            for aggregate in ("SUM", "AVERAGE"):
                for transform in ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"):
                    options = {"aggregate_function": aggregate, "post_transform": transform}
                    options |= {"n_targets": _TARGETS, **_numbered("target", trees)}
                    reason = _ZERO if transform == "SOFTMAX_ZERO" else ""
                    model, feeds = _model("TreeEnsembleRegressor", {"X": _HIGH}, ml=ml, **options)
                    name = f"{ml}-{len(trees)}-{aggregate}-{transform}"
                    yield Case(name, model, feeds, reason)
    options = _numbered("target", _TREES[1:2])
    options |= {"target_ids": [0, 0], "n_targets": 1}
    yield Case("one", *_model("TreeEnsembleRegressor", {"X": _HIGH}, **options))


@cases("TreeEnsembleClassifier", _ML)
def tree_ensemble_classifier() -> Iterator[Case]:
    for ml in (1, 3):
        for transform in ("NONE", "LOGISTIC", "SOFTMAX"):
            options = _numbered("class", _TREES)
            options |= {"classlabels_int64s": [3, 5, 7, 9], "post_transform": transform}
            model, feeds = _model(
                "TreeEnsembleClassifier", {"X": _HIGH}, 2, ml=ml, kinds={"y0": _INT}, **options
            )
            yield from _labelled(f"{ml}-{transform}", model, feeds, (-1e3, 1e3))
    # Two classes of which one is scored.
    trees: list[Tree] = [
        (1, 0.1, {0: 0.1}, (3, -0.2, {0: 0.2}, {0: 0.4})),
        (4, 0.0, {0: 0.0}, {0: 0.45}),
    ]
    options = _numbered("class", trees) | {"classlabels_strings": ["no", "yes"]}
    for scored in (0, 1):
        options["class_ids"] = [scored] * 5
        model, feeds = _model(
            "TreeEnsembleClassifier", {"X": _HIGH}, 2, kinds={"y0": _TEXT}, **options
        )
        if scored == 0:
            yield from _labelled("two-0", model, feeds, (-1e3, 1e3))
        else:
            yield Case("two-1", model, feeds, "onnxruntime makes no second score of the second")
    # The label of any row changes with either of two features.
    both: Tree = (1, 0.1, {0: 1.0}, (3, 0.1, {0: 1.0}, {1: 1.0}))
    options = _numbered("class", [both]) | {"classlabels_int64s": [3, 5, 7]}
    model, feeds = _model("TreeEnsembleClassifier", {"X": _HIGH}, 2, kinds={"y0": _INT}, **options)
    yield Case("label", model, feeds)


# ---------------------------------------------------------------- maps


@cases("ZipMap", _ML)
def zip_map() -> Iterator[Case]:
    for shape in ((2, 3), (3,)):
        for keys in ({"classlabels_int64s": [3, 5, 7]}, {"classlabels_strings": ["a", "b", "c"]}):
            model, feeds = _model("ZipMap", {"X": _table(*shape)}, **keys)
            kind = _INT if "classlabels_int64s" in keys else _TEXT
            value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
            of_maps = helper.make_sequence_type_proto(helper.make_map_type_proto(kind, value))
            model.graph.output[0].type.CopyFrom(of_maps)
            opened = session(model)

            def run(feeds: Feeds, opened: Any = opened) -> list[np.ndarray]:
                return [np.array(opened.run(None, feeds)[0], dtype=object)]

            yield Case(f"{shape}-{kind}", model, feeds, run=run)


def _from_map(operator: str, key: int, keys: list[Any], **options: Any) -> Iterator[Case]:
    """A map of one entry, of which the value is changed."""
    model, feeds = _model(operator, {"X": np.float32(2)}, **options)
    value = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    model.graph.input[0].type.CopyFrom(helper.make_map_type_proto(key, value))
    opened = session(model)
    for entry in keys:

        def run(feeds: Feeds, entry: Any = entry) -> list[np.ndarray]:
            found: list[np.ndarray] = opened.run(None, {"X": {entry: float(feeds["X"])}})
            return found

        reason = "a map has no places: any element may be that of any key"
        yield Case(f"{options}-{entry}", model, feeds, reason, run, ("X",))


@cases("DictVectorizer", _ML)
def dict_vectorizer() -> Iterator[Case]:
    yield from _from_map("DictVectorizer", _TEXT, ["a", "c"], string_vocabulary=["a", "b", "c"])
    yield from _from_map("DictVectorizer", _INT, [5, 7], int64_vocabulary=[5, 7])


@cases("CastMap", _ML)
def cast_map() -> Iterator[Case]:
    yield from _from_map("CastMap", _INT, [3])
    yield from _from_map("CastMap", _INT, [0, 2], map_form="SPARSE", max_map=4)
