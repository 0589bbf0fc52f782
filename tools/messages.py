"""List every message that a user can see, by module and line: ``python tools/messages.py``.

A message is a text of several words that is no docstring, and any text at all that is given to an
error, ``print`` or an option's ``help``. That lists some texts too many, rather than missing one.
Before the second colon stands what the text is for: the function it is given to, the parameter, the
variable, or ``return``. Placeholders of f-strings are written {name}.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]

# Lists of operators, which are no messages.
SKIPPED = {"families.py", "signature_table.py"}

# What a text is given to, where one word is a message as well.
TELLS = re.compile(r"\w*([eE]rror|fail|print|warn)$|(help|remedy|description|message|reason)$")

# A letter, a blank and a letter, where placeholders count as letters; and names of operators.
WORDS = re.compile(r"[\w}'\"),;:] +['\"({]?[^\W\d]")
NAMES = re.compile(r"(\{?\w+\}? )*\{?[A-Z]\w+\}?")

# An error in a .pyx file: its type, and what it is given.
RAISED = re.compile(r"raise (\w+)\((.+?)\)(?: from None)?\n", re.DOTALL)


def messages(tree: ast.AST, use: str = "") -> Iterator[tuple[int, str, str]]:
    """Line, use and text of each message below a node."""
    for field, value in ast.iter_fields(tree):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or field == "annotation" or _is_type(child):
                continue
            text = _text(child)
            if text is None:
                if not _is_docstring(tree, child):
                    yield from messages(child, _use(child, use))
            elif _is_message(text, use):
                yield child.lineno, use, " ".join(text.split())


def _is_message(text: str, use: str) -> bool:
    if TELLS.match(use):
        return any(map(str.isalpha, text))
    return bool(WORDS.search(text)) and not NAMES.fullmatch(" ".join(text.split()))


def _is_type(node: ast.AST) -> bool:
    return isinstance(node, ast.AnnAssign) and ast.unparse(node.annotation) == "TypeAlias"


def _is_docstring(owner: ast.AST, child: ast.AST) -> bool:
    """Docstrings of checks are messages: ``rfgraph explain`` prints them."""
    if not isinstance(child, ast.Expr) or _text(child.value) is None:
        return False
    decorators = getattr(owner, "decorator_list", [])
    return not any(_called(decorator) == "check" for decorator in decorators)


def _use(node: ast.AST, use: str) -> str:
    """What the texts below a node are for; `use` if it does not say."""
    if isinstance(node, ast.Call):
        return _called(node) or use
    if isinstance(node, ast.keyword):
        return node.arg or use
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0])
    if isinstance(node, ast.AnnAssign):
        return ast.unparse(node.target)
    return "return" if isinstance(node, ast.Return | ast.Yield) else use


def _called(node: ast.AST) -> str:
    """The last name of what is called: ``add_argument`` of ``parser.add_argument(...)``."""
    called = node.func if isinstance(node, ast.Call) else None
    return getattr(called, "attr", getattr(called, "id", ""))


def _text(node: ast.AST) -> str | None:
    """A literal text with its placeholders; None for anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) or "" for part in node.values)
    return f"{{{ast.unparse(node.value)}}}" if isinstance(node, ast.FormattedValue) else None


def of_file(file: Path) -> list[tuple[int, str, str]]:
    """The messages of a file; of one in Cython the errors."""
    source = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return list(messages(ast.parse(source)))
    return [
        (source.count("\n", 0, found.start()) + 1, found[1], " ".join(found[2].split()))
        for found in RAISED.finditer(source)
        if '"' in found[2]
    ]


def main() -> None:
    """Print the list; with files or folders as arguments, only theirs."""
    paths = sys.argv[1:] or [ROOT / "rfgraph", ROOT / "pytest_rfgraph.py"]
    found = [file for path in map(Path, paths) for file in (path, *path.rglob("*.py*"))]
    for file in sorted(file.resolve() for file in found if file.suffix in (".py", ".pyx")):
        listed = [] if file.name in SKIPPED else of_file(file)
        if listed:
            print(f"\n## {file.relative_to(ROOT)}\n")
        for line, use, text in listed:
            print(f"{line}: {use}: {text}")


if __name__ == "__main__":
    main()
