"""Labels of one volume from the objects found in overlapping blocks of it."""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from cytosuite.tiling import Box


class Assembly:
    """Labels that grow block by block.

    Parameters
    ----------
    shape : tuple of int
        Of the volume.

    Notes
    -----
    Every block sees a margin beyond its core. An object is *owned* by one block, which writes all
    of it; a block lends to every other object that lies in its core a number for its voxels
    there, until its owner writes it. So an object is found once where neighbours see the same, and
    where they do not, it is cut at the border of a core, but neither lost nor found twice:

    * voxels of an owned object stay its own;
    * an object of which more than half is owned already is that object, and joins it;
    * a lent piece of which an owner took more than half joins that owner.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._labels: NDArray[np.uint16] | NDArray[np.uint32] = np.zeros(shape, np.uint16)
        self._lent = np.zeros(1, np.int64)  # voxels of each number if it was lent, else 0
        self._takers: dict[int, Counter[int]] = {}  # voxels of a lent number by their new owner

    def add(self, part: NDArray[np.integer], owned: NDArray[np.bool_], box: Box, core: Box) -> None:
        """Write the objects of one block.

        Parameters
        ----------
        part : (Z, Y, X) integer array
            The objects in `box`, 1..n, 0 = background.
        owned : (n + 1,) bool array
            Mask of those that the block owns.
        box : tuple of slice
            Voxels in the block.
        core : tuple of slice
            Voxels in its core; cores do not overlap.
        """
        owned = np.append(False, owned[1:])
        self._write(part, owned[part], box, lent=False)
        inside = tuple(
            slice(a.start - b.start, a.stop - b.start) for a, b in zip(core, box, strict=True)
        )
        part = part[inside]
        self._write(part, (part > 0) & ~owned[part], core, lent=True)

    def finish(self) -> tuple[NDArray[np.uint16] | NDArray[np.uint32], int, int]:
        """Return the labels.

        Returns
        -------
        labels : (Z, Y, X) uint16 array, uint32 from 65536 objects on
            1..n without gaps, in the order of their first voxels.
        objects : int
            Their number n.
        pieces : int
            How many of them were lent and never claimed: parts of objects larger than a margin,
            or objects that neighbouring blocks saw differently.
        """
        owner = np.arange(self._lent.size)
        for number, takers in self._takers.items():
            if 2 * takers.total() > self._lent[number]:
                owner[number] = takers.most_common(1)[0][0]
        final = np.zeros(owner.size, np.uint32)
        count = 0
        for plane in self._labels:  # the whole at once would need several times its memory
            seen = owner[plane[plane > 0]]
            fresh, first = np.unique(seen[final[seen] == 0], return_index=True)
            final[fresh[np.argsort(first)]] = np.arange(count + 1, count + 1 + fresh.size)
            count += fresh.size
            plane[...] = final[owner[plane]]
        pieces = int(np.count_nonzero((self._lent > 0) & (final > 0)))
        if count <= np.iinfo(np.uint16).max:
            return self._labels.astype(np.uint16, copy=False), count, pieces
        return self._labels, count, pieces

    def _write(
        self, part: NDArray[np.integer], mask: NDArray[np.bool_], box: Box, *, lent: bool
    ) -> None:
        """Write the objects under a mask, except in voxels that are owned."""
        names, held = part[mask], self._labels[box][mask].astype(np.int64)
        is_owned = (held > 0) & (self._lent[held] == 0)
        sizes = np.bincount(names)
        known = 2 * np.bincount(names[is_owned], minlength=sizes.size) > sizes
        new = np.flatnonzero((sizes > 0) & ~known)
        number = np.zeros(sizes.size, np.int64)
        number[new] = np.arange(self._lent.size, self._lent.size + new.size)
        again = known[names] & is_owned
        name, holder, voxels = _pairs(names[again], held[again])
        order = np.argsort(voxels, kind="stable")
        number[name[order]] = holder[order]  # the last assignment stays: the holder of most of it
        self._lent = np.append(self._lent, sizes[new] if lent else np.zeros_like(new))
        if self._lent.size - 1 > np.iinfo(self._labels.dtype).max:
            self._labels = self._labels.astype(np.uint32)
        number = number[names]
        taken = ~is_owned & (held > 0)
        for piece, taker, many in np.stack(_pairs(held[taken], number[taken]), axis=1).tolist():
            self._takers.setdefault(piece, Counter())[taker] += many
        self._labels[box][mask] = np.where(is_owned, held, number)


def _pairs(
    first: NDArray[np.integer], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different pairs of numbers at the same place, and the voxels of each."""
    base = int(second.max(initial=0)) + 1
    pairs, counts = np.unique(first.astype(np.int64) * base + second, return_counts=True)
    return pairs // base, pairs % base, counts
