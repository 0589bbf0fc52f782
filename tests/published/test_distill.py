"""The published table of TF-Slim's receptive fields, all of it."""

from __future__ import annotations

import pytest

import rfgraph

from . import slim, tables, trunks

ROWS = tables.read("distill_table.csv")

# Rows without a resolution hold at all of them (and leave the padding out where it does not).
# They are checked at one that no other row is about, and odd where half of those are even.
UNSTATED = 299


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 561
    assert {row.model for row in ROWS} == set(slim.MODELS)


@pytest.mark.parametrize(
    ("model", "resolution"), list(dict.fromkeys((row.model, row.resolution) for row in ROWS))
)
def test_every_endpoint_of_a_network(model: str, resolution: int | None) -> None:
    analysis = rfgraph.analyze(slim.build(model, resolution or UNSTATED))
    rows = [row for row in ROWS if (row.model, row.resolution) == (model, resolution)]
    wrong = tables.differences(analysis, rows)
    assert not wrong, f"{len(wrong)} of {2 * len(rows)} fields differ:\n" + "\n".join(wrong)


# Four numbers for 'the receptive field of ResNet-50', all right: where a unit strides decides
# the size, and TF-Slim's SAME max pool makes the padding a matter of the resolution.
@pytest.mark.parametrize(
    ("variant", "expected"),
    [
        ("TF-Slim at 224", (483, 32, 239)),
        ("TF-Slim at 321", (483, 32, 241)),
        ("resnet50 (stride in the 1x1)", (483, 32, 241)),
        ("resnet50 (stride in the 3x3)", (427, 32, 213)),
    ],
)
def test_resnet_50_has_several_fields(variant: str, expected: tuple[int, int, int]) -> None:
    if variant.startswith("TF-Slim"):
        model = slim.build("resnet_v1_50", int(variant[-3:]))
    else:
        model = trunks.build(variant)
    output = model.graph.output[0].name
    field = rfgraph.analyze(model).field(output, "x")[2]
    assert (field.size, field.stride, -field.start) == expected
