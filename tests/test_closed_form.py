"""The closed form against what onnxruntime shows at two input sizes, and figures found by hand.

What a unit sees is observed with ones on a background of zeros. Every weight is positive and every
layer ends in a step that makes a one of whatever is not zero, so nothing cancels or fades: a unit
sees a coordinate if it is one when only that coordinate of the input is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import inf, prod
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

import rfgraph
from rfgraph import AxisField
from tests.oracle.observe import session

END = 2**31 - 1

# ---------------------------------------------------------------- nets


class Net:
    """Writes a graph with one input ``x`` of shape (batch, channels, sizes...)."""

    def __init__(self, *shape: int) -> None:
        self.input = shape
        self.axes = len(shape) - 1
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._shapes: dict[str, tuple[int, ...]] = {}

    def op(self, kind: str, *inputs: str | np.ndarray, **attributes: Any) -> str:
        """Append a node; arrays become constants."""
        names = [i if isinstance(i, str) else self._constant(i) for i in inputs]
        self._nodes.append(helper.make_node(kind, names, [f"v{len(self._nodes)}"], **attributes))
        return f"v{len(self._nodes) - 1}"

    def _constant(self, array: np.ndarray) -> str:
        name = f"c{len(self._constants)}"
        dtype = np.int64 if array.dtype.kind == "i" else np.float32
        self._constants.append(numpy_helper.from_array(array.astype(dtype), name))
        return name

    def model(self, value: str, batch: int = 1) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes,
            "net",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (batch, *self.input))],
            [helper.make_empty_tensor_value_info(value)],
            self._constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)

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
    start, size = found.phases[phase]
    lo = start + period * len(found.phases) * found.stride
    assert lo == int(lo)
    return (int(lo), int(lo + size) - 1) if size else None


def assert_figures(found: AxisField) -> None:
    """Size, start and centre are those of the union of the phases, or branches."""
    parts = [(b.start, b.size) for b in found.branches] or list(found.phases)
    seen = [(start, start + size) for start, size in parts if size]
    if seen:
        start, end = min(s for s, _ in seen), max(e for _, e in seen)
        assert (found.start, found.size) == (start, end - start)
        assert found.centre == (Fraction(start) + end - 1) / 2


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
        for unit in range(inside[0], int(inside[0] + until * (inside[-1] - inside[0])) + 1):
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


ENOUGH = settings(max_examples=300, deadline=None, derandomize=True, database=None)


@ENOUGH
@given(random_net(1))
def test_interior_units_of_a_signal(steps: list[Step | Merge]) -> None:
    forms = []
    for size in (241, 300):
        net = Net(1, size)
        value = build(net, steps)
        assume(assert_holds(net, value, margin=75))
        channels = range(net.shape(value)[1])
        forms.append([net.field(value, at={1: c}, local=False) for c in channels])
    assert forms[0] == forms[1]


@settings(ENOUGH, max_examples=40)
@given(random_net(2))
def test_interior_units_of_a_picture(steps: list[Step | Merge]) -> None:
    net = Net(1, 130, 150)
    value = build(net, steps)
    for axis in (2, 3):
        assume(assert_holds(net, value, margin=45, axis=axis))


# ---------------------------------------------------------------- figures found by hand


def test_two_dilated_convolutions() -> None:
    net = Net(1, 40, 40)
    v = net.conv(net.conv("x", 3, dilation=4, pads=4), 3, dilation=4, pads=4)
    found = net.analysis(v).field(v)
    assert found.size[2:] == (17, 17)
    assert found.stride[2:] == (1, 1)
    assert found.start[2:] == (-8, -8)
    assert found.centre[2:] == (0, 0)


def test_an_input_smaller_than_the_field() -> None:
    net = Net(1, 5)
    v = net.conv(net.conv("x", 3, dilation=4, pads=4), 3, dilation=4, pads=4)
    assert net.field(v).size == 17


def test_each_axis_has_its_own_kernel_stride_and_dilation() -> None:
    net = Net(1, 40, 60)
    v = net.conv("x", (3, 5), stride=(2, 1), dilation=(1, 3), pads=(1, 6, 1, 6))
    v = net.conv(v, (1, 3), stride=(1, 2), pads=(0, 0, 0, 0))
    found = net.analysis(v).field(v)
    # Rows: 3. Columns: 1 + 4 * 3 = 13, and 2 more by the second.
    assert found.size[2:] == (3, 15)
    assert found.stride[2:] == (2, 2)
    assert found.start[2:] == (-1, -6)
    assert found.centre[2:] == (0, 1)


def test_even_kernels_have_centres_between_elements() -> None:
    net = Net(1, 40)
    v = net.conv("x", 2)
    centre = net.field(v).centre
    assert centre == Fraction(1, 2)
    assert isinstance(centre, Fraction)
    # 4 wide, then 2 wide and 2 apart.
    assert net.field(net.conv(net.conv(v, 3, pads=1), 4, stride=2, pads=1)).centre == 1


def test_axes_in_three_dimensions() -> None:
    net = Net(1, 20, 24, 28)
    v = net.conv("x", (3, 5, 1), stride=(1, 2, 3), pads=(1, 2, 0, 1, 2, 0))
    v = net.pool(v, (2, 2, 2), (2, 2, 2))
    found = net.analysis(v).field(v)
    assert found.size[2:] == (4, 7, 4)
    assert found.stride[2:] == (2, 4, 6)
    assert found.start[2:] == (-1, -2, 0)
    assert found.centre[2:] == (Fraction(1, 2), 1, Fraction(3, 2))


def test_causal_dilated_convolutions() -> None:
    net = Net(1, 400)
    v = "x"
    for _ in range(2):
        for k in range(6):
            v = net.conv(v, 2, dilation=2**k, pads=(2**k, 0))
    # Twice 1 + 2 + 4 + 8 + 16 + 32 elements of the past.
    assert net.field(v) == AxisField(127, 1, -126, -63, ((-126, 127),))


def test_channels_last() -> None:
    net = Net(20, 30, 1)
    v = net.conv(net.op("Transpose", "x", perm=[0, 3, 1, 2]), (3, 5), pads=(1, 2, 1, 2))
    v = net.op("Transpose", v, perm=[0, 2, 3, 1])
    found = net.analysis(v).field(v)
    assert found.size == (1, 3, 5, 1)
    assert found.start == (0, -1, -2, 0)
    assert found.stride[1:3] == (1, 1)


def test_rows_that_become_columns() -> None:
    net = Net(1, 20, 30)
    v = net.conv(net.op("Transpose", "x", perm=[0, 1, 3, 2]), (5, 1), stride=(3, 1))
    found = net.analysis(v).field(v)
    assert found.size[2:] == (1, 5)
    assert found.stride[2:] == (1, 3)


def test_tokens_keep_the_fields_of_a_picture() -> None:
    net = Net(1, 32, 48)
    v = net.conv("x", 4, stride=4, channels=2)
    tokens = net.op("Transpose", net.reshape(v, 2, -1), perm=[0, 2, 1])
    mixed = net.op("LayerNormalization", tokens, np.ones(2), np.zeros(2), axis=-1)
    mixed = net.op("MatMul", mixed, np.ones((2, 2)))
    back = net.reshape(net.op("Transpose", mixed, perm=[0, 2, 1]), 2, 8, 12)
    for value in (net.conv(back, 3, pads=1), net.conv(v, 3, pads=1)):
        found = net.analysis(value).field(value)[2:]
        assert [(f.size, f.stride, f.start) for f in found] == [(12, 4, -4)] * 2
    # Token 17 is the patch in row 1 and column 5.
    found = net.analysis(mixed).field(mixed, at={1: 17})[2:]
    assert [(f.size, f.start) for f in found] == [(4, 4), (4, 20)]


def test_every_token_differs() -> None:
    net = Net(1, 32, 48)
    v = net.op("Transpose", net.reshape(net.conv("x", 4, stride=4), 1, -1), perm=[0, 2, 1])
    runs = net.analysis(v).fields(v, axis=1)
    starts = {token: found.start[2:] for tokens, found in runs for token in tokens}
    assert starts == {token: (token // 12 * 4, token % 12 * 4) for token in range(96)}


def test_squeeze_and_excite() -> None:
    net = Net(1, 20, 20)
    v = net.conv("x", 3, pads=1, channels=2)
    gate = net.op("Sigmoid", net.conv(net.op("GlobalAveragePool", v), 1, channels=2))
    a = net.analysis(net.conv(net.op("Mul", v, gate), 3, pads=1))
    v = a.outputs[0]
    assert a.box(v, (0, 0, 10, 10)) == ((0, 0), (0, 0), (0, 19), (0, 19))
    assert a.field(v)[2] == AxisField(5, 1, -2, 0, ((-2, 5),))
    everything = a.field(v, local=False)
    assert everything.is_global
    assert everything.size[2:] == (inf, inf)
    assert a.unequal == []


# ---------------------------------------------------------------- units that differ


@pytest.mark.parametrize("upward", ["transposed", "linear", "nearest"])
def test_u_net(upward: str) -> None:
    net = Net(1, 320)

    def up(v: str) -> str:
        if upward == "transposed":
            return net.tconv(v)
        return net.conv(net.resize(v, 2, mode=upward), 1)

    v, skips = "x", []
    for _ in range(3):
        v = net.conv(net.conv(v, 3, pads=1), 3, pads=1)
        skips.append(v)
        v = net.pool(v)
    v = net.conv(net.conv(v, 3, pads=1), 3, pads=1)
    # 1 + 4, and 1 for the pool; + 8 + 2; + 16 + 4; + 32.
    assert net.field(v) == AxisField(68, 8, -30, Fraction(7, 2), ((-30, 68),))
    for skip in reversed(skips):
        v = net.merge("Concat", skip, up(v))
        v = net.conv(net.conv(v, 3, pads=1), 3, pads=1)
    assert assert_holds(net, v, margin=60)
    found = net.field(v)
    assert (found.stride, len(found.phases)) == (1, 8)
    # What eight neighbours, the first at a multiple of eight, see together.
    lo, hi = (end[0] for end in observed(net, v, 2))
    assert found.size == hi[160:168].max() - lo[160:168].min() + 1
    assert found.start == lo[160:168].min() - 160


def test_upsampling_by_two() -> None:
    net = Net(1, 40)
    v = net.resize("x", 2, mode="nearest")
    assert net.field(v) == AxisField(1, Fraction(1, 2), 0, 0, ((0, 1), (0, 1)))
    assert isinstance(net.field(v).stride, Fraction)
    # Elements -1 | 0 0 | 1 1: the first unit reads -1, 0, 0 and the second 0, 0, 1.
    after = net.field(net.conv(v, 3, pads=1))
    assert after == AxisField(3, Fraction(1, 2), -1, 0, ((-1, 2), (0, 2)))
    linear = net.resize("x", 2, mode="linear")
    assert net.field(linear).phases == ((-1, 2), (0, 2))
    cubic = Net(1, 40, 40)
    assert cubic.field(cubic.resize("x", 2, mode="cubic")).phases == ((-2, 4), (-1, 4))


def test_units_that_see_nothing() -> None:
    net = Net(1, 120)
    v = net.tconv("x", 2, stride=3)
    assert net.field(v).phases == ((0, 1), (0, 1), (0, 0))
    assert assert_holds(net, v, margin=20)


@pytest.mark.parametrize("exported", ["DepthToSpace", "Reshape and Transpose"])
def test_pixel_shuffle(exported: str) -> None:
    net = Net(1, 60, 60)
    v = net.conv("x", 3, pads=1, channels=9)
    v = net.op("DepthToSpace", v, blocksize=3) if exported == "DepthToSpace" else net.shuffle(v, 3)
    found = net.field(v)
    assert (found.size, found.stride, found.start) == (3, Fraction(1, 3), -1)
    assert found.phases == ((-1, 3),) * 3


def test_padding_after_a_pixel_shuffle() -> None:
    net = Net(1, 40)
    shuffled = net.upshuffle("x", 2)
    expected = AxisField(3, Fraction(1, 2), -1, 0, ((-1, 2), (0, 2)))
    assert net.field(net.conv(shuffled, 3, pads=1)) == expected
    assert net.field(net.conv(net.pad(shuffled, (1, 1)), 3)) == expected


def test_shuffling_and_unshuffling_by_other_factors() -> None:
    net = Net(1, 60)
    v = net.unshuffle(net.upshuffle("x", 2), 3)
    assert assert_holds(net, v, margin=10)
    # Each unit has three elements of half the size, which fill one and a half.
    assert net.field(v).stride == Fraction(3, 2)


def test_interleaved_channels() -> None:
    net = Net(1, 60)
    v = net.shuffle(net.merge("Concat", "x", net.conv("x", 3, pads=1)), 2)
    found = net.field(v)
    assert (found.size, found.start, len(found.branches)) == (4, -1, 2)
    for unit in range(20, 24):
        seen = net.field(v, at={2: unit})
        assert (seen.size, seen.start) == ((3, unit // 2 - 1) if unit % 2 else (1, unit // 2))


# ---------------------------------------------------------------- where branches meet


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_unequal_strides_are_answered_and_told(kind: str) -> None:
    net = Net(1, 120)
    left, right = net.conv("x", 3, pads=1), net.conv("x", 3, stride=2, pads=1)
    v = net.conv(net.merge(kind, left, right), 3, pads=1)
    found = net.field(v)
    assert {branch.stride for branch in found.branches} == {1, 2}
    assert (found.size, found.start, found.stride) == (7, -3, 2)
    assert assert_holds(net, v, margin=10, until=0.4)
    notes = net.analysis(v).unequal
    assert len(notes) == 1
    assert "strides 1, 2 on axis 2" in notes[0].reason


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_unequal_centres_are_told(kind: str) -> None:
    net = Net(1, 60)
    left, right = net.conv("x", 3, pads=1), net.conv("x", 3, pads=(2, 0))
    v = net.conv(net.merge(kind, left, right), 1)
    assert net.field(v) == AxisField(4, 1, -2, Fraction(-1, 2), ((-2, 4),))
    notes = net.analysis(v).unequal
    assert len(notes) == 1
    assert "centres -1, 0 on axis 2" in notes[0].reason


@pytest.mark.parametrize("kind", ["Sum", "Concat"])
def test_equal_branches_are_not_told(kind: str) -> None:
    net = Net(1, 60)
    wide = net.conv("x", 3, dilation=2, pads=2)
    v = net.conv(net.merge(kind, "x", net.conv("x", 3, pads=1), wide), 1)
    assert net.analysis(v).unequal == []
    assert net.field(v) == AxisField(5, 1, -2, 0, ((-2, 5),))


def test_flips() -> None:
    net = Net(1, 60)
    v = net.conv(net.flip("x"), 3, stride=2, pads=(0, 1))
    # Unit 0 sees the last three elements.
    assert net.field(v) == AxisField(3, -2, 57, 58, ((57, 3),))
    assert assert_holds(net, v, margin=5)
    both = net.op("Add", "x", net.flip("x"))
    assert {branch.stride for branch in net.field(both).branches} == {1, -1}
    assert assert_holds(net, both, margin=5)


@pytest.mark.parametrize("shift", [3, 30])
def test_a_cyclic_shift_has_a_branch_for_each_part(shift: int) -> None:
    net = Net(1, 60)
    v = net.op("Concat", net.slice("x", shift), net.crop("x", [shift]), axis=2)
    # The first unit of one part sees element `shift`, that of the other one element 0.
    assert {(b.size, b.stride, b.start) for b in net.field(v).branches} == {
        (1, 1, shift),
        (1, 1, 0),
    }


def test_a_cyclic_shift_there_and_back() -> None:
    net = Net(1, 60)
    shifted = net.op("Concat", net.slice("x", 3), net.crop("x", [3]), axis=2)
    back = net.op("Concat", net.slice(shifted, 57), net.crop(shifted, [57]), axis=2)
    assert net.field(back) == AxisField(1, 1, 0, 0, ((0, 1),))


# ---------------------------------------------------------------- channels that differ


def test_concatenated_channels() -> None:
    net = Net(1, 60)
    layers = [net.conv("x", k, pads=k // 2, channels=2) for k in (1, 3, 5)]
    v = net.merge("Concat", *layers)
    a = net.analysis(v)
    assert [a.field(v, at={1: c})[2].size for c in range(6)] == [1, 1, 3, 3, 5, 5]
    runs = [(channels, found[2].size) for channels, found in a.fields(v, axis=1)]
    assert runs == [(range(2), 1), (range(2, 4), 3), (range(4, 6), 5)]
    assert a.field(v)[2].size == 5
    assert [channels for channels, _ in a.fields(v, axis=-2)] == [r[0] for r in runs]
    assert assert_holds(net, v, margin=10)


def test_channels_of_space_to_depth() -> None:
    net = Net(1, 60, 60)
    v = net.op("SpaceToDepth", net.conv("x", 3, pads=1), blocksize=2)
    a = net.analysis(v)
    places = [(-1, -1), (-1, 0), (0, -1), (0, 0)]
    assert [a.field(v, at={1: c}).start[2:] for c in range(4)] == places
    runs = {c: found.start[2:] for channels, found in a.fields(v, axis=1) for c in channels}
    assert runs == dict(enumerate(places))


def test_all_channels_of_space_to_depth() -> None:
    net = Net(1, 60, 60)
    v = net.op("SpaceToDepth", net.conv("x", 3, pads=1), blocksize=2)
    a = net.analysis(v)
    # All channels together see one element more than each.
    assert a.field(v).size[2:] == (4, 4)
    assert a.field(v).stride[2:] == (2, 2)
    assert a.field(v).start[2:] == (-1, -1)


@pytest.mark.parametrize("order", [1, -1])
def test_space_to_depth_beside_other_channels(order: int) -> None:
    net = Net(1, 60)
    parts = [net.unshuffle("x", 2), net.pool("x")][::order]
    v = net.conv(net.merge("Concat", *parts), 1)
    assert net.field(v) == AxisField(2, 2, 0, Fraction(1, 2), ((0, 2),))


def test_channels_of_the_input_that_come_twice() -> None:
    net = Net(3, 60)
    v = net.conv(net.merge("Concat", "x", "x"), 1)
    assert (net.field(v, axis=1).start, net.field(v, axis=1).size) == (0, 3)


def test_repeated_channels() -> None:
    net = Net(1, 60)
    v = net.op("Tile", net.unshuffle("x", 2), np.array([1, 2, 1]))
    assert [net.field(v, at={1: c}).start for c in range(4)] == [0, 1, 0, 1]


# ---------------------------------------------------------------- no closed form


@pytest.mark.parametrize("size", [50, 600])
def test_aligned_corners_have_no_closed_form(size: int) -> None:
    net = Net(1, size)
    aligned = "align_corners"
    v = net.resize("x", 2, mode="linear", coordinate_transformation_mode=aligned)
    found = net.field(net.conv(v, 3, pads=1))
    # The ratio (size - 1) / (2 * size - 1) is another at every size; no unit sees more than 3.
    assert found.irregular
    assert found.size == 3


def test_a_repeated_signal_has_no_closed_form() -> None:
    net = Net(1, 40)
    assert net.field(net.op("Tile", "x", np.array([1, 1, 2]))).irregular


@pytest.mark.parametrize("size", [60, 61])
def test_symmetric_half_pixels(size: int) -> None:
    net = Net(1, size)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel_symmetric"}
    v = net.resize("x", 1.5, **how)
    # 61 * 1.5 is not whole: the grid is centred, and moved by a part that the size decides.
    if size == 61 and net.field(v).irregular:
        return
    assert assert_holds(net, v, margin=10)
