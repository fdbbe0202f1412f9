"""Guard of a translation: whether it moved, lost or invented structure, without known labels."""

from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy import ndimage

from cytosuite.contract.manifest import Described, NotNegative, Share
from cytosuite.networks.tiling import bricks
from cytosuite.segmentation.foreground import (
    background_and_noise,
    li_threshold,
    remove_background,
    sigmas,
    threshold_map,
)
from cytosuite.segmentation.kept import alike, edges, shifts, standing_out, stays, surroundings
from cytosuite.segmentation.objects import around_peaks, keep_by
from cytosuite.volume.arrays import Array, Bools, Doubles, Floats, Labels, Spacing
from cytosuite.volume.memory import is_mapped, taken
from cytosuite.volume.objects import means, opened
from cytosuite.volume.pieces import from_lowest

SMOOTHING_UM = 1.0  # keeps the structure of a nucleus, not the noise
SEED_UM = 2.0  # standard deviation of a Gaussian; its maxima are bodies
REACH_UM = 3.0  # of the surroundings of a body
BACKGROUND_UM = 25.0  # radius from which structure counts as background and haze
LOCAL_UM = 10.6  # of the threshold, as for the nuclei of embryos
LOCAL_WEIGHT = 0.44
FLOOR = 5.0  # standard deviations of the smoothed background
LEAST_UM3, LEAST_UM2 = 60.0, 20.0  # of a body: a ball of 5 µm, half as wide as a nucleus
LEAST_CONTRAST = 0.25  # of the median body's
PART = (64, 256, 256)  # voxels of the parts of an image on disk that are compared
VISIBLE = 0.8  # probability to be brighter than its surroundings


class Fidelity(NamedTuple):
    """How well a translation kept the structure of an image."""

    correlation: float  # of both images smoothed, in and near bright bodies
    shift_um: float  # median of how far the edges of bodies have moved
    lost: float  # share of bright bodies of the given image that are gone
    invented: float  # share of bright bodies of the translation that are new


# Which bodies are gone, and new; µm by which edges moved; smoothed values near, before and after.
_Changes = tuple[Bools, Bools, Doubles, Floats, Floats]


class FidelityLimits(Described):
    """Limits of a translation that keeps the structure."""

    correlation: float = Field(0.6, ge=-1, le=1)  # least correlation
    shift_um: NotNegative = 0.5  # greatest median shift of edges in µm
    lost: Share = 0.04  # greatest share of bright bodies gone
    invented: Share = 0.04  # greatest share of new bright bodies


def compare(original: Array, translation: Array, spacing: Spacing) -> Fidelity:
    """Return how well a translation kept the structure of the `original` image, all finite.

    Bodies lie above a local threshold and are split at its maxima. One is gone, or new, if it
    stands out of its surroundings in one image, and less than half as much in the other (see
    `cytosuite.segmentation.kept`); the images' grey values are never compared. Memory is about 80
    bytes per voxel; of images on disk evenly spread parts are compared, and all their bodies count
    together.
    """
    boxes = [tuple(slice(0, n) for n in original.shape)]
    if is_mapped(original) or is_mapped(translation):
        boxes = bricks(original.shape, PART[-original.ndim :])
    parts = [_changes(taken(original, box), taken(translation, box), spacing) for box in boxes]
    gone, invented, lengths, before, after = (
        np.concatenate(several) for several in zip(*parts, strict=True)
    )
    return Fidelity(
        correlation=_correlation(before, after),
        shift_um=float(np.median(lengths)) if lengths.size else 0.0,
        lost=_share(gone),
        invented=_share(invented),
    )


def _changes(original: Array, translation: Array, spacing: Spacing) -> _Changes:
    sigma = [SMOOTHING_UM / step for step in spacing]
    before, after = (
        ndimage.gaussian_filter(from_lowest(image), sigma, output=np.float32, mode="nearest")
        for image in (original, translation)
    )
    invented = _faded(after, before, *_bodies(after, spacing))
    old, around = _bodies(before, spacing)
    gone = _faded(before, after, old, around)
    near = np.where(old, old, around)
    none = np.zeros(0, np.float32)
    if not gone.size:
        return gone, invented, np.zeros(0), none, none
    after = alike(after, before, near != 0)
    moved = shifts(edges(before, spacing), edges(after, spacing), near, spacing)[1:]
    return gone, invented, np.linalg.norm(moved[~gone], axis=1), before[near != 0], after[near != 0]


def complaint(fidelity: Fidelity, limits: FidelityLimits) -> str | None:
    """Return a line on the changes of a translation beyond the limits, None without one."""
    now = fidelity
    most = limits
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


def _bodies(smooth: Floats, spacing: Spacing) -> tuple[Labels, Labels]:
    """Return the bodies 1..n of a smoothed image that stand out, and their surroundings."""
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
    mask = opened(signal > np.maximum(level, np.float32(FLOOR * spread)))
    blurred = ndimage.gaussian_filter(signal, sigmas(SEED_UM, spacing, 1.0))
    blurred[~mask] = 0
    bodies = around_peaks(blurred, mask, 3)
    around = surroundings(bodies, spacing, REACH_UM)
    most = int(bodies.max(initial=0)) + 1
    voxels = np.bincount(bodies.ravel(), minlength=most)
    contrast = means(signal, bodies, most) - means(signal, around, most)
    with np.errstate(invalid="ignore"):
        keep = standing_out(smooth, bodies, around) >= VISIBLE
    keep &= voxels * np.prod(spacing) >= (LEAST_UM3 if len(spacing) == 3 else LEAST_UM2)
    if keep.any():
        keep &= contrast >= LEAST_CONTRAST * np.median(contrast[keep])
    return keep_by(bodies, keep), keep_by(around, keep)


def _faded(before: Floats, after: Floats, bodies: Labels, around: Labels) -> Bools:
    """Return of each body of an image whether it does not stand out of another."""
    first, second = (standing_out(image, bodies, around)[1:] for image in (before, after))
    return ~stays(first, second)


def _share(chosen: Bools) -> float:
    return float(chosen.mean()) if chosen.size else 0.0


def _correlation(first: Floats, second: Floats) -> float:
    """Return the correlation of two samples, 0 if one of them is constant, 1 if they are empty."""
    if not first.size:
        return 1.0
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(np.corrcoef(first, second)[0, 1])
