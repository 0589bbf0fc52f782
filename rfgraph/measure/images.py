"""Images that a model is measured on: of files, arrays or any iterable, each made to fit its input.

An image is what a data set has one of for each run: a picture, a signal, a volume, a row of tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rfgraph.analysis import Analysis
from rfgraph.errors import QueryError
from rfgraph.measure.pictures import RESIZINGS, Resizing, opened, pixels, resized, suffixes
from rfgraph.measure.stored import zarr_module

# How many images of noise there are, where nobody says how many.
NOISE = 64

# How many images are taken of an iterable, which may have no end.
MOST = 10_000

# What pixels are multiplied by for inputs of floats: 1 is the brightest.
_SCALES = {np.dtype(np.uint8): 1 / 255, np.dtype(np.uint16): 1 / 65535}


class Layout(NamedTuple):
    """What the axes of an input are.

    Attributes
    ----------
    batch : int or None
        The axis along which images follow one another; None if the input is one image.
    channels : int or None
        The axis of the channels; None without any.
    spatial : tuple of int
        The others, such as height and width, time, or the place of a token.

    Examples
    --------
    >>> Layout.parsed("NHWC")
    Layout(batch=0, channels=3, spatial=(1, 2))
    """

    batch: int | None
    channels: int | None
    spatial: tuple[int, ...]

    @classmethod
    def parsed(cls, text: str) -> Layout:
        """The layout that a text such as ``NCHW`` says: N, C and a letter for each other axis.

        Parameters
        ----------
        text : str
            The letters, in the order of the axes.

        Returns
        -------
        Layout
            What the axes are.

        Raises
        ------
        QueryError
            It says none.
        """
        letters = text.upper()
        if not letters.isalpha() or len(set(letters)) < len(letters) or not set(letters) - {*"NC"}:
            raise QueryError(
                f"layout '{text}': not a layout",
                remedy="write it as NCHW or NHWC: N for the batch, C for the channels, and a "
                "letter for each other axis",
            )
        at = {letter: axis for axis, letter in enumerate(letters)}
        spatial = tuple(axis for letter, axis in at.items() if letter not in "NC")
        return cls(at.get("N"), at.get("C"), spatial)

    @classmethod
    def of(cls, analysis: Analysis, input: str, given: str | None = None) -> Layout:
        """The layout of an input: as it is given, or as fields move over it.

        Axes along which fields move are spatial, wherever they stand. Of the others the first is
        the batch if nothing is read across it, and the one that is left has the channels.

        Parameters
        ----------
        analysis : Analysis
            The analysis.
        input : str
            The input.
        given : str, optional
            The layout as a text, as for `parsed`.

        Returns
        -------
        Layout
            What the axes are.

        Raises
        ------
        QueryError
            What is given doesn't fit; or several axes may be those of the channels.
        """
        shape = analysis.extent(input) or ()
        if given is not None:
            found = cls.parsed(given)
            if len(given) != len(shape):
                raise QueryError(
                    f"layout '{given}' has {len(given)} axes, and input '{input}' has {len(shape)}",
                    file=analysis.file,
                )
            return found
        spatial = tuple(analysis.moving_axes(input))
        left = [axis for axis in range(len(shape)) if axis not in spatial]
        batch = 0 if 0 in left and not analysis.reads_across(input, 0) else None
        left = [axis for axis in left if axis != batch and shape[axis] > 1] or [
            axis for axis in left if axis != batch
        ][:1]
        if len(left) > 1:
            raise QueryError(
                f"which axis of input '{input}' has the channels can't be told: "
                f"{' and '.join(map(str, left))} may",
                file=analysis.file,
                remedy="say it with layout=, on the command line --layout, such as NCHW",
            )
        return cls(batch, left[0] if left else None, spatial)


@dataclass(frozen=True)
class Fitting:
    """How images are made to fit an input.

    Attributes
    ----------
    input : str
        The input's name.
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        The type of its elements.
    layout : Layout
        What its axes are.
    mean, std : float or tuple of float
        Of each channel, or of all: what is taken off numbers and what they are divided by, once
        they are scaled.
    scale : float or None
        What numbers are multiplied by. None: floats are made of bytes so that 255 is 1, and of
        other numbers as they are.
    resize : {'stretch', 'not_larger', 'not_smaller'} or None
        How pictures are brought to the input's size, see `rfgraph.measure.pictures.resized`. None:
        files as with ``'not_smaller'``, and arrays have to fit.
    file : str or None
        The model's path, for messages.
    """

    input: str
    shape: tuple[int, ...]
    dtype: np.dtype
    layout: Layout
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    scale: float | None = None
    resize: Resizing | None = None
    file: str | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            given = np.atleast_1d(np.asarray(getattr(self, name), np.float64))
            if given.shape not in ((1,), (self.channels,)) or not np.isfinite(given).all():
                raise QueryError(
                    f"{name}: give one number, or one for each of {self.channels} channels",
                    file=self.file,
                )
        if self.scale is not None and not np.isfinite(self.scale):
            raise QueryError("scale: it has to be a number", file=self.file)
        if not np.all(self.std):
            raise QueryError("std: nothing can be divided by 0", file=self.file)
        if self.resize is not None and self.resize not in RESIZINGS:
            raise QueryError(
                f"resize: there is no '{self.resize}'", remedy=f"give one of {', '.join(RESIZINGS)}"
            )

    @property
    def channels(self) -> int:
        """How many channels the input has."""
        return 1 if self.layout.channels is None else self.shape[self.layout.channels]

    @property
    def row(self) -> tuple[int, ...]:
        """The shape of one image: that of the input, with one row of the batch."""
        return tuple(1 if axis == self.layout.batch else n for axis, n in enumerate(self.shape))

    @property
    def size(self) -> tuple[int, ...]:
        """The sizes along the spatial axes."""
        return tuple(self.shape[axis] for axis in self.layout.spatial)

    def is_one(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of a shape is one image, rather than several or none."""
        return 0 not in shape and (self._is_row(shape) or self._channel_of(shape) is not None)

    def fitted(self, image: np.ndarray, file: str | None, *, is_picture: bool) -> np.ndarray:
        """An image as the input takes it, of the shape `row`; a picture has its channels last.

        Raises
        ------
        QueryError
            It doesn't fit, or holds what is no number.
        """
        if image.dtype.kind not in "biuf":
            raise QueryError(f"{image.dtype} are no numbers", file=file)
        scale = self.scale
        if scale is None:
            scale = _SCALES.get(image.dtype, 1.0) if self.dtype.kind == "f" else 1.0
        if self._is_row(image.shape) and not is_picture:
            laid = image.reshape(self.row)
        else:
            laid = self._laid(image, file, is_picture=is_picture)
        if laid.dtype.kind == "f" and not np.isfinite(laid).all():
            raise QueryError(
                "it holds NaN or infinity",
                file=file,
                remedy="leave this image out, or put numbers in their place",
            )
        if (scale, self.mean, self.std) != (1.0, 0.0, 1.0):
            mean, std = (self.by_channel(given) for given in (self.mean, self.std))
            laid = (laid.astype(np.float64) * scale - mean) / std
        if self.dtype.kind in "iu" and laid.dtype.kind == "f":
            ends = np.iinfo(self.dtype)
            laid = np.clip(np.rint(laid), ends.min, ends.max)
        return np.ascontiguousarray(laid, self.dtype)

    def by_channel(self, given: float | tuple[float, ...]) -> np.ndarray:
        """A number for each channel, or one for all, to be broadcast over an image."""
        shape = [1] * len(self.shape)
        values = np.atleast_1d(np.asarray(given, np.float64))
        if len(values) > 1:
            shape[self._channel] = len(values)
        return values.reshape(shape)

    def _is_row(self, shape: tuple[int, ...]) -> bool:
        """Whether a shape is that of an image, but for axes of length 1."""
        return [n for n in shape if n > 1] == [n for n in self.row if n > 1]

    def _channel_of(self, shape: tuple[int, ...]) -> int | None:
        """The axis of the channels of a picture of any size; None if a shape is that of none."""
        if len(self.layout.spatial) != 2:
            return None
        shape = _bare(shape)
        if len(shape) == 2 and self.channels == 1:
            return 2
        if len(shape) != 3:
            return None
        first = self.layout.channels is not None and self.layout.channels < self.layout.spatial[0]
        order = (0, 2) if first else (2, 0)
        return next((axis for axis in order if shape[axis] == self.channels), None)

    def _laid(self, image: np.ndarray, file: str | None, *, is_picture: bool) -> np.ndarray:
        """A picture brought to the input's size, and laid as it takes it."""
        channel = 2 if is_picture else self._channel_of(image.shape)
        if channel is None:
            raise QueryError(
                f"an array of shape {_sizes(image.shape)} is no image for input '{self.input}' of "
                f"shape {_sizes(self.shape)}",
                file=file,
                remedy=f"give arrays of shape {_sizes(self.row)}",
            )
        image = image.reshape(_bare(image.shape))
        if image.ndim == 2:
            image = image[..., None]
        image = np.moveaxis(image, channel, 2)
        height, width = self.size
        if image.shape[:2] != (height, width):
            if self.resize is None and not is_picture:
                raise QueryError(
                    f"an image of {_sizes(image.shape[:2])} does not fit input '{self.input}', "
                    f"which takes {height}x{width}",
                    file=file,
                    remedy="say how to bring it to that size with resize=, on the command line "
                    "--resize",
                )
            image = resized(image, (height, width), self.resize or "not_smaller")
        order = (*self.layout.spatial, *(() if self.layout.channels is None else (self._channel,)))
        if self.layout.channels is None:
            image = image[..., 0]
        # Axes in the order of the input's; those that an image has not have length 1.
        return np.transpose(image, np.argsort(order)).reshape(self.row)

    @property
    def _channel(self) -> int:
        assert self.layout.channels is not None
        return self.layout.channels


