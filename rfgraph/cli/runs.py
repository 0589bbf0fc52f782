"""What commands that run a model have in common: on what, and who runs it."""

from __future__ import annotations

import argparse
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from rfgraph.errors import QueryError


def add_inputs(command: argparse.ArgumentParser) -> None:
    """Add the option that says what the model is run on."""
    command.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="the inputs to run the model on (default: random numbers)",
    )


def add_workers(command: argparse.ArgumentParser, *, jobs: int) -> None:
    """Add the options that say who runs it; `jobs` is the default, 0 for all processors."""
    command.add_argument(
        "--jobs",
        type=int,
        default=jobs,
        metavar="N",
        help=f"how many runs are made at a time (default: {jobs or 'one for each processor'})",
    )
    workers = command.add_mutually_exclusive_group()
    workers.add_argument(
        "--processes", action="store_true", help="with --jobs: use processes instead of threads"
    )
    workers.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="make the runs on a dask cluster, given by the address of its scheduler",
    )
    command.add_argument(
        "--provider",
        action="append",
        metavar="NAME",
        help="an execution provider of onnxruntime (default: CPUExecutionProvider; may be "
        "repeated)",
    )


def arrays_of(path: Path | None) -> dict[str, np.ndarray] | None:
    """What `add_inputs` has given."""
    if path is None:
        return None
    try:
        with np.load(path, allow_pickle=False) as stored:
            if not isinstance(stored, np.lib.npyio.NpzFile):
                raise ValueError("it holds one array without a name")
            return dict(stored)
    except (OSError, ValueError, EOFError, TypeError, BadZipFile, zlib.error) as error:
        said = getattr(error, "strerror", None) or str(error)
        if "pickle" in said:
            # numpy goes on to tell how to read what should not be read.
            said = "it is no such file, or holds Python objects (strings are written as numpy.str_)"
        raise QueryError(
            f"--inputs {path}: {said}",
            remedy="write it with numpy.savez(FILE, x=...), one array for each input",
        ) from None
