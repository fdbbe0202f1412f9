"""Simulate nuclei in a spheroid: tissue, optics, camera, and the labels that belong to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.errors import InputError
from cytosuite.volume import Scalar, Volume
from datasets import bodies, camera, dye, optics, shapes
from datasets.grid import Grid
from datasets.packing import pack
from datasets.sample import Sample
from datasets.shapes import Nuclei
from datasets.spheroid.parameters import Parameters, parameters_from, spheroid_semi_axes

Array = NDArray[np.float64]
Image = NDArray[np.float32]
Labels = NDArray[np.uint16]

LOGARITHMIC = {"n_nuclei", "photons", "attenuation_um"}  # drawn log-uniformly
LOOSEN = 0.93  # a volume fraction that cannot be packed is tried again this much lower


@dataclass(frozen=True, slots=True)
class Spheroid:
    """Nuclei at their places.

    Parameters
    ----------
    nuclei : Nuclei
    centres_um : (N, 3) float array
        From the corner of the image, z y x.
    centre_um, semi_axes_um : tuple of float
        The ellipsoid of tissue around them.
    """

    nuclei: Nuclei
    centres_um: Array
    centre_um: tuple[float, float, float]
    semi_axes_um: tuple[float, float, float]


def generate(rng: np.random.Generator, parameters: Parameters | Mapping[str, Any]) -> Sample:
    """Return one simulated spheroid with its instance labels.

    Parameters
    ----------
    rng : numpy Generator
        The only source of chance, with a seed sequence that can spawn (``default_rng(seed)``);
        each stage draws from a child of its own. The same seed gives the same bytes.
    parameters : Parameters or mapping
        See `datasets.spheroid.parameters.Parameters`; a mapping is checked first.

    Returns
    -------
    Sample
        ``inputs["microscopy-image"]`` and ``truth["instance-labels"]``, both (Z, Y, X) uint16 with
        the detector's voxel size; metadata: the drawn values and what came of them.

    Raises
    ------
    InputError
        If a parameter is not allowed, or the nuclei cannot be packed so densely.

    Notes
    -----
    Order of the physics: dye in nuclei and cytoplasm, attenuation by the tissue above, blur by
    the point spread function, integration over the detector's voxels, photons, electronics. The
    labels are the shapes themselves at the centres of the detector's voxels; what stays below
    `min_voxels` is dropped, of a nucleus cut in two by a neighbour the larger piece is kept, and
    numbers are consecutive. Peak memory: about 20 bytes per simulated voxel.
    """
    if not isinstance(parameters, Parameters):
        parameters = parameters_from(parameters)
    for_values, for_tissue, for_chromatin, for_camera = rng.spawn(4)
    drawn = draw_values(for_values, parameters)
    spheroid = grow(for_tissue, parameters, drawn)
    detector = Grid(parameters.shape, parameters.spacing_um)
    labels = bodies.label(spheroid.nuclei, spheroid.centres_um, detector)
    labels = tidy(labels, parameters.min_voxels)
    photons = expected_photons(for_chromatin, parameters, drawn, spheroid)
    counts = camera.expose(
        for_camera,
        photons,
        gain=parameters.gain,
        offset=parameters.offset,
        read_noise=drawn["read_noise"],
    )
    metadata = drawn | describe(spheroid, labels, photons, parameters, drawn)
    seen = {"channel": "nucleus", "study": "simulated-spheroid"}
    return Sample(
        inputs={"microscopy-image": Volume(counts, detector.spacing, "ZYX", seen)},
        truth={"instance-labels": Volume(labels, detector.spacing, "ZYX")},
        metadata=metadata,
    )


def draw_values(rng: np.random.Generator, parameters: Parameters) -> dict[str, float]:
    """Return one value from each range of the parameters.

    Parameters
    ----------
    rng : numpy Generator
    parameters : Parameters

    Returns
    -------
    dict of str to float
        Uniform in the range; `n_nuclei` (rounded), `photons` and `attenuation_um` log-uniform.
    """
    values = {}
    for name, low, high in parameters.ranges():
        share = rng.random()
        if name in LOGARITHMIC:
            values[name] = float(low * (high / low) ** share)
        else:
            values[name] = float(low + (high - low) * share)
    values["n_nuclei"] = round(values["n_nuclei"])
    return values


def grow(rng: np.random.Generator, parameters: Parameters, drawn: Mapping[str, float]) -> Spheroid:
    """Return a spheroid in the middle of the image with its nuclei packed inside.

    Parameters
    ----------
    rng : numpy Generator
    parameters : Parameters
    drawn : mapping
        Of `draw_values`.

    Raises
    ------
    InputError
        If the nuclei cannot even be packed at the lower end of `volume_fraction`; what was drawn
        is lowered towards it in steps of `LOOSEN`.
    """
    nuclei = shapes.draw_nuclei(
        rng,
        int(drawn["n_nuclei"]),
        diameter_um=drawn["diameter_um"],
        diameter_spread=parameters.diameter_spread,
        axis_spread=parameters.axis_spread,
        roughness=parameters.roughness,
        brightness_spread=parameters.brightness_spread,
        contrast=drawn["chromatin_contrast"],
        nucleoli=parameters.nucleoli,
        mitotic_fraction=parameters.mitotic_fraction,
    )
    least = float(bodies.extents_um(nuclei).max()) + parameters.gap_um  # holds at least the largest
    fraction = drawn["volume_fraction"]
    while True:
        volume = float(bodies.volumes_um3(nuclei).sum()) / fraction
        z, y, x = (max(axis, least) for axis in spheroid_semi_axes(volume, drawn["flattening"]))
        try:
            centres = pack(
                rng, nuclei.semi_axes_um, nuclei.rotations, (z, y, x), gap_um=parameters.gap_um
            )
            break
        except InputError:
            if fraction <= parameters.volume_fraction[0]:
                raise
        fraction = max(fraction * LOOSEN, parameters.volume_fraction[0])
    depth, height, width = (
        size * step / 2 for size, step in zip(parameters.shape, parameters.spacing_um, strict=True)
    )
    middle = (depth, height, width)
    return Spheroid(nuclei, centres + np.asarray(middle), middle, (z, y, x))


def simulation_grid(parameters: Parameters, sigma_um: tuple[float, float, float]) -> Grid:
    """Return the finer grid of the simulation, wider than the image by the reach of the blur.

    Parameters
    ----------
    parameters : Parameters
    sigma_um : tuple of float
        Standard deviations of the point spread function along z, y, x.
    """
    shape, spacing, origin = [], [], []
    for axis in range(3):
        step = parameters.spacing_um[axis] / parameters.oversampling[axis]
        margin = int(np.ceil(optics.REACH * sigma_um[axis] / step))
        inside = np.ceil(parameters.shape[axis] * parameters.oversampling[axis] - 1e-9)
        shape.append(int(inside) + 2 * margin)
        spacing.append(step)
        origin.append(-margin * step)
    return Grid(
        (shape[0], shape[1], shape[2]),
        (spacing[0], spacing[1], spacing[2]),
        (origin[0], origin[1], origin[2]),
    )


def expected_photons(
    rng: np.random.Generator,
    parameters: Parameters,
    drawn: Mapping[str, float],
    spheroid: Spheroid,
) -> Image:
    """Return the expected number of photons in each voxel of the detector.

    Parameters
    ----------
    rng : numpy Generator
        For the chromatin.
    parameters : Parameters
    drawn : mapping
        Of `draw_values`.
    spheroid : Spheroid

    Returns
    -------
    (Z, Y, X) float32 array
        At least `background_photons` everywhere.
    """
    lateral = drawn["psf_sigma_xy_um"]
    sigma = (drawn["psf_sigma_z_um"], lateral, lateral)
    grid = simulation_grid(parameters, sigma)
    tissue, above = tissue_mask(grid, spheroid.centre_um, spheroid.semi_axes_um)
    image = np.multiply(tissue, np.float32(drawn["cytoplasm"]), dtype=np.float32)
    tile = dye.chromatin_tile(rng, grid, parameters.chromatin_um)
    bodies.paint(spheroid.nuclei, spheroid.centres_um, grid, tile, image)
    optics.attenuate(image, tissue, grid.spacing[0], drawn["attenuation_um"], above)
    image = optics.blur(
        image, grid.spacing, sigma, haze=drawn["haze"], haze_sigma_um=parameters.haze_sigma_um
    )
    photons = camera.area_average(
        image,
        grid.spacing,
        parameters.shape,
        parameters.spacing_um,
        offset_um=tuple(-position for position in grid.origin),
    )
    np.maximum(photons, 0, out=photons)  # rounding of the transform around zero
    photons *= np.float32(drawn["photons"])
    photons += np.float32(drawn["background_photons"])
    return photons


def tissue_mask(
    grid: Grid, centre_um: tuple[float, float, float], semi_axes_um: tuple[float, float, float]
) -> tuple[NDArray[np.bool_], Image]:
    """Return where an ellipsoid of tissue is, and how much of it lies above the grid.

    Parameters
    ----------
    grid : Grid
    centre_um, semi_axes_um : tuple of float
        Of the ellipsoid, z y x.

    Returns
    -------
    (Z, Y, X) bool array
    (Y, X) float32 array
        µm of tissue between the objective and the first slice.
    """
    z, y, x = (
        ((grid.centres(axis) - np.float32(centre_um[axis])) / np.float32(semi_axes_um[axis])) ** 2
        for axis in range(3)
    )
    across = y[:, None] + x  # (Y, X)
    tissue = (1 - across) >= z[:, None, None]
    half = semi_axes_um[0] * np.sqrt((1 - across).clip(0))  # of the chord along z
    above = (grid.origin[0] - (centre_um[0] - half)).clip(0, 2 * half)
    return tissue, above.astype(np.float32)


def tidy(labels: Labels, min_voxels: int) -> Labels:
    """Return labels in one piece each, large enough and numbered without gaps.

    Parameters
    ----------
    labels : (Z, Y, X) uint16 array
        0 is background.
    min_voxels : int
        Smaller objects are dropped.

    Returns
    -------
    (Z, Y, X) uint16 array
        In the same order. Of an object in several pieces (faces touch) the largest is kept.
    """
    result = np.zeros_like(labels)
    kept = 0
    for index, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        piece = labels[box] == index
        numbers, count = ndimage.label(piece)
        if count > 1:
            piece = numbers == np.bincount(numbers.ravel())[1:].argmax() + 1
        if piece.sum() >= min_voxels:
            kept += 1
            result[box][piece] = kept
    return result


def describe(
    spheroid: Spheroid,
    labels: Labels,
    photons: Image,
    parameters: Parameters,
    drawn: Mapping[str, float],
) -> dict[str, Scalar]:
    """Return what came of the drawn values.

    Parameters
    ----------
    spheroid : Spheroid
    labels : (Z, Y, X) uint16 array
    photons : (Z, Y, X) float32 array
        Expected photons per voxel.
    parameters : Parameters
    drawn : mapping
        Of `draw_values`.

    Returns
    -------
    dict of str to int or float
        `n_nuclei` (labelled) and `n_simulated`, `n_mitotic`, the spheroid's semi-axes in µm,
        `nuclear_volume_fraction` reached, `mean_volume_um3` of a nucleus and `snr`: median over
        nuclei of (mean - background) / sqrt(mean + read noise²), in photons per voxel, where the
        background is the mean of the unlabelled voxels.
    """
    nuclei, axes = spheroid.nuclei, spheroid.semi_axes_um
    sizes = np.bincount(labels.ravel())
    means = np.bincount(labels.ravel(), photons.ravel()) / np.maximum(sizes, 1)
    noise = np.sqrt(means[1:] + drawn["read_noise"] ** 2)
    snr = (means[1:] - means[0]) / noise
    fraction = float(bodies.volumes_um3(nuclei).sum() / (4 / 3 * np.pi * np.prod(axes)))
    return {
        "n_nuclei": len(sizes) - 1,
        "n_simulated": len(nuclei),
        "n_mitotic": int(nuclei.mitotic.sum()),
        "spheroid_semi_axis_z_um": float(axes[0]),
        "spheroid_semi_axis_y_um": float(axes[1]),
        "spheroid_semi_axis_x_um": float(axes[2]),
        "nuclear_volume_fraction": fraction,
        "mean_volume_um3": float(bodies.volumes_um3(nuclei).mean()),
        "snr": float(np.median(snr)) if len(snr) else 0.0,
        "gain": parameters.gain,
        "offset": parameters.offset,
    }
