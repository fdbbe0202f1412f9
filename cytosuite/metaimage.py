"""MetaImage files (.mha) by SimpleITK, with their pixels in the file itself."""

from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - the name its users know

from cytosuite.errors import InputError, last_line
from cytosuite.volume import Header, Origin, Scalar, Volume

UM_PER_MM = 1000.0
HEADER_BYTES = 65536  # a header is far shorter


def _reader(path: Path) -> sitk.ImageFileReader:
    """Return SimpleITK's reader of a file that holds its pixels itself."""
    with path.open("rb") as stream:
        head = stream.read(HEADER_BYTES)
    # A header may name any other file as its pixels; only LOCAL keeps reading in this one.
    lines = [line.replace(b" ", b"").strip() for line in head.split(b"\n")]
    named = [line for line in lines if line.lower().startswith(b"elementdatafile=")]
    if not named or named[0].lower() != b"elementdatafile=local":
        raise InputError(f"{path}: expected a MetaImage with ElementDataFile = LOCAL")
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read as MetaImage ({last_line(error)})") from None
    return reader


def _dtype(reader: sitk.ImageFileReader) -> np.dtype[Any]:
    """Return numpy's name for a SimpleITK pixel type."""
    name = sitk.GetPixelIDValueAsString(reader.GetPixelID())
    bits = next(int(word.split("-")[0]) for word in name.split() if word[0].isdigit())
    kind = "float" if "float" in name else "uint" if "unsigned" in name else "int"
    return np.dtype(f"{kind}{bits}")


def read_metaimage(path: Path) -> Volume:
    """Return the image in a MetaImage file.

    Parameters
    ----------
    path : Path
        ``.mha`` with one channel and axes YX, ZYX or TZYX. Spacing in the file is in mm and
        becomes µm; programs write 1 mm on every axis for "not known".

    Raises
    ------
    InputError
        If the file is broken, holds colours, or names another file as its pixels.
    """
    reader = _reader(path)
    axes = _axes(path, reader)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be read as MetaImage ({last_line(error)})") from None
    metadata: dict[str, Scalar] = {
        key: _scalar(image.GetMetaData(key))
        for key in image.GetMetaDataKeys()
        if not key.startswith("ITK_") and key != "Modality"
    }
    spacing, known = _spacing(reader, axes)
    if not known:
        metadata["spacing_source"] = "assumed"
    sources = dict.fromkeys(metadata, "metaimage")
    sources["spacing"] = "metaimage" if known else "assumed"
    sources.pop("spacing_source", None)
    origin = Origin(sources, "mm")
    return Volume(sitk.GetArrayFromImage(image), spacing, axes, metadata, origin)


def metaimage_header(path: Path) -> Header:
    """Return the geometry of a MetaImage without reading a pixel; see `read_metaimage`."""
    reader = _reader(path)
    axes = _axes(path, reader)
    shape = tuple(int(size) for size in reversed(reader.GetSize()))
    return Header(shape, _dtype(reader), _spacing(reader, axes)[0], axes)


def _axes(path: Path, reader: sitk.ImageFileReader) -> str:
    """Return the axes of a grey image of two to four dimensions."""
    if reader.GetNumberOfComponents() > 1:
        raise InputError(f"{path}: expected a grey image, found a colour image; give one channel")
    axes = {2: "YX", 3: "ZYX", 4: "TZYX"}.get(reader.GetDimension())
    if axes is None:
        raise InputError(f"{path}: expected 2, 3 or 4 dimensions, found {reader.GetDimension()}")
    return axes


def _spacing(reader: sitk.ImageFileReader, axes: str) -> tuple[tuple[float, ...], bool]:
    """Return µm per voxel, and whether it is known: 1 mm on every axis means that it is not."""
    sizes = tuple(reversed(reader.GetSpacing()))[-len(axes.replace("T", "")) :]
    if all(size == 1.0 for size in sizes):
        return sizes, False
    return tuple(float(f"{size * UM_PER_MM:.12g}") for size in sizes), True


def write_metaimage(path: Path, volume: Volume, compress: bool) -> None:
    """Write a MetaImage: µm as mm, metadata as keys of the header.

    See `cytosuite.formats.write`, which also makes it atomic.

    Raises
    ------
    InputError
        If MetaImage cannot hold the axes or the dtype.
    """
    if volume.axes not in {"YX", "ZYX"}:
        raise InputError(f"{path}: MetaImage holds the axes YX or ZYX, found {volume.axes}")
    try:
        image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array))
    except (KeyError, TypeError):
        raise InputError(f"{path}: MetaImage cannot hold dtype {volume.array.dtype}") from None
    scale = 1.0 if volume.spacing_is_assumed else UM_PER_MM
    image.SetSpacing([size / scale for size in reversed(volume.spacing)])
    for key, value in volume.metadata.items():
        if key != "spacing_source":
            image.SetMetaData(key, str(value))
    sitk.WriteImage(image, str(path), useCompression=compress, compressionLevel=1)


def _scalar(text: str) -> Scalar:
    """Return a number where a MetaImage value is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
