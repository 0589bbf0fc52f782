"""Reports in a browser: to open one, to choose on it, and to read what it shows."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from rfgraph import report
from rfgraph.analysis import Analysis
from rfgraph.engine.support import Support


@contextmanager
def opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    """A report in a window, which has to be quiet and to ask for nothing."""
    context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
    page, said, asked = context.new_page(), [], []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
    try:
        yield page
    finally:
        context.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [path.as_uri()]


def written(folder: Path, analysis: Analysis, name: str = "report") -> Path:
    path = folder / f"{name}.html"
    path.write_text(report.page(analysis), encoding="utf-8")
    return path


def shown(page: Any) -> dict[str, Any]:
    """What is chosen, what is said of it, and the mask of each input, bit by bit."""
    return page.evaluate(  # type: ignore[no-any-return]
        """() => {
          const {model, state, seen} = Page, masks = {};
          for (const [input, region] of seen.regions) {
            const shape = model.extent(input);
            const mask = Regions.projection(region, shape.map((_, a) => a), shape);
            const bits = new Uint8Array(Math.ceil(mask.length / 8));
            mask.forEach((bit, i) => { bits[i >> 3] |= bit << (7 - (i & 7)); });
            let text = "";
            for (let i = 0; i < bits.length; i += 8192) {
              text += String.fromCharCode(...bits.subarray(i, i + 8192));
            }
            masks[Page.data.program.values[input]] = btoa(text);
          }
          const sentence = document.getElementById("sentence").textContent;
          const value = Page.data.program.values[state.value], {unit, far} = state;
          return {masks, value, unit, far, sentence, exactness: seen.exactness};
        }"""
    )


def as_analysed(
    analysis: Analysis, found: Mapping[str, Any], wanted: Mapping[str, Support]
) -> None:
    for name, support in wanted.items():
        mask = np.asarray(support)
        packed = base64.b64decode(found["masks"][name])
        bits = np.unpackbits(np.frombuffer(packed, np.uint8), count=mask.size).astype(bool)
        assert np.array_equal(bits.reshape(mask.shape), mask), (found["value"], found["unit"])


def choose(page: Any, value: str, unit: Sequence[int] | None = None) -> None:
    page.evaluate(
        "([name, unit]) => Page.choose(Page.data.program.values.indexOf(name), unit)",
        [value, None if unit is None else list(unit)],
    )


def click(page: Any, rng: random.Random) -> None:
    """Click anywhere on the map of units, if the value has more than one place."""
    left, top, width, height = page.evaluate(
        """() => {
          const canvas = document.querySelector("#map canvas");
          const {left, top, width, height} = canvas.getBoundingClientRect();
          return [left, top, width, height];
        }"""
    )
    if width:
        page.mouse.click(left + rng.random() * (width - 1), top + rng.random() * (height - 1))
