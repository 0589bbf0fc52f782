"""Registration and lookup of transfers, and what a transfer sees of its node."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from operator import index
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np

from rfgraph.errors import RFGraphError, TransferError
from rfgraph.model.graph import NCHWC, Kind, Node, forget_kinds
from rfgraph.model.inference import referred
from rfgraph.model.signatures import signature
from rfgraph.model.sizes import Sized, UnknownSizeError, all_known, is_unknown
from rfgraph.model.values import Values
from rfgraph.model.weights import Tensor
from rfgraph.ops.families import FAMILIES
from rfgraph.ops.rounding import Rounding
from rfgraph.ops.shaping import Applied, AxisCut, Growth, ShapeRule
from rfgraph.reads.words import Read, Shape

if TYPE_CHECKING:
    from rfgraph.prune.facts import Fact, Knowledge
    from rfgraph.prune.passing import Passing

T = TypeVar("T")

# The reads of an element: one list for all outputs, or a tuple of one list an output.
Reads: TypeAlias = "list[Read] | tuple[list[Read], ...]"
Transfer: TypeAlias = "Callable[[Operation], Reads]"
# The shape of the output, or of each output; None for a size that the data decide.
ShapeFunction: TypeAlias = "Callable[[Operation], Sized | Sequence[Sized | None] | None]"


# What an operation is asked, and about which input; None: about the node as a whole.
Question: TypeAlias = "tuple[str, int | None]"

# Static values of up to this many bytes are compared by content, larger ones by a digest of it, and
# those beyond _MAX_HASHED by name.
_MAX_COMPARED = 1 << 12
_MAX_HASHED = 1 << 20

# What a note is about, see `rfgraph.engine.trace.Note`.
NoteKind: TypeAlias = Literal[
    "unknown", "computed", "shape", "coarse", "mask", "runtime", "size", "merge"
]


class Undetermined(Exception):  # noqa: N818 - an answer, not an error: it never leaves rfgraph
    """Raised by a transfer that can't tell what it reads; the message says why.

    Raised for the shape of an output, the shape is not known.
    """


class Computed(Undetermined):
    """`Undetermined`, as the data decide it."""


class Unsized(Undetermined):
    """`Undetermined`, as a shape or a size is not known."""


class Nonsense(ValueError):  # noqa: N818 - what a transfer answers, told by `blamed`
    """An answer of a transfer that can't be used."""


