"""Configuration: ``[tool.rfgraph]`` of pyproject.toml, or rfgraph.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache, cached_property, lru_cache
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from rfgraph.analysis.held import FORMS, Filling, parsed
from rfgraph.checks import options as parse
from rfgraph.checks.options import Option
from rfgraph.checks.registry import CHECKS, check_options
from rfgraph.errors import QueryError
from rfgraph.model.model_file import tidied

FILES = ("rfgraph.toml", "pyproject.toml")


def _shapes(given: Any) -> dict[str, tuple[int, ...]]:
    try:
        return {name: tuple(parse.whole(size) for size in sizes) for name, sizes in given.items()}
    except (AttributeError, TypeError, ValueError):
        raise ValueError(
            "a table with the sizes of each input, such as { x = [1, 3, 224, 224] }"
        ) from None


def _values(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise ValueError(
            'a table with the value of each input, such as { mask = "ones", sizes = [1, 3] }'
        )
    for name, value in given.items():
        if not isinstance(value, (int, float, str, list, np.ndarray, Filling)):
            raise ValueError(f"for '{name}' one of these: {FORMS}")
        # Where files are is known only later.
        if isinstance(value, str) and not value.endswith(".npy"):
            try:
                parsed(value)
            except ValueError as error:
                raise ValueError(f"another value for '{name}': {value!r}: {error}") from None
    return dict(given)


# Options that belong to no check: how models are analysed, and which checks are made.
_GENERAL = (
    Option(
        "select", parse.names, ["RF"], "checks to make, by the beginnings of their codes", "model"
    ),
    Option("ignore", parse.names, [], "checks not to make, by the beginnings of their codes"),
    Option("prune", parse.flag, False, "let constants cut reads", "model"),
    Option("strict", parse.flag, False, "fail if an operator is not known", "model"),
    Option("shapes", _shapes, {}, "shapes of inputs whose axes the model leaves open", "model"),
    Option("values", _values, {}, "inputs to hold fixed", "model"),
    Option("ops", parse.names, [], "Python files that register transfers", "model"),
)

# Options of the whole run, the same for all models.
_RUN = (
    Option("baseline", parse.name, None, "the baseline: a file of known findings", "model"),
    Option(
        "fail-on",
        parse.severity,
        "warning",
        "the least severity of findings that make the command fail: error, warning or note",
        "model",
    ),
    Option("exit-zero", parse.flag, False, "findings never make the command fail", "model"),
)

# Tables whose keys are patterns, with settings for what matches.
_TABLES = ("models", "outputs")


@cache
def known_options() -> Mapping[str, Option]:
    """Every key that holds a value, by name."""
    return {option.name: option for option in (*_GENERAL, *_RUN)} | check_options()


@cache
def _defaults() -> Mapping[str, Any]:
    return {name: option.value for name, option in known_options().items()}


@dataclass(frozen=True)
class Layer:
    """Settings for the models and the outputs that match patterns.

    Attributes
    ----------
    values : mapping of str to object
        Option to value, parsed.
    model, output : str or None
        Patterns as of a shell; None: all.
    """

    values: Mapping[str, Any]
    model: str | None = None
    output: str | None = None


@lru_cache(maxsize=16)
def _folders(root: str) -> Sequence[str]:
    """How paths in a folder begin: as it is, and without links on the way."""
    ways = dict.fromkeys((os.path.abspath(root), os.path.realpath(root)))
    return [os.path.join(os.path.normcase(way), "") for way in ways]


@lru_cache
def _path(path: str) -> Path:
    return Path(path)


@dataclass(frozen=True)
class Config:
    """Settings, the last of which win.

    Attributes
    ----------
    layers : tuple of Layer
        In order.
    file : str or None
        Where they are from.
    root : Path
        What patterns of models, and files, are relative to.
    """

    layers: tuple[Layer, ...] = ()
    file: str | None = None
    root: Path = field(default_factory=lambda: _path(os.getcwd()))

    def with_values(self, values: Mapping[str, Any], where: str) -> Config:
        """These settings with others on top, which are checked; `where` names them in errors."""
        if not values:
            return self
        layer = Layer(_parsed(values, where, ()))
        return Config((*self.layers, layer), self.file, self.root)

    def settings(self, model: str | None) -> Settings:
        """What holds for a model, or for the run."""
        if model is None or self._for_all.layers == self.layers:
            return self._for_all
        return Settings(
            tuple(
                layer
                for layer in self.layers
                if layer.model is None or self._matches(model, layer.model)
            )
        )

    @cached_property
    def _for_all(self) -> Settings:
        """What holds for all models."""
        return Settings(tuple([layer for layer in self.layers if layer.model is None]))

    def shown(self, path: str) -> str:
        """A path relative to `root` where it lies in there, with slashes on every system."""
        full = os.path.abspath(path)
        same = os.path.normcase(full)
        root = os.fspath(self.root)
        for folder in _folders(root if os.path.isabs(root) else os.path.abspath(root)):
            if same.startswith(folder):
                return full[len(folder) :].replace(os.sep, "/")
        return tidied(path).replace(os.sep, "/")

    def _matches(self, model: str, pattern: str) -> bool:
        path = self.shown(model)
        return fnmatchcase(path, pattern) or fnmatchcase(PurePath(path).name, pattern)


@dataclass(frozen=True)
class Settings:
    """What holds for one model.

    Examples
    --------
    >>> settings = Settings((Layer({"holes": 0.5}), Layer({"holes": 0.25}, output="mask*")))
    >>> settings.get("holes", "y"), settings.get("holes", "mask_1"), settings.get("prune")
    (0.5, 0.25, False)
    """

    layers: tuple[Layer, ...]

    def get(self, option: str, output: str | None = None) -> Any:
        """The value of an option, for an output."""
        if output is not None and self.outputs:
            for layer in reversed(self.layers):
                if option in layer.values and (
                    layer.output is None or fnmatchcase(output, layer.output)
                ):
                    return layer.values[option]
        return self._everywhere[option]

    @cached_property
    def _everywhere(self) -> Mapping[str, Any]:
        """The values of all options for no output in particular."""
        if not self.layers:
            return _defaults()
        found = dict(_defaults())
        for layer in self.layers:
            if layer.output is None:
                found.update(layer.values)
        return found

    def has(self, option: str) -> bool:
        """Whether an option is set at all."""
        return any(option in layer.values for layer in self.layers)

    def table(self, option: str, inputs: Sequence[str]) -> dict[str, Any]:
        """A table by input, of all layers; what holds for all models, for inputs that there are."""
        found: dict[str, Any] = {}
        for layer in self.layers:
            given = layer.values.get(option, {})
            mine = layer.model is not None
            found |= {name: value for name, value in given.items() if mine or name in inputs}
        return found

    @cached_property
    def outputs(self) -> list[str]:
        """The patterns of outputs that are named."""
        return [layer.output for layer in self.layers if layer.output is not None]

    @property
    def codes(self) -> list[str]:
        """The checks to make: of two prefixes that match, the longer one decides."""
        return list(_chosen(tuple(self.get("select")), tuple(self.get("ignore"))))

    def ignored(self, code: str, output: str) -> bool:
        """Whether a check that is made is not made for an output."""
        for layer in reversed(self.layers):
            own = layer.values.get("ignore") if layer.output is not None else None
            if own is not None and fnmatchcase(output, layer.output or "*"):
                return any(code.startswith(prefix) for prefix in own)
        return False


@lru_cache
def _chosen(select: tuple[str, ...], ignore: tuple[str, ...]) -> Sequence[str]:
    """The checks that prefixes choose: of two that match, the longer one decides."""
    chosen = []
    for code in CHECKS:
        yes = max((len(p) for p in select if code.startswith(p)), default=-1)
        no = max((len(p) for p in ignore if code.startswith(p)), default=-1)
        if yes > no:
            chosen.append(code)
    return chosen


def load(file: str | os.PathLike[str] | None = None, start: Path | None = None) -> Config:
    """Read the configuration.

    Parameters
    ----------
    file : path, optional
        The file. If left out it is looked for in `start` and the folders above it: the first
        rfgraph.toml, or pyproject.toml with a table ``[tool.rfgraph]``.
    start : path, optional
        A folder; the working directory.

    Raises
    ------
    QueryError
        It can't be read, or has keys or values that make no sense: file, key and remedy are named.
    """
    if file is not None:
        path = Path(file)
        return _config(path, _table(path, asked=True) or {})
    folder = (start or Path.cwd()).resolve()
    for place in (folder, *folder.parents):
        for name in FILES:
            path = place / name
            table = _table(path, asked=False) if path.is_file() else None
            if table is not None:
                return _config(path, table)
    return Config()


def _table(path: Path, *, asked: bool) -> dict[str, Any] | None:
    """The settings in a file; None where it has none."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except RecursionError:
        raise QueryError(
            "the configuration can't be read: it is nested too deeply", file=str(path)
        ) from None
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error
        raise QueryError(f"the configuration can't be read: {said}", file=str(path)) from None
    if "tool" in content or path.name == "pyproject.toml":
        tool = content.get("tool", {})
        found = tool.get("rfgraph") if isinstance(tool, dict) else None
        if found is None and asked:
            raise QueryError("it has no table [tool.rfgraph]", file=str(path))
        if found is not None and not isinstance(found, dict):
            raise QueryError("'tool.rfgraph' is not a table", file=str(path))
        return found
    return content


