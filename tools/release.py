"""Build what is released, and try it as its users will: docs/contributing.md, 'Releasing'.

The sdist is made from the source folder and the wheel from the sdist. Both have to pass ``twine
check``. The wheel is then installed where there is no compiler, and README's Python runs with it in
a folder that has the models and nothing else of the source.

Usage: pip install -e ".[dev]" && python tools/release.py [FOLDER]     (default: dist/)
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]


def version() -> str:
    """The version, of which CHANGELOG.md has to tell, with a date.

    Raises
    ------
    SystemExit
        It is a version for development, or CHANGELOG.md does not begin with it.
    """
    found = re.search(r'VERSION = "(.+)"', (ROOT / "rfgraph" / "version.py").read_text("utf-8"))
    assert found is not None
    if not re.fullmatch(r"\d+\.\d+\.\d+", found[1]):
        raise SystemExit(f"rfgraph/version.py: {found[1]} is no version to release: X.Y.Z is")
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    if not heads or not re.fullmatch(rf"{re.escape(found[1])} - \d{{4}}-\d\d-\d\d", heads[0]):
        raise SystemExit(f"CHANGELOG.md: its first heading has to be '## {found[1]} - YYYY-MM-DD'")
    return found[1]


def run(*command: str | Path, **options: object) -> None:
    """Run a command; end with its output if it fails."""
    print("+", *(os.path.relpath(c) if isinstance(c, Path) else c for c in command), flush=True)
    subprocess.run(command, check=True, **options)  # type: ignore[call-overload]


def built(folder: Path) -> Path:
    """The wheel, made from the sdist, both in `folder`."""
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT)
    made = [*folder.glob(f"rfgraph-{version()}.tar.gz"), *folder.glob(f"rfgraph-{version()}-*.whl")]
    run(sys.executable, "-m", "twine", "check", "--strict", *made)
    _, wheel = made
    if "-cp311-abi3-" not in wheel.name:
        raise SystemExit(f"{wheel.name}: not of the limited API; build it with an ordinary Python")
    sources = [name for name in ZipFile(wheel).namelist() if name.endswith((".c", ".pyx", ".pxd"))]
    if sources:
        raise SystemExit(f"{wheel.name} has sources of the core: {', '.join(sources)}")
    return wheel


def tried(wheel: Path, folder: Path) -> None:
    """Install the wheel in a new environment without a compiler, and run README's Python there."""
    run(sys.executable, "-m", "venv", folder / ".venv")
    commands = folder / ".venv" / ("Scripts" if os.name == "nt" else "bin")
    own = ("PYTHON", "VIRTUAL", "PIP_NO_BINARY", "RFGRAPH")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(own)}
    # Nothing is found that compiles, nor would it.
    environment |= {"PATH": str(commands), "CC": "false", "CXX": "false"}

    def there(*command: str) -> None:
        run(commands / command[0], *command[1:], cwd=folder, env=environment)

    there("python", "-m", "pip", "install", "-q", "--only-binary=:all:", f"{wheel}[validate,plot]")
    shutil.copytree(ROOT / "models", folder / "models")
    examples = re.findall(
        r"^```python\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.M | re.S
    )
    assert examples
    for example in examples:
        there("python", "-c", example)
    there("python", "-c", f"import rfgraph; assert rfgraph.__version__ == {version()!r}")
    there("rfgraph", "validate", "models/lenet_textbook.onnx", "--samples", "2")


def main() -> None:
    """Do all of it."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist").resolve()
    print(f"rfgraph {version()}")
    try:
        wheel = built(folder)
        with tempfile.TemporaryDirectory() as place:
            tried(wheel, Path(place).resolve())
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"failed with {error.returncode}") from None
    print(f"{folder} can be uploaded: twine upload {os.path.relpath(folder)}/*")


if __name__ == "__main__":
    main()
