"""Images that are laid over an input, read by Pillow."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from rfgraph.errors import QueryError

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
        with warnings.catch_warnings():
            # What is too large to be meant is refused, rather than warned of.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                with Image.open(image) as file:
                    return pixels(file)
            except QueryError:
                raise
            except Exception as error:  # what readers of broken files raise is not documented
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                raise QueryError(
                    f"can't be read as an image: {reason}",
                    file=os.fspath(image),
                    remedy="give a file that Pillow reads, such as a PNG or JPEG",
                ) from None
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
