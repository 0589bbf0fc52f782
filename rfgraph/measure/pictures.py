"""Pictures: files and what Pillow has opened, as numbers, and brought to another size."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from rfgraph.errors import QueryError

if TYPE_CHECKING:
    from PIL.Image import Image

# How a picture is brought to a size, in the words of ONNX's Resize.
Resizing: TypeAlias = Literal["stretch", "not_larger", "not_smaller"]
RESIZINGS: tuple[str, ...] = get_args(Resizing)

# Modes of Pillow by the number of channels.
_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def opened(path: str | os.PathLike[str]) -> Image:
    """A picture in a file, turned as its camera was held.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    PIL.Image.Image
        The picture, read in full.

    Raises
    ------
    QueryError
        There is no such file, it is no picture that Pillow reads, or Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError:
        raise QueryError(
            "pictures need Pillow, which is not installed",
            file=os.fspath(path),
            remedy="pip install 'rfgraph[plot]'",
        ) from None
    with warnings.catch_warnings():
        # What is too large to be meant is refused, rather than warned of.
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            with Image.open(path) as file:
                return ImageOps.exif_transpose(file)
        except Exception as error:  # what readers of broken files raise is not documented
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise QueryError(
                f"can't be read as an image: {reason}",
                file=os.fspath(path),
                remedy="give a file that Pillow reads, such as a PNG or JPEG",
            ) from None


def suffixes() -> frozenset[str]:
    """The endings of files that Pillow reads; none where it is not installed."""
    try:
        from PIL import Image
    except ImportError:
        return frozenset()
    Image.init()
    return frozenset(s for s, kind in Image.registered_extensions().items() if kind in Image.OPEN)


def pixels(image: Image, channels: int) -> np.ndarray:
    """The pixels of a picture.

    Parameters
    ----------
    image : PIL.Image.Image
        The picture.
    channels : int
        How many channels are wanted: 1 (grey), 3 (red, green, blue) or 4 (and alpha).

    Returns
    -------
    ndarray
        Of shape ``(height, width, channels)``: bytes, or what pictures of more than 8 bits hold.

    Raises
    ------
    ValueError
        Pictures have no such number of channels.

    Examples
    --------
    >>> from PIL import Image
    >>> pixels(Image.new("RGB", (4, 2), "red"), 3)[0, 0].tolist()
    [255, 0, 0]
    """
    if channels not in _MODES:
        raise ValueError(f"a picture has 1, 3 or 4 channels, not {channels}")
    if image.mode.startswith(("I", "F")):
        # Of more than 8 bits, which Pillow cuts off where it converts.
        deep = np.asarray(image)
        return np.repeat(deep[..., None], channels, axis=2)
    made = np.asarray(image.convert(_MODES[channels]))
    return made.reshape(*made.shape[:2], channels)


def resized(image: np.ndarray, size: tuple[int, int], how: Resizing) -> np.ndarray:
    """A picture of another size.

    It is what ONNX's Resize makes of it with ``mode="linear"`` and ``antialias=1``, followed by
    CenterCropPad, but for the pixels at the borders, and fractions of a pixel where a side is
    rounded.

    Parameters
    ----------
    image : ndarray
        Of shape ``(height, width, channels)``.
    size : (int, int)
        The height and width wanted.
    how : {'stretch', 'not_larger', 'not_smaller'}
        Resize's ``keep_aspect_ratio_policy``: each side by itself; or both by one factor, so that
        neither is longer than wanted, and what is missing is 0 on both sides; or neither is
        shorter, and what is too much is cut off on both sides.

    Returns
    -------
    ndarray of float32
        Of shape ``(*size, channels)``.

    Examples
    --------
    >>> wide = np.ones((10, 20, 1))
    >>> resized(wide, (4, 4), "not_larger")[..., 0].tolist()[1:3]
    [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]
    >>> float(resized(wide, (4, 4), "not_larger").sum())
    8.0
    """
    from PIL import Image

    factors = [wanted / had for wanted, had in zip(size, image.shape, strict=False)]
    inner = size
    if how != "stretch":
        factor = min(factors) if how == "not_larger" else max(factors)
        height, width = (max(round(factor * n), 1) for n in image.shape[:2])
        inner = (height, width)
    planes = [
        np.asarray(
            Image.fromarray(np.ascontiguousarray(image[..., channel], np.float32)).resize(
                inner[::-1], Image.Resampling.BILINEAR
            )
        )
        for channel in range(image.shape[2])
    ]
    scaled = np.stack(planes, axis=-1)
    return scaled if inner == size else _centred(scaled, size)


def _centred(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a picture, or the picture in the middle of zeros, as CenterCropPad has it."""
    made = np.zeros((*size, image.shape[2]), image.dtype)
    source, target = [], []
    for had, wanted in zip(image.shape, size, strict=False):
        kept = min(had, wanted)
        source.append(slice((had - kept) // 2, (had - kept) // 2 + kept))
        target.append(slice((wanted - kept) // 2, (wanted - kept) // 2 + kept))
    made[tuple(target)] = image[tuple(source)]
    return made
