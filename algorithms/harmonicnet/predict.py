"""Entry point of HarmonicNet: one volume in, its instance labels out."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cytosuite.algorithms.harmonicnet.candidates import Candidates, find
from cytosuite.algorithms.harmonicnet.network import load
from cytosuite.algorithms.harmonicnet.parameters import Parameters
from cytosuite.algorithms.harmonicnet.suppression import kept
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label, stars_from
from cytosuite.contract.facts import state
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.spacing import text
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.networks.grid import to_working
from cytosuite.networks.network import Forward, device, load_once, predict_tiles
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.segmentation.assembly import in_order
from cytosuite.volume import Scalar, Volume

Floats = NDArray[np.float32]

SAME = 0.01  # |factor - 1| of a voxel size that is not resampled
ENLARGED = 40.0  # working voxels per voxel of the image: more show nothing more


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Volume]:
    """Return the ``instance-labels`` of one volume; InputError or ModelError if unfit."""
    volume, parameters = image_of(inputs), parameters_of(model.card, Parameters)
    if volume.axes != "ZYX":
        raise InputError(
            f"the model {model.card.name} is for volumes, found the axes {volume.axes}; take an "
            "algorithm for planes"
        )
    network = load_once(model, parameters.network.model_dump(), load)
    ratio = ratio_of(volume, parameters)
    source = "given" if "diameter_um" in volume.metadata else "of the training"
    state(size=f"{source}: {2 * parameters.radius_um * ratio:.3g} µm")
    found = candidates(volume, ratio, parameters, network)
    chosen = kept(found, parameters.overlap, parameters.smallest_um3 * ratio**3)
    stars, grid = stars_from(found.coefficients[chosen]), Grid(volume.shape, volume.spacing)
    labels, final = in_order(label(stars, found.centres_um[chosen], grid))
    facts: dict[str, Scalar] = {
        "candidates": len(found.certainty),
        "suppressed": len(found.certainty) - len(chosen),
        "objects": int(final.max(initial=0)),
        "diameter_um": round(2 * parameters.radius_um * ratio, 3),
    }
    own = {f"harmonicnet_{key}": value for key, value in facts.items()}
    made = volume.like(labels)
    return {"instance-labels": replace(made, metadata={**made.metadata, **own})}


def ratio_of(volume: Volume, parameters: Parameters) -> float:
    """Return the user's diameter over that of the training, 1 without; InputError for a wrong."""
    given = volume.metadata.get("diameter_um")
    if given is None:
        return 1.0
    if not isinstance(given, int | float) or not given > 0:
        raise InputError(f"diameter_um must be a positive number of µm, found {given!r}")
    return given / (2 * parameters.radius_um)


def candidates(
    volume: Volume, ratio: float, parameters: Parameters, network: Forward
) -> Candidates:
    """Return the candidates of a volume, lengths in µm of the volume."""
    factor = [
        old / (new * ratio) for old, new in zip(volume.spacing, parameters.spacing_um, strict=True)
    ]
    factor = [1.0 if abs(each - 1) <= SAME else each for each in factor]
    if (more := prod(factor)) > ENLARGED:
        raise InputError(
            f"the model is for voxels of {text(parameters.spacing_um)} µm, found "
            f"{text(volume.spacing)} µm: the image would be enlarged {more:.0f} times; check the "
            "voxel size (--spacing), or give --diameter"
        )
    image = to_working(volume.array, factor)
    maps = predict_tiles(
        _in_eights(normalise(image, background_of(image))),
        lambda eights: network(_whole(eights)),
        channels=1 + (parameters.network.order + 1) ** 2,
        multiple=_half(parameters.network.multiple),
        tile=_half(parameters.tile),
        halo=_half(parameters.halo),
        activate=_activate,
        skip=lambda part: bool(part.min() == part.max()),
        device=device(),
    ).values
    steps = zip(volume.spacing, volume.shape, image.shape, strict=True)
    spacing = [2 * step * old / new for step, old, new in steps]
    found = find(maps[0], maps[1:], spacing, parameters.threshold)
    unit = np.float32(parameters.radius_um * ratio)
    return found._replace(coefficients=found.coefficients * unit)


def _half(sizes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(size // 2 for size in sizes)


def _in_eights(image: Floats) -> Floats:
    """Return a volume on half the grid, its voxels as channels (8, z, y, x); faces are extended."""
    even = np.pad(image, [(0, size % 2) for size in image.shape], mode="edge")
    z, y, x = _half(even.shape)
    parts = even.reshape(z, 2, y, 2, x, 2).transpose(1, 3, 5, 0, 2, 4)
    return np.ascontiguousarray(parts).reshape(8, z, y, x)


def _whole(eights: Tensor) -> Tensor:
    """Return volumes (N, 1, Z, Y, X) of their eights, see `_in_eights`."""
    count, _, z, y, x = eights.shape
    parts = eights.view(count, 2, 2, 2, z, y, x).permute(0, 4, 1, 5, 2, 6, 3)
    return parts.reshape(count, 1, 2 * z, 2 * y, 2 * x)


def _activate(maps: Tensor) -> Tensor:
    """Return maps with the heat in place of its logit."""
    maps[0] = maps[0].sigmoid()
    return maps