def _config(path: Path, table: Mapping[str, Any]) -> Config:
    prefix = ("tool", "rfgraph") if path.name == "pyproject.toml" else ()
    layers = tuple(_layers(table, str(path), prefix))
    return Config(layers, str(path), path.resolve().parent)


def _layers(
    table: Mapping[str, Any],
    file: str,
    key: tuple[str, ...],
    model: str | None = None,
    output: str | None = None,
) -> Iterator[Layer]:
    tables = [name for name in _TABLES if not (model if name == "models" else output)]
    if output is not None:
        tables = []
    values = {name: value for name, value in table.items() if name not in tables}
    yield Layer(
        _parsed(values, file, key, output=output, model=model, tables=tables), model, output
    )
    for name in reversed(tables):
        inner = table.get(name, {})
        if not isinstance(inner, dict) or not all(isinstance(t, dict) for t in inner.values()):
            raise _wrong(file, (*key, name), "a table with settings for each pattern")
        for pattern, more in inner.items():
            place = (*key, name, pattern)
            if name == "models":
                yield from _layers(more, file, place, pattern, output)
            else:
                yield from _layers(more, file, place, model, pattern)


def _parsed(
    values: Mapping[str, Any],
    file: str,
    key: tuple[str, ...],
    *,
    output: str | None = None,
    model: str | None = None,
    tables: Sequence[str] = (),
) -> dict[str, Any]:
    known = known_options()
    if output is not None or model is not None:
        known = {
            name: option
            for name, option in known.items()
            if (output is None or option.scope == "output" or name == "ignore")
            and (model is None or option not in _RUN)
        }
    found = {}
    for name, value in values.items():
        option = known.get(name)
        if option is None:
            raise _unknown(file, (*key, name), [*known, *tables])
        try:
            found[name] = option.parse(value)
        except ValueError as error:
            raise _wrong(file, (*key, name), str(error)) from None
        for prefix in found[name] if name in ("select", "ignore") else ():
            if not any(code.startswith(prefix) for code in CHECKS):
                raise QueryError(
                    f"{_dotted((*key, name))}: there is no check '{prefix}'",
                    file=file,
                    remedy=f"the checks are {', '.join(CHECKS)}",
                )
    return found