class Operation:
    """A node as its transfer sees it: attributes, shapes and static values.

    Inputs and outputs are counted as in the operator's specification, from 0.

    Parameters
    ----------
    node : Node
        The node.
    names : sequence of str
        Its inputs, and after them what its subgraphs capture.
    shapes : Values
        Shapes and static values.
    live : set of str
        Values that depend on an input of the model.
    knowledge : Knowledge, optional
        Facts about values by which reads are cut; None: nothing is cut.
    told : dict, optional
        Where it writes down what it is asked beyond the node's kind, the shapes and which values
        are live, and what it tells; see `tell`. None: nowhere.
    """

    __slots__ = ("_knowledge", "_live", "_names", "_node", "_shapes", "_told", "notes")

    def __init__(
        self,
        node: Node,
        names: Sequence[str],
        shapes: Values,
        live: set[str],
        knowledge: Knowledge | None = None,
        told: dict[Question, Hashable] | None = None,
    ) -> None:
        self._knowledge = knowledge
        self._node = node
        self._names = names
        self._shapes = shapes
        self._live = live
        self._told = told
        self.notes: dict[str, NoteKind] = {}

    @property
    def node(self) -> Node:
        """The node itself: an answer that rests on it is not shared with other nodes."""
        self._which()
        return self._node

    @property
    def names(self) -> Sequence[str]:
        """Names of the inputs and captures: an answer that rests on them is not shared either."""
        self._which()
        return self._names

    @property
    def file(self) -> str | None:
        """The model's path."""
        return self._shapes.graph.file

    @property
    def op_type(self) -> str:
        """The operator's type."""
        return self._node.op_type

    @property
    def domain(self) -> str:
        """The operator's domain; ``""`` for ONNX's own."""
        return self._node.domain

    @property
    def version(self) -> int:
        """Operator-set version that the node is read by."""
        return self._node.version

    @property
    def inputs(self) -> range:
        """The positions of the inputs that are given."""
        return range(len(self._node.inputs))

    @property
    def sources(self) -> range:
        """The positions of the inputs, and after them of what the node's subgraphs capture."""
        return range(len(self._names))

    @property
    def outputs(self) -> range:
        """The positions of the outputs."""
        return range(len(self._node.outputs))

    def attribute(self, name: str, default: Any = None) -> Any:
        """Value of an attribute.

        Parameters
        ----------
        name : str
            The attribute, as the specification calls it.
        default : object, optional
            What is returned where the node does not have it.

        Returns
        -------
        int, float, str, list or a message of ONNX
            The value.
        """
        value = self._node.attributes.get(name, default)
        return value.proto if isinstance(value, Tensor) else value

    def has(self, k: int) -> bool:
        """Whether an input is given.

        Parameters
        ----------
        k : int
            Its position among the inputs, from 0.

        Returns
        -------
        bool
            Optional inputs may be left out.
        """
        return k < len(self._names) and bool(self._names[k])

    def made(self, k: int) -> bool:
        """Whether an output is asked for.

        Parameters
        ----------
        k : int
            Its position among the outputs, from 0.

        Returns
        -------
        bool
            Optional outputs may be left out.
        """
        return k < len(self._node.outputs) and bool(self._node.outputs[k])

    def live(self, k: int) -> bool:
        """Whether an input is given and depends on an input of the model.

        Parameters
        ----------
        k : int
            Its position among the inputs, from 0.

        Returns
        -------
        bool
            Of others no read has to be told.
        """
        if k >= len(self._names) or self._names[k] not in self._live:
            return False
        # Of a shape that the data decide in part, other parts may be static.
        return not self._shapes.unsized or self.static(k) is None

    def shape(self, k: int = 0) -> Shape:
        """Shape of an input.

        Parameters
        ----------
        k : int
            Its position among the inputs, from 0.

        Returns
        -------
        tuple of int or UnknownSize
            One size an axis; an `UnknownSize` is one that the data decide.

        Raises
        ------
        Undetermined
            It is not known; the transfer then leaves it to the caller to assume everything.
        """
        shape = self._shapes.shape(self._names[k]) if self.has(k) else None
        if shape is None:
            raise Unsized(f"the shape of its input {k} is not known")
        return shape

    def out(self, k: int = 0) -> Shape:
        """Shape of an output.

        Parameters
        ----------
        k : int
            Its position among the outputs, from 0.

        Returns
        -------
        tuple of int or UnknownSize
            As `shape`.

        Raises
        ------
        Undetermined
            It is not known.
        """
        shape = self._shapes.shape(self._node.outputs[k])
        if shape is None:
            raise Unsized(f"the shape of its output {k} is not known")
        return shape

    def static(self, k: int) -> np.ndarray | None:
        """An input that is given and does not depend on the data.

        Parameters
        ----------
        k : int
            Its position among the inputs, from 0.

        Returns
        -------
        ndarray or None
            Its elements; None if it depends on the data, or is not given.
        """
        if not self.has(k):
            return None
        value = self._shapes.static(self._names[k])
        if self._told is not None:
            self._told["static", k] = _comparable(value, self._names[k])
        return value

    def constant(self, k: int, what: str) -> np.ndarray:
        """An input that must not depend on the data.

        Parameters
        ----------
        k : int
            Its position among the inputs, from 0.
        what : str
            Its name in the specification, for the note.

        Returns
        -------
        ndarray
            Its elements.

        Raises
        ------
        Undetermined
            It depends on the data.
        """
        value = self.static(k)
        if value is None:
            raise Computed(f"its '{what}' is computed from the data")
        return value

    def integers(self, k: int, name: str, default: list[int] | None = None) -> list[int] | None:
        """Integers that are input `k` or, in older versions of the operator, attribute `name`."""
        if self.has(k):
            return [int(v) for v in self.constant(k, name).reshape(-1)]
        value = self.attribute(name)
        return default if value is None else [int(v) for v in value]

    def element_type(self, k: int = 0) -> int:
        """``TensorProto.DataType`` of input `k`."""
        kind = self._shapes.element_type(self._names[k])
        if self._told is not None:
            self._told["element_type", k] = kind
        return kind

    def in_blocks(self, k: int) -> bool:
        """Whether a runtime has put the channels of input `k`, or of what it is made from, into
        blocks: see `rfgraph.model.graph.Graph`.
        """
        if NCHWC not in self._node.opsets:
            return False
        found = self._names[k] in self._shapes.graph.in_blocks
        if self._told is not None:
            self._told["in_blocks", k] = found
        return found

    def sizes(self, k: int) -> Shape | None:
        """Input `k`, a shape, with unknown sizes where the data decide; None if nothing is known of
        it.
        """
        sizes = self._shapes.sizes(self._names[k])
        if self._told is not None:
            self._told["sizes", k] = sizes
        return sizes

    @property
    def prune(self) -> bool:
        """Whether constants cut reads."""
        if self._told is not None:
            self._told["prune", None] = self._knowledge is not None
        return self._knowledge is not None

    def known(self, k: int) -> Fact | None:
        """What is known of the elements of input `k`, if constants cut reads."""
        if not self.prune or not self.has(k) or self.unsized:
            return None
        return self._fact("known", k)

    def zeros(self, k: int) -> np.ndarray | None:
        """The elements of input `k` that are exactly 0 whatever the data are: bool, of length 1
        along axes on which that does not vary. None if there is none, or if nothing is cut.
        """
        if not self.prune or not self.has(k) or self.unsized:
            return None
        fact = self._fact("zeros", k)
        return None if fact is None else fact.zeros

    def _fact(self, asked: str, k: int) -> Fact | None:
        """What is known of input `k`; of constants it is written down, or that they have zeros."""
        assert self._knowledge is not None
        name = self._names[k]
        fact = self._knowledge.learnt(name)
        if fact is not None or name in self._live:
            # Of what was learnt it is part of every question.
            return fact
        fact = self._knowledge.of(name) if asked == "known" else self._knowledge.cutting(name)
        if self._told is not None:
            told = None
            if fact is not None:
                told = fact.told.get(asked)
                if told is None:
                    value = fact.value if asked == "known" else fact.zeros
                    told = fact.told[asked] = _comparable(value, name)
            self._told[asked, k] = told
        return fact

    def is_zero_point(self, k: int, stored: int) -> bool:
        """Whether input `k` is the zero point of input `stored`: it is of the same type."""
        return self.has(k) and self.element_type(k) == self.element_type(stored)

    def stored_zeros(self, k: int, zero_point: int | None, axis: int = -1) -> np.ndarray | None:
        """As `zeros`, of a quantised input: where it equals its zero point, one for all or a
        vector along `axis`.
        """
        stored = self.static(k) if self.prune else None
        if stored is None or not stored.ndim or stored.dtype.kind not in "iu":
            return None
        zero: np.ndarray | None = np.zeros((), stored.dtype)
        if zero_point is not None and self.has(zero_point):
            zero = self.static(zero_point)
        if zero is None or zero.dtype != stored.dtype:
            return None
        if zero.ndim == 1 and zero.size > 1:
            dims = [1] * stored.ndim
            dims[axis] = zero.size
            zero = zero.reshape(dims)
        elif zero.size > 1 and zero.ndim != stored.ndim:
            return None
        else:
            zero = zero.reshape(zero.shape if zero.size > 1 else ())
        found = stored == zero
        return found if found.any() else None

    @property
    def unsized(self) -> bool:
        """Whether the data decide a size of an input or an output."""
        if not self._shapes.unsized:
            return False
        shapes = map(self._shapes.shape, (*self._names, *self._node.outputs))
        return not all(shape is None or all_known(shape) for shape in shapes)

    def once(self, what: Hashable, make: Callable[[], T]) -> T:
        """What `make` returns; it is called once for all nodes that ask for the same."""
        return make() if self._knowledge is None else self._knowledge.once(what, (), make)

    def has_sizes_of_its_own(self, k: int) -> bool:
        """Whether input `k`, a shape, is made of numbers and of sizes of input 0 alone."""
        given = self.sizes(k)
        return given is not None and all(not is_unknown(n) or n in self.shape(0) for n in given)

    def note(self, reason: str, kind: NoteKind = "computed") -> None:
        """Say what is assumed: it becomes a note of the analysis.

        Parameters
        ----------
        reason : str
            What is assumed, and why.
        kind : str, optional
            As in `rfgraph.Note`.
        """
        self.notes.setdefault(reason, kind)

    def tell(self, question: Question) -> Hashable:
        """The answer to a question that was asked of another node of the same kind, shapes and
        live values: if all answers are the same, so are the reads.
        """
        asked, k = question
        assert self._told is not None
        if asked == "prune":
            return self.prune
        if k is None:
            self._which()
        else:
            getattr(self, asked)(k)
        return self._told[question]

    def _which(self) -> None:
        """Write down that it is asked which node it is."""
        if self._told is not None:
            self._told["node", None] = self._node


