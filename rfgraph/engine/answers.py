"""What is answered to nodes, and what of it outlives the model.

Source: docs/adr/0018-kept-between-models.md.

An answer is found by what it rests on: first by what every transfer may ask; where a transfer asked
more, a question stands there, and what it was told leads on.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from rfgraph.model.graph import Node, forget_kinds
from rfgraph.ops import Digest, NoteKind, Question, lookup_rule, rules
from rfgraph.reads.words import Elementwise, PerAxis, Read, Shape, Stage, Table

if TYPE_CHECKING:
    from rfgraph.prune.facts import Fact, Lack

# So many answers, and questions on the way to them, are kept for a kind of node beyond its model.
_MOST_KEPT = 4096

# No answer is kept beyond its model whose lists take more bytes than _LONGEST, and of all kinds no
# more than _MOST_LISTED.
_LONGEST = 1 << 18
_MOST_LISTED = 1 << 26


@dataclass(eq=False, slots=True)
class Answer:
    """What nodes that ask the same share, and nobody changes.

    Attributes
    ----------
    reads : list of list of Read
        By output.
    reached : list of int
        The outputs that an input reaches.
    notes : mapping of str to str
        What is assumed, and the kind of note that it is.
    facts : sequence of Fact or None
        What is known of the elements of each output, where constants cut reads.
    rests_on_prune : bool
        Whether it was asked whether constants cut reads.
    factors : collection of int or None
        The inputs with which reads are multiplied; None: it was not looked at.
    watched : sequence or bool
        Which inputs may not have what, for the same to be answered where constants cut reads; see
        `rfgraph.prune.learning.watched`. True: it was not looked at; False: that can't be told.
    tells : bool or None
        Whether something is known of an output, or may be, where nothing is of the inputs, as of a
        sum of nothing in the midst of padding; None: it was not looked at.
    """

    reads: list[list[Read]]
    reached: list[int]
    notes: Mapping[str, NoteKind]
    facts: Sequence[Fact | None] = ()
    rests_on_prune: bool = False
    factors: Collection[int] | None = None
    watched: Sequence[int | Lack] | bool = True
    tells: bool | None = None


Answers: TypeAlias = dict[Hashable, "Question | Answer"]


def kept_for(node: Node) -> Answers | None:
    """What nodes of the kind were answered in models before, by the same transfer; None where
    nothing is kept of them.
    """
    rule = lookup_rule(node.domain, node.op_type, node.version)
    if rule is None or not rule.own:
        return None
    kept: Answers = node.kind.answers.setdefault(rule.transfer, {})
    if len(kept) >= _MOST_KEPT:
        kept.clear()
    operator = node.domain, node.op_type
    node.kind.told = operator, rules()[operator], kept
    return kept


def keep(answers: Answers, key: Hashable, told: Mapping[Question, Hashable], found: Answer) -> None:
    """Write down an answer, and what was asked on the way to it."""
    for question, answer in told.items():
        answers[key] = question
        key = key, answer
    answers[key] = found


def keep_for_others(
    kept: Answers, key: Hashable, told: Mapping[Question, Hashable], found: Answer
) -> bool:
    """Write down an answer for other models, if what was told means the same there (no node, and no
    value that goes by its name), and its lists are short: whether it was.
    """
    if any(asked == "node" or isinstance(said, str) for (asked, _), said in told.items()):
        return False
    # Only of large values there are long lists.
    if any(isinstance(said, Digest) for said in told.values()):
        size = sum(fact.nbytes for fact in found.facts if fact is not None)
        size += sum(map(_listed, found.reads))
        if size > _LONGEST:
            return False
        _Room.take(size)
    keep(kept, key, told, found)
    return True


# Lists of reads that are not kept with an answer, by what they are.
_SHARED: dict[Hashable, list[Read]] = {}


def shared(reads: list[Read], shapes: Sequence[Shape | None]) -> list[Read]:
    """One list for all equal ones of values of these shapes: what is worked out of reads is kept by
    their identity, and would be kept for each model anew.
    """
    size = _listed(reads)
    if size > _LONGEST:
        return reads
    key = _content(reads), tuple(shapes)
    found = _SHARED.get(key)
    if found is None:
        if len(_SHARED) >= _MOST_KEPT:
            _SHARED.clear()
        _Room.take(size)
        found = _SHARED.setdefault(key, reads)
    return found


def _content(thing: Any) -> Hashable:
    """What tells a list of reads, or a part of it, from others."""
    if isinstance(thing, (list, tuple)):
        return tuple([_content(one) for one in thing])
    if is_dataclass(thing):
        words: Any = thing
        return type(thing), *[_content(getattr(thing, name)) for name in words.__slots__]
    if isinstance(thing, np.ndarray):
        return thing.shape, thing.dtype.str, thing.tobytes()
    found: Hashable = thing
    return found


class _Room:
    """How many bytes the lists of answers take that are kept beyond their models."""

    taken = 0

    @classmethod
    def take(cls, size: int) -> None:
        """Take room for more; where there is none, all that is kept is dropped first."""
        if cls.taken + size > _MOST_LISTED:
            forget_answers()
        cls.taken += size


def forget_answers() -> None:
    """Drop what is kept of answers, and of the kinds of nodes that they are kept with."""
    forget_kinds()
    _SHARED.clear()
    _Room.taken = 0


def _listed(reads: Sequence[Read]) -> int:
    """How many bytes the lists of some reads take."""
    total = 0
    for read in reads:
        factors = read.times if isinstance(read, (Elementwise, PerAxis)) else ()
        axes = read.axes if isinstance(read, PerAxis) else ()
        for along in chain(axes, *[factor.axes for factor in factors]):
            if isinstance(along, Table):
                total += along.starts.nbytes + along.counts.nbytes
        sources = [factor.source for factor in factors]
        total += sum([zeros.nbytes for zeros in sources if isinstance(zeros, np.ndarray)])
        if isinstance(read.source, Stage):
            total += _listed(read.source.reads)
    return total
