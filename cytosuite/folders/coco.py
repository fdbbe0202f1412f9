"""Objects in COCO files: polygons and run lengths (cocodataset.org/#format-data)."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError, at
from cytosuite.files import IntPair, open_regular, parse_json
from cytosuite.files.archive import MOST_GROWTH
from cytosuite.folders.outlines import CORNERS, Canvas, Pixels, fill
from cytosuite.volume.arrays import Shape

BYTES, HEAD = 2**30, 2**16  # limit of a file; its first part, which names a key
_KEYS = (b'"images"', b'"annotations"', b'"categories"')
_FIRST = Field(fail_fast=True)  # a wrong item ends a list: a message for each fills the memory
Numbers = Annotated[list[float], _FIRST]
Polygons = Annotated[list[Numbers], _FIRST]  # x and y in turn, of each part


class Runs(BaseModel):
    """Lengths of runs down the columns, background first; as text in characters of six bits."""

    counts: Annotated[list[int], _FIRST] | str
    size: IntPair  # y, x


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

    images: Annotated[list[_Image], _FIRST]
    annotations: Annotated[list[_Object], _FIRST]
    categories: Annotated[list[_Class], _FIRST]


def read_coco(path: Path) -> CocoFile | None:
    """Return the content of a COCO file, None of another one; InputError if it is broken."""
    content = _content(path)
    if not all(key in content for key in _KEYS):
        return None
    try:
        coco = parse(path, parse_json(content.decode("utf-8-sig")), CocoFile)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: expected JSON, found {error}") from None
    for noun in ("images", "annotations", "categories"):
        for number, times in Counter(str(entry.id) for entry in getattr(coco, noun)).items():
            if times > 1:
                raise InputError(f"{path}: {noun}: expected one of the id {number}, found {times}")
    return coco


def _content(path: Path) -> bytes:
    """Return the bytes of a file that may be of COCO, of another one, or one of holes, none."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return b""
    with open_regular(path) as stream:
        content = stream.read(HEAD)
        facts = os.fstat(stream.fileno())
        if facts.st_size <= min(BYTES, HEAD + MOST_GROWTH * 512 * facts.st_blocks):
            return content + stream.read(facts.st_size)  # no more memory than it fills
    if any(key in content for key in _KEYS):
        raise InputError(f"{path}: expected at most {BYTES // 2**20} MiB of JSON, without holes")
    return b""


def pixels_of_annotation(
    where: str, drawing: Runs | Polygons, size: Shape, canvas: Canvas
) -> Pixels:
    """Return the pixels of an object; InputError where its size is not the image's shape."""
    shape = canvas.shape
    with at(where):
        if (size := drawing.size if isinstance(drawing, Runs) else size) != shape:
            raise InputError(f"expected the image's shape {shape}, found {size}")
        if isinstance(drawing, Runs):
            return _of_runs(drawing, canvas)
        sizes = [len(part) for part in drawing]
        if not sizes or min(sizes) < 6 or any(count % 2 for count in sizes):
            raise InputError("expected polygons, x and y of 3 corners or more, or runs")
        if sum(sizes) > 2 * CORNERS:
            raise InputError(f"expected at most {CORNERS} corners, found {sum(sizes) // 2}")
        paths = (np.array(part).reshape(-1, 2) for part in drawing)  # pixel 0 lies from 0 to 1
        return np.unique(np.concatenate([fill([path], shape, canvas) for path in paths]))


def _of_runs(drawing: Runs, canvas: Canvas) -> Pixels:
    """Return the pixels of runs down the columns."""
    counts = drawing.counts
    shape = canvas.shape
    if isinstance(counts, str):  # of more than these all others hold no pixel
        counts = [*islice(decoded(counts), 2 * prod(shape))]
    if sum(counts) != prod(shape) or min(counts, default=0) < 0:
        raise InputError(f"expected runs of {shape}, found {sum(counts)} pixels")
    turns = np.cumsum(counts)
    return np.ravel_multi_index(
        np.unravel_index(canvas.runs(turns[:-1:2], turns[1::2]), shape, order="F"), shape
    )


def decoded(text: str) -> Iterator[int]:
    """Yield run lengths from text: five bits per character, and from the third on differences.

    >>> [*decoded("122O21")]
    [1, 2, 2, 1, 4, 2]
    """
    first = second = 0  # the lengths two and one before
    for number, match in enumerate(re.finditer("[P-o]{0,12}[0-O]|.", text, re.DOTALL)):
        if not "0" <= match[0][-1] < "P":  # a bit of all but the last letter is set
            raise InputError(f"expected run lengths as text, found {match[0]!r}")
        bits = [ord(letter) - 48 & 31 for letter in match[0]]
        value = sum(part << 5 * n for n, part in enumerate(bits)) - (bits[-1] >> 4 << 5 * len(bits))
        value += first if number > 2 else 0
        first = second
        second = value
        yield value
