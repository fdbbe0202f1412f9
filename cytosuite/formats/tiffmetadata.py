"""Metadata in TIFF files: JSON of tifffile and ours, ImageJ's text, OME-XML with its microscope.

What OME has no place for, read noise and the point spread function, is a map annotation.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite, log, prod
from typing import NamedTuple
from weakref import WeakKeyDictionary

import tifffile

from cytosuite.errors import plain
from cytosuite.files import (
    Entries,
    FloatDict,
    FloatMap,
    Json,
    ScalarMap,
    Scalars,
    TextMap,
    TextSeq,
    parse_json,
)
from cytosuite.volume import AXES, KEY_LETTERS, SPATIAL, UM_PER, UNITS, Origin, is_size

NAMESPACE = "cytosuite"
PLACES = {
    "camera": ("Detector", "Type"),
    "gain": ("Detector", "Gain"),
    "offset": ("Detector", "Offset"),
    "na": ("Objective", "LensNA"),
    "magnification": ("Objective", "NominalMagnification"),
    "index_immersion": ("ObjectiveSettings", "RefractiveIndex"),
    "emission_um": ("Channel", "EmissionWavelength"),
    "excitation_um": ("Channel", "ExcitationWavelength"),
}
MAPPED = ("read_noise", "psf", "psf_sigma_z_um", "psf_sigma_xy_um")
TYPES = {"CCD", "EMCCD", "CMOS", "PMT", "APD"}  # cameras that OME names
NM = 1000.0  # per µm; OME's unit of wavelengths

Element = Json
INCH, CENTIMETER = 2, 3  # values of the TIFF tag ResolutionUnit
# Screens and printers have up to 2400 dots per inch: a pixel below 10 µm is a microscope's.
DOTS_PER_INCH = 2540.0
TIFFFILE = "1.11a"  # the version of ImageJ in the files of tifffile
AGREEMENT = 0.02  # largest relative difference of two statements of one voxel size

NO_NUMBERS = re.compile("-?(NaN|Infinity)")  # of Python's JSON, which tifffile writes
UNNAMED = re.compile(r"(channel|c(?=:))[:_ \d]*", re.IGNORECASE)  # names that programs make up

_PARSED = WeakKeyDictionary[tifffile.TiffFile, Json]()  # OME-XML of open files


def ome_xml(
    metadata: Mapping[str, object],
    dtype: str,
    shape: Sequence[int],
    axes: str,
    name: Callable[[], str],
    **image: object,
) -> bytes:
    """Return the OME-XML of an image with its microscope or named channels; empty without any."""
    parts: dict[str, Element] = {}
    for key, (element, attribute) in PLACES.items():
        value = metadata.get(key)
        if value in TYPES if key == "camera" else isinstance(value, int | float):
            if element == "Channel" and isinstance(value, int | float):
                value = round(value * NM, 6)
            parts.setdefault(element, {})[attribute] = value
    mapped = {key: metadata[key] for key in MAPPED if key in metadata}
    channels = shape[axes.index("C")] if "C" in axes else 1
    named = str(metadata.get("channels" if channels > 1 else "channel", ""))
    if not parts and not mapped and (channels == 1 or not named):
        return b""
    document = tifffile.OmeXml(UUID=name(), **image)
    each = {key: [value] * channels for key, value in parts.get("Channel", {}).items()}
    names = named.split(", ", channels - 1)
    if named and len(names) == channels:
        each["Name"] = names
    notes = {"MapAnnotation": {"Namespace": NAMESPACE, **mapped}} if mapped else {}
    stored = (prod(shape[:-2]), 1, 1, shape[-2], shape[-1], 1)
    document.addimage(dtype, shape, stored, axes=axes, Channel=each, **notes, **image)
    text = document.tostring(declaration=True)
    instrument = ""
    if "Detector" in parts:
        instrument += _element("Detector", "Detector", parts)
        text = text.replace("<LightPath/>", '<DetectorSettings ID="Detector:0"/><LightPath/>')
    settings = '<InstrumentRef ID="Instrument:0"/>'
    if {"Objective", "ObjectiveSettings"} & set(parts):
        instrument += _element("Objective", "Objective", parts)
        settings += _element("ObjectiveSettings", "Objective", parts)
    whole = f'<Instrument ID="Instrument:0">{instrument}</Instrument>'
    text = text.replace("<Pixels ", f"{settings}<Pixels ", 1)
    return str(text.replace("<Image ", f"{whole}<Image ", 1)).encode()


def _element(name: str, kind: str, parts: Mapping[str, Element]) -> str:
    attributes = "".join(f' {key}="{value}"' for key, value in parts.get(name, {}).items())
    return f'<{name} ID="{kind}:0"{attributes}/>'


def microscope(ome: Element, scene: int, channel: int) -> Scalars:
    """Return the microscope of a channel from OME-XML (`tifffile.xml2dict`)."""
    image = dict(enumerate(elements(ome, "Image"))).get(scene, {})
    lit = dict(enumerate(below([image], "Pixels", "Channel"))).get(channel, {})
    parts = {"Channel": lit}
    for kind, home in (("Detector", lit), ("Objective", image)):
        settings = next(iter(elements(home, f"{kind}Settings")), {})
        held = below([ome], "Instrument", kind)
        chosen = next((one for one in held if one.get("ID") == settings.get("ID")), {})
        parts |= {kind: chosen | settings, f"{kind}Settings": settings}
    facts: Scalars = {}
    for key, (name, attribute) in PLACES.items():
        value = parts[name].get(attribute)
        if key == "camera" and isinstance(value, str):
            facts[key] = plain(value, KEY_LETTERS)
        elif key != "camera" and isinstance(value, int | float):
            unit = UM_PER.get(str(parts[name].get(f"{attribute}Unit", "nm")).lower(), 0.0)
            facts[key] = round(value * unit, 9) if name == "Channel" else value
    for note in below([ome], "StructuredAnnotations", "MapAnnotation"):
        rows = {row.get("K"): row.get("value") for row in below([note], "Value", "M")}
        if note.get("Namespace") == NAMESPACE:
            facts |= {key: value for key, value in rows.items() if key in MAPPED}
    return facts


def below(parents: Iterable[Element], *names: str) -> list[Element]:
    """Return the elements at the end of a path of names."""
    for name in names:
        parents = [element for parent in parents for element in elements(parent, name)]
    return [*parents]


def elements(parent: Entries, name: str) -> list[Element]:
    """Return the elements of a name below another one; those without any content are empty."""
    found = parent.get(name, [])
    listed = found if isinstance(found, list) else [found]
    return [element if isinstance(element, dict) else {} for element in listed]


class Stated(NamedTuple):
    """The voxel size that one part of a file states."""

    source: str  # as of `cytosuite.volume.Origin`
    sizes: FloatDict  # µm by axis
    um: float = 1.0  # µm per unit of the statement
    unusable: tuple[object, ...] = ()  # no positive numbers, or beyond `volume.SIZES`


def kind(file: tifffile.TiffFile) -> str:
    """Return the kind of the description that holds a file's metadata."""
    return "imagej" if file.is_imagej else "ome" if file.is_ome else "json"


