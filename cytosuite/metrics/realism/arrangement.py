"""Arrangement of objects: contacts, distances, spread of sizes and light, directions, valleys.

Images can agree in all grey values and differ in what makes a segmentation hard: how many nuclei
touch, on how much of their surface, and how dark the border between them is.
"""

from collections.abc import Mapping
from itertools import combinations_with_replacement
from math import gamma, nan, pi

import numpy as np
from numpy.typing import ArrayLike

from cytosuite.errors import InputError
from cytosuite.files import FloatDict
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.known import known, voxel_size
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.features import pooled_distances
from cytosuite.metrics.realism.scene import Scene, Scenes, members
from cytosuite.metrics.realism.wasserstein import PANARETOS
from cytosuite.segmentation.foreground import background_and_noise
from cytosuite.segmentation.objects import keep_by
from cytosuite.volume.arrays import Array, Bools, Columns, Doubles, Indices, Ints, Longs, Spacing
from cytosuite.volume.objects import hull_voxels, numbered
from cytosuite.volume.pieces import from_lowest
from cytosuite.volume.points import neighbour

SCRAP = 0.05  # of the median volume: smaller objects are scraps of annotation
SIDES = np.s_[:-1], np.s_[1:]  # neighbours along an axis
FEWEST = 8  # objects below which ball and shell look alike
PRESSED = 0.05  # of its surface, from which an object counts as pressed
OUTER = 0.5  # of the specimen's radius seen along z, beyond which its surface is near
PROPERTIES = {
    "contact": "share of an object's surface that faces another object",
    "neighbour": "distance to the nearest object / mean diameter",
    "relative_volume": "volume of an object / mean volume",
    "relative_brightness": "brightness of an object / mean brightness",
    "valley": "depth of the valley between objects that touch",
    "elongation": "longest / shortest principal axis",
    "tilt_deg": "angle of the longest axis to z, degrees",
    "radius": "distance from the middle of the specimen / its radius",
    "tangential": "ln(width along the surface / across it) of outer objects",
    "fraction": "share of the specimen's convex hull in objects",
}
MEDIANS = ("neighbour_um", "neighbour", "valley", "elongation", "tilt_deg")

Properties = Mapping[str, Array]


def arrangement(labels: Array, spacing: Spacing, image: Array | None = None) -> dict[str, Array]:
    """Return how the objects of a volume (Z, Y, X) or plane (Y, X) lie, by name.

    Of every object, (N,) by ascending label:

    - ``label`` (int64), ``cut`` (bool): touches a face of the image
    - ``volume_um3`` (area in planes, µm²), ``centre_um`` (N, D), ``covariance`` (N, D, D) in µm²
    - ``surface``: area of its faces within the image, µm² (length in planes, µm)
    - ``contact``: share of its surface that faces another object
    - ``neighbour_um``, ``neighbour``: to the nearest centroid, in µm and in mean diameters (of
      balls or discs)
    - ``relative_volume``, ``relative_brightness`` (above background): over the mean of the image
    - ``elongation``: longest over shortest principal axis; ``tilt_deg``: angle of the longest to z
    - ``radius``: from the middle of the box of all objects, 1 at the ellipsoid in it: 3/4 on
      average in a ball, near 1 in a shell
    - ``tangential``: ln(width across / along the way to the middle), both seen along z, of outer
      objects

    Of every pair in contact, (P,): ``valley``, 0 where the voxels at the contact are as bright as
    the bright half (above the mean) of the dimmer object, 1 where they are background. Of the
    image, (1,): ``fraction``, the share of the convex hull of all objects that is object.

    Objects below 5 % of the median volume count as background. NaN: volume, elongation and tilt of
    cut objects, tilt in planes, radius and tangential of fewer than 8 objects, brightness and
    valley without an image or signal. InputError if labels, spacing and image do not match.

    Examples
    --------
    >>> labels = np.zeros((4, 4, 6), int)
    >>> labels[1:3, 1:3, 1:3], labels[1:3, 1:3, 3:5] = 1, 2  # two boxes that share a side
    >>> found = arrangement(labels, (2, 1, 1))
    >>> found["surface"].tolist(), found["contact"].tolist()
    ([40.0, 40.0], [0.2, 0.2])
    """
    labels, step, image = _checked(labels, spacing, image)
    image = None if image is None else from_lowest(image)
    names, dense = numbered(labels)
    voxels = np.bincount(dense.ravel(), minlength=names.size + 1)[1:]
    large = voxels >= SCRAP * np.median(voxels) if names.size else np.zeros(0, bool)
    names = names[large]
    dense = keep_by(dense, np.append(False, large))
    places = np.nonzero(dense)
    owner = dense[places] - 1
    size, centre, covariance = _moments(places, owner, names.size, step)
    surface, shared, pairs, border = _contacts(dense, names.size, step, image)
    cut = np.zeros(names.size + 1, bool)
    for axis in range(dense.ndim):
        cut[dense.take([0, -1], axis)] = True
    properties = {
        "label": names,
        "cut": cut[1:],
        "volume_um3": np.where(cut[1:], nan, size * step.prod()),
        "centre_um": centre * step,
        "covariance": covariance,
        "surface": surface,
        "contact": _over(shared, surface),
        **_sizes(size, centre, covariance, cut[1:], step),
        **_in_specimen(places, centre, covariance, step),
        "fraction": np.array([len(owner) / hull_voxels(dense > 0)] if len(owner) else []),
        "relative_brightness": np.full(names.size, nan),
        "valley": np.full(len(pairs), nan),
    }
    return properties | ({} if image is None else _light(image, places, owner, pairs, border))


