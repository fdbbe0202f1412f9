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

from cytosuite.benchmark.submission.checks.rules import Broken, Faults, refuses
from cytosuite.contract.tasks import Task
from cytosuite.contract.tracks import read_tracks
from cytosuite.errors import CytosuiteError, InputError, at, last_line, reason_of
from cytosuite.files import TextDict, TextMap, TextPair, open_regular, parse_json, read_text
from cytosuite.formats import read
from cytosuite.formats.tiffcheck import check_directories
from cytosuite.volume.arrays import Array
from cytosuite.volume.memory import check_room

LINES = 10_000  # of a header of MetaImage
LINE_BYTES = 10_000
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
LINKED = "a link: the platform takes what it leads to"


def import_image(path: Path) -> tuple[list[TextPair], Path | None]:
    """Return broken rules with findings, and the file of pixels; InputError if it is too large."""
    fields = _fields(path)
    if (data := fields.get("ElementDataFile")) is None:
        return [*_tiff(path)], None
    if data == "LOCAL":
        return [*_metaimage(path, fields)], None
    raw = path.parent / data
    inside = path.parent.resolve() in raw.resolve().parents
    if not inside or raw.is_symlink() or not raw.is_file():
        return [
            ("output.broken", f"its pixels are in {data[:60]}, which is no file beside it")
        ], None
    return [*_metaimage(path, fields)], raw


def _fields(path: Path) -> TextDict:
    """Return the header of a MetaImage as the importer reads it, empty where it is none."""
    fields = {}
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


def _metaimage(path: Path, fields: TextMap) -> Broken:
    reader = sitk.ImageFileReader()
    reader.SetImageIO("MetaImageIO")
    reader.SetFileName(str(path.absolute()))
    try:
        reader.ReadImageInformation()
        faults = [*_header(reader)]
        yield from faults
        if refuses(rule for rule, _ in faults):
            return
        # Of any dtype; the importer makes a second copy, this check does not.
        with at(path):
            check_room(prod(reader.GetSize()) * reader.GetNumberOfComponents() * 8.0)
        array = sitk.GetArrayViewFromImage(image := reader.Execute())
    except RuntimeError as error:
        yield "output.broken", f"SimpleITK: {last_line(error)}"
        return
    if not {"ElementSpacing", "ElementSize"} & fields.keys():
        yield "output.spacing", "none: 1 mm per voxel is taken"
    yield from _not_finite(array)
    del array, image


def _header(reader: sitk.ImageFileReader) -> Broken:
    """Yield faults of dimensions, colours and keys of a MetaImage."""
    if (dimensions := reader.GetDimension()) not in (2, 3, 4):
        yield "output.dimensions", f"expected 2, 3 or 4 dimensions, found {dimensions}"
    if (number := reader.GetNumberOfComponents()) not in COMPONENTS:
        yield "output.colour", f"expected 1, 3 or 4 channels, found {number}"
    values = {key: reader.GetMetaData(key) for key in reader.GetMetaDataKeys() if key in KEYS}
    for key, value in values.items():
        if not re.fullmatch(KEYS[key], value):
            yield "output.key", f"{key} = {value[:60]}"
    frames = reader.GetSize()[3] if dimensions == 4 else 1
    for key in PER_FRAME:
        if key in values and len(values[key].split(" ")) != frames:
            yield "output.key", f"{key}: expected a value for each of {frames}"
    lists = [values[key] for key in WINDOW if values.get(key, "").startswith("[")]
    if lists and (len(lists) == 1 or lists[0].count(",") != lists[1].count(",")):
        yield "output.key", "WindowCenter and WindowWidth differ in length"


def _tiff(path: Path) -> Broken:
    with open_regular(path) as stream:
        if stream.read(4) not in TIFF_MARKS:
            yield "output.no-image", "neither MetaImage nor TIFF; nothing else is read"
            return
        try:
            check_directories(stream)
            stream.seek(0)
            with _quiet(), tifffile.TiffFile(stream, name=path.name, _multifile=False) as file:
                yield from _page(file)
                grey = file.pages.first.samplesperpixel == 1
        except Exception as error:  # nobody knows all that a codec raises
            yield "output.broken", f"tifffile: {last_line(error)}"
            return
    if grey:
        yield from _pixels(path)


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


def _page(file: tifffile.TiffFile) -> Broken:
    """Yield faults of the tags of a TIFF's first page, and of the number of pages."""
    page = file.pages.first
    pages = len(file.pages)
    photometric = getattr(_value(page, "PhotometricInterpretation"), "name", "none")
    if photometric.upper() not in COLOURS:
        yield "output.colour", f"its PhotometricInterpretation is {photometric}"
    if not _value(page, "ImageWidth") or not _value(page, "ImageLength"):
        yield "output.broken", "an image without width or height"
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
        yield "output.resolution", f"the voxel size cannot be told: {text}"
    elif unit == "INCH":
        yield "output.inch", f"{sizes[0]:.4g} mm per pixel"
    if pages > 1 and file.pages[1].shape == page.shape:
        yield "output.flat", f"{pages} pages: shown as one plane with {pages} resolutions"