def statements(file: tifffile.TiffFile, entries: Entries, scene: int) -> list[Stated]:
    """Return the voxel sizes in resolution tags, OME-XML and description; later ones precede."""
    ome = [_by_ome(file, scene)] if file.is_ome else []
    return [_by_resolution(file, entries), *ome, *_by_description(file, entries)]


def origin(
    stated: Sequence[Stated],
    sources: TextMap,
    metadata: ScalarMap,
    more: TextSeq = (),
) -> Origin:
    """Return the origin of voxel size and metadata, with warnings on values that do not fit."""
    origins = {key: source for key, source in sources.items() if key != "spacing_source"}
    used = next((part.source for part in reversed(stated) if "X" in part.sizes), "assumed")
    warnings = []
    for part in stated:
        for value in part.unusable:
            flaw = "is no positive number" if _positive(value) is None else "is beyond all images"
            size = f"{plain(str(value), 40)} ({part.source})"
            warnings.append(f"a voxel size of {size} {flaw} and does not count")
    sizes = sizes_of(stated)
    warnings += [
        f"the file contradicts itself: it gives voxels of {_text(sizes)} ({used}), which is used, "
        f"and of {_text(part.sizes)} ({part.source})"
        for part in stated
        if any(abs(log(size / sizes[axis])) > AGREEMENT for axis, size in part.sizes.items())
    ]
    lines = tuple(dict.fromkeys([*warnings, *more]))
    if metadata.get("spacing_source") == "assumed":
        return Origin(origins | {"spacing": "assumed"}, warnings=lines)
    um = next(part.um for part in reversed(stated) if "X" in part.sizes)
    return Origin(origins | {"spacing": used}, UNITS.get(um, "um"), lines)


