"""Pixels of a TIFF series: whole, in slabs, or left in the file."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from cytosuite.formats.pieces import planes_of
from cytosuite.formats.tiffcheck import check_pictures, part_bytes
from cytosuite.large import release, room
from cytosuite.memory import check_room
from cytosuite.volume import Header, Origin, Scalar


@dataclass(frozen=True, slots=True)
class TiffImage:
    """Geometry and metadata of a series, its shape as stored, the part to read, order of axes."""

    header: Header
    stored: tuple[int, ...]
    index: tuple[slice, ...]
    order: tuple[int, ...]
    metadata: dict[str, Scalar]
    origin: Origin


def pixels(path: Path, series: tifffile.TiffPageSeries, found: TiffImage) -> NDArray[Any]:
    """Return the wanted part of a series, in the order of the stored axes.

    Only its pages are decoded where each page is a plane, and only its bytes are read where the
    pixels lie in one piece.
    """
    planes = found.stored[:-2]
    pages = list(series.pages)
    numbers = np.arange(prod(planes)).reshape(planes)[found.index[:-2]]
    whole = numbers.size == prod(planes)
    size = numbers.size * prod(found.stored[-2:]) * series.dtype.itemsize
    if series.dataoffset is None:
        chosen = pages if whole or len(pages) != prod(planes) else [pages[n] for n in numbers.flat]
        check_pictures(chosen)
        size += _decoding(series)
    check_room(path, size)
    if whole:
        array: NDArray[Any] = series.asarray()
        return array.reshape(found.stored)
    if len(pages) == prod(planes):
        chosen = series.parent.asarray(key=numbers.ravel().tolist(), series=series)
        return np.asarray(chosen).reshape(*numbers.shape, *found.stored[-2:])
    out = None if series.dataoffset is None else "memmap"
    return np.array(series.asarray(out=out).reshape(found.stored)[found.index])


def mapped_pixels(series: tifffile.TiffPageSeries, found: TiffImage) -> NDArray[Any]:
    """Return pixels that lie in one piece as an array on disk, in the file's own bytes."""
    array = series.asarray(out="memmap").reshape(found.stored)[found.index]
    return np.asarray(array.transpose(found.order).reshape(found.header.shape))


def slabs_of(
    path: Path, series: tifffile.TiffPageSeries, found: TiffImage, planes: int | None = None
) -> Iterator[NDArray[Any]]:
    """Yield the wanted pixels in slabs along the first axis.

    Only their pages are decoded where each page is a plane; else the image is decoded as a whole.
    """
    head, last = found.header, len(found.stored) - 2
    dtype, count = head.dtype.newbyteorder("="), planes_of(head, planes)
    numbers = np.arange(prod(found.stored[:last])).reshape(found.stored[:last])[found.index[:last]]
    if series.dataoffset is None:
        check_room(path, _decoding(series))
    paged = len(series.pages) == prod(found.stored[:last])
    in_order = found.order[: len(head.shape)][-2:] == (last, last + 1)
    if series.dataoffset is None and paged and in_order and head.shape[:-2]:
        leading = [axis for axis in found.order if axis < last]
        numbers = numbers.transpose(leading).reshape(head.shape[:-2])
        check_pictures([series.pages[n] for n in numbers.flat])
        for start in range(0, head.shape[0], count):
            chosen = numbers[start : start + count]
            part = series.parent.asarray(key=chosen.ravel().tolist(), series=series)
            yield np.asarray(part, dtype).reshape(*chosen.shape, *head.shape[-2:])
        return
    if series.dataoffset is None:
        check_pictures(series.pages)
        whole = series.asarray(out=room(tuple(series.shape), dtype)).reshape(found.stored)
        whole = whole[found.index].transpose(found.order).reshape(head.shape)
    else:
        whole = mapped_pixels(series, found)
    for start in range(0, head.shape[0], count):
        yield np.array(whole[start : start + count], dtype, order="C")
        release(whole)


def _decoding(series: tifffile.TiffPageSeries) -> int:
    """Return the bytes that decoding takes: each thread holds a strip or tile in two forms."""
    return int(2 * series.keyframe.maxworkers * part_bytes(series.keyframe))
