"""Reading and writing volumes: TIFF, MetaImage (.mha), HDF5; PNG and JPEG are read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.errors import InputError, last_line
from cytosuite.files import atomic
from cytosuite.metaimage import metaimage_header, read_metaimage, write_metaimage
from cytosuite.tiff import read_tiff, tiff_header
from cytosuite.tiffwriter import write_tiff
from cytosuite.volume import SPATIAL, Header, Origin, Volume

HDF5_NAMES = ("image", "raw", "data", "labels", "label")


def read(path: Path, pick: Mapping[str, int] | None = None, scene: int | None = None) -> Volume:
    """Return the image in a file with its axes, voxel size and metadata.

    Parameters
    ----------
    path : Path
        ``.tif``/``.tiff``, ``.mha``, ``.h5``/``.hdf5``, or a grey ``.png``/``.jpg``.
    pick : mapping of str to int, optional
        Index along T or C, which are dropped; of a TIFF no other pages are decoded.
    scene : int, optional
        Number of the image in a TIFF that holds several.

    Returns
    -------
    Volume
        With 1 µm voxels and ``spacing_source = "assumed"`` where the file gives no size.

    Raises
    ------
    InputError
        If the file is missing, empty, cut, broken, of another kind, or a colour image.
    """
    reader = _reader(path)
    if reader is read_tiff:
        return read_tiff(path, pick, scene)
    volume = reader(path)
    index = tuple((pick or {}).get(axis, slice(None)) for axis in volume.axes)
    axes = "".join(axis for axis in volume.axes if axis not in (pick or {}))
    return replace(volume, array=volume.array[index], axes=axes)


def write(path: Path, volume: Volume, *, compress: bool = True) -> None:
    """Write a volume under its final name only once it is whole.

    Parameters
    ----------
    path : Path
        ``.tif``/``.tiff``, ``.mha`` or ``.h5``/``.hdf5``; parents are made.
    volume : Volume
        The image; axes, spacing and metadata are kept.
    compress : bool
        Whether to deflate the pixels.

    Raises
    ------
    InputError
        If the suffix is unknown, or the format cannot hold the dtype or axes.
    """
    writer = WRITERS.get(path.suffix.lower())
    if writer is None:
        raise InputError(f"{path}: can write {', '.join(WRITERS)}, found {path.suffix!r}")
    with atomic(path) as temporary:
        writer(temporary, volume, compress)


def header(path: Path, scene: int | None = None) -> Header:
    """Return the geometry of a TIFF or MetaImage file without decoding its pixels; see `read`.

    Raises
    ------
    InputError
        If the file is cut or broken, of another kind, or a colour image.
    """
    reader = _reader(path)
    if reader not in HEADERS:
        raise InputError(f"{path}: expected .tif, .tiff or .mha, found {path.suffix!r}")
    return tiff_header(path, scene) if reader is read_tiff else HEADERS[reader](path)


def _reader(path: Path) -> Callable[[Path], Volume]:
    """Return the reader for a file that exists and is not empty."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InputError(f"{path}: expected one of {', '.join(READERS)}, found {path.suffix!r}")
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty")
    return reader


def _read_hdf5(path: Path) -> Volume:
    """Read the dataset named image, raw, data or labels, or the only one there is."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            names = [name for name, item in file.items() if isinstance(item, h5py.Dataset)]
            chosen = [name for name in HDF5_NAMES if name in names] or names
            if not chosen or (len(chosen) > 1 and chosen[0] not in HDF5_NAMES):
                raise InputError(
                    f"{path}: expected a dataset named {' or '.join(HDF5_NAMES)}, found {names}"
                )
            array = file[chosen[0]][()]
            attributes = dict(file[chosen[0]].attrs)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read as HDF5 ({last_line(error)})") from None
    axes = str(attributes.pop("axes", {2: "YX", 3: "ZYX"}.get(array.ndim, "?")))
    size = attributes.pop("spacing", attributes.pop("element_size_um", None))
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in attributes.items()}
    metadata = {key: value for key, value in plain.items() if isinstance(value, str | int | float)}
    sources = dict.fromkeys([*metadata, "spacing"], "hdf5")
    if size is None:
        size = (1.0,) * sum(axis in SPATIAL for axis in axes)
        metadata["spacing_source"] = sources["spacing"] = "assumed"
    try:
        spacing = tuple(float(value) for value in size)
    except (TypeError, ValueError):
        raise InputError(f"{path}: expected a list of µm as spacing, found {size!r}") from None
    return Volume(array, spacing, axes, metadata, Origin(sources))


def _write_hdf5(path: Path, volume: Volume, compress: bool) -> None:
    """Write one dataset ``image`` with spacing, axes and metadata as attributes."""
    import h5py

    with h5py.File(path, "w") as file:
        dataset = file.create_dataset(
            "image", data=volume.array, compression="gzip" if compress else None
        )
        for key, value in volume.metadata.items():
            dataset.attrs[key] = value
        dataset.attrs["axes"] = volume.axes
        if not volume.spacing_is_assumed:
            dataset.attrs["spacing"] = volume.spacing


def _read_picture(path: Path) -> Volume:
    """Read a grey PNG or JPEG, which never gives a voxel size."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            array = np.asarray(image)
            colour = image.mode not in {"1", "L", "I", "F"} and not image.mode.startswith("I;16")
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise InputError(f"{path}: cannot be read as a picture ({last_line(error)})") from None
    if colour or array.ndim != 2:
        raise InputError(
            f"{path}: expected a grey image, found a colour image of shape {array.shape}; "
            "give one channel"
        )
    assumed = Origin({"spacing": "assumed"})
    return Volume(array, (1.0, 1.0), "YX", {"spacing_source": "assumed"}, assumed)


READERS: dict[str, Callable[[Path], Volume]] = {
    ".tif": read_tiff,
    ".tiff": read_tiff,
    ".mha": read_metaimage,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".png": _read_picture,
    ".jpg": _read_picture,
    ".jpeg": _read_picture,
}
HEADERS: dict[Callable[[Path], Volume], Callable[[Path], Header]] = {
    read_tiff: tiff_header,
    read_metaimage: metaimage_header,
}
WRITERS: dict[str, Callable[[Path, Volume, bool], None]] = {
    ".tif": write_tiff,
    ".tiff": write_tiff,
    ".mha": write_metaimage,
    ".h5": _write_hdf5,
    ".hdf5": _write_hdf5,
}
