"""Products of matrices and tensors."""

from __future__ import annotations

from ..builder import (
    Builder,
    Operand,
    Value,
    operator,
)
from .common import broadcasts, turned


@operator("MatMul", weight=3)
def matmul(b: Builder, x: Value, op: str) -> Value:
    """Batched and broadcast, by constants or by another branch, from either side."""
    left = b.chance(0.5)
    inner = x.shape[-1] if left or x.rank == 1 else x.shape[-2]
    y: Operand = None
    if b.chance(0.6):
        # A branch of the same inner size, turned if need be: attention scores are x @ x^T.
        def fits(v: Value) -> bool:
            return v.rank > 1 and inner in v.shape[-2:] and broadcasts(v.shape[:-2], x.shape[:-2])

        found = b.other(fits)
        if found is not None:
            y = found
            if found.shape[-2 if left else -1] != inner or b.chance(0.3):
                y = turned(b, found)
    if y is None:
        batch = [n if b.chance(0.5) else 1 for n in x.shape[:-2]] if b.chance(0.4) else []
        size = b.rng.randint(1, 4)
        if b.chance(0.15):
            y = b.weight(inner)
        else:
            y = b.weight(*batch, *((inner, size) if left else (size, inner)), live=0.2)
    return b.op(op, x, y) if left else b.op(op, y, x)


@operator("Gemm", weight=1.5)
def gemm(b: Builder, x: Value, op: str) -> Value:
    """Either side turned; weights or the value itself; an addend of every form."""
    if x.rank != 2:
        x = b.op("Flatten", x, axis=b.rng.randint(0, x.rank))
    turn_a, turn_b = b.rng.randint(0, 1), b.rng.randint(0, 1)
    rows, inner = x.shape[::-1] if turn_a else x.shape
    columns = b.rng.randint(1, 4)
    y: Operand = b.weight(*((columns, inner) if turn_b else (inner, columns)), live=0.3)
    if b.chance(0.3):
        # The value with itself.
        y, turn_b, columns = x, 1 - turn_a, rows
    shape = b.choice(((), (columns,), (1, columns), (rows, 1), (rows, columns)))
    addend = b.weight(*shape, live=0.3) if b.chance(0.7) or b.opset < 11 else None
    return b.op(op, x, y, addend, transA=turn_a, transB=turn_b, alpha=b.choice((None, 0.5)))


@operator("Einsum", since=12, weight=4)
def einsum(b: Builder, x: Value, op: str) -> Value:
    """One operand or two, random letters: contractions, sums, turns, products, diagonals."""
    letters = "abcdefghijkl"
    own = list(letters[: x.rank])
    sizes = dict(zip(own, x.shape, strict=True))
    for k in range(1, x.rank):
        if x.shape[k] == x.shape[k - 1] > 1 and b.chance(0.1):
            own[k] = own[k - 1]
    operands: list[Operand] = [x]
    terms = [own]
    if b.chance(0.7):
        found = b.other(lambda v: v.shape == x.shape) if b.chance(0.5) else None
        if found is not None:
            term = list(own)
            for k in range(x.rank):
                if b.chance(0.4):
                    term[k] = letters[x.rank + k]
        else:
            fresh = letters[x.rank : x.rank + b.rng.randint(0, 2)]
            term = b.some([*dict.fromkeys(own), *fresh])[:4]
            sizes |= {letter: b.rng.randint(1, 3) for letter in fresh}
            found_sizes = [sizes[letter] for letter in term]
            weight = b.weight(*found_sizes, live=0.3)
            operands.append(weight)
            terms.append(term)
        if found is not None:
            operands.append(found)
            terms.append(term)
    known = list(dict.fromkeys(letter for term in terms for letter in term))
    result = b.some(known, least=0)[:5]
    written = ["".join(term) for term in terms]
    equation = ",".join(written)
    style = b.rng.random()
    if style < 0.75:
        equation += "->" + "".join(result)
    elif style < 0.9 and all(term[0] == own[0] and term.count(own[0]) == 1 for term in terms):
        # The leading axis as an ellipsis, kept.
        rest = [letter for letter in result if letter != own[0]]
        equation = ",".join("..." + w[1:] for w in written) + "->..." + "".join(rest)
    if b.chance(0.3):
        equation = equation.replace(",", ", ").replace("->", " -> ")
    return b.op(op, *operands, equation=equation)
