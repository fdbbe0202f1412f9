"""Make sketches of nuclei or cells with their complete annotation, and a plain image of them."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from cytosuite.bodies.grid import in_slabs
from cytosuite.contract.manifest import parse
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import Annotation, annotate, populate
from cytosuite.datasets.physics.optics import blurred
from cytosuite.datasets.physics.sketch import extras
from cytosuite.datasets.ranges import log_uniform
from cytosuite.datasets.sample import Sample, measured
from cytosuite.datasets.scene import generator
from cytosuite.files import Entries, ScalarMap
from cytosuite.volume import Volume, memory
from cytosuite.volume.arrays import Box, Bytes, Image, Lengths, Rng, Unsigned

__all__ = ["Parameters", "generate"]

STUDY = "simulated-nuclei"


def _draw(rng: Rng, parameters: Parameters) -> Sample:
    """Return labels, image, extras, maybe a sketch; 20 bytes per voxel."""
    for_place, for_shape, for_grey, for_light, for_camera, for_optics = rng.spawn(6)
    stars, centres, _ = populate(for_place, for_shape, parameters)
    annotation = annotate(stars, centres, parameters)
    values = draw_values(for_grey, len(annotation.numbers), parameters)
    parameters = draw_light(for_light, for_optics, parameters)
    radii = stars.axes_um[annotation.numbers].prod(axis=1) ** (1 / 3)
    mean = float(radii.mean()) if len(radii) else 0.0
    measures = {"n_nuclei": len(radii), "mean_radius_um": mean, "n_layers": len(annotation.layers)}
    return show(for_camera, annotation, values, parameters, measures)


generate = generator("nuclei", Parameters, _draw)


def labels_of(rng: Rng, values: Entries) -> Volume:
    """Return the labels that `generate` makes, without an image: a third of its time."""
    parameters = parse("nuclei parameters", dict(values), Parameters)
    for_place, for_shape, *_ = rng.spawn(5)
    stars, centres, _ = populate(for_place, for_shape, parameters)
    return parameters.image.volume(annotate(stars, centres, parameters).labels)


def show(
    rng: Rng,
    annotation: Annotation,
    values: Image,
    parameters: Parameters,
    measures: ScalarMap,
) -> Sample:
    """Return sketch, image and extras of labels with grey values (M,)."""
    image = expose(rng, annotation, values, parameters)
    volume = parameters.image.volume
    labels = volume(annotation.labels)
    seen = volume(image, **parameters.channel("nucleus", study=STUDY))
    sockets = {"instance-labels": labels, "microscopy-image": seen}
    others: dict[str, Volume] = {}
    if parameters.extras:
        others |= extras(labels, parameters.labels.border_um)
        if parameters.max_overlap > 0:
            others["overlap"] = volume(_overlap(annotation))
            first, *rest = labels.shape
            stack = memory.room((len(annotation.layers) * first, *rest), np.uint16)
            np.concatenate(annotation.layers, out=stack.reshape(-1, *annotation.labels.shape[1:]))
            sockets["layered-labels"] = replace(labels, array=stack)
    if parameters.sketch:  # first, as the main input of a synthesiser
        sketch = memory.room(annotation.labels.shape, np.float32)
        for planes, part in soften(annotation, values, (parameters.smooth_um,) * 3, parameters):
            sketch[planes] = part
            memory.release(sketch)
        sockets = {"structure-sketch": volume(sketch, channel="nucleus", study=STUDY), **sockets}
    return Sample(
        sockets=sockets,
        metadata={**parameters.light(), **measures},
        extras=others,
        conditions=measured(seen.array, labels.array),
    )


def draw_values(rng: Rng, count: int, parameters: Parameters) -> Image:
    """Return the grey values (M,) of nuclei."""
    return rng.uniform(*parameters.grey, count).astype(np.float32)


def grey(annotation: Annotation, values: Image, box: Box = ()) -> Image:
    """Return the sum of the values (M,) of nuclei in each voxel of a box, at most 1."""
    lookup = np.append(np.float32(0), values)
    sketch = lookup[annotation.layers[0][box]]
    for layer in annotation.layers[1:]:
        sketch += lookup[layer[box]]
    return np.minimum(sketch, 1, out=sketch)


def soften(
    annotation: Annotation, values: Image, widths_um: Lengths, parameters: Parameters
) -> Iterator[tuple[slice, Image]]:
    """Yield the sketch by slabs after a Gaussian, z y x in µm; a plane is not blurred along z."""
    spacing = parameters.image.spacing_um
    sigma = [width / step for width, step in zip(widths_um[-len(spacing) :], spacing, strict=True)]
    sigma = [0.0] * (3 - len(sigma)) + sigma
    for planes, light in blurred(partial(grey, annotation, values), annotation.labels.shape, sigma):
        yield planes, light
        memory.release(*annotation.layers)


def expose(rng: Rng, annotation: Annotation, values: Image, parameters: Parameters) -> Unsigned:
    """Return the counts (Z, Y, X) of a camera that sees the sketch (0 to 1) through a Gaussian."""
    camera = parameters.camera
    image = memory.room(annotation.labels.shape, camera.dtype)
    for planes, light in soften(annotation, values, parameters.optics.sigma_um, parameters):
        image[planes] = camera.expose(rng, camera.brighten(light))
        memory.release(image)
    return image


def draw_light(rng: Rng, for_optics: Rng, parameters: Parameters) -> Parameters:
    """Return the parameters with optics and camera of a case; its photons are log-uniform."""
    camera = parameters.camera
    light = {
        "background_photons": float(rng.uniform(*camera.background_photons)),
        "photons": log_uniform(rng, camera.photons),
    }
    return parameters.seen_by(for_optics, light)


def _overlap(annotation: Annotation) -> Bytes:
    """Return how many nuclei (Z, Y, X) lie in each voxel."""
    count = memory.room(annotation.labels.shape, np.uint8)
    for number, *layers in in_slabs(count, *annotation.layers):
        for layer in layers:
            number += layer > 0
    return count
