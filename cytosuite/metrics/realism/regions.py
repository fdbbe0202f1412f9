"""Similarity of the grey values of objects, of the gaps between them and of the outside, by depth.

The score of Bruch et al., PLOS ONE 18 (2023), doi:10.1371/journal.pone.0283828, per plane and
region, with lengths in µm and without its losses at the borders of the image.
"""

from math import nan
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import known
from cytosuite.metrics.metric import family, metric
from cytosuite.metrics.realism.scene import Scene, Scenes, members
from cytosuite.metrics.realism.wasserstein import w1
from cytosuite.volume.arrays import Array, Bools, Columns, DoublePair, Doubles, Spacing

BRUCH = "10.1371/journal.pone.0283828"
REGIONS = ("fg_inner", "bg_inner", "bg_outer")
PIXEL_UM = 0.488759  # lateral size of the voxels the published numbers of steps were chosen for
CLOSING_UM = 15 * PIXEL_UM  # 15 steps
MARGIN_UM = 2 * PIXEL_UM  # 2 steps


class RegionScores(NamedTuple):
    """The score of each plane of the real stacks in each region."""

    depth: Doubles  # (P,), relative depth of the plane in its stack, in (0, 1), 0 = first plane
    scores: Columns  # per region of `REGIONS`; NaN where undefined

    def mean(self, region: str) -> float:
        """Return the mean of the defined planes of a region of `REGIONS`; NaN if there is none."""
        return known(self.scores[region])

    def third(self, region: str, third: int) -> Doubles:
        """Return the defined planes of a region in a third (0, 1, 2) of the depth."""
        scores = self.scores[region][np.floor(3 * self.depth) == third]
        defined: Doubles = scores[~np.isnan(scores)]
        return defined

    def profile(self, region: str, bins: int) -> DoublePair:
        """Return depths, the middles of ranges with a defined plane, and the means in them."""
        defined = ~np.isnan(self.scores[region])
        place = np.floor(bins * self.depth[defined]).astype(int)
        count = np.bincount(place, minlength=bins)
        total = np.bincount(place, self.scores[region][defined], minlength=bins)
        held = np.flatnonzero(count)
        return (held + 0.5) / bins, total[held] / count[held]


def regions(
    labels: Array,
    spacing: Spacing,
    *,
    closing_um: float = CLOSING_UM,
    margin_um: float = MARGIN_UM,
) -> dict[str, Bools]:
    """Return the masks of the objects, the gaps between them, and the outside of their cluster.

    Of (Z, Y, X) labels and their voxel size in µm: ``fg_inner``: the objects; ``bg_inner``: their
    closing by a ball of radius `closing_um` without them, and ``bg_outer``: the outside of the
    closing; both eroded by `margin_um`.

    Notes
    -----
    A voxel belongs to a dilation if its centre is at most the radius from that of a voxel of the
    mask. Outside the image is background to a dilation and foreground to an erosion, so that the
    border of the image takes nothing away; a cluster that comes within the radius of the border is
    taken to go on there. Published: 15 steps of the 6-neighbour cross for the
    closing and 2 for the margin, in voxels of 1.50 x 0.489 x 0.489 µm whatever their anisotropy
    (here the lateral size times the steps is the radius), the image padded along z only: 15 pixels
    along its lateral border and the first and last 2 planes were lost from the background.

    Examples
    --------
    >>> parts = regions(np.array([[[0, 0, 1, 0, 2, 0, 0]]]), (1, 1, 1), closing_um=1, margin_um=0)
    >>> parts["bg_inner"].astype(int).tolist(), parts["bg_outer"].astype(int).tolist()
    ([[[0, 0, 0, 1, 0, 0, 0]]], [[[1, 1, 0, 0, 0, 1, 1]]])
    """
    inside = labels != 0
    closed = ~dilated(~dilated(inside, spacing, closing_um), spacing, closing_um)
    return {
        "fg_inner": inside,
        "bg_inner": ~dilated(~(closed & ~inside), spacing, margin_um),
        "bg_outer": ~dilated(closed, spacing, margin_um),
    }


