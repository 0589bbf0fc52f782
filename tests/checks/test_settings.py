"""Configuration: where it is found, what it may say, and what is said of mistakes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rfgraph
from rfgraph import checks
from rfgraph.checks.registry import check_options
from rfgraph.checks.settings import known_options
from tests.graphs import model


def written(folder: Path, text: str, name: str = "rfgraph.toml") -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def mistake(folder: Path, text: str, name: str = "rfgraph.toml") -> str:
    with pytest.raises(rfgraph.QueryError) as caught:
        checks.load(written(folder, text, name))
    return str(caught.value)


def test_defaults() -> None:
    settings = checks.Config().settings("a.onnx")
    assert settings.codes == list(checks.CHECKS)
    assert settings.get("unread") == 0
    assert settings.get("at-least") is None


def test_it_is_looked_for_upwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    written(tmp_path, '[tool.rfgraph]\nselect = ["RF1"]', "pyproject.toml")
    written(tmp_path / "a", "[tool.other]\n", "pyproject.toml")
    monkeypatch.chdir(below)
    config = checks.load()
    assert config.file == str(tmp_path.resolve() / "pyproject.toml")
    assert config.root == tmp_path.resolve()
    assert config.settings("x.onnx").codes == [c for c in checks.CHECKS if c.startswith("RF1")]
    # The nearest one counts, and rfgraph.toml before pyproject.toml.
    written(tmp_path / "a", 'select = ["RF3"]')
    assert checks.load().settings("x.onnx").codes == [
        c for c in checks.CHECKS if c.startswith("RF3")
    ]


def test_what_a_longer_prefix_selects_is_made_for_every_output() -> None:
    chosen = rfgraph.check(
        "models/lenet_textbook.onnx", covers=1.0, select=["RF101"], ignore=["RF1"]
    )
    assert [finding.axis for finding in chosen.findings] == [2, 3]


def test_paths_are_shown_relative_to_the_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real"
    (real / "nets").mkdir(parents=True)
    (tmp_path / "link").symlink_to(real)
    for root in (real, tmp_path / "link"):
        config = checks.Config(root=root)
        for given in (root / "nets" / "m.onnx", real / "nets" / ".." / "nets" / "m.onnx"):
            assert config.shown(str(given)) == "nets/m.onnx"
        outside = tmp_path / "reality" / "m.onnx"
        assert config.shown(str(outside)) == outside.as_posix()
    monkeypatch.chdir(real)
    assert checks.Config().shown("nets/m.onnx") == "nets/m.onnx"
    assert checks.Config(root=Path("nets")).shown("nets/m.onnx") == "m.onnx"
    assert checks.Config(root=Path("nets")).shown("./m.onnx") == "m.onnx"


def test_codes_by_prefix(tmp_path: Path) -> None:
    config = checks.load(written(tmp_path, 'select = ["RF1", "RF302"]\nignore = ["RF10"]'))
    assert config.settings("x.onnx").codes == ["RF302"]
    config = checks.load(written(tmp_path, 'ignore = ["RF3", "RF9"]\nselect = ["RF", "RF303"]'))
    assert config.settings("x.onnx").codes == [
        c for c in checks.CHECKS if c[:3] not in ("RF3", "RF9") or c == "RF303"
    ]


FULL = """
select = ["RF1", "RF2"]
at-least = 16

[outputs."mask*"]
at-least = 64
ignore = ["RF102"]

[models."audio/*.onnx"]
causal = 2
at-least = { 2 = 4000 }
shapes = { x = [1, 1, 16000] }

[models."audio/*.onnx".outputs.logits]
look-ahead = 3

