"""Grey PNG and JPEG files, by Pillow's two readers alone: others start programs."""

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.formats.pieces import planes_of
from cytosuite.memory import check_room
from cytosuite.volume import Header, Origin, Volume

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
PIXELS = 2**28  # of a picture, 16,384 x 16,384: a small file may hold far more, and take minutes
COPIES = 3  # of the pixels while they become an array
BYTES = {"1": 1, "L": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I": 4, "F": 4}  # of grey pixels


def read_picture(path: Path, *, colours: bool = False) -> Volume:
    """Return a PNG or JPEG, grey or with `colours` as channels; it never gives a voxel size.

    Parameters
    ----------
    path : Path
        Of 1, 8, 16 or 32 bits per pixel. Of an animation the first picture is read.

    Raises
    ------
    InputError
        If it is neither, is cut or altered, holds colours that are not asked for, has more than
        2**28 pixels, or does not fit into memory.
    """
    with path.open("rb") as stream:
        image = _opened(path, stream)
        if colours and image.mode not in BYTES:
            check_room(path, COPIES * len("RGB") * image.width * image.height)
            array = np.moveaxis(np.asarray(image.convert("RGB")), -1, 0)
            return Volume(array, (1.0, 1.0), "CYX", {"spacing_source": "assumed"})
        if image.mode == "P":
            raise InputError(f"{path}: expected a grey image, found a palette; save it as grey")
        if image.mode not in BYTES:
            shape = (image.height, image.width, len(image.getbands()))
            raise InputError(
                f"{path}: expected a grey image, found a colour image of shape {shape}; "
                "give one channel"
            )
        if image.width * image.height > PIXELS:
            raise InputError(
                f"{path}: expected a picture of at most {PIXELS} pixels, found {image.height} x "
                f"{image.width}; crop it, or save it as TIFF"
            )
        check_room(path, COPIES * BYTES[image.mode] * image.width * image.height)
        array = np.asarray(image)
        pictures = int(getattr(image, "n_frames", 1))
    more = (f"the file holds {pictures} images, and only the first is read",)
    origin = Origin({"spacing": "assumed"}, warnings=more if pictures > 1 else ())
    return Volume(array, (1.0, 1.0), "YX", {"spacing_source": "assumed"}, origin)


def has_colours(path: Path) -> bool:
    """Return whether a PNG or JPEG holds colours, or a palette."""
    with path.open("rb") as stream:
        return _opened(path, stream).mode not in BYTES


def picture_slabs(path: Path, planes: int | None = None) -> Iterator[NDArray[Any]]:
    """Yield the rows of a picture in slabs; see `cytosuite.formats.slabs`."""
    image = read_picture(path)
    count = planes_of(Header(image.shape, image.array.dtype, image.spacing, image.axes), planes)
    for start in range(0, len(image.array), count):
        yield image.array[start : start + count]


def _opened(path: Path, stream: IO[bytes]) -> Any:  # noqa: ANN401 - a Pillow image
    """Return a picture with right check sums, before its pixels are decoded.

    Its class is named, since Pillow's own choice refuses large pictures whatever the memory.
    """
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    start = stream.read(len(PNG))
    stream.seek(0)
    if start == PNG:
        PngImageFile(stream).verify()
        stream.seek(0)
        return PngImageFile(stream)
    if start.startswith(JPEG):
        return JpegImageFile(stream)
    raise InputError(f"{path}: cannot be read as a picture (neither PNG nor JPEG)")
