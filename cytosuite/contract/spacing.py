"""Voxel sizes that make sense in light microscopy, and the mistakes that give others."""

from dataclasses import replace
from math import log

from cytosuite.errors import InputError
from cytosuite.volume import POSSIBLE, SPATIAL, UM_PER, Volume, is_size
from cytosuite.volume.arrays import Lengths, Spacing

# Narrower than a factor of 1000, so that at most one metric unit fits.
USUAL = (0.04, 5.0)  # µm of a pixel
USUAL_STEP = (0.04, 20.0)  # µm between slices
UNSTATED = ("um", "nm", "mm", "m")  # units of numbers that programs write as another one
PRINT = (72, 75, 96, 100, 120, 150, 200, 240, 300, 360, 400, 600)  # dots per inch, of no camera
NUCLEUS = 15  # pixels that a nucleus measures across in a usual image
SQUARE = 0.1  # largest |ln| of the ratio of a pixel's edges that is taken as square
APART = (0.4, 40.0)  # pixels between slices of a usual volume
CROSSWISE = 2.0  # where slices are an edge of a plane, the other edge is this much shorter
OVERRIDE = "--spacing z,y,x or acquisition-metadata.json overrides"


def plausible(volume: Volume) -> Volume:
    """Return an image with a `POSSIBLE` voxel size, corrected with a warning, or `InputError`."""
    if volume.spacing_is_assumed:
        return _in_depth(volume)
    if not all(is_size(step, POSSIBLE) for step in volume.spacing):
        inches = volume.spacing[-1] / UM_PER["inch"]
        dots = next((number for number in PRINT if abs(inches * number - 1) < 1e-3), 0)
        if dots and volume.origin.sources.get("spacing") in {"tiff", "imagej"}:
            return _unknown(volume, dots)
        volume = _corrected(volume)
    return _in_depth(_in_order(volume))


def trusted(volume: Volume) -> Volume:
    """Return an image with a `plausible` voxel size, or with a warning that it is none."""
    try:
        return plausible(volume)
    except InputError as error:
        return warned(volume, str(error))


def text(spacing: Spacing) -> str:
    """Return a voxel size for a message."""
    return " x ".join(f"{step:.5g}" if step < 1e4 else f"{step:.0f}" for step in spacing)


def warned(volume: Volume, *lines: str) -> Volume:
    """Return an image with further warnings, those that are not empty."""
    warnings = tuple(dict.fromkeys([*volume.origin.warnings, *filter(None, lines)]))
    return replace(volume, origin=replace(volume.origin, warnings=warnings))


def as_movie(volume: Volume) -> Volume:
    """Return a movie; the first axis of a file is time, also where it is called z."""
    if volume.axes != SPATIAL:
        return volume
    line = "axes assumed: t, y, x, since the image is to be a movie"
    return replace(warned(volume, line), spacing=volume.spacing[1:], axes="TYX")


def _corrected(volume: Volume) -> Volume:
    """Return an image with an impossible voxel size read in another unit."""
    readings = _in_another_unit(volume)
    named = _is_named(volume)
    size = f"{text(volume.spacing)} µm ({_source(volume)})"
    effect = _effect(volume)
    if len(readings) != 1 or named:
        maybe = f"did you mean {text(readings[0][0])} µm?" if readings else f"{OVERRIDE} it"
        raise InputError(
            f"voxel size {size} makes no sense: {effect}; expected {POSSIBLE[0]:g} to "
            f"{POSSIBLE[1]:g} µm; {maybe}"
        )
    spacing, unit = readings[0]
    name = "µm" if unit == "um" else unit
    return warned(
        replace(volume, spacing=spacing, origin=replace(volume.origin, unit="um")),
        f"voxel size corrected: with {size} {effect}; the numbers were read as {name}, which is "
        f"{text(spacing)} µm ({OVERRIDE})",
    )


