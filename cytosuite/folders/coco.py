"""Objects in COCO files: polygons and run lengths (cocodataset.org/#format-data)."""

import json
import re
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
from pydantic import BaseModel, Field

from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError
from cytosuite.folders.masks import Pixels, Shape

_KEYS = (b'"images"', b'"annotations"', b'"categories"')
Polygons: TypeAlias = list[list[float]]  # x and y in turn, of each part


class Runs(BaseModel):
    """Lengths of runs down the columns, background first; as text in characters of six bits."""

    counts: list[int] | str
    size: tuple[int, int]  # y, x


class _Object(BaseModel):
    id: int | str
    image_id: int | str
    category_id: int
    segmentation: Runs | Polygons = Field([])
    iscrowd: int = 0


class _Image(BaseModel):
    id: int | str
    file_name: str
    height: int
    width: int


class _Class(BaseModel):
    id: int
    name: str


class CocoFile(BaseModel):
    """The entries of a file that are read; further keys do not count."""

    images: list[_Image]
    annotations: list[_Object]
    categories: list[_Class]


def read_coco(path: Path) -> CocoFile | None:
    """Return the content of a COCO file, None of another one; InputError if it is broken."""
    content = path.read_bytes() if path.suffix.lower() == ".json" and path.is_file() else b""
    if not all(key in content for key in _KEYS):
        return None
    try:
        return parse(path, json.loads(content), CocoFile)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, found {error}") from None


def pixels_of_annotation(where: str, found: Runs | Polygons, size: Shape, shape: Shape) -> Pixels:
    """Return the pixels of an object; InputError where its size is not the image's shape."""
    from skimage.draw import polygon  # commands without polygons do not load it

    if (size := found.size if isinstance(found, Runs) else size) != shape:
        raise InputError(f"{where}: expected the image's shape {shape}, found {size}")
    if isinstance(found, Runs):
        counts = decoded(found.counts) if isinstance(found.counts, str) else found.counts
        if sum(counts) != prod(shape) or min(counts) < 0:
            raise InputError(f"{where}: expected runs of {shape}, found {sum(counts)} pixels")
        ends, lengths = np.cumsum(counts)[1::2], np.array(counts[1::2], int)
        steps: Pixels = np.repeat(ends - np.cumsum(lengths), lengths) + np.arange(lengths.sum())
        return np.ravel_multi_index(np.unravel_index(steps, shape, order="F"), shape)
    odd = (len(flat) < 6 or len(flat) % 2 or not np.isfinite(flat).all() for flat in found)
    if not found or any(odd):
        raise InputError(f"{where}: expected polygons, x and y of 3 corners or more, or runs")
    inside: Pixels = np.zeros(0, np.intp)
    for flat in found:  # pixel 0 lies from 0 to 1
        rows, columns = polygon(np.array(flat[1::2]) - 0.5, np.array(flat[::2]) - 0.5, shape)
        inside = np.union1d(inside, rows * shape[1] + columns)
    return inside


def decoded(text: str) -> list[int]:
    """Return run lengths from text: five bits per character, and from the third on differences.

    >>> decoded("122O21")
    [1, 2, 2, 1, 4, 2]
    """
    found: list[int] = []
    for word in re.findall("[P-o]*[0-O]", text):  # a bit of all but the last letter is set
        bits = [ord(letter) - 48 & 31 for letter in word]
        value = sum(part << 5 * n for n, part in enumerate(bits)) - (bits[-1] >> 4 << 5 * len(bits))
        found.append(value + (found[-2] if len(found) > 2 else 0))
    return found
