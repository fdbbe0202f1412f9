"""Translate optics and camera of the published simulators into our units: µm and photons."""

from cytosuite.datasets.spheroid.migration.published import (
    Migration,
    Published,
    Recipe,
    Version,
    tidy,
)

SCALE = 255  # grey values of the published images, always 8 bits
NO_SHOT_NOISE = 1e4  # photons per grey value: shot noise of 0.16 grey values at full scale
LENGTHS = {"f2": 150.0, "f3": 200.0}  # attenuation laws with a fixed length, voxels
DELAYS = {"f1": -5, "f3": 10, "f3p": 10}  # and those with a delay, voxels


def optics_of(old: Published, image: Recipe, version: Version, log: Migration) -> Recipe:
    """Return attenuation and blur; `image` is the section of the new recipe."""
    optics: Recipe = {"cytoplasm": 0.0, "haze": 0.0}
    log.notes.append("optics: cytoplasm and haze are 0, the published simulation has none")
    optics |= _attenuation(old, image, version, log)
    if old.paths_psf:
        optics |= {"psf": "file", "psf_files": list(old.paths_psf)}
        if old.px_size_sim_img:
            optics["psf_um"] = list(old.px_size_sim_img)
        several = version == "first version" and len(old.paths_psf) > 1
        log.notes.append(
            "paths_psf: was applied as its mirror image"
            + (", with brightness stretched anew for each depth" if several else "")
            + "; now it is a convolution that keeps the light"
        )
    elif old.paths_psf is not None:
        log.untranslated.append("paths_psf: empty means no blur; optics.psf keeps our default")
    return optics


def _attenuation(old: Published, image: Recipe, version: Version, log: Migration) -> Recipe:
    """Return the law of dimming; published lengths count output voxels along z.

    The laws, clipped to [0, 1], of depth d in voxels: ``fOld = (d / slices + 1)^-6 + 0.2``,
    ``f1 = ((d + 5) / slices + 1)^-6``, ``f2 = (d / 150 + 1)^-6``, ``f2p = (d / b + 1)^-6``,
    ``f3 = ((d - 10) / 200 + 1)^-6``, ``f3p = ((d - 10) / b + 1)^-6``, ``None = 1`` (Bruch et al.,
    PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828).
    """
    law, size = old.brightness_red_fuction, old.px_size_desired
    if law is None or law == "None":
        return {} if law is None else {"attenuation": "none"}
    by_slices = law in ("f1", "fOld")
    voxels = LENGTHS.get(law, old.brightness_red_factor_b)
    voxels = _simulated_slices(old, image) if by_slices else voxels
    if not (voxels and size):
        log.untranslated.append(
            f"brightness_red_fuction: {law} needs the voxel size and "
            + ("the height of the stack" if by_slices else "brightness_red_factor_b")
            + ", which the file does not give; optics.attenuation keeps our default"
        )
        return {}
    made: Recipe = {"attenuation": "power", "attenuation_um": tidy(voxels * size[0])}
    if law in DELAYS:
        made["attenuation_delay_um"] = tidy(DELAYS[law] * size[0])
    if law == "fOld":
        made["attenuation_floor"] = 0.2
    if version == "first version":
        log.notes.append(
            "brightness_red_fuction: the brightest voxel was stretched back to its old value after "
            "dimming; it now stays dimmed"
        )
    return made


def _simulated_slices(old: Published, image: Recipe) -> float | None:
    """Return the height of the published simulation in slices, with those appended below."""
    if "shape" not in image or not (old.px_size_sim_img and old.px_size_desired):
        return None
    slices = round(image["shape"][0] * old.px_size_desired[0] / old.px_size_sim_img[0])
    finest = old.px_size_phantom_img or old.px_size_sim_img
    return float(slices + round(30 * finest[0] / old.px_size_sim_img[0]))


def camera_of(old: Published, version: Version, log: Migration) -> Recipe:
    """Return the camera, from grey values to photons."""
    factor = old.noise_poisson_factor
    camera: Recipe = {"bits": 8, "background_photons": 0.0}
    exposure = old.exposure_percentage or (1.0 if version == "first version" else None)
    if exposure:
        camera["exposure"] = exposure
    if version == "first version":
        log.notes.append(
            "camera: the brightest voxel was stretched to 255; now exposure 1 puts the 99.99 % "
            "quantile of labelled voxels there"
        )
    if old.dc_baseline is not None:
        camera["offset"] = old.dc_baseline
        if old.dc_baseline:
            log.notes.append("dc_baseline: had shot noise as if it were light; now it has none")
    if factor == 0:
        factor = NO_SHOT_NOISE
        log.notes.append(
            f"noise_poisson_factor: 0 means no shot noise; translated as {factor:g} photons per "
            "grey value, at which there is next to none"
        )
    if factor:
        brightest = factor * (SCALE * (exposure or 1.0) - (old.dc_baseline or 0.0))
        camera |= {"gain": tidy(1 / factor), "photons": tidy(max(brightest, factor))}
        log.notes.append(
            f"noise_poisson_factor: {factor:g} photons per grey value; camera.photons is the light "
            "of the brightest labelled voxels, a median nucleus has less after blur: adjust it"
        )
    if old.noise_gauss is not None and factor:
        camera["read_noise"] = tidy(old.noise_gauss * factor)
    elif old.noise_gauss is not None:
        log.untranslated.append("noise_gauss: in grey values, and photons per grey value is absent")
    if old.noise_gauss_absolute is not None:
        camera["half_normal"] = old.noise_gauss_absolute
    if old.num_of_acquisition_iterations:
        camera["averaging"] = old.num_of_acquisition_iterations
    return camera
