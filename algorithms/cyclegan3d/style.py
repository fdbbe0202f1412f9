"""Classical transfer of a microscope's look: blur, grey values and noise, measured and added.

The baseline that a network must beat, and its stand-in. Structure is neither moved nor sharpened.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d.intensity import extent
from cytosuite.algorithms.cyclegan3d.measure import (
    DARK,
    SHARES,
    SMOOTHING,
    CameraNoise,
    Floats,
    Levels,
    blur_of,
    levels_of,
    noise_of,
    tap,
)
from cytosuite.errors import InputError
from cytosuite.large import release, room, slabs
from cytosuite.manifest import Described

SLIGHT = 0.25  # voxels of blur that cannot be seen
WHITE = 0.1  # share of smoothed white noise that counts as structure where there is none


class Style(Described):
    """The look of a microscope's images, without their content; grey values as stored."""

    dtype: Literal["uint8", "uint16", "float32"] = Field(description="Number type of the pixels.")
    background: float = Field(description="Most frequent level of the smoothed image.")
    spread: float = Field(ge=0, description="Standard deviation of the level in the dark.")
    glow: tuple[float, ...] = Field(
        min_length=len(SHARES),
        max_length=len(SHARES),
        description="Quantiles of levels brighter than background, but no objects, at `SHARES`.",
    )
    objects: tuple[float, ...] = Field(
        min_length=len(SHARES),
        max_length=len(SHARES),
        description="Quantiles of levels of objects at `SHARES`.",
    )
    noise: CameraNoise = Field(description="CameraNoise of a pixel.")
    blur_um: tuple[float, ...] = Field(
        min_length=1,
        max_length=2,
        description="Standard deviation in µm: axial (of volumes alone), lateral.",
    )


def transfer(
    image: NDArray[Any], spacing: Sequence[float], style: Style, rng: np.random.Generator
) -> NDArray[Any]:
    """Return an image in the look of a microscope.

    Parameters
    ----------
    image : (Z, Y, X) or (Y, X) array of real numbers
        Finite, in any unit: neither offset nor gain of it matters.
    spacing : sequence of float
        µm per voxel, one per axis.
    style : Style
        The look.
    rng : numpy Generator
        Source of the noise.

    Returns
    -------
    array of the same shape, of the style's dtype
        Integers are rounded and limited to their range. An image without objects comes out as
        background with its noise.

    Raises
    ------
    InputError
        If the image is no volume or plane of finite real numbers, or the spacing does not fit.

    Notes
    -----
    1. Gaussian blur by the difference of the squared standard deviations (`blur_of`), along axes
       where the style is blurrier.
    2. A monotone map of levels: background, glow and objects each get the style's distribution
       and keep their share of the voxels (`levels_of`). Detail and noise, the difference of voxel
       and level, are scaled by the slope of the map, but never beyond the style's noise.
    3. Noise of the style up to its variance at each level, with its skewness: a gamma and a normal
       variable, as sums of independent parts of either are of their kind.
    """
    scaled, spacing = _unit(image, spacing)
    result = room(image.shape, style.dtype)
    if not scaled.size:
        return result
    extra = _lacking_blur(scaled, spacing, style)
    if any(width > SLIGHT for width in extra):
        scaled = blurred(scaled, extra)
    level = blurred(scaled, [SMOOTHING] * scaled.ndim)
    own = noise_of(scaled)
    known, wanted = _knots(levels_of(level), own, style, level)
    slope = _slopes(known, wanted)
    release(scaled, level)
    limits = np.iinfo(result.dtype) if result.dtype.kind == "u" else None
    planes = (
        (scaled, level, result) if image.ndim == 3 else (scaled[None], level[None], result[None])
    )
    for voxels, base, out in zip(*planes, strict=True):
        scale = np.interp(base, known, slope).astype(np.float32)
        mapped = np.interp(base, known, wanted).astype(np.float32)
        mapped = _noisy(mapped, scale, voxels - base, (style.noise, own.variance(base)), rng)
        out[...] = mapped if limits is None else np.clip(np.rint(mapped), limits.min, limits.max)
        release(*planes)
    return result


def blurred(image: Floats, sigma: Sequence[float]) -> Floats:
    """Return an image after a Gaussian with its border values beyond; by slabs if it is on disk.

    Parameters
    ----------
    image : (Z, Y, X) or (Y, X) float32 array
    sigma : sequence of float
        Standard deviation in voxels, one per axis.
    """
    result: Floats = room(image.shape, np.float32)
    reach = int(4 * sigma[0] + 0.5)  # where scipy ends a Gaussian
    for part in slabs(image, result):
        first = max(0, part.start - reach)
        near = ndimage.gaussian_filter(image[first : part.stop + reach], sigma, mode="nearest")
        result[part] = near[part.start - first : part.stop - first]
    return result


