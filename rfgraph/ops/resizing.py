"""Resampling: which source coordinates each output coordinate takes, axis by axis.

Coordinates are computed in float32 and in the order in which the specification writes them, as
runtimes do: at a boundary between two source elements the rounding decides which one is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

import numpy as np

from rfgraph.ops.registry import Operation, Reads, Undetermined, axis_of, transfer
from rfgraph.reads import Along, AxisRead, PerAxis, Table, same

# Longer patterns than this have no closed form worth the name.
_LONGEST_PATTERN = 1024

_NEXT_TO_HALF = 1e-6


_COMPUTED = "its scales, sizes or region are computed: all of every input is read"


@dataclass(frozen=True, slots=True)
class _Resampling:
    """How one axis is resampled."""

    size: int
    outputs: int
    scale: float
    roi: tuple[float, float]
    mode: str
    transformation: str
    nearest: str
    cubic_a: float
    exclude_outside: bool
    antialias: bool


@transfer("Resize", since=11, computed=_COMPUTED)
def resize(op: Operation) -> Reads:
    """Each output coordinate reads the source elements around its place, axis by axis.

    nearest:  one element; linear: the two around; cubic: four; ``antialias`` widens both by 1/scale

    Y[o] <- X[taps around x(o)],  x(o) by ``coordinate_transformation_mode``

    linear, half_pixel, 2 to 4:   o: 0 1 2 3   reads: {0} {0,1} {0,1} {1}

    Taps outside are read at the border. Taps of weight zero are not read.

    https://onnx.ai/onnx/operators/onnx__Resize.html
    """
    shape, Y = op.shape(0), op.out()
    rank = len(shape)
    axes = [axis_of(axis, rank) for axis in op.attribute("axes") or range(rank)]
    given = op.static(2)
    if given is not None and given.size:
        scales = [float(v) for v in given]
    else:
        scales = _scales_of_sizes(op, [shape[axis] for axis in axes])
    if not all(np.isfinite(scale) and scale > 0 for scale in scales):
        raise ValueError(f"its scales are {scales}")
    roi = _roi(op, len(axes))
    along: list[AxisRead] = [same(axis) for axis in range(rank)]
    for k, axis in enumerate(axes):
        along[axis] = _along(
            axis,
            _Resampling(
                shape[axis],
                Y[axis],
                scales[k],
                roi[k],
                op.attribute("mode", "nearest"),
                op.attribute("coordinate_transformation_mode", "half_pixel"),
                op.attribute("nearest_mode", "round_prefer_floor"),
                op.attribute("cubic_coeff_a", -0.75),
                bool(op.attribute("exclude_outside", 0)),
                bool(op.attribute("antialias", 0)),
            ),
        )
    return [PerAxis(0, tuple(along))]


@transfer("Resize", since=10, computed=_COMPUTED)
@transfer("Upsample", since=7, computed=_COMPUTED)
def upsample(op: Operation) -> Reads:
    """As Resize with ``asymmetric`` coordinates; nearest rounds down, up where it shrinks.

    Y[o] <- X[taps around o / scale]

    nearest, 2 to 4:   o: 0 1 2 3   reads: {0} {0} {1} {1}

    https://onnx.ai/onnx/operators/onnx__Upsample.html
    """
    shape, Y = op.shape(0), op.out()
    scales = op.attribute("scales")
    if scales is None:
        scales = [float(v) for v in op.constant(1, "scales")]
    along = []
    for axis, scale in enumerate(scales):
        nearest = "ceil" if scale < 1 else "floor"
        mode = op.attribute("mode", "nearest")
        how = _Resampling(
            shape[axis], Y[axis], scale, (0, 1), mode, "asymmetric", nearest, -0.75, False, False
        )
        along.append(_along(axis, how))
    return [PerAxis(0, tuple(along))]


def _scales_of_sizes(op: Operation, shape: list[int]) -> list[float]:
    sizes = [int(v) for v in op.constant(3, "sizes")]
    if 0 in shape:
        raise ValueError("there is nothing to resize")
    pairs = zip(sizes, shape, strict=True)
    scales = [float(np.float32(m) / np.float32(n)) for m, n in pairs]
    policy = op.attribute("keep_aspect_ratio_policy", "stretch")
    if policy == "not_larger":
        return [min(scales)] * len(scales)
    if policy == "not_smaller":
        return [max(scales)] * len(scales)
    return scales


def _roi(op: Operation, count: int) -> list[tuple[float, float]]:
    if op.attribute("coordinate_transformation_mode") != "tf_crop_and_resize":
        return [(0.0, 1.0)] * count
    roi = op.constant(1, "roi")
    return [(float(roi[k]), float(roi[k + count])) for k in range(count)]


def _along(axis: int, how: _Resampling) -> AxisRead:
    """The read of one axis."""
    cropping = how.transformation == "tf_crop_and_resize"
    if how.size == how.outputs and how.scale == 1 and not cropping:
        return same(axis)
    starts, counts = _taps(how, _coordinates(how))
    return Table((axis,), starts, counts, interior=None if cropping else _pattern(axis, how))


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


def _taps(how: _Resampling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First tap and number of taps for every output coordinate at place `x`."""
    n = how.size
    if how.antialias and how.mode != "nearest" and how.scale < 1:
        first, last = _antialiased(how, x)
    elif how.mode == "nearest":
        first = last = np.clip(_nearest(how.nearest, x), 0, n - 1)
    elif how.mode == "linear":
        inside = np.clip(x, 0, n - 1)
        first = np.floor(inside).astype(np.int64)
        last = np.ceil(inside).astype(np.int64)
    elif how.mode == "cubic":
        low = np.floor(x).astype(np.int64)
        whole = low == x
        first, last = np.where(whole, low, low - 1), np.where(whole, low, low + 2)
        first, last = np.clip(first, 0, n - 1), np.clip(last, 0, n - 1)
    else:
        raise Undetermined(f"its mode '{how.mode}' is not known")
    counts = last - first + 1
    if how.transformation == "tf_crop_and_resize":
        counts = np.where((x < 0) | (x > n - 1), 0, counts)
    return first, counts


