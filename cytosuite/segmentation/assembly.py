"""Labels of one volume from the objects found in overlapping blocks of it."""

from collections import Counter
from collections.abc import Sequence
from math import inf

import numpy as np
from numpy.typing import NDArray

from cytosuite.large import converted, planes, put, release, room, taken
from cytosuite.tiling import Box, Tile

AGREEMENT = 2  # voxels by which neighbouring blocks may differ about the centre of an object

Labels = NDArray[np.uint16] | NDArray[np.uint32]


class Assembly:
    """Labels that grow block by block.

    Parameters
    ----------
    shape : sequence of int
        Of the volume. Labels that do not fit into the memory lie on disk, see `cytosuite.large`.

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

    def __init__(self, shape: Sequence[int]) -> None:
        self._labels: Labels = room(shape, np.uint16)
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

    def finish(self) -> tuple[Labels, int, int]:
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
        labels, final = in_order(self._labels, owner)
        pieces = int(np.count_nonzero((self._lent > 0) & (final > 0)))
        return labels, int(final.max(initial=0)), pieces

    def _write(
        self, part: NDArray[np.integer], mask: NDArray[np.bool_], box: Box, *, lent: bool
    ) -> None:
        """Write the objects under a mask, except in voxels that are owned."""
        here = taken(self._labels, box)
        names, held = part[mask], here[mask].astype(np.int64)
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
            self._labels = converted(self._labels, np.uint32)
            here = taken(self._labels, box)
        number = number[names]
        claimed = ~is_owned & (held > 0)
        for piece, taker, many in np.stack(_pairs(held[claimed], number[claimed]), axis=1).tolist():
            self._takers.setdefault(piece, Counter())[taker] += many
        here[mask] = np.where(is_owned, held, number)
        put(self._labels, box, here)


def owned(labels: NDArray[np.integer], block: Tile, shape: Sequence[int]) -> NDArray[np.bool_]:
    """Return a mask of the objects that belong to a block.

    Parameters
    ----------
    labels : (Z, Y, X) integer array
        Objects 1..n in ``block.input``, 0 = background.
    block : Tile
        The block.
    shape : sequence of int
        Of the volume.

    Returns
    -------
    (n + 1,) bool array
        Objects with their centre of mass in the core, or nearly so, that do not touch the face of
        an inner margin, beyond which they might go on.
    """
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
    centres: NDArray[np.float64] | Sequence[Sequence[float]],
    block: Tile,
    shape: Sequence[int],
    slack: float = 0.0,
) -> NDArray[np.bool_]:
    """Return a mask (N,) of the centres that lie in the core of a block.

    Parameters
    ----------
    centres : (N, 3) floats
        z, y, x in voxels of ``block.input``.
    block, shape
        As of `owned`; beyond the border of the volume the outermost block goes on.
    slack : float
        Voxels by which the core is grown towards its neighbours.
    """
    places = np.asarray(centres, np.float64).reshape(-1, len(shape))
    inside = np.ones(len(places), bool)
    for axis, (crop, part, length) in enumerate(zip(block.crop, block.output, shape, strict=True)):
        low = crop.start - 0.5 - slack if part.start > 0 else -inf
        high = crop.stop - 0.5 + slack if part.stop < length else inf
        inside &= (places[:, axis] >= low) & (places[:, axis] < high)
    return inside


def in_order(
    labels: Labels, owner: NDArray[np.integer] | None = None
) -> tuple[Labels, NDArray[np.uint32]]:
    """Return the labels numbered in the order of their first voxels, and these numbers.

    Parameters
    ----------
    labels : (Z, Y, X) or (Y, X) uint16 or uint32 array
        0 = background. It is changed.
    owner : (N + 1,) integer array, optional
        Number that each label counts as, 0 of the background.

    Returns
    -------
    labels : uint16 array, uint32 from 65536 objects on
        1..n without gaps.
    final : (N + 1,) uint32 array
        The new numbers of 0..N; 0 of those without a voxel.
    """
    if owner is None:
        owner = np.arange(1 + max(int(slab.max(initial=0)) for slab in planes(labels)))
    final = np.zeros(owner.size, np.uint32)
    count = 0
    for plane in labels:  # the whole at once would need several times its memory
        seen = owner[plane[plane > 0]]
        fresh, first = np.unique(seen[final[seen] == 0], return_index=True)
        final[fresh[np.argsort(first)]] = np.arange(count + 1, count + 1 + fresh.size)
        count += fresh.size
        plane[...] = final[owner[plane]]
        release(labels)
    small = count <= np.iinfo(np.uint16).max
    return converted(labels, np.uint16 if small else labels.dtype), final


def _pairs(
    first: NDArray[np.integer], second: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the different pairs of numbers at the same place, and the voxels of each."""
    base = int(second.max(initial=0)) + 1
    pairs, counts = np.unique(first.astype(np.int64) * base + second, return_counts=True)
    return pairs // base, pairs % base, counts
