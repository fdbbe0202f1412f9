"""Libraries of stored nuclei: for each ``<name>.tif`` and ``<name>_label.tif``, cropped.

Ours have float32 intensities relative to the median nucleus, and voxel size, volume, brightness.
"""

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from scipy import ndimage
from scipy.optimize import brentq
from scipy.special import ndtri

from cytosuite.contract.interface import LARGEST, is_finite
from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.datasets.physics.shapes import about_axis
from cytosuite.errors import InputError, at
from cytosuite.formats import read, write
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Bools, DoublePair, Doubles, Image, Lengths, Reals, Rng
from cytosuite.volume.objects import box_of, wider

SMOOTHING = 0.8  # voxels: takes the stairs of a mask away, keeps its shape
PARTS = 3  # sample points per voxel and axis when a volume is measured
SUFFIXES = (".tif", ".tiff")
LABEL = "_label"
MARGIN = 2  # voxels kept around a nucleus
MOST_CHANGE = 2.0  # of a volume by parts of voxels


def signed_distance(mask: Bools, spacing: Lengths, volume_um3: float | None = None) -> Image:
    """Return the distance (z, y, x), µm, of voxel centres to the surface of a mask; inside < 0.

    Where a Gaussian has the value `b` the surface is ``-sigma * probit(b)`` away; one constant
    restores the volume, by default that of the voxels.
    """
    smooth = ndimage.gaussian_filter(mask.astype(np.float64), SMOOTHING, mode="nearest")
    slope = -np.stack(np.gradient(smooth, *spacing))
    normal = slope / np.maximum(np.sqrt((slope**2).sum(axis=0)), 1e-9)
    steps = np.reshape(spacing, (3, 1, 1, 1))
    # The voxels of the mask blur the edge by a twelfth of their squared size as well.
    sigma = np.sqrt(((normal * steps) ** 2).sum(axis=0) * (SMOOTHING**2 + 1 / 12))
    height = -sigma * ndtri(np.clip(smooth, 0.01, 0.99))
    distance = np.where(
        mask, -_carried(mask, -height, -normal, spacing), _carried(~mask, height, normal, spacing)
    )
    voxel = float(np.prod(spacing))
    volume = np.count_nonzero(mask) * voxel if volume_um3 is None else volume_um3
    moved = _level(_samples(distance, spacing), volume / voxel * PARTS**3, voxel ** (1 / 3) / PARTS)
    return np.asarray(distance - moved, np.float32)


def spread(field: Image, mask: Bools, spacing: Lengths) -> Image:
    """Return a field (z, y, x) that goes on outside of a mask as the nearest value inside."""
    nearest = ndimage.distance_transform_edt(
        ~mask, spacing, return_distances=False, return_indices=True
    )
    return np.asarray(field[tuple(nearest)])


def enclosed_um3(distance: Image, spacing: Lengths) -> float:
    """Return the volume in µm³ where a field (z, y, x), interpolated trilinearly, is negative."""
    voxel = float(np.prod(spacing))
    return _covered(_samples(distance, spacing), voxel ** (1 / 3) / PARTS) * voxel / PARTS**3


def _samples(field: Reals, spacing: Lengths) -> Reals:
    """Return a signed distance (n,) at `PARTS` points per voxel and axis of the body's box."""
    values = field[box_of(field < 2 * max(spacing))][..., None]
    for axis in range(3):
        n = values.shape[axis]
        below = values.take(np.maximum(np.arange(n) - 1, 0), axis)
        above = values.take(np.minimum(np.arange(n) + 1, n - 1), axis)
        shifts = (np.arange(PARTS) + 0.5) / PARTS - 0.5
        parts = [
            (1 - abs(shift)) * values + abs(shift) * (above if shift > 0 else below)
            for shift in shifts.astype(field.dtype)
        ]
        values = np.concatenate(parts, axis=3)
    return values.ravel()


