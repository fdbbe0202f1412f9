"""Labels of one volume from the objects found in overlapping blocks of it."""

from collections import Counter
from collections.abc import Sequence
from math import inf

import numpy as np

from cytosuite.networks.tiling import Tile
from cytosuite.volume.arrays import Bools, Box, Doubles, Integers, Shorts, Sizes, Words
from cytosuite.volume.memory import put, release, room, taken
from cytosuite.volume.objects import shared
from cytosuite.volume.pieces import converted, extremes

AGREEMENT = 2  # voxels by which neighbouring blocks may differ about the centre of an object

Labels = Shorts | Words


class Assembly:
    """Labels that grow block by block.

    Each object is *owned* by one block, which writes all of it, or joins the owned one that has
    more than half of it; others in a core are *lent* a number until an owner takes that much.
    """

    def __init__(self, shape: Sizes) -> None:
        self._labels = room(shape, np.uint16)
        self._lent = np.zeros(1, np.int64)  # voxels of each number if it was lent, else 0
        self._takers: dict[int, Counter[int]] = {}  # voxels of a lent number by their new owner

    def add(self, part: Integers, owned: Bools, block: Tile) -> None:
        """Write the objects 1..n of a block (Z, Y, X); `owned` (n + 1,) masks its own."""
        self._write(part, owned[part], block.input, lent=False)
        part = part[block.crop]
        self._write(part, (part > 0) & ~owned[part], block.output, lent=True)

    def finish(self) -> tuple[Labels, int, int]:
        """Return labels 1..n in the order of their first voxels, n, and how many stayed lent."""
        owner = np.arange(self._lent.size)
        for number, takers in self._takers.items():
            if 2 * takers.total() > self._lent[number]:
                owner[number] = takers.most_common(1)[0][0]
        labels, final = in_order(self._labels, owner)
        pieces = int(np.count_nonzero((self._lent > 0) & (final > 0)))
        return labels, int(final.max(initial=0)), pieces

    def _write(self, part: Integers, mask: Bools, box: Box, *, lent: bool) -> None:
        """Write the objects under a mask, except in voxels that are owned."""
        here = taken(self._labels, box)
        names = part[mask]
        held = here[mask].astype(np.int64)
        is_owned = (held > 0) & (self._lent[held] == 0)
        sizes = np.bincount(names)
        known = 2 * np.bincount(names[is_owned], minlength=sizes.size) > sizes
        new = np.flatnonzero((sizes > 0) & ~known)
        number = np.zeros(sizes.size, np.int64)
        number[new] = np.arange(self._lent.size, self._lent.size + new.size)
        again = known[names] & is_owned
        name, holder, voxels = shared(names[again], held[again])
        order = np.argsort(voxels, kind="stable")
        number[name[order]] = holder[order]  # the last assignment stays: the holder of most of it
        self._lent = np.append(self._lent, sizes[new] if lent else np.zeros_like(new))
        if self._lent.size - 1 > np.iinfo(self._labels.dtype).max:
            self._labels = converted(self._labels, np.uint32)
            here = taken(self._labels, box)
        number = number[names]
        claimed = ~is_owned & (held > 0)
        for piece, taker, many in np.stack(shared(held[claimed], number[claimed]), axis=1).tolist():
            self._takers.setdefault(piece, Counter())[taker] += many
        here[mask] = np.where(is_owned, held, number)
        put(self._labels, box, here)


def owned(labels: Integers, block: Tile, shape: Sizes) -> Bools:
    """Return a mask of the objects that belong to a block."""
    voxels = np.nonzero(labels)
    names = labels[voxels]
    size = np.maximum(np.bincount(names, minlength=1), 1)
    centres = np.stack([np.bincount(names, v, minlength=size.size) / size for v in voxels], axis=1)
    result = in_core(centres, block, shape, AGREEMENT)
    for axis, (part, length) in enumerate(zip(block.input, shape, strict=True)):
        for inner, face in ((part.start > 0, 0), (part.stop < length, -1)):
            if inner:
                result[np.unique(labels.take(face, axis))] = False
    result[0] = False
    return result


def in_core(
    centres: Doubles | Sequence[Sequence[float]],
    block: Tile,
    shape: Sizes,
    slack: float = 0.0,
) -> Bools:
    """Return a mask (N,) of the centres that lie in the core of a block."""
    places = np.asarray(centres, np.float64).reshape(-1, len(shape))
    inside = np.ones(len(places), bool)
    for axis, (crop, part, length) in enumerate(zip(block.crop, block.output, shape, strict=True)):
        low = crop.start - 0.5 - slack if part.start > 0 else -inf
        high = crop.stop - 0.5 + slack if part.stop < length else inf
        inside &= (places[:, axis] >= low) & (places[:, axis] < high)
    return inside


def in_order(labels: Labels, owner: Integers | None = None) -> tuple[Labels, Words]:
    """Return the labels after `renumber`, uint16 where that suffices, and their new numbers."""
    final = renumber(labels, owner)
    return converted(labels, np.uint16 if final.max(initial=0) < 2**16 else labels.dtype), final


def renumber(labels: Labels, owner: Integers | None = None) -> Words:
    """Renumber labels, or their owners, by first voxels, in place; return new numbers (n + 1,)."""
    if owner is None:
        owner = np.arange(1 + int(extremes(labels)[1]))
    final = np.zeros(owner.size, np.uint32)
    count = 0
    for plane in labels:  # the whole at once would need several times its memory
        flat = plane.ravel()
        runs = np.append(flat[:1], flat[1:][flat[1:] != flat[:-1]])
        seen = owner[runs]
        fresh, first = np.unique(seen[(seen > 0) & (final[seen] == 0)], return_index=True)
        final[fresh[np.argsort(first)]] = np.arange(count + 1, count + 1 + fresh.size)
        count += fresh.size
        if not np.array_equal(final[seen], runs):
            plane[...] = final[owner][plane]
        release(labels)
    return final
