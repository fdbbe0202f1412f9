"""Entry point of U2-Net: one plane in, its instance labels out."""

from typing import Literal

import numpy as np
import torch
from scipy import ndimage

from cytosuite.algorithms.u2net.network import CLASSES, Network, load
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import Count, NotNegative, Positive, parameters_of
from cytosuite.contract.progress import noted
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.networks.grid import in_pixels, interpolate, labels_to_image, stencils, to_working
from cytosuite.networks.network import Forward, device, load_once, predict_tiles
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.networks.scale import (
    Scale,
    Sizing,
    choose_scale,
    scale_of_objects,
    sizes_of,
    trained_of,
)
from cytosuite.networks.tiling import Tiled
from cytosuite.segmentation.assembly import in_order
from cytosuite.volume import Volumes
from cytosuite.volume.arrays import Array, Floats, Labels

GROUND, INSIDE, BORDER = range(CLASSES)
_CLEAR = 3.0  # standard deviations of the ground: light and dark halves of noise differ by less
_DOUBT = (
    "objects doubtful: they are less than 3 standard deviations of the ground brighter than it, as "
    "noise alone may be"
)


class Parameters(Sizing, Tiled):
    """``parameters`` of a model card; lengths are pixels at the scale of the training."""

    network: Network  # arguments of the network
    quietest: Positive = 0.033  # as of planes in the training
    # default diameter of nuclei: by the network's own objects
    diameter: Literal["trained", "estimated", "network"] = "network"
    least_px: NotNegative = 20.0  # least area of an object, pixels
    # pixels z, y, x; its area bounds the memory
    tile: tuple[Literal[1], Count, Count] = (1, 512, 512)
    # pixels at the inner faces of a tile that are thrown away
    halo: tuple[Literal[0], Count, Count] = (0, 64, 64)


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one plane; InputError or ModelError if unfit."""
    volume = image_of(inputs, offset=False)
    parameters = parameters_of(model.card, Parameters)
    plane = in_pixels(volume)
    network = load_once(model, parameters.network, load)
    image = volume.array[None]
    scale = choose_scale(image, plane, trained_of(model.card), parameters)
    labels = segment(image, scale, parameters, network)
    if parameters.diameter == "network" and not scale.settled:
        refined = scale_of_objects(labels, scale)
        if refined is not scale:
            scale = refined
            labels = segment(image, refined, parameters, network)
    ordered, final = in_order(labels.astype(np.uint32))
    facts = {
        **sizes_of(scale, "px"),
        "objects": int(final.max(initial=0)),
    }
    labelled = noted(volume.like(ordered.reshape(volume.shape)), "u2net", facts)
    return {"instance-labels": warned(labelled, *scale.warnings, _DOUBT * is_faint(image, labels))}


def is_faint(image: Array, labels: Labels) -> bool:
    """Return whether there are objects that are no clearer than noise is between its halves."""
    ground = image[labels == 0]
    if not 0 < ground.size < image.size:
        return False
    return bool(image[labels > 0].mean() - ground.mean() < _CLEAR * ground.std())


def segment(image: Array, scale: Scale, parameters: Parameters, network: Forward) -> Labels:
    """Return the labels (1, Y, X) of an image, found at a scale."""
    working = to_working(image, scale.factor)
    chances = predict_tiles(
        normalise(working, background_of(working, parameters.quietest))[None],
        network,
        channels=CLASSES,
        multiple=parameters.network.multiple,
        tile=parameters.tile,
        halo=parameters.halo,
        activate=lambda logits: torch.softmax(logits, 0),
        device=device(),
    ).values
    labels = objects(chances[:, 0], parameters.least_px)[None]
    if working.shape == image.shape:
        return labels
    grid = stencils(working.shape, image.shape)
    return labels_to_image(labels, interpolate(0.5 - chances[GROUND], grid) > 0, grid)


def objects(chances: Floats, least_px: float) -> Labels:
    """Return the labels of chances (3, Y, X): pieces of inside, grown over the rest of objects.

    A piece of objects without inside, as of the smallest, is an object of its own.
    """
    from skimage.segmentation import watershed  # takes long to import

    covered = chances[GROUND] < 0.5
    seeds, count = ndimage.label(covered & (chances[INSIDE] > chances[BORDER]))
    pieces, _ = ndimage.label(covered)
    seeded = np.zeros(pieces.max(initial=0) + 1, bool)
    seeded[pieces[seeds > 0]] = True
    seeds = np.where(seeded[pieces] | ~covered, seeds, pieces + count).astype(np.int32)
    labels = watershed(-chances[INSIDE], seeds, mask=covered).astype(np.int32)
    return np.where((np.bincount(labels.ravel()) < least_px)[labels], 0, labels)
