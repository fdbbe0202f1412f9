"""The verdict of the platform's importer on one image file: MetaImage or TIFF, by its content.

The rules are those of panimg 0.18 (`image_builders/metaio_mhd_mha.py`, `tiff.py`): a MetaImage is
read by SimpleITK, of a TIFF only the tags of its first page are looked at.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
import tifffile

from cytosuite.benchmark.submission.checks.rules import Finding, finding
from cytosuite.errors import InputError, last_line
from cytosuite.files import open_regular
from cytosuite.formats import read
from cytosuite.formats.tiffcheck import check_directories
from cytosuite.memory import check_room

LINES, LINE_BYTES = 10_000, 10_000  # of a header of MetaImage
TIFF_MARKS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
COMPONENTS = (1, 3, 4)
COLOURS = ("MINISBLACK", "RGB", "RGBA", "YCBCR")
MM = {"INCH": 25.4, "CENTIMETER": 10.0}
NUMBER = r"[-+]?[0-9]*\.?[0-9]+([eE][-+]?[0-9]+)?"
LIST = rf"\[({NUMBER},\s?)*{NUMBER}]"
TIME = r"((2[0-3]|[0-1]\d)[0-5]\d[0-5]\d(\.\d\d\d)?)"
WINDOW = ("WindowCenter", "WindowWidth")
PER_FRAME = ("Exposures", "ContentTimes")
KEYS = {
    "Laterality": r".{0,128}",
    "SliceThickness": NUMBER,
    "Exposures": rf"{NUMBER}(\s{NUMBER})*",
    "ContentTimes": rf"{TIME}(\s{TIME})*",
    "WindowCenter": rf"{NUMBER}|{LIST}",
    "WindowWidth": rf"{NUMBER}|{LIST}",
    "SmallestImagePixelValue": NUMBER,
    "LargestImagePixelValue": NUMBER,
    "t0": NUMBER,
    "t1": NUMBER,
}
APERIO = re.compile(r"\|\s*MPP\s*=\s*([0-9]*\.?[0-9]+)\s*(?:\||$)")


def import_image(path: Path, where: str) -> tuple[list[Finding], Path | None]:
    """Return the findings of a platform's importer about a file, and the file of pixels it names.

    Parameters
    ----------
    path : Path
        A regular file.
    where : str
        Its name for the findings.

    Returns
    -------
    tuple of (list of Finding, Path or None)
        It is refused where one of them is an error. The path is that of the raw file of a
        ``.mhd``.

    Raises
    ------
    InputError
        If it is no regular file, or larger than the memory.
    """
    fields = _fields(path)
    data = (fields or {}).get("ElementDataFile")
    if fields is None or data is None:
        return [*_tiff(path, where)], None
    if data == "LOCAL":
        return [*_metaimage(path, where, fields)], None
    raw = path.parent / data
    inside = path.parent.resolve() in raw.resolve().parents
    if not inside or raw.is_symlink() or not raw.is_file():
        text = f"its pixels are in {data[:60]}, which is no file beside it"
        return [finding("output.broken", where, text)], None
    return [*_metaimage(path, where, fields)], raw


def _fields(path: Path) -> dict[str, str] | None:
    """Return the header of a MetaImage as the importer reads it, None where it is none."""
    found: dict[str, str] = {}
    with open_regular(path) as stream:
        for _ in range(LINES):
            line = stream.readline(LINE_BYTES)
            if not line or len(line) >= LINE_BYTES or "ElementDataFile" in found:
                break
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                return None
            key, mark, value = text.rstrip("\r\n").partition("=")
            if mark:
                found[key.strip()] = value.strip()
    return found


def _metaimage(path: Path, where: str, fields: dict[str, str]) -> Iterator[Finding]:
    """Yield findings about a MetaImage."""
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path.absolute()))
    try:
        reader.ReadImageInformation()
        found = [*_header(reader, where)]
        yield from found
        if any(each.severity == "error" for each in found):
            return
        # Of any dtype; the importer makes a second copy, this check does not.
        check_room(path, prod(reader.GetSize()) * reader.GetNumberOfComponents() * 8.0)
        array = sitk.GetArrayViewFromImage(image := reader.Execute())
    except RuntimeError as error:
        yield finding("output.broken", where, f"SimpleITK: {last_line(error)}")
        return
    if not {"ElementSpacing", "ElementSize"} & fields.keys():
        yield finding("output.spacing", where, "none: 1 mm per voxel is taken")
    if array.dtype.kind == "f" and not all(np.isfinite(plane).all() for plane in array):
        yield finding("output.not-finite", where, "NaN or infinity among the values")
    del array, image


def _header(reader: sitk.ImageFileReader, where: str) -> Iterator[Finding]:
    """Yield findings about dimensions, colours and keys of a MetaImage."""
    if reader.GetDimension() not in (2, 3, 4):
        text = f"expected 2, 3 or 4 dimensions, found {reader.GetDimension()}"
        yield finding("output.dimensions", where, text)
    if (number := reader.GetNumberOfComponents()) not in COMPONENTS:
        yield finding("output.colour", where, f"expected 1, 3 or 4 channels, found {number}")
    values = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if key in KEYS}
    for key, value in values.items():
        if not re.fullmatch(KEYS[key], value):
            yield finding("output.key", where, f"{key} = {value[:60]}")
    frames = reader.GetSize()[3] if reader.GetDimension() == 4 else 1
    for key in PER_FRAME:
        if key in values and len(values[key].split(" ")) != frames:
            yield finding("output.key", where, f"{key}: expected a value for each of {frames}")
    lists = [values[key] for key in WINDOW if values.get(key, "").startswith("[")]
    if lists and (len(lists) == 1 or lists[0].count(",") != lists[1].count(",")):
        yield finding("output.key", where, "WindowCenter and WindowWidth differ in length")


def _tiff(path: Path, where: str) -> Iterator[Finding]:
    """Yield findings about a TIFF."""
    with open_regular(path) as stream:
        if stream.read(4) not in TIFF_MARKS:
            text = "neither MetaImage nor TIFF; nothing else is read"
            yield finding("output.no-image", where, text)
            return
        try:
            check_directories(stream)
            stream.seek(0)
            with _quiet(), tifffile.TiffFile(stream, name=path.name, _multifile=False) as file:
                yield from _page(file, where)
                grey = file.pages.first.samplesperpixel == 1
        except Exception as error:  # nobody knows all that a codec raises
            yield finding("output.broken", where, f"tifffile: {last_line(error)}")
            return
    if grey:
        yield from _pixels(path, where)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep tifffile from writing about defects that are findings here."""
    logger = logging.getLogger("tifffile")
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def _page(file: tifffile.TiffFile, where: str) -> Iterator[Finding]:
    """Yield findings about the tags of a TIFF's first page, and the number of pages."""
    page, pages = file.pages.first, len(file.pages)
    photometric = getattr(_value(page, "PhotometricInterpretation"), "name", "none")
    if photometric.upper() not in COLOURS:
        yield finding("output.colour", where, f"its PhotometricInterpretation is {photometric}")
    if not _value(page, "ImageWidth") or not _value(page, "ImageLength"):
        yield finding("output.broken", where, "an image without width or height")
    unit = getattr(_value(page, "ResolutionUnit"), "name", "missing")
    sizes = [_size_mm(_value(page, f"{axis}Resolution"), unit) for axis in "XY"]
    if not all(sizes) and not _has_aperio(page):
        stated = "XResolution" in page.tags
        text = f"its ResolutionUnit is {unit}" if stated else "no XResolution"
        yield finding("output.resolution", where, f"the voxel size cannot be told: {text}")
    elif unit == "INCH":
        yield finding("output.inch", where, f"{sizes[0]:.4g} mm per pixel")
    if pages > 1 and file.pages[1].shape == page.shape:
        text = f"{pages} pages: shown as one plane with {pages} resolutions"
        yield finding("output.flat", where, text)


