"""Resampling: which source coordinates each output coordinate takes, axis by axis.

Sizes, coordinates and weights are computed in float32 and in onnxruntime's order: the rounding
decides how long an axis is, which of two elements is read, and which tap has a weight of zero.
Where what runs departs from the specification it wins, with a note (docs/adr/0005-shapes.md).
"""

from __future__ import annotations

from collections.abc import Collection
from fractions import Fraction
from itertools import product
from math import floor
from typing import NamedTuple, TypeAlias

import numpy as np

from rfgraph.model.graph import Kind
from rfgraph.model.sizes import Sized, all_known, is_unknown
from rfgraph.ops.registry import (
    Operation,
    Reads,
    Undetermined,
    axis_of,
    describe,
    transfer,
)
from rfgraph.ops.rounding import Rounding, is_exact
from rfgraph.ops.shaping import (
    AxisCut,
    by_sizes,
)
from rfgraph.reads.words import WHOLE, Along, AxisRead, Everything, PerAxis, Shape, Table, same

# A resize whose pattern repeats only after more outputs than this gets no closed form: it would be
# a long table.
_LONGEST_PATTERN = 1024

_NEXT_TO_HALF = 1e-6

# The coordinate transformations that leave every element where it is if the scale is 1.
_IN_PLACE = ("asymmetric", "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric")


_COMPUTED = "its scales, sizes or region are computed: everything along the resized axes is assumed"

_COPIED = (
    "onnxruntime copies axes that keep their size, whatever the scales and the region say: each "
    "element is assumed to read the one at its own place"
)
_KEPT = (
    "with keep_aspect_ratio_policy, onnxruntime does not resize axes that are counted from the "
    "end: they are assumed to stay as they are"
)


class _Resampling(NamedTuple):
    """How one axis is resampled."""

    size: int
    outputs: int
    scale: float
    roi: tuple[float, float]
    mode: str
    transformation: str
    nearest: str
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False

    @property
    def copied(self) -> bool:
        """Whether onnxruntime doesn't look at the mode."""
        return self.scale == 1 or (self.antialias and self.size == self.outputs)


def resized(op: Operation) -> Sized:
    """The output's shape: inference takes the product with the scales in double precision."""
    sizes: list[int | None] = list(op.shape(0))
    if not all_known(op.shape(0)):
        return _partly_resized(op)
    for axis, how in _resamplings(op).items():
        sizes[axis] = how.outputs
    return tuple(sizes)


def _partly_resized(op: Operation) -> Sized:
    """The output's shape where the data decide some sizes of the input: by scales one by one."""
    shape = op.shape(0)
    scales = _early_scales(op) if op.version < 11 else op.static(2)
    if scales is None or not len(scales):
        raise Undetermined(_COMPUTED)
    sizes: list[int | None] = list(shape)
    for scale, axis in zip(scales, op.attribute("axes") or range(len(shape)), strict=True):
        axis = axis_of(axis, len(shape))
        if scale != 1:
            sizes[axis] = None if is_unknown(shape[axis]) else _product(float(scale), shape[axis])
    return tuple(sizes)


@transfer("Resize", since=11, shape=resized, computed=_COMPUTED)
@transfer("Resize", since=10, shape=resized, computed=_COMPUTED)
@transfer("Upsample", since=7, shape=resized, computed=_COMPUTED)
def resize(op: Operation) -> Reads:
    """Each output coordinate reads the source elements around its place, axis by axis.

    nearest:  one element; linear: the two around; cubic: four; ``antialias`` widens both by 1/scale

    Y[o] <- X[taps around x(o)],  x(o) by ``coordinate_transformation_mode``

    linear, half_pixel, 2 to 4:   o: 0 1 2 3   reads: {0} {0,1} {0,1} {1}

    Taps outside are read at the border. Taps of weight zero are not read. Upsample, and Resize
    before version 11, have ``asymmetric`` coordinates, o / scale; nearest rounds down there, and
    up where it shrinks.

    https://onnx.ai/onnx/operators/onnx__Resize.html
    """
    shape, Y = op.shape(0), op.out()
    if op.version >= 11:
        computed = [k for k in (1, 2, 3) if op.live(k)]
        if computed or not all_known(shape):
            return _resized_somehow(op, computed)
    along: list[list[AxisRead]] = [[same(axis)] for axis in range(len(shape))]
    told: dict[_Resampling, _Told] = {}
    for axis, how in _resamplings(op).items():
        if not op.has(3) and (exact := _exact_product(how.scale, how.size)) != how.outputs:
            op.note(
                f"its axis {axis} has {how.outputs} elements, not {exact}: runtimes multiply by "
                "the scale in single precision",
                "runtime",
            )
        copied = shape == Y or how.copied
        if copied and _departs(how):
            op.note(_COPIED, "runtime")
        if shape != Y:
            # Rows and columns are often resampled alike.
            if how not in told:
                told[how] = _told(how)
            along[axis] = _along(axis, *told[how])
    return [PerAxis(0, axes) for axes in product(*along)]


