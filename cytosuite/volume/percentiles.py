"""Percentiles of the grey values of an image, which may lie on disk."""

from math import ceil, floor

import numpy as np

from cytosuite.files import FloatTuple
from cytosuite.volume.arrays import Array, DType, Unsigned
from cytosuite.volume.pieces import chunks

BITS = 16  # of a number counted in one pass


def percentiles(volume: Array, ranks: FloatTuple) -> FloatTuple:
    """Return percentiles, ranks in [0, 100], of finite voxels, as numpy in double precision."""
    places = [rank / 100 * (volume.size - 1) for rank in ranks]
    dtype = volume.dtype.newbyteorder("=") if volume.dtype.itemsize <= 8 else np.dtype(float)
    width = 8 * dtype.itemsize
    orders = {*map(floor, places), *map(ceil, places)}
    starts = {place: (0, place) for place in orders}  # leading bits, place among those with them
    for left in range(max(width - BITS, 0), -1, -BITS):  # `BITS` more in each pass
        bits = min(BITS, width)
        counts = {lead: np.zeros(1 << bits, np.int64) for lead, _ in starts.values()}
        for (piece,) in chunks(volume, dtype=dtype):
            keys = _ordered(piece)
            for lead, count in counts.items():
                same = keys if left + bits == width else keys[keys >> (left + bits) == lead]
                digits = (same >> left) & ((1 << bits) - 1)
                count += np.bincount(digits.astype(np.intp), minlength=count.size)
        for place, (lead, among) in starts.items():
            total = np.cumsum(counts[lead])
            digit = int(np.searchsorted(total, among, side="right"))
            before = int(total[digit - 1]) if digit else 0
            starts[place] = ((lead << bits) | digit, among - before)
    values = {place: _value(key, dtype) for place, (key, _) in starts.items()}
    levels = []
    for between in places:
        below = values[floor(between)]
        above = values[ceil(between)]
        levels.append(below + (above - below) * (between - floor(between)))
    return tuple(levels)


def _ordered(piece: Array) -> Unsigned:
    keys: Unsigned = piece.view(f"u{piece.itemsize}")
    top = keys.dtype.type(1 << (8 * piece.itemsize - 1))
    if piece.dtype.kind == "i":
        return keys ^ top
    if piece.dtype.kind == "f":
        keys = np.where(keys & top, ~keys, keys | top)
    return keys


def _value(key: int, dtype: DType) -> float:
    top = 1 << (8 * dtype.itemsize - 1)
    if dtype.kind == "i":
        key ^= top
    if dtype.kind == "f":
        key = key ^ top if key & top else key ^ (2 * top - 1)
    return float(np.array(key, f"u{dtype.itemsize}").view(dtype))
