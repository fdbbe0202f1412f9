"""Measure label images alone: sizes, shapes, places and contacts of objects, real or simulated."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from math import gamma, inf, log, nan, pi, sqrt
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.contract.tasks import LABELS
from cytosuite.contract.words import ASSUME, Size
from cytosuite.datasets.calibration.compare import Compared, compared, halves
from cytosuite.datasets.calibration.measure import STATISTICS, finite_median
from cytosuite.datasets.folder.load import load
from cytosuite.errors import InputError
from cytosuite.files import FloatDict
from cytosuite.folders.entries import case_name, entries
from cytosuite.folders.index import PLAIN, Item
from cytosuite.folders.part import Part
from cytosuite.metrics.realism.arrangement import arrangement
from cytosuite.metrics.realism.features import pooled_distances
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Columns, Doubles
from cytosuite.volume.objects import box_of, hull_voxels, numbered, objects_in
from cytosuite.volume.points import neighbour

Table = Mapping[str, Array]  # values of the objects of an image, or one value

FEWEST = 8  # whole objects of all images together
FINE = 4.0  # voxels of a reach in which nearness is measured, about
CROWD = 4  # the neighbour that tells a colony from a pair
LONG = 1.2  # elongation from which an object has a direction
STEPS = 10  # between quantiles
TAILS = (0.01, 0.99)  # the first and the last one: extremes are chance
TREND = 6, 2.0  # images, and standard errors, that make a trend of sizes with numbers
PER_OBJECT = STATISTICS["mask_object"]
PER_IMAGE = STATISTICS["mask_image"]


def read_labels(
    place: Path,
    pattern: str = "*",
    spacing: Size | None = None,
    part: Part | None = None,
    *,
    recursive: bool = False,
) -> tuple[list[Item], list[Volume]]:
    """Return the label images of a file, a folder, or its folder `labels`, all of one kind."""
    if place.is_dir():
        room = place / PLAIN[LABELS.slug]
        paths = entries(room if room.is_dir() else place, recursive=recursive).images
    elif place.exists():
        paths = {place.stem: place}
    else:
        raise InputError(f"{place}: expected label images, or a folder of them, found nothing")
    items = [Item(case_name(key), path, socket=LABELS.slug) for key, path in paths.items()]
    items = named(items, pattern, place)
    volumes = []
    for item in items:
        labels = load(replace(item, part=part or Part()), spacing or ASSUME).volume(LABELS.slug)
        if labels.axes == "ZYX" and len(labels.array) == 1:
            labels = replace(labels, array=labels.array[0], spacing=labels.spacing[1:], axes="YX")
        if labels.spacing_is_assumed:
            axes = ",".join(labels.axes.lower())
            raise InputError(f"{item.image}: the file gives no voxel size; give --spacing {axes}")
        volumes.append(labels)
    need_one_kind(items, volumes)
    return items, volumes


def named(items: Iterable[Item], pattern: str, place: Path) -> list[Item]:
    """Return the items with names that match a pattern; InputError if there are none."""
    matching = [item for item in items if fnmatchcase(item.name, pattern)]
    if not matching:
        raise InputError(f"{place}: expected images named like {pattern!r}, found none")
    return matching


def need_one_kind(items: Sequence[Item], volumes: Sequence[Volume]) -> None:
    """Refuse images of other axes or voxels than the first one's."""
    first = volumes[0]
    for item, volume in zip(items, volumes, strict=True):
        if volume.axes != first.axes or not np.allclose(volume.spacing, first.spacing, rtol=0.02):
            raise InputError(
                f"{item.image}: {volume.axes} with voxels of {volume.spacing} µm, "
                f"{items[0].image.name} is {first.axes} with {first.spacing}; calibrate one kind "
                "of images at a time (--pattern)"
            )


def objects_of(labels: Volume) -> dict[str, Array]:
    """Return `PER_OBJECT` and more (N,), NaN where unknown; `height`: ln(height / width)."""
    table = arrangement(labels.array, labels.spacing)
    dense = numbered(np.where(np.isin(labels.array, table["label"]), labels.array, 0))[1]
    solidity = np.array([np.count_nonzero(m) / hull_voxels(m) for *_, m in objects_in(dense)])
    *_, yy, yx, xx = table["covariance"][:, *np.triu_indices(labels.array.ndim)].T
    turn = np.degrees(np.abs(np.arctan2(2 * yx, xx - yy))) / 2
    height = table["covariance"][:, 0, 0] / np.sqrt(yy * xx - yx**2)
    whole = ~table["cut"]
    flat = labels.array.ndim == 2
    placed = {name: table[name] for name in ("elongation", "neighbour_um", "contact", "radius")}
    return placed | {
        "size": table["volume_um3"],
        "solidity": np.where(whole, solidity, nan),
        "turn_deg": np.where(table["elongation"] >= LONG, turn, nan),
        "height": np.where(whole & (not flat), np.log(height) / 2, nan),
        "crowd_um": neighbour(table["centre_um"], CROWD),
        "cut": table["cut"].astype(float),
    }


