"""RNN, GRU and LSTM: directions, lengths, layouts, initial states, and every weight computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tests.graphs import single

from ..observe import session
from ..perturbation import Case, Feeds, Run
from . import cases

_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_NAMES = ("X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P")

# What is transposed with ``layout=1``.
_BY_BATCH = ("X", "initial_h", "initial_c")


def _case(
    op_type: str,
    name: str,
    given: str = "",
    *,
    lens: Sequence[int] | None = None,
    constants: Sequence[str] = (),
    direction: str = "forward",
    sizes: tuple[int, int, int, int] = (3, 2, 2, 3),
    opset: int = 22,
    outputs: Sequence[str] = (),
    incomplete: str = "",
    follow: tuple[str, ...] = (),
    layout: int = 0,
    **attributes: Any,
) -> Case:
    """A layer of `sizes` (time, batch, features, units); `given` names its optional inputs."""
    rng = np.random.default_rng(3)
    length, batch, features, units = sizes
    gates, directions = _GATES[op_type], 1 + (direction == "bidirectional")
    shapes: dict[str, tuple[int, ...]] = {
        "X": (length, batch, features),
        "W": (directions, gates * units, features),
        "R": (directions, gates * units, units),
        "B": (directions, 2 * gates * units),
        "initial_h": (directions, batch, units),
        "initial_c": (directions, batch, units),
        "P": (directions, 3 * units),
    }
    inputs: dict[str, Any] = {}
    for key in _NAMES[: 8 if op_type == "LSTM" else 6]:
        wanted = key in ("X", "W", "R", *given.split())
        inputs[key] = rng.uniform(-0.8, 0.8, shapes[key]).astype("f") if wanted else None
    if lens is not None:
        inputs["sequence_lens"] = np.array(lens, np.int32)
    names = list(outputs) or ["Y", "Y_h", "Y_c"][: 3 if op_type == "LSTM" else 2]
    attributes |= {"direction": direction, "hidden_size": units}
    model, feeds = single(op_type, inputs, names, opset=opset, constants=constants, **attributes)
    run = None
    if layout:
        run = _by_batch(session(model).run, names)
        inputs |= {k: np.swapaxes(inputs[k], 0, 1) for k in _BY_BATCH if inputs.get(k) is not None}
        model, feeds = single(
            op_type, inputs, names, opset=opset, constants=constants, layout=1, **attributes
        )
    return Case(f"{op_type} {name}", model, feeds, incomplete, run, follow, within=(-1, 1))


def _by_batch(run: Any, names: Sequence[str]) -> Run:
    """``layout=1``, which onnxruntime lacks: all with axes transposed."""

    def transposed(feeds: Feeds) -> list[np.ndarray]:
        by_time = {k: np.swapaxes(v, 0, 1) if k in _BY_BATCH else v for k, v in feeds.items()}
        found = dict(zip([name for name in names if name], run(None, by_time), strict=True))
        return [
            np.ascontiguousarray(v.transpose(2, 0, 1, 3) if k == "Y" else np.swapaxes(v, 0, 1))
            for k, v in found.items()
        ]

    return transposed


def _layer_cases(op_type: str, states: str, more: Sequence[str] = ()) -> Iterator[Case]:
    """What all three have in common."""
    every = " ".join(["B", states, *more])
    for direction in ("forward", "reverse", "bidirectional"):
        for given in ("", every):
            yield _case(op_type, f"{direction} {given}", given, direction=direction)
        yield _case(
            op_type,
            f"{direction} lengths",
            every,
            direction=direction,
            lens=[2, 4, 1],
            sizes=(4, 3, 1, 2),
        )
        yield _case(op_type, f"{direction} lengths bare", direction=direction, lens=[3, 2])
        yield _case(
            op_type, f"{direction} layout", every, direction=direction, layout=1, sizes=(2, 3, 1, 2)
        )
        yield _case(
            op_type,
            f"{direction} layout lengths",
            every,
            direction=direction,
            layout=1,
            lens=[1, 3, 2],
            sizes=(3, 3, 1, 2),
            constants=("sequence_lens",),
        )
        yield _case(
            op_type,
            f"{direction} lengths computed",
            every,
            direction=direction,
            lens=[2, 1],
            sizes=(2, 2, 1, 2),
            follow=("X", "W", "R", "B", "initial_h"),
            incomplete="sequences as long as X are assumed",
        )
    yield _case(op_type, "fixed weights", "B", constants=("W", "R", "B"), sizes=(5, 2, 3, 2))
    yield _case(op_type, "one step", states, sizes=(1, 2, 2, 2))
    yield _case(op_type, "one step bare", sizes=(1, 1, 1, 3))
    yield _case(op_type, "one unit", every, sizes=(3, 1, 2, 1))
    yield _case(op_type, "bias alone", "B", direction="bidirectional", sizes=(2, 1, 2, 2))
    yield _case(op_type, "clipped", every, clip=3.0)
    yield _case(op_type, "last state alone", "B", outputs=["", "Y_h"])
    yield _case(op_type, "before version 14", every, opset=7, direction="bidirectional")
    yield _case(op_type, "version 14", "B", opset=14, direction="reverse")
    yield _case(
        op_type,
        "empty sequence",
        every,
        lens=[0, 2],
        sizes=(2, 2, 1, 2),
        incomplete="onnxruntime zeroes the last states, for which the specification has no rule",
    )


@cases("RNN")
def rnn() -> Iterator[Case]:
    yield from _layer_cases("RNN", "initial_h")
    activations = ["LeakyRelu", "Softsign"]
    yield _case("RNN", "activations", "B", direction="bidirectional", activations=activations)


@cases("GRU")
def gru() -> Iterator[Case]:
    yield from _layer_cases("GRU", "initial_h")
    for given in ("", "B", "initial_h", "B initial_h"):
        for length in (1, 3):
            yield _case(
                "GRU",
                f"linear before reset {given} {length}",
                given,
                linear_before_reset=1,
                sizes=(length, 1, 2, 3),
            )
            yield _case("GRU", f"reset {given} {length}", given, sizes=(length, 1, 2, 3))


@cases("LSTM")
def lstm() -> Iterator[Case]:
    yield from _layer_cases("LSTM", "initial_h initial_c", ["P"])
    for given in ("B", "P", "initial_c", "initial_c P", "initial_h", "initial_h P"):
        for length in (1, 3):
            sizes = (length, 1, 2, 2)
            yield _case("LSTM", f"{given} {length}", given, sizes=sizes)
            yield _case("LSTM", f"coupled {given} {length}", given, sizes=sizes, input_forget=1)
    yield _case("LSTM", "last cell alone", "B P initial_c", outputs=["", "", "Y_c"])
