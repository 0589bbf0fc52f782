"""Draw docs/picture.png: what units of a ResNet-50 see, straight from `Analysis.box`; and
docs/layers.png, a unit of every layer of a VGG-16.

Usage: pip install -e ".[plot]" && python docs/picture.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.patches import Rectangle

import rfgraph
from rfgraph import plot

HERE = Path(__file__).parent
STAGES = {
    "/trunk/layer1/layer1.2/Add_output_0": ("after stage 1", "#d1495b"),
    "/trunk/layer2/layer2.3/Add_output_0": ("after stage 2", "#edae49"),
    "/trunk/layer3/layer3.5/Add_output_0": ("after stage 3", "#00798c"),
}


def draw(path: Path) -> None:
    """Draw the picture."""
    analysis = rfgraph.analyze(HERE.parent / "models" / "resnet50.onnx")
    side = (analysis.shape("x") or ())[-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 4.4), width_ratios=[1, 1.15])

    left.set_title("pixels that a unit sees", fontsize=11)
    left.add_patch(Rectangle((0, 0), side, side, facecolor="#f2efe9", edgecolor="#555555"))
    for tensor, (name, colour) in STAGES.items():
        rows, columns = (analysis.shape(tensor) or ())[2:]
        size = analysis.field(tensor)[2].size
        for number, (row, column) in enumerate([(rows // 2, columns // 2), (0, columns - 1)]):
            box = analysis.box(tensor, (0, 0, row, column))
            if box is None:
                continue
            (top, bottom), (first, final) = box[2:]
            left.add_patch(
                Rectangle(
                    (first, top),
                    final - first + 1,
                    bottom - top + 1,
                    facecolor=colour + "14",
                    edgecolor=colour,
                    linewidth=1.6,
                    label=f"{name}: {size} x {size}" if not number else None,
                )
            )
    left.set_xlim(-6, side + 6)
    left.set_ylim(side + 6, -6)
    left.set_aspect("equal")
    left.set_xticks([0, 64, 128, 192])
    left.set_yticks([0, 64, 128, 192])
    left.legend(loc="lower left", fontsize=8, framealpha=0.95)

    right.set_title("rows that each unit of a column sees, after stage 2", fontsize=11)
    middle = list(STAGES)[1]
    lo, hi = analysis.bounds(middle, axis=2)
    for unit, (top, bottom) in enumerate(zip(lo.ravel(), hi.ravel(), strict=True)):
        right.plot(
            [unit, unit], [top, bottom + 1], color=STAGES[middle][1], linewidth=5, alpha=0.85
        )
    field = analysis.field(middle)[2]
    for unit in range(lo.size):
        start = field.start + unit * field.stride
        right.plot([unit, unit], [start, start + field.size], color="#555555", linewidth=1)
    right.axhspan(0, side, color="#f2efe9", zorder=0)
    right.set_xlabel("unit")
    right.set_ylabel("row of the input")
    right.set_ylim(side + 60, -60)
    right.set_yticks([0, 64, 128, 192])
    right.text(0.5, side + 48, "thick: bounds   thin: closed form, into the padding", fontsize=8.5)
    for axes in (left, right):
        for edge in ("top", "right"):
            axes.spines[edge].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


def draw_layers(path: Path) -> None:
    """Draw a unit of every layer."""
    analysis = rfgraph.analyze(HERE.parent / "models" / "vgg16.onnx")
    nodes = {tensor: analysis.node(tensor) for tensor in analysis.tensors}
    drawn = [t for t, node in nodes.items() if node and node.op_type in ("Conv", "MaxPool")]
    plot.layers(analysis, drawn, (2, 2)).savefig(path, dpi=100)


if __name__ == "__main__":
    draw(HERE / "picture.png")
    draw_layers(HERE / "layers.png")