class Digest(NamedTuple):
    """What tells a large array from others.

    Attributes
    ----------
    dtype : str
        Its type.
    shape : tuple of int
        Its shape.
    content : bytes
        A digest of its elements.
    """

    dtype: str
    shape: Shape
    content: bytes


def _comparable(value: np.ndarray | None, name: str) -> Hashable:
    """What tells a static value from others: of a very large one that is its name."""
    if value is None:
        return None
    kind, shape = value.dtype.str, value.shape
    if value.dtype == np.bool_ and value.nbytes > _MAX_COMPARED:
        value = np.packbits(value)
    if value.nbytes > _MAX_HASHED or value.dtype.hasobject:
        return name
    if value.nbytes <= _MAX_COMPARED:
        return kind, shape, value.tobytes()
    # Imported where there are large values: OpenSSL takes its time.
    from hashlib import blake2b

    return Digest(kind, shape, blake2b(value.tobytes()).digest())


def axis_of(axis: int, rank: int) -> int:
    """An axis, which may count from the end, as a number from 0 on.

    >>> axis_of(-1, 4)
    3
    """
    if not -rank <= axis < rank:
        raise ValueError(f"there is no axis {axis} among {rank} axes")
    return int(axis) % rank


@dataclass(frozen=True, slots=True)
class Rule:
    """What is registered for an operator.

    Attributes
    ----------
    since : int
        Operator-set version since which it holds.
    transfer : callable
        Node in, reads out.
    shape : callable or None
        Shapes of the outputs, for an operator that ONNX's own inference doesn't know.
    like : int
        The input whose element type the outputs then have.
    conservative : str
        Why its reads can't be exact, if so.
    computed : str
        What is assumed where an input that steers the reads is computed from the data.
    place : str
        Where the transfer is written; ``""`` for rfgraph's own.
    module : str
        The module that registers it.
    """

    since: int
    transfer: Transfer
    shape: ShapeFunction | None = None
    like: int = 0
    conservative: str = ""
    computed: str = ""
    place: str = ""
    module: str = ""

    @property
    def own(self) -> bool:
        """Whether it is rfgraph's own."""
        return not self.place


