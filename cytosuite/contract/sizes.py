"""One size of objects for the images of a sequence, and doubts about a size that others deny."""

from collections.abc import Mapping, Sequence
from math import log
from statistics import median
from typing import Any, NamedTuple

from cytosuite.files import Scalar

PROBES = 5  # images of a sequence, evenly apart, whose own sizes give that of all
APART = log(1.4)  # sizes within this factor agree
LEAST, MOST = 4, 0.75  # lone images, and the share that agrees, where another is doubted
GUESSED = ("trained", "estimated", "network")  # sources of sizes that nobody has stated


class Size(NamedTuple):
    """The size of the objects of an image by itself, as its algorithm notes it."""

    um: float  # diameter
    source: str  # of `GUESSED`
    blobs: float  # estimate by blobs, before the network's, µm


def size_in(notes: Mapping[str, Any], pixel_um: float, prefix: str = "") -> Size | None:
    """Return the size in notes (lengths in µm, of planes in px), None where none is guessed."""
    source = notes.get(f"{prefix}diameter_source")
    unit, um = ("um", 1.0) if f"{prefix}diameter_um" in notes else ("px", pixel_um)
    if source not in GUESSED:
        return None
    value = um * notes[f"{prefix}diameter_{unit}"]
    return Size(value, source, um * notes.get(f"{prefix}blobs_{unit}", value / um))


def probes(count: int) -> set[int]:
    """Return the places of the images of a sequence whose sizes are asked for, evenly apart."""
    return {round(n * (count - 1) / (PROBES - 1)) for n in range(PROBES)}


def consent(
    sizes: Sequence[Size], *, sequence: bool
) -> tuple[dict[str, Scalar], list[bool]] | None:
    """Return the metadata with the median size of images, and which are doubted and not in it.

    A network's size far from the median of all is, in a sequence; of lone images, if most others
    agree and the blobs of its image do, too. None where lone images do not agree.
    """
    middle = median(size.um for size in sizes)
    far = [abs(log(size.um / middle)) > APART for size in sizes]
    if not sequence and (len(sizes) < LEAST or far.count(False) < MOST * len(sizes)):
        return None
    doubted = [
        apart and size.source == "network" and (sequence or abs(log(size.blobs / middle)) <= APART)
        for size, apart in zip(sizes, far, strict=True)
    ]
    rest = [size.um for size, doubt in zip(sizes, doubted, strict=True) if not doubt]
    shared = median(rest or [middle])
    source = f"shared, median of {len(rest or sizes)} images"
    return {"diameter_um": float(f"{shared:.4g}"), "diameter_source": source}, doubted