def sizes_of(stated: Sequence[Stated]) -> FloatDict:
    """Return the voxel size by axis; later statements override earlier ones."""
    return {axis: size for part in stated for axis, size in part.sizes.items()}


def _text(sizes: FloatMap) -> str:
    parts = [f"{axis.lower()} {sizes[axis]:.4g}" for axis in SPATIAL if axis in sizes]
    return f"{', '.join(parts)} µm"


def _by_resolution(file: tifffile.TiffFile, entries: Entries) -> Stated:
    """Return the pixel size by the resolution tags, in ImageJ's files in its text's unit."""
    tags = file.pages[0].tags
    imagej = file.imagej_metadata
    dots = {axis: n for axis in "YX" if (n := _ratio(tags.get(f"{axis}Resolution")))}
    unit = _resolution_unit(file)
    um = {INCH: UM_PER["inch"], CENTIMETER: UM_PER["cm"]}.get(unit)
    if imagej and "unit" in entries and unit != CENTIMETER:
        um = UM_PER.get(str(entries["unit"]).lower())
    elif unit == INCH and not imagej and any(n <= DOTS_PER_INCH for n in dots.values()):
        um = None  # programs write 72 or 96 dots per inch for "not known"
    sizes = {axis: um / n for axis, n in dots.items()} if um else {}
    source = "imagej" if imagej else "tiff"
    return _stated(source, sizes, dict.fromkeys(SPATIAL, 1.0))._replace(um=um or 1.0)


def _ratio(tag: tifffile.TiffTag | None) -> float:
    """Return the value of a rational tag; 0 for 0/0, n/0 and all that is no rational."""
    value = getattr(tag, "value", None)
    pair = value if isinstance(value, tuple) and len(value) == 2 else (0, 0)
    numbers = all(isinstance(part, int) and part > 0 for part in pair)
    return float(pair[0] / pair[1]) if numbers else 0.0


def _resolution_unit(file: tifffile.TiffFile) -> int:
    value = getattr(file.pages[0].tags.get("ResolutionUnit"), "value", 1)
    return value if isinstance(value, int) else 1


def _by_ome(file: tifffile.TiffFile, scene: int) -> Stated:
    pixels = _ome_image(file, scene)
    named = ((axis, str(pixels.get(f"PhysicalSize{axis}Unit", "µm"))) for axis in SPATIAL)
    units = {axis: UM_PER.get(unit.lower(), 0.0) for axis, unit in named}
    values = {axis: pixels.get(f"PhysicalSize{axis}") for axis in SPATIAL}
    return _stated("ome", {a: n for a, n in values.items() if units[a] or not _positive(n)}, units)


def spelt(key: str) -> str:
    """Return a key as all programs spell it: they differ in capitals and underscores."""
    return key.lower().replace("_", "")


def _by_description(file: tifffile.TiffFile, entries: Entries) -> list[Stated]:
    """Return the voxel sizes in a description: as a list or the step alone, and by axis."""
    lower = {spelt(key): value for key, value in entries.items()}
    tags_in_cm = file.imagej_metadata and _resolution_unit(file) == CENTIMETER
    unit = UM_PER.get(str(lower.get("unit", "cm" if tags_in_cm else "um")).lower(), 1.0)
    units = {}
    named = {}
    for axis in SPATIAL:
        size = f"physicalsize{axis.lower()}"
        stated = lower.get(f"{size}unit", lower.get(f"{axis.lower()}unit"))
        units[axis], named[axis] = UM_PER.get(str(stated).lower(), unit), lower.get(size)
    spacing = _listed(lower.get("voxelsizeum", lower.get("spacing")))
    by_axis = _stated(kind(file), named, units)
    if isinstance(spacing, list | tuple):
        values = dict(zip(reversed(SPATIAL), reversed(spacing), strict=False))
        listed = unit if "unit" in lower and "voxelsizeum" not in lower else 1.0
        return [_stated(kind(file), values, dict.fromkeys(SPATIAL, listed)), by_axis]
    from_imagej = str(lower.get("imagej", TIFFFILE)) != TIFFFILE and "unit" in lower
    if spacing is None and from_imagej and named["Z"] is None:
        spacing = 1.0  # ImageJ leaves out a step of one unit
    return [_stated(kind(file), {"Z": spacing}, units), by_axis]