class Windows(NamedTuple):
    """Windows over the axes of input 0 behind the second, with attributes as those of Conv.

    Attributes
    ----------
    padding : callable
        The number that an operation's windows see where ``pads`` are; None if that is none.
    transposed : bool
        Whether each input element has a window of outputs.
    is_mean : callable
        Whether an operation makes of a window the mean of what is no padding.
    """

    padding: Callable[[Operation], float | None]
    transposed: bool = False
    is_mean: Callable[[Operation], bool] = lambda _: False


class Traits(NamedTuple):
    """What is known of an operator at every version of it, beside what it reads.

    Attributes
    ----------
    shape : ShapeRule or None
        How the shapes of the outputs follow; None: as ONNX's own inference says.
    value : callable or None
        The outputs of a kind of node whose inputs are known, or the only one; what it raises means
        that ONNX's reference implementation is asked.
    facts : Passing or None
        How what is known of its inputs passes to its outputs; None: not at all.
    is_random : bool
        Whether its outputs are no function of its inputs.
    by_place : tuple of int
        The outputs whose elements depend on where they are, beside what they read.
    is_constant : bool
        Whether its output is an attribute.
    filling : callable or None
        The number that all elements of the output of a kind of node are, whatever its inputs are;
        what it raises means that `value` is asked.
    measured : callable or None
        The output of a node by the shape of its input, if that is all that counts: a shape or one
        size.
    growth : callable or None
        How many elements an output has that can be huge though the inputs are small.
    differs : callable or None
        Whether the reference implementation gives kinds of nodes other outputs than runtimes do.
    told : callable or None
        The shape of the output of a node by the shape of input 0 and by the last input, which says
        it, where sizes in these are open.
    cut : AxisCut or None
        Where it cuts, pads or resizes axes.
    rounding : callable or None
        What the order of its sums rests on, of a node and the axes of its output along which sizes
        differ; None: not measured, unless its elements are moved or made one by one.
    streamed : str
        What a model on a stream has in its place, where it takes a whole axis.
    windows : Windows or None
        What its windows over input 0 see beyond the ends, if it has any.
    carried : tuple of (int, int)
        Inputs with a state before the first step, and the outputs with the same behind the last.
    is_running : bool
        Whether it makes running totals, in which what is summed up so far counts as one element.
    """

    shape: ShapeRule | None = None
    value: Callable[[Kind, Sequence[Any]], Any] | None = None
    facts: Passing | None = None
    is_random: bool = False
    by_place: tuple[int, ...] = ()
    is_constant: bool = False
    filling: Callable[[Kind], np.ndarray] | None = None
    measured: Callable[[Node, Shape], Shape | int] | None = None
    growth: Growth | None = None
    differs: Callable[[Kind], bool] | None = None
    told: Callable[[Node, Shape | None, Shape], Sized | None] | None = None
    cut: AxisCut | None = None
    rounding: Callable[[Operation, Collection[int]], Rounding] | None = None
    streamed: str = ""
    windows: Windows | None = None
    carried: tuple[tuple[int, int], ...] = ()
    is_running: bool = False


