"""What the documentation shows works as it is shown."""

from __future__ import annotations

import os
import re
import runpy
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml

import rfgraph
from rfgraph import checks, cli
from tests.checks.test_checks import conv
from tests.oracle.cases import normalisation

ROOT = Path(__file__).parents[1]
CI = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", CI, re.DOTALL)


def test_the_configuration(tmp_path: Path) -> None:
    (text,) = blocks("toml")
    (tmp_path / "pyproject.toml").write_text(text)
    config = checks.load(tmp_path / "pyproject.toml")
    assert set(tomllib.loads(text)["tool"]["rfgraph"]) == {"select", "ignore", "at-least", "models"}
    detector = config.settings(str(tmp_path / "models" / "detector-1.onnx"))
    assert detector.get("halo", "boxes") == {None: 512}
    assert detector.get("covers", "mask_0") == {None: 1.0}
    assert config.settings(str(tmp_path / "audio" / "a.onnx")).get("look-ahead", "y") == 160


def test_every_check_is_in_the_table() -> None:
    assert re.findall(r"^\| (RF\d{3}) ", CI, re.MULTILINE) == list(checks.CHECKS)


def commands() -> list[str]:
    """The lines with which somebody calls rfgraph."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line.startswith("rfgraph ")]


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "models").mkdir()
    onnx.save(conv(), tmp_path / "models" / "a.onnx")
    monkeypatch.chdir(tmp_path)
    assert len(commands()) >= 4
    for command in commands():
        assert cli.main(shlex.split(command)[1:]) == 0, command


def test_the_python() -> None:
    (text,) = blocks("python")
    exec(compile(text, "docs/ci.md", "exec"), {})


def test_the_yaml() -> None:
    hooks, job, steps, gitlab = map(yaml.safe_load, blocks("yaml"))
    declared = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert [h["id"] for h in hooks["repos"][0]["hooks"]] == [h["id"] for h in declared]
    action: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
    (used,) = [s for s in job["jobs"]["receptive-fields"]["steps"] if "rfgraph" in s["uses"]]
    assert set(used["with"]) <= set(action["inputs"])
    assert "rfgraph check" in steps[1]["run"]
    assert "rfgraph.xml" in gitlab["receptive-fields"]["script"][1]


# ---------------------------------------------------------------- all pages, in a fresh clone

README = ROOT / "README.md"
GALLERY = ROOT / "docs" / "gallery.md"
PAGES = [README, GALLERY, *sorted(set((ROOT / "docs").glob("*.md")) - {GALLERY})]
PAGES += [ROOT / "models" / "README.md", ROOT / "benchmarks" / "README.md"]

# What is installed here serves the clone too: to install all of it anew would take as long as all
# other commands, and .ci/run does. The suite does not run itself.
_HERE = f"echo {Path(pytest.__file__).parents[1]} > $(echo .venv/lib/*/site-packages)/here.pth"
_INSTEAD = {
    '.venv/bin/pip install -q -e ".[validate,plot]" &&': (
        # That of the new environment is older, and would come first.
        f"{_HERE} && .venv/bin/pip uninstall -q -y setuptools && "
        ".venv/bin/pip install -q --no-build-isolation --no-deps -e . && "
        ".venv/bin/pip install -q --ignore-installed --no-deps pytest &&"
    ),
    'python3 -m venv .venv && .venv/bin/pip install -q -e ".[test]" && ': "",
    "-m pytest -q -n auto": "-m pytest -q --collect-only tests/test_docs.py",
}

# What takes long or another framework, and the scripts that it is about.
NOT_RUN = {
    "models/README.md": ["models/build.py"],
    "benchmarks/README.md": ["benchmarks/run.py"],
    # .ci/run runs these commands itself.
    "docs/contributing.md": [],
}

# What is not for a shell or for Python; directives are for the site.
SHOWN = {"", "yaml", "toml", "groovy", "{eval-rst}"}

# The models that the reader's own folder has, on the pages after README and the gallery.
KEPT = ("efficientnet_b0", "lenet_textbook", "resnet50", "tcn", "unet_tconv")

# Excerpts of the source.
EXCERPTS = {"docs/adding-an-operator.md"}


def fenced(page: Path) -> list[tuple[str, str]]:
    """The blocks of a page in order: their kinds, and what is in them."""
    found = re.findall(
        r"^( *)```([\w{}-]*)\n(.*?)^\1```$", page.read_text("utf-8"), re.DOTALL | re.M
    )
    assert found or "```" not in page.read_text("utf-8")
    return [(kind, re.sub(f"^{indent}", "", text, flags=re.M)) for indent, kind, text in found]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that a clone has; nothing is built."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.skip("this is no clone")
    listing = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
    folder = tmp_path_factory.mktemp("clone")
    for name in names.decode().split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    assert not list((folder / "rfgraph").glob("*.so"))
    return folder


def smooth() -> onnx.ModelProto:
    """The model of the page on custom operators."""
    return onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["": 17, "my.domain": 1]>'
        "g (float[1,1,9] x) => (float[1,1,9] y) { y = my.domain.Smooth(x) }"
    )


Runner = Callable[..., tuple[int, str]]


def runner(folder: Path) -> Runner:
    def run(*command: str, text: str | None = None, seconds: int = 900) -> tuple[int, str]:
        # As at a prompt: nothing of the environment that the tests run in.
        path = f"{folder / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"
        own = ("PYTHON", "VIRTUAL", "PYTEST", "RFGRAPH")
        keep = {k: v for k, v in os.environ.items() if not k.startswith(own)}
        # The core is compiled in a third of the time, and of other packages what is imported.
        keep |= {"CFLAGS": "-O0", "PIP_COMPILE": "0"}
        done = subprocess.run(
            command, cwd=folder, env=keep | {"PATH": path}, input=text, timeout=seconds,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


@pytest.mark.skipif(os.name != "posix", reason="the commands are those of a POSIX shell")
def test_every_block_runs_in_order_in_a_fresh_clone(clone: Path) -> None:
    """README's first command makes the place in which all that follows works."""
    run = runner(clone)
    commands = "".join(text for _, text in fenced(README))
    assert all(command in commands for command in _INSTEAD)
    # What the pages call the reader's own.
    (clone / "model.onnx").write_bytes(smooth().SerializeToString())
    built: float | None = None
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        if page not in (README, GALLERY):
            # From here on it is the reader's own folder, of few models.
            for file in (clone / "models").iterdir():
                if file.stem not in KEPT:
                    file.unlink()
        for kind, text in fenced(page):
            if kind == "python" and name not in EXCERPTS:
                named = re.match(r"# (\w+\.py)\n", text)
                if named:
                    (clone / named[1]).write_text(text)
                code, said = run(".venv/bin/python", "-", text=text)
                assert code == 0, f"{name}: {text}{said}"
            elif kind == "sh" and name not in NOT_RUN:
                for line in text.splitlines():
                    command = line
                    for one, other in _INSTEAD.items():
                        command = command.replace(one, other)
                    code, said = run("bash", "-euo", "pipefail", "-c", command)
                    # That models have findings is no fault of the page.
                    findings = re.match(r"(.venv/bin/)?(rfgraph check|pytest --rfgraph)", line)
                    assert code in ((0, 1) if findings else (0,)), f"{name}: {line}\n{said}"
            else:
                assert kind in SHOWN or name in NOT_RUN.keys() | EXCERPTS
            (core,) = (clone / "rfgraph").glob("_core*.so")
            built = built or core.stat().st_mtime
            assert core.stat().st_mtime == built, f"{name}: {text}compiles once more"


