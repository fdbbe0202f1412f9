"""The truth of a spheroid: labels of nuclei and cells, kinds of cells, and facts about them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite import large
from cytosuite.datasets.physics import bodies, cells, labels, optics
from cytosuite.datasets.physics.bodies import volumes_um3
from cytosuite.datasets.physics.grid import Grid, Image, Labels, Lengths, slabs
from cytosuite.datasets.physics.psf import Gaussian, Psf
from cytosuite.datasets.physics.shapes import Nuclei
from cytosuite.datasets.spheroid.light import Specimen
from cytosuite.volume import Scalar

HAZE_REACH = 2.0  # standard deviations of a haze that may belong to a label


@dataclass(frozen=True, slots=True)
class Truth:
    """The true labels of a case.

    Parameters
    ----------
    nuclei : (Z, Y, X) uint16 array
    cells : (Z, Y, X) uint16 array or None
    kinds : (N,) int array
        Number of the kind of each labelled nucleus, from 0.
    levels : (Z, Y, X) float32 array or None
        For visible labels: the share of the nucleus' own peak in its voxels, 0 elsewhere.
    """

    nuclei: Labels
    cells: Labels | None
    kinds: NDArray[np.int64]
    levels: Image | None = None


def annotate(specimen: Specimen, spread: Psf, photons: Image) -> Truth:
    """Return the labels of a spheroid on the voxels of the detector.

    Parameters
    ----------
    specimen, spread : Specimen, Psf
        A spheroid, and the blur by which visible labels are widened.
    photons : (Z, Y, X) float32 array
        Expected in the channel of the nuclei: decides which of them can be seen.
    """
    wanted, detector = specimen.parameters.labels, specimen.parameters.detector
    drawn, levels = _nuclei(specimen, spread, detector)
    found, kept = labels.tidy(drawn, wanted.min_voxels)
    if wanted.visibility > 0:
        seen = labels.visibility(
            found, photons, read_noise=specimen.drawn["read_noise"], level=wanted.visibility
        )
        found, kept = labels.drop(found, seen), kept[seen]
    around = None
    if specimen.cells is not None and specimen.parameters.cells.enabled:
        around = cells.label_cells(specimen.cells, detector, specimen.outside)
        around, _ = labels.tidy(around, wanted.min_voxels)
    for start, stop in slabs(found.shape) if levels is not None else []:
        assert levels is not None
        levels[start:stop] *= found[start:stop] > 0
        large.release(levels, found)
    return Truth(found, around, specimen.spheroid.kinds[kept - 1], levels)


def _nuclei(specimen: Specimen, spread: Psf, detector: Grid) -> tuple[Labels, Image | None]:
    """Return the labels of the nuclei in the wanted style, by their numbers, and levels."""
    nuclei, centres = specimen.spheroid.nuclei
    style = specimen.parameters.labels.style
    limits = {name: specimen.drawn[name] for name in ("level", "plane_level")}
    if style == "shape":
        return bodies.label(nuclei, centres, detector), None
    wide: Lengths = (0.0, 0.0, 0.0)
    if isinstance(spread, Gaussian) and specimen.parameters.labels.haze:
        wide = spread.haze_sigma_um
    elif isinstance(spread, Gaussian):
        spread = replace(spread, haze=0.0)  # a haze has no visible border
    reach = np.maximum(spread.reach_um(detector.size_um[0]), np.multiply(HAZE_REACH, wide))
    blur, margin = _blur(spread, detector), tuple(reach.tolist())
    if style == "visible":
        return labels.visible(nuclei, centres, detector, blur, **limits, margin_um=margin)
    found = bodies.label(nuclei, centres, detector)
    return labels.widen(found, detector.spacing, blur, **limits, margin_um=margin), None


def _blur(spread: Psf, detector: Grid) -> labels.Blur:
    """Return a function that blurs a small image as at one depth."""
    if isinstance(spread, Gaussian):

        def gaussian(image: Image, spacing: Lengths, depth_um: float) -> Image:
            """Return an image blurred by the Gaussian of a depth."""
            depth = np.array(depth_um)
            sigma = [float(spread.sigma_at(axis, depth)) / spacing[axis] for axis in range(3)]
            sharp = np.asarray(ndimage.gaussian_filter(image, sigma, mode="constant"), np.float32)
            if spread.haze == 0:
                return sharp
            wide = np.divide(spread.haze_sigma_um, spacing)
            veil = np.asarray(ndimage.gaussian_filter(image, wide, mode="constant"), np.float32)
            return sharp + np.float32(spread.haze) * (veil - sharp)

        return gaussian
    own, last = spread.resampled(detector.spacing), detector.size_um[0]

    def sampled(image: Image, _: Lengths, depth_um: float) -> Image:
        """Return an image blurred by the stack that counts most at a depth."""
        nearest = int(own.weights(np.array([depth_um]), last)[:, 0].argmax())
        return optics.convolve(image, own.kernels[nearest].image)

    return sampled


def _means(objects: Labels, photons: Image) -> NDArray[np.float64]:
    """Return the mean of the background and of each object (N + 1,), plane by plane."""
    count = max((int(plane.max(initial=0)) for plane in objects), default=0) + 1
    sizes, sums = np.zeros(count), np.zeros(count)
    for plane, light in zip(objects, photons, strict=True):
        sizes += np.bincount(plane.ravel(), minlength=count)
        sums += np.bincount(plane.ravel(), light.ravel(), minlength=count)
        large.release(objects, photons)
    return np.asarray(sums / np.maximum(sizes, 1))


def describe(specimen: Specimen, truth: Truth, photons: Image) -> dict[str, Scalar]:
    """Return measured facts of a case.

    Parameters
    ----------
    specimen, truth : Specimen, Truth
        A spheroid and its labels.
    photons : (Z, Y, X) float32 array
        Expected in the channel of the nuclei.

    Returns
    -------
    dict of str to int or float
        `n_nuclei` (labelled) and `n_simulated`, `n_mitotic`, `n_dying`, `n_cells`, the living
        tissue's size, the `nuclear_volume_fraction` reached, `mean_volume_um3` of a nucleus and
        `snr`: median over nuclei of (mean - background) / sqrt(mean + read noise²), in photons
        per voxel, where the background is the mean of the unlabelled voxels.
    """
    spheroid, living = specimen.spheroid, specimen.spheroid.outline.living
    means = _means(truth.nuclei, photons)
    noise = np.sqrt(means[1:] + specimen.drawn["read_noise"] ** 2)
    snr = (means[1:] - means[0]) / noise
    z, y, x = np.diff(living.box_um, axis=0)[0].tolist()
    volumes = volumes_um3(spheroid.nuclei[0])
    found: dict[str, Scalar] = {
        "n_nuclei": len(means) - 1,
        "n_simulated": len(volumes),
        "n_mitotic": sum(
            int(part.mitotic.sum()) for part, _ in spheroid.parts if isinstance(part, Nuclei)
        ),
        "n_dying": sum(len(population.dying) for population in spheroid.packed),
        **{"tissue_z_um": z, "tissue_y_um": y, "tissue_x_um": x},
        "tissue_volume_um3": living.volume_um3,
        "nuclear_volume_fraction": spheroid.volume_fraction,
        "mean_volume_um3": float(volumes.mean()) if len(volumes) else 0.0,
        "snr": float(np.median(snr)) if len(snr) else 0.0,
    }
    if truth.cells is not None:
        found["n_cells"] = int(truth.cells.max(initial=0))
    return found
