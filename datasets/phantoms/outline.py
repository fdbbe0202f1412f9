"""Write the outline of a real tissue as a mask that a recipe reads (`tissue.masks`)."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from cytosuite.datasets.physics.labels import largest_piece
from cytosuite.errors import InputError, at
from cytosuite.files import atomic, need_folder
from cytosuite.folders.entries import case_name, entries, key_of
from cytosuite.formats import read, write
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Lengths

SMOOTH_UM = 6.0  # closes the gaps between nuclei


def outline(image: Volume, smooth_um: float = SMOOTH_UM) -> Volume:
    """Return a mask (Z, Y, X), 255 in the tissue: the largest piece above the mean, holes filled.

    Smoothing and threshold follow Bruch et al. (2023), doi:10.1371/journal.pone.0283828.
    """
    if image.axes != "ZYX":
        raise InputError(f"expected one channel (z, y, x), found {image.shape} with {image.axes}")
    values = image.array.astype(np.float32)
    smooth = ndimage.gaussian_filter(values, [smooth_um / step for step in image.spacing])
    bright = smooth > smooth.mean(dtype=np.float64)
    if not bright.any():
        raise InputError("expected tissue brighter than its surroundings, found one grey value")
    tissue = ndimage.binary_fill_holes(largest_piece(bright))
    return Volume(np.where(tissue, 255, 0).astype(np.uint8), image.spacing, "ZYX")


def outline_to(
    folder: Path, stacks: Path, *, spacing_um: Lengths | None = None, smooth_um: float = SMOOTH_UM
) -> list[Path]:
    """Write the outline of a stack, or of each in a folder, as ``<name>_mask.tif`` in a new one."""
    need_folder(folder, new=True)
    images = [*entries(stacks).images.values()] if stacks.is_dir() else [stacks]
    if not images:
        raise InputError(f"{stacks}: expected stacks, found none")
    names = [f"{case_name(key_of(path))}_mask.tif" for path in images]
    with atomic(folder) as temporary:
        for path, name in zip(images, names, strict=True):
            with at(path):
                image = read(path)
                refusal = "the file gives no voxel size; give --spacing z,y,x in µm"
                image = Volume(image.array, image.sized(spacing_um, refusal), image.axes)
                write(temporary / name, outline(image, smooth_um))
    return [folder / name for name in names]