def _stated(source: str, values: Mapping[str, object], units: FloatMap) -> Stated:
    """Return the values by axis that are edges of a voxel, and those that are not."""
    numbers = {axis: _positive(value) for axis, value in values.items()}
    sizes = {axis: n * units[axis] for axis, n in numbers.items() if n is not None}
    sizes = {axis: size for axis, size in sizes.items() if is_size(size)}
    unusable = {str(v): v for a, v in values.items() if v is not None and a not in sizes}
    return Stated(source, sizes, units["X"], tuple(unusable))


def _listed(value: object) -> object:
    """Return a list that stands as text in ImageJ's, which knows no lists; else the value."""
    parts = re.split(r"[\s,;]+", value.strip("[]() ")) if isinstance(value, str) else []
    return parts if len(parts) == len(SPATIAL) else value


def _positive(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) and number > 0 else None


def description(file: tifffile.TiffFile) -> tuple[Json, Json, list[str]]:
    """Return the description of the first page, our own JSON, and warnings on both."""
    imagej = dict(file.imagej_metadata or {})
    comments = below([ome_of(file)], "StructuredAnnotations", "CommentAnnotation")
    texts = [imagej.get("Info"), *(comment.get("Value") for comment in comments)]
    first = _json(file.pages[0].description, NO_NUMBERS)
    infos = [_json(text) for text in texts]
    warnings = [reason for _, reason in (first, *infos) if reason]
    return first[0] or imagej, next((info for info, _ in infos if _is_ours(info)), {}), warnings


def _ome_image(file: tifffile.TiffFile, scene: int) -> Json:
    """Return the attributes and elements of an image's ``Pixels`` in OME-XML; empty without it."""
    return next(iter(below(elements(ome_of(file), "Image")[scene : scene + 1], "Pixels")), {})


def channel_names(file: tifffile.TiffFile, scene: int) -> list[str]:
    """Return the names of an image's channels in OME-XML; programs number those without one."""
    return [
        named(channel.get("Name", "")) for channel in elements(_ome_image(file, scene), "Channel")
    ]


def named(channel: object) -> str:
    """Return the name of a channel in one line, empty where a program made it up."""
    name = plain(str(channel), KEY_LETTERS)
    return "" if UNNAMED.fullmatch(name) else name


def ome_of(file: tifffile.TiffFile) -> Json:
    """Return the content of OME-XML, parsed once while the file is open; empty without it."""
    if file not in _PARSED:
        xml = file.ome_metadata
        root = tifffile.xml2dict(xml).get("OME") if xml else None
        _PARSED[file] = root if isinstance(root, dict) else {}
    return _PARSED[file]


def _json(text: object, allowed: re.Pattern[str] | None = None) -> tuple[Json, str]:
    """Return the JSON object that begins a text, of `allowed` words; a warning on a broken one."""
    if not isinstance(text, str) or not text.startswith("{"):
        return {}, ""
    try:
        entries, end = json.JSONDecoder().raw_decode(text)
        parse_json(text[:end] if allowed is None else allowed.sub("0", text[:end]))
    except RecursionError:
        reason = "too many lists and objects in each other"
    except ValueError as error:
        reason = str(error)
    else:
        return entries, ""
    return {}, f"the description of the file is no JSON and does not count: {plain(reason, 200)}"


def _is_ours(entries: Entries) -> bool:
    """Return whether a JSON object has the axes, shape and spacing that `write` gives."""
    axes, shape, spacing = (entries.get(key) for key in ("axes", "shape", "spacing"))
    if not (isinstance(axes, str) and isinstance(shape, list) and isinstance(spacing, list)):
        return False
    return (
        len(set(axes) & set(AXES)) == len(axes) == len(shape)
        and axes.endswith("YX")
        and len(spacing) == sum(axis in SPATIAL for axis in axes)
        and all(type(size) is int and size > 0 for size in shape)
        and all(type(size) in {int, float} and is_size(size) for size in spacing)
    )
