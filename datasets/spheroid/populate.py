"""The nuclei of a spheroid: of each kind, the living and the dying."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from math import exp, pi
from pathlib import Path

import numpy as np

from cytosuite.datasets.phantoms.library import Phantom, read_library
from cytosuite.datasets.phantoms.stored import StoredNuclei, draw_stored
from cytosuite.datasets.physics import shapes
from cytosuite.datasets.physics.shapes import Nuclei
from cytosuite.datasets.spheroid.parameters import Drawn, Parameters, of_kind
from cytosuite.datasets.spheroid.sections import Kind
from cytosuite.datasets.spheroid.spheroid import Population

# Values drawn once per case and kind; the first go to `draw_nuclei` by their names.
SPREADS = ("diameter_spread", "axis_spread", "brightness_spread")
SHAPE = ("diameter_um", *SPREADS, "flat_fraction", "roughness")
DRAWN = (*SHAPE, "chromatin_contrast", "mitotic_fraction", "apoptotic_fraction")


@lru_cache(maxsize=8)
def _stored(kind: Kind) -> tuple[Phantom, ...]:
    """Return the stored nuclei of a kind, read once per process: 18 ms each."""
    spacing = None if kind.phantoms_um == "auto" else kind.phantoms_um
    return read_library(Path(kind.phantoms), spacing)


def typical_volume(kind: Kind, diameter_um: float) -> float:
    """Return the mean volume in µm³ of a nucleus of a kind, with the diameter of this case.

    Raises
    ------
    InputError
        If the folder of stored nuclei cannot be read.
    """
    if kind.phantoms and not kind.phantoms_scaled:
        return float(np.mean([phantom.volume_um3 for phantom in _stored(kind)]))
    return pi / 6 * diameter_um**3 * exp(4.5 * kind.diameter_spread[1] ** 2)


def populate(
    rng: np.random.Generator, parameters: Parameters, drawn: Drawn, counts: Sequence[int]
) -> tuple[Population, ...]:
    """Return the nuclei of each kind, without places.

    Parameters
    ----------
    rng : numpy Generator
        Has one child per kind, so that a change in one kind leaves the others as they are.
    parameters, drawn : Parameters, dict of str to float
        See `cytosuite.datasets.spheroid.grow.grow`.
    counts : sequence of int
        Nuclei of each kind.
    """
    kinds = parameters.all_kinds()
    found = []
    for index, (kind, child) in enumerate(zip(kinds, rng.spawn(len(kinds)), strict=True)):
        values = {name: of_kind(drawn, parameters, kind, name) for name in DRAWN}
        dying = int(child.binomial(counts[index], values["apoptotic_fraction"]))
        draw = _from_library if kind.phantoms else _nuclei
        living = draw(child, kind, values, counts[index] - dying)
        dead = _nuclei(child, kind, values | {"mitotic_fraction": 0.0}, dying)
        found.append(Population(index, living, dead))
    return tuple(found)


def _nuclei(
    rng: np.random.Generator, kind: Kind, values: Mapping[str, float], count: int
) -> Nuclei:
    """Return drawn nuclei."""
    return shapes.draw_nuclei(
        rng,
        count,
        brightness=kind.brightness,
        contrast=values["chromatin_contrast"],
        nucleoli=kind.nucleoli,
        **{name: values[name] for name in (*SHAPE, "mitotic_fraction")},
    )


def _from_library(
    rng: np.random.Generator, kind: Kind, values: Mapping[str, float], count: int
) -> StoredNuclei:
    """Return nuclei from a library."""
    found = draw_stored(
        rng,
        count,
        _stored(kind),
        diameter_um=values["diameter_um"] if kind.phantoms_scaled else None,
        diameter_spread=values["diameter_spread"] if kind.phantoms_scaled else 0.0,
        brightness_spread=values["brightness_spread"],
        tilt=kind.phantoms_tilt,
    )
    return replace(found, brightness=found.brightness * kind.brightness)
