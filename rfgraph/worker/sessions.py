"""Sessions of onnxruntime for models that are kept as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rfgraph.errors import RFGraphError
from rfgraph.worker.source import opened, runtime


def exact(
    model: bytes, folder: str, providers: Sequence[str], threads: int, file: str | None
) -> Any:
    """A session with every kernel as it is: nothing is fused, moved or left out.

    Raises
    ------
    RFGraphError
        onnxruntime is not installed, or does not open the model.
    """
    return session(model, folder, providers, threads, file, optimised=False)


def session(
    model: bytes,
    folder: str,
    providers: Sequence[str],
    threads: int,
    file: str | None,
    *,
    optimised: bool,
) -> Any:
    """A session of a model.

    Parameters
    ----------
    model : bytes
        The model.
    folder : str
        Where its external data lies; ``""`` for none.
    providers : sequence of str
        Execution providers of onnxruntime.
    threads : int
        Of the session; 0: as onnxruntime chooses.
    file : str or None
        The model's path, for messages.
    optimised : bool
        Whether onnxruntime may fuse, move and leave out nodes.

    Raises
    ------
    RFGraphError
        onnxruntime is not installed, or does not open the model.
    """
    onnxruntime = runtime()
    missing = [p for p in providers if p not in onnxruntime.get_available_providers()]
    if missing:
        raise RFGraphError(
            f"this onnxruntime has no execution provider {missing[0]}",
            remedy=f"its providers are {', '.join(onnxruntime.get_available_providers())}",
        )
    options = onnxruntime.SessionOptions()
    if not optimised:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    if folder:
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", folder
        )
    return opened(model, file, sess_options=options, providers=list(providers))


__all__ = ["exact", "session"]
