"""From level and flow to objects: foreground, following the flow, quality control."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, pi

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_li

from algorithms.cellpose3d.dynamics import follow, smooth_flow
from algorithms.cellpose3d.fields import Fields
from algorithms.cellpose3d.instances import instances
from algorithms.cellpose3d.parameters import Parameters
from algorithms.cellpose3d.quality import Limits, Predicted, Removal, control
from algorithms.cellpose3d.rescale import labels_to_image, linear

_SAMPLE = 2_000_000  # voxels Li's threshold is computed from; larger images are thinned evenly


@dataclass(frozen=True, slots=True)
class Found:
    """Objects on the working grid.

    Parameters
    ----------
    labels : (Z, Y, X) uint32 array
        1..n without gaps, 0 = background.
    margin : (Z, Y, X) float32 array
        How far a voxel is above the thresholds of the foreground; positive in objects only.
    removed : list of Removal
        What quality control took out.
    centres : list of (float, float, float)
        Where these were, z y x in voxels.
    li : float or None
        The threshold on the smoothed intensities, None where it was not asked for.
    """

    labels: NDArray[np.uint32]
    margin: NDArray[np.float32]
    removed: list[Removal]
    centres: list[tuple[float, ...]]
    li: float | None


def segment(
    fields: Fields, image: NDArray[np.float32], spacing: Sequence[float], parameters: Parameters
) -> Found:
    """Return the objects that level and flow tell of.

    Parameters
    ----------
    fields : Fields
        What the network said of `image`.
    image : (Z, Y, X) float32 array
        Intensities, not normalised, for the image's own threshold.
    spacing : sequence of float
        µm per voxel at the scale of the training, z y x.
    parameters : Parameters
        Thresholds and lengths.

    Returns
    -------
    Found
    """
    margin = fields.level / np.float32(parameters.tau) - 1
    li = None
    if parameters.li and bool((margin > 0).any()):
        above, li = li_margin(image, spacing, parameters)
        np.minimum(margin, above, out=margin)
    mask = margin > 0
    flow = smooth_flow(fields.flow, mask, (parameters.flow_smoothing,) * 3)
    ends = follow(flow, mask, steps=parameters.steps, step_size=parameters.step_size)
    raw = instances(
        ends,
        mask,
        spacing,
        sigma_um=parameters.seed_smoothing_um,
        distance_um=parameters.seed_distance_um,
    )
    limits = Limits(
        min_volume_um3=_within(parameters.min_volume_um3, mask.shape, spacing),
        max_volume_um3=_within(parameters.max_volume_um3, mask.shape, spacing),
        min_level=parameters.min_level,
        max_flow_error=parameters.max_flow_error,
        max_elongation=parameters.max_elongation,
    )
    labels, removed = control(raw, spacing, limits, Predicted(flow=fields.flow, level=fields.level))
    centres = ndimage.center_of_mass(raw > 0, raw, [row.label for row in removed])
    # Filled holes lie inside, removed objects outside, whatever their level.
    margin = np.where(labels > 0, np.abs(margin), -np.abs(margin)).astype(np.float32)
    return Found(labels, margin, removed, list(centres), li)


def _within(volume_um3: float, shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return what of a ball of this volume lies in the image, if that is a single slice."""
    if shape[0] > 1 or not 0 < volume_um3 < inf:
        return volume_um3
    radius = (volume_um3 * 3 / (4 * pi)) ** (1 / 3)
    return float(min(volume_um3, pi * radius**2 * spacing[0]))


def li_margin(
    image: NDArray[np.float32], spacing: Sequence[float], parameters: Parameters
) -> tuple[NDArray[np.float32], float]:
    """Return how far an image lies above its own minimum cross entropy threshold.

    Parameters
    ----------
    image : (Z, Y, X) float32 array
        Intensities.
    spacing : sequence of float
        µm per voxel.
    parameters : Parameters
        `li_smoothing_um` and `li_factor`.

    Returns
    -------
    margin : (Z, Y, X) float32 array
        Smoothed intensity above the background, divided by the threshold, minus 1.
    threshold : float
        In the image's unit.

    References
    ----------
    Li, Lee, Pattern Recognition 26 (1993) 617, doi:10.1016/0031-3203(93)90115-D; Li, Tam,
    Pattern Recognition Letters 19 (1998) 771, doi:10.1016/S0167-8655(98)00057-9.
    """
    smooth = ndimage.gaussian_filter(image, [parameters.li_smoothing_um / s for s in spacing])
    sample = smooth.ravel()[:: max(1, -(-smooth.size // _SAMPLE))]
    background = float(np.median(sample[sample <= np.median(sample)]))
    height = parameters.li_factor * (float(threshold_li(sample)) - background)
    if height <= 0:  # a constant image
        return np.full(image.shape, -1, np.float32), background
    smooth -= np.float32(background)
    smooth /= np.float32(height)
    smooth -= 1
    return smooth, background + height


def on_image(found: Found, shape: Sequence[int]) -> NDArray[np.integer]:
    """Return the objects on the grid of the image, see `labels_to_image`.

    Parameters
    ----------
    found : Found
        On the working grid.
    shape : sequence of int
        Of the image.
    """
    if found.labels.shape == tuple(shape):
        return found.labels
    return labels_to_image(found.labels, linear(found.margin, shape) > 0)
