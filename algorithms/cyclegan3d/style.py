"""Classical transfer of a microscope's look (blur, grey values, noise): baseline and stand-in."""

from collections.abc import Sequence
from math import sqrt
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d.measure import (
    DARK,
    SHARES,
    SMOOTHING,
    CameraNoise,
    Levels,
    blur_of,
    levels_of,
    noise_of,
    tap,
)
from cytosuite.contract.manifest import Described, NotNegative
from cytosuite.denoising.camera import CameraModel, late, light_of
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple
from cytosuite.networks.normalise import Dtype, dtype_of
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Doubles, Floats, Lengths, Rng, Spacing
from cytosuite.volume.memory import release, room
from cytosuite.volume.objects import grown
from cytosuite.volume.pieces import deep, extremes, slabs

SLIGHT = 0.25  # voxels of blur that cannot be seen
WHITE = 0.1  # share of smoothed white noise that counts as structure where there is none
ALIKE = 1.5  # largest ratio of two growths of noise with light for one camera
APART = 0.5  # least difference of two offsets for two cameras, photons
MANY = 1000  # photons of read noise, where noise does not grow with light
MEDIAN = len(SHARES) // 2

Quantiles = Annotated[FloatTuple, Field(min_length=len(SHARES), max_length=len(SHARES))]


class Style(Described):
    """The look of a microscope's images, without their content; grey values as stored."""

    dtype: Dtype  # number type of the pixels
    background: float  # most frequent level of the smoothed image
    spread: NotNegative  # standard deviation of the level in the dark
    glow: Quantiles  # quantiles of levels brighter than background, but no objects, at `SHARES`
    objects: Quantiles  # quantiles of levels of objects at `SHARES`
    noise: CameraNoise  # cameraNoise of a pixel
    # standard deviation in µm: axial (of volumes alone), lateral
    blur_um: Lengths = Field(min_length=1, max_length=2)


def transfer(image: Array, spacing: Spacing, style: Style, rng: Rng) -> Array:
    """Return a finite image (Z, Y, X) or (Y, X) in the look of a microscope.

    1. Gaussian blur by the difference of the squared standard deviations (`blur_of`), along axes
    where the style is blurrier.

    2. A monotone map of levels: background, glow and objects each get the style's distribution and
    keep their share of the voxels (`levels_of`). Detail and noise, the difference of voxel and
    level, are scaled by the slope of the map, but never beyond the style's noise.

    3. Noise of the style up to its variance at each level, with its skewness: a gamma and a normal
    variable, as sums of independent parts of either are of their kind.
    """
    scaled = _unit(image)
    result = room(image.shape, style.dtype)
    if not scaled.size:
        return result
    scaled = _softened(scaled, spacing, style)
    level = blurred(scaled, [SMOOTHING] * scaled.ndim)
    noise = noise_of(scaled)
    before, after = _knots(levels_of(level), noise, style, level)
    sides = np.diff(after) / np.diff(before)  # slopes of the map; at a knot the mean of both
    slope = (
        (np.append(sides, sides[-1:]) + np.append(sides[:1], sides)) / 2
        if sides.size
        else 0 * before
    )
    release(scaled, level)
    limits = np.iinfo(result.dtype) if result.dtype.kind == "u" else None
    planes = [deep(array) for array in (scaled, level, result)]
    for voxels, base, out in zip(*planes, strict=True):
        scale = np.interp(base, before, slope).astype(np.float32)
        mapped = np.interp(base, before, after).astype(np.float32)
        goal = style.noise.variance(mapped)
        had = noise.variance(base)
        louder = scale**2 * had > goal
        scale[louder] = np.sqrt(goal[louder] / had[louder])
        lacking = np.maximum(goal - scale**2 * had, 0)
        mapped = mapped + scale * (voxels - base) + _drawn(style.noise, mapped, lacking, rng)
        out[...] = mapped if limits is None else np.clip(np.rint(mapped), limits.min, limits.max)
        release(*planes)
    return result


