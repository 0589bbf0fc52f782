"""Steps of training (domain ai.onnx.preview.training)."""

from __future__ import annotations

from rfgraph.ops.registry import Operation, Reads, transfer
from rfgraph.reads.words import Elementwise, Everything, PerAxis, Read, point

_TRAINING = "ai.onnx.preview.training"


def _scalar(op: Operation, k: int) -> Read:
    return PerAxis(k, (point(0),) * len(op.shape(k)))


def _groups(op: Operation, kinds: int) -> list[tuple[int, ...]]:
    """Of each tensor the positions of its inputs, which come kind by kind after R and T."""
    count = (len(op.inputs) - 2) // kinds
    return [tuple(2 + k + count * kind for kind in range(kinds)) for k in range(count)]


def _decayed(op: Operation, X: int) -> list[Read]:
    """X in the gradient that is regularised; ``norm_coefficient=0`` means that it is not."""
    return [Elementwise(X)] if op.attribute("norm_coefficient", 0.0) else []


@transfer("Adagrad", domain=_TRAINING)
def adagrad(op: Operation) -> Reads:
    """Each element of a tensor by itself, with the learning rate R and the count T of updates.

    X_new[o] <- R, T, X[o], G[o], H[o];  H_new[o] <- X[o], G[o], H[o]

    Without `norm_coefficient` H_new does not read X, without `decay_factor` T is not read.

    https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Adagrad.html
    """
    rate = [_scalar(op, k) for k in ((0, 1) if op.attribute("decay_factor", 0.0) else (0,))]
    values: list[list[Read]] = []
    squares: list[list[Read]] = []
    for X, G, H in _groups(op, 3):
        squares.append([*_decayed(op, X), Elementwise(G), Elementwise(H)])
        values.append([*rate, Elementwise(X), Elementwise(G), Elementwise(H)])
    return (*values, *squares)


@transfer("Adam", domain=_TRAINING)
def adam(op: Operation) -> Reads:
    """Each element of a tensor by itself, with the learning rate R and the count T of updates.

    X_new[o] <- R, T, X[o], G[o], V[o], H[o];  V_new[o] <- X[o], G[o], V[o];
    H_new[o] <- X[o], G[o], H[o]

    Without `norm_coefficient` V_new and H_new do not read X.

    https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Adam.html
    """
    values: list[list[Read]] = []
    gradients: list[list[Read]] = []
    squares: list[list[Read]] = []
    for X, G, V, H in _groups(op, 4):
        gradient = [*_decayed(op, X), Elementwise(G)]
        gradients.append([*gradient, Elementwise(V)])
        squares.append([*gradient, Elementwise(H)])
        values.append([_scalar(op, 0), _scalar(op, 1), *map(Elementwise, (X, G, V, H))])
    return (*values, *gradients, *squares)


@transfer("Momentum", domain=_TRAINING)
def momentum(op: Operation) -> Reads:
    """Each element of a tensor by itself, with the learning rate R and the count T of updates.

    X_new[o] <- R, T, X[o], G[o], V[o];  V_new[o] <- T, X[o], G[o], V[o]

    Without `norm_coefficient` V_new does not read X.

    https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Momentum.html
    """
    values: list[list[Read]] = []
    momenta: list[list[Read]] = []
    for X, G, V in _groups(op, 3):
        count = _scalar(op, 1)
        values.append([_scalar(op, 0), count, *map(Elementwise, (X, G, V))])
        momenta.append([count, *_decayed(op, X), Elementwise(G), Elementwise(V)])
    return (*values, *momenta)


@transfer(
    "Gradient",
    domain=_TRAINING,
    shape=lambda op: [op.shape(k) for k in op.outputs],
    conservative="it differentiates the graph that leads to its inputs, which is not followed",
)
def gradient(op: Operation) -> Reads:
    """Any derivative may depend on every element of every input.

    Y_k <- X_j[all]  for every input j

    https://onnx.ai/onnx/operators/onnx_aionnxpreviewtraining_Gradient.html
    """
    op.note(
        "the graph that it differentiates is not followed: all of every input is assumed", "unknown"
    )
    return [Everything(k) for k in op.inputs]
