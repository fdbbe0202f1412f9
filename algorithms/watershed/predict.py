"""Entry point of the watershed algorithm: one image in, its instance labels out."""

from functools import partial

from cytosuite.algorithms.watershed.blocks import margin_of, plan_blocks, segment_blocks, steps_of
from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.algorithms.watershed.segment import segment, widened
from cytosuite.contract.facts import state
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.progress import part
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.networks.scale import upright
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
    state(size=f"of the card: radii of {min(radii):g} to {max(radii):g} {unit}")
    spacing = (1.0,) * volume.array.ndim if parameters.in_pixels else volume.spacing
    image, inverted = upright(volume.array, model.card)
    parameters = widened(image, spacing, parameters)
    planned = plan_blocks(
        volume.shape, margin_of(spacing, parameters), steps_of(spacing, parameters)
    )
    with part(0, 1 if parameters.outline is None else 2):
        if len(planned) > 1:
            labels: Labels = segment_blocks(image, spacing, parameters, planned)
        else:
            nuclei = segment(image, spacing, parameters)
            labels = nuclei.astype(label_type(nuclei.max(initial=0)))
    with part(1, 2):
        drawn = with_outline(volume.like(labels), image, spacing, model, parameters.outline)
    return warned(drawn, inverted)
