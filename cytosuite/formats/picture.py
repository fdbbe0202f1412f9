"""Grey PNG and JPEG files, by Pillow's two readers alone: others start programs."""

from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.volume import Origin, Volume
from cytosuite.volume.memory import check_room

COLOURS = ("red", "green", "blue")  # as channels
PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff"
PIXELS = 2**28  # of a picture, 16,384 x 16,384: a small file may hold far more, and take minutes
SCANS = 100  # of a progressive JPEG, which programs write in a dozen; each goes over all pixels
COPIES = 3  # of the pixels while they become an array
BYTES = {"1": 1, "L": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I": 4, "F": 4}  # of grey pixels


def read(path: Path, pick: Mapping[str, int] | None = None) -> Volume:
    """Return a PNG or JPEG, grey or, to pick a channel, with its colours; without a voxel size."""
    with path.open("rb") as stream:
        image = _opened(stream)
        if image.width * image.height > PIXELS:
            raise InputError(
                f"expected a picture of at most {PIXELS} pixels, found {image.height} x "
                f"{image.width}; crop it, or save it as TIFF"
            )
        coloured = image.mode not in BYTES
        if coloured and "C" not in (pick or {}):
            shape = (image.height, image.width, len(image.getbands()))
            kind = "a palette" if image.mode == "P" else f"a colour image of shape {shape}"
            raise InputError(f"expected a grey image, found {kind}; give one channel")
        size = len("RGB") if coloured else BYTES[image.mode]
        check_room(COPIES * size * image.width * image.height)
        _check_rows(stream, image)
        array = np.asarray(image.convert("RGB") if coloured else image)
        pictures = int(getattr(image, "n_frames", 1))
    more = (f"the file holds {pictures} images, and only the first is read",)
    origin = Origin({"spacing": "assumed"}, warnings=more if pictures > 1 else ())
    array, axes = (np.moveaxis(array, -1, 0), "CYX") if coloured else (array, "YX")
    return Volume(array, (1.0, 1.0), axes, {"spacing_source": "assumed"}, origin)


def channels(path: Path) -> list[str]:
    """Return the names of the colours in a PNG or JPEG, none of a grey one."""
    with path.open("rb") as stream:
        return list(COLOURS) if _opened(stream).mode not in BYTES else []


def _check_rows(stream: IO[bytes], image: Any) -> None:  # noqa: ANN401 - of Pillow
    """Refuse a PNG with too few rows: decoded over another ground, the missing ones differ."""
    from PIL import Image

    if image.format != "PNG":
        return
    last = image.crop((0, image.height - 1, image.width, image.height))
    if np.asarray(last).any() and not image.info.get("interlace"):
        return  # rows come in order, over a ground of 0
    stream.seek(0)
    again = _opened(stream)
    again.im = Image.new(image.mode, image.size, 1).im
    if image.tobytes() != again.tobytes():
        raise InputError(f"expected {image.height} rows of pixels, found fewer; save it anew")


def check_scans(jpeg: bytes) -> None:
    """Refuse a JPEG with more scans than `SCANS`: a small file could take hours."""
    # A scan's head has less than 256 bytes: few others of large metadata, or behind the image.
    if (scans := jpeg.count(b"\xff\xda\x00")) > SCANS:
        raise InputError(f"expected a JPEG of at most {SCANS} scans, found {scans}; save it anew")


def _opened(stream: IO[bytes]) -> Any:  # noqa: ANN401 - a Pillow image
    """Return a picture with right check sums; Pillow's own choice of a class refuses large ones."""
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile

    start = stream.read(len(PNG))
    stream.seek(0)
    if start == PNG:
        PngImageFile(stream).verify()
        stream.seek(0)
        return PngImageFile(stream)
    if start.startswith(JPEG):
        check_scans(stream.read())
        stream.seek(0)
        return JpegImageFile(stream)
    raise InputError("cannot be read as a picture (neither PNG nor JPEG)")
