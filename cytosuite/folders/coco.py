"""Objects in COCO files: polygons and run lengths (cocodataset.org/#format-data)."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pydantic_core import from_json

from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError
from cytosuite.folders.masks import MaskPixels, ObjectMask, cropped

_KEYS = (b'"images"', b'"annotations"', b'"categories"')


class Runs(BaseModel):
    """Lengths of runs down the columns, background first; as text in characters of six bits."""

    counts: list[int] | str
    size: tuple[int, int]  # y, x


class CocoObject(BaseModel):
    """An object; further keys do not count."""

    id: int | str
    image_id: int | str
    category_id: int
    segmentation: Runs | list[list[float]] = Field([])  # x and y in turn, of each part
    iscrowd: int = 0


class CocoImage(BaseModel):
    """An image."""

    id: int | str
    file_name: str
    height: int
    width: int


class CocoClass(BaseModel):
    """A class."""

    id: int
    name: str


class CocoFile(BaseModel):
    """The entries of a file that are read."""

    images: list[CocoImage]
    annotations: list[CocoObject]
    categories: list[CocoClass]


def is_coco(path: Path) -> bool:
    """Return whether a file names images and their annotations."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    content = path.read_bytes()
    return all(key in content for key in _KEYS)


def read_coco(path: Path) -> CocoFile:
    """Return the content of a file."""
    try:
        content = from_json(path.read_bytes())
    except ValueError as error:
        raise InputError(f"{path}: expected JSON, found {error}") from None
    return parse(path, content, CocoFile)


def coco_mask(path: Path, own: CocoObject, kind: str, size: tuple[int, int]) -> ObjectMask:
    """Return the mask of an annotation of an image of a size (y, x)."""
    return ObjectMask(path, str(own.id), kind, partial(_of_annotation, path, own, size))


def _of_annotation(
    path: Path, own: CocoObject, size: tuple[int, int], shape: tuple[int, ...]
) -> MaskPixels:
    found, where = own.segmentation, f"{path}: annotation {own.id}"
    if (size := found.size if isinstance(found, Runs) else size) != shape:
        raise InputError(f"{where}: expected the image's shape {shape}, found {size}")
    if isinstance(found, Runs):
        counts = decoded(found.counts) if isinstance(found.counts, str) else found.counts
        if sum(counts) != size[0] * size[1] or min(counts) < 0:
            raise InputError(f"{where}: expected runs of {shape}, found {sum(counts)} pixels")
        return of_runs(counts, size[0])
    odd = (len(flat) < 6 or len(flat) % 2 or not np.isfinite(flat).all() for flat in found)
    if not found or any(odd):
        raise InputError(f"{where}: expected polygons, x and y of 3 corners or more, or runs")
    parts = [np.array(flat).reshape(-1, 2) for flat in found]
    every = np.concatenate(parts)
    (x, y), (right, bottom) = (
        np.clip(end, 0, size[::-1]).astype(int).tolist()
        for end in (np.floor(every.min(0)), np.ceil(every.max(0)))
    )
    inside = [of_polygon(part - (x, y), (bottom - y, right - x)) for part in parts]
    return MaskPixels((slice(y, bottom), slice(x, right)), np.logical_or.reduce(inside))


def of_polygon(corners: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return the pixels with their centre within corners (N, 2) x, y; pixel 0 lies from 0 to 1."""
    crossed = np.zeros((shape[0], shape[1] + 1), bool)
    for (x0, y0), (x1, y1) in pairwise([*corners, corners[0]]):
        first, last = np.clip(np.ceil(np.sort([y0, y1]) - 0.5), 0, shape[0]).astype(int)
        rows = np.arange(first, last)  # of which an edge crosses the middle
        if rows.size:
            across = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            crossed[rows, np.clip(np.ceil(across - 0.5), 0, shape[1]).astype(int)] ^= True
    return np.logical_xor.accumulate(crossed, axis=1)[:, :-1]


def of_runs(counts: Sequence[int], height: int) -> MaskPixels:
    """Return the pixels of runs; only the columns with an object are unrolled."""
    ends = np.cumsum(counts)
    full = np.flatnonzero(np.asarray(counts[1::2])) * 2 + 1  # runs of the object
    if not full.size:
        return MaskPixels((slice(0, 0),) * 2, np.zeros((0, 0), bool))
    first, last = int(ends[full[0] - 1]) // height, -(-int(ends[full[-1]]) // height)
    edges = np.clip(np.concatenate([[0], ends]), first * height, last * height)
    flat = np.repeat(np.arange(len(counts)) % 2 == 1, np.diff(edges))
    (rows, columns), inside = cropped(flat.reshape(last - first, height).T)
    return MaskPixels((rows, slice(first + columns.start, first + columns.stop)), inside)


def decoded(text: str) -> list[int]:
    """Return run lengths from text: five bits per character, and from the third on differences.

    >>> decoded("122O21")
    [1, 2, 2, 1, 4, 2]
    """
    found: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:  # more of this number follows
            continue
        value -= (bits >> 4 & 1) << shift  # its sign
        found.append(value + (found[-2] if len(found) > 2 else 0))
        value = shift = 0
    return found