def test_what_the_first_command_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, command), (_, table) = fenced(README)[:2]
    assert " -e " in command
    monkeypatch.chdir(ROOT)
    assert cli.main(["show", command.split()[-1]]) == 0
    printed = iter(capsys.readouterr().out.splitlines())
    for line in table.splitlines():
        assert line.strip() == "..." or line in printed


# What stands for the reader's own in commands within a sentence.
_OWN = {
    "MODEL": "models/resnet50.onnx",
    "MODEL TENSOR": "models/resnet50.onnx features",
    "MODEL OUTPUT": "models/resnet50.onnx features",
    "OLD.onnx NEW.onnx": "models/resnet50.onnx models/resnet50.onnx",
    "OLD NEW": "models/resnet50.onnx models/resnet50.onnx",
    "--write-baseline FILE": "--write-baseline {folder}/known.json models/lenet_textbook.onnx",
    "--ops my_ops.py": "",
    "--time AXIS": "--time 2",
    "layers.png": "{folder}/layers.png",
    "report.html": "{folder}/report.html",
}


def sentences() -> list[str]:
    """The commands that stand within sentences."""
    pages = "".join(page.read_text("utf-8") for page in PAGES)
    found = re.findall(r"`(rfgraph [a-z]+ [^`]+)`", pages)
    return list(dict.fromkeys(" ".join(command.split()) for command in found))


@pytest.mark.parametrize("command", sentences())
def test_a_command_in_a_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    for own in sorted(_OWN, key=len, reverse=True):
        command = command.replace(own, _OWN[own].format(folder=tmp_path))
    if "validate" in command:
        command += " --samples 1"
    assert cli.main(shlex.split(command)[1:]) in (0, 1)


def test_what_is_not_run_is_there() -> None:
    for name, scripts in NOT_RUN.items():
        blocks = "".join(text for _, text in fenced(ROOT / name))
        for script in scripts:
            assert script in blocks
            assert (ROOT / script).is_file()
    named = re.search(r"some of: ([a-z, ]+)", (ROOT / "benchmarks/README.md").read_text("utf-8"))
    assert named is not None
    script = (ROOT / "benchmarks" / "run.py").read_text("utf-8")
    for benchmark in named[1].split(", "):
        assert f"def {benchmark}(" in script


