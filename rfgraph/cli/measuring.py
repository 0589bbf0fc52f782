"""What the commands that measure have in common: images, and who runs the model for how long."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rfgraph.cli.cluster import client_of
from rfgraph.cli.common import teller
from rfgraph.errors import QueryError
from rfgraph.measure.pictures import RESIZINGS


def add_images(command: argparse.ArgumentParser) -> None:
    """Add the options that say what the model is run on."""
    command.add_argument(
        "--images",
        type=Path,
        metavar="PATH",
        help="a folder of pictures or .npy files, one of these, or a .npy, .npz or zarr array of "
        "images (default: noise)",
    )
    command.add_argument("--input", metavar="NAME", help="the input that takes them")
    command.add_argument(
        "--layout",
        metavar="NCHW",
        help="what the axes of that input are: N for the batch, C for the channels, a letter for "
        "each other axis (default: as fields move over it)",
    )
    command.add_argument(
        "--scale",
        type=float,
        metavar="FACTOR",
        help="what pixels are multiplied by (default: bytes become floats from 0 to 1)",
    )
    for name, what in (
        ("mean", "taken off the scaled pixels"),
        ("std", "what they are divided by"),
    ):
        command.add_argument(
            f"--{name}", metavar="N[,N...]", help=f"{what}: one number, or one a channel"
        )
    command.add_argument(
        "--resize",
        choices=RESIZINGS,
        help="how pictures get the input's size: stretched; whole, with zeros around them; or cut "
        "(default: files are cut)",
    )
    command.add_argument("--most", type=int, metavar="N", help="take the first N images")
    command.add_argument(
        "--vocabulary", type=int, metavar="N", help="how many different tokens there are"
    )


def images_from(options: argparse.Namespace) -> dict[str, Any]:
    """What `add_images` has been told, as the functions of `rfgraph.measure` take it."""
    given = {name: getattr(options, name) for name in ("images", "input", "layout", "scale")}
    given |= {name: getattr(options, name) for name in ("resize", "most", "vocabulary")}
    for name in ("mean", "std"):
        text = getattr(options, name)
        if text is not None:
            given[name] = _numbers(f"--{name}", text)
    return given


def _numbers(option: str, text: str) -> list[float] | float:
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        raise QueryError(
            f"{option} {text}: not numbers", remedy=f"write it as {option} 0.5 or 0.485,0.456,0.406"
        ) from None
    return found if len(found) > 1 else found[0]


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add the options that say who runs the model, and for how long."""
    command.add_argument(
        "--seconds",
        type=float,
        metavar="N",
        help="begin nothing after N seconds, and tell what is known by then",
    )
    command.add_argument(
        "--seed", type=int, default=0, metavar="N", help="the seed of random numbers (default: 0)"
    )
    command.add_argument(
        "--jobs",
        type=int,
        default=0,
        metavar="N",
        help="how many tasks are carried out at a time (default: as many as there are processors)",
    )
    workers = command.add_mutually_exclusive_group()
    workers.add_argument(
        "--processes", action="store_true", help="use processes instead of threads"
    )
    workers.add_argument(
        "--dask",
        metavar="ADDRESS",
        help="use a dask cluster, given by the address of its scheduler",
    )
    command.add_argument(
        "--resume",
        metavar="FOLDER",
        help="keep what is done in this folder, as zarr, and go on with what is there",
    )
    command.add_argument(
        "--provider",
        action="append",
        metavar="NAME",
        help="an execution provider of onnxruntime (default: CPUExecutionProvider; may be "
        "repeated)",
    )


@contextmanager
def workers_from(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What `add_workers` has been told, as the functions of `rfgraph.measure` take it."""
    with client_of(options.dask) as client:
        yield {
            "seconds": options.seconds,
            "seed": options.seed,
            "jobs": sum(client.ncores().values()) if client else options.jobs,
            "processes": options.processes,
            "executor": client.get_executor() if client else None,
            "store": options.resume,
            "providers": options.provider or ("CPUExecutionProvider",),
            "progress": teller("tasks") if sys.stderr.isatty() else None,
        }
