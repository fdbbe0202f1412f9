"""First estimates of the spheroid's parameters from the measured statistics."""

from math import isfinite, pi
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cytosuite.datasets.calibration.measure import (
    CORRELATED,
    StackStatistics,
    finite_median,
    finite_or,
)
from cytosuite.files import Entries, FloatDict, FloatPair, Json, TextDict, Texts, read_toml

SHRINK = 0.75  # a nucleus relative to its blurred outline
SPAN = 2.563  # 10-90 % width of a Gaussian edge in standard deviations
CUT = 0.4  # share of cut objects from which tissue is taken to go on outside of the image
OVERLAP = 0.2  # share of a nucleus that a contact may take
FADED = 0.06  # of its peak, where people take a nucleus to end along z
GROWS = -0.002  # dimming per µm below which the objective is taken to be at the last plane
TABLES: Json = read_toml(Path(__file__).with_name("knobs.toml"))
SOFTEST, STEPS = 1.5, 151  # sensor blur that correlation is looked up for, voxels


class Start(NamedTuple):
    """First values of a fit, by dotted name."""

    fixed: Json  # parameters that are measured directly
    centres: FloatDict  # fitted parameters, at their first value
    sources: TextDict  # of the fixed ones
    notes: Texts  # values that could not be measured


def start(real: StackStatistics) -> Start:
    """Return first estimates from real stacks."""
    fixed, sources, notes = _detector(real)
    shapes = np.array([volume.shape for volume in real.images])
    axial = finite_or(real.median("edge_z_um") / SPAN, 1.5)
    lateral = finite_or(0.6 * real.median("edge_xy_um") / SPAN, 0.4)
    diameter = SHRINK * (6 * finite_or(real.median("volume_um3"), 400) / pi) ** (1 / 3)
    across = round(max(0.3 * diameter, 3 * lateral), 2)
    haze = [round(max(0.6 * diameter, 3 * axial), 2), across, across]
    fixed |= {
        "image.shape": np.median(shapes, axis=0).astype(int).tolist(),
        "image.spacing_um": list(real.images[0].spacing),
        "labels.style": "visible",
        "labels.haze": True,
        "labels.plane_level": FADED,
        "optics.attenuation": "exponential",
        "optics.objective": "last" if real.median("dimming") < GROWS else "first",
        "optics.psf": "gaussian",
        "optics.haze_sigma_um": haze,
    }
    sources |= TABLES["sources"]
    centres = _light(real, fixed) | {
        "nucleus.diameter_um": diameter,
        "optics.psf_sigma_z_um": axial,
        "optics.psf_sigma_xy_um": lateral,
    }
    whole = np.isfinite(real.objects["volume_um3"])
    if whole.size and whole.mean() > 1 - CUT:
        more, free = _tissue(real, diameter, fixed["optics.objective"])
        fixed |= more
        centres |= free
        sources |= TABLES["free"]
    else:
        fixed |= {"tissue.outline": "fill", "tissue.n_nuclei": "auto"}
        centres["tissue.volume_fraction"] = 0.3
        sources["tissue.outline"] = "most objects are cut by the faces of the stacks"
    return Start(fixed, centres, sources, tuple(notes))


def _tissue(real: StackStatistics, diameter_um: float, objective: str) -> tuple[Json, FloatDict]:
    """Return the fixed parameters and first estimates of tissue that lies within the image."""
    width = real.median("tissue_width_um")
    height = real.median("tissue_height_um")
    middle = finite_or(real.median("middle"), 0.5)
    nuclei = real.median("objects") * diameter_um**3
    apart = finite_or(real.median("neighbour_um"), diameter_um)
    fixed = {
        "tissue.outline": "shell",
        "tissue.may_be_cut": True,
        "tissue.core_tissue": 0.0,
        "tissue.max_overlap": OVERLAP,
        "nucleus.flat_along_surface": True,
    }
    free = {
        "tissue.contact": finite_or(real.median("contact_share") / 2),  # labels add some
        "tissue.gap_um": min(max(0.7 * (apart - diameter_um), 0.3), 5.0),
        "tissue.n_nuclei": real.median("objects"),
        "tissue.volume_fraction": min(max(nuclei / (width**2 * height), 0.01), 0.4),
        "tissue.flattening": min(max(0.8 * height / width, 0.4), 1.5),
        "tissue.middle": middle if objective == "first" else 1 - middle,
        "tissue.core": 0.4,
        "nucleus.flat_fraction": 0.1,
    }
    return fixed, free