def moments(inside: Bools, spacing: Lengths, volume: float) -> DoublePair:
    """Return centroid (3,) in µm and covariance (3, 3) of a mask, scaled to a volume."""
    points = np.argwhere(inside) * np.asarray(spacing)
    centroid = points.mean(axis=0)
    away = points - centroid
    # Each voxel is a box, not a point: a single one has a shape as well.
    covariance = away.T @ away / len(points) + np.diag(np.square(spacing) / 12)
    ellipsoid = 4 / 3 * np.pi * np.sqrt(5**3 * np.linalg.det(covariance))
    return centroid, covariance * (volume / ellipsoid) ** (2 / 3)


def draw_rotations(rng: Rng, count: int, tilt: float) -> Doubles:
    """Return rotations (N, 3, 3): any turn about z, after a `tilt` of z, degrees at most."""
    around = rng.uniform(-1.0, 1.0, count) * np.pi
    side = rng.uniform(0, 2 * np.pi, count)
    cosine = 1 - rng.random(count) * (1 - np.cos(np.deg2rad(tilt)))
    tilted = about_axis(side) @ about_axis(np.arccos(cosine), axis=2) @ about_axis(-side)
    return about_axis(around) @ tilted


def _covered(distance: Reals, width: float) -> float:
    """Return the sum of the shares inside of the surface of cells of a width at distances (n,)."""
    return float(np.clip(0.5 - distance / width, 0, 1).sum(dtype=np.float64))


def _level(values: Reals, cells: float, width: float) -> float:
    """Return the distance that has a number of cells of a width below it, to parts of a cell."""
    rank = min(int(cells), values.size - 1)
    about = float(np.partition(values, rank)[rank])
    near = values[abs(values - about) < 2 * width]
    missing = cells - np.count_nonzero(values <= about - 2 * width)
    low = about - 1.5 * width
    high = about + 1.5 * width
    return float(brentq(lambda d: _covered(near - d, width) - missing, low, high, xtol=1e-5))


def _carried(mask: Bools, height: Doubles, normal: Doubles, spacing: Lengths) -> Doubles:
    """Return the distance of the voxels of a mask to a surface that is known next to it."""
    distance, nearest = ndimage.distance_transform_edt(mask, spacing, return_indices=True)
    way = (np.indices(mask.shape) - nearest) * np.reshape(spacing, (3, 1, 1, 1))
    along = height[tuple(nearest)] + (way * normal[(slice(None), *nearest)]).sum(axis=0)
    # Farther away the point at the surface matters, and the normal would be a worse guide.
    foot = way + (height * normal)[(slice(None), *nearest)]
    straight = np.sqrt((foot**2).sum(axis=0))
    far = np.clip(distance / np.linalg.norm(spacing) - 0.5, 0, 1)
    return np.asarray((1 - far) * np.maximum(along, 0) + far * straight)


