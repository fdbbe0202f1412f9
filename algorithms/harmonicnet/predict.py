"""Entry point of HarmonicNet: one volume in, its instance labels out."""

from functools import partial
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field

from cytosuite.algorithms.harmonicnet.network import Network, half, in_eights, load
from cytosuite.algorithms.harmonicnet.suppression import Candidates, find, kept
from cytosuite.bodies.grid import Grid
from cytosuite.bodies.stars import label, stars_from
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import NotNegative, Positive, parameters_of
from cytosuite.contract.progress import noted
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.networks.grid import to_working, working_shape
from cytosuite.networks.network import Forward, Lazy, device, load_once, predict_tiles
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.networks.scale import Scale, Sizing, Trained, choose_scale, sizes_of
from cytosuite.networks.tiling import Sides, Tiled, sample
from cytosuite.segmentation.assembly import in_order
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Box, Floats

Even = Annotated[int, Field(ge=0, multiple_of=2)]


class Parameters(Sizing, Tiled):
    """``parameters`` of a model card; lengths in µm are at the scale of the training."""

    network: Network  # arguments of the network
    spacing_um: tuple[Positive, Positive, Positive]  # voxels z, y, x that images are brought to, µm
    radius_um: Positive  # unit of the coefficients: mean radius, µm
    threshold: float = Field(0.5, gt=0, lt=1)  # least heat of a centre, chosen on validation data
    # share of the smaller star within a more certain one that suppresses
    overlap: float = Field(0.3, gt=0, le=1)
    smallest_um3: NotNegative = 0.0  # least volume of a star, µm³
    # default nucleus diameter when the user gives none
    diameter: Literal["trained", "estimated"] = "trained"
    # largest |ln| of voxel size over the training's without rescaling
    rescale_tolerance: NotNegative = 0.01
    tile: Sides = (96, 256, 256)  # voxels z, y, x; its volume bounds the memory
    # voxels at the inner faces of a tile that are thrown away
    halo: tuple[Even, Even, Even] = (16, 32, 32)


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one volume; InputError or ModelError if unfit."""
    volume = image_of(inputs, offset=False)
    parameters = parameters_of(model.card, Parameters)
    if volume.axes != "ZYX":
        raise InputError(
            f"the model {model.card.name} is for volumes, found the axes {volume.axes}; take an "
            "algorithm for planes"
        )
    network = load_once(model, parameters.network, load)
    scale = scale_of(volume, parameters)
    proposed = candidates(volume, scale, parameters, network)
    chosen = kept(proposed, parameters.overlap, parameters.smallest_um3 * scale.ratio**3)
    labels, final = in_order(
        label(
            stars_from(proposed.coefficients[chosen]),
            proposed.centres_um[chosen],
            Grid(volume.shape, volume.spacing),
        )
    )
    facts = {
        "candidates": len(proposed.certainty),
        "suppressed": len(proposed.certainty) - len(chosen),
        "objects": int(final.max(initial=0)),
        **sizes_of(scale, "um"),
    }
    return {
        "instance-labels": warned(noted(volume.like(labels), "harmonicnet", facts), *scale.warnings)
    }


def scale_of(volume: Volume, parameters: Parameters) -> Scale:
    """Return the working grid of a volume; InputError for one that is enlarged too much."""
    trained = Trained(spacing=parameters.spacing_um, diameter_um=2 * parameters.radius_um)
    return choose_scale(volume.array, volume, trained, parameters)


def candidates(
    volume: Volume, scale: Scale, parameters: Parameters, network: Forward
) -> Candidates:
    """Return the candidates of a volume, lengths in µm of the volume."""
    shape = working_shape(volume.shape, scale.factor)
    read = partial(to_working, volume.array, scale.factor)
    background = background_of(sample(read, shape), parameters.quietest)

    def _eights(box: Box) -> Floats:
        whole = tuple(
            slice(2 * s.start, min(2 * s.stop, n)) for s, n in zip(box, shape, strict=True)
        )
        return in_eights(normalise(read(whole), background))

    maps = predict_tiles(
        Lazy((8, *(-(-size // 2) for size in shape)), _eights),
        network,
        channels=1 + (parameters.network.order + 1) ** 2,
        multiple=half(parameters.network.multiple),
        tile=half(parameters.tile),
        halo=half(parameters.halo),
        activate=lambda maps: torch.cat([maps[:1].sigmoid(), maps[1:]]),  # heat of its logit
        skip=lambda part: bool(part.min() == part.max()),
        device=device(),
    ).values
    steps = zip(volume.spacing, volume.shape, shape, strict=True)
    spacing = [2 * step * old / new for step, old, new in steps]
    proposed = find(maps[0], maps[1:], spacing, parameters.threshold)
    unit = np.float32(parameters.radius_um * scale.ratio)
    return proposed._replace(coefficients=proposed.coefficients * unit)
