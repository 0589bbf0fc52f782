"""What a measurement has come to so far, in a zarr group: one that was ended is gone on with.

Results are added up in the order of their tasks, so what the first n of them have come to is the
same whoever ran them, and all that has to be kept. Each state is a group of its own, which takes
its name when it is whole; the one before is removed then.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

import numpy as np

from rfgraph.errors import QueryError, RFGraphError
from rfgraph.files import locked, unwritten

# The attribute of the group that tells what it is of, and that of a state with its tasks.
_MADE_OF, _TASKS = "rfgraph", "tasks"

State = dict[str, np.ndarray]


class Store:
    """The states of a measurement in a folder, which is made if it is not there.

    Parameters
    ----------
    path : path
        The folder of a zarr group.
    made_of : mapping of str to object
        What decides on every number: the model's digest, the seed, all options; and as ``kind``
        what is measured. What JSON can hold.

    Raises
    ------
    QueryError
        The folder holds something else, or the states of another measurement.
    RFGraphError
        zarr is not installed, or the folder can't be written.

    Examples
    --------
    >>> import tempfile
    >>> path = f"{tempfile.mkdtemp()}/run"
    >>> Store(path, {"seed": 0}).save("sums", 3, {"total": np.array([1.5])})
    >>> Store(path, {"seed": 0}).load("sums")
    (3, {'total': array([1.5])})
    """

    def __init__(self, path: str | os.PathLike[str], made_of: Mapping[str, Any]) -> None:
        self.path = Path(path)
        # As it is read again.
        self._made_of = json.loads(json.dumps(made_of))
        self._zarr = zarr_module("keeps measurements")
        if self.path.exists() and not (self.path.is_dir() and not any(self.path.iterdir())):
            self._check()
            return
        try:
            self._zarr.open_group(
                str(self.path), mode="a", zarr_format=3, attributes={_MADE_OF: self._made_of}
            )
        except OSError as error:
            raise unwritten(error, self.path) from None

    def _check(self) -> None:
        """Refuse what is there, if it is of something else."""
        found = None
        with suppress(Exception):
            found = self._zarr.open_group(str(self.path), mode="r").attrs.get(_MADE_OF)
        if not isinstance(found, dict):
            raise QueryError(
                "it is there already, and holds no measurement",
                file=str(self.path),
                remedy="name another folder",
            )
        if found.get("kind") != self._made_of.get("kind"):
            raise QueryError(
                "it is of a measurement of another kind",
                file=str(self.path),
                remedy="name another folder",
            )
        if found != self._made_of:
            keys = sorted({*found, *self._made_of})
            other = [key for key in keys if found.get(key) != self._made_of.get(key)]
            raise QueryError(
                f"it is of a measurement with another {' and another '.join(other)}",
                file=str(self.path),
                remedy="name another folder, or measure the same as then",
            )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep other processes away that would go on with the same measurement."""
        with locked(self.path, self.path):
            yield

    def load(self, part: str) -> tuple[int, State] | None:
        """How many tasks of a part are in its last state, and the state; None if there is none.

        Raises
        ------
        RFGraphError
            The state can't be read.
        """
        states = self._states(part)
        if not states:
            return None
        tasks, folder = states[-1]
        try:
            group = self._zarr.open_group(str(folder), mode="r")
            return tasks, {name: np.asarray(array[...]) for name, array in group.arrays()}
        except Exception as error:  # what is raised differs from fault to fault
            said = " ".join(str(error).split())[:300]
            raise RFGraphError(f"it can't be read: {said}", file=str(folder)) from error

    def save(self, part: str, tasks: int, state: Mapping[str, np.ndarray]) -> None:
        """Keep the state of a part after its first `tasks` tasks, in place of the one before.

        Raises
        ------
        RFGraphError
            It can't be written.
        """
        before = [folder for _, folder in self._states(part)]
        target = self._folder(part, tasks)
        if target in before:
            return
        # Its name is that of no state, whatever part it is of.
        unfinished = self.path / f".{part}-{os.urandom(8).hex()}"
        try:
            group = self._zarr.open_group(
                str(unfinished), mode="w", zarr_format=3, attributes={_TASKS: tasks}
            )
            for name, array in state.items():
                group.create_array(name, data=np.asarray(array))
            unfinished.rename(target)
        except OSError as error:
            rmtree(unfinished, ignore_errors=True)
            raise unwritten(error, self.path) from None
        except BaseException:
            rmtree(unfinished, ignore_errors=True)
            raise
        for folder in before:
            rmtree(folder, ignore_errors=True)

    def _folder(self, part: str, tasks: int) -> Path:
        return self.path / f"{part}-{tasks}"

    def _states(self, part: str) -> list[tuple[int, Path]]:
        """The states of a part, by their number of tasks; more than one if one was not removed."""
        found = []
        for folder in self.path.glob(f"{part}-*"):
            number = folder.name.removeprefix(f"{part}-")
            if number.isdecimal():
                found.append((int(number), folder))
        return sorted(found)


def zarr_module(what: str) -> Any:
    """The module of zarr, which is an extra; `what` it does here is told where it is missing."""
    try:
        import zarr
    except ImportError:
        raise RFGraphError(
            f"zarr, which {what}, is not installed", remedy="pip install 'rfgraph[tiles]'"
        ) from None
    return zarr


__all__ = ["State", "Store", "zarr_module"]
