"""The voxel size in a TIFF file, in the way of each program that writes one."""

import re
from collections.abc import Mapping, Sequence
from math import isfinite, log
from typing import Any, NamedTuple

import tifffile

from cytosuite.errors import plain
from cytosuite.formats.tiffdescription import ome_image
from cytosuite.volume import SPATIAL, Origin, Scalar, is_size

UM_PER = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25400.0, "in": 25400.0, "å": 1e-4}
UM_PER |= {"nanometer": 1e-3, "millimeter": 1e3, "centimeter": 1e4, "meter": 1e6}
UM_PER |= dict.fromkeys(("um", "µm", "μm", "\\u00b5m", "micron", "microns", "micrometer"), 1.0)
UNITS = {1e-3: "nm", 1.0: "um", 1e3: "mm", 1e4: "cm", 25400.0: "inch", 1e6: "m"}
INCH, CENTIMETER = 2, 3  # values of the TIFF tag ResolutionUnit
# Screens and printers have up to 2400 dots per inch: a pixel below 10 µm is a microscope's.
DOTS_PER_INCH = 2540.0
TIFFFILE = "1.11a"  # the version of ImageJ in the files of tifffile
AGREEMENT = 0.02  # largest relative difference of two statements of one voxel size


class Stated(NamedTuple):
    """The voxel size that one part of a file states.

    Parameters
    ----------
    source : str
        As of `cytosuite.volume.Origin`.
    sizes : dict of str to float
        µm by axis.
    um : float
        µm per unit of the statement.
    unusable : tuple
        Values that are no positive numbers, or beyond `cytosuite.volume.SIZES`.
    """

    source: str
    sizes: dict[str, float]
    um: float = 1.0
    unusable: tuple[object, ...] = ()


def kind(file: tifffile.TiffFile) -> str:
    """Return the kind of the description that holds a file's metadata."""
    return "imagej" if file.is_imagej else "ome" if file.is_ome else "json"


def statements(file: tifffile.TiffFile, found: Mapping[str, Any], scene: int = 0) -> list[Stated]:
    """Return the voxel sizes in resolution tags, OME-XML and description; later ones precede.

    Parameters
    ----------
    file : TiffFile
        Of any program.
    found : mapping
        Keys and values of its description, numbers also as texts: ``spacing`` or
        ``voxel_size_um`` as a list (z, y, x) in µm or as the step alone; ``PhysicalSizeX`` and its
        like, which name their axis and so precede the list; ``unit`` and ``zunit``.
    scene : int
        Number of the image in OME-XML.
    """
    return [_by_resolution(file, found), _by_ome(file, scene), *_by_description(file, found)]


def origin(
    stated: Sequence[Stated],
    sources: Mapping[str, str],
    metadata: Mapping[str, Scalar],
    remarks: Sequence[str] = (),
) -> Origin:
    """Return the origin of voxel size and metadata, with remarks on values that do not fit.

    Parameters
    ----------
    stated : sequence of Stated
        The last that knows an axis is used.
    sources : mapping of str to str
        Source of each key of the metadata.
    metadata : mapping
        With ``spacing_source = "assumed"`` where the voxel size is not known.
    remarks : sequence of str
        Further lines for the user.
    """
    own = {key: source for key, source in sources.items() if key != "spacing_source"}
    used = next((part.source for part in reversed(stated) if "X" in part.sizes), "assumed")
    warnings = [
        f"a voxel size of {plain(str(value), 40)} ({part.source}) {_flaw(value)} and does not count"
        for part in stated
        for value in part.unusable
    ]
    sizes = {axis: size for part in stated for axis, size in part.sizes.items()}
    warnings += [
        f"the file contradicts itself: it gives voxels of {_text(sizes)} ({used}), which is used, "
        f"and of {_text(part.sizes)} ({part.source})"
        for part in stated
        if any(abs(log(size / sizes[axis])) > AGREEMENT for axis, size in part.sizes.items())
    ]
    lines = tuple(dict.fromkeys([*warnings, *remarks]))
    if metadata.get("spacing_source") == "assumed":
        return Origin(own | {"spacing": "assumed"}, warnings=lines)
    um = next(part.um for part in reversed(stated) if "X" in part.sizes)
    return Origin(own | {"spacing": used}, UNITS.get(um, "um"), lines)


def _flaw(value: object) -> str:
    """Return the reason why a value is no edge of a voxel."""
    return "is no positive number" if _positive(value) is None else "is beyond all images"