# The folder and the package of rfgraph's own transfers: others are those of users.
_PACKAGE = str(Path(__file__).parent)
_FAMILY = f"{__name__.rpartition('.')[0]}."

_RULES: dict[tuple[str, str], list[Rule]] = {}
_TRAITS: dict[tuple[str, str], Traits] = {}
_NO_TRAITS = Traits()

# The family of each operator whose family has not been imported yet.
_HOMES = {
    (domain, op_type): family
    for family, domains in FAMILIES.items()
    for domain, op_types in domains.items()
    for op_type in op_types.split()
}


def _rules(domain: str, op_type: str) -> list[Rule]:
    """What is registered for an operator, its family's own included."""
    operator = domain, op_type
    home = _HOMES.get(operator)
    if home is not None:
        import_module(_FAMILY + home)
        # Only now: another thread has to wait for the module too.
        _HOMES.pop(operator, None)
    return _RULES.get(operator, [])


def transfer(
    op_type: str,
    *,
    since: int = 1,
    domain: str = "",
    shape: ShapeFunction | None = None,
    like: int = 0,
    conservative: str = "",
    computed: str = "",
    replace: bool = False,
) -> Callable[[Transfer], Transfer]:
    """Register the decorated function as the transfer of an operator.

    It holds for every model that is analysed from then on in this process.

    Parameters
    ----------
    op_type : str
        The operator.
    since : int
        Operator-set version since which the transfer holds.
    domain : str
        The operator's domain; ``""`` for ONNX's own.
    shape : callable, optional
        For an operator that ONNX's own shape inference doesn't know: takes the `Operation` and
        returns the shape of its output, or a list with one shape an output. None stands for a
        size that depends on the data, or for a shape that does altogether.
    like : int, optional
        With `shape`: the input whose element type the outputs have.
    conservative : str, optional
        Why the reads can't be exact, for an operator of which that is so.
    computed : str, optional
        What is assumed where an input that steers the reads is computed from the data.
    replace : bool, optional
        Whether it takes the place of all that is registered for the operator from `since` on.
        A function that is defined anew, as in a notebook, takes its own place in any case.

    Returns
    -------
    callable
        The decorator; it returns the function unchanged.

    Raises
    ------
    ValueError
        Without `replace`, the operator is one of rfgraph's own, or another transfer of the same
        `since` is registered.

    Examples
    --------
    >>> from rfgraph.reads import PerAxis, same, window
    >>> @transfer("Smooth", domain="my.domain", shape=lambda op: op.shape(0))
    ... def smooth(op):
    ...     *others, last = range(len(op.shape(0)))
    ...     return [PerAxis(0, (*map(same, others), window(last, 5, 1, 1, 2)))]
    """
    if not isinstance(op_type, str):
        raise TypeError('transfer takes the name of an operator: @transfer("Name", ...)')
    domain = "" if domain == "ai.onnx" else domain
    module = sys._getframe(1).f_globals.get("__name__", "")

    def register(function: Transfer) -> Transfer:
        place = _place(function)
        rule = Rule(since, function, shape, like, conservative, computed, place, module)
        # A family registers whatever the table of families, which is made from that, says.
        inside = module.startswith(_FAMILY)
        kept = []
        for other in _RULES.get((domain, op_type), []) if inside else _rules(domain, op_type):
            if replace and other.since >= since:
                continue
            if other.since == since and _called(other.transfer) == _called(function):
                continue
            if not replace and (other.since == since or (other.own and not rule.own)):
                raise ValueError(
                    f"{'.'.join(filter(None, (domain, op_type)))} already has a transfer, "
                    f"{other.place or 'one of rfgraph itself'}: replace it with replace=True"
                )
            kept.append(other)
        _RULES[domain, op_type] = sorted([*kept, rule], key=lambda entry: entry.since)
        if not rule.own:
            forget_kinds()
        return function

    return register


