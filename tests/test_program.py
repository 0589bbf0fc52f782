"""`rfgraph show --program` and `--timings`: what is printed, and the page that explains it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import onnx
import pytest

import rfgraph
from rfgraph import cli
from rfgraph._core import NOTHING, Program
from rfgraph.render import program as printed
from rfgraph.timings import Timings
from tests.test_docs import ROOT, fenced

MODELS = ROOT / "models"


def shown(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[str, str]:
    """What `rfgraph show` prints, and what it says on standard error."""
    capsys.readouterr()
    assert cli.main(["show", *map(str, arguments)]) == 0
    return capsys.readouterr()


# ---------------------------------------------------------------- the program

TWO_NODES = """
    <ir_version: 8, opset_import: ["" : 17]>
    two (float[1, 2, 7] x) => (float[1, 7, 2] y)
    <float[2, 2, 3] W = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}> {
        a = Conv <pads = [2, 0]> (x, W)
        y = Transpose <perm = [0, 2, 1]> (a)
    }
"""

# By hand: a sees all channels, and of time o - 2 to o, clipped at the left.
BY_HAND = """\
slot  instruction                                             first                 last
0     SEED 1                                                  0: 0                  0: 0
1     SEED 2                                                  0..1: o               0..1: o
2     SEED 7                                                  0..6: o               0..6: o
3     WINDOW 0: start 0, count 1, step 1, advance 0, 1 -> 7   0..6: 0               0..6: 0
4     FOLD 1: all of 2                                        0: 0                  0: 1
5     WINDOW 2: start -2, count 3, step 1, advance 1, 7 -> 7  0..2: 0, 3..6: o - 2  0..6: o

x 1x2x7
  x axis 0: slot 0 along axis 0
  x axis 1: slot 1 along axis 1
  x axis 2: slot 2 along axis 2

a 1x2x7
  x axis 0: slot 0 along axis 0
  x axis 1: slot 4
  x axis 2: slot 5 along axis 2

y 1x7x2
  x axis 0: slot 0 along axis 0
  x axis 1: slot 4
  x axis 2: slot 5 along axis 1