def _nearest(mode: str, x: np.ndarray) -> np.ndarray:
    if mode in ("floor", "ceil"):
        return np.asarray(np.floor(x) if mode == "floor" else np.ceil(x), dtype=np.int64)
    low = np.floor(x)
    # Runtimes take what rounding has put next to a half for the half that it was.
    half = np.abs(x - low - np.float32(0.5)) < _NEXT_TO_HALF
    up = np.where(half, mode == "round_prefer_ceil", x - low > np.float32(0.5))
    return np.asarray(low + up, dtype=np.int64)


def _antialiased(how: _Resampling, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The taps of the widened filter that have a weight other than zero."""
    a = how.cubic_a
    support = (1 if how.mode == "linear" else 2) / how.scale
    firsts, lasts = [], []
    for place in x.astype(np.float64):
        low, high = floor(place - support + 1), ceil(place + support - 1)
        taps = np.arange(low, high + 1)
        t = np.abs(taps - place) * how.scale
        if how.mode == "linear":
            weights = np.maximum(1 - t, 0)
        else:
            near = ((a + 2) * t - (a + 3)) * t * t + 1
            far = (((t - 5) * t + 8) * t - 4) * a
            weights = np.where(t < 1, near, np.where(t < 2, far, 0))
        used = taps[np.abs(weights) > 1e-6]
        if how.exclude_outside:
            used = used[(used >= 0) & (used < how.size)]
        used = np.clip(used, 0, how.size - 1)
        firsts.append(used.min(initial=how.size - 1))
        lasts.append(used.max(initial=0))
    return np.array(firsts, dtype=np.int64), np.array(lasts, dtype=np.int64)


def _pattern(axis: int, how: _Resampling) -> Along | None:
    """The taps away from the borders, which repeat where the scale is a simple fraction."""
    if how.transformation == "align_corners" or (
        how.transformation == "half_pixel_symmetric" and how.size * how.scale != how.outputs
    ):
        # The ratio, or the offset, changes with the size: no pattern holds for all sizes.
        return None
    if floor(how.size * how.scale) == how.outputs and how.size * how.scale != how.outputs:
        ratio = 1 / Fraction(how.scale).limit_denominator(_LONGEST_PATTERN)
    else:
        ratio = Fraction(how.size, how.outputs)
    period, advance = ratio.denominator, ratio.numerator
    if period > _LONGEST_PATTERN:
        return None
    half = Fraction(1, 2)
    shift = half if "half_pixel" in how.transformation else Fraction(0)
    back = Fraction(0) if how.transformation == "tf_half_pixel_for_nn" else shift
    starts, counts = [], []
    for o in range(period):
        first, last = _exact_taps(how, (o + shift) * ratio - back, ratio)
        starts.append(first)
        counts.append(last - first + 1)
    return Along(axis, tuple(starts), tuple(counts), advance)


def _exact_taps(how: _Resampling, x: Fraction, ratio: Fraction) -> tuple[int, int]:
    half = Fraction(1, 2)
    if how.mode == "nearest":
        if how.nearest == "floor":
            tap = floor(x)
        elif how.nearest == "ceil":
            tap = ceil(x)
        else:
            tap = floor(x + half) if how.nearest == "round_prefer_ceil" else ceil(x - half)
        return tap, tap
    reach = Fraction(1 if how.mode == "linear" else 2)
    if how.antialias and ratio > 1:
        reach *= ratio
    elif x.denominator == 1:
        return int(x), int(x)
    # The filter vanishes at its ends.
    return floor(x - reach) + 1, ceil(x + reach) - 1