class Images(Sequence[np.ndarray]):
    """Images, each read and made to fit when it is asked for.

    Parameters
    ----------
    fitting : Fitting
        How they are made to fit.
    items : sequence
        Paths, arrays or what Pillow has opened; what is not given as such is read by `take`.
    source : str
        Where they are from, in words.
    is_noise : bool
        Whether they are random numbers, as no images were given.

    Attributes
    ----------
    fitting, source, is_noise
        As given.
    """

    def __init__(
        self, fitting: Fitting, items: Sequence[Any], source: str, *, is_noise: bool = False
    ) -> None:
        self.fitting = fitting
        self.source = source
        self.is_noise = is_noise
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, number: Any) -> Any:
        """One image, an array of the shape of the input with one row of the batch.

        Raises
        ------
        QueryError
            It can't be read or does not fit; the error names its file.
        """
        if isinstance(number, slice):
            return [self[k] for k in range(len(self))[number]]
        number = range(len(self))[number]
        # It is read once: that may take long.
        item = self._items[number]
        name = self._called(item, number)
        if isinstance(item, (str, os.PathLike)):
            path = Path(item)
            if path.suffix.lower() != ".npy":
                return self._of_picture(opened(path), name)
            item = _loaded(path)
        if hasattr(item, "convert") and hasattr(item, "mode"):
            return self._of_picture(item, name)
        return self.fitting.fitted(_array(item, name), name, is_picture=False)

    def _of_picture(self, picture: Any, name: str) -> np.ndarray:
        fitting = self.fitting
        if len(fitting.layout.spatial) != 2:
            raise QueryError(
                f"a picture does not fit input '{fitting.input}' of shape "
                f"{_sizes(fitting.shape)}, which has no height and width",
                file=name,
                remedy="give arrays, or say with layout= which axes are height and width",
            )
        try:
            image = pixels(picture, fitting.channels)
        except ValueError as error:
            raise QueryError(
                f"input '{fitting.input}' takes {fitting.channels} channels: {error}",
                file=name,
                remedy=f"give arrays of shape {_sizes(fitting.row)}",
            ) from None
        return fitting.fitted(image, name, is_picture=True)

    def name(self, number: int) -> str:
        """What an image is called: its file, or its number.

        Parameters
        ----------
        number : int
            Its number.

        Returns
        -------
        str
            Such as ``photos/a.png``, or ``image 3 of an array``.
        """
        item = None if isinstance(self._items, _Made) else self._items[number]
        return self._called(item, number)

    def _called(self, item: Any, number: int) -> str:
        if isinstance(item, (str, os.PathLike)):
            return os.fspath(item)
        return f"image {number} of {self.source}"

    def __repr__(self) -> str:
        return f"<{len(self)} images: {self.source}>"


