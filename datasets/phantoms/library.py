"""Libraries of stored nuclei: a folder with an image and a label file for each.

The published form is ``<name>.tif`` (uint8 grey values) and ``<name>_label.tif`` (nonzero is
nucleus), cropped to the nucleus and without voxel size. Ours are the same two files with float32
intensities relative to the median nucleus, and with voxel size, volume and brightness.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.datasets.phantoms import geometry
from cytosuite.datasets.physics.grid import Array, Image, Lengths
from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.errors import InputError, at
from cytosuite.formats import read, write
from cytosuite.interface import LARGEST, is_finite
from cytosuite.volume import Volume

SUFFIXES = (".tif", ".tiff")
LABEL = "_label"
MARGIN = 2  # voxels kept around a nucleus
MOST_CHANGE = 2.0  # of a volume by parts of voxels


@dataclass(frozen=True, eq=False)
class Phantom:
    """One stored nucleus.

    Parameters
    ----------
    name : str
    intensity : (z, y, x) float32 array
        Relative to the median nucleus of its source, background removed; 0 outside.
    distance : (z, y, x) float32 array
        Signed distance in µm to the surface, negative inside.
    spacing : tuple of float
        µm per voxel.
    volume_ratio : float
        Volume relative to the nucleus it was made from; 1 where it was not altered.
    """

    name: str
    intensity: Image
    distance: Image
    spacing: Lengths
    volume_ratio: float = 1.0

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Voxels (z, y, x) with their centres in the nucleus."""
        return np.asarray(self.distance < 0)

    @cached_property
    def volume_um3(self) -> float:
        """Volume in µm³ within the surface, to parts of a voxel."""
        return geometry.enclosed_um3(self.distance, self.spacing)

    @cached_property
    def brightness(self) -> float:
        """Mean intensity inside, relative to the median nucleus of the source."""
        return float(self.intensity[self.inside].mean(dtype=np.float64))

    @cached_property
    def centre_um(self) -> Array:
        """Centroid (3,) in µm from the centre of the first voxel."""
        return geometry.moments(self.inside, self.spacing, self.volume_um3)[0]

    @cached_property
    def _axes(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of the covariance."""
        covariance = geometry.moments(self.inside, self.spacing, self.volume_um3)[1]
        values, vectors = np.linalg.eigh(covariance)
        return values, vectors * np.sign(np.linalg.det(vectors))

    @property
    def semi_axes_um(self) -> Array:
        """Semi-axes (3,) in µm of the ellipsoid with the same second moments and volume."""
        return np.asarray(np.sqrt(5 * self._axes[0]))

    @property
    def rotation(self) -> Array:
        """Directions (3, 3) of these axes, z y x, in columns."""
        return self._axes[1]

    @cached_property
    def filled(self) -> Image:
        """Intensity (z, y, x) that goes on outside with the nearest value from inside.

        Interpolating it never mixes the nucleus with the emptiness around it.
        """
        nearest = ndimage.distance_transform_edt(
            ~self.inside, self.spacing, return_distances=False, return_indices=True
        )
        return np.asarray(self.intensity[tuple(nearest)])

    @cached_property
    def surface_um(self) -> Array:
        """Points (n, 3) of the surface in µm from the centroid."""
        return geometry.crossings_um(self.distance, self.spacing) - self.centre_um


def cut(name: str, intensity: Image, distance: Image, spacing: Lengths) -> Phantom:
    """Return a `Phantom` of images (z, y, x) with any surroundings, cropped and 0 outside.

    Raises `InputError` if there is no voxel or no light inside.
    """
    inside = distance < 0
    if not inside.any() or not intensity[inside].mean() > 0:
        raise InputError(f"phantom {name}: expected light inside the label, found none")
    box = tuple(
        slice(max(span.start - MARGIN, 0), span.stop + MARGIN)
        for span in ndimage.find_objects(inside.astype(np.uint8))[0]
    )
    kept = np.where(inside, intensity, np.float32(0))[box]
    return Phantom(
        name,
        np.ascontiguousarray(kept, np.float32),
        np.ascontiguousarray(distance[box], np.float32),
        spacing,
    )


def from_mask(
    name: str,
    intensity: Image,
    mask: NDArray[np.bool_],
    spacing: Lengths,
    volume_um3: float | None = None,
) -> Phantom:
    """Return the phantom of a mask (z, y, x), see `cut` and `geometry.signed_distance`."""
    wide = 2 * MARGIN  # the surface may move by part of a voxel
    padded = np.pad(mask, wide)
    distance = geometry.signed_distance(padded, spacing, volume_um3)
    # A voxel that the smoothed surface gains takes the intensity next to it.
    nearest = ndimage.distance_transform_edt(
        ~padded, spacing, return_distances=False, return_indices=True
    )
    extended = np.pad(intensity, wide)[tuple(nearest)]
    return cut(name, extended, distance, spacing)


def read_library(folder: Path, spacing_um: Lengths | None = None) -> tuple[Phantom, ...]:
    """Return the phantoms in a folder, sorted by name.

    Parameters
    ----------
    folder : Path
        Pairs ``<name>.tif`` and ``<name>_label.tif`` (or ``.tiff``), ours or published ones.
    spacing_um : tuple of float, optional
        µm per voxel, in place of the values in the files; needed where they give none.

    Raises
    ------
    InputError
        If there is no folder or no pair in it, a file has no partner, the shapes differ, a label
        is empty, or no voxel size is known.

    Notes
    -----
    Of each label image the largest connected piece of one nonzero value is kept: published
    crops hold parts of neighbours as well. Grey values of the published form are taken relative
    to the median of the unlabelled voxels of the box and scaled to a mean of 1, as they were
    stretched one by one and do not tell the brightness.
    """
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


def write_phantom(folder: Path, phantom: Phantom) -> None:
    """Write a phantom as ``<name>.tif`` (float32) and ``<name>_label.tif`` (uint8, 0 and 1).

    Parameters
    ----------
    folder, phantom : Path, Phantom
        The folder is made if it is missing; voxel size, volume, brightness and volume ratio are
        kept in the files.

    Raises
    ------
    InputError
        If its name is empty or ends in ``_label``.

    Notes
    -----
    Only the mask of the surface is stored, and the volume to parts of a voxel: read again, the
    distances agree within a fraction of a voxel.
    """
    name = phantom.name
    if not name or name.endswith(LABEL):
        raise InputError(f"phantom name: expected a name that does not end in {LABEL}: {name!r}")
    known = {key: getattr(phantom, key) for key in ("volume_um3", "brightness", "volume_ratio")}
    label = phantom.inside.astype(np.uint8)
    write(folder / f"{name}{LABEL}.tif", Volume(label, phantom.spacing))
    write(folder / f"{name}.tif", Volume(phantom.intensity, phantom.spacing, "ZYX", known))


def _read_pair(name: str, image: Path, label: Path, spacing: Lengths | None) -> Phantom:
    """Return the phantom in two files."""
    grey, marked = read(image), read(label)
    if grey.axes != "ZYX" or grey.shape != marked.shape:
        raise InputError(
            f"{label}: expected a 3D label of the image's shape {grey.shape}, found {marked.shape}"
        )
    if spacing is None and grey.spacing_is_assumed:
        raise InputError(
            f"{image}: the file gives no voxel size; give the phantoms' spacing in µm (z, y, x)"
        )
    if not is_finite(grey.array):
        raise InputError(
            f"{image}: expected finite intensities, found NaN or infinity, or more than {LARGEST:g}"
        )
    if marked.array.dtype.kind == "f":
        raise InputError(f"{label}: expected integers, found dtype {marked.array.dtype}")
    mask = _largest_object(marked.array)
    if not mask.any():
        raise InputError(f"{label}: expected a nucleus (nonzero voxels), found an empty label")
    z, y, x = step = grey.spacing if spacing is None else spacing
    values = np.asarray(grey.array, np.float32)
    if "volume_um3" not in grey.metadata:
        values = _relative(values, marked.array, mask, image)
        with at(image):
            return from_mask(name, values, mask, step)
    own = _positive(image, grey, "volume_um3") / float(np.prod(grey.spacing))  # in voxels
    if not 1 / MOST_CHANGE <= own / np.count_nonzero(mask) <= MOST_CHANGE:
        raise InputError(
            f"{image}: expected a volume_um3 like that of the label, {np.count_nonzero(mask)} "
            f"voxels, found {own:.4g} voxels"
        )
    volume, ratio = own * z * y * x, _positive(image, grey, "volume_ratio", 1.0)
    with at(image):
        return replace(from_mask(name, values, mask, step, volume), volume_ratio=ratio)


def _positive(path: Path, image: Volume, key: str, default: float = 0.0) -> float:
    """Return a positive number of the metadata."""
    value = image.metadata.get(key, default)
    if not isinstance(value, int | float) or value <= 0:
        raise InputError(f"{path}: {key} must be a positive number, found {value!r}")
    return float(value)


def _relative(
    values: Image, labels: NDArray[np.generic], mask: NDArray[np.bool_], path: Path
) -> Image:
    """Return grey values above the background of the box, with a mean of 1 inside."""
    around = values[labels == 0]
    above = values - np.float32(np.median(around) if around.size else 0)
    mean = above[mask].mean()
    if not mean > 0:
        raise InputError(f"{path}: expected a nucleus brighter than its surroundings, found none")
    return np.asarray(np.maximum(above / mean, np.float32(0)), np.float32)


def _largest_object(labels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return the largest connected piece of one nonzero value."""
    pieces = [largest_piece(labels == value) for value in np.unique(labels[labels != 0])]
    return max(pieces, key=np.count_nonzero, default=np.zeros(labels.shape, np.bool_))