def _value(page: tifffile.TiffPage, name: str) -> object:
    """Return the value of a tag, None without it."""
    return page.tags[name].value if name in page.tags else None


def _size_mm(resolution: object, unit: str) -> float:
    """Return the size of a pixel, 0 where it is not known."""
    if unit not in MM or not isinstance(resolution, tuple) or len(resolution) < 2:
        return 0.0
    number, denominator = resolution[:2]
    return float(MM[unit] * denominator / number) if number and denominator else 0.0


def _has_aperio(page: tifffile.TiffPage) -> bool:
    """Return whether OpenSlide tells the size of a pixel: of Aperio's tiled TIFF."""
    texts = [str(tag.value) for tag in page.tags.getall("ImageDescription", [])]
    aperio = bool(texts) and texts[-1].startswith("Aperio")  # the last counts, for OpenSlide
    return aperio and bool(page.is_tiled and APERIO.search(texts[-1]))


def _pixels(path: Path, where: str) -> Iterator[Finding]:
    """Yield findings about the pixels of a grey TIFF, which the importer does not read."""
    suffixed = path.suffix.lower() in (".tif", ".tiff")
    try:
        array = read(path).array if suffixed else np.zeros(1)
    except InputError as error:
        yield finding("output.pixels", where, str(error).removeprefix(f"{path}: "))
        return
    planes = array.reshape(-1, *array.shape[-2:]) if array.dtype.kind == "f" else ()
    if not all(np.isfinite(plane).all() for plane in planes):
        yield finding("output.not-finite", where, "NaN or infinity among the values")
