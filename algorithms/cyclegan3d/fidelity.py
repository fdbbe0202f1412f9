"""Guard of a translation: whether it moved, lost or invented structure, without known labels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.segmentation import watershed

from cytosuite.large import is_mapped, taken
from cytosuite.manifest import Described
from cytosuite.segmentation.foreground import (
    background_and_noise,
    li_threshold,
    remove_background,
    sigmas,
    threshold_map,
)
from cytosuite.segmentation.kept import (
    alike,
    edges,
    shifts,
    standing_out,
    stays,
    surroundings,
)
from cytosuite.segmentation.objects import keep_by
from cytosuite.tiling import bricks

SMOOTHING_UM = 1.0  # keeps the structure of a nucleus, not the noise
SEED_UM = 2.0  # standard deviation of the Gaussian whose maxima are bodies
REACH_UM = 3.0  # of the surroundings of a body
BACKGROUND_UM = 25.0  # radius from which structure counts as background and haze
LOCAL_UM, LOCAL_WEIGHT = 10.6, 0.44  # of the threshold, as for the nuclei of embryos
FLOOR = 5.0  # standard deviations of the smoothed background
LEAST_UM3, LEAST_UM2 = 60.0, 20.0  # of a body: a ball of 5 µm, half as wide as a nucleus
LEAST_CONTRAST = 0.25  # of the median body's
PART = (64, 256, 256)  # voxels of the parts of an image on disk that are compared
VISIBLE = 0.8  # probability to be brighter than its surroundings

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


class Fidelity(NamedTuple):
    """How well a translation kept the structure of an image."""

    correlation: float  # of both images smoothed, in and near bright bodies
    shift_um: float  # median of how far the edges of bodies have moved
    lost: float  # share of bright bodies of the given image that are gone
    invented: float  # share of bright bodies of the translation that are new


class _Changes(NamedTuple):
    """Changes of the bright bodies of an image, or of a part of it."""

    gone: NDArray[np.bool_]  # of each body of the given image
    invented: NDArray[np.bool_]  # of each body of the translation
    lengths: NDArray[np.float64]  # by which edges of bodies that stay have moved, µm
    before: Floats  # grey values in and near bodies, smoothed
    after: Floats  # and those of the translation


class FidelityLimits(Described):
    """Limits of a translation that keeps the structure."""

    correlation: float = Field(0.6, ge=-1, le=1, description="Least correlation.")
    shift_um: float = Field(0.5, ge=0, description="Greatest median shift of edges in µm.")
    lost: float = Field(0.04, ge=0, le=1, description="Greatest share of bright bodies gone.")
    invented: float = Field(0.04, ge=0, le=1, description="Greatest share of new bright bodies.")


def compare(given: NDArray[Any], made: NDArray[Any], spacing: Sequence[float]) -> Fidelity:
    """Return how well a translation kept the structure of an image.

    Parameters
    ----------
    given, made : (Z, Y, X) or (Y, X) arrays of real numbers
        The image and its translation, of one shape, finite; in any unit.
    spacing : sequence of float
        µm per voxel, one per axis.

    Returns
    -------
    Fidelity
        All finite. Without a bright body nothing can be lost, invented or moved: correlation 1.

    Notes
    -----
    Bodies are what lies above a local threshold, split at its maxima. One of an image is
    gone, or new, if it stands out of its surroundings there, and less than half as much in the
    other image (see `cytosuite.segmentation.kept`); the images' grey values are never compared.
    Memory is linear in the voxels, about 80 bytes for each; of images on disk, parts that lie
    evenly in them are compared, and all their bodies count together.
    """
    boxes = [tuple(slice(0, n) for n in given.shape)]
    if is_mapped(given) or is_mapped(made):
        boxes = bricks(given.shape, PART[-given.ndim :])
    parts = [_changes(taken(given, box), taken(made, box), spacing) for box in boxes]
    gone, invented, lengths, before, after = (
        np.concatenate(several) for several in zip(*parts, strict=True)
    )
    if not gone.size:
        return Fidelity(1.0, 0.0, 0.0, _share(invented))
    return Fidelity(
        correlation=_correlation(before, after),
        shift_um=float(np.median(lengths)) if lengths.size else 0.0,
        lost=_share(gone),
        invented=_share(invented),
    )


def _changes(given: NDArray[Any], made: NDArray[Any], spacing: Sequence[float]) -> _Changes:
    """Return the changes of the bright bodies of an image."""
    before, after = (_smooth(image, spacing) for image in (given, made))
    invented = _faded(after, before, *_bodies(after, spacing))
    old, around = _bodies(before, spacing)
    gone = _faded(before, after, old, around)
    near = np.where(old, old, around)
    none = np.zeros(0, np.float32)
    if not gone.size:
        return _Changes(gone, invented, np.zeros(0), none, none)
    after = alike(after, before, near != 0)
    moved = shifts(edges(before, spacing), edges(after, spacing), near, spacing)[1:]
    lengths = np.linalg.norm(moved[~gone], axis=1)
    return _Changes(gone, invented, lengths, before[near != 0], after[near != 0])


def complaint(fidelity: Fidelity, limits: FidelityLimits) -> str | None:
    """Return a line on the changes of a translation beyond the limits, None without one.

    Examples
    --------
    >>> complaint(Fidelity(0.9, 0.1, 0.125, 0.0), FidelityLimits())
    '12 % of the bright bodies are gone (limit 4 %)'
    """
    now, most = fidelity, limits
    faults = []
    if now.lost > most.lost:
        faults.append(f"{now.lost:.0%} of the bright bodies are gone (limit {most.lost:.0%})")
    if now.invented > most.invented:
        faults.append(f"{now.invented:.0%} of its bodies are new (limit {most.invented:.0%})")
    if now.shift_um > most.shift_um:
        faults.append(f"edges moved by {now.shift_um:.1f} µm (limit {most.shift_um:.1f} µm)")
    if now.correlation < most.correlation:
        faults.append(f"correlation {now.correlation:.2f} (least {most.correlation:.2f})")
    return ", ".join(faults).replace("%", " %") or None


def _smooth(image: NDArray[Any], spacing: Sequence[float]) -> Floats:
    """Return an image without its noise."""
    sigma = [SMOOTHING_UM / step for step in spacing]
    smooth: Floats = ndimage.gaussian_filter(image, sigma, output=np.float32, mode="nearest")
    return smooth


def _bodies(smooth: Floats, spacing: Sequence[float]) -> tuple[Labels, Labels]:
    """Return the bright bodies of a smoothed image, 1..n, and their surroundings."""
    signal = remove_background(smooth, spacing, BACKGROUND_UM)
    background, spread = background_and_noise(signal)
    signal -= np.float32(background)
    level = threshold_map(
        signal,
        spacing,
        threshold=li_threshold(signal),
        local_um=LOCAL_UM,
        local_weight=LOCAL_WEIGHT,
        elongation=1.0,
    )
    wide = [3 if length >= 3 else 1 for length in smooth.shape]
    mask = ndimage.binary_opening(
        signal > np.maximum(level, np.float32(FLOOR * spread)), np.ones(wide, bool)
    )
    blurred = ndimage.gaussian_filter(signal, sigmas(SEED_UM, spacing, 1.0))
    blurred[~mask] = 0
    peaks = peak_local_max(blurred, min_distance=3, exclude_border=False)
    seeds = np.zeros(mask.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    bodies: Labels = watershed(-blurred, seeds, mask=mask).astype(np.int32, copy=False)
    return _clear(bodies, smooth, signal, spacing)


def _clear(
    bodies: Labels, smooth: Floats, signal: Floats, spacing: Sequence[float]
) -> tuple[Labels, Labels]:
    """Return the bodies that stand out of their surroundings, and these."""
    around = surroundings(bodies, spacing, REACH_UM)
    most = int(bodies.max(initial=0)) + 1
    voxels, beside = (np.bincount(each.ravel(), minlength=most) for each in (bodies, around))
    light, dark = (
        np.bincount(each.ravel(), signal.ravel(), most) / np.maximum(number, 1)
        for each, number in ((bodies, voxels), (around, beside))
    )
    with np.errstate(invalid="ignore"):
        keep = standing_out(smooth, bodies, around) >= VISIBLE
    keep &= voxels * np.prod(spacing) >= (LEAST_UM3 if len(spacing) == 3 else LEAST_UM2)
    if keep.any():
        keep &= light - dark >= LEAST_CONTRAST * np.median((light - dark)[keep])
    return keep_by(bodies, keep), keep_by(around, keep)


def _faded(before: Floats, after: Floats, bodies: Labels, around: Labels) -> NDArray[np.bool_]:
    """Return of each body of an image whether it does not stand out of another."""
    first, second = (standing_out(image, bodies, around)[1:] for image in (before, after))
    return ~stays(first, second)


def _share(chosen: NDArray[np.bool_]) -> float:
    """Return the share of true values, 0 of none."""
    return float(chosen.mean()) if chosen.size else 0.0


def _correlation(first: Floats, second: Floats) -> float:
    """Return the correlation of two samples, 0 if one of them is constant."""
    one, other = (
        values.astype(np.float64) - values.mean(dtype=np.float64) for values in (first, second)
    )
    norm = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / norm if norm > 0 else 0.0
