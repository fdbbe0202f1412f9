"""Measurement of a microscope's look on real images, without labels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d.measure import (
    SMOOTHING,
    CameraNoise,
    blur_of,
    levels_of,
    noise_of,
)
from cytosuite.algorithms.cyclegan3d.style import Style
from cytosuite.errors import InputError
from cytosuite.volume import Volume


def measure_style(volumes: Sequence[Volume]) -> Style:
    """Return the look that real images share.

    Parameters
    ----------
    volumes : sequence of Volume
        Of one microscope, axes ZYX or YX, all alike, of one dtype; all as they came from the
        detector: uint8, uint16 or floating point.

    Returns
    -------
    Style
        The median over the images of each property; the quantiles of their levels are averaged
        with the number of voxels as weight: crowded images count more than sparse ones, which are
        often brighter.

    Raises
    ------
    InputError
        If there is no image, axes or dtypes differ or are others, a grey value is not finite, or no
        image shows an object.
    """
    dtype = _checked(volumes)
    noises, blurs, levels = [], [], []
    for volume in volumes:
        array = np.asarray(volume.array, np.float32)
        if not np.isfinite(array).all():
            raise InputError("style: expected finite grey values, found NaN or infinity")
        noises.append(noise_of(array))
        blur = blur_of(array, volume.spacing)
        blurs.append(blur[-1:] if array.ndim == 2 else (blur[0], blur[-1]))
        levels.append(levels_of(ndimage.gaussian_filter(array, SMOOTHING, mode="nearest")))
    shown = [each for each in levels if each.objects.size]
    if not shown:
        raise InputError(
            f"style: none of {len(volumes)} images shows an object brighter than its background; "
            "give images with objects"
        )
    sizes = [each.voxels for each in shown]
    middle = {
        name: float(np.median([getattr(each, name) for each in noises]))
        for name in CameraNoise.model_fields
    }
    return Style(
        dtype=dtype,
        background=float(np.median([each.background for each in shown])),
        spread=float(np.median([each.spread for each in shown])),
        glow=tuple(np.average([each.glow for each in shown], axis=0, weights=sizes).tolist()),
        objects=tuple(np.average([each.objects for each in shown], axis=0, weights=sizes).tolist()),
        noise=CameraNoise(**middle),
        blur_um=tuple(_known_median(list(along)) for along in zip(*blurs, strict=True)),
    )


def _checked(volumes: Sequence[Volume]) -> Literal["uint8", "uint16", "float32"]:
    """Return the dtype of images that can share a look."""
    if not volumes:
        raise InputError("style: expected at least one real image, found none")
    found = {(volume.axes, volume.array.dtype) for volume in volumes}
    if len(found) > 1:
        kinds = ", ".join(sorted(f"{axes} {dtype}" for axes, dtype in found))
        raise InputError(f"style: expected images of one kind, found {kinds}")
    axes, dtype = found.pop()
    if axes not in ("ZYX", "YX"):
        raise InputError(f"style: expected axes ZYX or YX, found {axes}")
    if dtype.kind == "f":
        return "float32"
    if dtype == np.uint8:
        return "uint8"
    if dtype == np.uint16:
        return "uint16"
    raise InputError(f"style: expected uint8, uint16 or floating point, found {dtype}")


def _known_median(values: list[float]) -> float:
    """Return the median of the numbers that are known, 0 if none is."""
    known = [value for value in values if value == value]
    return float(np.median(known)) if known else 0.0
