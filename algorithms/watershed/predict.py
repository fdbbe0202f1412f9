"""Entry point of the watershed algorithm: one image in, its instance labels out."""

from functools import partial

import numpy as np

from cytosuite.algorithms.watershed.blocks import margin_of, plan_blocks, segment_blocks, steps_of
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment, widened
from cytosuite.contract.facts import state
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.progress import part
from cytosuite.contract.weights import Model
from cytosuite.segmentation.outline.redraw import Labels, with_outline
from cytosuite.segmentation.specimen import in_field
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Sizes


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of the nuclei of one image; InputError if they do not fit."""
    return {"instance-labels": in_field(image_of(inputs), partial(_labels, model))}


def _labels(model: Model, volume: Volume, _: Sizes) -> Volume:
    """Return the nuclei of an image."""
    parameters = parameters_of(model.card, Parameters)
    radii, unit = parameters.radii_um, "px" if parameters.in_pixels else "µm"
    state(size=f"of the card: radii of {min(radii):g} to {max(radii):g} {unit}")
    spacing = (1.0,) * volume.array.ndim if parameters.in_pixels else volume.spacing
    parameters = widened(volume.array, spacing, parameters)
    planned = plan_blocks(
        volume.shape, margin_of(spacing, parameters), steps_of(spacing, parameters)
    )
    with part(0, 1 if parameters.outline is None else 2):
        if len(planned) > 1:
            labels: Labels = segment_blocks(volume.array, spacing, parameters, planned)
        else:
            nuclei = segment(volume.array, spacing, parameters)
            small = int(nuclei.max(initial=0)) <= np.iinfo(np.uint16).max
            labels = nuclei.astype(np.uint16 if small else np.uint32)
    with part(1, 2):
        return with_outline(volume.like(labels), volume.array, spacing, model, parameters.outline)
