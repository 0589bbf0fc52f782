"""Reports as files: what is in them, and what is not; and one of them in a browser."""

from __future__ import annotations

import json
import re
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rfgraph
from rfgraph import cli, report
from rfgraph.cli import serve
from rfgraph.report.facts import document
from tests.report.browser import as_analysed, choose, opened, shown, written
from tests.report.models import HOSTILE, hostile

MODELS = Path(__file__).parents[2] / "models"
LENET = MODELS / "lenet_textbook.onnx"


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def test_a_file_that_asks_for_nothing() -> None:
    page = report.page(rfgraph.analyze(LENET))
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy[1]
    assert not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "<!--" not in page.partition("<script")[0].removeprefix("<!doctype html>")
    # Licences of what is in it that is not our own.
    assert "Permission is hereby granted, free of charge" in page


def test_names_are_data() -> None:
    page = report.page(rfgraph.analyze(hostile()))
    data = data_of(page)
    assert set(HOSTILE) <= set(data["program"]["values"])
    assert page.count("</script>") == report.page(rfgraph.analyze(LENET)).count("</script>")
    assert "<img" not in page


def test_without_dagre(monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "xstatic.pkg.dagre", None)
    assert cli.main(["report", str(LENET), "-o", str(tmp_path / "a.html")]) == 2
    assert capsys.readouterr().err == (
        "rfgraph: error: reports need XStatic-Dagre, which is not installed "
        "(pip install 'rfgraph[report]')\n"
    )
    assert not list(tmp_path.iterdir())


def test_the_command(capsys: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", str(MODELS / "wavenet.onnx")]) == 0
    assert capsys.readouterr().out == "wrote wavenet.html\n"
    data = data_of(Path("wavenet.html").read_text(encoding="utf-8"))
    assert data["model"] == "wavenet.onnx"
    (found,) = data["findings"]
    assert re.fullmatch(r"RF\d{3}", found["code"])
    assert "RF101" in data["checks"]
    # Options of the analysis hold for the checks too.
    assert cli.main(["report", "missing.onnx", "-o", "a.html"]) == 2
    assert not Path("a.html").exists()
    dynamic = str(MODELS / "dynamic.onnx")
    assert cli.main(["report", dynamic, "--shape", "1,3,64,48", "-o", "a.html"]) == 0
    data = data_of(Path("a.html").read_text(encoding="utf-8"))
    assert data["program"]["shapes"][data["program"]["shape"][0]] == [1, 3, 64, 48]


@pytest.mark.parametrize("name", ["resnet50", "unet_bilinear", "siamese"])
def test_every_value_has_its_figures(name: str) -> None:
    analysis = rfgraph.analyze(MODELS / f"{name}.onnx", assume=True)
    told = document(analysis)
    for value, fields in zip(told["program"]["values"], told["values"], strict=True):
        assert sorted(fields.get("fields", {})) == [
            k for k, given in enumerate(analysis.inputs) if analysis.depends(value, given)
        ]
        for k, at in fields.get("fields", {}).items():
            field = analysis.field(value, analysis.inputs[k])
            axes = told["inputs"][k]["axes"]
            sizes = [found.get("n", [np.inf])[-1] for found in told["fields"][at]]
            assert sizes == [field[axis].size for axis in axes]


def test_on_this_machine_alone(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    servers: list[Any] = []
    made = serve._server
    monkeypatch.setattr(serve, "_server", lambda port: servers.append(made(port)) or servers[-1])
    opened_at: list[str] = []
    monkeypatch.setattr(serve.webbrowser, "open", opened_at.append)
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(cli.main(["serve", str(LENET)])))
    thread.start()
    for _ in range(600):
        if opened_at:
            break
        thread.join(0.1)
    (server,), (address,) = servers, opened_at
    host, port = server.server_address
    assert host == "127.0.0.1"
    assert address == f"http://127.0.0.1:{port}/"
    with urllib.request.urlopen(address) as answer:
        assert b"Content-Security-Policy" in answer.read()
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    for path, host, code in (("x", f"127.0.0.1:{port}", 404), ("", f"evil.example:{port}", 403)):
        request = urllib.request.Request(address + path, headers={"Host": host})
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(request)
        assert error.value.code == code
        error.value.close()
    server.shutdown()
    thread.join()
    assert codes == [0]


def test_a_port_that_is_taken(capsys: Any) -> None:
    with serve._server(0) as server:
        code = cli.main(["serve", str(LENET), "--no-browser", "--port", str(server.server_port)])
    assert code == 2
    assert "without --port any free one is taken" in capsys.readouterr().err


def test_a_model_that_is_none(tmp_path: Path, capsys: Any) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"nothing")
    assert cli.main(["serve", str(path), "--no-browser"]) == 2
    assert capsys.readouterr().err.startswith(f"rfgraph: error: {path}: not an ONNX model")


def test_a_report(browser: Any, tmp_path: Path) -> None:
    analysis = rfgraph.analyze(MODELS / "lenet_textbook.onnx")
    with opened(browser, written(tmp_path, analysis)) as page:
        choose(page, "y", (0, 0, 4, 5))
        found = shown(page)
        as_analysed(analysis, found, {"x": analysis.support("y", (0, 0, 4, 5))})
        assert found["exactness"] == "exact"
        assert (
            found["sentence"]
            == "y[0,0,4,5] sees 6×6 of 30×30 of x: rows 8–13, columns 10–15. 36 elements."
        )
        # The picture has the colour of what is seen in the middle of each such element.
        painted = page.evaluate(
            """() => {
              const canvas = document.querySelector("#pictures canvas");
              const {data, width} = canvas.getContext("2d").getImageData(
                0, 0, canvas.width, canvas.height);
              const at = (r, c) => {
                const [x, y] = [c, r].map((k) => Math.floor((k + .5) * width / 30));
                return [...data.slice(4 * (y * width + x)).slice(0, 3)].join();
              };
              const all = Array.from({length: 30}, (_, k) => k);
              return all.map((r) => all.map((c) => at(r, c) === "0,121,140"));
            }"""
        )
        assert np.array_equal(painted, np.asarray(analysis.support("y", (0, 0, 4, 5)))[0, 0])
        # Keys: from unit to unit, from value to value, and the search.
        page.locator("#map canvas").focus()
        page.keyboard.press("ArrowDown")
        assert shown(page)["unit"] == [0, 0, 5, 5]
        page.keyboard.press("Shift+ArrowRight")
        found = shown(page)
        assert found["sentence"].startswith("y[0,0,5:6,5:7] sees 6×8 of 30×30 of x")
        as_analysed(analysis, found, {"x": analysis.support("y", (0, 0, 5, slice(5, 7)))})
        page.keyboard.press("k")
        assert shown(page)["value"] == "c"
        page.keyboard.press("/")
        page.keyboard.type("average")
        page.keyboard.press("Enter")
        assert shown(page)["value"] == "y"
