"""Make sketches of nuclei or cells with their complete annotation, and a plain image of them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.datasets.conditions import measured
from cytosuite.datasets.nuclei.parameters import Parameters
from cytosuite.datasets.nuclei.population import Annotation, annotate, populate
from cytosuite.datasets.physics.camera import Detector
from cytosuite.datasets.physics.grid import Array, Image
from cytosuite.datasets.physics.sketch import companions
from cytosuite.datasets.sample import Sample
from cytosuite.manifest import parse
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
        Sockets ``structure-sketch`` (float32, 0 to 1), ``instance-labels`` (uint16) and
        ``microscopy-image`` (uint16), with the axes ZYX or YX. Companions: ``boundary``,
        ``distance``, ``seeds``, see `cytosuite.datasets.physics.sketch`; where nuclei may overlap
        ``layer-1``, ``layer-2``, ... (see `Annotation`) and ``overlap``, how many lie in a voxel.

    Raises
    ------
    InputError
        If a parameter is not allowed or so many nuclei do not fit.

    Notes
    -----
    Memory: about 20 bytes per voxel of a volume and 50 of a plane, 2 more for each layer.
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
    flat = grey(found, values)
    image = expose(rng, flat, parameters, measures)
    return _sample(found, flat, image, parameters, measures)


def draw_values(rng: np.random.Generator, count: int, parameters: Parameters) -> Image:
    """Return the grey values (M,) of nuclei."""
    return rng.uniform(*parameters.grey, count).astype(np.float32)


def grey(found: Annotation, values: Image) -> Image:
    """Return the sharp sketch (Z, Y, X): the value of each nucleus, added where some overlap.

    Values (M,) are those of the labels; sums above 1 become 1.
    """
    lookup = np.append(np.float32(0), values)
    sketch = lookup[found.layers[0]]
    for layer in found.layers[1:]:
        sketch += lookup[layer]
    return np.minimum(sketch, 1, out=sketch)


def smooth(image: Image, widths_um: tuple[float, ...], parameters: Parameters) -> Image:
    """Return an image (Z, Y, X) blurred by a Gaussian of standard deviations z, y, x in µm.

    Beyond its faces the image goes on as at them; a plane is not blurred along z.
    """
    widths = widths_um[-len(parameters.spacing_um) :]
    sigma = [width / step for width, step in zip(widths, parameters.spacing_um, strict=True)]
    sigma = [0.0] * (3 - len(sigma)) + sigma
    blurred: Image = ndimage.gaussian_filter(image, sigma, mode="nearest")
    return blurred


def expose(
    rng: np.random.Generator, flat: Image, parameters: Parameters, drawn: Mapping[str, Scalar]
) -> NDArray[np.unsignedinteger[Any]]:
    """Return the counts (Z, Y, X) of a camera that sees the sketch (0 to 1) through a Gaussian."""
    z, across = parameters.psf_um
    light = smooth(flat, (z, across, across), parameters)
    light *= np.float32(drawn["photons"])
    light += np.float32(drawn["background_photons"])
    camera = {name: getattr(parameters, name) for name in ("gain", "offset", "read_noise")}
    return Detector(**camera).expose(rng, light)


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
    flat: Image,
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
    others = companions(labels, parameters.border_um)
    if parameters.max_overlap > 0:
        others |= {f"layer-{n}": volume(each) for n, each in enumerate(found.layers, start=1)}
        count = sum((each > 0).astype(np.uint8) for each in found.layers)
        others["overlap"] = volume(np.asarray(count))
    sketch = smooth(flat, (parameters.smooth_um,) * 3, parameters)
    return Sample(
        sockets={
            "structure-sketch": volume(sketch, channel="nucleus", study=STUDY),
            "instance-labels": labels,
            "microscopy-image": seen,
        },
        metadata=metadata,
        companions=others,
        conditions=measured(seen.array, labels.array),
    )
