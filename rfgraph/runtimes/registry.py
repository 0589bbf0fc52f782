"""Which runtimes there are: those of rfgraph, and those that installed packages name."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points

from rfgraph.errors import QueryError
from rfgraph.runtimes.protocol import Maker, Runtime

# The entry points of runtimes.
GROUP = "rfgraph.runtimes"

_BUILT_IN = {"onnxruntime": "OnnxRuntime", "openvino": "OpenVINO", "reference": "Reference"}


def names() -> list[str]:
    """The names of all runtimes, whether what they need is installed or not.

    >>> set(names()) >= {"onnxruntime", "openvino", "reference"}
    True
    """
    return list(dict.fromkeys([*_BUILT_IN, *(found.name for found in _others())]))


def parsed(text: str) -> list[str]:
    """The runtimes of a list, each with its options.

    Parameters
    ----------
    text : str
        Such as ``onnxruntime:level=disable,threads=1,openvino``: a name begins a runtime, and
        what is ``option=value`` belongs to the one before.

    >>> parsed("onnxruntime:level=disable,threads=1,openvino")
    ['onnxruntime:level=disable,threads=1', 'openvino']
    """
    found: list[str] = []
    for part in text.split(","):
        if found and "=" in part and ":" not in part.partition("=")[0]:
            found[-1] += f",{part}"
        else:
            found.append(part.strip())
    return found


def options_of(spec: str) -> tuple[str, dict[str, str]]:
    """The name and the options of a runtime.

    Raises
    ------
    QueryError
        There is no such runtime, or an option has no value.

    >>> options_of("onnxruntime:level=disable,threads=1")
    ('onnxruntime', {'level': 'disable', 'threads': '1'})
    """
    name, _, rest = spec.partition(":")
    if name not in _BUILT_IN and name not in names():
        raise QueryError(
            f"there is no runtime '{name}'",
            remedy=f"the runtimes are {', '.join(names())}; others come with packages that have "
            f"an entry point of the group {GROUP}",
        )
    options = {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            raise QueryError(
                f"runtime '{spec}': the option '{part}' has no value",
                remedy="options are given as in onnxruntime:level=disable,threads=1",
            )
        if key in options:
            raise QueryError(f"runtime '{spec}': the option '{key}' is given twice")
        options[key] = value
    return name, options


def made(spec: str) -> Runtime:
    """A runtime, in this process.

    Raises
    ------
    QueryError
        As `options_of`; or it does not know one of its options.
    RFGraphError
        What it needs is not installed.
    """
    name, options = options_of(spec)
    try:
        return _maker(name)(options)
    except ValueError as error:
        raise QueryError(f"runtime '{spec}': {error}") from None


def _maker(name: str) -> Maker:
    if name in _BUILT_IN:
        maker: Maker = getattr(import_module("rfgraph.runtimes.builtin"), _BUILT_IN[name])
        return maker
    found: Maker = next(one for one in _others() if one.name == name).load()
    return found


def _others() -> list[EntryPoint]:
    return sorted(entry_points(group=GROUP), key=lambda found: found.name)


__all__ = ["GROUP", "made", "names", "options_of", "parsed"]
