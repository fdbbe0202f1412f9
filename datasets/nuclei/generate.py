"""Make sketches of nuclei or cells with their complete annotation, and a plain image of them."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite import large
from cytosuite.datasets.conditions import measured
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import Annotation, annotate, populate
from cytosuite.datasets.physics.blur import blurred
from cytosuite.datasets.physics.camera import Detector
from cytosuite.datasets.physics.grid import Array, Image, slabs
from cytosuite.datasets.physics.sketch import companions
from cytosuite.datasets.sample import Sample
from cytosuite.manifest import parse
from cytosuite.tiling import Box
from cytosuite.volume import Scalar, Volume

__all__ = ["Parameters", "generate"]

STUDY = "simulated-nuclei"


def generate(rng: np.random.Generator, parameters: Parameters | Mapping[str, Any]) -> Sample:
    """Return one sketch of nuclei with labels, image and companions.

    Parameters
    ----------
    rng : numpy Generator
        The only source of chance; each stage draws from a child it spawns. The same seed
        gives the same bytes.
    parameters : Parameters or mapping
        A mapping is checked first.

    Returns
    -------
    Sample
        Sockets ``instance-labels`` (uint16), ``microscopy-image`` (uint16) and, where it is wanted,
        ``structure-sketch`` (float32, 0 to 1), with the axes ZYX or YX. Companions: ``boundary``,
        ``distance``, ``seeds``, see `cytosuite.datasets.physics.sketch`; where nuclei may overlap
        ``layer-1``, ``layer-2``, ... (see `Annotation`) and ``overlap``, how many lie in a voxel.

    Raises
    ------
    InputError
        If a parameter is not allowed or so many nuclei do not fit.

    Notes
    -----
    Memory: about 20 bytes per voxel of a volume and 50 of a plane, 2 more for each layer. Larger
    volumes are made in slabs, and what does not fit into memory lies on disk, see
    `cytosuite.large`: 4 bytes per voxel, 4 more for the sketch and 6 for companions.
    """
    if not isinstance(parameters, Parameters):
        parameters = parse("nuclei parameters", dict(parameters), Parameters)
    for_place, for_shape, for_grey, for_light, for_camera = rng.spawn(5)
    stars, centres, _ = populate(for_place, for_shape, parameters)
    found = annotate(stars, centres, parameters)
    values = draw_values(for_grey, len(found.numbers), parameters)
    drawn = draw_light(for_light, parameters)
    radii = stars.axes_um[found.numbers].prod(axis=1) ** (1 / 3)
    measures = {**drawn, **_measured(found, radii)}
    return show(for_camera, found, values, parameters, measures)


def show(
    rng: np.random.Generator,
    found: Annotation,
    values: Image,
    parameters: Parameters,
    measures: Mapping[str, Scalar],
) -> Sample:
    """Return sketch, image and companions of labels.

    Parameters
    ----------
    rng : numpy Generator
        Of the camera.
    found, values : Annotation, (M,) float32 array
        Labels, and the grey value of each.
    parameters : Parameters
    measures : mapping
        Metadata of the case with ``photons`` and ``background_photons``.
    """
    image = expose(rng, found, values, parameters, measures)
    sketch = draw_sketch(found, values, parameters) if parameters.sketch else None
    return _sample(found, sketch, image, parameters, measures)


def draw_values(rng: np.random.Generator, count: int, parameters: Parameters) -> Image:
    """Return the grey values (M,) of nuclei."""
    return rng.uniform(*parameters.grey, count).astype(np.float32)


def grey(found: Annotation, values: Image, box: Box = ()) -> Image:
    """Return the sharp sketch (Z, Y, X): the value of each nucleus, added where some overlap.

    Values (M,) are those of the labels; sums above 1 become 1. With a box, that part alone.
    """
    lookup = np.append(np.float32(0), values)
    sketch = lookup[found.layers[0][box]]
    for layer in found.layers[1:]:
        sketch += lookup[layer[box]]
    return np.minimum(sketch, 1, out=sketch)


def soften(
    found: Annotation, values: Image, widths_um: tuple[float, ...], parameters: Parameters
) -> Iterator[tuple[slice, Image]]:
    """Yield the sketch blurred by a Gaussian of standard deviations z, y, x in µm, by slabs.

    Beyond its faces it goes on as at them; a plane is not blurred along z.
    """
    widths = widths_um[-len(parameters.spacing_um) :]
    sigma = [width / step for width, step in zip(widths, parameters.spacing_um, strict=True)]
    sigma = [0.0] * (3 - len(sigma)) + sigma
    for planes, light in blurred(partial(grey, found, values), found.labels.shape, sigma):
        yield planes, light
        large.release(*found.layers)


def expose(
    rng: np.random.Generator,
    found: Annotation,
    values: Image,
    parameters: Parameters,
    drawn: Mapping[str, Scalar],
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the counts (Z, Y, X) of a camera that sees the sketch (0 to 1) through a Gaussian."""
    z, across = parameters.psf_um
    camera = {name: getattr(parameters, name) for name in ("gain", "offset", "read_noise")}
    detector = Detector(**camera)
    image = large.room(found.labels.shape, np.uint16)
    for planes, light in soften(found, values, (z, across, across), parameters):
        light *= np.float32(drawn["photons"])
        light += np.float32(drawn["background_photons"])
        image[planes] = detector.expose(rng, light)
        large.release(image)
    return image