def numbers(properties: Properties) -> FloatDict:
    """Return the arrangement of an image as single numbers, NaN where undefined.

    ``contact_share`` of all surface; of the objects ``touching_share``, with any contact, and
    ``pressed_share``, with 5 % of their surface or more; ``volume_cv`` and ``brightness_cv``
    (coefficients of variation) and ``neighbour_cv``, that of the distances; medians of
    ``neighbour_um``, ``neighbour``, ``valley``, ``elongation`` and ``tilt_deg``, means of
    ``radius``, ``tangential`` and ``fraction``.
    """
    contact = properties["contact"]
    surface = properties["surface"]
    spreads = ("volume", "relative_volume"), ("brightness", "relative_brightness")
    return {
        "objects": float(contact.size),
        "contact_share": float(_over(np.nansum(contact * surface), surface.sum())),
        "touching_share": known(contact > 0),
        "pressed_share": known(contact >= PRESSED),
        **{f"{name}_cv": known(properties[part], np.std) for name, part in spreads},
        "neighbour_cv": known(properties["neighbour"], np.std) / known(properties["neighbour"]),
        **{name: known(properties[name], np.median) for name in MEDIANS},
        **{name: known(properties[name]) for name in ("radius", "tangential", "fraction")},
    }


def arrangement_distances(real: Scenes, synthetic: Scenes) -> FloatDict:
    """Return the distance of two sets by name of `PROPERTIES`.

    First Wasserstein distance of the pooled values over the standard deviation of the real ones,
    NaN without values on a side or where the real ones are all alike.
    """
    return pooled_distances(
        [
            [arrangement(s.labels, s.image.spacing, s.image.array) for s in members(side, Scene)]
            for side in (real, synthetic)
        ],
        PROPERTIES,
    )


ARRANGEMENT = Evidence(arrangement_distances, ("real", "synthetic"), form="scenes", voxel_bytes=72)


@metric(
    "arrangement_distance",
    "Mean distance of the arrangement of objects",
    evidence=ARRANGEMENT,
    best=0.0,
    reference=PANARETOS,
    undefined="when no property has values on both sides that vary among the real objects",
)
def arrangement_distance(by_property: FloatDict) -> float:
    """Return the mean distance over the properties of the arrangement, in real standard deviations.

    ``W1(real, synthetic) / std(real)`` per property, mean over those that are defined.

    Examples
    --------
    >>> arrangement_distance.of({"contact": 0.5, "relative_volume": 1.0, "valley": nan})
    0.75
    """
    return known([*by_property.values()])


def _checked(
    labels: Array, spacing: Spacing, image: Array | None
) -> tuple[Array, Doubles, Array | None]:
    """Return labels, voxel size and image, a stack of one plane as a plane."""
    shape = labels.shape if image is None else image.shape
    if (
        labels.dtype.kind not in "biu"
        or labels.ndim not in (2, 3)
        or labels.shape != shape
        or (labels < 0).any()
    ):
        raise InputError(
            "labels must be integers of at least 0 with axes YX or ZYX and the shape of their "
            f"image, {shape}, found {labels.dtype} of shape {labels.shape}"
        )
    step = voxel_size(spacing, labels.ndim)
    if labels.ndim == 3 and len(labels) == 1:
        return labels[0], step[1:], None if image is None else image[0]
    return labels, step, image


def _moments(
    places: tuple[Indices, ...], owner: Ints, count: int, step: Doubles
) -> tuple[Doubles, Doubles, Doubles]:
    """Return sizes and centres in voxels, and covariances in µm², of objects by their voxels.

    To the covariance of the voxels' centres that of one voxel is added.
    """
    size = np.bincount(owner, minlength=count).astype(np.float64)
    centre = np.stack([np.bincount(owner, p, count) for p in places], axis=1) / size[:, None]
    centred = [(p - c[owner]) * s for p, c, s in zip(places, centre.T, step, strict=True)]
    covariance = np.zeros((count, step.size, step.size))
    for i, j in combinations_with_replacement(range(step.size), 2):
        shared = np.bincount(owner, centred[i] * centred[j], count) / size
        covariance[:, i, j] = covariance[:, j, i] = shared
    return size, centre, covariance + np.diag(step**2 / 12)