def _text(sizes: Mapping[str, float]) -> str:
    """Return voxel sizes in µm for a message."""
    given = [f"{axis.lower()} {sizes[axis]:.4g}" for axis in SPATIAL if axis in sizes]
    return f"{', '.join(given)} µm"


def _by_resolution(file: tifffile.TiffFile, found: Mapping[str, Any]) -> Stated:
    """Return the plane's pixel size by the resolution tags, if these carry a unit.

    The platform, SimpleITK and microscopes give pixels per centimetre or inch, ImageJ per unit of
    its text.
    """
    tags, imagej = file.pages[0].tags, file.imagej_metadata
    given = {axis: getattr(tags.get(f"{axis}Resolution"), "value", (0, 0)) for axis in "YX"}
    dots = {axis: _ratio(value) for axis, value in given.items() if _ratio(value) > 0}
    unit = _resolution_unit(file)
    um = {INCH: UM_PER["inch"], CENTIMETER: UM_PER["cm"]}.get(unit)
    if imagej and "unit" in found and unit != CENTIMETER:
        um = UM_PER.get(str(found["unit"]).lower())
    elif unit == INCH and not imagej and any(n <= DOTS_PER_INCH for n in dots.values()):
        um = None  # programs write 72 or 96 dots per inch for "not known"
    source = "imagej" if imagej else "tiff"
    if um is None:
        return Stated(source, {})
    sizes = {axis: um / n for axis, n in dots.items()}
    unusable = {str(size): size for size in sizes.values() if not is_size(size)}
    return Stated(source, {a: n for a, n in sizes.items() if is_size(n)}, um, tuple(unusable))


def _ratio(value: object) -> float:
    """Return the value of a rational tag; 0 for 0/0, n/0 and whatever is no rational."""
    pair = value if isinstance(value, tuple) and len(value) == 2 else (0, 0)
    numbers = all(isinstance(part, int) and part > 0 for part in pair)
    return float(pair[0] / pair[1]) if numbers else 0.0


def _resolution_unit(file: tifffile.TiffFile) -> int:
    """Return the value of the tag ResolutionUnit; 1, no unit, without it."""
    value = getattr(file.pages[0].tags.get("ResolutionUnit"), "value", 1)
    return int(value) if isinstance(value, int) else 1


def _by_ome(file: tifffile.TiffFile, scene: int) -> Stated:
    """Return the voxel size in an OME-XML description."""
    pixels = ome_image(file, scene)
    sizes, um, unusable = {}, 1.0, {}
    for axis in SPATIAL:
        value = pixels.get(f"PhysicalSize{axis}")
        size = _positive(value)
        unit = UM_PER.get(str(pixels.get(f"PhysicalSize{axis}Unit", "µm")).lower())
        if size is not None and unit is not None and is_size(size * unit):
            sizes[axis], um = size * unit, unit
        elif value is not None and (size is None or unit is not None):
            unusable[str(value)] = value
    return Stated("ome", sizes, um, tuple(unusable))


def _by_description(file: tifffile.TiffFile, found: Mapping[str, Any]) -> list[Stated]:
    """Return the voxel sizes in a description: as a list or the step alone, and by axis."""
    lower = {key.lower().replace("_", ""): value for key, value in found.items()}
    tags_in_cm = file.imagej_metadata and _resolution_unit(file) == CENTIMETER
    unit = UM_PER.get(str(lower.get("unit", "cm" if tags_in_cm else "um")).lower(), 1.0)
    units = dict.fromkeys(SPATIAL, unit)
    units["Z"] = UM_PER.get(str(lower.get("zunit")).lower(), unit)
    named = {axis: lower.get(f"physicalsize{axis.lower()}") for axis in SPATIAL}
    spacing = _listed(lower.get("voxelsizeum", lower.get("spacing")))
    by_axis = _stated(kind(file), named, units)
    if isinstance(spacing, list | tuple):
        values = dict(zip(reversed(SPATIAL), reversed(spacing), strict=False))
        return [_stated(kind(file), values, dict.fromkeys(SPATIAL, 1.0)), by_axis]
    from_imagej = str(lower.get("imagej", TIFFFILE)) != TIFFFILE and "unit" in lower
    if spacing is None and from_imagej and named["Z"] is None:
        spacing = 1.0  # ImageJ leaves out a step of one unit
    return [_stated(kind(file), {"Z": spacing}, units), by_axis]


def _stated(source: str, values: Mapping[str, object], units: Mapping[str, float]) -> Stated:
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
    """Return a positive finite number, or None for anything else."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) and number > 0 else None
