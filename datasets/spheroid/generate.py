"""Simulate a spheroid: tissue, optics, camera, and the labels that belong to it."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from cytosuite.bodies.grid import Grid, Labels, in_slabs
from cytosuite.bodies.stars import label
from cytosuite.datasets.camera import gain_for_exposure
from cytosuite.datasets.physics import labels
from cytosuite.datasets.physics.bodies import Mixture, volumes_um3
from cytosuite.datasets.physics.grid import copied
from cytosuite.datasets.physics.psf import Gaussian, Psf
from cytosuite.datasets.physics.shapes import Nuclei
from cytosuite.datasets.sample import Sample, measured
from cytosuite.datasets.scene import generator
from cytosuite.datasets.spheroid.grow import grow
from cytosuite.datasets.spheroid.light import Specimen, expected_photons, grid_for, point_spread
from cytosuite.datasets.spheroid.parameters import Parameters, check, draw_values
from cytosuite.files import ScalarMap, Scalars
from cytosuite.volume import Volume, Volumes, memory
from cytosuite.volume.arrays import Doubles, Image, Lengths, Longs, Rng, Shorts
from cytosuite.volume.pieces import extremes

NEAR = 0.02  # difference of shares that are asked for and built
HAZE_REACH = 2.0  # standard deviations of a haze that may belong to a label
__all__ = ["Parameters", "check", "generate"]
STUDY = "simulated-spheroid"


class Truth(NamedTuple):
    """The true labels of a case."""

    nuclei: Labels  # (Z, Y, X)
    cells: Labels | None  # (Z, Y, X)
    kinds: Longs  # (N,), of each labelled nucleus, from 0
    levels: Image | None = None  # (Z, Y, X), of visible labels: share of the nucleus' peak


def annotate(specimen: Specimen, spread: Psf, photons: Image) -> Truth:
    """Return the labels of a spheroid on the detector's voxels; `spread` widens visible ones."""
    rules = specimen.parameters.labels
    detector = specimen.parameters.image.detector
    drawn, levels = _nuclei(specimen, spread, detector)
    nuclei, numbers = labels.tidy(drawn, rules.min_voxels)
    if rules.visibility > 0:
        seen = labels.visibility(
            nuclei, photons, read_noise=specimen.drawn["read_noise"], level=rules.visibility
        )
        nuclei = labels.drop(nuclei, seen)
        numbers = numbers[seen]
    around = None
    if specimen.cells is not None and specimen.parameters.cells.enabled:
        around, _ = labels.tidy(specimen.cells.label(detector), rules.min_voxels)
    if levels is not None:
        for level, objects in in_slabs(levels, nuclei):
            level *= objects > 0
    return Truth(nuclei, around, specimen.spheroid.kinds[numbers - 1], levels)


def _nuclei(specimen: Specimen, spread: Psf, detector: Grid) -> tuple[Labels, Image | None]:
    """Return the labels of the nuclei in the wanted style, by their numbers, and levels."""
    parts, places = zip(*specimen.spheroid.bodies(specimen.drawn["loose_um"]), strict=True)
    nuclei = Mixture(parts)
    centres = np.concatenate(places)
    style = specimen.parameters.labels.style
    limits = {name: specimen.drawn[name] for name in ("level", "plane_level")}
    if style == "shape":
        return label(nuclei, centres, detector), None
    wide: Lengths = (0.0, 0.0, 0.0)
    if isinstance(spread, Gaussian) and specimen.parameters.labels.haze:
        wide = spread.haze_sigma_um
    elif isinstance(spread, Gaussian):
        spread = spread._replace(haze=0.0)  # a haze has no visible border
    reach = np.maximum(spread.reach_um(detector.size_um[0]), np.multiply(HAZE_REACH, wide))
    blur = _blur(spread, detector)
    margin = tuple(reach.tolist())
    if style == "visible":
        return labels.visible(nuclei, centres, detector, blur, **limits, margin_um=margin)
    drawn = label(nuclei, centres, detector)
    return labels.widen(drawn, detector.spacing, blur, **limits, margin_um=margin), None


