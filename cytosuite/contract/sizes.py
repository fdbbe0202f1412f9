"""One size of objects for the images of a sequence, and doubts about a size that others deny."""

from collections.abc import Collection, Mapping
from math import log
from statistics import median
from typing import Any, NamedTuple, TypeVar

K = TypeVar("K")
PROBES = 5  # images of a sequence, evenly apart, that give the size of all
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
    """Return the places of the images that give a sequence its size, evenly apart."""
    return {round(n * (count - 1) / (PROBES - 1)) for n in range(PROBES)}


def consent(
    sizes: Mapping[K, Size], *, sequence: bool
) -> tuple[dict[str, float | str], Collection[K]] | None:
    """Return the metadata with the median size of images, and those that are doubted, not in it.

    A network's size far from the median of all is, in a sequence; of lone images, if most others
    agree and the blobs of its image do, too. None where lone images, or less than two, do not.
    """
    if len(sizes) < 2:
        return None
    middle = median(size.um for size in sizes.values())
    far = [name for name, size in sizes.items() if abs(log(size.um / middle)) > APART]
    if not sequence and len(sizes) - len(far) < max(LEAST - 1, MOST * len(sizes)):
        return None
    doubted = [
        name
        for name in far
        if sizes[name].source == "network"
        and (sequence or abs(log(sizes[name].blobs / middle)) <= APART)
    ]
    rest = [size.um for name, size in sizes.items() if name not in doubted]
    um = float(f"{median(rest or [middle]):.4g}")
    source = f"shared, median of {len(rest or sizes)} images"
    return {"diameter_um": um, "diameter_source": source}, doubted