class _Made(Sequence[Any]):
    """Items that are made when they are asked for."""

    def __init__(self, make: Callable[[int], Any], number: int) -> None:
        self._make = make
        self._number = number

    def __len__(self) -> int:
        return self._number

    def __getitem__(self, number: Any) -> Any:
        return self._make(number)


def images_of(
    analysis: Analysis,
    input: str,
    dtype: np.dtype,
    given: Any = None,
    *,
    layout: str | None = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    scale: float | None = None,
    resize: Resizing | None = None,
    most: int | None = None,
    seed: int = 0,
    below: int | None = None,
) -> Images:
    """The images that a model is measured on.

    Parameters
    ----------
    analysis : Analysis
        The analysis.
    input : str
        The input that takes the images.
    dtype : numpy.dtype
        The type of its elements.
    given : path, array or iterable, optional
        A folder of pictures and .npy files, each one image; one such file; a .npy, .npz or zarr
        array of images along its first axis; an array in memory, of NumPy or dask; or any iterable
        of arrays, paths and what Pillow has opened, of which at most 10,000 are taken, unless
        `most` says otherwise. None: random numbers, `NOISE` times if `most` does not say how often:
        normal ones of mean 0 and standard deviation 1, or whole ones from 0 to `below` - 1.
    layout : str, optional
        What the axes of the input are, such as ``NCHW`` or ``NHWC``; as fields move over it if
        left out.
    mean, std : float or sequence of float, optional
        What is taken off numbers, and what they are divided by: one number, or one a channel, once
        they are scaled.
    scale : float, optional
        What numbers are multiplied by; if left out, bytes become floats from 0 to 1, and others
        stay as they are.
    resize : {'stretch', 'not_larger', 'not_smaller'}, optional
        How pictures are brought to the input's size, in the words of ONNX's Resize; files as with
        ``'not_smaller'`` if left out, while arrays then have to fit.
    most : int, optional
        How many images are taken.
    seed : int, optional
        Of random numbers.
    below : int, optional
        Random whole numbers are less; as large as the type allows if left out, of 8 bits.

    Returns
    -------
    Images
        A sequence, read as it is asked for.

    Raises
    ------
    QueryError
        There are no images, or they can't be read or do not fit; the error names the file.

    Examples
    --------
    >>> import rfgraph
    >>> a = rfgraph.analyze("models/resnet50.onnx")
    >>> images = images_of(a, "x", np.dtype(np.float32), np.zeros((5, 224, 224, 3), np.uint8))
    >>> len(images), images[0].shape
    (5, (1, 3, 224, 224))
    """
    if most is not None and most < 1:
        raise QueryError(f"{most} images are none", remedy="give a number from 1 on")
    shape = analysis.extent(input)
    if shape is None or 0 in shape:
        raise QueryError(f"the shape of input '{input}' is not known", file=analysis.file)
    fitting = Fitting(
        input, shape, np.dtype(dtype), Layout.of(analysis, input, layout), _numbers("mean", mean),
        _numbers("std", std), scale, resize, analysis.file,
    )  # fmt: skip
    if given is None:
        return _noise(fitting, most or NOISE, seed, below)
    if isinstance(given, (str, os.PathLike)):
        items, source = _stored(Path(given), fitting), os.fspath(given)
    elif hasattr(given, "shape") and hasattr(given, "dtype") and not hasattr(given, "convert"):
        source = "an array"
        items = _rows(given, fitting, source)
    elif hasattr(given, "convert"):
        items, source = [given], "what was given"
    elif isinstance(given, Iterable):
        source = "what was given"
        items = list(islice(iter(given), most or MOST))
    elif hasattr(given, "__getitem__") and hasattr(given, "__len__"):
        # As a data set, which may read each item when it is asked for.
        items, source = _Made(given.__getitem__, len(given)), "what was given"
    else:
        raise QueryError(
            f"{type(given).__name__} holds no images", remedy="give a path, an array or an iterable"
        )
    if most is not None and len(items) > most:
        items = items[:most] if isinstance(items, list) else _Made(items.__getitem__, most)
    if not len(items):
        raise QueryError(
            "there are no images", file=source, remedy="give images, or leave them out for noise"
        )
    return Images(fitting, items, source)


