"""Entry point of the detector of spots: one image in, its points out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cytosuite.algorithms.spots.find import find
from cytosuite.algorithms.spots.parameters import Parameters
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.points import MOST, Points

if TYPE_CHECKING:
    from cytosuite.contract.weights import Model
    from cytosuite.volume import Volume


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Points]:
    """Return the ``detected-points`` of one image, the clearest first, at most 100,000."""
    volume = image_of(inputs)
    found = find(volume.array, volume.spacing, parameters_of(model.card, Parameters))
    light = found.photons()[:MOST]
    return {"detected-points": Points(found.places[:MOST], volume.spacing, photons=light)}
