"""Entry point of the watershed algorithm: one image in, its instance labels out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from cytosuite.algorithms.watershed.blocks import (
    margin_of,
    plan_blocks,
    segment_blocks,
    steps_of,
)
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment
from cytosuite.interface import image_of
from cytosuite.manifest import parameters_of

if TYPE_CHECKING:
    from cytosuite.volume import Volume
    from cytosuite.weights import Model


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Volume]:
    """Return the instance labels of the nuclei of one image.

    Parameters
    ----------
    inputs : mapping of str to Volume
        ``microscopy-image``: axes ZYX or YX.
    model : Model
        Its card's parameters are those of `Parameters`.

    Returns
    -------
    mapping of str to Volume
        ``instance-labels``: of the same shape, spacing and axes, 0 = background; uint16, from
        65536 nuclei on uint32.

    Raises
    ------
    InputError
        If `image_of` refuses the image, a parameter of the card is unknown or out of bounds, or
        not even a block of the image fits into the memory.
    """
    volume = image_of(inputs)
    parameters = parameters_of(model.card, Parameters)
    spacing = (1.0,) * volume.array.ndim if parameters.in_pixels else volume.spacing
    planned = plan_blocks(
        volume.shape, margin_of(spacing, parameters), steps_of(spacing, parameters)
    )
    if len(planned) > 1:
        found = segment_blocks(volume.array, spacing, parameters, planned)
        return {"instance-labels": volume.like(found)}
    labels = segment(volume.array, spacing, parameters)
    small = int(labels.max(initial=0)) <= np.iinfo(np.uint16).max
    return {"instance-labels": volume.like(labels.astype(np.uint16 if small else np.uint32))}
