"""Objects from level and flow: foreground, following the flow, quality control."""

from collections.abc import Sequence
from math import inf, pi
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.dynamics import follow, smooth_flow
from cytosuite.algorithms.cellpose3d.extent import Whole, above, measure, smoothed
from cytosuite.algorithms.cellpose3d.faces import moved_to_walls, without_walls_joined
from cytosuite.algorithms.cellpose3d.fields import Fields
from cytosuite.algorithms.cellpose3d.instances import instances, renumber
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.quality import LIMITS, Removal, control
from cytosuite.segmentation.foreground import threshold_map
from cytosuite.segmentation.objects import fill_holes, largest_pieces, own_level


class Found(NamedTuple):
    """Objects on the working grid."""

    labels: NDArray[np.uint32]  # (Z, Y, X), 1..n without gaps, 0 = background
    margin: NDArray[np.float32]  # (Z, Y, X), height above the thresholds, relative; > 0 in objects
    removed: list[Removal]  # objects that quality control removed
    centres: list[tuple[float, ...]]  # of these, z y x in voxels
    li: float | None  # threshold on the smoothed intensities, None where it was not asked for


def segment(
    fields: Fields,
    image: NDArray[np.float32],
    spacing: Sequence[float],
    parameters: Parameters,
    whole: Whole | None = None,
) -> Found:
    """Return the objects that level, flow and intensities show.

    Parameters
    ----------
    fields : Fields
        Prediction of the network for `image`.
    image : (Z, Y, X) float32 array
        Intensities, not normalised, for the image's own threshold.
    spacing : sequence of float
        µm per voxel at the scale of the training, z y x.
    parameters : Parameters
        Thresholds and lengths.
    whole : Whole, optional
        From `measure` on the whole image, where `image` is a part of it.
    """
    margin = fields.level / np.float32(parameters.tau) - 1
    signal = contrast = None
    if parameters.li and bool((margin > 0).any()):
        whole = whole or measure(image, spacing, parameters)
        signal = smoothed(image, spacing, parameters) - np.float32(whole.background)
        level = threshold_map(
            signal,
            spacing,
            threshold=parameters.li_factor * whole.threshold,
            local_um=parameters.local_um,
            local_weight=parameters.local_weight,
            elongation=parameters.axial_elongation,
        )
        np.minimum(margin, above(signal, level), out=margin)
    raw = _parted(fields, image, margin > 0, spacing, parameters)
    if whole is not None and signal is not None:
        if parameters.own_weight > 0:
            # A bright object is cut higher, a dim one lower than the rest.
            weight, factor = parameters.own_weight, parameters.own_factor
            own = above(signal, own_level(raw, signal, level, factor=factor, weight=weight))
            raw = fill_holes(largest_pieces(np.where(own > 0, raw, 0).astype(np.uint32)))
            np.minimum(margin, own, out=margin)
        contrast = signal / np.float32(whole.threshold or 1.0)
    limits = _limits(parameters, margin.shape, spacing)
    if contrast is None:
        del limits["min_contrast"]
    labels, removed = control(
        raw, spacing, limits, flow=fields.flow, level=fields.level, contrast=contrast
    )
    centres = ndimage.center_of_mass(raw > 0, raw, [row.label for row in removed])
    # Filled holes lie inside, removed objects outside, whatever their level.
    margin = np.where(labels > 0, np.abs(margin), -np.abs(margin)).astype(np.float32)
    li = None if whole is None else whole.background + parameters.li_factor * whole.threshold
    return Found(labels, margin, removed, list(centres), li)


def _parted(
    fields: Fields,
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    spacing: Sequence[float],
    parameters: Parameters,
) -> NDArray[np.uint32]:
    """Return the foreground split by the places to which the flow leads, and by bright walls."""
    flow = smooth_flow(fields.flow, mask, (parameters.flow_smoothing,) * 3)
    ends = follow(flow, mask, steps=parameters.steps, step_size=parameters.step_size)
    found = instances(
        ends,
        mask,
        # Lengths that are longer along z are those of an image that is shorter.
        (spacing[0] / parameters.axial_elongation, *spacing[1:]),
        sigma_um=parameters.seed_smoothing_um,
        distance_um=parameters.seed_distance_um,
    )
    del ends
    if parameters.max_face_level < 1:
        found = without_walls_joined(found, fields.level, parameters.max_face_level)
        found = renumber(fill_holes(found))
    if parameters.wall_reach_um == 0:
        return found
    return moved_to_walls(
        found,
        image,
        spacing,
        reach_um=parameters.wall_reach_um,
        smoothing_um=parameters.wall_smoothing_um,
    )


def _limits(
    parameters: Parameters, shape: Sequence[int], spacing: Sequence[float]
) -> dict[str, float]:
    """Return the limits of quality control by name; volumes are those within the image."""
    limits = {name: float(getattr(parameters, name)) for name in LIMITS}
    for name in ("min_volume_um3", "max_volume_um3"):
        limits[name] = _within(limits[name], shape, spacing)
    return limits


def _within(volume_um3: float, shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Return the part of a ball of this volume that lies in an image of a single slice."""
    if shape[0] > 1 or not 0 < volume_um3 < inf:
        return volume_um3
    radius = (volume_um3 * 3 / (4 * pi)) ** (1 / 3)
    return float(min(volume_um3, pi * radius**2 * spacing[0]))