@dataclass(frozen=True, eq=False)
class Phantom:
    """One stored nucleus."""

    name: str
    intensity: Image  # (z, y, x), relative to the median nucleus of its source; 0 outside
    distance: Image  # (z, y, x), signed, µm, negative inside
    spacing: Lengths  # µm per voxel
    volume_ratio: float = 1.0  # to the nucleus it was made from

    @cached_property
    def inside(self) -> Bools:
        """Voxels (z, y, x) with their centres in the nucleus."""
        return self.distance < 0

    @cached_property
    def volume_um3(self) -> float:
        """Volume in µm³ within the surface, to parts of a voxel."""
        return enclosed_um3(self.distance, self.spacing)

    @cached_property
    def brightness(self) -> float:
        """Mean intensity inside, relative to the median nucleus of the source."""
        return float(self.intensity[self.inside].mean(dtype=np.float64))

    @cached_property
    def centre_um(self) -> Doubles:
        """Centroid (3,) in µm from the centre of the first voxel."""
        return moments(self.inside, self.spacing, self.volume_um3)[0]

    @cached_property
    def _axes(self) -> DoublePair:
        values, vectors = np.linalg.eigh(moments(self.inside, self.spacing, self.volume_um3)[1])
        return values, vectors * np.sign(np.linalg.det(vectors))

    @property
    def semi_axes_um(self) -> Doubles:
        """Semi-axes (3,) in µm of the ellipsoid with the same second moments and volume."""
        return np.sqrt(5 * self._axes[0])

    @property
    def rotation(self) -> Doubles:
        """Directions (3, 3) of these axes, z y x, in columns."""
        return self._axes[1]

    @cached_property
    def filled(self) -> Image:
        """Intensity (z, y, x) that goes on outside with the nearest value from inside."""
        return spread(self.intensity, self.inside, self.spacing)

    @cached_property
    def surface_um(self) -> Doubles:
        """Points (n, 3) in µm from the centroid, where the surface cuts lines between voxels."""
        crossings = []
        for axis in range(3):
            first, second = (
                self.distance[tuple(span if a == axis else slice(None) for a in range(3))]
                for span in (slice(None, -1), slice(1, None))
            )
            where = (first < 0) != (second < 0)
            points = np.argwhere(where).astype(float)
            points[:, axis] += first[where] / (first[where] - second[where])
            crossings.append(points * np.asarray(self.spacing))
        return np.concatenate(crossings) - self.centre_um


Library = tuple[Phantom, ...]


def cut(name: str, intensity: Image, distance: Image, spacing: Lengths) -> Phantom:
    """Return a `Phantom` of images, cropped, 0 outside; InputError without light inside."""
    inside = distance < 0
    if not inside.any() or not intensity[inside].mean() > 0:
        raise InputError(f"phantom {name}: expected light inside the label, found none")
    box = wider(box_of(inside) or (), (MARGIN,) * inside.ndim)
    light = np.where(inside, intensity, np.float32(0))[box]
    return Phantom(
        name,
        np.ascontiguousarray(light, np.float32),
        np.ascontiguousarray(distance[box], np.float32),
        spacing,
    )


def from_mask(
    name: str,
    intensity: Image,
    mask: Bools,
    spacing: Lengths,
    volume_um3: float | None = None,
) -> Phantom:
    """Return the phantom of a mask (z, y, x), see `cut` and `signed_distance`."""
    wide = 2 * MARGIN  # the surface may move by part of a voxel
    padded = np.pad(mask, wide)
    distance = signed_distance(padded, spacing, volume_um3)
    # A voxel that the smoothed surface gains takes the intensity next to it.
    return cut(name, spread(np.pad(intensity, wide), padded, spacing), distance, spacing)


