"""Files of microscopes (.czi, .nd2, .lif) by the readers of bioio."""

import logging
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.folder.part import Part
from cytosuite.errors import InputError
from cytosuite.formats import guarded
from cytosuite.formats.tiffdescription import UNNAMED
from cytosuite.memory import check_room
from cytosuite.packages import install
from cytosuite.volume import SPATIAL, Origin, Scalar, Volume

MODULES = {
    ".czi": "bioio_czi",
    ".lif": "bioio_lif",
    ".nd2": "bioio_nd2",
}


def missing(path: Path) -> str:
    """Return what a file of a microscope lacks to be read, and the remedy; empty if nothing."""
    module = MODULES.get(path.suffix.lower())
    if module is None or (find_spec("bioio") and find_spec(module)):
        return ""
    return f"needs the extra `formats`: {install([module])}"


def content(path: Path) -> list[Path]:
    """Return the files of an image for a digest: those of OME-Zarr are hidden in part."""
    return [path, *sorted(path.rglob(".z*"))] if path.is_dir() else [path]


def read_microscope(path: Path, part: Part) -> Volume:
    """Return one channel and frame of a microscope's file; no other pixels are read.

    Parameters
    ----------
    path : Path
        ``.czi``, ``.nd2`` or ``.lif``.
    part : Part
        May be empty for a file with one scene, channel and frame.

    Returns
    -------
    Volume
        With the axes ZYX, or YX of one plane, and the name of the channel as metadata.

    Raises
    ------
    InputError
        If the reader is not installed, the file cannot be read, holds colours, or there is a
        choice and nothing is wanted.
    """
    suffix = path.suffix.lower()
    if lack := missing(path):
        raise InputError(f"{path}: {suffix} {lack}")
    from bioio import BioImage

    logging.getLogger("bioio").addHandler(logging.NullHandler())  # it repeats what it raises
    with guarded(path, suffix):
        image = BioImage(path, reader=import_module(MODULES[suffix]).Reader)
        image.set_scene(part.scene_of(path, image.scenes))
        names = [str(name) for name in image.channel_names or [""] * image.dims.C]
        channel, frame = part.channel_of(path, names), part.frame_of(path, image.dims.T)
        # One sample per pixel: colour images have an axis S more.
        grey = "S" not in image.dims.order
        lazy = image.get_image_dask_data("ZYX", C=channel, T=frame) if grey else None
        if lazy is not None:
            check_room(path, lazy.nbytes)
        array = None if lazy is None else np.asarray(lazy)
        sizes = _sizes(image)
    if array is None:
        raise InputError(
            f"{path}: expected a grey image, found a colour image; save it as TIFF or PNG, of "
            "which colours are read as channels"
        )
    return _volume(array, sizes, names[channel], suffix[1:])


def _sizes(image: Any) -> dict[str, float]:  # noqa: ANN401 - a BioImage
    """Return µm per voxel of the axes for which the file gives one."""
    found = {}
    properties = image.dimension_properties
    for axis in SPATIAL:
        size = getattr(image.physical_pixel_sizes, axis)
        unit = getattr(getattr(properties, axis, None), "unit", None)
        if size is not None and np.isfinite(size) and size > 0:
            # Readers give µm where they give no unit.
            found[axis] = float(size * (1 * unit).to("micrometer").magnitude if unit else size)
    return found


def _volume(array: NDArray[Any], sizes: dict[str, float], name: str, source: str) -> Volume:
    """Return an image (Z, Y, X) with its metadata, of one plane without z."""
    axes = "ZYX" if array.shape[0] > 1 else "YX"
    metadata: dict[str, Scalar] = {}
    if name and not UNNAMED.fullmatch(name):
        metadata["channel"] = name
    sources = dict.fromkeys([*metadata, "spacing"], source)
    # A step that is not known is guessed: cubic voxels.
    spacing = tuple(sizes.get(axis, sizes.get("Y", 1.0)) for axis in axes)
    if not all(axis in sizes for axis in axes):
        metadata["spacing_source"] = sources["spacing"] = "assumed"
    plain = array if axes == "ZYX" else array[0]
    return Volume(plain, spacing, axes, metadata, Origin(sources))