[models."wide.onnx"]
halo = 7
"""


def test_settings_by_model_and_output(tmp_path: Path) -> None:
    config = checks.load(written(tmp_path, FULL))
    plain = config.settings(str(tmp_path / "a.onnx"))
    assert plain.get("at-least", "y") == {None: 16}
    assert plain.get("at-least", "mask_1") == {None: 64}
    assert plain.ignored("RF102", "mask_1")
    assert not plain.ignored("RF102", "y")
    audio = config.settings(str(tmp_path / "audio" / "tcn.onnx"))
    assert audio.get("at-least", "mask_1") == {2: 4000}
    assert audio.get("causal", "y").axis == 2
    assert (audio.get("look-ahead", "logits"), audio.get("look-ahead", "y")) == (3, 0)
    assert audio.table("shapes", []) == {"x": (1, 1, 16000)}
    # A pattern without a folder is one of names.
    assert config.settings(str(tmp_path / "deep" / "wide.onnx")).get("halo", "y") == {None: 7}
    assert plain.get("halo", "y") is None


MISTAKES = {
    "at_least = 3": "at_least: there is no option 'at_least' (did you mean 'at-least'?)",
    "selct = []": "selct: there is no option 'selct' (did you mean 'select'?)",
    "at-least = -1": "at-least: this value is not allowed (give a whole number from 0 on)",
    'at-least = "x"': "at-least: this value is not allowed (give a whole number from 0 on)",
    "at-least = { x = 3 }": "at-least: this value is not allowed (give a table with a limit for "
    "each axis, such as { 2 = 32, 3 = 16 })",
    "covers = 2": "covers: this value is not allowed (give a number from 0 to 1)",
    "covers = nan": "covers: this value is not allowed (give a number from 0 to 1)",
    "prune = 1": "prune: this value is not allowed (give true or false)",
    'select = ["RF7"]': "select: there is no check 'RF7' (the checks are "
    f"{', '.join(checks.CHECKS)})",
    "shapes = { x = 3 }": "shapes: this value is not allowed (give a table with the sizes of each "
    "input, such as { x = [1, 3, 224, 224] })",
    'causal = "time"': "causal: this value is not allowed (give an axis, true, or a table such as "
    '{ input = "x", axis = 2, output-axis = 1 })',
    "[outputs.y]\nprune = true": "outputs.y.prune: there is no option 'prune' (move it up: it "
    "holds for whole models)",
    '[models."a*"]\nhallo = 3': "models.\"a*\".hallo: there is no option 'hallo' (did you mean "
    "'halo'?)",
    '[models."a*"]\nbaseline = "b"': "models.\"a*\".baseline: there is no option 'baseline' (move "
    "it up: it holds for all models)",
    "models = 3": "models: this value is not allowed (give a table with settings for each pattern)",
    "independent-groups = [3]": "independent-groups: this value is not allowed (give a list of "
    'tables such as { input = "x", axis = 1, sizes = [3, 1] })',
    "saturated = 3": 'saturated: this value is not allowed (give "some" or "every")',
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_name_file_key_and_remedy(text: str, tmp_path: Path) -> None:
    said = mistake(tmp_path, text)
    file, _, rest = said.partition("rfgraph.toml: ")
    assert file == f"{tmp_path}/"
    assert rest == MISTAKES[text]


def test_mistakes_in_pyproject_name_the_whole_key(tmp_path: Path) -> None:
    said = mistake(tmp_path, "[tool.rfgraph]\nx = 1", "pyproject.toml")
    assert "tool.rfgraph.x: there is no option 'x'" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select = [", "the configuration can't be read: "),
        ("[tool.other]", "it has no table [tool.rfgraph]"),
        ("[tool]\nrfgraph = 3", "'tool.rfgraph' is not a table"),
    ],
)
def test_files_that_are_none(text: str, said: str, tmp_path: Path) -> None:
    assert said in mistake(tmp_path, text, "pyproject.toml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(rfgraph.QueryError, match="No such file"):
        checks.load(tmp_path / "none.toml")


def test_every_default_is_one_that_could_be_given() -> None:
    for option in known_options().values():
        if option.default is not None:
            option.parse(option.default)


def test_options_of_one_name_are_the_same() -> None:
    by_name: dict[str, object] = {}
    for one in checks.CHECKS.values():
        for option in one.options:
            assert by_name.setdefault(option.name, option) is option
    assert set(by_name) == set(check_options())


def test_every_check_explains_itself() -> None:
    for code, one in checks.CHECKS.items():
        said = checks.explained(one)
        assert "Example" in said, code
        assert "What to do" in said, code
        assert one.summary.endswith("."), code
        for option in one.options:
            assert f"  {option.name} (default: " in said


def test_values_and_shapes(tmp_path: Path) -> None:
    made = model('y = Resize<mode="nearest">(x, , , sizes)', "float[1,1,8,8] x, int64[4] sizes")
    np.save(tmp_path / "sizes.npy", np.array([1, 1, 16, 16]))
    text = 'values = { sizes = "sizes.npy" }\nat-least = 2'
    config = checks.load(written(tmp_path, text))
    report = rfgraph.check(made, config=config, select=["RF1", "RF9"])
    assert [f.code for f in report.findings] == ["RF101", "RF101"]
    # What holds for all models is for the inputs that there are; a misspelt one of a model is told.
    config = checks.load(written(tmp_path, "shapes = { other = [1, 2] }"))
    report = rfgraph.check(model("y = Relu(x)"), config=config)
    assert report.ok
    assert report.models[0].remarks == ["shapes: the model has no input 'other'"]
    config = checks.load(written(tmp_path, 'values = { sizes = "none.npy" }'))
    (failed,) = rfgraph.check(made, config=config).errors
    assert "values.sizes: 'none.npy'" in failed.error


def test_what_names_nothing_is_said(tmp_path: Path) -> None:
    text = 'track = ["a*", "b"]\n[outputs.y]\n[outputs.z]\n[outputs."w*"]\n'
    config = checks.load(written(tmp_path, text))
    (checked,) = rfgraph.check(model("y = Relu(x)"), config=config).models
    assert checked.remarks == [
        "outputs: the model has no value 'z'",
        "track: the model has no value 'b'",
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"values": {"x": [[1], [1, 2]]}},
        {"ops": ["a\0b"]},
        {"batch_axis": 9},
        {"causal": {"axis": 2, "output-axis": 9}},
    ],
)
def test_no_setting_is_an_internal_error(settings: dict[str, object]) -> None:
    (failed,) = rfgraph.check(model("y = Relu(x)"), **settings).errors
    assert "internal" not in failed.error


@pytest.mark.parametrize("baseline", [5, {}, b"x"])
def test_a_baseline_that_is_no_path(baseline: object) -> None:
    with pytest.raises(rfgraph.QueryError, match="is not a path"):
        rfgraph.check(model("y = Relu(x)"), baseline=baseline)  # type: ignore[arg-type]