def describe(op_types: str, *, domain: str = "", **traits: Any) -> None:
    """Register what is known of operators beside what they read: fields of `Traits`.

    Parameters
    ----------
    op_types : str
        Their names, with blanks between.
    domain : str
        Their domain.
    **traits
        What is to be set; what was set before stays.
    """
    for op_type in op_types.split():
        key = domain, op_type
        _TRAITS[key] = _TRAITS.get(key, _NO_TRAITS)._replace(**traits)


def traits_of(domain: str, op_type: str) -> Traits:
    """What is known of an operator beside what it reads."""
    operator = domain, op_type
    if operator in _HOMES:
        _rules(domain, op_type)
    return _TRAITS.get(operator, _NO_TRAITS)


def shape_rule_of(kind: Kind) -> Applied | None:
    """The rule for the shapes of nodes of a kind, which are as ONNX defines the operator; None if
    it has none.
    """
    if kind.rule is NotImplemented:
        kind.rule = _shape_rule_of(kind)
    found: Applied | None = kind.rule
    return found


def _shape_rule_of(kind: Kind) -> Applied | None:
    rule = traits_of(kind.domain, kind.op_type).shape
    if rule is None:
        return None
    known = signature(kind.domain, kind.op_type, kind.version)
    instead = rule.instead is not None and rule.instead(kind)
    if not instead:
        if known is None or kind.fault:
            return None
        # What inference says of attributes that an operator doesn't have is not for a rule to tell.
        if not kind.attributes.keys() <= known.attributes.keys():
            return None
    elements = [(0, 0) if known is None else known.element(k) for k in range(kind.outputs)]
    return Applied(rule, instead, elements)


def evaluate(kind: Kind, inputs: Sequence[Any]) -> Sequence[Any]:
    """The outputs of a node whose inputs are known.

    Parameters
    ----------
    kind : Kind
        What the node is.
    inputs : sequence of array or None
        Its inputs; None for one that is left out.
    """
    value = traits_of(kind.domain, kind.op_type).value
    if value is not None:
        try:
            found = value(kind, inputs)
        except MemoryError:
            raise
        except Exception:
            # What is unusual, and what does not fit, is the reference's.
            return referred(kind, inputs)
        return found if isinstance(found, list) else [found]
    return referred(kind, inputs)


