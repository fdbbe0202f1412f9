"""Defects of images that hide objects: padding, lone pixels, uneven light, dark nuclei."""

from operator import is_not
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.polynomial.polynomial import polygrid2d, polyvander2d

from cytosuite.contract.interface import is_finite
from cytosuite.contract.spacing import warned
from cytosuite.contract.tasks import FRAME_LABELS, IMAGE, MOVIE, Kind
from cytosuite.files import Entries
from cytosuite.networks.normalise import background_of, bright, in_dtype, sampled_percentiles
from cytosuite.volume.arrays import Array, Bools
from cytosuite.volume.memory import is_mapped, release, room
from cytosuite.volume.objects import box_of
from cytosuite.volume.pieces import gathered, slabs

_MOST = 0.6  # share of an image that padding is: beyond, it may be an object cut out
_BLOCKS = 8  # along y and x: each has some background in most images


def mended(inputs: Entries, kind: Kind | Literal["nuclei"]) -> Entries:
    """Return inputs with images mended for outputs of a kind, and a warning of each mend.

    Frames of a movie have padding and lone pixels of their own; light is uneven in all or in none.
    Of the kind ``nuclei`` images of dark ones are turned, each frame by itself.
    """
    times = 8.0 if kind == "points" else 2.0  # spots may be a pixel wide
    mends = [
        (_filled, any, "image padded: parts at its border of a single value are filled with noise"),
        (
            lambda image: _calm(image, times),
            any,
            "pixels odd: lone ones or pairs, far from all others, are taken as neighbours",
        ),
        (_levelled, all, "light uneven: the background's smooth rise over the image is subtracted"),
    ]
    if kind == "nuclei":
        mends = [(bright, any, "image inverted: its nuclei are dark on a bright ground")]
    for slug in {IMAGE.slug, MOVIE.slug} & set(inputs):
        array = inputs[slug].array
        if (
            FRAME_LABELS.slug in inputs  # which alone are read
            or not array.size
            or min(array.shape[-2:]) < _BLOCKS
            or array.dtype == bool
            or not is_finite(array)
        ):
            continue
        several = inputs[slug].axes[0] in "TC"
        images = [*array] if several else [array]
        for mend, enough, line in mends:
            changed = [*map(mend, images)]
            if enough(map(is_not, changed, images)):
                images = changed
                array = changed[0]
                if several:
                    frames = (image[None] for image in images)
                    array = gathered((len(images), *array.shape), np.result_type(*images), frames)
                inputs = {**inputs, slug: warned(inputs[slug].like(array), line)}
    return inputs


def upright(inputs: Entries, described: Entries) -> Entries:
    """Return inputs with dark nuclei turned bright where the channel is nucleus or unknown.

    Other channels stay as they are: a sheet of bright cells is no ground.
    """
    return mended(inputs, "nuclei") if described.get("channel", "nucleus") == "nucleus" else inputs