def _light(real: StackStatistics, camera: Entries) -> FloatDict:
    """Return first estimates of the parameters that do not depend on lengths."""
    gain = float(camera["camera.gain"])
    return {
        "camera.photons": 1.5 * finite_or(real.median("signal"), 20 * gain) / gain,
        "camera.background_photons": finite_or(
            max(real.median("far") - float(camera["camera.offset"]), 0.0) / gain, 0.2
        ),
        "nucleus.diameter_spread": finite_or(real.median("volume_cv") / 3, 0.1),
        "nucleus.axis_spread": 0.14,
        "nucleus.brightness_spread": finite_or(real.median("brightness_spread"), 0.25),
        "nucleus.chromatin_contrast": 0.2,
        "nucleus.chromatin_um": 1.0,
        "optics.haze": 0.1,
        "optics.cytoplasm": max(0.5 * finite_or(real.median("glow"), 0.05), 0.005),
        "optics.attenuation_um": 1 / max(abs(finite_or(real.median("dimming"), 0.005)), 0.001),
        "image.stretch": 1.15,
        "labels.level": finite_or(real.median("label_level"), 0.2),
    }


def sensor_blur(correlation: float) -> FloatPair:
    """Return the Gaussian (voxels) that gives white noise a correlation, and the noise left."""
    best = (0.0, 1.0)
    if not correlation > 0:
        return best
    reach = np.arange(-8, 9)
    for sigma in np.linspace(0, SOFTEST, STEPS)[1:]:
        kernel = np.exp(-(reach**2) / (2 * sigma**2))
        kernel /= kernel.sum()
        power = np.correlate(kernel, kernel, "full")[16:]
        # as measured: differences at a distance of 1 against those at 3
        if 1 - (power[0] - power[1]) / (power[0] - power[3]) > correlation:
            break
        differences = np.convolve(kernel, [1.0, -2.0, 1.0])
        best = (round(float(sigma), 2), float((np.square(differences).sum() / 6) ** 2))
    return best


def _detector(
    real: StackStatistics,
) -> tuple[Json, TextDict, list[str]]:
    """Return the parameters of the camera that are measured directly."""
    notes = []
    offset = real.median("offset")
    excess = finite_or(real.median("excess"))
    # Of each stack: medians of gain and of multiplication do not belong to one camera.
    slope = finite_median(real.volumes["gain"] * (1 + np.nan_to_num(real.volumes["excess"])))
    gain = slope / (1 + excess)
    correlation = finite_or(real.median("noise_correlation"))
    fixed: Json = {"camera.bits": 8 if real.images[0].array.dtype == np.uint8 else 16}
    source = "photon transfer"
    if correlation > CORRELATED:
        sigma, left = sensor_blur(correlation)
        fixed["camera.sensor_blur"] = sigma
        gain = slope / left
        excess = 0.0
        notes.append(
            f"noise of neighbours is correlated ({correlation:.2f}): gain is that of the image "
            f"before a blur of {sigma:g} voxels, multiplication noise cannot be measured"
        )
    if not (isfinite(gain) and gain > 0):
        offset = float(np.quantile(real.outside, 0.001))
        above = max(real.median("background") - offset, 1e-6)
        gain = max(finite_or(real.median("noise"), 1.0) ** 2 / above, 1e-3)
        excess = 0.0
        source = "variance of the background over its height above the darkest voxels"
        notes.append("gain and offset are rough: photon transfer cannot be read off these images")
    read = [finite_or(real.quantile("read_counts", q)) / gain for q in (0.1, 0.9)]
    measured: Json = {
        "camera.gain": short(gain),
        "camera.offset": short(max(offset, 0.0)),
        "camera.excess": round(excess, 2),
        "camera.read_noise": [short(share) for share in read],
    }
    if (lag := finite_or(real.median("lag"))) > 0:
        measured["camera.lag"] = round(lag, 3)
    return fixed | measured, dict.fromkeys(measured, f"{source}, median of the stacks"), notes


def short(value: float) -> float:
    """Return a number with 4 digits."""
    return float(f"{value:.4g}")