def light_in_counts(image: Array, spacing: Spacing, camera: CameraModel, style: Style) -> Floats:
    """Return the light of a finite image (Z, Y, X) in a camera's counts, without noise.

    Where the image's noise is another camera's, its light is blurred as in `transfer`, and its
    background and the median of its objects become those of the style; without objects, its noise.
    """
    light = _unit(image)
    noise = noise_of(light)
    low, high = map(float, extremes(image))
    ratio = noise.gain * (high - low) / (camera.gain * (1 + camera.excess))
    apart = abs(low + noise.offset * (high - low) - camera.offset)
    if 1 / ALIKE < ratio < ALIKE and apart < APART * camera.gain:
        return light_of(image, camera)
    shown = levels_of(blurred(light, [SMOOTHING] * light.ndim)).objects.size
    read = sqrt(noise.read_variance)
    if gain := noise.gain or read / MANY:
        light = light_of(
            light, CameraModel(gain=gain, offset=max(noise.offset, 0.0), read_noise=read / gain)
        )
    light = _softened(light, spacing, style)
    levels = levels_of(blurred(light, [SMOOTHING] * light.ndim))
    if shown and levels.objects.size:
        goal = style.objects[MEDIAN] - style.background
        slope = goal / (levels.objects[MEDIAN] - levels.background)
    else:  # without objects the noise of the background gives the scale
        dark = _white(noise, levels.background)
        slope = sqrt(_white(style.noise, style.background) / dark) if dark > 0 else 0.0
    for part in slabs(light):
        counts = style.background + slope * (light[part] - levels.background)
        light[part] = counts.clip(camera.offset)
    return light


def _softened(image: Floats, spacing: Spacing, style: Style) -> Floats:
    """Return an image with the blur of a style that it lacks; as it is where blur is unknown."""
    axial = style.blur_um[:-1] or (0.0,)
    goals = (*axial * (image.ndim - 2), *style.blur_um[-1:] * 2)
    extra = [  # voxels
        sqrt(goal**2 - blur**2) / step if goal > blur else 0.0
        for goal, blur, step in zip(goals, blur_of(image, spacing), spacing, strict=True)
    ]
    return blurred(image, extra) if any(width > SLIGHT for width in extra) else image


def blurred(image: Floats, sigma: Spacing) -> Floats:
    """Return an image after a Gaussian (`sigma` in voxels), border values beyond, by slabs."""
    result = room(image.shape, np.float32)
    reach = int(4 * sigma[0] + 0.5)  # where scipy ends a Gaussian
    for part in slabs(image, result):
        around, inner = grown([part], [reach])
        result[part] = ndimage.gaussian_filter(image[around], sigma, mode="nearest")[inner]
    return result


def _unit(image: Array) -> Floats:
    """Return the image from 0 to 1, so that its unit does not matter."""
    low, high = map(float, extremes(image))
    size = max(abs(low), abs(high)) or 1.0  # halves the range first: no overflow at 1e308
    width = high / size - low / size
    result = room(image.shape, np.float32)
    for plane, out in zip(image, result, strict=True):
        out[...] = (np.divide(plane, size, dtype=np.float64) - low / size) / (width or 1.0)
        release(image, result)
    return result


def _knots(
    levels: Levels, noise: CameraNoise, style: Style, level: Floats
) -> tuple[Doubles, Doubles]:
    """Return levels of an image in ascending order and the levels that they become."""
    spread = levels.spread * _dark_slope(levels, noise, style, level.ndim)
    around = np.array([0.0, -DARK, DARK - 1])
    before = levels.background + around * levels.spread
    after = style.background + around * spread
    if levels.objects.size:
        before = np.concatenate([before, levels.glow, levels.objects])
        after = np.concatenate([after, style.glow, style.objects])
    elif levels.spread > 0:
        top = float(extremes(level)[1])
        bright = style.background + (top - levels.background) * spread / levels.spread
        before = np.append(before, top)
        after = np.append(after, min(bright, style.objects[-1]))
    before = np.round(before, 7)  # a step in float32; background wins where all are alike
    before, first = np.unique(before, return_index=True)
    return before, np.maximum.accumulate(after[first])


