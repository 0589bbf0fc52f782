"""A pytest plugin: ``pytest --rfgraph models/`` checks every model that it finds, as tests.

It stands beside the package, so that what pytest loads at every start costs nothing: rfgraph itself
is imported when the first model is checked.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rfgraph.checks import Config, Report
    from rfgraph.checks.baseline import Baseline


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("rfgraph", "receptive fields of ONNX models")
    group.addoption(
        "--rfgraph",
        action="store_true",
        help="check the .onnx files among the arguments and in their folders, with a test for "
        "each check",
    )
    group.addoption(
        "--rfgraph-config",
        metavar="FILE",
        help="the configuration (default: rfgraph.toml, or [tool.rfgraph] of pyproject.toml, in "
        "pytest's root folder or above)",
    )
    group.addoption(
        "--rfgraph-baseline",
        metavar="FILE",
        help="a file of known findings, which are not reported (default: the baseline of the "
        "configuration)",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A collector for each model, if they are asked for."""
    if file_path.suffix != ".onnx" or not parent.config.getoption("rfgraph"):
        return None
    return Model.from_parent(parent, path=file_path)


class Model(pytest.File):
    """A model: what is found in it is looked for once, when its first test runs."""

    def collect(self) -> Iterator[pytest.Item]:
        """A test for each check that is to be made."""
        from rfgraph import checks

        config, _ = settings_of(self.config)
        for code in config.settings(str(self.path)).codes:
            yield Item.from_parent(self, name=code, check=checks.CHECKS[code].name)

    @cached_property
    def report(self) -> Report:
        """What is found in it."""
        from rfgraph import checks

        config, baseline = settings_of(self.config)
        return checks.check(str(self.path), config=config, baseline=baseline)


class Item(pytest.Item):
    """A check of a model."""

    def __init__(self, *, check: str, **given: Any) -> None:
        super().__init__(**given)
        self.check = check
        self.add_marker("rfgraph")

    def runtest(self) -> None:
        """Fail if the check has found something, or could not be made."""
        assert isinstance(self.parent, Model)
        (checked,) = self.parent.report.models
        found = [f for f in checked.findings if f.code == self.name and self.parent.report.fails(f)]
        if found:
            lines = [
                f"{place.message}\n  what to do: {place.remedy}"
                for finding in found
                for place in finding.each
            ]
            raise CheckError("\n".join([*lines, f"rfgraph explain {self.name} says more"]))
        # It could not be read, or this check of it could not be made.
        if checked.error and (not checked.codes or checked.error.startswith(f"{self.name}: ")):
            raise CheckError(checked.error)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What was found, without a traceback."""
        if isinstance(excinfo.value, CheckError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it is, and what it is called."""
        return self.path, None, f"{self.path.name}: {self.name} {self.check}"


class CheckError(Exception):
    """A check has found something."""


_SETTINGS = pytest.StashKey["tuple[Config, Baseline]"]()


def settings_of(config: pytest.Config) -> tuple[Config, Baseline]:
    """The configuration and the baseline, read once."""
    if _SETTINGS not in config.stash:
        from rfgraph import RFGraphError, checks
        from rfgraph.checks import baseline as baselines

        try:
            found = checks.load(config.getoption("rfgraph_config"), config.rootpath)
            named = found.settings(None).get("baseline")
            file = config.getoption("rfgraph_baseline") or (named and found.root / named)
            known = baselines.read(file) if file else baselines.Baseline()
        except RFGraphError as error:
            raise pytest.UsageError(str(error)) from None
        config.stash[_SETTINGS] = found, known
    return config.stash[_SETTINGS]


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, and say at once what is wrong with the configuration."""
    config.addinivalue_line("markers", "rfgraph: a check of an ONNX model")
    if config.getoption("rfgraph"):
        settings_of(config)
