"""``rfgraph stream``: what it prints, its exit codes, and bad input."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import onnx
import pytest

from rfgraph import cli
from rfgraph.streaming import load
from tests.graphs import model
from tests.streaming import nets

ROOT = Path(__file__).parents[2]
WAVENET = str(ROOT / "models" / "wavenet.onnx")
TASNET = str(ROOT / "models" / "conv_tasnet.onnx")
SCHEMA = json.loads((ROOT / "docs" / "schemas" / "stream-2.json").read_text("utf-8"))


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert cli.main(["stream", *arguments]) == 0
    return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, WAVENET, "--rate", "16000")
    assert lines[1] == "logits 2 1 3070 (191.9 ms) 0 (0 ms) 0 (0 ms) 1 3070"
    assert "axis 2 of 'x': causal, a hop of 1 (0.0625 ms)" in lines
    assert "3070 (191.9 ms) of context are to be kept between chunks" in lines


def test_what_looks_ahead(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "encoder.onnx"
    onnx.save(nets.encoder(causal=False), file)
    lines = printed(capsys, str(file))
    at = lines.index("what makes v28 look 163 ahead")
    assert lines[at + 1] == "Conv 'Conv_0' +3"
    added = [int(line.rpartition("+")[2]) for line in lines[at + 1 : lines.index("", at)]]
    assert sum(added) == 163
    assert "its past has no end: it goes from chunk to chunk as a state" in lines


def test_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for file, options, code in (
        (WAVENET, ["--rate", "16000"], 0),
        (WAVENET, ["--axis", "2"], 0),
        (TASNET, [], 1),
    ):
        assert cli.main(["stream", file, *options, "--output-format", "json"]) == code
        found = json.loads(capsys.readouterr().out)
        jsonschema.validate(found, SCHEMA)
        assert found["streamable"] is not bool(code)
    assert found["obstacle"]["node"] == "InstanceNormalization '/norm/InstanceNormalization'"
    onnx.save(nets.decoder(causal=False), tmp_path / "d.onnx")
    options = ["--rate", "75", "--output-format", "json"]
    assert cli.main(["stream", str(tmp_path / "d.onnx"), *options]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, SCHEMA)
    (timing,) = found["timings"].values()
    assert (timing["stride"], timing["back"], timing["ahead"]) == ("1/40", None, 4)
    assert (found["ahead"], found["ahead_ms"], found["context"]) == (4, 160 / 3, None)


def test_the_look_ahead_of_each_value(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "encoder.onnx"
    onnx.save(nets.encoder(causal=False), file)
    for axis in ("2", "time"):
        assert cli.main(["show", str(file), "--time", axis]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[0].split()[-1] == "ahead"
        ahead = {line.split()[-1] for line in lines if " LSTM " in line}
        assert [line.split()[-1] for line in lines if line.startswith("*")] == ["163"]
        assert ahead == {"43"}
        assert "past /40" in next(line for line in lines if " LSTM " in line)
    for option in ("--program", "--all-axes"):
        assert cli.main(["show", str(file), "--time", "2", option]) == 2
        assert "can't be combined with" in capsys.readouterr().err


def test_no_stream(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stream", TASNET]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("InstanceNormalization '/norm/InstanceNormalization': it sees the")
    assert lines[2].startswith("to do: normalise each step over its channels")


def test_the_model_with_states(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made, file = tmp_path / "tasnet.onnx", tmp_path / "streaming.onnx"
    onnx.save(nets.conv_tasnet(), made)
    lines = printed(capsys, str(made), "-o", str(file))
    assert lines[-2] == (
        "of v60 the first 128 steps come before those of the model, and are to be left out"
    )
    assert lines[-1].startswith("its input 'length' is 281474976710656 until the number of samples")
    assert load(file).hop == 8
    assert cli.main(["stream", str(made), "-o", str(file), "--output-format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, SCHEMA)
    assert found["converted"] == json.loads(json.dumps(load(file).described))


def test_what_is_not_converted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    made, file = tmp_path / "product.onnx", tmp_path / "streaming.onnx"
    body = "y = CumProd (x, axis)"
    onnx.save(model(body, "float[1,2,time] x", opset=26, initializers={"axis": 2}), made)
    assert cli.main(["stream", str(made)]) == 0
    capsys.readouterr()
    assert cli.main(["stream", str(made), "-o", str(file)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("CumProd 'CumProd_0': it can't be converted: it reads everything")
    assert cli.main(["stream", str(made), "-o", str(file), "--output-format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    jsonschema.validate(found, SCHEMA)
    assert found["streamable"]
    assert found["obstacle"]["node"] == "CumProd 'CumProd_0'"
    assert not file.exists()


def test_a_target_that_can_not_be_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for file in (tmp_path / "none" / "streaming.onnx", tmp_path):
        assert cli.main(["stream", WAVENET, "-o", str(file)]) == 2
        out, err = capsys.readouterr()
        assert not out
        assert len(err.splitlines()) == 1
        assert "can't be written" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--axis", "seconds"), "no input has an axis 'seconds'"),
        (("--output", "nix"), "its outputs are logits"),
        (("--rate", "0"), "'0' is not a number of samples a second"),
        (("--rate", "fast"), "'fast' is not a number of samples a second"),
    ],
)
def test_bad_input(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert cli.main(["stream", WAVENET, *options]) == 2
    except SystemExit as left:
        assert left.code == 2  # noqa: PT017
    out, err = capsys.readouterr()
    assert not out
    assert words in err.splitlines()[-1]
