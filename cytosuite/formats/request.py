"""Requests: JSON that asks for an image by its shape, voxel size and seed; empty in memory."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from cytosuite.errors import InputError
from cytosuite.files import Json, read_json
from cytosuite.volume import SPATIAL, Origin, Volume, is_size

VOXELS = 2**31  # of an image that is asked for
LARGEST = 2**63  # seed
NEEDED = ("seed", "shape", "spacing")


def _is_whole(value: Any, least: int = 0) -> bool:  # noqa: ANN401 - any JSON
    return type(value) is int and least <= value < LARGEST


def _is_number(value: Any, most: float) -> bool:  # noqa: ANN401 - any JSON
    return type(value) in (int, float) and 0 <= value <= most


def _are(value: Any, good: Callable[[Any], bool]) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, list) and len(value) in (2, 3) and all(map(good, value))


# A check of each key, and its words.
KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "seed": (_is_whole, "a whole number from 0"),
    "shape": (
        lambda value: _are(value, lambda n: _is_whole(n, 1)) and prod(value) <= VOXELS,
        f"[z, y, x] or [y, x], of at most {VOXELS} voxels",
    ),
    "spacing": (
        lambda value: _are(value, lambda n: type(n) is not bool and is_size(n)),
        "the size of a voxel in µm, as many numbers as shape",
    ),
    "number": (_is_whole, "a whole number from 0"),
    "truncation": (lambda value: _is_number(value, 2), "a number from 0 to 2"),
    "to": (_is_whole, "a second seed"),
    "share": (lambda value: _is_number(value, 1), "the second seed's share, from 0 to 1"),
}


def read(path: Path) -> Volume:
    """Return the empty image of a request in a file."""
    return canvas_of(read_json(path))


def canvas_of(request: object) -> Volume:
    """Return an empty image (uint8, no memory) of a request; other keys are its metadata.

    >>> found = canvas_of({"seed": 7, "shape": [64, 96], "spacing": [0.8, 0.8], "number": 9})
    >>> found.shape, found.metadata
    ((64, 96), {'seed': 7, 'number': 9})
    """
    entries = request if isinstance(request, dict) else {}
    for key in (*NEEDED, *entries):
        if key not in entries or key not in KEYS:
            shown = f"{key!r:.60}" if key in entries else f"no {key}"
            raise InputError(
                f"expected a request with the keys {', '.join(NEEDED)} and maybe "
                f"{', '.join([*KEYS][len(NEEDED) :])}, found {shown}"
            )
        good, expected = KEYS[key]
        if not good(entries[key]):
            raise InputError(f"{key}: expected {expected}, found {entries[key]!r:.60}")
    if ("to" in entries) != ("share" in entries):
        raise InputError("to, share: expected both or none, found one")
    shape = entries["shape"]
    spacing = entries["spacing"]
    if len(spacing) != len(shape):
        raise InputError(f"spacing: expected {len(shape)} numbers as of shape, found {spacing}")
    empty = np.broadcast_to(np.zeros((), np.uint8), shape)
    metadata = {key: value for key, value in entries.items() if key not in ("shape", "spacing")}
    return Volume(
        empty, tuple(spacing), SPATIAL[-len(shape) :], metadata, Origin({"spacing": "json"})
    )


def request_of(canvas: Volume) -> Json:
    """Return the request for an empty image."""
    metadata = {key: value for key, value in canvas.metadata.items() if key in KEYS}
    return {**metadata, "shape": list(canvas.shape), "spacing": list(canvas.spacing)}
