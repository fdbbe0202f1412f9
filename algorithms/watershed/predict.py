"""Entry point of the watershed algorithm: one image in, its instance labels out."""

from functools import partial

import numpy as np

from cytosuite.algorithms.watershed.blocks import margin_of, plan_blocks, segment_blocks, steps_of
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment, shrinking, widened
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.progress import part, state
from cytosuite.contract.weights import Model
from cytosuite.segmentation.foreground import reduced
from cytosuite.segmentation.outline.redraw import Labels, with_outline
from cytosuite.segmentation.specimen import in_field
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Sizes
from cytosuite.volume.objects import label_type


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of the nuclei of one image; InputError if they do not fit."""
    return {"instance-labels": in_field(image_of(inputs), partial(_labels, model))}


def _labels(model: Model, volume: Volume, _: Sizes) -> Volume:
    """Return the nuclei of an image."""
    parameters = parameters_of(model.card, Parameters)
    radii, unit = parameters.radii_um, "px" if parameters.in_pixels else "µm"
    spacing = (1.0,) * volume.array.ndim if parameters.in_pixels else volume.spacing
    image = seen = volume.array
    times = shrinking(image, parameters)
    if times > 1:
        seen, _ = reduced(image.astype(np.float32), (times, times))
        unit = f"px, {times} times as wide as those of the image"
    state(size=f"of the card: radii of {min(radii):g} to {max(radii):g} {unit}")
    parameters = widened(seen, spacing, parameters)
    planned = plan_blocks(seen.shape, margin_of(spacing, parameters), steps_of(spacing, parameters))
    with part(0, 1 if parameters.outline is None else 2):
        if len(planned) > 1:
            labels: Labels = segment_blocks(seen, spacing, parameters, planned)
        else:
            nuclei = segment(seen, spacing, parameters)
            labels = nuclei.astype(label_type(int(nuclei.max(initial=0))))
        if times > 1:
            high, wide = image.shape
            labels = labels.repeat(times, 0).repeat(times, 1)[:high, :wide]
    with part(1, 2):
        return with_outline(volume.like(labels), image, spacing, model, parameters.outline)