def _blur(spread: Psf, detector: Grid) -> labels.Blur:
    """Return a function that blurs a small image as at one depth."""
    if isinstance(spread, Gaussian):

        def _gaussian(image: Image, depth_um: float) -> Image:
            depth = np.array(depth_um)
            spacing = detector.spacing
            sigma = [float(spread.sigma_at(axis, depth)) / spacing[axis] for axis in range(3)]
            sharp = np.asarray(ndimage.gaussian_filter(image, sigma, mode="constant"), np.float32)
            if spread.haze == 0:
                return sharp
            wide = np.divide(spread.haze_sigma_um, spacing)
            veil = np.asarray(ndimage.gaussian_filter(image, wide, mode="constant"), np.float32)
            return sharp + np.float32(spread.haze) * (veil - sharp)

        return _gaussian
    from scipy.signal import fftconvolve  # slow to load

    resampled = spread.resampled(detector.spacing)
    last = detector.size_um[0]

    def _sampled(image: Image, depth_um: float) -> Image:
        nearest = int(resampled.weights(np.array([depth_um]), last)[:, 0].argmax())
        return np.asarray(fftconvolve(image, resampled.kernels[nearest].image, "same"), np.float32)

    return _sampled


def _means(objects: Labels, photons: Image) -> Doubles:
    """Return the mean of the background and of each object (N + 1,), plane by plane."""
    count = int(extremes(objects)[1]) + 1
    sizes = np.zeros(count)
    sums = np.zeros(count)
    for plane, light in zip(objects, photons, strict=True):
        sizes += np.bincount(plane.ravel(), minlength=count)
        sums += np.bincount(plane.ravel(), light.ravel(), minlength=count)
        memory.release(objects, photons)
    return sums / np.maximum(sizes, 1)


def describe(specimen: Specimen, truth: Truth, photons: Image) -> Scalars:
    """Return measured facts of a case; `snr` is (mean - background) / sqrt(mean + read noise²)."""
    spheroid = specimen.spheroid
    living = specimen.spheroid.outline.living
    means = _means(truth.nuclei, photons)
    snr = (means[1:] - means[0]) / np.sqrt(means[1:] + specimen.drawn["read_noise"] ** 2)
    z, y, x = np.diff(living.box_um, axis=0)[0].tolist()
    volumes = np.concatenate([volumes_um3(part) for part, _ in spheroid.parts])
    facts = {
        "n_nuclei": len(means) - 1,
        "n_simulated": len(volumes),
        "n_mitotic": sum(
            int(part.mitotic.sum()) for part, _ in spheroid.parts if isinstance(part, Nuclei)
        ),
        "n_dying": sum(map(len, spheroid.packed.parts[1::2])),
        "tissue_z_um": z,
        "tissue_y_um": y,
        "tissue_x_um": x,
        "tissue_volume_um3": living.volume_um3,
        "mean_volume_um3": float(volumes.mean()) if len(volumes) else 0.0,
        "snr": float(np.median(snr)) if len(snr) else 0.0,
    }
    if truth.cells is not None:
        facts["n_cells"] = int(truth.cells.max(initial=0))
    return facts | (_packing(specimen) if spheroid.cells is None else dict(spheroid.cells.facts))


def _packing(specimen: Specimen) -> Scalars:
    """Return how dense the nuclei are, and in `missed`, one line, values that were not reached."""
    spheroid = specimen.spheroid
    drawn = specimen.drawn
    room = spheroid.outline
    asked = list[tuple[str, float, float]]()
    facts: Scalars = {"nuclear_volume_fraction": spheroid.volume_fraction}
    if spheroid.contact_share is not None:
        facts["contact_share"] = spheroid.contact_share
        asked.append(("contact", spheroid.contact_share, NEAR))
    if room.homes:
        inner, filled = spheroid.inner
        facts |= {"inner_share": inner, "inner_volume_fraction": filled}
        asked += [("inner", inner, 5 * NEAR), ("volume_fraction", filled, 2 * NEAR)]
        if room.fixed:
            asked.append(("width_um", float(np.ptp(room.living.box_um[:, 1])), 4.0))
    elif not room.fixed or "n_nuclei" not in drawn:
        asked.append(("volume_fraction", spheroid.volume_fraction, NEAR))
    missed = [
        f"{name} {drawn[name]:.3g} asked, {built:.3g} built"
        for name, built, tolerance in asked
        if abs(built - drawn[name]) > tolerance
    ]
    if missed:
        facts["missed"] = "; ".join(missed)
    return facts


