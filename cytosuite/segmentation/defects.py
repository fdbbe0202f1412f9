"""Defects of images that hide objects: padding, lone pixels, uneven light."""

from itertools import product
from operator import is_not

import numpy as np
from numpy.polynomial.polynomial import polygrid2d, polyvander2d
from scipy import ndimage

from cytosuite.contract.interface import is_finite
from cytosuite.contract.spacing import warned
from cytosuite.contract.tasks import FRAME_LABELS, IMAGE, MOVIE, Kind
from cytosuite.files import Entries
from cytosuite.networks.normalise import background_of, in_dtype, sampled_percentiles
from cytosuite.volume.arrays import Array
from cytosuite.volume.large import is_mapped, release, room
from cytosuite.volume.objects import box_of
from cytosuite.volume.pieces import slabs

_ROWS = 64  # along each axis, enough to see padding
_LEAST, _MOST = 0.01, 0.6  # share of an image that padding is: beyond, it may be an object cut out
_BELOW = 8.0  # standard deviations of the background: noise is never as dark
_EDGE = 4.0  # standard deviations: voxels at the edge of padding may be interpolated
_RAGGED = 0.1  # rows that may cross an edge of padding more than twice
_BLOCKS = 8  # along y and x: each has some background in most images


def mended(inputs: Entries, kind: Kind) -> Entries:
    """Return inputs with images without defects, each with a warning, for outputs of a kind."""
    times = 8.0 if kind == "points" else 2.0  # spots may be a pixel wide
    for slug, (mend, line) in product(
        {IMAGE.slug, MOVIE.slug} & set(inputs),
        (
            (_filled, "image padded: parts at its border of a single value are filled with noise"),
            (
                lambda image: _calm(image, times),
                "pixels odd: lone ones or pairs, far from all others, are taken as neighbours",
            ),
            (
                _levelled,
                "light uneven: the background's smooth rise over the whole image is subtracted",
            ),
        ),
    ):
        volume = inputs[slug]
        array = volume.array
        if (
            array.dtype == bool
            or not array.size
            or not is_finite(array)
            or FRAME_LABELS.slug in inputs
        ):
            continue  # grey values that nobody can calculate with, or reads
        several = volume.axes[0] in "TC"
        images = [*array] if several else [array]
        changed = [*map(mend, images)]
        if any(map(is_not, changed, images)):
            array = np.stack(changed) if several else changed[0]
            inputs = {**inputs, slug: warned(volume.like(array), line)}
    return inputs


def _filled(image: Array) -> Array:
    """Return an image (..., Y, X) with noise as of the background in its padding.

    Else the whole image is an object, or the level and noise of the background are those of none.
    In memory whole faces of a single value are padding. Else it has one that is darker than noise
    gets, in a corner; rows leave and enter it once.
    """
    draw, corners = np.random.default_rng(0), image[np.ix_(*[(0, -1)] * image.ndim)]
    for value in () if is_mapped(image) else (corners.max(), corners.min()):
        box = box_of(image != value) or ...
        field = image[box]
        if (
            1 - _MOST <= field.size / image.size < 1
            and np.ptp(field) > 0
            and np.mean(field == value) < 0.1  # else it is one of the background
        ):
            mean, sd = background_of(field)
            # Of pixels beside each other: cells out of focus are no noise.
            sd = min(sd, np.median(np.abs(np.diff(field.astype(np.float32)))))
            image = image.copy()
            for part in image:
                part[...] = in_dtype(draw.normal(mean, sd, part.shape), image.dtype)
            image[box] = field
    lowest = float(corners.min())
    rows = image[tuple(slice(None, None, 1 + n // _ROWS) for n in image.shape[:-1])]
    padded = rows <= lowest
    ragged = np.mean(np.diff(padded).sum(-1) > 2) > _RAGGED
    if ragged or not _LEAST <= padded.mean() <= _MOST:
        return image
    field = rows[~padded]
    mean, sd = background_of(field)
    if np.ptp(field) == 0 or mean - lowest <= _BELOW * sd:  # without noise it may be an object
        return image
    filled = room(image.shape, image.dtype)
    for part in slabs(image, filled):
        filled[part] = image[part]
        dark = filled[part] < mean - _EDGE * sd
        filled[part][dark] = in_dtype(draw.normal(mean, sd, dark.sum()), image.dtype)
    return filled


def _calm(image: Array, times: float) -> Array:
    """Return an image without lone pixels, `times` as far from the others as these lie apart.

    One sets the scale of thresholds, and looks like an object once it is smoothed. Of 3 x 3 pixels
    the third takes its place: a bright line stays. An image on disk stays as it is.
    """
    low, high = sampled_percentiles(image, 1, 99)
    if is_mapped(image) or max(image.max() - low, high - image.min()) <= times * (high - low):
        return image
    native = image.astype(np.promote_types(image.dtype, np.int16), copy=False)
    square = (*[1] * (image.ndim - 2), 3, 3)
    near = ndimage.rank_filter(native, -3, square, mode="constant", cval=float(image.min()))
    dark, bright = float(near.min()), float(near.max())
    reach = times * (bright - dark)
    odd = (image > dark + reach) | (image < bright - reach)
    return np.where(odd, near, image).astype(image.dtype) if odd.any() else image


def _levelled(image: Array) -> Array:
    """Return an image (..., Y, X) less the rise of its background, itself where none is clear.

    The rise is a polynomial of y and x of degree two under the dark parts of blocks, which are cut
    down to it time and again, as there may be nuclei all over.
    """
    if min(image.shape[-2:]) < _BLOCKS:
        return image
    dark = [
        sampled_percentiles(block, 20)[0]
        for rows in np.array_split(image, _BLOCKS, -2)
        for block in np.array_split(rows, _BLOCKS, -1)
    ]
    y, x = (np.indices((_BLOCKS, _BLOCKS)).reshape(2, -1) + 0.5) / _BLOCKS
    terms = polyvander2d(y, x, (2, 2)) * np.tri(3)[::-1].ravel()  # of y and x, two at most
    fit, ground = np.linalg.pinv(terms), np.array(dark)
    for _ in range(20):
        ground = np.minimum(ground, terms @ fit @ ground)
    rise = terms @ fit @ ground
    span, light = np.ptp(rise), sampled_percentiles(image, 99.8)[0] - np.median(dark)
    low, middle = np.percentile(dark - rise, (25, 50))  # scatter by those that are no nuclei
    if not 0.05 * light < span < light or middle - low > 0.07 * span:
        return image
    y, x = ((np.arange(size) + 0.5) / size for size in image.shape[-2:])
    rise = polygrid2d(y, x, (fit @ ground).reshape(3, 3))
    even = room(image.shape, np.result_type(image, np.float32))
    for index in np.ndindex(image.shape[:-2]):
        even[index] = image[index] - rise + rise.mean()
        release(image, even)
    return even
