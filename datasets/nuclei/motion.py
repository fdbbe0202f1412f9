"""Nuclei in motion: random steps, divisions and growth from frame to frame."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import draw_population, place, populate
from cytosuite.datasets.physics.grid import Array
from cytosuite.datasets.physics.harmonics import Stars

Names = NDArray[np.int64]

GROWTH = 8.0  # frames after which a daughter is as large as its mother
APART = 0.6  # of the mother's longest semi-axis: how far daughters start from its centre


@dataclass(frozen=True, slots=True)
class Colony:
    """The nuclei of one frame.

    Parameters
    ----------
    stars : Stars
        Full-grown.
    centres_um : (N, 3) float array
    size : (N,) float array
        Present radius relative to the full-grown one.
    names, mothers : (N,) int array
        Cells, from 1 on, each with one name from division to division; 0: no mother.
    """

    stars: Stars
    centres_um: Array
    size: Array
    names: Names
    mothers: Names

    @property
    def present(self) -> Stars:
        """The nuclei in their present size."""
        size = self.size[:, None]
        axes, semi_axes = self.stars.axes_um * size, self.stars.semi_axes_um * size
        return replace(self.stars, axes_um=axes, semi_axes_um=semi_axes)


def colonies(rng: np.random.Generator, parameters: Parameters, frames: int) -> Iterator[Colony]:
    """Yield the nuclei of each frame: random steps, divisions, growth, and pushing apart.

    Raises `InputError` where they fit no more into the foreground.
    """
    for_place, for_shape, for_motion = rng.spawn(3)
    stars, centres, room = populate(for_place, for_shape, parameters)
    count = len(stars)
    colony = Colony(stars, centres, np.ones(count), np.arange(1, count + 1), np.zeros(count, int))
    last = count
    for frame in range(frames):
        if frame > 0:
            colony = _step(for_motion, for_shape, colony, last, parameters)
            last = max(last, int(colony.names.max(initial=0)))
            turned, moved = place(for_place, colony.present, room, parameters, colony.centres_um)
            stars = replace(colony.stars, rotations=turned.rotations)
            colony = replace(colony, stars=stars, centres_um=moved)
        yield colony


def _step(
    rng: np.random.Generator,
    for_shape: np.random.Generator,
    old: Colony,
    last: int,
    parameters: Parameters,
) -> Colony:
    """Return the nuclei after growth, divisions and random steps; `last` is the last name given."""
    axes = 2 if parameters.plane else 3
    half = 2 ** (-1 / axes)  # the radius of half the volume
    ripe = (rng.random(len(old.names)) < parameters.division) & (old.size >= 1)
    mothers, rest = np.flatnonzero(ripe), np.flatnonzero(~ripe)
    origin = np.concatenate([rest, np.repeat(mothers, 2)])
    count, born = len(origin), 2 * len(mothers)
    fresh = draw_population(for_shape, born, parameters)
    axes_um, swollen = old.stars.axes_um[origin], old.stars.semi_axes_um / old.stars.axes_um
    swollen = np.concatenate([swollen[rest], fresh.semi_axes_um / fresh.axes_um])
    stars = Stars(
        axes_um,
        np.concatenate([old.stars.rotations[rest], fresh.rotations]),
        np.concatenate([old.stars.coefficients[rest], fresh.coefficients]),
        old.stars.brightness[origin],
        axes_um * swollen,
    )
    size = np.minimum(old.size[origin] * 2 ** (1 / (axes * GROWTH)), 1)
    size[len(rest) :] = half
    long = old.stars.rotations[mothers, :, 2] * old.stars.axes_um[mothers, 2:] * APART
    centres = old.centres_um[origin]
    centres[len(rest) :] += np.stack([long, -long], axis=1).reshape(-1, 3)
    steps = rng.normal(0, parameters.step_um, (count, 3))
    steps[:, : 3 - axes] = 0
    names, parents = old.names[origin], old.mothers[origin]
    parents[len(rest) :] = names[len(rest) :]
    names[len(rest) :] = last + 1 + np.arange(born)
    return Colony(stars, centres + steps, size, names, parents)