def _draw(rng: Rng, parameters: Parameters) -> Sample:
    """Return image, labels and extras; InputError if not packed."""
    for_values, for_tissue, for_chromatin, for_camera, for_cells, for_second = rng.spawn(6)
    drawn = draw_values(for_values, parameters)
    spheroid = grow(for_tissue, parameters, drawn)
    spread = point_spread(parameters, drawn)
    grid = grid_for(parameters, spread)
    specimen = Specimen(spheroid, parameters, drawn)
    specimen.draw_chromatin(for_chromatin, grid)
    if parameters.cells.enabled or drawn["bleed_through"] > 0:
        specimen.grow_cells(for_cells)
    steps = {}

    def _keep(name: str, image: Image) -> None:
        steps[name] = copied(image)

    output = parameters.output
    watch = {output.channel: _keep if output.steps else None}
    light = expected_photons(specimen, specimen.nuclei, grid, spread, watch.get("nucleus"))
    truth = annotate(specimen, spread, light)
    metadata = {**drawn, **describe(specimen, truth, light)}
    if spheroid.outline.fixed and "n_nuclei" in drawn and not spheroid.outline.homes:
        del metadata["volume_fraction"]  # these two say how dense the tissue is
    channels = {"nucleus": _exposed(for_camera, specimen, "nucleus", light, truth.nuclei)}
    metadata |= {name: channels["nucleus"].metadata[name] for name in ("gain", "offset")}
    if truth.cells is not None:
        light = expected_photons(specimen, specimen.membranes, grid, spread, watch.get("membrane"))
        channels["membrane"] = _exposed(for_second, specimen, "membrane", light, truth.cells)
    return _sample(specimen, truth, channels, steps, metadata)


generate = generator("spheroid", Parameters, _draw, check)


def _exposed(
    rng: Rng,
    specimen: Specimen,
    channel: str,
    light: Image,
    objects: Shorts,
) -> Volume:
    """Return the counts of a channel."""
    height = specimen.drawn["psf_sigma_z_um"] * specimen.parameters.image.stretch
    # In µm of the file's voxels.
    seen = specimen.parameters.seen_by(rng, specimen.drawn | {"psf_sigma_z_um": height})
    if (camera := seen.camera).exposure > 0:
        gain = gain_for_exposure(light, objects, camera.exposure, camera)
        camera = camera.model_copy(update={"gain": gain})
        seen = seen.model_copy(update={"camera": camera})
    return specimen.volume(camera.expose(rng, light), **seen.channel(channel, study=STUDY))


def _sample(
    specimen: Specimen,
    truth: Truth,
    seen: Volumes,
    steps: Mapping[str, Image],
    metadata: ScalarMap,
) -> Sample:
    """Return all images and labels of the case."""
    channel = specimen.parameters.output.channel
    volume = specimen.volume
    main, name, second = truth.nuclei, "cell-labels", truth.cells
    if channel == "membrane":
        assert truth.cells is not None  # cells are simulated where their channel is shown
        main, name, second = truth.cells, "nucleus-labels", truth.nuclei
    extras = {f"{name}-image": image for name, image in seen.items() if name != channel}
    if second is not None:
        extras[name] = volume(second)
    if specimen.parameters.kinds:
        extras["cell-kinds"] = volume(labels.type_map(truth.nuclei, truth.kinds))
    for number, (stage, image) in enumerate(steps.items(), start=1):
        extras[f"step-{number}-{stage}"] = volume(image)
    if steps:
        extras[f"step-{len(steps) + 1}-counts"] = seen[channel]
        if truth.levels is not None:
            extras["visible-level"] = volume(truth.levels)
    density = {"density [%]": 100 * specimen.spheroid.volume_fraction}
    return Sample(
        sockets={"microscopy-image": seen[channel], "instance-labels": volume(main)},
        metadata=metadata,
        extras=extras,
        conditions=density | measured(seen[channel].array, main),
    )
