"""The nuclei of a spheroid: of each kind, the living and the dying."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from math import exp, pi
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datasets.phantoms.library import Phantom, read_library
from datasets.phantoms.stored import StoredNuclei, draw_stored
from datasets.physics import shapes
from datasets.physics.bodies import Bodies, volumes_um3
from datasets.physics.grid import Lengths
from datasets.physics.shapes import Nuclei
from datasets.spheroid.draw import Drawn, of_kind
from datasets.spheroid.parameters import Parameters
from datasets.spheroid.sections import Kind

Library = tuple[Phantom, ...]

# Values drawn once per case and kind; the first go to `draw_nuclei` by their names.
SPREADS = ("diameter_spread", "axis_spread", "brightness_spread")
SHAPE = ("diameter_um", *SPREADS, "flat_fraction", "roughness")
DRAWN = (*SHAPE, "chromatin_contrast", "mitotic_fraction", "apoptotic_fraction")


@dataclass(frozen=True, slots=True)
class Population:
    """The nuclei of one kind.

    Parameters
    ----------
    kind : int
        Its number in the recipe, from 0.
    living : Nuclei or StoredNuclei
    dying : Nuclei
        They take room like others and become fragments.
    """

    kind: int
    living: Nuclei | StoredNuclei
    dying: Nuclei

    def __len__(self) -> int:
        """Return the number of nuclei."""
        return len(self.living) + len(self.dying)

    @property
    def parts(self) -> tuple[Bodies, Bodies]:
        """The living, then the dying."""
        return self.living, self.dying

    @property
    def volume_um3(self) -> float:
        """Volume of all of them in µm³."""
        return float(sum(volumes_um3(part).sum() for part in self.parts))

    def take(self, chosen: NDArray[np.integer]) -> "Population":
        """Return those with the given numbers, counted from the first of the living."""
        living = len(self.living)
        return replace(
            self,
            living=self.living.take(chosen[chosen < living]),
            dying=self.dying.take(chosen[chosen >= living] - living),
        )


def libraries(parameters: Parameters) -> list[Library]:
    """Return the stored nuclei of each kind; none for a kind whose nuclei are drawn.

    Raises
    ------
    InputError
        If a folder cannot be read.
    """
    found = []
    for kind in parameters.all_kinds():
        spacing = None if kind.phantoms_um == "auto" else kind.phantoms_um
        found.append(_library(kind.phantoms, spacing) if kind.phantoms else ())
    return found


@lru_cache(maxsize=8)
def _library(folder: str, spacing_um: Lengths | None) -> Library:
    """Return the stored nuclei in a folder, read once per process: 18 ms each."""
    return read_library(Path(folder), spacing_um)


def typical_volume(kind: Kind, drawn_diameter_um: float, library: Library) -> float:
    """Return the mean volume in µm³ of a nucleus of a kind."""
    if library and not kind.phantoms_scaled:
        return float(np.mean([phantom.volume_um3 for phantom in library]))
    return pi / 6 * drawn_diameter_um**3 * exp(4.5 * kind.diameter_spread[1] ** 2)


def shares(rng: np.random.Generator, parameters: Parameters, count: int) -> list[int]:
    """Return the random number of nuclei of each kind among `count`."""
    weights = np.array([kind.share for kind in parameters.all_kinds()])
    found: list[int] = rng.multinomial(count, weights / weights.sum()).tolist()
    return found


def populate(
    rng: np.random.Generator,
    parameters: Parameters,
    drawn: Drawn,
    counts: Sequence[int],
    stored: Sequence[Library],
) -> list[Population]:
    """Return the nuclei of each kind.

    Parameters
    ----------
    rng : numpy Generator
        Has one child per kind, so that a change in one kind leaves the others as they are.
    parameters : Parameters
    drawn : mapping
        Of `datasets.spheroid.draw.draw_values`.
    counts : sequence of int
        Nuclei of each kind.
    stored : sequence of tuple of Phantom
        Of `libraries`.
    """
    kinds = parameters.all_kinds()
    found = []
    for index, (kind, child) in enumerate(zip(kinds, rng.spawn(len(kinds)), strict=True)):
        values = {name: of_kind(drawn, parameters, kind, name) for name in DRAWN}
        dying = int(child.binomial(counts[index], values["apoptotic_fraction"]))
        alive = counts[index] - dying
        living: Nuclei | StoredNuclei
        if stored[index]:
            living = _stored(child, kind, values, alive, stored[index])
        else:
            living = _nuclei(child, kind, values, alive, values["mitotic_fraction"])
        found.append(Population(index, living, _nuclei(child, kind, values, dying, 0.0)))
    return found


def _nuclei(
    rng: np.random.Generator,
    kind: Kind,
    values: Mapping[str, float],
    count: int,
    mitotic_fraction: float,
) -> Nuclei:
    """Return drawn nuclei."""
    return shapes.draw_nuclei(
        rng,
        count,
        brightness=kind.brightness,
        contrast=values["chromatin_contrast"],
        nucleoli=kind.nucleoli,
        mitotic_fraction=mitotic_fraction,
        **{name: values[name] for name in SHAPE},
    )


def _stored(
    rng: np.random.Generator,
    kind: Kind,
    values: Mapping[str, float],
    count: int,
    library: Library,
) -> StoredNuclei:
    """Return nuclei from a library."""
    found = draw_stored(
        rng,
        count,
        library,
        diameter_um=values["diameter_um"] if kind.phantoms_scaled else None,
        diameter_spread=values["diameter_spread"] if kind.phantoms_scaled else 0.0,
        brightness_spread=values["brightness_spread"],
        tilt=kind.phantoms_tilt,
    )
    return replace(found, brightness=found.brightness * kind.brightness)
