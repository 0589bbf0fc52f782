"""Products that contract axes."""

from __future__ import annotations

from collections.abc import Iterator

from ..perturbation import Case
from . import cases
from .common import floats, of


@cases("Gemm")
def gemm() -> Iterator[Case]:
    for a in (0, 1):
        for b in (0, 1):
            for bias in ((3, 4), (4,), (3, 1), (1, 4), (), None):
                inputs = {
                    "A": floats(*((2, 3) if a else (3, 2))),
                    "B": floats(*((4, 2) if b else (2, 4)), seed=1),
                    "C": None if bias is None else floats(*bias, seed=2),
                }
                if bias is None:
                    del inputs["C"]
                yield of(f"{a}{b}, bias {bias}", "Gemm", inputs, transA=a, transB=b)
    inputs = {"A": floats(3, 2), "B": floats(2, 4, seed=1), "C": floats(4, seed=2)}
    yield of("version 7", "Gemm", inputs, opset=7, alpha=0.5, beta=2.0)
    yield of("fixed weights", "Gemm", inputs, constants=["B", "C"])


@cases("MatMul")
def mat_mul() -> Iterator[Case]:
    for a, b in (
        ((3, 2), (2, 4)),
        ((2,), (2, 4)),
        ((3, 2), (2,)),
        ((3,), (3,)),
        ((2, 3, 2), (2, 2, 4)),
        ((2, 3, 2), (2, 4)),
        ((3, 2), (2, 2, 4)),
        ((2, 1, 3, 2), (3, 2, 2)),
        ((1, 2, 2, 3), (2, 1, 3, 2)),
        ((2, 2, 2, 2, 3), (2, 2, 2, 3, 2)),
        ((2,), (2, 2, 3)),
        ((2, 3, 2), (2,)),
        ((2, 2, 3, 2), (2,)),
        ((2,), (2, 2, 2, 3)),
    ):
        yield of(f"{a} by {b}", "MatMul", {"A": floats(*a), "B": floats(*b, seed=1)})
    inputs = {"A": floats(2, 3, 2), "B": floats(2, 4, seed=1)}
    yield of("fixed weights", "MatMul", inputs, constants=["B"], opset=9)


_EQUATIONS = (
    ("ij,jk->ik", (3, 2), (2, 4)),
    ("bij,bjk->bik", (2, 3, 2), (2, 2, 4)),
    ("bhid,bhjd->bhij", (2, 2, 3, 2), (2, 2, 4, 2)),
    ("abcde,abcef->abcdf", (2, 2, 2, 2, 3), (2, 2, 2, 3, 2)),
    ("i,j->ij", (3,), (4,)),
    ("i,i", (3,), (3,)),
    ("ab,cd", (2, 3), (3, 2)),
    ("...ij,...jk->...ik", (2, 3, 2), (1, 2, 4)),
    ("...ij,jk", (2, 2, 3, 2), (2, 3)),
    ("i...,i...->...", (2, 3, 1), (2, 1, 4)),
    ("ijk->ki", (2, 3, 4)),
    ("ij->", (2, 3)),
    ("ii->i", (3, 3)),
    ("ii", (3, 3)),
    ("iij->j", (3, 3, 2)),
    ("jii->j", (2, 3, 3)),
    ("iij,jk->ik", (3, 3, 2), (2, 4)),
    ("aabb->ab", (2, 2, 3, 3)),
    ("aabb", (2, 2, 3, 3)),
    ("iijkl->jkl", (2, 2, 3, 2, 2)),
    ("ij,jk,kl->il", (2, 3), (3, 2), (2, 4)),
)


@cases("Einsum")
def einsum() -> Iterator[Case]:
    for equation, *shapes in _EQUATIONS:
        inputs = {f"x{k}": floats(*shape, seed=k) for k, shape in enumerate(shapes)}
        yield of(equation, "Einsum", inputs, equation=equation)
