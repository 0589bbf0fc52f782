"""Images that are laid over an input, read by Pillow."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from rfgraph.errors import QueryError
from rfgraph.measure.pictures import opened

# A path, what Pillow has opened, or an array: grey, or with red, green, blue and perhaps alpha.
Photo = str | os.PathLike[str] | np.ndarray | Any


def pixels(image: Photo) -> np.ndarray:
    """The pixels of an image, as matplotlib draws them.

    Parameters
    ----------
    image : path, PIL.Image.Image or ndarray
        The image; an array is grey, ``(height, width)``, or has 3 or 4 channels last, as bytes or
        as floats from 0 to 1.

    Returns
    -------
    ndarray
        Of shape ``(height, width)``, or with 3 or 4 channels last.

    Raises
    ------
    QueryError
        There is no such file, it is no image that Pillow reads, or the array is none.
    """
    from PIL import Image, ImageOps

    if isinstance(image, (str, os.PathLike)):
        image = opened(image)
    if isinstance(image, Image.Image):
        turned = ImageOps.exif_transpose(image)
        deep = turned.mode.startswith(("I", "F"))
        return _checked(np.asarray(turned if deep else turned.convert("RGBA")))
    return _checked(np.asarray(image))


def _checked(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3) or 0 in array.shape or array.shape[2:] not in ((), (3,), (4,)):
        raise QueryError(
            f"an array of shape {array.shape} is no image",
            remedy="give (height, width), or (height, width, 3 or 4)",
        )
    return array
