"""Sketches of tissue with labelled membranes: cells, their borders, distances and seeds."""

from dataclasses import replace

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid, Labels
from cytosuite.datasets.membrane import structures
from cytosuite.datasets.membrane.parameters import Drawn, Parameters, draw_values
from cytosuite.datasets.membrane.structures import Anatomy, build
from cytosuite.datasets.physics.harmonics import draw_stars
from cytosuite.datasets.physics.labels import moments, tidy, voxel_values
from cytosuite.datasets.physics.optics import Attenuation, attenuate
from cytosuite.datasets.physics.sketch import extras, signed_distance
from cytosuite.datasets.sample import Sample, measured
from cytosuite.datasets.scene import generator
from cytosuite.errors import InputError
from cytosuite.files import Scalars
from cytosuite.volume import Volume, merged
from cytosuite.volume.arrays import Bools, Bytes, Doubles, Image, Rng, Unsigned

__all__ = ["Parameters", "generate"]

STUDY = "simulated-membrane"
KEPT = 1.5  # radii of rounding below the surface from which on cells keep their edges

ORDER, CIRCULARITY = 6, 5.0  # of the surface, see `draw_stars`
GREY = (0.5, 0.9)  # of a nucleus in the sketch


def _draw(rng: Rng, parameters: Parameters) -> Sample:
    """Return sketch, labels, extras and maybe an image."""
    for_values, for_places, for_camera, for_nuclei, for_optics = rng.spawn(5)
    drawn = draw_values(for_values, parameters)
    parameters = parameters.seen_by(for_optics, drawn._asdict())
    anatomy = build(for_places, parameters, drawn)
    labels = label(anatomy, parameters, drawn)
    annotation = extras(labels, parameters.labels.border_um)
    sketch = _sketch(annotation["boundary"], anatomy, parameters)
    facts = describe(labels)
    volume = parameters.image.volume
    channel = {"channel": "membrane", "study": STUDY}
    if drawn.nucleus > 0:
        annotation |= second_channel(for_nuclei, labels, annotation["boundary"], parameters, drawn)
    sockets = {"structure-sketch": volume(sketch, **channel), "instance-labels": labels}
    conditions: Scalars = {"structure": parameters.structure}
    if parameters.microscope:
        counts = expose(for_camera, sketch, labels.array > 0, parameters, drawn)
        sockets["microscopy-image"] = volume(counts, **parameters.channel("membrane", study=STUDY))
        conditions |= measured(counts, labels.array)
    if parameters.both:
        for name, kind in (("structure-sketch", "sketch"), ("microscopy-image", "image")):
            if name in sockets:
                sockets[name] = merged([sockets[name], annotation[f"nucleus-{kind}"]])
    return Sample(
        sockets=sockets,
        metadata=drawn._asdict() | parameters.light() | facts,
        extras=annotation,
        conditions=conditions | {"objects": facts["n_cells"]},
    )


generate = generator("membrane", Parameters, _draw)


def second_channel(
    rng: Rng, cells: Volume, boundary: Volume, parameters: Parameters, drawn: Drawn
) -> dict[str, Volume]:
    """Return the channel of the nuclei, all (Z, Y, X)."""
    for_shape, for_grey, for_camera = rng.spawn(3)
    labels = nuclei(for_shape, cells, boundary, drawn)
    values = 255 * for_grey.uniform(*GREY, int(labels.max(initial=0)))
    seen = voxel_values(labels, np.rint(values), np.uint8)  # one value per nucleus
    volume = parameters.image.volume
    sketch = volume(seen, channel="nucleus", study=STUDY)
    volumes = {"nucleus-sketch": sketch, "nucleus-labels": volume(labels)}
    if parameters.microscope:
        counts = expose(for_camera, seen, cells.array > 0, parameters, drawn)
        volumes["nucleus-image"] = volume(counts, **parameters.channel("nucleus", study=STUDY))
    return volumes