def _dark_slope(levels: Levels, noise: CameraNoise, style: Style, axes: int) -> float:
    """Return the map's slope in the background: ratio of structures, less white noise."""
    sides = []
    for spread, background, camera, dimensions in (
        (style.spread, style.background, style.noise, len(style.blur_um) + 1),
        (levels.spread, levels.background, noise, axes),
    ):
        left = (4 * np.pi * SMOOTHING**2) ** (-dimensions / 2)  # of white variance, smoothed
        white = left * _white(camera, background)
        sides.append(max(spread**2 - white, WHITE * white, 0.0))
    return sqrt(sides[0] / sides[1]) if sides[1] > 0 else 0.0


def _white(noise: CameraNoise, level: float) -> float:
    """Return the variance of noise at one level."""
    return float(noise.variance(np.array(level, np.float32)))


def _drawn(noise: CameraNoise, level: Floats, variance: Floats, rng: Rng) -> Floats:
    """Return noise of a variance at a level, with the camera's skewness, (Y, X)."""
    shot = noise.shot(level)
    total = noise.variance(level)
    light = variance * np.divide(shot, total, out=np.zeros_like(shot), where=total > 0)
    drawn = rng.standard_normal(level.shape, np.float32) * np.sqrt(variance - light)
    if noise.skew > 0:
        unit = np.float32(noise.skew / 2)
        shape = light / unit / unit
        drawn += unit * (rng.standard_gamma(shape, dtype=np.float32) - shape)
    if noise.correlation > 0:
        beside = tap(noise.correlation)
        taps = np.array([beside, 1.0, beside]) / sqrt(1 + 2 * beside**2)
        for axis in (0, 1):
            drawn = ndimage.convolve1d(drawn, taps, axis, mode="mirror")
    return late(drawn, noise.lag) if noise.lag > 0 else drawn


def measure_style(volumes: Sequence[Volume]) -> Style:
    """Return the look that finite images share: the median of each property; or InputError."""
    dtype = _checked(volumes)
    noises, blurs, levels = [], [], []
    for volume in volumes:
        array = np.asarray(volume.array, np.float32)
        noises.append(noise_of(array))
        blur = blur_of(array, volume.spacing)
        blurs.append(blur[-1:] if array.ndim == 2 else (blur[0], blur[-1]))
        levels.append(levels_of(ndimage.gaussian_filter(array, SMOOTHING, mode="nearest")))
    shown = [level for level in levels if level.objects.size]
    if not shown:
        raise InputError(
            f"style: none of {len(volumes)} images shows an object brighter than its background; "
            "give images with objects"
        )
    backgrounds, spreads, glows, objects, sizes = zip(*shown, strict=True)
    middle = {
        name: float(np.median([getattr(noise, name) for noise in noises]))
        for name in CameraNoise.model_fields
    }
    return Style(
        dtype=dtype,
        background=float(np.median(backgrounds)),
        spread=float(np.median(spreads)),
        glow=tuple(np.average(glows, axis=0, weights=sizes).tolist()),
        objects=tuple(np.average(objects, axis=0, weights=sizes).tolist()),
        noise=CameraNoise(**middle),
        blur_um=tuple(
            float(np.median([value for value in along if value == value] or [0.0]))
            for along in zip(*blurs, strict=True)
        ),
    )


def _checked(volumes: Sequence[Volume]) -> Dtype:
    """Return the dtype of images that can share a look."""
    pairs = {(volume.axes, volume.array.dtype) for volume in volumes}
    if len(pairs) > 1:
        kinds = ", ".join(sorted(f"{axes} {dtype}" for axes, dtype in pairs))
        raise InputError(f"style: expected images of one kind, found {kinds}")
    ((_, dtype),) = pairs
    if dtype.kind != "f" and dtype.name not in ("uint8", "uint16"):
        raise InputError(f"style: expected uint8, uint16 or floating point, found {dtype}")
    return dtype_of(volumes[0].array)