def _resized_somehow(op: Operation, computed: list[int]) -> Reads:
    """A resize of which scales, sizes or lengths are not known: an axis that keeps its length is
    left alone, unless a region of it may be taken.
    """
    if computed:
        op.note(_COMPUTED)
    shape, Y = op.shape(0), op.out()
    rank = len(shape)
    scales = op.static(2)
    # Scaled by something else than 1 an axis may keep its length too.
    kept = not op.live(2) and op.attribute("keep_aspect_ratio_policy", "stretch") == "stretch"
    kept = kept and op.attribute("coordinate_transformation_mode") != "tf_crop_and_resize"
    along: list[AxisRead] = [same(axis) for axis in range(rank)]
    for k, axis in enumerate(op.attribute("axes") or range(rank)):
        axis = axis_of(axis, rank)
        scaled = scales is not None and scales.size and scales[k] != 1
        if not kept or scaled or is_unknown(shape[axis]) or shape[axis] != Y[axis]:
            along[axis] = WHOLE
    return [PerAxis(0, tuple(along)), *map(Everything, computed)]


def _resamplings(op: Operation) -> dict[int, _Resampling]:
    """What is done to each axis that is named."""
    shape = op.shape(0)
    rank = len(shape)
    if op.version < 11:
        scales = _early_scales(op)
        _need_positive(scales)
        mode = op.attribute("mode", "nearest")
        return {
            axis: _Resampling(
                n,
                _product(scale, n),
                scale,
                (0, 1),
                mode,
                "asymmetric",
                "ceil" if scale < 1 else "floor",
            )
            for axis, (n, scale) in enumerate(zip(shape, scales, strict=True))
        }
    named = op.attribute("axes") or list(range(rank))
    axes = [axis_of(axis, rank) for axis in named]
    sizes = [shape[axis] for axis in axes]
    given = op.static(2)
    if given is not None and given.size:
        scales = [float(v) for v in given]
        outputs = [_product(scale, n) for scale, n in zip(scales, sizes, strict=True)]
    else:
        scales, outputs = _by_sizes(op, sizes, [axis < 0 for axis in named])
    _need_positive(scales)
    roi = _roi(op, len(axes))
    return {
        axis: _Resampling(
            sizes[k],
            outputs[k],
            scales[k],
            roi[k],
            op.attribute("mode", "nearest"),
            op.attribute("coordinate_transformation_mode", "half_pixel"),
            op.attribute("nearest_mode", "round_prefer_floor"),
            op.attribute("cubic_coeff_a", -0.75),
            bool(op.attribute("exclude_outside", 0)),
            bool(op.attribute("antialias", 0)),
        )
        for k, axis in enumerate(axes)
    }


def _need_positive(scales: list[float]) -> None:
    if not all(np.isfinite(scale) and scale > 0 for scale in scales):
        raise ValueError(f"its scales are {scales}")


def _early_scales(op: Operation) -> list[float]:
    """The scales of Upsample, and of Resize before version 11."""
    given = op.attribute("scales")
    return [float(v) for v in (op.constant(1, "scales") if given is None else given)]


def _product(scale: float, size: int) -> int:
    """The length of an axis of `size` after scaling."""
    return int(np.float32(scale) * np.float32(size))


def _exact_product(scale: float, size: int) -> int:
    """The length that an axis of `size` would have without rounding."""
    above, below = scale.as_integer_ratio()
    return size * above // below