def test_what_is_shown_of_operators_is_in_the_source() -> None:
    def code(text: str) -> str:
        # Formulas may be longer there.
        text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
        return "\n".join(" ".join(line.split()) for line in text.splitlines() if line.strip())

    page = fenced(ROOT / "docs" / "adding-an-operator.md")
    lrn, cdist, lrn_cases, cdist_cases = (text for kind, text in page if kind == "python")
    for shown, file in (
        (lrn, "rfgraph/ops/onnx/normalisation.py"),
        (cdist, "rfgraph/ops/microsoft/various.py"),
        (cdist_cases, "tests/oracle/cases/contrib_various.py"),
    ):
        assert code(shown) in code((ROOT / file).read_text("utf-8"))
    names = {**vars(normalisation), "cases": lambda _: lambda function: function}
    exec(compile(lrn_cases, "adding-an-operator.md", "exec"), names)
    assert {n.op_type for case in names["lrn"]() for n in case.model.graph.node} == {"LRN"}


# ---------------------------------------------------------------- pages that have to keep in step

CONTRIBUTING = ROOT / "docs" / "contributing.md"
DECISIONS = sorted((ROOT / "docs" / "adr").glob("0*.md"))


@pytest.mark.parametrize("name", ["checks.md", "gallery.md", "architecture.svg"])
def test_what_a_script_writes_is_current(name: str) -> None:
    file = ROOT / "docs" / name
    script = runpy.run_path(str(file.with_suffix(".py")))
    made = script["page" if file.suffix == ".md" else "picture"]()
    assert made == file.read_text("utf-8"), f"python docs/{file.stem}.py writes it anew"


def test_the_pictures_of_the_gallery_are_there_and_small() -> None:
    """That what draws them runs, the run of all pages holds."""
    shown = re.findall(r"\]\(gallery/([\w.]+)\)", GALLERY.read_text("utf-8"))
    files = {file.name: file.stat().st_size for file in (ROOT / "docs" / "gallery").iterdir()}
    assert set(shown) == set(files)
    assert len(shown) == len(files) >= 10
    assert max(files.values()) < 100_000
    assert sum(files.values()) < 1_000_000
    # Each is written by what stands above it.
    sections = GALLERY.read_text("utf-8").split("\n## ")[2:]
    for section, name in zip(sections, shown, strict=True):
        assert re.search(rf"(--save |savefig\(\"){name}", section)
    assert f"(docs/gallery/{shown[0]})" in README.read_text("utf-8")


def test_the_table_of_rooms_is_the_contract() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    (layers,) = [one["layers"] for one in settings["contracts"] if one["type"] == "layers"]
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE)
    assert [re.findall(r"\w+", row) for row in rooms] == [
        re.findall(r"rfgraph\.([\w.]+)", layer) for layer in layers
    ]


def test_every_public_name_is_in_the_reference() -> None:
    page = (ROOT / "docs" / "api.md").read_text("utf-8")
    listed = set(re.findall(r"auto\w+:: ([\w.]+)", page))
    assert {"rfgraph.reads", "rfgraph.testing", "pytest_rfgraph"} <= listed
    names = {f"rfgraph.{name}" for name in rfgraph.__all__}
    assert {name for name in names - listed if not page.count(f":: {name}.")} == set()


def test_every_page_is_in_the_contents() -> None:
    text = (ROOT / "docs" / "conf.py").read_text("utf-8")
    listed = set(re.findall(r'^ +"([\w/-]+)",$', text, re.MULTILINE)) | {"README"}
    pages = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "docs" / "adr" / "README.md"]
    assert {str(page.relative_to(ROOT).with_suffix("").as_posix()) for page in pages} == listed


def test_what_contributors_run_is_what_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text("utf-8").splitlines()
    commands = [line for kind, text in fenced(CONTRIBUTING) if kind for line in text.splitlines()]
    assert len(commands) >= 7
    assert set(commands) <= set(ci)


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_a_date_a_status_and_alternatives(page: Path) -> None:
    text = page.read_text("utf-8")
    dates = r"20\d\d-\d\d-\d\d(, revised 20\d\d-\d\d-\d\d)?"
    assert re.match(rf"# {int(page.name[:4])}\. .+\n\nDate: {dates}\. Status: .+\.\n\n", text)
    assert "**Rejected.**" in text
    assert f"]({page.name})" in (page.parent / "README.md").read_text("utf-8")


@pytest.mark.parametrize("page", [*PAGES, *DECISIONS, ROOT / "CHANGELOG.md"], ids=lambda p: p.name)
def test_lines_are_short(page: Path) -> None:
    """Of tables, and of what programs print or read, lines may be longer."""
    text = re.sub(r"^( *)```.*?^\1```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.M)
    long = [line for line in text.splitlines() if len(line) > 120]
    assert [line for line in long if not line.lstrip().startswith("|")] == []
