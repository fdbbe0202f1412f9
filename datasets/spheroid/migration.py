"""Read the parameter files of the published spheroid simulators (voxels, greys) as our recipes.

First version: Bruch et al. (2023), doi:10.1371/journal.pone.0283828; second, with or without cells:
Communications Biology (2025), doi:10.1038/s42003-025-07469-2.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from cytosuite.contract.manifest import parse
from cytosuite.datasets.ranges import NotNegative, Positive, Share, Triple
from cytosuite.errors import InputError
from cytosuite.files import Json, read_json
from cytosuite.formats import header

Count = Annotated[int, Field(ge=1, le=10**9)]
Law = Literal["fOld", "f1", "f2", "f2p", "f3", "f3p", "None"]
Recipe = Json
Version = Literal["first version", "second version", "second version with simulated cells"]
SECOND = (
    *("input_phantom_folders", "input_phantom_folders_prop", "exposure_percentage"),
    *("break_criterion_positions", "break_criterion_objects"),
)
FRAGMENTS = ("input_fragment_folder", "fragment_probability")
CELLS = ("volume_ratio_phantom", "px_size_mask_img")
PATHS = (
    *("input_phantom_folder", "input_phantom_folders", "input_spheroid_mask", "paths_psf"),
    "input_subculture_folder",
)
MACHINE = {
    "output_path": "where results go is not part of a recipe",
    "use_gpu_conv": "convolutions run on the CPU",
}
FIRST = ("input_phantom_folder", "min_dist", "break_criterion")
SCALE = 255  # grey values of the published images, always 8 bits
NO_SHOT_NOISE = 1e4  # photons per grey value: shot noise of 0.16 grey values at full scale
LENGTHS = {"f2": 150.0, "f3": 200.0}  # attenuation laws with a fixed length, voxels
DELAYS = {"f1": -5, "f3": 10, "f3p": 10}  # and those with a delay, voxels
DOI = {1: "10.1371/journal.pone.0283828", 2: "10.1038/s42003-025-07469-2"}
MOST_PLACES = 20000  # that a recipe may ask to be tried


class Published(BaseModel):
    """All keys of both published versions, with their units there; None where a file lacks one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    output_path: str | None = None
    use_gpu_conv: int | None = None
    num_of_images: Count | None = None
    input_phantom_folder: str | None = None
    input_phantom_folders: tuple[str, ...] | None = None
    input_phantom_folders_prop: tuple[NotNegative, ...] | None = None
    input_fragment_folder: str | None = None
    fragment_probability: Share | None = None
    input_spheroid_mask: tuple[str, ...] | None = None
    volume_ratio_phantom: Positive | None = None
    generated_image_shape: tuple[Count, Count, Count] | tuple[()] | None = None
    px_size_phantom_img: Triple | None = None
    px_size_mask_img: Triple | None = None
    px_size_sim_img: Triple | None = None
    px_size_desired: Triple | None = None
    max_overlap: Share | None = None
    min_dist: NotNegative | None = None
    break_criterion: Count | None = None
    break_criterion_positions: Count | None = None
    break_criterion_objects: Count | None = None
    brightness_red_fuction: Law | None = None  # spelt so
    brightness_red_factor_b: Positive | None = None
    paths_psf: tuple[str, ...] | None = None
    exposure_percentage: Positive | None = None
    dc_baseline: NotNegative | None = None
    noise_gauss: NotNegative | None = None
    noise_gauss_absolute: NotNegative | None = None
    noise_poisson_factor: NotNegative | None = None
    num_of_acquisition_iterations: Count | None = None
    input_subculture_folder: str | None = None
    num_of_subcultures: Annotated[int, Field(ge=0)] | None = None
    subculture_radius_xy: Positive | None = None
    subculture_radius_z: Positive | None = None
    subculture_min_dist: NotNegative | None = None
    px_size_subculture_phantoms: Triple | None = None

    @model_validator(mode="after")
    def _one_probability_for_each_folder(self) -> Self:
        """Refuse lists of folders and of probabilities that differ in length."""
        shares = self.input_phantom_folders_prop
        if shares and len(shares) != len(self.input_phantom_folders or ()):
            raise ValueError(
                "input_phantom_folders_prop: needs one probability for each of the "
                f"{len(self.input_phantom_folders or ())} input_phantom_folders"
            )
        return self


