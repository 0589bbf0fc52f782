"""Receptive fields of torchvision's trunks, against gradients: an oracle without recurrence."""

from __future__ import annotations

import pytest

import rfgraph

from . import tables, trunks

ROWS = tables.read("torch_goldens.csv")


def test_every_golden_has_a_trunk() -> None:
    assert {row.model for row in ROWS} <= set(trunks.MODELS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)
def test_last_feature_map(row: tables.Row) -> None:
    model = trunks.build(row.model)
    output = model.graph.output[0].name
    wrong = tables.differences(rfgraph.analyze(model), [row._replace(endpoint=output)])
    assert not wrong, "\n".join(wrong)


def test_squeeze_and_excite_leaves_the_local_field_alone() -> None:
    model = trunks.build("efficientnet_b0")
    field = rfgraph.analyze(model).field(model.graph.output[0].name, "x")[2]
    assert (field.size, field.stride, -field.start) == (851, 32, 425)


def test_densenet_channels_keep_the_field_of_their_layer() -> None:
    model = trunks.build("densenet121")
    output = model.graph.output[0].name
    analysis = rfgraph.analyze(model)
    sizes = [analysis.field(output, "x", at={1: c})[2].size for c in range(18)]
    # Two channels enter the last block; each of its 16 layers appends one that sees 2 * 32 more.
    assert sizes == [1047, 1047] + [1047 + 64 * layer for layer in range(1, 17)]
    assert analysis.field(output, "x")[2].size == 2071


def test_inception_v3_channels_keep_the_field_of_their_branch() -> None:
    model = trunks.build("inception_v3")
    output = model.graph.output[0].name
    analysis = rfgraph.analyze(model)
    fields = [analysis.field(output, "x", at={1: c}) for c in range(12)]
    # Two channels each: 1x1; 1x1 and then 1x3 | 3x1; 1x1, 3x3 and then 1x3 | 3x1; pool and 1x1.
    heights = [1183, 1183, 1247, 1247, 1311, 1247]
    widths = [1183, 1247, 1183, 1311, 1247, 1247]
    assert [field[2].size for field in fields] == [size for size in heights for _ in range(2)]
    assert [field[3].size for field in fields] == [size for size in widths for _ in range(2)]
    assert analysis.field(output, "x")[2].size == 1311
