"""Simulate a spheroid: tissue, optics, camera, and the labels that belong to it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.datasets.conditions import measured
from cytosuite.datasets.physics import labels
from cytosuite.datasets.physics.camera import Detector, gain_for_exposure
from cytosuite.datasets.physics.grid import Image, copied
from cytosuite.datasets.sample import Sample
from cytosuite.datasets.spheroid.annotate import Truth, annotate, describe
from cytosuite.datasets.spheroid.checks import check
from cytosuite.datasets.spheroid.grow import grow
from cytosuite.datasets.spheroid.light import Specimen, expected_photons, grid_for, point_spread
from cytosuite.datasets.spheroid.parameters import Parameters, draw_values, parameters_from
from cytosuite.volume import Scalar, Volume

__all__ = ["Parameters", "check", "generate"]


STUDY = "simulated-spheroid"


def generate(rng: np.random.Generator, parameters: Parameters | Mapping[str, Any]) -> Sample:
    """Return one simulated spheroid with its instance labels.

    Parameters
    ----------
    rng : numpy Generator
        The only source of chance; each stage draws from a child it spawns. The same seed
        gives the same bytes.
    parameters : Parameters or mapping
        See `cytosuite.datasets.spheroid.parameters.Parameters`; a mapping is checked first.

    Returns
    -------
    Sample
        Sockets ``microscopy-image`` and ``instance-labels``, both (Z, Y, X) with the
        detector's voxel size: of the nuclei or, as `output.channel` says, of the cells. Companions:
        the other channel and its labels, kinds of cells, stages, where a recipe has them.
        Metadata: drawn and measured values. Conditions: density, signal / noise, objects.

    Raises
    ------
    InputError
        If a parameter is not allowed, nuclei cannot be packed so, or a file cannot be read.

    Notes
    -----
    Dye is dimmed by the tissue above, spread, integrated over voxels and detected, in this order.
    Peak memory: photons (4 bytes per voxel), labels (6 bytes) and slabs of bounded size; what does
    not fit of these lies on disk, see `cytosuite.large`.
    """
    if not isinstance(parameters, Parameters):
        parameters = check(parameters_from(parameters))
    for_values, for_tissue, for_chromatin, for_camera, for_cells, for_second = rng.spawn(6)
    drawn = draw_values(for_values, parameters)
    spheroid = grow(for_tissue, parameters, drawn)
    spread = point_spread(parameters, drawn)
    grid = grid_for(parameters, spread)
    specimen = Specimen(spheroid, parameters, drawn)
    specimen.draw_chromatin(for_chromatin, grid)
    if parameters.cells.enabled or drawn["bleed_through"] > 0:
        specimen.grow_cells(for_cells)
    steps: dict[str, Image] = {}

    def keep(name: str, image: Image) -> None:
        """Keep the image after a stage."""
        steps[name] = copied(image)

    wanted = parameters.output
    watch = {wanted.channel: keep if wanted.steps else None}
    light = expected_photons(specimen, specimen.nuclei, grid, spread, watch.get("nucleus"))
    truth = annotate(specimen, spread, light)
    metadata: dict[str, Scalar] = {**drawn, **describe(specimen, truth, light)}
    nuclei, gain = _expose(for_camera, light, specimen, truth.nuclei)
    metadata |= {"gain": gain, "offset": parameters.camera.offset}
    images = {"nucleus": nuclei}
    if truth.cells is not None:
        light = expected_photons(specimen, specimen.membranes, grid, spread, watch.get("membrane"))
        images["membrane"], _ = _expose(for_second, light, specimen, truth.cells)
    return _sample(specimen, truth, images, steps, metadata)


def _expose(
    rng: np.random.Generator, light: Image, specimen: Specimen, objects: NDArray[np.uint16]
) -> tuple[NDArray[np.unsignedinteger], float]:
    """Return the counts of a channel, and the counts per photon: given or by the exposure."""
    wanted, drawn = specimen.parameters.camera, specimen.drawn
    gain = wanted.gain
    if wanted.exposure > 0:
        gain = gain_for_exposure(light, objects, wanted.exposure, wanted.offset, wanted.bits)
    fixed = wanted.model_dump(include={"offset", "half_normal", "averaging", "bits"})
    ranges = {name: drawn[name] for name in ("read_noise", "excess", "sensor_blur")}
    return Detector(gain=gain, **(fixed | ranges)).expose(rng, light), gain


def _sample(
    specimen: Specimen,
    truth: Truth,
    images: Mapping[str, NDArray[np.unsignedinteger]],
    steps: Mapping[str, Image],
    metadata: Mapping[str, Scalar],
) -> Sample:
    """Return all images and labels of the case."""
    spacing, channel = specimen.parameters.image.spacing_um, specimen.parameters.output.channel
    turn = -1 if specimen.parameters.optics.objective == "last" else 1

    def volume(array: NDArray[Any], **facts: Scalar) -> Volume:
        """Return an array with the detector's voxel size."""
        seen = array if turn == 1 else copied(array[::turn])
        return Volume(seen, spacing, "ZYX", facts)

    seen = {name: volume(image, channel=name, study=STUDY) for name, image in images.items()}
    main, name, other = truth.nuclei, "cell-labels", truth.cells
    if channel == "membrane":
        assert truth.cells is not None  # cells are simulated where their channel is shown
        main, name, other = truth.cells, "nucleus-labels", truth.nuclei
    companions = {f"{name}-image": image for name, image in seen.items() if name != channel}
    if other is not None:
        companions[name] = volume(other)
    if specimen.parameters.kinds:
        companions["cell-kinds"] = volume(labels.type_map(truth.nuclei, truth.kinds))
    for number, (stage, image) in enumerate(steps.items(), start=1):
        companions[f"step-{number}-{stage}"] = volume(image)
    if steps:
        companions[f"step-{len(steps) + 1}-counts"] = seen[channel]
        if truth.levels is not None:
            companions["visible-level"] = volume(truth.levels)
    density: dict[str, Scalar] = {"density [%]": 100 * specimen.spheroid.volume_fraction}
    return Sample(
        sockets={"microscopy-image": seen[channel], "instance-labels": volume(main)},
        metadata=metadata,
        companions=companions,
        conditions=density | measured(seen[channel].array, main),
    )
