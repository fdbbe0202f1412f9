"""A simulated spheroid: nuclei at their places, and other bodies that glow."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.phantoms.stored import StoredNuclei
from cytosuite.datasets.physics.bodies import Bodies, Mixture, volumes_um3
from cytosuite.datasets.physics.debris import Blobs
from cytosuite.datasets.physics.grid import Array
from cytosuite.datasets.physics.shapes import Nuclei
from cytosuite.datasets.spheroid.outline import Outline

Numbers = NDArray[np.int64]
Placed = tuple[Bodies, Array]  # bodies and their centres (N, 3), µm from the corner of the image


@dataclass(frozen=True, slots=True)
class Population:
    """The nuclei of one kind as they are packed, before any divides or falls into fragments.

    Parameters
    ----------
    kind : int
        Its number in the recipe, from 0.
    living : Nuclei or StoredNuclei
    dying : Nuclei
        They take room like others and become fragments.
    centres_um : (N, 3) float array
        Places of the living, then of the dying; empty before they have any.
    """

    kind: int
    living: Nuclei | StoredNuclei
    dying: Nuclei
    centres_um: Array = field(default_factory=lambda: np.zeros((0, 3)))

    def __len__(self) -> int:
        """Return the number of nuclei."""
        return len(self.living) + len(self.dying)

    @property
    def parts(self) -> tuple[Placed, Placed]:
        """The living and the dying with their places."""
        points = self.centres_um
        return (self.living, points[: len(self.living)]), (self.dying, points[len(self.living) :])

    @property
    def volume_um3(self) -> float:
        """Volume of all of them in µm³."""
        return float(sum(volumes_um3(part).sum() for part, _ in self.parts))

    def take(self, chosen: NDArray[np.integer], centres_um: Array) -> "Population":
        """Return those with the given numbers, counted from the first of the living, at places."""
        living = len(self.living)
        return replace(
            self,
            living=self.living.take(chosen[chosen < living]),
            dying=self.dying.take(chosen[chosen >= living] - living),
            centres_um=centres_um,
        )


def mixed(parts: Iterable[Placed]) -> tuple[Mixture, Array]:
    """Return all bodies as one population, and their centres (N, 3) in µm."""
    bodies, centres = zip(*parts, strict=True)
    return Mixture(bodies), np.concatenate(centres)


@dataclass(frozen=True, slots=True)
class Spheroid:
    """All bodies of a spheroid.

    Parameters
    ----------
    packed : tuple of Population
        Nuclei of each kind as they were packed: one cell grows around each.
    parts : tuple of (Bodies, (N, 3) float array)
        Nuclei that are labelled, by kind, with their centres in µm.
    owners : (N,) int array
        Of all labelled nuclei in turn: the number of the packed one each comes from.
    debris : tuple of (Bodies, (M, 3) float array)
        Fragments and other bodies, which are not labelled, with their centres in µm.
    blobs : Blobs
    outline : Outline
    """

    packed: tuple[Population, ...]
    parts: tuple[Placed, ...]
    owners: Numbers
    debris: tuple[Placed, ...]
    blobs: Blobs
    outline: Outline

    @property
    def nuclei(self) -> Placed:
        """All labelled nuclei and their centres (N, 3) in µm."""
        return mixed(self.parts)

    @property
    def kinds(self) -> Numbers:
        """Number of the kind of each labelled nucleus, from 0."""
        packed = np.repeat([p.kind for p in self.packed], [len(p) for p in self.packed])
        return np.asarray(packed[self.owners])

    @property
    def volume_fraction(self) -> float:
        """Share of the living tissue that is nucleus."""
        return sum(p.volume_um3 for p in self.packed) / self.outline.living.volume_um3
