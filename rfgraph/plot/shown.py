"""Images that a model was measured on, as they are to be looked at."""

from __future__ import annotations

import numpy as np

from rfgraph.measure.images import Fitting


def picture_of(fitting: Fitting, image: np.ndarray) -> np.ndarray:
    """A picture as it was before it was made to fit, from 0 to 1.

    Parameters
    ----------
    fitting : Fitting
        How it was made to fit.
    image : ndarray
        As the model takes it.

    Returns
    -------
    ndarray of float
        Along the spatial axes; of three channels they are red, green and blue, the last axis. Of
        other numbers of channels it is their mean. What was never between 0 and 1 is scaled.

    Examples
    --------
    >>> from rfgraph.measure.images import Layout
    >>> layout = Layout.parsed("NCHW")
    >>> fitting = Fitting("x", (1, 3, 2, 2), np.dtype("f4"), layout, mean=0.5, std=0.25)
    >>> picture_of(fitting, np.full((1, 3, 2, 2), 1.0))[0, 0].tolist()
    [0.75, 0.75, 0.75]
    """
    layout = fitting.layout
    mean, std = (fitting.by_channel(given) for given in (fitting.mean, fitting.std))
    made: np.ndarray = image.astype(np.float64) * std + mean
    if layout.channels is not None:
        made = np.moveaxis(made, layout.channels, -1)
    # What is left beside height, width and channels has length 1.
    sides = fitting.size
    made = made.reshape(*sides, fitting.channels)
    if fitting.channels != 3 or len(sides) != 2:
        made = made.mean(axis=-1)
    low, high = float(made.min()), float(made.max())
    if fitting.dtype == np.uint8:
        made /= 255
        return made
    if low >= 0 and high <= 1:
        return made
    made -= low
    made /= (high - low) or 1.0
    return made