def _contacts(
    dense: Ints, count: int, step: Doubles, image: Array | None
) -> tuple[Doubles, Doubles, Longs, Doubles]:
    """Return surface and contact of objects (N,), pairs in contact (P, 2), grey values there (P,).

    Faces of the image are no surface.
    """
    surface, shared = np.zeros((2, count + 1))
    keys, areas, greys = [], [], []
    for axis, length in enumerate(step):
        area = float(step.prod() / length)
        below, above = (np.moveaxis(dense, axis, 0)[side] for side in SIDES)
        border = np.nonzero(below != above)
        ends = np.stack([below[border], above[border]])
        both = ends.min(axis=0) > 0
        surface += area * np.bincount(ends.ravel(), minlength=count + 1)
        shared += area * np.bincount(ends[:, both].ravel(), minlength=count + 1)
        keys.append(ends[:, both].min(axis=0).astype(np.int64) * (count + 1) + ends[:, both].max(0))
        areas.append(np.full(keys[-1].size, area))
        if image is not None:
            at = tuple(place[both] for place in border)
            low, high = (np.moveaxis(image, axis, 0)[side][at] for side in SIDES)
            greys.append((low.astype(np.float64) + high) / 2)
    key, pair = np.unique(np.concatenate(keys), return_inverse=True)
    weight = np.concatenate(areas)
    light = np.bincount(pair, weight * np.concatenate(greys) if greys else weight, key.size)
    grey = light / np.bincount(pair, weight, key.size)
    pairs = np.stack([key // (count + 1), key % (count + 1)], axis=1) - 1
    return surface[1:], shared[1:], pairs, grey


def _sizes(
    size: Doubles, centre: Doubles, covariance: Doubles, cut: Bools, step: Doubles
) -> Columns:
    """Return relative volumes, distances and axes of objects."""
    axes, ways = np.linalg.eigh(covariance)
    ball = size * step.prod() * gamma(step.size / 2 + 1) / pi ** (step.size / 2)
    diameter = 2 * ball ** (1 / step.size)
    apart = neighbour(centre * step)
    tilt = np.degrees(np.arccos(np.clip(np.abs(ways[:, 0, -1]), 0, 1)))
    return {
        "neighbour_um": apart,
        "neighbour": apart / known(diameter[~cut]),
        "relative_volume": np.where(cut, nan, size / known(size[~cut])),
        "elongation": np.where(cut, nan, np.sqrt(axes[:, -1] / axes[:, 0])),
        "tilt_deg": np.where(cut | (step.size < 3), nan, tilt),
    }


def _in_specimen(
    places: tuple[Indices, ...], centre: Doubles, covariance: Doubles, step: Doubles
) -> Columns:
    """Return place and direction of objects in the ellipsoid that spans all of them."""
    radius, tangential = np.full((2, len(centre)), nan)
    if len(centre) >= FEWEST:
        low, high = (np.array([end(p) for p in places]) for end in (np.min, np.max))
        away = (centre - (low + high) / 2) / ((high + 1 - low) / 2)
        radius = np.linalg.norm(away, axis=1)
        outer = np.linalg.norm(away[:, -2:], axis=1) > OUTER
        way = ((centre - (low + high) / 2) * step)[outer, -2:]
        across = np.stack([-way[:, 1], way[:, 0]], axis=1)
        spread = covariance[outer, -2:, -2:]
        wide, deep = (np.einsum("ni,nij,nj->n", v, spread, v) for v in (across, way))
        tangential[outer] = np.log(wide / deep) / 2
    return {"radius": radius, "tangential": tangential}


def _light(
    image: Array,
    places: tuple[Indices, ...],
    owner: Ints,
    pairs: Longs,
    border: Doubles,
) -> Columns:
    """Return relative brightness of objects, and the valleys between those that touch."""
    dark = background_and_noise(np.asarray(image, np.float32))[0]
    grey = image[places].astype(np.float64) - dark
    mean = np.bincount(owner, grey) / np.bincount(owner)
    above = grey > mean[owner]
    parts = np.bincount(owner[above], minlength=mean.size)
    half = np.bincount(owner[above], grey[above], mean.size) / np.maximum(parts, 1)
    bright = np.where(parts > 0, half, mean)  # an object of one grey value has no bright half
    dimmer = bright[pairs].min(axis=1)
    return {
        "relative_brightness": _over(mean, np.full(mean.size, max(known(mean), 0.0))),
        "valley": np.where(dimmer > 0, 1 - _over(border - dark, dimmer), nan),
    }


def _over(part: ArrayLike, whole: ArrayLike) -> Doubles:
    """Return a quotient, NaN where the denominator is 0."""
    whole = np.asarray(whole, np.float64)
    quotient: Doubles = np.divide(part, whole, out=np.full(whole.shape, nan), where=whole != 0)
    return quotient