def draw_sketch(found: Annotation, values: Image, parameters: Parameters) -> Image:
    """Return the smoothed sketch (Z, Y, X)."""
    sketch = large.room(found.labels.shape, np.float32)
    for planes, part in soften(found, values, (parameters.smooth_um,) * 3, parameters):
        sketch[planes] = part
        large.release(sketch)
    return sketch


def draw_light(rng: np.random.Generator, parameters: Parameters) -> dict[str, float]:
    """Return the photons of a case: log-uniform, and uniform for the background."""
    low, high = np.log(parameters.photons)
    background = float(rng.uniform(*parameters.background_photons))
    return {"photons": float(np.exp(rng.uniform(low, high))), "background_photons": background}


def _measured(found: Annotation, radii_um: Array) -> dict[str, Scalar]:
    """Return the number of nuclei, their mean radius and the number of layers."""
    mean = float(radii_um.mean()) if len(radii_um) else 0.0
    return {"n_nuclei": len(radii_um), "mean_radius_um": mean, "n_layers": len(found.layers)}


def _sample(
    found: Annotation,
    sketch: Image | None,
    image: NDArray[np.unsignedinteger[Any]],
    parameters: Parameters,
    metadata: Mapping[str, Scalar],
) -> Sample:
    """Return all images and labels of the case."""
    axes = "YX" if parameters.plane else "ZYX"

    def volume(array: NDArray[Any], **facts: Scalar) -> Volume:
        """Return an array (Z, Y, X) with the voxel size, as a plane where the image is one."""
        return Volume(array.reshape(parameters.shape), parameters.spacing_um, axes, facts)

    labels, seen = volume(found.labels), volume(image, channel="nucleus", study=STUDY)
    others: dict[str, Volume] = {}
    if parameters.companions:
        others |= companions(labels, parameters.border_um)
        if parameters.max_overlap > 0:
            others |= {f"layer-{n}": volume(each) for n, each in enumerate(found.layers, start=1)}
            others["overlap"] = volume(_overlap(found))
    sockets = {"instance-labels": labels, "microscopy-image": seen}
    if sketch is not None:  # first, as the main input of a synthesiser
        sockets = {"structure-sketch": volume(sketch, channel="nucleus", study=STUDY), **sockets}
    return Sample(
        sockets=sockets,
        metadata=metadata,
        companions=others,
        conditions=measured(seen.array, labels.array),
    )


def _overlap(found: Annotation) -> NDArray[np.uint8]:
    """Return how many nuclei (Z, Y, X) lie in each voxel."""
    count = large.room(found.labels.shape, np.uint8)
    for start, stop in slabs(count.shape):
        for layer in found.layers:
            count[start:stop] += layer[start:stop] > 0
        large.release(count, *found.layers)
    return count
