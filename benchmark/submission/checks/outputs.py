"""Acceptance of outputs: what a platform refuses, or alters, of what an algorithm wrote."""

import json
import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk  # noqa: N813
import tifffile

from cytosuite.benchmark.submission.checks.rules import Finding, finding
from cytosuite.contract.tasks import Task
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import CytosuiteError, InputError, at, last_line, reason_of
from cytosuite.files import TextDict, open_regular, parse_json, read_text
from cytosuite.formats import read
from cytosuite.formats.tiffcheck import check_directories
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import check_room

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
FILES = 1000  # that the platform lists
DEPTH = 16  # folders in each other


def import_image(path: Path, where: str) -> tuple[list[Finding], Path | None]:
    """Return an importer's findings and the file of pixels, InputError if special or too large."""
    fields = _fields(path)
    if (data := fields.get("ElementDataFile")) is None:
        return [*_tiff(path, where)], None
    if data == "LOCAL":
        return [*_metaimage(path, where, fields)], None
    raw = path.parent / data
    inside = path.parent.resolve() in raw.resolve().parents
    if not inside or raw.is_symlink() or not raw.is_file():
        return [
            finding(
                "output.broken", where, f"its pixels are in {data[:60]}, which is no file beside it"
            )
        ], None
    return [*_metaimage(path, where, fields)], raw


def _fields(path: Path) -> TextDict:
    """Return the header of a MetaImage as the importer reads it, empty where it is none."""
    fields: TextDict = {}
    with open_regular(path) as stream:
        for _ in range(LINES):
            line = stream.readline(LINE_BYTES)
            if not line or len(line) >= LINE_BYTES or "ElementDataFile" in fields:
                break
            try:
                text = line.decode("utf-8")
            except UnicodeDecodeError:
                return {}
            key, mark, value = text.rstrip("\r\n").partition("=")
            if mark:
                fields[key.strip()] = value.strip()
    return fields


def _metaimage(path: Path, where: str, fields: TextDict) -> Iterator[Finding]:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path.absolute()))
    try:
        reader.ReadImageInformation()
        findings = [*_header(reader, where)]
        yield from findings
        if any(remark.severity == "error" for remark in findings):
            return
        # Of any dtype; the importer makes a second copy, this check does not.
        with at(path):
            check_room(prod(reader.GetSize()) * reader.GetNumberOfComponents() * 8.0)
        array = sitk.GetArrayViewFromImage(image := reader.Execute())
    except RuntimeError as error:
        yield finding("output.broken", where, f"SimpleITK: {last_line(error)}")
        return
    if not {"ElementSpacing", "ElementSize"} & fields.keys():
        yield finding("output.spacing", where, "none: 1 mm per voxel is taken")
    yield from _not_finite(array, where)
    del array, image


def _header(reader: sitk.ImageFileReader, where: str) -> Iterator[Finding]:
    """Yield findings about dimensions, colours and keys of a MetaImage."""
    if reader.GetDimension() not in (2, 3, 4):
        yield finding(
            "output.dimensions",
            where,
            f"expected 2, 3 or 4 dimensions, found {reader.GetDimension()}",
        )
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
    with open_regular(path) as stream:
        if stream.read(4) not in TIFF_MARKS:
            yield finding(
                "output.no-image", where, "neither MetaImage nor TIFF; nothing else is read"
            )
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
    sizes = []  # mm per pixel, 0 where it is not known
    for axis in "XY":
        resolution = _value(page, f"{axis}Resolution")
        number, denominator = (
            resolution[:2] if isinstance(resolution, tuple) and resolution[1:] else (0, 0)
        )
        measured = unit in MM and number and denominator
        sizes.append(float(MM[unit] * denominator / number) if measured else 0.0)
    if not all(sizes) and not _has_aperio(page):
        text = f"its ResolutionUnit is {unit}" if "XResolution" in page.tags else "no XResolution"
        yield finding("output.resolution", where, f"the voxel size cannot be told: {text}")
    elif unit == "INCH":
        yield finding("output.inch", where, f"{sizes[0]:.4g} mm per pixel")
    if pages > 1 and file.pages[1].shape == page.shape:
        text = f"{pages} pages: shown as one plane with {pages} resolutions"
        yield finding("output.flat", where, text)


def _value(page: tifffile.TiffPage, name: str) -> object:
    return page.tags[name].value if name in page.tags else None


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
        yield finding("output.pixels", where, reason_of(error, path))
        return
    yield from _not_finite(array, where)