def _numbers(name: str, given: float | Sequence[float]) -> float | tuple[float, ...]:
    try:
        found = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise QueryError(f"{name}: give a number, or one for each channel") from None
    return float(found.ravel()[0]) if found.size == 1 else tuple(found.ravel().tolist())


def check_vocabulary(number: int | None) -> None:
    """Refuse a number of different tokens of which none could take the place of another."""
    if number is not None and number < 2:
        raise QueryError(
            f"vocabulary={number}: no token can be replaced by another",
            remedy="give how many there are, on the command line with --vocabulary",
        )


def _noise(fitting: Fitting, number: int, seed: int, below: int | None) -> Images:
    dtype = fitting.dtype
    if dtype.kind in "iu" and below is None and dtype.itemsize > 1:
        raise QueryError(
            f"input '{fitting.input}' takes whole numbers, and how large they may be is not known",
            file=fitting.file,
            remedy="give images, or how many different numbers there are with vocabulary=, on the "
            "command line --vocabulary",
        )
    # What is drawn is no pixel, which has to be scaled.
    plain = Fitting(fitting.input, fitting.shape, dtype, fitting.layout, file=fitting.file)
    make = partial(_drawn, plain.row, dtype, seed, below)
    many = f"{number:,} image{'s' * (number != 1)} of random numbers, seed {seed}"
    return Images(plain, _Made(make, number), many, is_noise=True)