SUBCULTURES = tuple(name for name in Published.model_fields if "subculture" in name)
COMMON = tuple(
    name
    for name in Published.model_fields
    if name not in {*MACHINE, *FIRST, *SECOND, *FRAGMENTS, *CELLS, *SUBCULTURES}
)
EXPECTED: dict[Version, tuple[str, ...]] = {
    "first version": (*FIRST, *COMMON, *SUBCULTURES),
    "second version": ("min_dist", *SECOND, *FRAGMENTS, *COMMON, *SUBCULTURES),
    "second version with simulated cells": (*SECOND, *CELLS, *COMMON),
}


@dataclass(slots=True)
class Migration:
    """A recipe made from a published parameter file, with remarks for the reader."""

    recipe: Recipe = field(default_factory=dict)  # dataset, title, ..., parameters
    untranslated: list[str] = field(default_factory=list)  # a line per key without counterpart
    notes: list[str] = field(default_factory=list)  # a line per value that changed or is absent

    def lost(self, line: str) -> None:
        """Add a line to the keys without counterpart."""
        self.untranslated.append(line)

    def note(self, line: str) -> None:
        """Add a line to the values that changed."""
        self.notes.append(line)


def tidy(value: float) -> float:
    """Return a converted number without the digits that conversion added."""
    return float(f"{value:.7g}")


def optics_of(old: Published, image: Recipe, version: Version, log: Migration) -> Recipe:
    """Return attenuation and blur; `image` is the section of the new recipe."""
    optics: Recipe = {"cytoplasm": 0.0, "haze": 0.0}
    log.note("optics: cytoplasm and haze are 0, the published simulation has none")
    optics |= _attenuation(old, image, version, log)
    if old.paths_psf:
        optics |= {"psf": "file", "psf_files": list(old.paths_psf)}
        if old.px_size_sim_img:
            optics["psf_um"] = list(old.px_size_sim_img)
        log.note("paths_psf: was applied as its mirror image; now it is a convolution")
    elif old.paths_psf is not None:
        log.lost("paths_psf: empty means no blur; optics.psf keeps our default")
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
        lacks = "the height of the stack" if by_slices else "brightness_red_factor_b"
        log.lost(
            f"brightness_red_fuction: {law} needs the voxel size and {lacks}; keeps our default"
        )
        return {}
    section: Recipe = {"attenuation": "power", "attenuation_um": tidy(voxels * size[0])}
    if law in DELAYS:
        section["attenuation_delay_um"] = tidy(DELAYS[law] * size[0])
    if law == "fOld":
        section["attenuation_floor"] = 0.2
    if version == "first version":
        log.note("brightness_red_fuction: the brightest voxel was stretched back; now it is dimmed")
    return section


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
        log.note(
            "camera: the brightest voxel was 255; now the 99.99 % quantile of labelled ones is"
        )
    if old.dc_baseline is not None:
        camera["offset"] = old.dc_baseline
        if old.dc_baseline:
            log.note("dc_baseline: had shot noise as if it were light; now it has none")
    if factor == 0:
        factor = NO_SHOT_NOISE
        log.note(f"noise_poisson_factor: no shot noise; now {factor:g} photons per grey value")
    if factor:
        brightest = factor * (SCALE * (exposure or 1.0) - (old.dc_baseline or 0.0))
        camera |= {"gain": tidy(1 / factor), "photons": tidy(max(brightest, factor))}
        log.note(
            f"noise_poisson_factor: {factor:g} photons per grey value; camera.photons is the light "
            "of the brightest labelled voxels: adjust it, a median nucleus has less"
        )
    if old.noise_gauss is not None and factor:
        camera["read_noise"] = tidy(old.noise_gauss * factor)
    elif old.noise_gauss is not None:
        log.lost("noise_gauss: in grey values, and photons per grey value is absent")
    if old.noise_gauss_absolute is not None:
        camera["half_normal"] = old.noise_gauss_absolute
    if old.num_of_acquisition_iterations:
        camera["averaging"] = old.num_of_acquisition_iterations
    return camera


def _from_recipe(old: Published, folder: Path, home: Path, log: Migration) -> Published:
    """Return the parameters with paths from the recipe's folder, to where the files were found."""

    def moved(name: str) -> str:
        """Return a path of the file, which counted from its folder or from the current one."""
        places = [place for place in (folder / name, Path(name)) if place.exists()]
        if not places:
            log.note(f"{name}: no such file; correct its path in the recipe")
        return os.path.relpath(places[0], home) if places else name

    return old.model_copy(
        update={
            key: moved(value) if isinstance(value, str) else tuple(map(moved, value))
            for key in PATHS
            if (value := getattr(old, key))
        }
    )