def _by_sizes(
    op: Operation, shape: list[int], from_end: list[bool]
) -> tuple[list[float], list[int]]:
    """Scales and lengths of axes of `shape`, from the input `sizes`."""
    sizes = [int(v) for v in op.constant(3, "sizes")]
    if 0 in shape:
        raise ValueError("there is nothing to resize")
    pairs = zip(sizes, shape, strict=True)
    scales = [float(np.float32(m) / np.float32(n)) for m, n in pairs]
    policy = op.attribute("keep_aspect_ratio_policy", "stretch")
    if policy == "stretch":
        return scales, sizes
    if any(from_end):
        op.note(_KEPT, "runtime")
    chosen = [scale for scale, kept in zip(scales, from_end, strict=True) if not kept]
    common = (min if policy == "not_larger" else max)(chosen, default=1.0)
    scales = [1.0 if kept else common for kept in from_end]
    rounded = (np.float32(scale) * np.float32(n) for scale, n in zip(scales, shape, strict=True))
    return scales, [floor(float(length) + 0.5) for length in rounded]


def _roi(op: Operation, count: int) -> list[tuple[float, float]]:
    if op.attribute("coordinate_transformation_mode") != "tf_crop_and_resize":
        return [(0.0, 1.0)] * count
    roi = op.constant(1, "roi")
    return [(float(roi[k]), float(roi[k + count])) for k in range(count)]


# Runs of taps, first and how many at every output coordinate, None for the element at the same
# place; and the starts, counts and advance of the pattern away from the borders.
_Told: TypeAlias = (
    "tuple[list[tuple[np.ndarray, np.ndarray]] | None, tuple[Shape, Shape, int] | None]"
)


def _along(
    axis: int,
    runs: list[tuple[np.ndarray, np.ndarray]] | None,
    pattern: tuple[Shape, Shape, int] | None,
) -> list[AxisRead]:
    """The reads of one axis."""
    if runs is None:
        return [same(axis)]
    interior = None if pattern is None else Along(axis, *pattern)
    return [Table((axis,), starts, counts, interior=interior) for starts, counts in runs]


def _told(how: _Resampling) -> _Told:
    """What is read along an axis: its taps, a run for each lot of neighbours that have a weight."""
    cropping = how.transformation == "tf_crop_and_resize"
    if how.copied and not cropping:
        return None, None
    x = _coordinates(how)
    own = np.arange(how.outputs), np.ones(how.outputs, dtype=np.int64)
    runs = [own] if how.copied else _taps(how, x)
    if not cropping:
        return runs, _pattern(how)
    outside = (x < 0) | (x > how.size - 1) if how.scale != 1 else np.zeros(1, bool)
    if how.copied and not outside.any():
        return None, None
    return [(starts, np.where(outside, 0, counts)) for starts, counts in runs], None


def _departs(how: _Resampling) -> bool:
    """Whether an axis that is copied would read others than its own elements by its definition."""
    if how.scale == 1 and how.transformation in _IN_PLACE and how.mode in ("nearest", "linear"):
        return False
    own = np.arange(how.size)
    x = _coordinates(how)
    if how.transformation == "tf_crop_and_resize" and ((x < 0) | (x > how.size - 1)).any():
        return True
    return any((starts != own).any() or (counts != 1).any() for starts, counts in _taps(how, x))


def _coordinates(how: _Resampling) -> np.ndarray:
    """The place of every output coordinate on the input's axis, float32."""
    f = np.float32
    o = np.arange(how.outputs, dtype=f)
    n, m, scale = f(how.size), f(how.outputs), f(how.scale)
    mode = how.transformation
    if mode == "asymmetric":
        return np.asarray(o / scale)
    if mode == "half_pixel":
        return np.asarray((o + f(0.5)) / scale - f(0.5))
    if mode == "pytorch_half_pixel":
        return np.asarray((o + f(0.5)) / scale - f(0.5)) if how.outputs > 1 else o * f(0)
    if mode == "tf_half_pixel_for_nn":
        return np.asarray((o + f(0.5)) / scale)
    if mode == "align_corners":
        return np.asarray(o * (n - f(1)) / (m - f(1))) if how.outputs > 1 else o * f(0)
    if mode == "half_pixel_symmetric":
        adjustment = m / (scale * n)
        offset = n / f(2) * (f(1) - adjustment)
        # Here runtimes compute in double precision from the offset on.
        return np.asarray(np.float64(offset) + (o + 0.5) / np.float64(scale) - 0.5).astype(f)
    if mode == "tf_crop_and_resize":
        begin, end = f(how.roi[0]), f(how.roi[1])
        if how.outputs > 1:
            steps = o * (end - begin) * (n - f(1)) / (m - f(1))
            return np.asarray(begin * (n - f(1)) + steps)
        return np.asarray(o * f(0) + f(0.5) * (begin + end) * (n - f(1)))
    raise Undetermined(f"its coordinate transformation '{mode}' is not known")