def _in_another_unit(volume: Volume) -> list[tuple[Lengths, str]]:
    """Return the usual voxel sizes that the given numbers make in other units, with these."""
    spacing = volume.spacing
    stated = volume.origin.unit
    readings = []
    for unit in UNSTATED:
        if unit == stated:
            continue
        factor = UM_PER[unit] / UM_PER.get(stated, 1.0)
        every = tuple(float(f"{step * factor:.6g}") for step in spacing)
        mixed = [every]
        if len(every) == 3:  # slices are moved by another device than that which counts pixels
            mixed += [(every[0], *spacing[1:]), (spacing[0], *every[1:])]
        readings += [(size, unit) for size in mixed if _usual(size)]
    return readings


def _usual(spacing: Spacing) -> bool:
    """Return whether a voxel has a usual size: small, its pixel square, its step not far longer."""
    y, x = spacing[-2:]
    if not all(USUAL[0] <= edge <= USUAL[1] for edge in (y, x)) or abs(log(y / x)) > SQUARE:
        return False
    if len(spacing) == 2:
        return True
    step = spacing[0]
    return USUAL_STEP[0] <= step <= USUAL_STEP[1] and APART[0] <= step / x <= APART[1]


def _in_order(volume: Volume) -> Volume:
    """Return an image with its voxel size in the order z, y, x."""
    spacing = volume.spacing
    y, x = spacing[-2:]
    size = f"{text(spacing)} µm ({_source(volume)})"
    if abs(log(y / x)) > SQUARE:
        turned = tuple(reversed(spacing))
        flat = len(spacing) == 3 and abs(log(spacing[0] / y)) <= SQUARE and x > y
        if flat and not _is_named(volume):
            return warned(
                replace(volume, spacing=turned),
                f"voxel size corrected: with {size} pixels are not square; it was read in the "
                f"order x, y, z, which is {text(turned)} µm for z, y, x ({OVERRIDE})",
            )
        order = "; give it in the order z,y,x" if _is_named(volume) else ""
        return warned(volume, f"voxel size odd: with {size} pixels are not square{order}")
    if len(spacing) == 3 and not APART[0] <= (apart := spacing[0] / x) <= APART[1]:
        return warned(volume, f"voxel size odd: with {size} slices are {apart:.3g} pixels apart")
    return volume


def _in_depth(volume: Volume) -> Volume:
    """Return an image with a warning if its slices look like the edge of a plane."""
    if volume.axes != "ZYX":
        return volume
    z, y, x = volume.shape
    short, long = sorted((y, x))
    if z < long / CROSSWISE or long < CROSSWISE * short:
        return volume
    return warned(
        volume, f"axes odd: {z} slices of {y} x {x} pixels; are they in the order z, y, x?"
    )


def _unknown(volume: Volume, dots: int) -> Volume:
    sources = {**volume.origin.sources, "spacing": "assumed"}
    return warned(
        replace(
            volume,
            spacing=(1.0,) * len(volume.spacing),
            metadata={**volume.metadata, "spacing_source": "assumed"},
            origin=replace(volume.origin, sources=sources, unit="um"),
        ),
        f"voxel size not given: {dots} dots per inch is the default of printers ({OVERRIDE})",
    )


def _is_named(volume: Volume) -> bool:
    return volume.origin.sources.get("spacing") == "user"


def _source(volume: Volume) -> str:
    source = volume.origin.sources.get("spacing", "json")
    unit = volume.origin.unit
    return source if unit == "um" else f"{source}, in {unit}"


def _effect(volume: Volume) -> str:
    pixel = volume.spacing[-1]
    if is_size(pixel, POSSIBLE):
        return f"slices are {_length(volume.spacing[0])} apart"
    return f"a nucleus of {NUCLEUS} pixels is {_length(NUCLEUS * pixel)} wide"


def _length(um: float) -> str:
    for unit, size in (("m", 1e6), ("mm", 1e3), ("µm", 1.0)):
        if um >= size:
            return f"{um / size:.3g} {unit}"
    return f"{um * 1e3:.3g} nm"
