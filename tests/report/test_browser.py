"""Reports in Chromium: what is shown is what the analysis says."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph.analysis import Analysis
from tests.chunks import share
from tests.graphs import PICTURE, model
from tests.report.browser import as_analysed, choose, click, opened, shown, written
from tests.report.models import HOSTILE, chain, hostile, language_model

MODELS = Path(__file__).parents[2] / "models"

# So many units of each model are clicked on.
CLICKS = share(100)

# Two dimensions, also with branches and windows; one, three, and tokens.
LOOKED_AT: dict[str, Callable[[], Analysis]] = {
    **{
        name: lambda name=name: rfgraph.analyze(MODELS / f"{name}.onnx", assume=True)
        for name in ("resnet50", "inception_v4", "swin_tiny", "wavenet", "unet3d.dynamo")
    },
    "language model": lambda: rfgraph.analyze(language_model(), prune=True),
}


@pytest.mark.parametrize("name", LOOKED_AT)
def test_masks_are_those_of_the_analysis(name: str, browser: Any, tmp_path: Path) -> None:
    analysis = LOOKED_AT[name]()
    rng = random.Random(name)
    with opened(browser, written(tmp_path, analysis)) as page:
        values = page.evaluate("Page.model.values.map((value) => Page.model.names[value])")
        assert set(values) == {v for v in analysis.tensors if analysis.depends(v)} | {
            *analysis.inputs
        }
        boxes = page.locator("#graph .node")
        assert boxes.count() > 3
        for _ in range(CLICKS):
            value = rng.choice(values)
            extent = analysis.extent(value)
            assert extent is not None
            choose(page, value, [rng.randrange(size) for size in extent])
            click(page, rng)
            found = shown(page)
            unit = found["unit"]
            assert found["exactness"] == "exact"
            assert found["sentence"].startswith(f"{value}[{','.join(map(str, unit))}] sees")
            as_analysed(
                analysis, found, {i: analysis.support(value, unit, i) for i in analysis.inputs}
            )
            boxed = page.evaluate(
                """(unit) => Page.model.inputs.map(
                  (input) => Page.model.bounds.box(Page.state.value, unit, input))""",
                unit,
            )
            wanted = [analysis.box(value, unit, i) for i in analysis.inputs]
            assert boxed == [
                None if box is None else [list(ends) for ends in box] for box in wanted
            ]
        # Nothing lies upon anything else.
        assert not page.evaluate(
            """() => {
              const apart = (a, b) => a.x + a.width <= b.x || b.x + b.width <= a.x
                || a.y + a.height <= b.y || b.y + b.height <= a.y;
              const meet = (scope) => scope.items.some((a, k) =>
                scope.items.slice(k + 1).some((b) => !apart(a, b))
                || (a.items && a.open && meet(a)));
              return meet(Page.graph.layout.root);
            }"""
        )


def test_a_region_of_tokens(browser: Any, tmp_path: Path) -> None:
    """Rows and columns of pixels that have become one axis, or windows, are chosen as such."""
    analysis = rfgraph.analyze(MODELS / "swin_tiny.onnx", assume=True)
    with opened(browser, written(tmp_path, analysis)) as page:
        value = next(
            v for v in analysis.tensors if analysis.extent(v) == (64, 49, 4) and analysis.depends(v)
        )
        choose(page, value, (0, 0, 1))
        canvas = page.locator("#map canvas")
        canvas.scroll_into_view_if_needed()
        size = canvas.bounding_box()
        page.mouse.move(size["x"] + size["width"] * 0.3, size["y"] + size["height"] * 0.4)
        page.mouse.down()
        page.mouse.move(
            size["x"] + size["width"] * 0.36, size["y"] + size["height"] * 0.52, steps=3
        )
        page.mouse.up()
        found = shown(page)
        assert found["far"]
        near, far = (divided(unit) for unit in (found["unit"], found["far"]))
        wanted = None
        for row in range(near[0], far[0] + 1):
            for column in range(near[1], far[1] + 1):
                unit = (row // 7 * 8 + column // 7, row % 7 * 7 + column % 7, 1)
                seen = analysis.support(value, unit)
                wanted = seen if wanted is None else wanted | seen
        assert wanted is not None
        as_analysed(analysis, found, {"x": wanted})


def divided(unit: Sequence[int]) -> tuple[int, int]:
    """Row and column of a token among 8 x 8 windows of 7 x 7."""
    return unit[0] // 8 * 7 + unit[1] // 7, unit[0] % 8 * 7 + unit[1] % 7


@pytest.mark.parametrize("name", ["resnet50", "swin_tiny", "wavenet"])
def test_ways_to_the_ends(name: str, browser: Any, tmp_path: Path) -> None:
    """Each unit on a way sees what the analysis says, and has the end that is explained."""
    analysis = LOOKED_AT[name]()
    rng = random.Random(1)
    with opened(browser, written(tmp_path, analysis)) as page:
        values = [v for v in analysis.tensors if analysis.depends(v)]
        for value in rng.sample(values, 4):
            unit = [rng.randrange(n) for n in analysis.extent(value) or ()]
            axis = analysis.moving_axes("x")[0]
            for end in (0, 1):
                way = page.evaluate(
                    """([name, unit, axis, end]) => {
                      const {bounds, names, inputs} = Page.model;
                      return bounds.way(names.indexOf(name), unit, inputs[0], axis, end)
                        .map((hop) => [names[hop.value], hop.unit, hop.ends, hop.added]);
                    }""",
                    [value, unit, axis, end],
                )
                assert way[0][:2] == [value, unit]
                assert way[-1][0] == "x"
                ends = way[0][2]
                assert sum(hop[3] for hop in way) == ends[1] - ends[0]
                for hop in way:
                    box = analysis.box(hop[0], hop[1])
                    assert box is not None
                    assert [*box[axis]] == hop[2]
                    assert hop[2][end] == ends[end]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(scheme: str, browser: Any, tmp_path: Path) -> None:
    analysis = LOOKED_AT["resnet50"]()
    size = {"width": 390, "height": 844}
    path = written(tmp_path, analysis)
    options = {
        "viewport": size,
        "has_touch": True,
        "device_scale_factor": 2,
        "color_scheme": scheme,
    }
    with opened(browser, path, **options) as page:
        wide = page.evaluate("document.scrollingElement.scrollWidth")
        assert wide <= size["width"]
        page.screenshot(path=tmp_path / "phone.png", full_page=True)
        paper = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
        assert paper == {"light": "rgb(250, 249, 246)", "dark": "rgb(18, 21, 24)"}[scheme]
        choose(page, "/trunk/maxpool/MaxPool_output_0", (0, 0, 0, 0))
        page.locator("#map canvas").tap()
        assert shown(page)["unit"][2:] in (
            [[row, column] for row in (27, 28) for column in (27, 28)]
        )
        page.locator("#theme").click()
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != paper


def test_names_do_nothing(browser: Any, tmp_path: Path) -> None:
    analysis = rfgraph.analyze(hostile())
    with opened(browser, written(tmp_path, analysis)) as page:
        for name in HOSTILE:
            choose(page, name)
            assert shown(page)["value"] == name
            page.locator("#search").fill(name[:12])
            page.keyboard.press("Escape")
        page.locator("#expand").click()
        assert page.evaluate("window.hacked") is None
        assert page.locator("main img, main script").count() == 0


def test_open_and_closed_scopes(browser: Any, tmp_path: Path) -> None:
    analysis = LOOKED_AT["resnet50"]()
    with opened(browser, written(tmp_path, analysis)) as page:
        count = page.locator("#graph .node").count
        before = count()
        page.locator("#collapse").click()
        closed = count()
        assert closed < before
        page.locator("#expand").click()
        assert count() > before
        page.locator("#collapse").click()
        # The node of a value that is searched for is laid open.
        page.locator("#search").fill("layer3.4/conv2 conv")
        page.keyboard.press("Enter")
        assert closed < count() < before
        assert page.locator("#graph .is-chosen").count() == 1
        # From node to node by keys.
        page.locator("#graph .is-chosen").focus()
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        assert "Relu" in shown(page)["value"] or "Conv" in shown(page)["value"]


def test_the_table(browser: Any, tmp_path: Path) -> None:
    analysis = LOOKED_AT["resnet50"]()
    with opened(browser, written(tmp_path, analysis)) as page:
        page.get_by_role("button", name="size").click()
        sizes = [
            row.split("×")[0] for row in page.locator("#table td:nth-child(5)").all_inner_texts()
        ]
        numbers = [int(size) for size in sizes if size.isdecimal()]
        assert numbers == sorted(numbers)
        assert sizes[-1] == "all"
        assert page.locator('th[aria-sort="ascending"]').inner_text() == "size ↑"
        page.locator("#filter").fill("maxpool")
        assert page.locator("#table tbody tr").count() == 1
        page.locator("#table tbody button").click()
        assert shown(page)["value"] == "/trunk/maxpool/MaxPool_output_0"


def test_an_image_behind(browser: Any, tmp_path: Path) -> None:
    from PIL import Image

    photo = tmp_path / "photo.png"
    Image.new("RGB", (60, 40), (200, 30, 40)).save(photo)
    with opened(browser, written(tmp_path, LOOKED_AT["resnet50"]())) as page:
        page.locator("#file").set_input_files(photo)
        page.wait_for_selector("#no-image:not([hidden])")
        inside = page.evaluate(
            """() => {
              const canvas = document.querySelector("#pictures canvas");
              const [x, y] = [canvas.width * .35, canvas.height / 2];
              return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
            }"""
        )
        assert inside == [200, 30, 40]


def test_a_report_is_small(tmp_path: Path) -> None:
    assert written(tmp_path, LOOKED_AT["resnet50"]()).stat().st_size < 500_000


def test_twenty_thousand_nodes(browser: Any, tmp_path: Path) -> None:
    nodes = share(20_000)
    analysis = rfgraph.analyze(chain(nodes))
    path = written(tmp_path, analysis)
    assert path.stat().st_size < 300_000 + 300 * nodes
    value = f"v{3 * nodes // 4}"
    with opened(browser, path) as page:
        assert page.locator("#graph .node").count() <= 60
        assert "first 200 are listed" in page.locator("#table-about").inner_text()
        page.locator("#search").fill(value)
        page.keyboard.press("Enter")
        found = shown(page)
        assert found["value"] == value
        as_analysed(analysis, found, {"x": analysis.support(value, found["unit"])})
        assert page.locator("#graph .is-chosen").count() == 1


def test_what_is_assumed_is_said(browser: Any, tmp_path: Path) -> None:
    made = model(
        "a = Relu (x) b = Gather <axis = 3> (a, i) y = Add (a, b)", f"{PICTURE}, int64[1] i"
    )
    with opened(browser, written(tmp_path, rfgraph.analyze(made))) as page:
        for value, exactness in (("a", "exact"), ("b", "most"), ("y", "most")):
            choose(page, value)
            assert shown(page)["exactness"] == exactness
        assert "indices" in page.locator("#because").inner_text()


@pytest.mark.parametrize("why", ["masks", "lists"])
def test_what_is_too_large(
    why: str, browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown as a box, which holds all that is seen, and is said to be one."""
    if why == "lists":
        monkeypatch.setattr("rfgraph.report.program._MOST_LISTED", 20)
    analysis = rfgraph.analyze(MODELS / "unet_bilinear.onnx")
    value, unit = "logits", (0, 1, 40, 70)
    with opened(browser, written(tmp_path, analysis)) as page:
        choose(page, value, unit)
        if why == "masks":
            assert shown(page)["exactness"] == "exact"
            page.evaluate("Support.prototype.behind = () => null")
            choose(page, value, unit)
        found = shown(page)
        assert found["exactness"] == "box"
        assert page.locator("#badge").inner_text() == "box"
        box = analysis.box(value, unit)
        assert box is not None
        mask = np.zeros(analysis.extent("x") or (), bool)
        mask[tuple(slice(lo, hi + 1) for lo, hi in box)] = True
        packed = np.frombuffer(base64.b64decode(found["masks"]["x"]), np.uint8)
        assert np.array_equal(np.unpackbits(packed, count=mask.size).astype(bool), mask.ravel())