def _not_finite(array: Array, where: str) -> Iterator[Finding]:
    """Yield a finding about values that are no numbers, looked at plane by plane."""
    planes = array.reshape(-1, *array.shape[-2:]) if array.dtype.kind == "f" else ()
    if not all(np.isfinite(plane).all() for plane in planes):
        yield finding("output.not-finite", where, "NaN or infinity among the values")


def accept_outputs(folder: Path, task: Task | None) -> list[Finding]:
    """Return a platform's findings about the output of one case; InputError if it is no folder."""
    if not folder.is_dir():
        raise InputError(f"{folder}: expected the folder of an algorithm's output")
    return [*_accept(folder, task)]


def _accept(folder: Path, task: Task | None) -> Iterator[Finding]:
    there = [path.relative_to(folder).as_posix() for path in _outputs(folder)]
    declared = there if task is None else [socket.relative_path for socket in task.outputs]
    optional = {socket.relative_path for socket in task.outputs if socket.optional} if task else ()
    if not declared:
        yield finding("output.missing", folder.name, "neither images/<slug> nor a JSON file")
    for place in declared:
        if place in there and (folder / place).is_symlink():
            yield finding("output.link", place, "a link: the platform takes what it leads to")
        elif place in there and place.endswith(".json"):
            yield from _json(folder / place, place)
        elif place in there and place.endswith(".csv"):
            yield from _tracks(folder / place, place)
        elif place in there and (folder / place).is_dir():
            yield from _images(folder, folder / place)
        elif place not in optional:
            yield finding("output.missing", place, "expected an output, found none")
    for place in sorted({*there} - {*declared}):
        yield finding("output.undeclared", place, "no output of the task has this place")


def _outputs(folder: Path) -> list[Path]:
    """Return the entries at the places of outputs: in the folder, and in ``images``."""
    top = [Path(entry.path) for entry in os.scandir(folder) if entry.name != "images"]
    images = folder / "images"
    if not images.is_dir() or images.is_symlink():
        return sorted(top)
    return sorted([*top, *(Path(entry.path) for entry in os.scandir(images))])


def _tracks(path: Path, place: str) -> Iterator[Finding]:
    """Yield a finding about a table of tracks that cannot be read."""
    try:
        read_tracks(path)
    except InputError as error:
        yield finding("output.broken", place, reason_of(error, path))


def _json(path: Path, place: str) -> Iterator[Finding]:
    """Yield findings about a JSON file, which the platform reads with NaN as null."""
    try:
        text = read_text(path)
        parse_json(text)
    except InputError as error:
        yield finding("output.json", place, reason_of(error, path))
    except (ValueError, RecursionError) as strict:
        try:
            json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            yield finding("output.json", place, f"expected JSON, found {error}")
        else:
            yield finding("output.json-number", place, f"found {strict}")


def _images(folder: Path, place: Path) -> Iterator[Finding]:
    where, files = place.relative_to(folder).as_posix(), list[Path]()
    for path in _files(place, 0):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield finding("output.link", name, "a link: the platform takes what it leads to")
        elif not stat.S_ISREG(path.lstat().st_mode):
            yield finding("output.extra", name, "a pipe, a socket or a device")
        else:
            files.append(path)
        if len(files) > FILES:
            yield finding("output.too-many", where, f"more than {FILES} files")
            return
    if not files:
        yield finding("output.missing", where, "expected one image, found none")
    yield from _imported(folder, where, files)


def _imported(folder: Path, where: str, files: list[Path]) -> Iterator[Finding]:
    """Yield findings about regular files; one of them must be an image."""
    accepted, refused, used = list[Path](), dict[Path, list[Finding]](), set[Path]()
    for path in files:
        name = path.relative_to(folder).as_posix()
        try:
            findings, companion = import_image(path, name)
        except CytosuiteError as error:
            findings, companion = [finding("output.broken", name, reason_of(error, path))], None
        if any(remark.severity == "error" for remark in findings):
            refused[path] = findings
        else:
            accepted.append(path)
            used |= {companion} if companion else set()
            yield from findings
    if len(accepted) > 1:
        names = ", ".join(path.name for path in accepted[:3])
        yield finding("output.several", where, f"{len(accepted)} images: {names}")
    for path, findings in refused.items():
        if not accepted:
            yield from findings
        elif path not in used:
            name = path.relative_to(folder).as_posix()
            yield finding("output.extra", name, "no image, beside one")


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield all that is no folder below a folder, without following links."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if depth < DEPTH:
                yield from _files(Path(entry.path), depth + 1)
        else:
            yield Path(entry.path)