def region_scores(real: Scenes, synthetic: Scenes) -> RegionScores:
    """Return the similarity of real and synthetic grey values, in one unit, per plane and region.

    For every plane of the real stacks ``1 - W1(real, synthetic) / W1(real, 0)``: 1 for equal
    histograms, 0 if the synthetic plane is as far off as a black one, without lower end. NaN if the
    region is empty there on a side, or the real values are all 0. ``W1(real, 0)`` is the mean of
    the absolute real values. The score is unchanged when all images are multiplied by one number
    (published: 8-bit values / 255, 16-bit ones / 65 535).

    A plane at relative depth ``t = (z + 1/2) / Z`` is compared to the plane that holds depth t of
    each synthetic stack, several of them taken as one sample. Stacks of one depth are compared
    plane by plane, as published; there, a shallower synthetic stack is an error.
    """
    first, second = (
        [(scene, regions(scene.labels, scene.image.spacing)) for scene in members(side, Scene)]
        for side in (real, synthetic)
    )
    depths = []
    scores = []
    for scene, parts in first:
        for z, plane in enumerate(scene.image.array):
            depth = (z + 0.5) / len(scene.labels)
            depths.append(depth)
            others = [(s.image.array, masks, int(depth * len(s.labels))) for s, masks in second]
            there = {
                r: [a[n][masks[r][n]] for a, masks, n in others if n < len(a)] for r in REGIONS
            }
            scores.append([_score(plane[parts[r][z]], there[r]) for r in REGIONS])
    columns = np.array(scores, np.float64).reshape(-1, len(REGIONS)).T
    return RegionScores(np.array(depths), dict(zip(REGIONS, columns, strict=True)))


REGION_SCORES = Evidence(region_scores, ("real", "synthetic"), form="scenes", voxel_bytes=12)


@metric(
    "region_similarity",
    "Similarity of intensities by plane and region",
    evidence=REGION_SCORES,
    best=1.0,
    worst=0.0,
    reference=BRUCH,
    undefined="when no region holds voxels in a plane of both the real and the synthetic stacks",
)
def region_similarity(scores: RegionScores) -> float:
    """Return the mean similarity of the grey values over planes, then over regions.

    1 for equal histograms, 0 as far off as black images, possibly negative: see `region_scores`.
    Regions without a defined plane (a single object has no gaps) are left out.

    Examples
    --------
    >>> from cytosuite.metrics.realism.scene import Scene
    >>> from cytosuite.volume import Volume
    >>> labels = np.array([[[1, 1, 0]], [[2, 2, 0]]])
    >>> real = Scene(Volume(10 * labels, (1, 1, 1)), labels)
    >>> dim = Scene(Volume(6 * labels, (1, 1, 1)), labels)
    >>> round(region_similarity(real, dim), 3), region_similarity(real, real)
    (0.6, 1.0)
    """
    return known([scores.mean(region) for region in REGIONS])


object_similarity, gap_similarity, outside_similarity = family(
    REGION_SCORES,
    RegionScores.mean,
    {
        f"{part}_similarity": (
            f"{part}_similarity",
            f"Similarity of intensities {where}",
            region,
            f"Return the mean similarity of the grey values {where}, see `region_scores`.",
        )
        for part, region, where in (
            ("object", "fg_inner", "inside objects"),
            ("gap", "bg_inner", "between objects"),
            ("outside", "bg_outer", "outside the objects' cluster"),
        )
    },
    best=1.0,
    worst=0.0,
    reference=BRUCH,
    undefined="when no plane holds such voxels in both the real and the synthetic stacks",
)


def _score(real: Array, synthetic: list[Array]) -> float:
    """Return the score of one plane in one region."""
    weight = np.abs(real.astype(np.float64)).mean() if real.size else 0.0
    if weight == 0 or not any(values.size for values in synthetic):
        return nan
    return 1.0 - w1(real, synthetic) / float(weight)


def dilated(mask: Bools, spacing: Spacing, radius_um: float) -> Bools:
    """Return the voxels at most a radius from a voxel of the mask, by their centres.

    A (Z, Y, X) or (Y, X) mask is dilated by a ball, in µm as the voxel size along each axis; an
    empty one stays empty.
    """
    if mask.ndim == 2:
        flat: Bools = dilated(mask[np.newaxis], (1.0, *spacing), radius_um)[0]
        return flat
    near = np.zeros_like(mask)
    limit = radius_um * (1 + 1e-9)
    reach = int(limit / spacing[0])
    for z, plane in enumerate(mask):
        if not plane.any():
            continue
        # a map of each plane serves those around it: several times faster than one of the volume
        squared = ndimage.distance_transform_edt(~plane, sampling=spacing[1:]) ** 2
        for target in range(max(z - reach, 0), min(z + reach + 1, len(mask))):
            near[target] |= squared <= limit**2 - ((target - z) * spacing[0]) ** 2
    return near
