"""Scopes: the modules that nodes belong to, as a path of names for each node.

PyTorch's dynamo exporter writes the scopes of every node into its ``metadata_props``; TorchScript,
TensorFlow and others put them into its name, with slashes between.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import onnx

from rfgraph.model import model_file
from rfgraph.model._wire import properties

# The modules from the outermost one on; empty for a node that is in none.
Path: TypeAlias = tuple[str, ...]

# What the dynamo exporter calls them: the text of a list of names, each with those before it. The
# placeholder stands where it knows of none.
_PROPERTY = "pkg.torch.onnx.name_scopes"
_PLACEHOLDER = "_empty_nn_module_stack_from_metadata_hook"


def declared(model: str | os.PathLike[str] | bytes | onnx.ModelProto) -> dict[str, Path]:
    """The scopes that the file states, by the values that nodes make.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The model.

    Returns
    -------
    dict of str to tuple of str
        Of the nodes of the main graph that have scopes of their own.

    Raises
    ------
    ModelError
        No such file, or not an ONNX model.
    """
    content = model_file.load(model)
    try:
        found = properties(content.buffer, _PROPERTY)
    except ValueError:
        # What can't be read is not needed: names are left.
        return {}
    return {name: path_of_property(value) for name, value in found.items()}


def path_of_property(value: str) -> Path:
    """The path in the text of a dynamo exporter's name scopes.

    Parameters
    ----------
    value : str
        A list of names as Python writes it: each scope begins with the name of the one around it;
        the last one is the node's own.

    Returns
    -------
    tuple of str
        Each without the name of the one around it. What is no such list has none.

    Examples
    --------
    >>> path_of_property("['', 'trunk', 'trunk.0', 'trunk.0.conv', 'conv2d_1']")
    ('trunk', '0', 'conv')
    """
    try:
        names = ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return ()
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return ()
    path: list[str] = []
    around = ""
    for name in names[:-1]:
        if name not in ("", around, _PLACEHOLDER):
            path.append(name.removeprefix(f"{around}.") if around else name)
            around = name
    return tuple(path)


def path_of_name(name: str) -> Path:
    """The path in a node's name.

    Parameters
    ----------
    name : str
        The name; scopes end in slashes.

    Returns
    -------
    tuple of str
        The scopes, without the node's own name.

    Examples
    --------
    >>> path_of_name("/layer1/layer1.0/conv1/Conv"), path_of_name("Conv_3")
    (('layer1', 'layer1.0', 'conv1'), ())
    """
    return tuple(part for part in name.split("/")[:-1] if part)


def paths(
    nodes: Iterable[tuple[str, Sequence[str]]], stated: Mapping[str, Path] | None = None
) -> list[Path]:
    """A path of scopes for each node.

    Parameters
    ----------
    nodes : iterable of (str, sequence of str)
        The name of each node, and of the values that it makes.
    stated : mapping of str to tuple of str, optional
        What the file states, as `declared` gives it: it goes before what names tell.

    Returns
    -------
    list of tuple of str
        In the order of the nodes, from the outermost scope on. A scope around all nodes is left
        out.

    Examples
    --------
    >>> paths([("/net/stem/Conv", ["a"]), ("/net/head/Gemm", ["b"]), ("/net/Softmax", ["c"])])
    [('stem',), ('head',), ()]
    """
    stated = stated or {}
    found = []
    for name, outputs in nodes:
        of_file = next((stated[output] for output in outputs if output in stated), None)
        found.append(path_of_name(name) if of_file is None else of_file)
    around = 0
    for level in zip(*found, strict=False):
        if len(set(level)) > 1:
            break
        around += 1
    return [path[around:] for path in found]


__all__ = ["Path", "declared", "path_of_name", "path_of_property", "paths"]
