"""What a runtime is: something that opens a model's file and makes outputs of inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np

Options: TypeAlias = Mapping[str, str]


class Opened(Protocol):
    """A model that a runtime has open."""

    def run(self, feeds: Mapping[str, np.ndarray]) -> Sequence[Any]:
        """Its outputs, in the model's order, as arrays.

        Parameters
        ----------
        feeds : mapping of str to ndarray
            An array for every input.

        Returns
        -------
        sequence of ndarray
            One for each output.

        Raises
        ------
        Exception
            The runtime refuses; what it says is told.
        """


class Runtime(Protocol):
    """A runtime.

    It lives in a process of its own, which it may crash or hang. One of your own is named by an
    entry point of the group ``rfgraph.runtimes``: a class or function that makes one of its
    options, and raises `ValueError` of an option that it does not know.
    """

    def version(self) -> str:
        """Its version, as ``1.32.0``.

        Returns
        -------
        str
            It is told beside what the runtime answers.
        """

    def open(self, path: str) -> Opened:
        """A model, ready to be run.

        Parameters
        ----------
        path : str
            The model's file.

        Returns
        -------
        Opened
            What runs it.

        Raises
        ------
        Exception
            The runtime refuses; what it says is told.
        """


Maker: TypeAlias = Callable[[Options], Runtime]

__all__ = ["Maker", "Opened", "Options", "Runtime"]