def _noisy(
    mapped: Floats,
    scale: Floats,
    detail: Floats,
    noise: tuple[CameraNoise, Floats],
    rng: np.random.Generator,
) -> Floats:
    """Return mapped levels with the detail of the image, and the noise that this lacks, (Y, X).

    `noise` is that of the style, and the variance that the detail holds.
    """
    camera, had = noise
    goal = camera.variance(mapped)
    louder = scale**2 * had > goal
    scale[louder] = np.sqrt(goal[louder] / had[louder])
    lacking = np.maximum(goal - scale**2 * had, 0)
    found: Floats = mapped + scale * detail + _drawn(camera, mapped, lacking, rng)
    return found


def _unit(image: NDArray[Any], spacing: Sequence[float]) -> tuple[Floats, tuple[float, ...]]:
    """Return the image from 0 to 1, so that its unit does not matter, and the spacing."""
    steps = tuple(float(step) for step in spacing)
    if image.ndim not in (2, 3) or image.dtype.kind not in "buif":
        raise InputError(
            f"style: expected a volume (Z, Y, X) or plane (Y, X) of real numbers, found "
            f"{image.ndim} axes of {image.dtype}"
        )
    if len(steps) != image.ndim or not all(0 < step < np.inf for step in steps):
        raise InputError(f"style: expected {image.ndim} voxel sizes in µm, found {steps}")
    low, high = extent(image)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("style: expected finite grey values, found NaN or infinity")
    size = max(abs(low), abs(high)) or 1.0  # halves the range first: no overflow at 1e308
    width = high / size - low / size
    result = room(image.shape, np.float32)
    for plane, out in zip(image, result, strict=True):
        out[...] = (plane / size - low / size) / (width or 1.0)
        release(image, result)
    return result, steps


def _lacking_blur(image: Floats, spacing: Sequence[float], style: Style) -> list[float]:
    """Return the blur that an image lacks along each axis, in voxels; 0 where it is not known."""
    axial = style.blur_um[:-1] or (0.0,)
    wanted = (*axial * (image.ndim - 2), *style.blur_um[-1:] * 2)
    sides = zip(wanted, blur_of(image, spacing), spacing, strict=True)
    return [sqrt(goal**2 - own**2) / step if goal > own else 0.0 for goal, own, step in sides]


def _knots(
    own: Levels, noise: CameraNoise, style: Style, level: Floats
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return levels of an image in ascending order and the levels that they become."""
    spread = own.spread * _dark_slope(own, noise, style, level.ndim)
    around = np.array([0.0, -DARK, DARK - 1])
    known, wanted = own.background + around * own.spread, style.background + around * spread
    if own.objects.size:
        known = np.concatenate([known, own.glow, own.objects])
        wanted = np.concatenate([wanted, style.glow, style.objects])
    elif own.spread > 0:
        top = extent(level)[1]
        bright = style.background + (top - own.background) * spread / own.spread
        known, wanted = np.append(known, top), np.append(wanted, min(bright, style.objects[-1]))
    known = np.round(known, 7)  # a step in float32; background wins where all are alike
    known, first = np.unique(known, return_index=True)
    return known, np.maximum.accumulate(wanted[first])


def _dark_slope(own: Levels, noise: CameraNoise, style: Style, axes: int) -> float:
    """Return the slope of the map in the background: the ratio of its structure, less white noise.

    White noise that the image lacks is added later; its part of the spread must not come from
    elsewhere. Where white noise is all, a part of it stays on both sides, and gives the ratio.
    """
    sides = []
    for spread, background, camera, dimensions in (
        (style.spread, style.background, style.noise, len(style.blur_um) + 1),
        (own.spread, own.background, noise, axes),
    ):
        left = (4 * np.pi * SMOOTHING**2) ** (-dimensions / 2)  # of white variance, smoothed
        white = left * float(camera.variance(np.array(background, np.float32)))
        sides.append(max(spread**2 - white, WHITE * white, 0.0))
    return sqrt(sides[0] / sides[1]) if sides[1] > 0 else 0.0


def _slopes(known: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slope of a map at its knots, the mean of both sides."""
    if len(known) < 2:
        return np.zeros(len(known))
    sides = np.diff(wanted) / np.diff(known)
    return np.asarray((np.append(sides, sides[-1]) + np.append(sides[0], sides)) / 2)


def _drawn(noise: CameraNoise, level: Floats, variance: Floats, rng: np.random.Generator) -> Floats:
    """Return noise of a variance at a level, with the camera's skewness, (Y, X)."""
    shot, total = noise.shot(level), noise.variance(level)
    light = variance * np.divide(shot, total, out=np.zeros_like(shot), where=total > 0)
    drawn: Floats = rng.standard_normal(level.shape, np.float32) * np.sqrt(variance - light)
    if noise.skew > 0:
        unit = np.float32(noise.skew / 2)
        shape = light / unit / unit
        drawn += unit * (rng.standard_gamma(shape, dtype=np.float32) - shape)
    if noise.correlation > 0:
        beside = tap(noise.correlation)
        taps = np.array([beside, 1.0, beside]) / sqrt(1 + 2 * beside**2)
        for axis in (0, 1):
            drawn = ndimage.convolve1d(drawn, taps, axis, mode="mirror")
    return drawn