"""


def test_the_program_of_two_nodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx.save(onnx.parser.parse_model(TWO_NODES), tmp_path / "two.onnx")
    assert shown(capsys, tmp_path / "two.onnx", "--program") == (BY_HAND, "")
    whole, selected = BY_HAND, shown(capsys, tmp_path / "two.onnx", "--program", "--select", "y")[0]
    table, *_, last = whole.split("\n\n")
    assert selected == f"{table}\n\n{last}"


def word(program: Program, starts: list[int], *numbers: int) -> int:
    """A word that reads one coordinate a phase."""
    first = np.array(starts, dtype=np.int64)
    return program.word(first, np.ones_like(first), *numbers)


def test_instructions_in_words() -> None:
    program = Program()
    axis = program.seed(6)
    repeated = program.window(axis, word(program, [0, 0], 1, 1, 0, 12, 12, 6))
    part = program.window(axis, word(program, [-2], 1, 1, 2, 8, 9, 6))
    rows = program.fold(repeated, 4, 3, 1)
    ends = np.array([3, NOTHING, 0]), -np.array([4, -NOTHING, 1])
    listed = program.listed(*ends)
    program.where(program.seed(9), part)
    said = [" | ".join(re.split(r"\s{2,}", line)) for line in printed.instructions(program)]
    assert (axis, repeated, part, rows, listed) == (0, 1, 2, 3, 4)
    assert said == [
        "slot | instruction | first | last",
        "0 | SEED 6 | 0..5: o | 0..5: o",
        "1 | WINDOW 0: start [0, 0], count [1, 1], step 1, advance 1, 6 -> 12 "
        "| 0..11: [0, 0] + q | 0..11: [0, 0] + q",
        "2 | WINDOW 0: start -2, count 1, step 1, advance 1, 6 -> 9, from 2..7 only "
        "| 0..1: nothing, 2..7: o - 2, 8: nothing | 0..1: nothing, 2..7: o - 2, 8: nothing",
        "3 | FOLD 1: all of 3, above 4, below 1 | 0..1: o, 2..3: o + 1 | 0..1: o + 1, 2..3: o + 2",
        "4 | LISTED | 0: 3, 1: nothing, 2: 0 | 0: 4, 1: nothing, 2: 1",
        "5 | SEED 9 | 0..8: o | 0..8: o",
        "6 | WHERE 5 2 | 0..1: nothing, 2..7: o, 8: nothing | 0..1: nothing, 2..7: o, 8: nothing",
    ]


def test_long_lists_are_cut() -> None:
    program = Program()
    numbers = np.random.default_rng(0).integers(0, 99, 500)
    slot = program.listed(numbers, -numbers)
    (said,) = {printed.segments(program, slot, which) for which in range(2)}
    assert said == f"0..499: [{', '.join(map(str, numbers[:8]))}, ... (500 of them)]"


def test_a_word_is_told_as_it_was_made() -> None:
    program = Program()
    starts, counts = np.array([4, -1]), np.array([2, 3])
    number = program.word(starts, counts, -3, 2, 1, 7, 8, 30)
    assert program.progression(number) == ([4, -1], [2, 3], -3, 2, 1, 7, 8, 30)
    with pytest.raises(IndexError):
        program.progression(number + 1)


def test_only_text_of_values_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    model = str(MODELS / "lenet_textbook.onnx")
    for more in (["--output-format", "json"], ["--along", "1"], ["--density"], ["--all-axes"]):
        assert cli.main(["show", model, "--program", *more]) == 2
        assert "--program can't be combined with" in capsys.readouterr().err
    assert cli.main(["show", model, "--program", "--select", "nowhere"]) == 2
    assert "nothing matches nowhere" in capsys.readouterr().err


# ---------------------------------------------------------------- the page


def test_what_the_page_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    answer = ""
    compared = 0
    for kind, block in fenced(ROOT / "docs" / "engine.md"):
        if kind == "python":
            exec(compile(block, "docs/engine.md", "exec"), {})
        elif kind == "sh":
            (command,) = block.splitlines()
            answer, _ = shown(capsys, *shlex.split(command)[2:])
        else:
            assert block == answer
            compared += 1
    assert compared == 2


def test_length_and_repeats_do_not_show() -> None:
    """The page's figures: 7 slots and 18 segments at 16 x 16 and at 16 million x 16 million."""
    (_, block), *_ = fenced(ROOT / "docs" / "engine.md")
    text = block[block.index('"""') + 3 : block.rindex('"""')]
    for side in ("16", "16000000"):
        model = onnx.parser.parse_model(text.replace("16, 16]", f"{side}, {side}]"))
        program = rfgraph.analyze(model).lowered.program
        slots = range(len(program))
        segments = sum(len(program.segments_of(slot, which)) for slot in slots for which in (0, 1))
        assert (len(program), segments) == (7, 18)


# ---------------------------------------------------------------- timings


@pytest.mark.parametrize("more", [[], ["--output-format", "json"], ["--program"]])
def test_timings_are_told_beside_the_answer(
    more: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    model = MODELS / "dynamic.onnx"
    answer, nothing = shown(capsys, model, *more)
    timed, table = shown(capsys, model, *more, "--timings")
    assert (timed, nothing) == (answer, "")
    head, *rows = [re.split(r"\s{2,}", line) for line in table.splitlines()]
    assert head == ["phase", "ms", "passes"]
    form = [] if more == ["--program"] else ["closed form"]
    assert [row[0] for row in rows] == ["read", "shapes", "lowering", *form, "answer", "total"]
    passes = {phase: int(count) for phase, _, *counts in rows for count in counts}
    # Sizes are tried for its open axes.
    assert passes["read"] == passes["answer"] == 1 < passes["lowering"] <= passes["shapes"]
    times = [float(row[1]) for row in rows]
    assert all(time >= 0 for time in times)
    assert abs(sum(times[:-1]) - times[-1]) < 0.3


def test_time_within_another_phase_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 4.0, 4.5, 5.0, 10.0])
    monkeypatch.setattr("rfgraph.timings.thread_time", lambda: next(clock))
    timings = Timings()
    with timings.phase("answer"):
        with timings.phase("read"):
            pass
        with timings.phase("read"):
            pass
    assert timings.seconds == {"read": 3.5, "answer": 6.5}
    assert timings.passes == {"read": 2, "answer": 1}


def test_an_analysis_tells_its_phases() -> None:
    timings = Timings()
    rfgraph.analyze(MODELS / "lenet_textbook.onnx", timings=timings)
    assert timings.passes == {"read": 1, "shapes": 1, "lowering": 1}
