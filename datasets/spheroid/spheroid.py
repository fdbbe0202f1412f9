"""A simulated spheroid: nuclei at their places, and other bodies that glow."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datasets.physics.bodies import Bodies, Mixture
from datasets.physics.debris import Blobs
from datasets.physics.grid import Array
from datasets.physics.shapes import Nuclei
from datasets.spheroid.outline import Outline

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ellipsoids:
    """The nuclei as they were packed, before any divided or died: one cell grows around each.

    Parameters
    ----------
    semi_axes_um, rotations, centres_um : (P, 3), (P, 3, 3) and (P, 3) float arrays
    kinds : (P,) int array
        Number of the kind, from 0.
    """

    semi_axes_um: Array
    rotations: Array
    centres_um: Array
    kinds: Numbers


@dataclass(frozen=True, slots=True)
class Spheroid:
    """All bodies of a spheroid, in µm from the corner of the image.

    Parameters
    ----------
    parts : tuple of Bodies
        Nuclei that are labelled, by kind.
    centres_um : tuple of (N, 3) float arrays
        Of each part.
    owners : (N,) int array
        Of all nuclei in turn: the number of the ellipsoid each comes from.
    ellipsoids : Ellipsoids
    debris : tuple of Nuclei
        Fragments and other bodies, which are not labelled.
    debris_um : tuple of (M, 3) float arrays
        Their centres.
    blobs : Blobs
    outline : Outline
    volume_fraction : float
        Share of the living tissue that is nucleus.
    """

    parts: tuple[Bodies, ...]
    centres_um: tuple[Array, ...]
    owners: Numbers
    ellipsoids: Ellipsoids
    debris: tuple[Nuclei, ...]
    debris_um: tuple[Array, ...]
    blobs: Blobs
    outline: Outline
    volume_fraction: float

    @property
    def nuclei(self) -> Mixture:
        """All labelled nuclei."""
        return Mixture(self.parts)

    @property
    def kinds(self) -> Numbers:
        """Number of the kind of each labelled nucleus, from 0."""
        return self.ellipsoids.kinds[self.owners]
