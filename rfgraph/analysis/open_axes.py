"""Sizes for the axes that a model leaves open: which to try, and which near a given one fit.

What an axis is for is told by structure: inputs of whole numbers are tokens, two open axes of an
input of four are a picture, and how many channels there are the first weights say.  Names only say
which axes are of one size, or, as in ``past + sequence``, how one follows from others.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import islice, product
from math import prod

from rfgraph.errors import RFGraphError
from rfgraph.model import element_types
from rfgraph.model.graph import Dim, Graph, Input, Node
from rfgraph.model.sizes import Shape
from rfgraph.shapes.shapes import Shapes

# An input's name, and one of its axes.
Axis = tuple[str, int]

# Sizes to try for an open axis, in turn. The first ones can be halved often, as U-Nets need; later
# ones are the sizes of well-known models.
_PICTURE: tuple[int, ...] = (224, 256, 64, 128, 512, 1024, 32, 16, 8, 4)
_PICTURE += (384, 640, 192, 96, 112, 160, 28, 48, 299, 227, 518, 320, 225, 513, 572, 2, 1)
_VOLUME = (64, 32, 128, 96, 16, 112, 224, 8, 256, 4, 2, 1)
_SAMPLES = (16384, 16000, 65536, 4096, 1024, 512, 256, 128, 64, 32, 16, 8, 4, 2, 1)
_VECTORS = (256, 128, 64, 512, 1024, 3000, 32, 16, 8, 100, 4, 2, 1)
_TOKENS = (64, 32, 128, 16, 256, 512, 8, 77, 4, 2, 1)

# An input with at most this many channels is a recording; one with more is a row of vectors.
_MAX_RECORDED = 2

# How many channels an input has is looked up in at most this many weights of the nodes after it.
_NEAR = 3

# A model is tried at _MOST sizes or fewer: _MOST_NODES divided by its number of nodes, but at least
# _LEAST.
_MOST, _MOST_NODES, _LEAST = 160, 100_000, 12

# What a fitting size may have to be a multiple of.
_MULTIPLES = (*range(2, 17), 20, 24, 28, 32, 40, 48, 56, 64, 96, 112, 128, 224, 256)

# If no multiple fits, sizes up to this far from the given one are tried.
_AROUND = 40


def evaluated(dim: Dim, known: Mapping[str, int]) -> int | None:
    """The size of an axis by the sizes of names; None where one of them is not known.

    Examples
    --------
    >>> evaluated("past + 2 * n", {"past": 3, "n": 4}), evaluated("height", {"n": 4})
    (11, None)
    """
    if not isinstance(dim, str):
        return dim
    if dim in known:
        return known[dim]
    tree = _parsed(dim)
    try:
        return None if tree is None else _value(tree, known)
    except (KeyError, ZeroDivisionError):
        return None


_OPERATORS: dict[type, Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


@lru_cache(maxsize=256)
def _parsed(dim: str) -> ast.expr | None:
    """A sum, difference, product or floored quotient of names and whole numbers; else None."""
    try:
        tree = ast.parse(dim.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree if isinstance(tree, ast.BinOp) and _plain(tree) else None


def _plain(tree: ast.expr) -> bool:
    if isinstance(tree, ast.BinOp):
        return type(tree.op) in _OPERATORS and _plain(tree.left) and _plain(tree.right)
    return isinstance(tree, ast.Name) or (
        isinstance(tree, ast.Constant) and type(tree.value) is int
    )


def _value(tree: ast.expr, known: Mapping[str, int]) -> int:
    if isinstance(tree, ast.BinOp):
        return _OPERATORS[type(tree.op)](_value(tree.left, known), _value(tree.right, known))
    if isinstance(tree, ast.Name):
        return known[tree.id]
    assert isinstance(tree, ast.Constant)
    assert isinstance(tree.value, int)
    return tree.value


# ---------------------------------------------------------------- guesses


class OpenAxes:
    """The open axes of a model's inputs, those of one size together.

    Parameters
    ----------
    graph : Graph
        The model.
    sizes : mapping of str to shape
        The shapes of its inputs, of any size where an axis is open.
    axes : list of Axis
        The open ones.
    """

    def __init__(self, graph: Graph, sizes: Mapping[str, Shape], axes: Sequence[Axis]) -> None:
        self._graph = graph
        self._sizes = sizes
        self._inputs = {i.name: i for i in graph.inputs}
        self._groups: dict[object, list[Axis]] = {}
        self._sums: dict[Axis, str] = {}
        open_names = {self._dim(where) for where in axes}
        for where in axes:
            dim = self._dim(where)
            tree = _parsed(dim) if isinstance(dim, str) else None
            names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} if tree else set()
            if names and names <= open_names:
                self._sums[where] = str(dim)
            else:
                self._groups.setdefault(self._key(where), []).append(where)
        self._tokens = any(self._is_tokens(self._inputs[name]) for name, _ in axes)

    def guesses(self, *, batch_first: bool = True) -> Iterator[dict[Axis, int]]:
        """Sizes for all open axes, the likeliest first.

        Parameters
        ----------
        batch_first : bool
            Whether inputs are likely to begin with the samples of a batch, and not with time.
        """
        ones = [self.batch, self._second(), set()]
        seen: set[tuple[int, ...]] = set()
        for batch in ones if batch_first else ones[1:]:
            for guess in self._guesses(batch):
                made = tuple(guess[key] for key in self._groups)
                if made not in seen:
                    seen.add(made)
                    yield self._written(guess)
                if len(seen) == tries(self._graph):
                    return

    def _guesses(self, batch: set[object]) -> Iterator[dict[object, int]]:
        """Sizes for all groups, where those of the batch have one sample."""
        for roles in self._roles(batch):
            scales = [
                {key: self._scale(key, role) for key in self._groups if key not in batch}
                for role in roles
            ]
            for k in range(max((len(s) for scale in scales for s in scale.values()), default=1)):
                for role, scale in zip(roles, scales, strict=True):
                    even = {key: sizes[min(k, len(sizes) - 1)] for key, sizes in scale.items()}
                    even |= dict.fromkeys(batch, 1) | role
                    yield even
                    # One of several axes of tokens may be as long as two others together.
                    tokens = [key for key in scale if key not in role and scale[key] == _TOKENS]
                    for key in tokens if len(tokens) > 1 else ():
                        yield even | {key: 2 * even[key]}

    @cached_property
    def batch(self) -> set[object]:
        """The groups that inputs begin with, and that stand behind no other: none if inputs have
        one axis each.
        """
        if all(len(shape) < 2 for shape in self._sizes.values()):
            return set()
        return {
            key
            for key, axes in self._groups.items()
            if any(a == 0 for _, a in axes)
            and not any(a > 0 and self._group((name, 0)) is not None for name, a in axes)
        }

    @property
    def samples(self) -> list[Axis]:
        """The axes along which a batch has its samples."""
        return [where for key in self.batch for where in self._groups[key]]

    def _second(self) -> set[object]:
        """The groups behind those of the batch: they are it where inputs begin with time."""
        return {
            key
            for key, axes in self._groups.items()
            if any(a == 1 and self._group((name, 0)) in self.batch for name, a in axes)
        }

    @cached_property
    def _maybe_time(self) -> list[tuple[Axis, Axis | None]]:
        """The axes of a batch that may be time, and those behind them that would be the batch."""
        found: list[tuple[Axis, Axis | None]] = []
        for key in self.batch:
            named = str(key).lower().startswith("batch") or key == "N"
            for name, axis in self._groups[key]:
                rank = len(self._sizes[name])
                if axis == 0 and rank <= 3 and not named:
                    behind = rank > 1 and self._group((name, 1)) is not None
                    found.append(((name, 0), (name, 1) if behind else None))
        return found

    @property
    def maybe_time(self) -> list[Axis]:
        """The axes that say whether a batch is none, but time."""
        return [where for pair in self._maybe_time for where in pair if where is not None]

    def begins_with_time(self, crossed: Collection[Axis]) -> bool:
        """Whether a batch that is read across is none, but time.

        Parameters
        ----------
        crossed : collection of Axis
            Those of `maybe_time` that are read across, at a batch of several samples.
        """
        return any(first in crossed and second not in crossed for first, second in self._maybe_time)

    def _roles(self, batch: set[object]) -> Iterator[list[dict[object, int]]]:
        """Which groups may be channels, and how many: what is likely, then what is possible."""
        likely: list[list[tuple[object, int]]] = []
        possible: list[list[tuple[object, int]]] = []
        for given in self._inputs.values():
            rank = len(given.dims or ())
            beyond = [a for a in range(1, rank) if self._group((given.name, a)) is not None]
            if not beyond or self._is_tokens(given):
                continue
            ends = {self._group((given.name, a)): None for a in (1, rank - 1)}
            ends = {key: None for key in ends if key is not None and key not in batch}
            counts = self._channels(given.name) if ends else []
            found = [(key, count) for key in ends for count in counts]
            # Channels are fixed, or everything is open, or nothing else is.
            fixed = rank - 1 - len(beyond)
            open_channels = rank > 2 and (not fixed or (fixed > 1 and len(beyond) == 1))
            likely.append([*found, (None, 0)] if open_channels else [(None, 0)])
            possible.append([(None, 0), *found])
        for layouts in (likely, possible):
            yield [
                {key: count for key, count in combined if key is not None}
                for combined in islice(product(*layouts), _MOST)
            ]

    @cached_property
    def _shapes(self) -> Shapes:
        return Shapes(self._graph, self._sizes)

    def _tell(self, node: Node) -> None:
        """Learn the shapes of what is made of weights; what is wrong with it is told later."""
        with suppress(RFGraphError):
            self._shapes.walk([node])

    def _channels(self, name: str) -> list[int]:
        """Of how many channels an input may be, by the first weights behind it."""
        graph, shapes = self._graph, self._shapes
        live = {i.name for i in graph.inputs}
        reached, near = {name}, []
        for node in graph.nodes:
            inputs = {*node.inputs, *node.captures} - {""}
            if reached & inputs:
                fixed = (shapes.shape(n) for n in node.inputs if n and n not in live)
                near += [shape for shape in fixed if shape is not None and len(shape) > 1]
                reached.update(node.outputs)
            if live & inputs:
                live.update(node.outputs)
            elif not node.kind.holds_graphs:
                self._tell(node)
            if len(near) >= _NEAR:
                break
        found = dict.fromkeys(size for shape in near for size in sorted(shape) if size > 1)
        return [*found, 1] if near else [3, 1]

    def _scale(self, key: object, role: Mapping[object, int]) -> tuple[int, ...]:
        """The sizes to try for a group, by the kind of input that it stands in."""
        scales = [self._scale_in(self._inputs[name], role) for name, _ in self._groups[key]]
        return _TOKENS if _TOKENS in scales else scales[0]

    def _scale_in(self, given: Input, role: Mapping[object, int]) -> tuple[int, ...]:
        dims = given.dims or ()
        if self._is_tokens(given):
            return _TOKENS
        beyond = [a for a in range(1, len(dims)) if not isinstance(dims[a], int)]
        if len(dims) >= 4 and (len(beyond) > 1 or not self._tokens):
            return _PICTURE if len(dims) == 4 else _VOLUME
        if self._tokens:
            return _TOKENS
        counts = [d for d in dims[1:] if isinstance(d, int)]
        counts += [role.get(self._group((given.name, a)), 1) for a in beyond]
        return _SAMPLES if prod(counts) <= _MAX_RECORDED else _VECTORS

    def _is_tokens(self, given: Input) -> bool:
        """Whether an input is of whole numbers, and no picture."""
        if given.element_type == element_types.STRING:
            return True
        try:
            kind = element_types.dtype_of(given.element_type).kind
        except KeyError:
            return False
        return kind in "iub" and len(given.dims or ()) <= 3

    def _dim(self, where: Axis) -> Dim:
        name, axis = where
        return (self._inputs[name].dims or ())[axis]

    def _key(self, where: Axis) -> object:
        """What axes of one size have in common: their name, else that their inputs are alike."""
        dim = self._dim(where)
        if dim is not None:
            return dim
        given = self._inputs[where[0]]
        return given.element_type, given.dims, where[1]

    def _group(self, where: Axis) -> object | None:
        key = self._key(where)
        return key if where in self._groups.get(key, ()) else None

    def _written(self, guess: Mapping[object, int]) -> dict[Axis, int]:
        """The sizes of a guess, axis by axis."""
        known = {key: size for key, size in guess.items() if isinstance(key, str)}
        sizes = {}
        for key, axes in self._groups.items():
            # An axis such as '8*h' has a size that it can have.
            size = _attainable(key, guess[key]) if isinstance(key, str) else guess[key]
            sizes.update(dict.fromkeys(axes, size))
        for where, total in self._sums.items():
            sizes[where] = max(evaluated(total, known) or 0, 1)
        return sizes


def _attainable(dim: str, size: int) -> int:
    """The largest size up to `size` that an axis has whose size follows from one that no axis has.

    ``8*h`` is a multiple of 8.
    """
    tree = _parsed(dim)
    names = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name)} if tree else set()
    if tree is None or len(names) != 1:
        return size
    (name,) = names
    found = (evaluated(dim, {name: n}) or 0 for n in range(1, size + 1))
    return max((n for n in found if 0 < n <= size), default=size)


def tries(graph: Graph) -> int:
    """At how many sizes a model is tried."""
    return max(_LEAST, min(_MOST, _MOST_NODES // max(len(graph.nodes), 1)))


# ---------------------------------------------------------------- sizes that fit


def fitting(
    sizes: Mapping[str, Shape],
    groups: Sequence[Sequence[Axis]],
    fits: Callable[[Mapping[str, Shape]], bool],
    most: int,
) -> tuple[dict[str, Shape], int] | None:
    """Sizes near those given that a model takes.

    Parameters
    ----------
    sizes : mapping of str to shape
        The shapes of the inputs, which it does not take.
    groups : sequence of sequence of Axis
        The axes that may have another size; those of one size together.
    fits : callable
        Whether the model takes some shapes.
    most : int
        So often it is asked.

    Returns
    -------
    sizes, multiple : tuple, or None
        Shapes that fit, and what the axes that differ are to be multiples of; 1 if nothing is
        known of that.

    Examples
    --------
    >>> def even(sizes):
    ...     return sizes["x"][1] % 2 == 0
    >>> fitting({"x": (1, 7)}, [[("x", 1)]], even, 50)
    ({'x': (1, 8)}, 2)
    """
    left = most

    def takes(changed: Mapping[str, Shape]) -> bool:
        nonlocal left
        left -= 1
        return left >= 0 and fits(changed)

    runs = [groups[i : i + n] for n in (1, 2, 3) for i in range(len(groups) - n + 1)]
    for multiple in _MULTIPLES:
        for run in runs:
            chosen = [where for group in run for where in group]
            up = {(name, a): -sizes[name][a] % multiple for name, a in chosen}
            # Of two neighbours that fit what is to be divided by divides the difference.
            found = _grown(sizes, up)
            if (
                found != sizes
                and takes(found)
                and takes(_grown(found, dict.fromkeys(chosen, multiple)))
            ):
                beside = takes(_grown(found, dict.fromkeys(chosen, 1)))
                return found, 1 if beside else multiple
    for distance in range(1, _AROUND):
        for run in runs:
            chosen = [where for group in run for where in group]
            for by in (-distance, distance):
                found = _grown(sizes, dict.fromkeys(chosen, by))
                if min(map(min, found.values())) > 0 and takes(found):
                    return found, 1
    return None


def _grown(sizes: Mapping[str, Shape], by: Mapping[Axis, int]) -> dict[str, Shape]:
    return {
        name: tuple(size + by.get((name, axis), 0) for axis, size in enumerate(shape))
        for name, shape in sizes.items()
    }
