"""Intensities of whole images in the units of a network, and back."""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.large import planes
from cytosuite.normalise import (
    Background,
    Target,
    background_of,
    denormalise,
    in_dtype,
    normalise,
)

Image = NDArray[np.float32]
Scale = Literal["style", "background", "dtype"]
Scaling = Callable[[NDArray[Any]], Image]


def to_network(
    image: NDArray[Any], scale: Scale, where: str = "the image", target: Target | None = None
) -> Image:
    """Return a whole image in the units of a network, see `scaling_of`."""
    return scaling_of(image, scale, where, target)(image)


def scaling_of(
    image: NDArray[Any], scale: Scale, where: str = "the image", target: Target | None = None
) -> Scaling:
    """Return the function that brings an image, or parts of it, into the units of a network.

    Parameters
    ----------
    image : array of numbers
        A whole image, any shape: a part of it would be scaled by statistics of its own.
    scale : {"style", "background", "dtype"}
        ``0.5 asinh`` of the distance to a background in its standard deviations, see
        `cytosuite.normalise`: with ``style`` that of the target, for images that have its grey
        values, else the image's own; or the range of the dtype to -1..1, as published.
    where : str
        Place of a mistake.
    target : Target, optional
        For the scale ``style``.

    Raises
    ------
    InputError
        If `scale` is ``dtype`` and the image holds neither unsigned integers nor floats in 0..1.
    """
    if scale == "background":
        return partial(normalise, background=background_of(image))
    if scale == "style":
        assert target is not None  # see Parameters
        return partial(normalise, background=Background(target.mean, target.sd))
    if image.dtype.kind == "f":
        low, high = extent(image)
        if image.size and not 0 <= low <= high <= 1:
            raise InputError(
                f"{where}: a network with the scale dtype takes integers, or floats in 0..1, found "
                f"{low:g} to {high:g}; scale them"
            )
        return lambda part: (2 * part - 1).astype(np.float32)
    if image.dtype.kind not in "ub":
        raise InputError(
            f"{where}: a network with the scale dtype takes unsigned integers or floats in 0..1, "
            f"found {image.dtype}"
        )
    top = 1 if image.dtype.kind == "b" else np.iinfo(image.dtype).max
    return lambda part: part.astype(np.float32) * np.float32(2 / top) - np.float32(1)


def extent(image: NDArray[Any]) -> tuple[float, float]:
    """Return the least and the greatest value of an image, 0 and 0 of an empty one."""
    ends = [(float(slab.min()), float(slab.max())) for slab in planes(image) if slab.size]
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 0.0)


def from_network(values: Image, scale: Scale, target: Target) -> NDArray[Any]:
    """Return an image with the grey values of the target domain.

    Parameters
    ----------
    values : float32 array
        In the units of a network.
    scale : {"style", "background", "dtype"}
        As for `to_network`.
    target : Target

    Returns
    -------
    array of ``target.dtype``
        Integers are rounded, and kept within their range.
    """
    dtype = np.dtype(target.dtype)
    if scale != "dtype":
        image = denormalise(values, Background(target.mean, target.sd))
    else:
        top = 1 if dtype.kind == "f" else np.iinfo(dtype).max
        image = (values + np.float32(1)) * np.float32(top / 2)
    return in_dtype(image, dtype)