def _taps(how: _Resampling, x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """First tap and number of taps for every output coordinate at place `x`, run by run."""
    n = how.size
    if how.antialias and how.mode != "nearest":
        return _runs(*_antialiased(how, x))
    if how.mode == "nearest":
        return [(np.clip(_nearest(how.nearest, x), 0, n - 1), np.ones(len(x), dtype=np.int64))]
    if how.mode == "linear":
        inside = np.clip(x, 0, n - 1)
        first = np.floor(inside).astype(np.int64)
        return [(first, np.ceil(inside).astype(np.int64) - first + 1)]
    if how.mode == "cubic":
        return _runs(*_cubic(how, x))
    raise Undetermined(f"its mode '{how.mode}' is not known")


def _runs(first: np.ndarray, used: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Beginnings and lengths of the runs of what is `used` (outputs, taps), which is at `first`."""
    edges = np.diff(np.pad(used, [(0, 0), (1, 1)]).astype(np.int8), axis=1)
    number = np.cumsum(edges == 1, axis=1)
    runs = []
    for k in range(1, max(int(number.max(initial=0)), 1) + 1):
        begin = np.argmax((edges == 1) & (number == k), axis=1)
        end = np.argmax((edges == -1) & (number == k), axis=1)
        runs.append((first + begin, end - begin))
    return runs


def _nearest(mode: str, x: np.ndarray) -> np.ndarray:
    if mode in ("floor", "ceil"):
        return np.asarray(np.floor(x) if mode == "floor" else np.ceil(x), dtype=np.int64)
    low = np.floor(x)
    # Runtimes take what rounding has put next to a half for the half that it was.
    half = np.abs(x - low - np.float32(0.5)) < _NEXT_TO_HALF
    up = np.where(half, mode == "round_prefer_ceil", x - low > np.float32(0.5))
    return np.asarray(low + up, dtype=np.int64)


def _cubic(how: _Resampling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of the four taps around `x`, and which elements from there on have a weight."""
    f = np.float32
    low = np.floor(x)
    s, a = x - low, f(how.cubic_a)
    outer = [((a * t - f(5) * a) * t + f(8) * a) * t - f(4) * a for t in (s + f(1), f(2) - s)]
    inner = [((a + f(2)) * t - (a + f(3))) * t * t + f(1) for t in (s, f(1) - s)]
    weights = np.stack([outer[0], inner[0], inner[1], outer[1]], axis=1)
    places = low.astype(np.int64)[:, None] + np.arange(-1, 3)
    inside = np.clip(places, 0, how.size - 1)
    counted = weights != 0
    if how.exclude_outside:
        counted &= inside == places
    used = np.zeros(weights.shape, dtype=bool)
    rows = np.arange(len(x))
    for k in range(4):
        used[rows, inside[:, k] - inside[:, 0]] |= counted[:, k]
    return inside[:, 0], used


def _antialiased(how: _Resampling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first element under the widened filter, and which from there on have a weight.

    Weights of taps outside are added to that of the element at the border, one after the other.
    """
    f = np.float32
    n, a = how.size, f(how.cubic_a)
    shrink = f(1) / f(how.scale)
    widened = max(shrink, f(1))
    reach = f(1 if how.mode == "linear" else 2) * widened
    center = x + f(0.5)
    first = np.floor(center - reach + f(0.5)).astype(np.int64)
    widest = 2 * int(np.ceil(reach)) + 1
    counts = np.clip(np.floor(center + reach + f(0.5)).astype(np.int64) - first, 0, widest)
    places = first[:, None] + np.arange(widest)
    t = np.abs((places.astype(f) - center[:, None] + f(0.5)) * (f(1) / widened))
    if how.mode == "linear":
        weights = np.where(t < 1, f(1) - t, f(0))
    else:
        near = ((a + f(2)) * t - (a + f(3))) * t * t + f(1)
        far = (((t - f(5)) * t + f(8)) * t - f(4)) * a
        weights = np.where(t < 1, near, np.where(t < 2, far, f(0)))
    weights[np.arange(widest) >= counts[:, None]] = 0
    begin, end = np.clip(first, 0, n), np.clip(first + counts, 0, n)
    if not how.exclude_outside:
        _fold(weights, places, n)
    weights[(places < begin[:, None]) | (places >= end[:, None])] = 0
    return first, weights != 0


def _fold(weights: np.ndarray, places: np.ndarray, size: int) -> None:
    """Add the weights of places outside to those at the border, in place."""
    rows = np.arange(len(weights))
    for border, outside in ((0, places < 0), (size - 1, places >= size)):
        column = border - places[:, 0]
        there = (column >= 0) & (column < weights.shape[1])
        for k in np.flatnonzero(outside.any(axis=0)):
            row = rows[there & outside[:, k]]
            weights[row, column[row]] += weights[row, k]


def _ratio(how: _Resampling) -> Fraction:
    """The scale without rounding."""
    if floor(how.size * how.scale) == how.outputs and how.size * how.scale != how.outputs:
        return Fraction(how.scale).limit_denominator(_LONGEST_PATTERN)
    return Fraction(how.outputs, how.size)


def _pattern(how: _Resampling) -> tuple[Shape, Shape, int] | None:
    """The taps away from the borders, which repeat where the scale is a simple fraction."""
    if how.transformation == "align_corners" or (
        how.transformation == "half_pixel_symmetric" and how.size * how.scale != how.outputs
    ):
        # The ratio, or the offset, changes with the size: no pattern holds for all sizes.
        return None
    ratio = _ratio(how)
    period, advance = ratio.numerator, ratio.denominator
    if not 0 < period <= _LONGEST_PATTERN:
        return None
    # Places are counted in halves of a period's part, so that all of them are whole numbers.
    unit = 2 * period
    shift = 1 if "half_pixel" in how.transformation else 0
    back = 0 if how.transformation == "tf_half_pixel_for_nn" else shift * period
    taps = [
        _exact_taps(how, (2 * o + shift) * advance - back, unit, advance) for o in range(period)
    ]
    starts = tuple([first for first, _ in taps])
    return starts, tuple([last - first + 1 for first, last in taps]), advance


def _exact_taps(how: _Resampling, x: int, unit: int, advance: int) -> tuple[int, int]:
    """The first and the last tap at the place ``x / unit``; a period is `unit` / 2 outputs, and
    `advance` elements, long.
    """
    if how.mode == "nearest":
        if how.nearest == "floor":
            tap = x // unit
        elif how.nearest == "ceil":
            tap = -(-x // unit)
        elif how.nearest == "round_prefer_ceil":
            tap = (2 * x + unit) // (2 * unit)
        else:
            tap = -((unit - 2 * x) // (2 * unit))
        return tap, tap
    reach = 1 if how.mode == "linear" else 2
    if how.antialias and 2 * advance > unit:
        reach *= 2 * advance
    elif x % unit == 0:
        return x // unit, x // unit
    else:
        reach *= unit
    # The filter vanishes at its ends.
    return (x - reach) // unit + 1, -((-x - reach) // unit) - 1


def _of_other_length(_: Kind) -> bool:
    """The reference rounds the length of the output otherwise than runtimes do."""
    return True


def _rounded_places(op: Operation, axes: Collection[int]) -> Rounding:
    """Places and weights are computed in 32 bits: without rounding if the scale is p/q with a power
    of two as p, and not so rounded itself that quotients show it.
    """
    for axis, how in _resamplings(op).items():
        ratio = _ratio(how)
        if axis not in axes or how.copied or op.shape(0) == op.out():
            continue
        exact, p = is_exact(how.scale, ratio), ratio.numerator
        if not exact or (how.mode != "nearest" and p & (p - 1)):
            what = "other elements are read" if how.mode == "nearest" else "weights are rounded"
            return Rounding(
                reason=f"its places at a scale of {ratio} are computed in 32 bits: {what}, the "
                "more the farther from the begin",
                is_moved=how.mode == "nearest",
            )
    return Rounding()


describe("Resize", growth=by_sizes, cut=AxisCut((2, 3), sizes=3))
describe("Resize Upsample", differs=_of_other_length, rounding=_rounded_places)
