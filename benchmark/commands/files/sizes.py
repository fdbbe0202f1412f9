"""The size of objects in the images of one call: a sequence shares one, a lonely one is doubted."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cytosuite.contract.sizes import Size, consent, probes
from cytosuite.files import Entries, Texts
from cytosuite.folders.index import FRAME, Item

# keys of an image's record
SHARED = "size_shared"
ALONE = "size_alone"
SAME = 1e-3  # of a size: rounding moves it less


class Sharing(NamedTuple):
    """The size that an image shares with others."""

    metadata: dict[str, float | str]
    doubt: Texts  # a warning on the image's own
    own: bool  # whether the image's own is that size


def sequence_of(item: Item) -> Path | None:
    """Return the file or folder that an image is a frame of, None for a lone image."""
    if item.part.frame is not None:
        return item.image
    return item.image.parent if FRAME.fullmatch(item.image.name) else None


def asked_first(items: Sequence[Item]) -> set[str]:
    """Return the names of images to measure: lone ones, and some of each sequence."""
    groups = defaultdict(list)
    for item in items:
        groups[sequence_of(item) or item.name].append(item.name)
    return {sorted(names)[n] for names in groups.values() for n in probes(len(names))}


def sharings(
    items: Sequence[Item], first: set[str], records: Mapping[str, Entries]
) -> dict[str, Sharing]:
    """Return the size that images share, by name; those that keep their own are left out."""
    groups = defaultdict(list)
    for item in items:
        record = records.get(item.name, {})
        key = sequence_of(item)
        if key or not record.get("spacing_assumed", True):
            alike = (item.image.parent, record.get("model"), *record.get("spacing_um", ()))
            groups[key or alike].append(item.name)
    found = {}
    for place, names in groups.items():
        sequence = isinstance(place, Path)
        asked = sorted(first.intersection(names))
        sizes = {n: Size(*own) for n in asked if (own := records.get(n, {}).get(ALONE))}
        metadata, doubted = consent(sizes, sequence=sequence) or ({}, [])
        for name in names if metadata and sequence else doubted:
            ratio = sizes[name].um / float(metadata["diameter_um"]) if name in sizes else 0.0
            line = (
                f"size doubted: by the network {ratio:.2g} times that of the others, which it got"
            )
            found[name] = Sharing(
                metadata, (line,) if name in doubted else (), abs(ratio - 1) < SAME
            )
    return found
