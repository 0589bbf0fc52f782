"""The runtimes that rfgraph itself knows; what each needs is imported when it is made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from onnx import helper

from rfgraph.errors import RFGraphError
from rfgraph.runtimes.protocol import Options
from rfgraph.worker.source import opened, runtime

_LEVELS = {
    "disable": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "all": "ORT_ENABLE_ALL",
}

_PRECISIONS = ("f32", "bf16", "f16")


def known(options: Options, allowed: Mapping[str, Sequence[str] | None]) -> dict[str, str]:
    """The options, if a runtime knows them all.

    Parameters
    ----------
    options : mapping of str to str
        What is given.
    allowed : mapping of str to (sequence of str or None)
        What each option may be; None: anything.

    Raises
    ------
    ValueError
        One of them is not known.
    """
    for name, value in options.items():
        if name not in allowed:
            raise ValueError(f"there is no option '{name}': they are {', '.join(allowed)}")
        values = allowed[name]
        if values is not None and value not in values:
            raise ValueError(f"'{name}' can't be '{value}': it is one of {', '.join(values)}")
    return dict(options)


def whole_number(options: Options, name: str) -> int:
    """An option that is a whole number; 0 if it is left out.

    Raises
    ------
    ValueError
        It is none.
    """
    value = options.get(name, "0")
    if not value.isdecimal():
        raise ValueError(f"'{name}' can't be '{value}': it is a whole number")
    return int(value)


class OnnxRuntime:
    """onnxruntime.

    Its options are ``provider``, ``level`` (of optimisation: ``all`` if left out) and ``threads``.
    """

    def __init__(self, options: Options) -> None:
        self._module = runtime()
        allowed = {
            "provider": self._module.get_available_providers(),
            "level": tuple(_LEVELS),
            "threads": None,
        }
        given = known(options, allowed)
        self._provider = given.get("provider", "CPUExecutionProvider")
        self._level = _LEVELS[given.get("level", "all")]
        self._threads = whole_number(given, "threads")

    def version(self) -> str:
        """As of the package."""
        return str(self._module.__version__)

    def open(self, path: str) -> Any:
        """A session of the model."""
        settings = self._module.SessionOptions()
        settings.graph_optimization_level = getattr(
            self._module.GraphOptimizationLevel, self._level
        )
        settings.log_severity_level = 4
        settings.intra_op_num_threads = self._threads
        return _Session(opened(path, None, sess_options=settings, providers=[self._provider]))


class _Session:
    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        if all(np.asarray(array).dtype.kind != "V" for array in feeds.values()):
            return list(self._session.run(None, dict(feeds)))
        # Of types that numpy has not, as bfloat16, only its own arrays are taken.
        values = {name: _ort_value(array) for name, array in feeds.items()}
        return [value.numpy() for value in self._session.run_with_ort_values(None, values)]


def _ort_value(array: np.ndarray) -> Any:
    make = runtime().OrtValue
    if array.dtype.kind != "V":
        return make.ortvalue_from_numpy(array)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return make.ortvalue_from_numpy_with_onnx_type(array, kind)


class OpenVINO:
    """OpenVINO.

    Its options are ``device`` (``CPU`` if left out), ``precision`` (in which it computes, as it
    chooses if left out) and ``threads``.
    """

    def __init__(self, options: Options) -> None:
        try:
            import openvino
        except ImportError as error:
            broken = str(error) and not isinstance(error, ModuleNotFoundError)
            raise RFGraphError(
                f"openvino can't be imported: {error}" if broken else "openvino is not installed",
                remedy="pip install 'rfgraph[openvino]'",
            ) from None
        self._module = openvino
        given = known(options, {"device": None, "precision": _PRECISIONS, "threads": None})
        self._device = given.get("device", "CPU")
        self._settings: dict[str, Any] = {}
        if "precision" in given:
            self._settings["INFERENCE_PRECISION_HINT"] = given["precision"]
        if threads := whole_number(given, "threads"):
            self._settings["INFERENCE_NUM_THREADS"] = threads

    def version(self) -> str:
        """As of the package, without the build."""
        return str(self._module.__version__).split("-")[0]

    def open(self, path: str) -> Any:
        """The compiled model."""
        with _without_places():
            return _Compiled(self._module.Core().compile_model(path, self._device, self._settings))


@contextmanager
def _without_places() -> Iterator[None]:
    """Messages of OpenVINO say what is wrong behind the places of it in OpenVINO's own sources."""
    try:
        yield
    except RuntimeError as error:
        places = r"(Exception from \S+:\d+|Check '[^\n]*' failed at \S+:\d+):\n"
        raise RuntimeError(re.sub(places, "", str(error)).strip()) from None


class _Compiled:
    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._request = compiled.create_infer_request()

    def run(self, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        # An input that nothing reads has gone; what is none of the model's stays an error.
        ports = self._compiled.inputs
        names = {name for port in ports for name in port.get_names()}
        left = [name for name in feeds if name not in names]
        # A node that is dropped (Dropout) may have given its input the name of its output.
        renamed = [port for port in ports if not port.get_names() & feeds.keys()]
        if renamed and len(renamed) != len(left):
            raise ValueError("OpenVINO has other names for inputs, and which is which is not clear")
        given: dict[Any, np.ndarray] = {n: a for n, a in feeds.items() if n in names}
        given |= {port: feeds[name] for port, name in zip(renamed, left, strict=False)}
        with _without_places():
            # Of bfloat16 a copy would be made through half precision, and its bits misread.
            foreign = any(np.asarray(array).dtype.kind == "V" for array in given.values())
            self._request.infer(given, share_inputs=foreign)
        return [
            np.array(self._request.get_output_tensor(k).data)
            for k in range(len(self._compiled.outputs))
        ]


class Reference:
    """`onnx.reference`, which is part of the package onnx."""

    def __init__(self, options: Options) -> None:
        known(options, {})

    def version(self) -> str:
        """That of onnx."""
        import onnx

        return onnx.__version__

    def open(self, path: str) -> Any:
        """The evaluator of the model."""
        from onnx.reference import ReferenceEvaluator

        return _Evaluator(ReferenceEvaluator(path))


class _Evaluator:
    def __init__(self, evaluator: Any) -> None:
        self._evaluator = evaluator

    def run(self, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        return list(self._evaluator.run(None, dict(feeds)))


__all__ = ["OnnxRuntime", "OpenVINO", "Reference"]