def label(anatomy: Anatomy, parameters: Parameters, drawn: Drawn) -> Volume:
    """Return the cells (Z, Y, X) of a tissue as uint16 labels."""
    factors = structures.weights(anatomy.centres_um, parameters.weight)
    grid, inside, least = parameters.image.detector, anatomy.inside, parameters.labels.min_voxels
    labels = structures.cells(anatomy.centres_um, factors, grid, inside, anatomy.shrink)
    labels = structures.whole(labels, inside, least)
    if not labels.any():
        raise InputError(
            f"no cell of {parameters.structure} has {least} voxels in the image; "
            "lower min_voxels or spacing_um, or raise shape"
        )
    if parameters.structure == "meristem" and parameters.rounding > 0:
        radius = parameters.rounding * drawn.cell_um
        labels = rounded(parameters.image.volume(labels), anatomy.depth_um, radius)
        labels, _ = tidy(labels, least)
    return parameters.image.volume(labels)


def rounded(labels: Volume, depth_um: Image, radius_um: float) -> Labels:
    """Return cells (Z, Y, X) with round edges at the surface of the tissue."""
    core = labels.like((signed_distance(labels).array > radius_um).astype(np.uint16))
    reached = signed_distance(core).array >= -radius_um  # no core of another cell is so near
    return np.where(reached | (depth_um > KEPT * radius_um), labels.array, np.uint16(0))


def _sketch(boundary: Volume, anatomy: Anatomy, parameters: Parameters) -> Bytes:
    """Return the membranes (Z, Y, X) as uint8, dimmed with the depth below the surface."""
    if parameters.falloff_um == 0:
        return boundary.array * np.uint8(255)
    share = np.exp(-np.maximum(anatomy.depth_um, 0) * np.float32(1 / parameters.falloff_um))
    return np.asarray(np.rint(255 * share * boundary.array), np.uint8)


def describe(labels: Volume) -> Scalars:
    """Return the number of cells, their mean volume in µm³ and the share of tissue."""
    count = int(labels.array.max(initial=0))
    voxels = int(np.count_nonzero(labels.array))
    volume = voxels * float(np.prod(labels.spacing))
    return {
        "n_cells": count,
        "mean_volume_um3": volume / max(count, 1),
        "tissue_share": voxels / labels.array.size,
    }


def expose(
    rng: Rng,
    sketch: Bytes,
    inside: Bools,
    parameters: Parameters,
    drawn: Drawn,
) -> Unsigned:
    """Return the counts of a camera, uint16; tissue beyond the image is as at its border."""
    light = sketch * np.float32(1 / 255)
    np.maximum(light, np.float32(parameters.glow) * inside, out=light)
    spacing = parameters.image.spacing_um
    camera = parameters.camera
    attenuate(light, inside, spacing[0], Attenuation(length_um=drawn.attenuation_um))
    light = ndimage.gaussian_filter(
        light, np.divide(parameters.optics.sigma_um, spacing), mode="nearest"
    )
    return camera.expose(rng, camera.brighten(light))


def nuclei(rng: Rng, cells: Volume, boundary: Volume, drawn: Drawn) -> Labels:
    """Return nuclei (Z, Y, X) uint16 under their cells' numbers and shapes; membranes cut them."""
    grid = Grid(cells.shape, cells.spacing)
    centres, axes, rotations = ellipsoids(cells.array, grid)
    axes = axes * drawn.nucleus ** (1 / 3)
    stars = draw_stars(rng, axes, rotations, order=ORDER, circularity=CIRCULARITY)
    # Smaller, as harmonics add to the volume.
    stars = replace(stars, axes_um=axes**2 / stars.semi_axes_um, semi_axes_um=axes)
    labels = np.zeros(cells.shape, np.uint16)
    for patch in stars.patches(centres, grid):
        mask = (patch.on_box(patch.distance, 1.0) < 1) & (cells.array[patch.box] == patch.index + 1)
        mask &= boundary.array[patch.box] == 0
        labels[patch.box][mask] = patch.index + 1
    whole, numbers = tidy(labels, 1)
    return voxel_values(whole, numbers, np.uint16)


def ellipsoids(cells: Labels, grid: Grid) -> tuple[Doubles, Doubles, Doubles]:
    """Return centroids, semi-axes (N, 3) in µm , rotations (N, 3, 3) of cells by second moments."""
    volumes, centres, covariances = moments(cells, grid)
    values, rotations = np.linalg.eigh(covariances)
    rotations[:, :, 0] *= np.linalg.det(rotations)[:, None]
    axes = np.sqrt(values)
    axes *= ((3 / (4 * np.pi) * volumes / axes.prod(axis=1)) ** (1 / 3))[:, None]
    return centres, axes, rotations
