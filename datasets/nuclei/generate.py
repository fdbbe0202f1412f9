"""Make sketches of nuclei or cells with their complete annotation, and a plain image of them."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.bodies.grid import Image, slabs
from cytosuite.contract.manifest import parse
from cytosuite.datasets.conditions import measured
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import Annotation, annotate, populate
from cytosuite.datasets.physics.camera import Detector
from cytosuite.datasets.physics.optics import blurred
from cytosuite.datasets.physics.sketch import extras
from cytosuite.datasets.sample import Sample
from cytosuite.files import Scalar
from cytosuite.networks.tiling import Box
from cytosuite.volume import Volume, large

__all__ = ["Parameters", "generate"]

STUDY = "simulated-nuclei"


def generate(rng: np.random.Generator, parameters: Parameters | Mapping[str, Any]) -> Sample:
    """Return labels, image, extras, maybe a sketch; a seed, its bytes; 20 bytes per voxel."""
    if not isinstance(parameters, Parameters):
        parameters = parse("nuclei parameters", dict(parameters), Parameters)
    for_place, for_shape, for_grey, for_light, for_camera = rng.spawn(5)
    stars, centres, _ = populate(for_place, for_shape, parameters)
    annotation = annotate(stars, centres, parameters)
    values = draw_values(for_grey, len(annotation.numbers), parameters)
    drawn = draw_light(for_light, parameters)
    radii = stars.axes_um[annotation.numbers].prod(axis=1) ** (1 / 3)
    mean = float(radii.mean()) if len(radii) else 0.0
    measures = {**drawn, "n_nuclei": len(radii), "mean_radius_um": mean}
    measures["n_layers"] = len(annotation.layers)
    return show(for_camera, annotation, values, parameters, measures)


def labels_of(rng: np.random.Generator, values: Mapping[str, Any]) -> Volume:
    """Return the labels that `generate` makes, without an image: a third of its time."""
    parameters = parse("nuclei parameters", dict(values), Parameters)
    for_place, for_shape, *_ = rng.spawn(5)
    stars, centres, _ = populate(for_place, for_shape, parameters)
    labels = annotate(stars, centres, parameters).labels.reshape(parameters.shape)
    return Volume(labels, parameters.spacing_um, "YX" if parameters.plane else "ZYX")


def show(
    rng: np.random.Generator,
    annotation: Annotation,
    values: Image,
    parameters: Parameters,
    measures: Mapping[str, Scalar],
) -> Sample:
    """Return sketch, image and extras of labels with grey values (M,)."""
    image = expose(rng, annotation, values, parameters, measures)
    axes = "YX" if parameters.plane else "ZYX"

    def volume(array: NDArray[Any], **facts: Scalar) -> Volume:
        """Return an array (Z, Y, X) with the voxel size, as a plane where the image is one."""
        return Volume(array.reshape(parameters.shape), parameters.spacing_um, axes, facts)

    labels, seen = volume(annotation.labels), volume(image, channel="nucleus", study=STUDY)
    others: dict[str, Volume] = {}
    if parameters.extras:
        others |= extras(labels, parameters.border_um)
        if parameters.max_overlap > 0:
            others["overlap"] = volume(_overlap(annotation))
    sockets = {"instance-labels": labels, "microscopy-image": seen}
    if parameters.max_overlap > 0 and parameters.extras:
        first, *rest = parameters.shape
        stack = large.room((len(annotation.layers) * first, *rest), np.uint16)
        np.concatenate(annotation.layers, out=stack.reshape(-1, *annotation.labels.shape[1:]))
        sockets["layered-labels"] = replace(labels, array=stack)
    if parameters.sketch:  # first, as the main input of a synthesiser
        sketch = large.room(annotation.labels.shape, np.float32)
        for planes, part in soften(annotation, values, (parameters.smooth_um,) * 3, parameters):
            sketch[planes] = part
            large.release(sketch)
        sockets = {"structure-sketch": volume(sketch, channel="nucleus", study=STUDY), **sockets}
    return Sample(
        sockets=sockets,
        metadata=measures,
        extras=others,
        conditions=measured(seen.array, labels.array),
    )


def draw_values(rng: np.random.Generator, count: int, parameters: Parameters) -> Image:
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
    annotation: Annotation, values: Image, widths_um: tuple[float, ...], parameters: Parameters
) -> Iterator[tuple[slice, Image]]:
    """Yield the sketch by slabs after a Gaussian, z y x in µm; a plane is not blurred along z."""
    widths = widths_um[-len(parameters.spacing_um) :]
    sigma = [width / step for width, step in zip(widths, parameters.spacing_um, strict=True)]
    sigma = [0.0] * (3 - len(sigma)) + sigma
    for planes, light in blurred(partial(grey, annotation, values), annotation.labels.shape, sigma):
        yield planes, light
        large.release(*annotation.layers)


def expose(
    rng: np.random.Generator,
    annotation: Annotation,
    values: Image,
    parameters: Parameters,
    drawn: Mapping[str, Scalar],
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the counts (Z, Y, X) of a camera that sees the sketch (0 to 1) through a Gaussian."""
    z, across = parameters.psf_um
    camera = {name: getattr(parameters, name) for name in ("gain", "offset", "read_noise")}
    detector = Detector(**camera)
    image = large.room(annotation.labels.shape, np.uint16)
    for planes, light in soften(annotation, values, (z, across, across), parameters):
        light *= np.float32(drawn["photons"])
        light += np.float32(drawn["background_photons"])
        image[planes] = detector.expose(rng, light)
        large.release(image)
    return image


def draw_light(rng: np.random.Generator, parameters: Parameters) -> dict[str, float]:
    """Return the photons of a case: log-uniform, and uniform for the background."""
    low, high = np.log(parameters.photons)
    background = float(rng.uniform(*parameters.background_photons))
    return {"photons": float(np.exp(rng.uniform(low, high))), "background_photons": background}


def _overlap(annotation: Annotation) -> NDArray[np.uint8]:
    """Return how many nuclei (Z, Y, X) lie in each voxel."""
    count = large.room(annotation.labels.shape, np.uint8)
    for start, stop in slabs(count.shape):
        for layer in annotation.layers:
            count[start:stop] += layer[start:stop] > 0
        large.release(count, *annotation.layers)
    return count
