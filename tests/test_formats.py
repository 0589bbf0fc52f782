"""Files that are no ONNX models: what they are is told, and what to do.

The files are made by the libraries whose formats they are, where these are at hand, else they begin
as the formats' specifications say.
"""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

import rfgraph
from rfgraph import cli

LENET = Path(__file__).parents[1] / "models" / "lenet_textbook.onnx"


def archive(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name in names:
            made.writestr(name, b"0")
    return stream.getvalue()


def tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as made:
        made.add(LENET, "a.onnx")
    return stream.getvalue()


def arrays() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, x=np.ones(3))
    return stream.getvalue()


FILES: dict[str, tuple[bytes, str, str]] = {
    "a.tflite": (b"\x1c\0\0\0TFL3" + bytes(64), "TensorFlow Lite", "--tflite"),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + bytes(64), "Keras", "format='onnx'"),
    "a.keras": (archive("metadata.json", "config.json", "model.weights.h5"), "Keras", "export("),
    "a.pt": (archive("a/data.pkl", "a/data/0"), "PyTorch", "torch.onnx.export"),
    "script.pt": (archive("a/data.pkl", "a/code/__torch__.py"), "TorchScript", "torch.onnx.export"),
    "a.pt2": (archive("archive_format", "models/model.json"), "PyTorch", "torch.onnx.export"),
    "a.pth": (pickle.dumps({"w": 1}, protocol=2), "PyTorch", "torch.onnx.export"),
    "a.pkl": (pickle.dumps({"w": 1}), "pickle", "torch.onnx.export"),
    "a.safetensors": (b"\x40" + bytes(7) + b'{"w":{"dtype":"F32"}}', "safetensors", "no graph"),
    "a.gguf": (b"GGUF\3\0\0\0", "GGUF", "no graph"),
    "a.pb": (b"\x0a\x05\x0a\x01x\x12\0", "TensorFlow", "tf2onnx"),
    "a.engine": (bytes(range(200, 250)), "TensorRT", "ONNX file"),
    "a.mlmodel": (b"\x08\x04\x12\x00", "Core ML", "ONNX file"),
    "a.xml": (b'<?xml version="1.0"?>\n<net name="a" version="11">', "OpenVINO", "ONNX file"),
    "lfs.onnx": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n",
        "Git LFS pointer",
        "git lfs pull",
    ),
    "page.onnx": (b"\n<!DOCTYPE html><html>", "web page", "download the raw file"),
    "a.onnx.gz": (gzip.compress(LENET.read_bytes()), "gzip", "gunzip"),
    "a.zip": (archive("deep/model.onnx"), "deep/model.onnx", "unpack"),
    "a.tar": (tar(), "tar archive", "unpack"),
    "x.npz": (arrays(), "numpy", "model"),
    "x.npy": (b"\x93NUMPY\1\0", "numpy", "model"),
    "notes.txt": ("größer\n".encode(), "a text", "ONNX file"),
    "model.onnxtxt": (
        onnx.printer.to_text(onnx.load(LENET, load_external_data=False)).encode(),
        "text form",
        "parse_model",
    ),
    "model.onnx.data": (np.ones(99, np.float32).tobytes(), "weights", "that ONNX file"),
    "empty.onnx": (b"", "empty", "export it again"),
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", FILES)
def test_what_a_file_is(
    name: str, large: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content, *words = FILES[name]
    if large and content and not name.endswith((".zip", ".keras", "pt", "pt2", "npz", "txt")):
        content += bytes(1 << 21)
    path = tmp_path / name
    path.write_bytes(content)
    assert cli.main(["show", str(path)]) == 2
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1
    assert said.startswith(f"rfgraph: error: {path}: not an ONNX model but ")
    for word in words:
        assert word in said


def test_an_ort_file_is_written_back_as_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.ort"
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.optimized_model_filepath = str(path)
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(str(LENET), options)
    with pytest.raises(rfgraph.ModelError, match=r"own format \(\.ort\)") as caught:
        rfgraph.analyze(path)
    remedy = caught.value.remedy or ""
    code = remedy[remedy.index("o = onnxruntime") :]
    code = code.replace("'model.", f"'{tmp_path.as_posix()}/model.")
    exec(code, {"onnxruntime": ort})
    assert rfgraph.analyze(tmp_path / "model.onnx").field("y")[2].size == 6


def test_what_a_folder_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def said() -> str:
        assert cli.main(["show", str(tmp_path)]) == 2
        return capsys.readouterr().err

    assert "is a folder, not a model (give an ONNX file)" in said()
    (tmp_path / "b.onnx").write_bytes(LENET.read_bytes())
    assert f"such as {tmp_path / 'b.onnx'}; rfgraph check takes folders" in said()
    (tmp_path / "saved_model.pb").write_bytes(b"\x08\x01")
    assert "TensorFlow SavedModel" in said()
