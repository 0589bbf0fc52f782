"""Random and hand-made nets on signals and pictures, and what onnxruntime shows of their units."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil, floor, prod
from typing import Any

import numpy as np
import onnx
from hypothesis import assume, reject
from hypothesis import strategies as st
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

import rfgraph
from rfgraph import AxisField
from tests.graphs import Nodes
from tests.oracle.observe import session

END = 2**31 - 1

# ---------------------------------------------------------------- nets


class Net(Nodes):
    """A net on signals or pictures, with one input ``x`` of shape (batch, channels, sizes...)."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.input = shape
        self.axes = len(shape) - 1
        self._shapes: dict[str, tuple[int, ...]] = {}

    def model(self, value: str, batch: int = 1) -> onnx.ModelProto:
        return self.written({"x": (batch, *self.input)}, value, opset=20)

    def run(self, value: str, x: np.ndarray) -> np.ndarray:
        outputs = session(self.model(value, len(x))).run(None, {"x": x})
        return np.asarray(outputs[0])

    def shape(self, value: str) -> tuple[int, ...]:
        if value not in self._shapes:
            self._shapes[value] = self.run(value, np.zeros((1, *self.input), np.float32)).shape
        return self._shapes[value]

    def analysis(self, value: str) -> rfgraph.Analysis:
        return rfgraph.analyze(self.model(value))

    def field(self, value: str, axis: int = 2, **given: Any) -> AxisField:
        return self.analysis(value).field(value, **given)[axis]

    # layers; per-axis arguments are tuples, or one number for all axes

    def _each(self, number: int | Sequence[int]) -> list[int]:
        return [number] * self.axes if isinstance(number, int) else list(number)

    def _step(self, v: str) -> str:
        return self.op("Ceil", self.op("Sub", v, np.array(1e-3)))

    def _window(self, pads: int | Sequence[int], **given: int | Sequence[int]) -> dict[str, Any]:
        pads = self._each(pads) * 2 if isinstance(pads, int) else list(pads)
        return {"pads": pads, **{key: self._each(value) for key, value in given.items()}}

    def conv(
        self,
        v: str,
        kernel: int | Sequence[int] = 3,
        stride: int | Sequence[int] = 1,
        dilation: int | Sequence[int] = 1,
        pads: int | Sequence[int] = 0,
        channels: int = 1,
    ) -> str:
        shape = (channels, self.shape(v)[1], *self._each(kernel))
        window = self._window(pads, strides=stride, dilations=dilation)
        return self._step(self.op("Conv", v, np.full(shape, 1 / prod(shape[1:])), **window))

    def tconv(
        self,
        v: str,
        kernel: int | Sequence[int] = 2,
        stride: int | Sequence[int] = 2,
        dilation: int | Sequence[int] = 1,
        pads: int | Sequence[int] = 0,
    ) -> str:
        shape = (self.shape(v)[1], 1, *self._each(kernel))
        window = self._window(pads, strides=stride, dilations=dilation)
        return self._step(self.op("ConvTranspose", v, np.full(shape, 1 / prod(shape)), **window))

    def pool(
        self,
        v: str,
        kernel: int | Sequence[int] = 2,
        stride: int | Sequence[int] = 2,
        pads: int | Sequence[int] = 0,
        kind: str = "MaxPool",
    ) -> str:
        window = self._window(pads, strides=stride, kernel_shape=kernel)
        return self._step(self.op(kind, v, **window))

    def resize(self, v: str, scale: float | Sequence[float], **given: Any) -> str:
        scales = [scale] * self.axes if isinstance(scale, (int, float)) else list(scale)
        return self._step(self.op("Resize", v, "", np.array([1.0, 1.0, *scales]), **given))

    def pad(self, v: str, pads: Sequence[int], mode: str = "constant") -> str:
        begins, ends = pads[: self.axes], pads[self.axes :]
        return self.op("Pad", v, np.array([0, 0, *begins, 0, 0, *ends]), mode=mode)

    def slice(self, v: str, begin: int | Sequence[int], step: int | Sequence[int] = 1) -> str:
        axes = np.arange(self.axes) + 2
        steps = np.array(self._each(step))
        return self.op(
            "Slice", v, np.array(self._each(begin)), np.where(steps < 0, -END, END), axes, steps
        )

    def flip(self, v: str) -> str:
        return self.slice(v, -1, -1)

    def reshape(self, v: str, *shape: int) -> str:
        return self.op("Reshape", v, np.array([0, *shape]))

    def shuffle(self, v: str, factor: int) -> str:
        """Blocks of channels become blocks of positions, as pixel shuffle is exported."""
        _, channels, *sizes = self.shape(v)
        v = self.reshape(v, channels // factor**self.axes, *[factor] * self.axes, *sizes)
        pairs = [a for k in range(self.axes) for a in (2 + self.axes + k, 2 + k)]
        v = self.op("Transpose", v, perm=[0, 1, *pairs])
        return self.reshape(v, channels // factor**self.axes, *[n * factor for n in sizes])

    def upshuffle(self, v: str, factor: int) -> str:
        return self.shuffle(self.conv(v, 1, channels=factor**self.axes), factor)

    def unshuffle(self, v: str, factor: int) -> str:
        """Blocks of positions become blocks of channels."""
        _, channels, *sizes = self.shape(v)
        blocks = [n // factor for n in sizes]
        v = self.crop(v, [n * factor for n in blocks])
        v = self.reshape(v, channels, *[n for b in blocks for n in (b, factor)])
        inner, outer = ([2 + 2 * k + part for k in range(self.axes)] for part in (1, 0))
        v = self.op("Transpose", v, perm=[0, 1, *inner, *outer])
        return self.reshape(v, channels * factor**self.axes, *blocks)

    def crop(self, v: str, sizes: Sequence[int]) -> str:
        zeros = np.zeros(self.axes, np.int64)
        return self.op("Slice", v, zeros, np.array(sizes), np.arange(self.axes) + 2)

    def merge(self, kind: str, *values: str) -> str:
        """Sum or Concat, cropped at the end to equal sizes."""
        sizes = [min(n) for n in zip(*(self.shape(v)[2:] for v in values), strict=True)]
        cropped = [self.crop(v, sizes) for v in values]
        return self.op(kind, *cropped, **({"axis": 1} if kind == "Concat" else {}))

    def tokens(self, v: str) -> str:
        """To (batch, tokens, channels), a linear layer, and back."""
        _, channels, *sizes = self.shape(v)
        v = self.op("Transpose", self.reshape(v, channels, -1), perm=[0, 2, 1])
        v = self.op("MatMul", v, np.full((channels, 2), 1 / channels))
        return self.reshape(self.op("Transpose", v, perm=[0, 2, 1]), 2, *sizes)

    def flipped_conv(self, v: str, kernel: int, pads: Sequence[int]) -> str:
        return self.flip(self.conv(self.flip(v), kernel, pads=pads))


# ---------------------------------------------------------------- claimed and observed

Interval = tuple[int, int]


def observed(net: Net, value: str, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last coordinate along `axis` that every unit sees; lo > hi for none."""
    size = net.input[axis - 1]
    x = np.zeros((size, *net.input), np.float32)
    np.moveaxis(x, axis, 1)[range(size), range(size)] = 1
    seen = net.run(value, x) > 0
    lo = np.where(seen.any(axis=0), seen.argmax(axis=0), size)
    hi = np.where(seen.any(axis=0), size - 1 - seen[::-1].argmax(axis=0), -1)
    return lo, hi


def claimed(found: AxisField, unit: int) -> Interval | None:
    """What the closed form says of one unit."""
    if found.branches:
        parts = [part for b in found.branches if (part := claimed(b, unit)) is not None]
        return (min(lo for lo, _ in parts), max(hi for _, hi in parts)) if parts else None
    if not found.size:
        return None
    period, phase = divmod(unit, len(found.phases))
    first, last = found.phases[phase]
    on = period * len(found.phases) * found.stride
    assert on == int(on)
    return (int(first + on), int(last + on)) if first <= last else None


def assert_figures(found: AxisField) -> None:
    """Sizes and centre are those of the phases."""
    if found.branches or not found.phases:
        return
    sizes = [max(last - first + 1, 0) for first, last in found.phases]
    assert (found.smallest, found.size) == (min(sizes), max(sizes))
    if found.size:
        assert found.start == next(first for first, last in found.phases if first <= last)
        middles = [
            Fraction(first + last) / 2 - unit * Fraction(found.stride)
            for unit, (first, last) in enumerate(found.phases)
            if first <= last
        ]
        assert found.centre == sum(middles, Fraction(0)) / len(middles)


def assert_range(found: AxisField, units: range, lo: np.ndarray, hi: np.ndarray) -> None:
    """Sizes and reach are the least and the most that is observed of some periods of units."""
    if found.branches or len(units) < len(found.phases):
        return
    sizes = [max(int(hi[unit] - lo[unit] + 1), 0) for unit in units]
    assert (found.smallest, found.size) == (min(sizes), max(sizes))
    stride = Fraction(found.stride)
    if stride > 0:
        seeing = [unit for unit in units if lo[unit] <= hi[unit]]
        assert found.back == max(floor(unit * stride) - int(lo[unit]) for unit in seeing)
        assert found.ahead == max(
            int(hi[unit]) - (ceil((unit + 1) * stride) - 1) for unit in seeing
        )


def assert_holds(
    net: Net,
    value: str,
    margin: int,
    axis: int = 2,
    until: float = 1,
    analysis: rfgraph.Analysis | None = None,
) -> int:
    """Every unit whose field keeps `margin` from both borders is as claimed.

    Returns the number of units that were compared. `until` leaves out the last ones, where one
    of the branches that meet may be over. With an `analysis` of another net it is the local part of
    that one's output which is claimed.
    """
    local = analysis is not None
    analysis = analysis or net.analysis(value)
    lows, highs = observed(net, value, axis)
    size = net.input[axis - 1]
    compared = 0
    for channel in range(lows.shape[0]):
        found = analysis.field(analysis.outputs[0], local=local, at={1: channel})[axis]
        assert not found.irregular
        assert_figures(found)
        # Along the other axes, a unit in the middle.
        middle = [n // 2 for n in lows.shape[1:]]
        place: list[Any] = [channel, *middle]
        place[axis - 1] = slice(None)
        lo, hi = lows[tuple(place)], highs[tuple(place)]
        inside = np.flatnonzero((margin <= lo) & (lo <= hi) & (hi < size - margin))
        if not inside.size:
            continue
        units = range(inside[0], int(inside[0] + until * (inside[-1] - inside[0])) + 1)
        assert_range(found, units, lo, hi)
        for unit in units:
            seen = (lo[unit], hi[unit]) if lo[unit] <= hi[unit] else None
            assert claimed(found, unit) == seen, f"channel {channel}, unit {unit}: {found}"
            compared += 1
    return compared


# ---------------------------------------------------------------- random nets


@dataclass(frozen=True)
class Step:
    """A layer of a random net, its arguments, and units of its input for one of its output."""

    layer: str
    given: dict[str, Any] = field(default_factory=dict)
    strides: tuple[Fraction, ...] = ()

    def apply(self, net: Net, v: str) -> str:
        return str(getattr(net, self.layer)(v, **self.given))


@dataclass(frozen=True)
class Merge:
    """Two paths of equal stride that meet."""

    kind: str
    left: tuple[Step, ...]
    right: tuple[Step, ...]
    skipped: int
    strides: tuple[Fraction, ...] = ()

    def apply(self, net: Net, v: str) -> str:
        left, right = (build(net, path, v) for path in (self.left, self.right))
        ends = [left, net.slice(right, self.skipped)]
        if self.kind == "Sum" and net.shape(ends[0])[1] != net.shape(ends[1])[1]:
            ends = [net.conv(end, 1) for end in ends]
        return net.merge(self.kind, *ends)


def build(net: Net, steps: Sequence[Step | Merge], v: str = "x") -> str:
    """Append layers; what would leave no units, or too many channels, is not asked for."""
    for step in steps:
        v = step.apply(net, v)
        try:
            shape = net.shape(v)
        except InvalidArgument:
            reject()
        assume(min(shape) > 0)
        assume(shape[1] <= 12)
    return v


def integers(axes: int, low: int, high: int) -> st.SearchStrategy[tuple[int, ...]]:
    return st.tuples(*[st.integers(low, high)] * axes)


def layer(
    name: str, strides: Callable[[Any], Any], **given: st.SearchStrategy[Any]
) -> st.SearchStrategy[Step]:
    return st.fixed_dictionaries(given).map(
        lambda chosen: Step(name, chosen, tuple(Fraction(s) for s in strides(chosen)))
    )


SCALES = ("2", "3", "4", "1/2", "1/3", "3/2", "2/3", "4/3", "5/4", "5/2")


def keeping(axes: int, largest: int = 1) -> list[st.SearchStrategy[Step]]:
    """Layers with strides of up to `largest`; 1 keeps the stride."""
    stride = integers(axes, 1, largest)
    same = (1,) * axes
    return [
        layer(
            "conv",
            lambda g: g["stride"],
            kernel=integers(axes, 1, 5),
            stride=stride,
            dilation=integers(axes, 1, 3),
            pads=integers(2 * axes, 0, 3),
            channels=st.integers(1, 2),
        ),
        layer(
            "pool",
            lambda g: g["stride"],
            kernel=integers(axes, 2, 4),
            stride=stride,
            pads=integers(2 * axes, 0, 1),
            kind=st.sampled_from(("MaxPool", "AveragePool")),
        ),
        layer("slice", lambda g: g["step"], begin=integers(axes, 0, 3), step=stride),
        layer("pad", lambda g: same, pads=integers(2 * axes, -2, 3)),
        layer(
            "pad",
            lambda g: same,
            pads=integers(2 * axes, 0, 3),
            mode=st.sampled_from(("reflect", "edge")),
        ),
        layer("tokens", lambda g: same),
        layer(
            "flipped_conv", lambda g: same, kernel=st.integers(1, 4), pads=integers(2 * axes, 0, 3)
        ),
    ]


def resampling(axes: int) -> list[st.SearchStrategy[Step]]:
    """Layers that change the stride."""
    scale = st.tuples(*[st.sampled_from(SCALES).map(lambda s: float(Fraction(s)))] * axes)

    def finer(g: dict[str, Any]) -> list[Fraction]:
        return [1 / Fraction(s).limit_denominator(9) for s in g["scale"]]

    places = st.sampled_from(("half_pixel", "asymmetric", "pytorch_half_pixel"))
    rounding = st.sampled_from(("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"))
    return [
        layer(
            "tconv",
            lambda g: [Fraction(1, s) for s in g["stride"]],
            kernel=integers(axes, 1, 5),
            stride=integers(axes, 1, 3),
            dilation=integers(axes, 1, 2),
            pads=integers(2 * axes, 0, 2),
        ),
        layer(
            "resize",
            finer,
            scale=scale,
            mode=st.just("nearest"),
            coordinate_transformation_mode=places,
            nearest_mode=rounding,
        ),
        layer(
            "resize",
            finer,
            scale=scale,
            mode=st.just("linear"),
            coordinate_transformation_mode=places,
        ),
        layer("upshuffle", lambda g: [Fraction(1, g["factor"])] * axes, factor=st.integers(2, 3)),
        layer("unshuffle", lambda g: [g["factor"]] * axes, factor=st.integers(2, 3)),
    ]


@st.composite
def random_net(draw: st.DrawFn, axes: int) -> list[Step | Merge]:
    same = st.one_of(keeping(axes))
    path = st.lists(same, max_size=2).map(tuple)
    merge = st.builds(
        Merge,
        st.sampled_from(("Sum", "Concat")),
        path,
        path,
        st.integers(0, 2),
        st.just((Fraction(1),) * axes),
    )
    steps: list[Step | Merge] = []
    strides = [Fraction(1)] * axes
    for step in draw(
        st.lists(st.one_of(*keeping(axes, 3), *resampling(axes), merge), min_size=1, max_size=6)
    ):
        after = [s * t for s, t in zip(strides, step.strides, strict=True)]
        if all(Fraction(1, 6) <= s <= 6 for s in after):
            steps.append(step)
            strides = after
    assume(steps)
    return steps