def migrate(path: Path, home: Path | None = None) -> Migration:
    """Return a recipe, in the folder `home`, for a JSON file of the published simulators."""
    values = read_json(path)
    keys = set(Published.model_fields)
    if not isinstance(values, dict) or not keys & set(values):
        raise InputError(
            f"{path}: expected the parameters of a published spheroid simulation (a JSON object "
            "with keys like input_spheroid_mask), found none of its keys"
        )
    old = parse(path, {key: value for key, value in values.items() if key in keys}, Published)
    version: Version = "first version"  # by the keys that a program alone has
    if set(SECOND + FRAGMENTS + CELLS) & set(values):
        cells = set(CELLS) & set(values)
        version = "second version with simulated cells" if cells else "second version"
    log = Migration()
    log.untranslated += [f"{key}: not a published key" for key in values if key not in keys]
    missing = [key for key in EXPECTED[version] if key not in values]
    log.notes += [f"{key}: not in the file; its parameter keeps our default" for key in missing]
    home = path.parent if home is None else home
    old = _from_recipe(old, path.parent, home, log)
    image = _image(old, home, version, log)
    parameters = {
        "image": image,
        "tissue": _tissue(old, log),
        **_nuclei(old, log),
        "optics": optics_of(old, image, version, log),
        "camera": camera_of(old, version, log),
        "labels": {"style": "shape"},
    }
    log.recipe = {
        "dataset": "spheroid",
        "title": f"Spheroids after {path.stem}",
        "description": f"Translated from a parameter file of the published simulator, {version}.",
        "cases": (old.num_of_images or 1) * max(len(old.input_spheroid_mask or ()), 1),
        "references": [DOI[1 if version == "first version" else 2]],
        "parameters": {name: section for name, section in parameters.items() if section},
    }
    log.untranslated += [
        f"{key}: {reason}" for key, reason in MACHINE.items() if values.get(key) is not None
    ]
    return log


def _image(old: Published, folder: Path, version: Version, log: Migration) -> Recipe:
    """Return the field of view: voxels of the output, and the oversampling of the simulation."""
    image: Recipe = {}
    out, fine = old.px_size_desired, old.px_size_sim_img
    if out:
        image["spacing_um"] = list(out)
    if out and fine:
        ratios = [tidy(a / b) for a, b in zip(out, fine, strict=True)]
        if all(1 <= ratio <= 8 for ratio in ratios):
            image["oversampling"] = ratios
        else:
            shown = " x ".join(f"{ratio:g}" for ratio in ratios)
            log.lost(f"px_size_sim_img: {shown} simulated samples per voxel, 1 to 8 are possible")
    shape = old.generated_image_shape
    if shape and version == "first version":  # it counted voxels of the simulation
        if out and fine:
            sizes = zip(shape, fine, out, strict=True)
            image["shape"] = [max(round(n * a / b), 1) for n, a, b in sizes]
        else:
            log.lost("generated_image_shape: in voxels of the simulation, of unknown size")
    elif shape:
        image["shape"] = list(shape)
    elif old.input_spheroid_mask:
        _shape_of_masks(old, folder, image, log)
    return image


def _shape_of_masks(old: Published, folder: Path, image: Recipe, log: Migration) -> None:
    """Take the shape of the first mask, as the published programs do without another."""
    masks = old.input_spheroid_mask or ()
    first = (folder / masks[0]).resolve()  # the folder of the recipe may be a new one
    if not first.is_file():
        log.lost(f"generated_image_shape: that of the mask, but {masks[0]} was not found; set it")
        return
    image["shape"] = [int(n) for n in header(first).shape]
    if old.px_size_mask_img and old.px_size_desired:
        ratios = [a / b for a, b in zip(old.px_size_mask_img, old.px_size_desired, strict=True)]
        sizes = zip(image["shape"], ratios, strict=True)
        image["shape"] = [max(round(n * ratio), 1) for n, ratio in sizes]
    if len(masks) > 1:
        log.note("generated_image_shape: was that of each mask; now that of the first mask")


