"""What files are that people take for ONNX models: told by how they begin, and by their names."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

# What is wrong, and what to do.
_Answer = tuple[str, str]

_TORCH = "export it from Python: torch.onnx.export(model, inputs, 'model.onnx')"
_KERAS = "export it with Keras: model.export('model.onnx', format='onnx')"
_TENSORFLOW = "convert it with the package tf2onnx: python -m tf2onnx.convert --help"
_WHOLE = "give the ONNX file that it was made from"
_UNPACK = "unpack it first"

# For files with weights but no graph: the network itself is in code elsewhere.
_WEIGHTS = (
    "load the weights into their network, and export that from Python: torch.onnx.export(model, "
    "inputs, 'model.onnx')"
)

# An ORT file can be written back; its graph is then the optimised one.
_ORT = (
    f"{_WHOLE}; or let onnxruntime write one from Python: o = onnxruntime.SessionOptions(); "
    "o.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL; "
    "o.optimized_model_filepath = 'model.onnx'; "
    "o.add_session_config_entry('session.save_model_format', 'ONNX'); "
    "onnxruntime.InferenceSession('model.ort', o)"
)

# Where and how a format begins, what it is, and what to do.
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (4, b"ORTM", "a model in ONNX Runtime's own format (.ort)", _ORT),
    (4, b"TFL3", "a TensorFlow Lite model", "convert it with the package tf2onnx: python -m "
                                            "tf2onnx.convert --tflite FILE --output model.onnx"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, in which Keras keeps models and weights", _KERAS),
    (0, b"GGUF", "a GGUF file, which has weights and no graph", _WEIGHTS),
    (0, b"version https://git-lfs", "a Git LFS pointer to the file", "run git lfs pull"),
    (0, b"\x1f\x8b", "a file compressed with gzip", "unpack it with gunzip first"),
    (0, b"BZh", "a file compressed with bzip2", _UNPACK),
    (0, b"\xfd7zXZ\x00", "a file compressed with xz", _UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a file compressed with zstd", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (0, b"\x93NUMPY", "a numpy array", "give the model that it belongs to"),
    (0, b"ptrt", "a TensorRT engine", _WHOLE),
    (0, b"ftrt", "a TensorRT engine", _WHOLE),
    (0, b"\x80\x02", "a pickle, as PyTorch's older checkpoints are", _TORCH),
    (0, b"\x80\x03", "a pickle", _TORCH),
    (0, b"\x80\x04", "a pickle", _TORCH),
    (0, b"\x80\x05", "a pickle", _TORCH),
)  # fmt: skip

# Formats that only the ending of the file name tells: they begin with no fixed bytes.
_NAMES: dict[str, _Answer] = {
    ".pb": ("a TensorFlow graph, or a single tensor", _TENSORFLOW),
    ".mlmodel": ("a Core ML model", _WHOLE),
    ".engine": ("a TensorRT engine", _WHOLE),
    ".plan": ("a TensorRT engine", _WHOLE),
    ".trt": ("a TensorRT engine", _WHOLE),
    ".data": (
        "a file of weights that belongs to an ONNX file",
        "give that ONNX file",
    ),
    ".bin": ("most likely a file of weights", "give the ONNX file"),
}


def recognised(path: Path | None, head: bytes) -> _Answer | None:
    r"""What a file is that is no ONNX model, and what to do; None if nothing is known of it.

    Examples
    --------
    >>> recognised(None, b"GGUF\x03")[0]
    'a GGUF file, which has weights and no graph'
    """
    if not head:
        return "an empty file", "export it again"
    for at, magic, what, remedy in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return what, remedy
    if head[:4] == b"PK\x03\x04":
        return _archive(path)
    if head[8:10] in (b'{"', b"{ ", b"{\n") and head[3:8] == bytes(5):
        return "a safetensors file, which has weights and no graph", _WEIGHTS
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "the download went wrong: download the raw file"
    if text.startswith(b"<?xml") and b"<net" in text:
        return "an OpenVINO model", _WHOLE
    if re.match(rb"<\s*ir_version", text):
        return (
            "a model in ONNX's text form",
            (
                "convert it from Python: onnx.save(onnx.parser.parse_model(open(FILE).read()), "
                "'model.onnx')"
            ),
        )
    known = _NAMES.get(path.suffix.lower()) if path is not None else None
    if known is not None:
        return known
    if _is_text(head):
        return "a text file", "give the ONNX file"
    return None


def _archive(path: Path | None) -> _Answer:
    """What a zip archive holds: formats of several frameworks are such."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:  # type: ignore[arg-type]
            names = archive.namelist()
    except (OSError, TypeError, ValueError, zipfile.BadZipFile):
        names = []
    inner = [name for name in names if name.lower().endswith(".onnx")]
    if inner:
        return f"a zip archive with {inner[0]} in it", _UNPACK
    if any(name.endswith(("data.pkl", "archive_format")) for name in names):
        script = any("/code/" in name for name in names)
        what = "model (TorchScript)" if script else "checkpoint or exported program"
        return f"a PyTorch {what}", _TORCH
    if "config.json" in names:
        return "a Keras model", _KERAS
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of numpy arrays", "give the model that they belong to"
    return "a zip archive", _UNPACK


def folder(path: Path) -> _Answer:
    """What a folder is, and what to do."""
    if (path / "saved_model.pb").exists():
        return (
            "is a folder: a TensorFlow SavedModel",
            (
                "convert it with the package tf2onnx: python -m tf2onnx.convert --saved-model "
                "FOLDER --output model.onnx"
            ),
        )
    inner = sorted(entry.name for entry in path.glob("*.onnx"))
    if inner:
        return (
            "is a folder, not a model",
            f"give a file in it, such as {path / inner[0]}; rfgraph check takes folders",
        )
    return "is a folder, not a model", "give an ONNX file"


def _is_text(head: bytes) -> bool:
    """Whether bytes are a text: nothing but characters, of which the last may be cut."""
    try:
        said = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return all(character.isprintable() or character in "\r\n\t\f" for character in said)
