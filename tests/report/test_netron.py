"""What `rfgraph annotate` writes is shown by Netron beside the node."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rfgraph
from rfgraph import annotate

MODELS = Path(__file__).parents[2] / "models"

_SERVE = """
import sys, time, netron
netron.start(sys.argv[1], address=("127.0.0.1", int(sys.argv[2])), browse=False)
time.sleep(600)
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where Netron shows an annotated model."""
    pytest.importorskip("netron")
    path = tmp_path / "model.onnx"
    shutil.copyfile(MODELS / "resnet50.onnx", path)
    annotate.save(rfgraph.analyze(path), path)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(path), str(port)])
    try:
        for _ in range(300):
            with socket.socket() as there:
                if there.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def test_the_field_of_a_node_that_is_clicked_on(browser: Any, address: str) -> None:
    page = browser.new_page(viewport={"width": 1400, "height": 900})
    # It asks for more than is there on a machine without a network.
    page.route(lambda url: not url.startswith(address), lambda route: route.abort())
    page.goto(address, wait_until="domcontentloaded")
    page.get_by_role("button", name="Accept").click()
    node = page.locator("g.node").filter(has_text="MaxPool").first
    node.wait_for(state="visible", timeout=60_000)
    # It puts the graph where it is to stay once it is drawn.
    page.wait_for_timeout(1000)
    place = node.bounding_box()
    page.mouse.click(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
    page.get_by_text("11x11 /4 @-5").wait_for(timeout=20_000)
    assert "MaxPool" in page.locator("#sidebar").inner_text()
    page.close()
