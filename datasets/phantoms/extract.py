"""Cut nuclei out of an annotated stack."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.datasets.phantoms.library import Phantom, from_mask
from cytosuite.datasets.physics.grid import Image, Lengths
from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.errors import InputError
from cytosuite.tiling import Box
from cytosuite.volume import Volume

FEW = 64  # unlabelled voxels near a nucleus below which their median is too uncertain

Cut = tuple[int, Image, NDArray[np.bool_]]  # label, light above the background, mask


@dataclass(frozen=True, slots=True)
class Cutting:
    """Options of cutting nuclei out.

    Parameters
    ----------
    spacing_um : tuple of float, optional
        µm per voxel (z, y, x), in place of the value in the image.
    margin_um : float
        Width around a nucleus' box in which the background is measured.
    min_voxels : int
        Smaller objects are skipped.
    smooth_um : float
        Sigma of a Gaussian within each nucleus, against noise that a simulated camera adds again.
    """

    spacing_um: Lengths | None = None
    margin_um: float = 3.0
    min_voxels: int = 100
    smooth_um: float = 0.0


@dataclass(frozen=True, slots=True)
class CutObject:
    """Outcome for one labelled object.

    Parameters
    ----------
    label : int
        Its number in the label image.
    voxels : int
        Of its largest connected piece.
    skipped : str
        Why it is no phantom; empty for those that are.
    background : float
        Grey value that was taken off.
    background_from : str
        ``"surroundings"`` or, where too few voxels near it are unlabelled, ``"stack"``.
    """

    label: int
    voxels: int
    skipped: str = ""
    background: float = 0.0
    background_from: str = ""


@dataclass(frozen=True, slots=True)
class Extraction:
    """The phantoms of a stack and the outcome for each of its objects.

    Parameters
    ----------
    phantoms : tuple of Phantom
        Named ``nucleus_<label>``, by rising label.
    objects : tuple of CutObject
        One for each label, kept or skipped.
    """

    phantoms: tuple[Phantom, ...]
    objects: tuple[CutObject, ...]

    @property
    def skipped(self) -> tuple[CutObject, ...]:
        """The objects that are no phantoms."""
        return tuple(found for found in self.objects if found.skipped)


def extract(image: Volume, labels: Volume, cutting: Cutting | None = None) -> Extraction:
    """Return the nuclei of a stack that do not touch its border.

    Parameters
    ----------
    image, labels : Volume
        3D, with known voxel size; instances in the same shape, 0 is background.
    cutting : Cutting, optional

    Returns
    -------
    Extraction
        Intensities are relative to the median kept nucleus of this stack: that some are brighter
        than others is kept.

    Raises
    ------
    InputError
        If image or labels are not 3D, their shapes differ, the voxel size is not known, labels
        are not integers, or intensities are not finite.

    Notes
    -----
    The background is the median of the unlabelled voxels in the box; where there are fewer than
    64 of them, the most frequent value of all unlabelled voxels. Of an object in several pieces
    the largest is taken. Voxels outside of it, neighbours among them, are not kept.
    """
    options = cutting or Cutting()
    grey, marked, spacing = _checked(image, labels, options)
    margin = [int(np.ceil(options.margin_um / step)) for step in spacing]
    stack = cache(lambda: _most_frequent(grey[marked == 0]))  # rarely needed
    cuts: list[Cut] = []
    objects: list[CutObject] = []
    for label, box in enumerate(ndimage.find_objects(marked), start=1):
        if box is None:
            continue
        mask = largest_piece(marked[box] == label)
        voxels = int(np.count_nonzero(mask))
        found = CutObject(label, voxels, _unfit(box, marked.shape, voxels, options.min_voxels))
        if not found.skipped:
            local = _surroundings(grey, marked, box, margin)
            level, source = (stack(), "stack") if local is None else (local, "surroundings")
            found = replace(found, background=level, background_from=source)
            above = np.asarray(grey[box] - level, np.float32)
            if above[mask].mean() > 0:
                cuts.append((label, _smoothed(above, mask, spacing, options.smooth_um), mask))
            else:
                found = replace(found, skipped="not brighter than its background")
        objects.append(found)
    return Extraction(_relative(cuts, spacing), tuple(objects))


def _relative(cuts: list[Cut], spacing: Lengths) -> tuple[Phantom, ...]:
    """Return phantoms with intensities relative to the median nucleus."""
    if not cuts:
        return ()
    median = np.median([above[mask].mean() for _, above, mask in cuts])
    return tuple(
        from_mask(
            f"nucleus_{label:04d}",
            np.maximum(above / np.float32(median), np.float32(0)),  # noise around the background
            mask,
            spacing,
        )
        for label, above, mask in cuts
    )


def _smoothed(above: Image, mask: NDArray[np.bool_], spacing: Lengths, smooth_um: float) -> Image:
    """Return an image averaged with Gaussian weights over the voxels of a mask alone."""
    if smooth_um <= 0:
        return above
    sigma = [smooth_um / step for step in spacing]
    weight = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="constant")
    total = ndimage.gaussian_filter(np.where(mask, above, 0), sigma, mode="constant")
    return np.asarray(total / np.maximum(weight, np.float32(1e-6)), np.float32)


def _unfit(box: Box, shape: tuple[int, ...], voxels: int, min_voxels: int) -> str:
    """Return why an object is not cut out, empty if it can be."""
    if any(span.start == 0 or span.stop == n for span, n in zip(box, shape, strict=True)):
        return "touches the border"
    return f"smaller than {min_voxels} voxels" if voxels < min_voxels else ""


def _surroundings(
    grey: NDArray[np.generic], marked: NDArray[np.integer], box: Box, margin: list[int]
) -> float | None:
    """Return the median of the unlabelled voxels around a box, None where these are few."""
    wide = tuple(
        slice(max(span.start - width, 0), span.stop + width)
        for span, width in zip(box, margin, strict=True)
    )
    values = grey[wide][marked[wide] == 0]
    return float(np.median(values)) if values.size >= FEW else None


def _most_frequent(values: NDArray[np.generic]) -> float:
    """Return the mode of values, 0 where there are none."""
    if not values.size:
        return 0.0
    counts, edges = np.histogram(values, bins=256)
    at = int(counts.argmax())
    return float(edges[at] + edges[at + 1]) / 2


def _checked(
    image: Volume, labels: Volume, cutting: Cutting
) -> tuple[NDArray[np.generic], NDArray[np.integer], Lengths]:
    """Return the arrays of image and labels and the voxel size, or refuse them."""
    if image.axes != "ZYX" or labels.shape != image.shape:
        raise InputError(
            f"phantoms are cut from 3D images with labels of the same shape, found an image of "
            f"shape {image.shape} and labels of shape {labels.shape}"
        )
    if image.spacing_is_assumed and cutting.spacing_um is None:
        raise InputError("the image gives no voxel size; give its spacing in µm (z, y, x)")
    if labels.array.dtype.kind not in "ui":
        raise InputError(f"labels must be integers, found dtype {labels.array.dtype}")
    if image.array.dtype.kind == "f" and not np.isfinite(image.array).all():
        raise InputError("the image must hold finite intensities, found NaN or infinity")
    return image.array, labels.array, cutting.spacing_um or image.spacing