def _unknown(file: str, key: tuple[str, ...], known: Sequence[str]) -> QueryError:
    name = key[-1]
    near = get_close_matches(name, known, 1, 0.5) or get_close_matches(
        name.replace("_", "-").lower(), known, 1, 0.5
    )
    everywhere = known_options()
    if name in everywhere:
        remedy = f"move it up: it holds for {'all' if everywhere[name] in _RUN else 'whole'} models"
    elif near:
        remedy = f"did you mean '{near[0]}'?"
    else:
        remedy = f"the options are {', '.join(sorted(known))}"
    return QueryError(f"{_dotted(key)}: there is no option '{name}'", file=file, remedy=remedy)


def _wrong(file: str, key: tuple[str, ...], wanted: str) -> QueryError:
    return QueryError(
        f"{_dotted(key)}: this value is not allowed", file=file, remedy=f"give {wanted}"
    )


def _dotted(key: tuple[str, ...]) -> str:
    plain = [k if k.replace("-", "").replace("_", "").isalnum() else f'"{k}"' for k in key]
    return ".".join(plain)


def value(name: str, given: Any, root: Path) -> Any:
    """What an input is held at: an array, or what fills it."""
    try:
        return np.array(given) if isinstance(given, (int, float, list)) else parsed(given, root)
    except ValueError as error:
        raise QueryError(f"values.{name}: {given!r}: {error}") from None
