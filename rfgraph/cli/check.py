"""``rfgraph check``: models held against what is asked of them."""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path
from typing import Any

from rfgraph import checks
from rfgraph.checks import baseline as baselines
from rfgraph.checks.baseline import Baseline
from rfgraph.checks.finding import GRAVITY, Report
from rfgraph.checks.settings import Config
from rfgraph.checks.suite import INTERRUPTED
from rfgraph.cli.common import (
    CLEAN,
    ERROR,
    FINDINGS,
    Answer,
    add_analysis,
    alone,
    settings,
    teller,
    write,
)
from rfgraph.cli.outputs import add_outputs, answered
from rfgraph.errors import QueryError, RFGraphError
from rfgraph.render.findings.common import counted


def add(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "check",
        help="find what is wrong with the receptive fields of models",
        description="Check the receptive fields of models against what the options and the "
        "configuration ([tool.rfgraph] of pyproject.toml, or rfgraph.toml) ask for. "
        "Ends with 0 if nothing but notes is found, with 1 if there are errors or "
        "warnings, and with 2 if a model can't be checked. 'rfgraph explain' lists "
        "the checks and their options.",
    )
    command.add_argument(
        "models", metavar="MODEL", nargs="+", help="ONNX files, folders of them, or patterns"
    )
    add_analysis(command)
    command.add_argument(
        "--select",
        action="append",
        metavar="CODE,...",
        help="checks to make, by their codes or the beginnings of codes (default: all)",
    )
    command.add_argument("--ignore", action="append", metavar="CODE,...", help="checks not to make")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="an option of the checks, as in the configuration: --set at-least=128, --set causal=2",
    )
    command.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration (default: rfgraph.toml, or [tool.rfgraph] of pyproject.toml, in "
        "this folder or above)",
    )
    _add_baseline(command)
    command.add_argument(
        "--fail-on",
        choices=GRAVITY,
        help="the least severity of findings that end with 1 (default: warning)",
    )
    command.add_argument(
        "--exit-zero",
        action="store_true",
        help="end with 0 even if there are findings; a model that can't be checked still ends "
        "with 2",
    )
    command.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="how many models are checked at a time, in processes (default: 1)",
    )
    add_outputs(command, "report")
    command.set_defaults(run=run)


def _add_baseline(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--baseline",
        type=Path,
        metavar="FILE",
        help="a file of known findings, which are not reported",
    )
    command.add_argument(
        "--write-baseline",
        nargs="?",
        const="",
        metavar="FILE",
        help="write a baseline of the findings, and end with 0; without FILE: to the baseline of "
        "the configuration",
    )


def run(options: argparse.Namespace) -> str:
    """The answer."""
    if options.jobs < 1:
        raise QueryError(f"--jobs {options.jobs}: has to be at least 1")
    config = checks.load(options.config).with_values(_given(options), "the command line")
    named = options.baseline or config.settings(None).get("baseline")
    known = Baseline()
    file = None if named is None else config.root / named if not options.baseline else named
    if options.write_baseline is not None:
        target = Path(options.write_baseline) if options.write_baseline else file
        if target is None:
            raise QueryError(
                "--write-baseline: no file is given, and the configuration names no baseline",
                remedy="give one: --write-baseline FILE",
            )
        # One that can't be read is told before the work, not behind it.
        _known(target)
        options.output_file = None
        return _written(_report(options, config, known), target)
    if file is not None:
        known = baselines.read(file)
    report = _report(options, config, known)
    for checked in report.errors if options.debug else ():
        print(checked.trace, end="", file=sys.stderr)
    if report.interrupted:
        # Files that others read are those of a whole run.
        print(
            f"rfgraph: error: interrupted: {_left(report)}"
            + (", and no file was written" if options.output_file else ""),
            file=sys.stderr,
        )
        options.output_file = []
    lenient = config.settings(None).get("exit-zero")
    code = ERROR if report.errors else CLEAN if report.passed or lenient else FINDINGS
    return answered(options, report, code)


def _report(options: argparse.Namespace, config: Config, known: Baseline) -> Report:
    progress = teller("models") if sys.stderr.isatty() else None
    return checks.check(
        options.models,
        config=config,
        baseline=known,
        jobs=options.jobs,
        timeout=options.timeout if options.guard else 0,
        memory=options.memory if options.guard else 0,
        progress=progress,
    )


def _left(report: Report) -> str:
    left = sum(checked.error == INTERRUPTED for checked in report.models)
    return f"{left:,} of {counted(len(report.models), 'model')} were not checked"


def _known(target: Path) -> Baseline:
    """The baseline that is there already."""
    return baselines.read(target) if target.exists() else Baseline()


def _written(report: Report, target: Path) -> Answer:
    """Write a baseline, and say so."""
    if report.interrupted:
        raise RFGraphError(f"interrupted: {_left(report)}, and {target} was not written")
    with alone(target):
        # What it says of other models stays.
        write(baselines.written(report, _known(target)), target)
    lines = [f"error: {checked.error}" for checked in report.errors]
    models = len(report.models) - len(report.errors)
    lines.append(
        f"wrote {target}: {counted(len(report.findings), 'finding')} in {counted(models, 'model')}"
    )
    return Answer("\n".join(lines), ERROR if report.errors else CLEAN)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """The settings that the command line has."""
    given: dict[str, Any] = {}
    for item in options.set:
        name, equals, value = item.partition("=")
        if not equals:
            raise QueryError(
                f"--set {item}: the value is missing", remedy="write it as --set at-least=128"
            )
        given[name.strip()] = _toml(value)
    for name in ("select", "ignore"):
        codes = getattr(options, name)
        if codes:
            given[name] = [code.strip() for item in codes for code in item.split(",")]
    single = options.models[0] if len(options.models) == 1 else None
    only = single if single is not None and Path(single).is_file() else None
    if options.fail_on:
        given["fail-on"] = options.fail_on
    if options.exit_zero:
        given["exit-zero"] = True
    return given | settings(options, only)


def _toml(value: str) -> Any:
    """A value as it is written in a configuration; what is none is a text."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return value