class Look(NamedTuple):
    """Label images as a set: tables by property, and the measures of a recipe."""

    tables: tuple[Table, ...]  # of images, `PER_OBJECT` and `PER_IMAGE`
    density: Doubles  # objects per µm² (µm³) of each image
    radii_um: Doubles  # quantiles within an image of the usual number of objects
    case_spread: float  # standard deviation of ln(radius) between images
    shrinkage: float  # exponent by which radii fall with the number of objects
    contact: float  # mean share of an outline that faces another object
    cover: float  # share of the images within `reach_um` of objects
    thickness_um: float  # mean distance to the border of the cover
    extents: Doubles  # of the box of all objects / the image, of each image
    reach_um: float  # half the distance of objects in a colony

    @property
    def level(self) -> float:
        """Median of ln(radius)."""
        return log(float(np.median(self.radii_um)))

    def values(self) -> Columns:
        """Return the values of all properties, pooled over images."""
        return {n: np.concatenate([t[n] for t in self.tables]) for n in PER_OBJECT | PER_IMAGE}


def look(
    images: Sequence[Volume], reach_um: float | None = None, shrinkage: float | None = None
) -> Look:
    """Return the look of label images; reach and shrinkage are their own where none are given."""
    tables, thickness, extents = [], [], []
    measured = [objects_of(labels) for labels in images]
    reach_um = _reach(measured) if reach_um is None else reach_um
    for labels, table in zip(images, measured, strict=True):
        strides = [int(max(min(reach_um / FINE / step, 8), 1)) for step in labels.spacing]
        some = tuple(slice(None, None, n) for n in strides)
        steps = labels.spacing * np.array(strides)
        near = ndimage.distance_transform_edt(labels.array[some] == 0, sampling=steps) <= reach_um
        if near.any() and not near.all():
            deep = ndimage.distance_transform_edt(near, sampling=steps)
            thickness.append(float(deep[near].mean()))
        if (box := box_of(labels.array > 0)) is not None:
            sides = [(s.stop - s.start) / size for s, size in zip(box, labels.shape, strict=True)]
            extents.append(float(np.prod(sides) ** (1 / len(sides))))
        axes = labels.array.ndim
        area = float(np.prod(labels.shape) * np.prod(labels.spacing))
        radius = (table["size"] / ball(axes)) ** (1 / axes)
        single = {
            "density": len(radius) * 100.0**axes / area,
            "cover": near.mean(),
            "radius_um": finite_median(radius),
        }
        radii = {"radii": radius[np.isfinite(radius)]}
        tables.append(table | {n: np.array([v]) for n, v in single.items()} | radii)
    density = np.array([table["density"][0] for table in tables]) / 100.0 ** images[0].array.ndim
    contact = np.concatenate([table["contact"] for table in tables])
    return Look(
        tuple(tables),
        density,
        *_radii(tables, shrinkage),
        float(np.nanmean(contact)) if contact.size else nan,
        float(np.mean([table["cover"][0] for table in tables])),
        float(np.mean(thickness)) if thickness else nan,
        np.array(extents),
        reach_um,
    )


def _reach(tables: Sequence[Table]) -> float:
    """Return half the distance (µm) of the usual object to the next but some."""
    for name in ("crowd_um", "neighbour_um"):
        values = np.concatenate([table[name] for table in tables])
        if np.isfinite(values).any():
            return float(np.nanmedian(values)) / 2
    return inf


def ball(axes: int) -> float:
    """Return area (volume) of the ball of radius 1."""
    return float(pi ** (axes / 2) / gamma(axes / 2 + 1))


def _radii(tables: Sequence[Table], shrinkage: float | None) -> tuple[Doubles, float, float]:
    """Return quantiles of radii within images, and their spread and trend between images."""
    filled = [table for table in tables if table["radii"].size]
    if not filled:
        return np.full(STEPS + 1, nan), 0.0, 0.0
    logs = [np.log(table["radii"]) for table in filled]
    means = np.array([np.median(values) for values in logs])  # scraps would pull a mean
    number = np.log([len(table["cut"]) for table in filled])
    number -= np.median(number)
    fall = shrinkage or 0.0
    if shrinkage is None and len(filled) >= TREND[0] and np.ptp(number) > log(2):
        centred = number - number.mean()
        slope = float(centred @ means / (centred @ centred))
        rest = means - means.mean() - slope * centred
        error = sqrt(float(rest @ rest / (len(filled) - 2) / (centred @ centred)))
        fall = min(-slope, 1.0) if -slope > TREND[1] * error else 0.0
    means += fall * number  # as of images of the usual number
    weights = [values.size for values in logs]  # as all objects are compared together
    level = float(np.average(means, weights=weights))
    chance = float(np.mean([pi / 2 * values.var() / values.size for values in logs]))
    between = max(float(np.average((means - level) ** 2, weights=weights)) - chance, 0.0)
    pooled = np.concatenate([values - np.median(values) for values in logs]) + level
    shares = np.linspace(0, 1, STEPS + 1).clip(*TAILS)
    return np.exp(np.quantile(pooled, shares)), sqrt(between), fall


def compare(real: Look, simulated: Look, before: Look | None = None) -> list[Compared]:
    """Return the properties of real and simulated labels, W1 / std also between real halves."""
    meanings = PER_OBJECT | PER_IMAGE

    def distances(first: Look, second: Look) -> FloatDict:
        """Return the distances of the values of two sets."""
        return pooled_distances((first.tables, second.tables), meanings)

    pairs = [
        [real._replace(tables=tuple(real.tables[place] for place in half)) for half in two]
        for two in halves(len(real.tables))
    ]
    return compared(meanings, (real, before, simulated), Look.values, distances, pairs)


def mean_distance(rows: Iterable[Compared]) -> float:
    """Return the mean distance over the properties that have one; infinite without."""
    finite = [row.distance for row in rows if np.isfinite(row.distance)]
    return float(np.mean(finite)) if finite else inf