def _filled(image: Array) -> Array:
    """Return an image (..., Y, X) with noise as of the background in its padding.

    Else the whole image is an object, or the level and noise of the background are those of none.
    In memory whole faces of a single value are padding. Else it has one that is darker than noise
    gets, in a corner; rows leave and enter it once.
    """
    draw = np.random.default_rng(0)
    corners = image[np.ix_(*[(0, -1)] * image.ndim)]
    steps = [slice(None, None, 1 + n // 64) for n in image.shape[:-1]]
    for value in () if is_mapped(image) else (corners.max(), corners.min()):
        box = box_of(image != value) or ...
        field = image[box]
        if (
            1 - _MOST <= field.size / image.size < 1
            and np.ptp(field) > 0
            and np.mean(field == value) < 0.1  # else it is one of the background
        ):
            mean, sd = background_of(field)
            # Neighbours differ by noise alone, distant pixels also by cells out of focus.
            sd = min(sd, np.median(np.abs(np.diff(field[*steps].astype(np.float32)))))
            image = image.copy()
            for part in image:
                part[...] = in_dtype(draw.normal(mean, sd, part.shape), image.dtype)
            image[box] = field
    lowest = float(corners.min())
    rows = image[*steps]
    padded = rows <= lowest  # in rows enough to see padding
    if (np.mean(np.diff(padded).sum(-1) > 2) > 0.1) or not 0.01 <= padded.mean() <= _MOST:
        return image
    field = rows[~padded]
    mean, sd = background_of(field)
    if np.ptp(field) == 0 or mean - lowest <= 8 * sd:  # without noise it may be an object
        return image
    filled = room(image.shape, image.dtype)
    for part in slabs(image, filled):
        filled[part] = image[part]
        dark = filled[part] < mean - 4 * sd  # at the edge of padding it may be interpolated
        filled[part][dark] = in_dtype(draw.normal(mean, sd, dark.sum()), image.dtype)
    return filled


def _calm(image: Array, times: float) -> Array:
    """Return an image without lone pixels: farther from all others than `times` their range.

    One sets the scale of thresholds, and looks like an object once it is smoothed. They are among
    the brightest and the darkest percent. Of the 3 x 3 pixels around each the third brightest takes
    the place of a bright one, the third darkest of a dark one: lines stay. An image on disk stays.
    """
    low, high = sampled_percentiles(image, 1, 99)
    top = float(image.max())
    bottom = float(image.min())
    if is_mapped(image) or max(top - low, high - bottom) <= times * (high - low):
        return image
    planes = image.reshape(-1, *image.shape[-2:])
    above = planes > high
    below = planes < low
    cool = _ranked(planes, above, 6, bottom)
    warm = _ranked(planes, below, 2, top)
    bright = float(cool.max(initial=high))
    dark = float(warm.min(initial=low))
    reach = times * (bright - dark)
    hot = planes[above] > dark + reach
    cold = planes[below] < bright - reach
    if reach == 0 or not (hot.any() or cold.any()):
        return image
    calm = planes.copy()
    calm[above] = np.where(hot, cool, planes[above])
    calm[below] = np.where(cold, warm, planes[below])
    return calm.reshape(image.shape)


def _ranked(planes: Array, places: Bools, rank: int, outside: float) -> Array:
    """Return the value of a rank (N,) of the 3 x 3 pixels around N places in planes (Z, Y, X)."""
    wider = np.pad(planes, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    windows = sliding_window_view(wider, (3, 3), (1, 2))[places]
    return np.partition(windows.reshape(-1, 9), rank)[:, rank]


def _levelled(image: Array) -> Array:
    """Return an image (..., Y, X) less the rise of its background, itself where none is clear.

    The rise is a polynomial of y and x of degree two under the dark parts of blocks, which are cut
    down to it time and again, as there may be nuclei all over.
    """
    high, wide = (size // _BLOCKS for size in image.shape[-2:])
    planes = image.reshape(-1, *image.shape[-2:])[:: 1 + image.size // 10**6]  # enough of them
    blocks = planes[:, : high * _BLOCKS, : wide * _BLOCKS].reshape(-1, _BLOCKS, high, _BLOCKS, wide)
    dark = np.percentile(blocks, 20, axis=(0, 2, 4)).ravel()
    y, x = (np.indices((_BLOCKS, _BLOCKS)).reshape(2, -1) + 0.5) / _BLOCKS
    terms = polyvander2d(y, x, (2, 2)) * np.tri(3)[::-1].ravel()  # of y and x, two at most
    fit = np.linalg.pinv(terms)
    ground = dark
    for _ in range(21):
        curve = fit @ ground
        rise = terms @ curve
        ground = np.minimum(ground, rise)
    span = np.ptp(rise)
    light = sampled_percentiles(image, 99.8)[0] - np.median(dark)
    low, middle = np.percentile(dark - rise, (25, 50))  # blocks without nuclei must fit the rise
    if not 0.05 * light < span < light or middle - low > 0.07 * span:
        return image
    y, x = ((np.arange(size) + 0.5) / size for size in image.shape[-2:])
    rise = polygrid2d(y, x, curve.reshape(3, 3))
    even = room(image.shape, np.result_type(image, np.float32))
    for index in np.ndindex(image.shape[:-2]):
        even[index] = image[index] - rise + rise.mean()
        release(image, even)
    return even