def _called(function: Transfer) -> tuple[str, str]:
    """The module and the name of a function: what is defined anew has the same."""
    kind = type(function)
    module = getattr(function, "__module__", kind.__module__)
    return module, getattr(function, "__qualname__", kind.__qualname__)


def _place(function: Transfer) -> str:
    """Name, file and line of a function that is not rfgraph's own, else ``""``."""
    code = getattr(function, "__code__", None)
    if code is None:
        return _called(function)[1]
    if code.co_filename.startswith(_PACKAGE):
        return ""
    return f"{function.__name__} ({Path(code.co_filename).name}, line {code.co_firstlineno})"


def rules() -> dict[tuple[str, str], list[Rule]]:
    """What is registered until now, by domain and operator: not to be changed. The list of an
    operator is another one as soon as anything else is registered for it.
    """
    return _RULES


def lookup_rule(domain: str, op_type: str, version: int) -> Rule | None:
    """What holds for an operator at an operator-set version; None if it is not known."""
    found = None
    for rule in _rules(domain, op_type):
        if rule.since <= version:
            found = rule
    return found


def output_shapes(
    node: Node, shapes: Values, told: dict[Question, Hashable]
) -> list[tuple[int, Sized | None]] | None:
    """Element type and shape of each output by the registered rule; None if there is none.

    An operator whose shapes can't be told gets an empty list. What is asked beyond the node's kind
    and the shapes is written down in `told`.

    Raises
    ------
    TransferError
        A `shape` that is not rfgraph's own fails.
    """
    rule = lookup_rule(node.domain, node.op_type, node.version)
    if rule is None or rule.shape is None:
        return None
    operation = Operation(node, node.inputs, shapes, set(), None, told)
    try:
        made = rule.shape(operation)
        kind = operation.element_type(rule.like) if operation.has(rule.like) else 0
        several = by_output(made, len(node.outputs))
        if not rule.own and not all(isinstance(shape, tuple | None) for shape in several):
            raise Nonsense(
                f"{made!r} is neither a tuple of sizes nor a list with one tuple for each output"
            )
        if not rule.own and len(several) != len(node.outputs):
            raise Nonsense(f"{len(several)} shapes for {len(node.outputs)} outputs")
        return [(kind, None if shape is None else tuple(map(_size, shape))) for shape in several]
    except (Undetermined, UnknownSizeError):
        return []
    except (RFGraphError, MemoryError):
        raise
    except Exception as error:
        if rule.own:
            raise
        raise blamed(rule, error, operation, "the shape= of ") from error


def by_output(made: Sized | Sequence[Sized | None] | None, outputs: int) -> Sequence[Sized | None]:
    """What a rule for shapes answers, by output."""
    return made if isinstance(made, list) else [cast(Sized | None, made)] * outputs


def _size(given: int | None) -> int | None:
    return given if given is None or is_unknown(given) else index(given)


def blamed(rule: Rule, error: Exception, operation: Operation, what: str = "") -> TransferError:
    """The error for one that is raised by, or because of, a transfer that is not rfgraph's own."""
    import traceback

    file = getattr(getattr(rule.transfer, "__code__", None), "co_filename", None)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    where = f" at line {lines[-1]}" if lines else ""
    reason = f"gives an answer that can't be used: {error}"
    if not isinstance(error, Nonsense):
        reason = f"fails{where}: {type(error).__name__}: {error}"
    return TransferError(
        f"{what}its transfer {rule.place} {reason}",
        file=operation.file,
        node=str(operation._node),
        remedy="correct it: docs/custom-operators.md says what it may return",
    )


@cache
def _import_families() -> None:
    """Import every family in this folder."""
    for found in walk_packages([_PACKAGE], _FAMILY):
        import_module(found.name)
    _HOMES.clear()


def registered() -> dict[tuple[str, str], list[Rule]]:
    """All rules by domain and operator, the oldest first; of every family in this folder, whether
    the table of families has it or not.
    """
    _import_families()
    return {key: list(rules) for key, rules in sorted(_RULES.items())}
