"""Padding of images, as rotations, registrations and mosaics leave it."""

from operator import is_not

import numpy as np

from cytosuite.contract.tasks import IMAGE, MOVIE
from cytosuite.files import Entries, Json
from cytosuite.networks.normalise import background_of, in_dtype
from cytosuite.volume.arrays import Array
from cytosuite.volume.large import room
from cytosuite.volume.pieces import slabs

_ROWS = 64  # along each axis, enough to see padding
_LEAST, _MOST = 0.01, 0.6  # share of an image that padding is: beyond, it may be an object cut out
_BELOW = 8.0  # standard deviations of the background: noise is never as dark
_EDGE = 4.0  # standard deviations: voxels at the edge of padding may be interpolated
_LINE = (
    "image padded: parts at its border have a single value, below the noise of the background; "
    "noise is taken there"
)
_RAGGED = 0.1  # rows that may cross an edge of padding more than twice


def without_padding(inputs: Entries) -> tuple[Entries, list[str]]:
    """Return inputs with noise as of the background in the padding of images, and a warning.

    Else the whole image is an object, or the level and noise of the background are those of none.
    """
    changed: Json = {}
    for slug in {IMAGE.slug, MOVIE.slug} & set(inputs):
        volume = inputs[slug]
        several = volume.axes[0] in "TC"
        images = [*volume.array] if several else [volume.array]
        filled = [_filled(image) for image in images]
        if any(map(is_not, filled, images)):
            changed[slug] = volume.like(np.stack(filled) if several else filled[0])
    return {**inputs, **changed}, [_LINE] * len(changed)


def _filled(image: Array) -> Array:
    """Return an image (..., Y, X) with noise in its padding; without padding itself.

    Padding has a single value, darker than noise gets, in a corner; rows leave and enter it once.
    """
    if not image.size or image.dtype == bool:
        return image
    lowest = float(image[np.ix_(*[(0, -1)] * image.ndim)].min())
    rows = image[tuple(slice(None, None, 1 + n // _ROWS) for n in image.shape[:-1])]
    padded = rows <= lowest
    ragged = np.mean(np.diff(padded).sum(-1) > 2) > _RAGGED
    if ragged or not _LEAST <= padded.mean() <= _MOST:
        return image
    field = rows[~padded]
    mean, sd = background_of(field)
    if np.ptp(field) == 0 or mean - lowest <= _BELOW * sd:  # without noise it may be an object
        return image
    filled, draw = room(image.shape, image.dtype), np.random.default_rng(0)
    for part in slabs(image, filled):
        filled[part] = image[part]
        dark = filled[part] < mean - _EDGE * sd
        filled[part][dark] = in_dtype(draw.normal(mean, sd, dark.sum()), image.dtype)
    return filled