def _value(page: tifffile.TiffPage, name: str) -> object:
    return page.tags[name].value if name in page.tags else None


def _has_aperio(page: tifffile.TiffPage) -> bool:
    """Return whether OpenSlide tells the size of a pixel: of Aperio's tiled TIFF."""
    texts = [str(tag.value) for tag in page.tags.getall("ImageDescription", [])]
    aperio = bool(texts) and texts[-1].startswith("Aperio")  # the last counts, for OpenSlide
    return aperio and bool(page.is_tiled and APERIO.search(texts[-1]))


def _pixels(path: Path) -> Broken:
    """Yield faults of the pixels of a grey TIFF, which the importer does not read."""
    suffixed = path.suffix.lower() in (".tif", ".tiff")
    try:
        array = read(path).array if suffixed else np.zeros(1)
    except InputError as error:
        yield "output.pixels", reason_of(error, path)
        return
    yield from _not_finite(array)


def _not_finite(array: Array) -> Broken:
    """Yield a fault of values that are no numbers, looked at plane by plane."""
    planes = array.reshape(-1, *array.shape[-2:]) if array.dtype.kind == "f" else ()
    if not all(np.isfinite(plane).all() for plane in planes):
        yield "output.not-finite", "NaN or infinity among the values"


def accept_outputs(folder: Path, task: Task | None) -> Faults:
    """Yield the faults of the output of one case."""
    there = [path.relative_to(folder).as_posix() for path in _outputs(folder)]
    declared = there if task is None else [socket.relative_path for socket in task.outputs]
    optional = {socket.relative_path for socket in task.outputs if socket.optional} if task else ()
    if not declared:
        yield "output.missing", folder.name, "neither images/<slug> nor a JSON file"
    for place in declared:
        path = folder / place
        if place in there and path.is_symlink():
            yield "output.link", place, LINKED
        elif place in there and place.endswith((".json", ".csv")):
            for rule, text in _text(path):
                yield rule, place, text
        elif place in there and path.is_dir():
            yield from _images(folder, place)
        elif place not in optional:
            yield "output.missing", place, "expected an output, found none"
    for place in sorted({*there} - {*declared}):
        yield "output.undeclared", place, "no output of the task has this place"


def _outputs(folder: Path) -> list[Path]:
    """Return the entries at the places of outputs: in the folder, and in ``images``."""
    images = folder / "images"
    folders = [folder, images] if images.is_dir() and not images.is_symlink() else [folder]
    return sorted(path for place in folders for path in place.iterdir() if path != images)


def _text(path: Path) -> Broken:
    """Yield faults of a table of tracks, or of JSON, which the platform reads with NaN as null."""
    table = path.suffix == ".csv"
    try:
        if table:
            read_tracks(path)
            return
        text = read_text(path)
        parse_json(text)
    except InputError as error:
        yield "output.broken" if table else "output.json", reason_of(error, path)
    except (ValueError, RecursionError) as strict:
        try:
            json.loads(text, parse_constant=lambda _: None)
        except (ValueError, RecursionError) as error:
            yield "output.json", f"expected JSON, found {error}"
        else:
            yield "output.json-number", f"found {strict}"


def _images(folder: Path, place: str) -> Faults:
    """Yield faults of the files of an output; one of them must be an image."""
    files = dict[str, Path]()
    for path in _files(folder / place, 0):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            yield "output.link", name, LINKED
        elif not stat.S_ISREG(path.lstat().st_mode):
            yield "output.extra", name, "a pipe, a socket or a device"
        else:
            files[name] = path
        if len(files) > FILES:
            yield "output.too-many", place, f"more than {FILES} files"
            return
    if not files:
        yield "output.missing", place, "expected one image, found none"
    accepted, refused, used = list[Path](), dict[str, list[TextPair]](), set[Path | None]()
    for name, path in files.items():
        try:
            faults, companion = import_image(path)
        except CytosuiteError as error:
            faults = [("output.broken", reason_of(error, path))]
            companion = None
        if refuses(rule for rule, _ in faults):
            refused[name] = faults
            continue
        accepted.append(path)
        used.add(companion)
        for rule, text in faults:
            yield rule, name, text
    if len(accepted) > 1:
        yield (
            "output.several",
            place,
            f"{len(accepted)} images: {', '.join(path.name for path in accepted[:3])}",
        )
    for name, faults in refused.items():
        if accepted and files[name] not in used:
            yield "output.extra", name, "no image, beside one"
        for rule, text in () if accepted else faults:
            yield rule, name, text


def _files(folder: Path, depth: int) -> Iterator[Path]:
    """Yield all that is no folder below a folder, without following links."""
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if depth < DEPTH:
                yield from _files(Path(entry.path), depth + 1)
        else:
            yield Path(entry.path)
