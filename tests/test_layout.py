"""The shape of the house: what stands where, how large it is, and what imports what."""

from __future__ import annotations

import ast
from pathlib import Path

import networkx as nx
import pytest

from rfgraph.ops import registered

ROOT = Path(__file__).parents[1] / "rfgraph"

# Rooms where operators may be told apart by name, and why.
BY_NAME = {
    "ops": "what is known of an operator",
    "model/signature_table.py": "made from ONNX's own definitions",
    "streaming/writer.py": "writes the nodes that delay, mask and count steps",
    "unroll": "control flow is written out, operator by operator",
    "validation": "what one runtime's kernels do",
    "worker/protos.py": "what one runtime's kernels do",
}

# So many names of operators may be written in another module: those of nodes that it makes.
FEW = 2


def modules() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.py"))


def tree(module: str) -> ast.Module:
    return ast.parse((ROOT / module).read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", [m for m in modules() if not m.startswith(tuple(BY_NAME))])
def test_operators_are_told_apart_in_ops_alone(module: str) -> None:
    """No second table of them, and no comparison with their names."""
    known = {op_type for _, op_type in registered()}
    found = [
        f"line {node.lineno}: {node.value}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Constant) and node.value in known
    ]
    assert len(found) <= FEW, found


def imports(module: str, known: set[str]) -> set[str]:
    """The modules that one imports, wherever in it: for type checking, in a function."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inner & known or {node.module}
    return found & known


def test_no_imports_go_round_in_a_circle() -> None:
    dotted = {
        ".".join(("rfgraph", *Path(m).with_suffix("").parts)).removesuffix(".__init__"): m
        for m in modules()
    }
    graph = nx.DiGraph()
    for name, module in dotted.items():
        graph.add_edges_from((name, other) for other in imports(module, set(dotted)))
    assert [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1] == []


# What a module or a function may have of lines that are neither blank nor docstring, and why the
# one that has more does.
MODULE, FUNCTION = 500, 60
LONGER = {"model/signature_table.py": "made from ONNX's own definitions"}


def lines_of_code(module: str) -> dict[str, int]:
    """Lines of code and comments of a module, under "", and of its functions."""
    root = tree(module)
    prose: set[int] = set()
    for node in ast.walk(root):
        kinds = ast.FunctionDef | ast.ClassDef | ast.Module
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            prose.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    text = (ROOT / module).read_text(encoding="utf-8").splitlines()
    code = [k for k, line in enumerate(text, 1) if line.strip() and k not in prose]
    found = {"": len(code)}
    for node in ast.walk(root):
        if isinstance(node, ast.FunctionDef):
            inside = range(node.lineno, (node.end_lineno or 0) + 1)
            found[node.name] = max(found.get(node.name, 0), sum(k in inside for k in code))
    return found


@pytest.mark.parametrize("module", [m for m in modules() if m not in LONGER])
def test_nothing_is_too_long_to_be_read(module: str) -> None:
    lines = lines_of_code(module)
    assert lines.pop("") <= MODULE
    assert {name: n for name, n in lines.items() if n > FUNCTION} == {}
