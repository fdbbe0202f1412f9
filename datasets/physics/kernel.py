"""The light of a point as voxels, at any voxel size."""

from dataclasses import dataclass

import numpy as np

from cytosuite.datasets.physics.grid import Array, Image, Lengths

KEPT = 0.999  # of the light is inside the box that is used
ROUNDS = 20  # of moving the borders until the centroid is kept


@dataclass(frozen=True, slots=True)
class Kernel:
    """The light of a point, as voxels.

    Parameters
    ----------
    image : (z, y, x) float32 array
        Not negative, of sum 1; the light of a voxel is spread evenly in it.
    spacing : tuple of float
        µm per voxel.
    centre : tuple of float
        Where the point is, in voxels: 0 is the middle of the first.
    """

    image: Image
    spacing: Lengths
    centre: Lengths

    def offsets_um(self, axis: int) -> Array:
        """Return the positions of the voxels' middles along an axis, µm from the point."""
        steps = np.arange(self.image.shape[axis]) - self.centre[axis]
        return np.asarray(steps * self.spacing[axis], np.float64)

    def half_um(self, share: float) -> Lengths:
        """Return half the size of the box around the point that holds a share of the light, µm.

        Along each axis, at most a third of the rest is outside.
        """
        return tuple(self._half(axis, (1 - share) / 3) for axis in range(3))

    def _half(self, axis: int, outside: float) -> float:
        """Return the distance along an axis beyond which at most this share of the light is."""
        profile = self.image.sum(axis=tuple({0, 1, 2} - {axis}), dtype=np.float64)
        distance = np.abs(self.offsets_um(axis)) + self.spacing[axis] / 2
        order = np.argsort(distance, kind="stable")
        held = np.cumsum(profile[order]) >= (1 - outside) * profile.sum()
        return float(distance[order][np.argmax(held)])

    def resampled(self, spacing: Lengths) -> "Kernel":
        """Return the light at another voxel size: odd in size, the point in the middle voxel.

        The box holds at least `KEPT` of the light, of sum 1. Sum and centroid are kept; each
        variance grows by that of a voxel, ``spacing² / 12``.
        """
        halves = self.half_um(KEPT)
        image = self.image.astype(np.float64)
        for axis in range(3):
            offsets, step = self.offsets_um(axis), self.spacing[axis]
            size = int(np.ceil(halves[axis] / spacing[axis] - 0.5 - 1e-9))
            edges = np.asarray((np.arange(-size, size + 2) - 0.5) * spacing[axis], np.float64)
            image = _rebinned(image, axis, offsets, step, edges)
        centre = tuple(float(n // 2) for n in image.shape)
        return Kernel((image / image.sum()).astype(np.float32), spacing, centre)


def _rebinned(image: Array, axis: int, offsets: Array, step: float, edges: Array) -> Array:
    """Return the light along an axis between new edges, shifted so that the centroid is kept."""
    light = np.moveaxis(image, axis, 0)
    profile = light.sum(axis=(1, 2))
    borders = np.append(offsets - step / 2, offsets[-1] + step / 2)
    middles = (edges[1:] + edges[:-1]) / 2
    inside = (offsets > edges[0]) & (offsets < edges[-1])
    wanted = float((profile * offsets)[inside].sum() / profile[inside].sum())
    shift = 0.0
    summed = np.concatenate([[0.0], np.cumsum(profile)])
    for _ in range(ROUNDS):
        bins = np.diff(np.interp(edges + shift, borders, summed))
        shift += float((bins * middles).sum() / bins.sum()) - wanted
    cumulated = np.concatenate([np.zeros((1, *light.shape[1:])), np.cumsum(light, axis=0)])
    place = np.interp(edges + shift, borders, np.arange(len(borders)))
    low = np.minimum(place.astype(int), len(borders) - 2)
    part = (place - low)[:, None, None]
    at_edges = cumulated[low] * (1 - part) + cumulated[low + 1] * part
    return np.moveaxis(np.diff(at_edges, axis=0), 0, axis)