def _drawn(
    shape: tuple[int, ...], dtype: np.dtype, seed: int, below: int | None, number: int
) -> np.ndarray:
    """The image of noise with a number: always the same for a seed."""
    rng = np.random.default_rng((seed, number))
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        top = int(np.iinfo(dtype).max) + 1 if below is None else below
        return rng.integers(0, top, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


# ---------------------------------------------------------------- where images are


def _stored(path: Path, fitting: Fitting) -> Sequence[Any]:
    """The images in a folder or a file."""
    name = str(path)
    if not path.exists():
        raise QueryError("there is no such file or folder", file=name)
    if path.is_dir():
        if any((path / entry).exists() for entry in ("zarr.json", ".zarray", ".zgroup")):
            return _rows(_zarr(path, fitting.input), fitting, name)
        kinds = suffixes() | {".npy"}
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in kinds and p.is_file())
        if not found:
            raise QueryError(
                "there are no images in this folder",
                file=name,
                remedy="give one with files that Pillow reads, such as PNG or JPEG, or .npy",
            )
        return found
    if path.suffix.lower() in (".npy", ".npz"):
        return _rows(_loaded(path, fitting.input), fitting, name)
    return [path]


def _rows(array: Any, fitting: Fitting, source: str) -> Sequence[Any]:
    """The images of an array: it is one, or has them along its first axis."""
    shape = tuple(int(n) for n in array.shape)
    if fitting.is_one(shape):
        return [array]
    if shape and fitting.is_one(shape[1:]):
        return _Made(lambda number: np.asarray(array[number]), shape[0])
    raise QueryError(
        f"an array of shape {_sizes(shape)} holds no images for input '{fitting.input}' of shape "
        f"{_sizes(fitting.shape)}",
        file=source,
        remedy="give any number of images, each of "
        f"{_sizes(fitting.row[(fitting.layout.batch == 0) :])}",
    )


def _loaded(path: Path, name: str = "") -> np.ndarray:
    """The array in a .npy file, or the one of a .npz file that is named, or its only one."""
    try:
        stored: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(stored, np.lib.npyio.NpzFile):
            return np.asarray(stored)
        with stored:
            return np.asarray(stored[_only(path, sorted(stored), name)])
    except (QueryError, MemoryError):
        raise
    except Exception as error:  # what broken files raise is not documented
        said = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise QueryError(f"can't be read as an array: {said}", file=str(path)) from None


def _zarr(path: Path, name: str) -> Any:
    """The array of zarr at a path, or the one of a group that is named, or its only one."""
    zarr = zarr_module(f"reads {path}")
    try:
        stored = zarr.open(str(path), mode="r")
        if isinstance(stored, zarr.Group):
            stored = stored[_only(path, sorted(stored.array_keys()), name)]
    except QueryError:
        raise
    except Exception as error:  # what broken stores raise is not documented
        said = " ".join(str(error).split())[:200]
        raise QueryError(f"can't be read as an array of zarr: {said}", file=str(path)) from None
    return stored


def _only(path: Path, names: Sequence[str], wanted: str) -> str:
    if wanted in names:
        return wanted
    if len(names) != 1:
        raise QueryError(
            f"there are {len(names)} arrays, and none is named '{wanted}'",
            file=str(path),
            remedy=f"name one as the input: '{wanted}'",
        )
    return names[0]


def _array(item: Any, name: str) -> np.ndarray:
    """An item as an array; what has no numbers is refused where it is made to fit."""
    if item is None or isinstance(item, (tuple, Mapping)):
        # Data sets have labels beside images.
        raise QueryError(
            f"{type(item).__name__} is no image", file=name, remedy="give the images alone"
        )
    try:
        return np.asarray(item)
    except (TypeError, ValueError) as error:
        raise QueryError(f"{type(item).__name__} is no image: {error}", file=name) from None


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a picture, without rows of a batch that has one."""
    while len(shape) > 3 and shape[0] == 1:
        shape = shape[1:]
    return shape


def _sizes(shape: Iterable[Any]) -> str:
    return "x".join(map(str, shape))


__all__ = ["MOST", "NOISE", "Fitting", "Images", "Layout", "check_vocabulary", "images_of"]
