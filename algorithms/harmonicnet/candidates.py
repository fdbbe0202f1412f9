"""Candidates for stars: maxima of the heat, and the coefficients around them."""

from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.volume.arrays import Doubles, Floats, Spacing

FAINT = np.float32(0.05)  # at least: heat ends with its nucleus, where a Gaussian goes on


class Candidates(NamedTuple):
    """Stars that a network proposes."""

    certainty: Floats  # (n,), heat of the centre
    centres_um: Doubles  # (n, 3), from the outer corner of the first voxel
    coefficients: Floats  # (n, K), in the unit of the maps


def find(heat: Floats, coefficients: Floats, spacing: Spacing, threshold: float) -> Candidates:
    """Return the maxima of the heat (Z, Y, X) above a threshold, of maps (K, Z, Y, X).

    A centre lies where a Gaussian through its neighbours peaks; coefficients are the mean of 27
    voxels, weighted with their heat.
    """
    peaks = np.stack(np.nonzero((heat == ndimage.maximum_filter(heat, 3)) & (heat > threshold)))
    maps = np.moveaxis(coefficients, 0, -1)
    last = np.reshape(heat.shape, (3, 1)) - 1
    beside = np.zeros((27, peaks.shape[1]), np.float32)  # heat, 0 beyond the faces
    total = np.zeros((peaks.shape[1], maps.shape[-1]), np.float32)
    for weight, step in zip(beside, product((-1, 0, 1), repeat=3), strict=True):
        shifted = peaks + np.reshape(step, (3, 1))
        place = shifted.clip(0, last)
        weight[:] = heat[tuple(place)] * (shifted == place).all(axis=0)
        total += weight[:, None] * maps[tuple(place)]
    shift = np.stack([_summit(*beside[13 - way : 14 + way : way]) for way in (9, 3, 1)])
    centres = ((peaks + 0.5 + shift).T * spacing).astype(np.float64)
    return Candidates(beside[13], centres, total / beside.sum(axis=0)[:, None])


def _summit(below: Floats, middle: Floats, above: Floats) -> Floats:
    """Return how far (n,) from its middle voxel a Gaussian peaks; 0 where a neighbour lacks."""
    before, at, after = (np.log(np.maximum(heat, FAINT)) for heat in (below, middle, above))
    bend = np.maximum(2 * at - before - after, np.float32(1e-12))
    shift = np.clip((after - before) / (2 * bend), -0.5, 0.5)
    return np.where(np.minimum(above, below) > 0, shift, np.float32(0))