def _tissue(old: Published, log: Migration) -> Recipe:
    """Return the arrangement of nuclei: at random places in a mask until there is no room."""
    tissue: Recipe = {"arrangement": "random", "n_nuclei": "auto"}
    if old.input_spheroid_mask:
        tissue |= {"outline": "file", "masks": list(old.input_spheroid_mask)}
        size = old.px_size_mask_img or old.px_size_desired
        if size:
            tissue["masks_um"] = list(size)
    if old.break_criterion:
        tissue["break_criterion"] = min(old.break_criterion, MOST_PLACES)
    tries = (old.break_criterion_positions, old.break_criterion_objects)
    if tries[0] and tries[1]:
        tissue["break_criterion"] = min(tries[0] * tries[1], MOST_PLACES)
        now = f"now {tissue['break_criterion']} places in a row"
        log.note(f"break_criterion: {tries[0]} places for each of {tries[1]} nuclei; {now}")
    if old.max_overlap is not None:
        tissue["max_overlap"] = min(old.max_overlap, 0.5)
        if old.max_overlap > 0.5:
            log.note(f"max_overlap: {old.max_overlap:g} is more than the 0.5 possible here")
    if old.min_dist is not None and old.px_size_sim_img:
        size = old.px_size_sim_img
        tissue["gap_um"] = tidy(old.min_dist * size[2])
        if old.min_dist:
            was = f"was {old.min_dist * size[0]:g} µm along z and {tissue['gap_um']:g} µm across"
            log.note(f"min_dist: {was}; the latter now holds for all directions")
    return tissue


def _nuclei(old: Published, log: Migration) -> Recipe:
    """Return the sources of nuclei, clusters of another kind, fragments, and cells around them."""
    alone = (old.input_phantom_folder,) if old.input_phantom_folder else ()
    folders = old.input_phantom_folders or alone
    spacing = {"phantoms_um": list(old.px_size_phantom_img)} if old.px_size_phantom_img else {}
    shares = old.input_phantom_folders_prop or (1.0,) * len(folders)
    nucleus: Recipe = {"brightness_spread": 0.0, "mitotic_fraction": 0.0}
    log.note("nucleus: brightness_spread and mitotic_fraction are 0, stored nuclei have their own")
    if len(folders) == 1:
        nucleus |= {"phantoms": folders[0], **spacing}
    kinds = [
        {"name": f"kind{number}", "share": share, "phantoms": place, **spacing}
        for number, (place, share) in enumerate(zip(folders, shares, strict=True), start=1)
    ]
    if old.fragment_probability:
        nucleus["apoptotic_fraction"] = old.fragment_probability
    if old.input_fragment_folder and old.fragment_probability:
        log.lost("input_fragment_folder: fragments of dying nuclei are drawn")
    sections: Recipe = {"nucleus": nucleus}
    clusters = _subcultures(old, log)
    if clusters:
        stranger: Recipe = {"name": "subculture", "share": 0.0}
        stranger["phantoms"] = old.input_subculture_folder
        if old.px_size_subculture_phantoms:
            stranger["phantoms_um"] = list(old.px_size_subculture_phantoms)
        kinds = [*(kinds or [{"name": "nucleus", "share": 1.0}]), stranger]
        sections["subcultures"] = clusters
    if len(kinds) > 1:
        sections["kinds"] = kinds
    if old.fragment_probability:
        sections["debris"] = {"fragment_share": 0.05, "fragment_brightness": 10.0}
    if old.volume_ratio_phantom is not None:
        sections["cells"] = {"enabled": True}
        log.lost(
            f"volume_ratio_phantom: {old.volume_ratio_phantom:g} of each given cell was nucleus; "
            "here cells are grown around packed nuclei, and masks say only where tissue is"
        )
    return sections


def _subcultures(old: Published, log: Migration) -> list[Recipe]:
    """Return the balls that hold another kind of nuclei."""
    if not (old.num_of_subcultures and old.input_subculture_folder):
        if old.num_of_subcultures:
            log.lost("num_of_subcultures: no input_subculture_folder is given")
        return []
    cluster = {"kind": "subculture", "count": old.num_of_subcultures}
    width, height, size = old.subculture_radius_xy, old.subculture_radius_z, old.px_size_sim_img
    if width and height and size:
        steps = max(int(width / height), 1)  # voxels across per voxel along z
        diameter = min(width, height * steps)
        cluster["diameter_um"] = tidy(diameter * size[2])
        cluster["flattening"] = tidy(diameter / steps * size[0] / (diameter * size[2]))
        log.note(
            "subculture_radius_xy, subculture_radius_z: were full widths in voxels; now "
            f"{cluster['diameter_um']:g} µm wide, flattening {cluster['flattening']:g}"
        )
    if old.subculture_min_dist:
        log.lost("subculture_min_dist: the distance is tissue.gap_um for all kinds")
    return [cluster]