def read_library(folder: Path, spacing_um: Lengths | None = None) -> tuple[Phantom, ...]:
    """Return the phantoms in a folder, by name, largest piece each; InputError for faulty pairs."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder of phantoms")
    files = {
        path.stem: path
        for path in sorted(folder.iterdir())
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
    }
    names = sorted({stem.removesuffix(LABEL) for stem in files})
    if not names:
        raise InputError(f"{folder}: expected pairs <name>.tif and <name>{LABEL}.tif, found none")
    for name in names:
        if name + LABEL not in files:
            raise InputError(f"{files[name]}: expected its label {name}{LABEL}.tif, found none")
        if name not in files:
            raise InputError(f"{files[name + LABEL]}: expected its image {name}.tif, found none")
    return tuple(_read_pair(name, files[name], files[name + LABEL], spacing_um) for name in names)


stored_library = lru_cache(maxsize=8)(read_library)  # 18 ms for each nucleus once per process


def write_phantom(folder: Path, phantom: Phantom) -> None:
    """Write a phantom as ``<name>.tif`` (float32) and ``<name>_label.tif`` (uint8, 0 and 1)."""
    name = phantom.name
    if not name or name.endswith(LABEL):
        raise InputError(f"phantom name: expected a name that does not end in {LABEL}: {name!r}")
    facts = {key: getattr(phantom, key) for key in ("volume_um3", "brightness", "volume_ratio")}
    write(folder / f"{name}{LABEL}.tif", Volume(phantom.inside.astype(np.uint8), phantom.spacing))
    write(folder / f"{name}.tif", Volume(phantom.intensity, phantom.spacing, "ZYX", facts))


def _read_pair(name: str, image: Path, label: Path, spacing: Lengths | None) -> Phantom:
    grey = read(image)
    marked = read(label)
    if grey.axes != "ZYX" or grey.shape != marked.shape:
        raise InputError(
            f"{label}: expected a 3D label of the image's shape {grey.shape}, found {marked.shape}"
        )
    refusal = f"{image}: the file gives no voxel size; give the phantoms' spacing in µm (z, y, x)"
    z, y, x = step = grey.sized(spacing, refusal)
    if not is_finite(grey.array):
        raise InputError(
            f"{image}: expected finite intensities, found NaN or infinity, or more than {LARGEST:g}"
        )
    if marked.array.dtype.kind == "f":
        raise InputError(f"{label}: expected integers, found dtype {marked.array.dtype}")
    values = np.unique(marked.array[marked.array != 0])
    mask = max(
        [largest_piece(marked.array == value) for value in values],
        key=np.count_nonzero,
        default=np.zeros(marked.shape, np.bool_),
    )
    if not mask.any():
        raise InputError(f"{label}: expected a nucleus (nonzero voxels), found an empty label")
    light = np.asarray(grey.array, np.float32)
    if "volume_um3" not in grey.metadata:
        light = _relative(light, marked.array, mask, image)
        with at(image):
            return from_mask(name, light, mask, step)
    voxels = _positive(image, grey, "volume_um3") / float(np.prod(grey.spacing))  # in voxels
    if not 1 / MOST_CHANGE <= voxels / np.count_nonzero(mask) <= MOST_CHANGE:
        raise InputError(
            f"{image}: expected a volume_um3 like that of the label, {np.count_nonzero(mask)} "
            f"voxels, found {voxels:.4g} voxels"
        )
    volume = voxels * z * y * x
    ratio = _positive(image, grey, "volume_ratio", 1.0)
    with at(image):
        return replace(from_mask(name, light, mask, step, volume), volume_ratio=ratio)


def _positive(path: Path, image: Volume, key: str, default: float = 0.0) -> float:
    """Return a positive number of the metadata."""
    value = image.metadata.get(key, default)
    if not isinstance(value, int | float) or value <= 0:
        raise InputError(f"{path}: {key} must be a positive number, found {value!r}")
    return float(value)


def _relative(values: Image, labels: Array, mask: Bools, path: Path) -> Image:
    """Return grey values above the background of the box, with a mean of 1 inside."""
    around = values[labels == 0]
    above = values - np.float32(np.median(around) if around.size else 0)
    mean = above[mask].mean()
    if not mean > 0:
        raise InputError(f"{path}: expected a nucleus brighter than its surroundings, found none")
    return np.asarray(np.maximum(above / mean, np.float32(0)), np.float32)


def pull(field: Image, index: Doubles) -> Image:
    """Return a field (z, y, x) at positions (3, ...) in voxels; its border goes on outside."""
    return np.asarray(ndimage.map_coordinates(field, index, np.float32, order=1, mode="nearest"))


def pull_distance(phantom: Phantom, index: Doubles) -> Image:
    """Return the distance to the surface at positions, also beyond the stored box."""
    last = np.reshape(phantom.distance.shape, (3, 1, 1, 1)) - 1
    away = (index - np.clip(index, 0, last)) * np.reshape(phantom.spacing, (3, 1, 1, 1))
    beyond = np.sqrt((away**2).sum(axis=0)).astype(np.float32)
    return np.asarray(pull(phantom.distance, index) + beyond)
