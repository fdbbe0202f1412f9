"""Sketches of tissue with labelled membranes: cells, their borders, distances and seeds."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.conditions import measured
from cytosuite.datasets.membrane import voronoi
from cytosuite.datasets.membrane.light import expose
from cytosuite.datasets.membrane.nuclei import nuclei, sketch_nuclei
from cytosuite.datasets.membrane.parameters import Drawn, Parameters, draw_values
from cytosuite.datasets.membrane.structures import Anatomy, build
from cytosuite.datasets.physics.grid import Image, Labels
from cytosuite.datasets.physics.labels import tidy
from cytosuite.datasets.physics.sketch import companions, signed_distance
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.manifest import parse
from cytosuite.volume import Scalar, Volume

__all__ = ["Parameters", "generate"]

STUDY = "simulated-membrane"
KEPT = 1.5  # radii of rounding below the surface from which on cells keep their edges


def generate(rng: np.random.Generator, parameters: Parameters | Mapping[str, Any]) -> Sample:
    """Return one sketch of tissue with its annotation.

    Parameters
    ----------
    rng : numpy Generator
        The only source of chance; values, places and camera draw from children it spawns. The same
        seed gives the same bytes.
    parameters : Parameters or mapping
        A mapping is checked first.

    Returns
    -------
    Sample
        Sockets ``structure-sketch`` (uint8: 255 in membranes without falloff), ``instance-labels``
        (uint16) and, where wanted, ``microscopy-image`` (uint16), all (Z, Y, X). Companions:
        ``boundary``, ``distance``, ``seeds``, see `cytosuite.datasets.physics.sketch`; where cells
        have nuclei, see `second_channel`.

    Raises
    ------
    InputError
        If a parameter is not allowed, or the structure has no room in the image.
    """
    if not isinstance(parameters, Parameters):
        parameters = parse("membrane parameters", dict(parameters), Parameters)
    for_values, for_places, for_camera, for_nuclei = rng.spawn(4)
    drawn = draw_values(for_values, parameters)
    anatomy = build(for_places, parameters, drawn)
    labels = label(anatomy, parameters, drawn)
    annotation = companions(labels, parameters.border_um)
    sketch = _sketch(annotation["boundary"], anatomy, parameters)
    facts = describe(labels)
    channel: dict[str, Scalar] = {"channel": "membrane", "study": STUDY}
    if drawn.nucleus > 0:
        annotation |= second_channel(for_nuclei, labels, annotation["boundary"], parameters, drawn)
    sockets = {
        "structure-sketch": Volume(sketch, labels.spacing, "ZYX", channel),
        "instance-labels": labels,
    }
    conditions: dict[str, Scalar] = {"structure": parameters.structure}
    if parameters.microscope:
        counts = expose(for_camera, sketch, labels.array > 0, parameters, drawn)
        sockets["microscopy-image"] = Volume(counts, labels.spacing, "ZYX", channel)
        conditions |= measured(counts, labels.array)
    return Sample(
        sockets=sockets,
        metadata=drawn.model_dump() | facts,
        companions=annotation,
        conditions=conditions | {"objects": facts["n_cells"]},
    )


def second_channel(
    rng: np.random.Generator, cells: Volume, boundary: Volume, parameters: Parameters, drawn: Drawn
) -> dict[str, Volume]:
    """Return the channel of the nuclei, all (Z, Y, X).

    Parameters
    ----------
    rng, cells, boundary, parameters, drawn
        See `cytosuite.datasets.membrane.nuclei.nuclei`.

    Returns
    -------
    dict of str to Volume
        ``nucleus-sketch`` (uint8), ``nucleus-labels`` (uint16, numbers of the cells) and, where a
        microscope is wanted, ``nucleus-image`` (uint16).
    """
    for_shape, for_grey, for_camera = rng.spawn(3)
    found = nuclei(for_shape, cells, boundary, drawn)
    seen = sketch_nuclei(for_grey, found)
    channel: dict[str, Scalar] = {"channel": "nucleus", "study": STUDY}
    volumes = {
        "nucleus-sketch": Volume(seen, cells.spacing, "ZYX", channel),
        "nucleus-labels": Volume(found, cells.spacing, "ZYX"),
    }
    if parameters.microscope:
        counts = expose(for_camera, seen, cells.array > 0, parameters, drawn)
        volumes["nucleus-image"] = Volume(counts, cells.spacing, "ZYX", channel)
    return volumes


def label(anatomy: Anatomy, parameters: Parameters, drawn: Drawn) -> Volume:
    """Return the cells (Z, Y, X) of a tissue as uint16 labels.

    Raises
    ------
    InputError
        If there are too many cells, or none has `min_voxels` voxels.
    """
    factors = voronoi.weights(anatomy.centres_um, parameters.weight)
    inside = anatomy.inside
    found = voronoi.cells(anatomy.centres_um, factors, parameters.grid, inside, anatomy.shrink)
    found = voronoi.whole(found, inside, parameters.min_voxels)
    if not found.any():
        raise InputError(
            f"no cell of {parameters.structure} has {parameters.min_voxels} voxels in the image; "
            "lower min_voxels or spacing_um, or raise shape"
        )
    if parameters.structure == "meristem" and parameters.rounding > 0:
        radius = parameters.rounding * drawn.cell_um
        found = rounded(Volume(found, parameters.spacing_um), anatomy.depth_um, radius)
        found, _ = tidy(found, parameters.min_voxels)
    return Volume(found, parameters.spacing_um, "ZYX")


def rounded(labels: Volume, depth_um: Image, radius_um: float) -> Labels:
    """Return cells (Z, Y, X) with round edges at the surface of the tissue.

    Parameters
    ----------
    labels : Volume
        (Z, Y, X) uint16.
    depth_um : (Z, Y, X) float32 array
        Below the surface; cells deeper than 1.5 radii are left as they are.
    radius_um : float
        Of a ball that is rolled along the inside of each cell: what it does not reach is cut away
        (an opening).
    """
    core = labels.like((signed_distance(labels).array > radius_um).astype(np.uint16))
    reached = signed_distance(core).array >= -radius_um  # no core of another cell is so near
    return np.where(reached | (depth_um > KEPT * radius_um), labels.array, np.uint16(0))


def _sketch(boundary: Volume, anatomy: Anatomy, parameters: Parameters) -> NDArray[np.uint8]:
    """Return the membranes (Z, Y, X) as uint8, dimmed with the depth below the surface."""
    if parameters.falloff_um == 0:
        return np.asarray(boundary.array * np.uint8(255))
    share = np.exp(-np.maximum(anatomy.depth_um, 0) * np.float32(1 / parameters.falloff_um))
    return np.asarray(np.rint(255 * share * boundary.array), np.uint8)


def describe(labels: Volume) -> dict[str, Scalar]:
    """Return the number of cells, their mean volume in µm³ and the share of tissue."""
    count = int(labels.array.max(initial=0))
    voxels = int(np.count_nonzero(labels.array))
    volume = voxels * float(np.prod(labels.spacing))
    return {
        "n_cells": count,
        "mean_volume_um3": volume / max(count, 1),
        "tissue_share": voxels / labels.array.size,
    }
