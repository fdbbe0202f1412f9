"""Read the parameter files of the published spheroid simulators (voxels, greys) as our recipes.

First version: Bruch et al. (2023), doi:10.1371/journal.pone.0283828; second, with or without cells:
Communications Biology (2025), doi:10.1038/s42003-025-07469-2.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, create_model

from cytosuite.contract.manifest import parse
from cytosuite.datasets.ranges import NotNegative, Positive, Share, Triple
from cytosuite.errors import InputError
from cytosuite.files import Json, read_json, read_toml
from cytosuite.formats import header
from cytosuite.volume.arrays import Lengths, Shape

Count = Annotated[int, Field(ge=1, le=10**9)]
KINDS: Json = {  # of values, in their own units
    "text": str,
    "texts": tuple[str, ...],
    "whole": int,
    "from0": Annotated[int, Field(ge=0)],
    "count": Count,
    "shape": tuple[Count, Count, Count] | tuple[()],
    "share": Share,
    "positive": Positive,
    "number": NotNegative,
    "numbers": tuple[NotNegative, ...],
    "lengths": Triple,
    "law": Literal["fOld", "f1", "f2", "f2p", "f3", "f3p", "None"],
}
TABLES = read_toml(Path(__file__).with_name("published.toml"))
KEYS: dict[str, tuple[str, str]] = TABLES["keys"]  # kind of the value, and versions that have it
EXPECTED = {
    name: [key for key, (_, versions) in KEYS.items() if version in versions]
    for version, name in TABLES["versions"].items()
}
TYPES: Json = {key: (KINDS[kind] | None, None) for key, (kind, _) in KEYS.items()}
Published = create_model("Published", __config__=ConfigDict(extra="ignore"), **TYPES)
PATHS = (
    *("input_phantom_folder", "input_phantom_folders", "input_spheroid_mask", "paths_psf"),
    "input_subculture_folder",
)
SCALE = 255  # grey values of the published images, always 8 bits
NO_SHOT_NOISE = 1e4  # photons per grey value: shot noise of 0.16 grey values at full scale
LENGTHS = {"f2": 150.0, "f3": 200.0}  # attenuation laws with a fixed length, voxels
DELAYS = {"f1": -5, "f3": 10, "f3p": 10}  # and those with a delay, voxels
MOST_PLACES = 20000  # that a recipe may ask to be tried


@dataclass(slots=True)
class Migration:
    """A recipe made from a published parameter file, with remarks for the reader."""

    recipe: Json = field(default_factory=dict)  # dataset, title, ..., parameters
    untranslated: list[str] = field(default_factory=list)  # a line per key without counterpart
    notes: list[str] = field(default_factory=list)  # a line per value that changed or is absent


def tidy(value: float) -> float:
    """Return a converted number without the digits that conversion added."""
    return float(f"{value:.7g}")


def migrate(path: Path, home: Path | None = None) -> Migration:
    """Return a recipe, in the folder `home`, for a JSON file of the published simulators."""
    values = read_json(path)
    if not isinstance(values, dict) or not KEYS.keys() & values:
        raise InputError(
            f"{path}: expected the parameters of a published spheroid simulation (a JSON object "
            "with keys like input_spheroid_mask), found none of its keys"
        )
    home, log = home or path.parent, Migration()
    known = {key: value for key, value in values.items() if key in KEYS}
    old = parse(path, known, Published).model_dump()
    folders, shares = (old[f"input_phantom_folders{end}"] or () for end in ("", "_prop"))
    if shares and len(shares) != len(folders):
        raise InputError(
            f"{path}: input_phantom_folders_prop: needs one probability for each of the "
            f"{len(folders)} input_phantom_folders"
        )
    having = {KEYS[key][1] for key in known}  # the versions that have a key, by keys of the file
    version = "c" if "c" in having else "2" if having & {"2", "2c"} else "1"
    log.untranslated += [f"{key}: not a published key" for key in values if key not in KEYS]
    missing = [key for key in EXPECTED[TABLES["versions"][version]] if key not in values]
    log.notes += [f"{key}: not in the file; its parameter keeps our default" for key in missing]
    _move_paths(old, path.parent, home, log)
    first = version == "1"
    image = _image(old, home, first, log)
    parameters = {
        "image": image,
        "tissue": _tissue(old, log),
        **_nuclei(old, log),
        "optics": _optics(old, image, first, log),
        "camera": _camera(old, first, log),
        "labels": {"style": "shape"},
    }
    title = TABLES["versions"][version]
    log.recipe = {
        "dataset": "spheroid",
        "title": f"Spheroids after {path.stem}",
        "description": f"Translated from a parameter file of the published simulator, {title}.",
        "cases": (old["num_of_images"] or 1) * max(len(old["input_spheroid_mask"] or ()), 1),
        "references": [TABLES["doi"][version]],
        "parameters": {name: section for name, section in parameters.items() if section},
    }
    log.untranslated += [
        f"{key}: {reason}" for key, reason in TABLES["machine"].items() if old[key] is not None
    ]
    return log


def _move_paths(old: Json, folder: Path, home: Path, log: Migration) -> None:
    """Let paths, of the file's folder or the current one, count from the recipe's folder."""

    def moved(name: str) -> str:
        """Return where a file was found."""
        places = [place for place in (folder / name, Path(name)) if place.exists()]
        if not places:
            log.notes.append(f"{name}: no such file; correct its path in the recipe")
        return os.path.relpath(places[0], home) if places else name

    for key in PATHS:
        if value := old[key]:
            old[key] = moved(value) if isinstance(value, str) else [*map(moved, value)]


def _image(old: Json, folder: Path, first: bool, log: Migration) -> Json:
    """Return the field of view: voxels of the output, and the oversampling of the simulation."""
    image: Json = {}
    out, fine, shape = old["px_size_desired"], old["px_size_sim_img"], old["generated_image_shape"]
    if out:
        image["spacing_um"] = list(out)
    if out and fine:
        ratios = [tidy(a / b) for a, b in zip(out, fine, strict=True)]
        if all(1 <= ratio <= 8 for ratio in ratios):
            image["oversampling"] = ratios
        else:
            shown = " x ".join(f"{ratio:g}" for ratio in ratios)
            log.untranslated.append(
                f"px_size_sim_img: {shown} simulated samples per voxel, 1 to 8 are possible"
            )
    if shape and first and not (out and fine):
        log.untranslated.append(
            "generated_image_shape: in voxels of the simulation, of unknown size"
        )
    elif shape:  # the first version counted voxels of the simulation
        image["shape"] = _scaled(shape, fine, out) if first else list(shape)
    elif masks := old["input_spheroid_mask"]:  # as the published programs do without a shape
        place = (folder / masks[0]).resolve()  # the folder of the recipe may be a new one
        if not place.is_file():
            lost = f"that of the mask, but {masks[0]} was not found; set it"
            log.untranslated.append(f"generated_image_shape: {lost}")
            return image
        own = old["px_size_mask_img"] if out else None
        image["shape"] = _scaled(header(place).shape, own or (1, 1, 1), out if own else (1, 1, 1))
        if len(masks) > 1:
            now = "was that of each mask; now that of the first mask"
            log.notes.append(f"generated_image_shape: {now}")
    return image


def _scaled(shape: Shape, before: Lengths, after: Lengths) -> list[int]:
    """Return a number of voxels, of a size before, in voxels of a size after."""
    sizes = zip(shape, before, after, strict=True)
    return [max(round(n * a / b), 1) for n, a, b in sizes]


def _tissue(old: Json, log: Migration) -> Json:
    """Return the arrangement of nuclei: at random places in a mask until there is no room."""
    tissue: Json = {"arrangement": "random", "n_nuclei": "auto"}
    if masks := old["input_spheroid_mask"]:
        tissue |= {"outline": "file", "masks": masks}
        if size := old["px_size_mask_img"] or old["px_size_desired"]:
            tissue["masks_um"] = list(size)
    places, nuclei = old["break_criterion_positions"], old["break_criterion_objects"]
    if tries := places * nuclei if places and nuclei else old["break_criterion"]:
        tissue["break_criterion"] = min(tries, MOST_PLACES)
    if places and nuclei:
        now = f"now {tissue['break_criterion']} places in a row"
        log.notes.append(f"break_criterion: {places} places for each of {nuclei} nuclei; {now}")
    if (overlap := old["max_overlap"]) is not None:
        tissue["max_overlap"] = min(overlap, 0.5)
        if overlap > 0.5:
            log.notes.append(f"max_overlap: {overlap:g} is more than the 0.5 possible here")
    gap, size = old["min_dist"], old["px_size_sim_img"]
    if gap is not None and size:
        tissue["gap_um"] = tidy(gap * size[2])
        if gap:
            was = f"was {gap * size[0]:g} µm along z and {tissue['gap_um']:g} µm across"
            log.notes.append(f"min_dist: {was}; the latter now holds for all directions")
    return tissue


def _nuclei(old: Json, log: Migration) -> Json:
    """Return the sources of nuclei, clusters of another kind, fragments, and cells around them."""
    alone, dying = old["input_phantom_folder"], old["fragment_probability"]
    folders = old["input_phantom_folders"] or ([alone] if alone else [])
    spacing = _sized(old["px_size_phantom_img"])
    shares = old["input_phantom_folders_prop"] or (1.0,) * len(folders)
    nucleus: Json = {"brightness_spread": 0.0, "mitotic_fraction": 0.0}
    log.notes.append(
        "nucleus: brightness_spread and mitotic_fraction are 0, stored nuclei have their own"
    )
    if len(folders) == 1:
        nucleus |= {"phantoms": folders[0], **spacing}
    kinds = [
        {"name": f"kind{number}", "share": share, "phantoms": place, **spacing}
        for number, (place, share) in enumerate(zip(folders, shares, strict=True), start=1)
    ]
    sections: Json = {"nucleus": nucleus}
    if dying and old["input_fragment_folder"]:
        log.untranslated.append("input_fragment_folder: fragments of dying nuclei are drawn")
    if clusters := _subcultures(old, log):
        place = {"phantoms": old["input_subculture_folder"]}
        stranger = {"name": "subculture", "share": 0.0, **place}
        kinds = [*(kinds or [{"name": "nucleus", "share": 1.0}]), stranger]
        kinds[-1] |= _sized(old["px_size_subculture_phantoms"])
        sections["subcultures"] = clusters
    if len(kinds) > 1:
        sections["kinds"] = kinds
    if dying:
        nucleus["apoptotic_fraction"] = dying
        sections["debris"] = {"fragment_share": 0.05, "fragment_brightness": 10.0}
    if (ratio := old["volume_ratio_phantom"]) is not None:
        sections["cells"] = {"enabled": True}
        log.untranslated.append(
            f"volume_ratio_phantom: {ratio:g} of each given cell was nucleus; here cells are grown "
            "around packed nuclei, and masks say only where tissue is"
        )
    return sections


def _sized(spacing: Lengths | None) -> Json:
    """Return the voxel size of stored nuclei, where it is known."""
    return {"phantoms_um": list(spacing)} if spacing else {}


def _subcultures(old: Json, log: Migration) -> list[Json]:
    """Return the balls that hold another kind of nuclei."""
    if not (old["num_of_subcultures"] and old["input_subculture_folder"]):
        if old["num_of_subcultures"]:
            log.untranslated.append("num_of_subcultures: no input_subculture_folder is given")
        return []
    cluster = {"kind": "subculture", "count": old["num_of_subcultures"]}
    width, height = old["subculture_radius_xy"], old["subculture_radius_z"]
    if width and height and (size := old["px_size_sim_img"]):
        steps = max(int(width / height), 1)  # voxels across per voxel along z
        diameter = min(width, height * steps)
        cluster["diameter_um"] = tidy(diameter * size[2])
        cluster["flattening"] = tidy(diameter / steps * size[0] / (diameter * size[2]))
        log.notes.append(
            "subculture_radius_xy, subculture_radius_z: were full widths in voxels; now "
            f"{cluster['diameter_um']:g} µm wide, flattening {cluster['flattening']:g}"
        )
    if old["subculture_min_dist"]:
        log.untranslated.append("subculture_min_dist: the distance is tissue.gap_um for all kinds")
    return [cluster]


def _optics(old: Json, image: Json, first: bool, log: Migration) -> Json:
    """Return attenuation and blur; `image` is the section of the new recipe."""
    optics: Json = {"cytoplasm": 0.0, "haze": 0.0}
    log.notes.append("optics: cytoplasm and haze are 0, the published simulation has none")
    optics |= _attenuation(old, image, first, log)
    if stacks := old["paths_psf"]:
        optics |= {"psf": "file", "psf_files": stacks}
        if size := old["px_size_sim_img"]:
            optics["psf_um"] = list(size)
        log.notes.append("paths_psf: was applied as its mirror image; now it is a convolution")
    elif stacks is not None:
        log.untranslated.append("paths_psf: empty means no blur; optics.psf keeps our default")
    return optics


def _attenuation(old: Json, image: Json, first: bool, log: Migration) -> Json:
    """Return the law of dimming; published lengths count output voxels along z.

    The laws, clipped to [0, 1], of depth d in voxels: ``fOld = (d / slices + 1)^-6 + 0.2``,
    ``f1 = ((d + 5) / slices + 1)^-6``, ``f2 = (d / 150 + 1)^-6``, ``f2p = (d / b + 1)^-6``,
    ``f3 = ((d - 10) / 200 + 1)^-6``, ``f3p = ((d - 10) / b + 1)^-6``, ``None = 1`` (Bruch et al.,
    PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828).
    """
    law, size = old["brightness_red_fuction"], old["px_size_desired"]
    if law in (None, "None"):
        return {"attenuation": "none"} if law else {}
    by_slices = law in ("f1", "fOld")
    voxels = LENGTHS.get(law, old["brightness_red_factor_b"])
    voxels = _simulated_slices(old, image) if by_slices else voxels
    if not (voxels and size):
        lacks = "the height of the stack" if by_slices else "brightness_red_factor_b"
        log.untranslated.append(
            f"brightness_red_fuction: {law} needs the voxel size and {lacks}; keeps our default"
        )
        return {}
    section = {"attenuation": "power", "attenuation_um": tidy(voxels * size[0])}
    if law in DELAYS:
        section["attenuation_delay_um"] = tidy(DELAYS[law] * size[0])
    if law == "fOld":
        section["attenuation_floor"] = 0.2
    if first:
        log.notes.append(
            "brightness_red_fuction: the brightest voxel was stretched back; now it is dimmed"
        )
    return section


def _simulated_slices(old: Json, image: Json) -> float | None:
    """Return the height of the published simulation in slices, with those appended below."""
    fine, out = old["px_size_sim_img"], old["px_size_desired"]
    if "shape" not in image or not (fine and out):
        return None
    finest = old["px_size_phantom_img"] or fine
    return float(round(image["shape"][0] * out[0] / fine[0]) + round(30 * finest[0] / fine[0]))


def _camera(old: Json, first: bool, log: Migration) -> Json:
    """Return the camera, from grey values to photons."""
    factor, dark, read = old["noise_poisson_factor"], old["dc_baseline"], old["noise_gauss"]
    exposure = old["exposure_percentage"] or (1.0 if first else None)
    same = {
        "exposure": exposure,
        "offset": dark,
        "half_normal": old["noise_gauss_absolute"],
        "averaging": old["num_of_acquisition_iterations"],
    }
    camera = {"bits": 8, "background_photons": 0.0}
    camera |= {key: value for key, value in same.items() if value is not None}
    if first:
        now = "now the 99.99 % quantile of labelled ones is"
        log.notes.append(f"camera: the brightest voxel was 255; {now}")
    if dark:
        log.notes.append("dc_baseline: had shot noise as if it were light; now it has none")
    if factor == 0:
        factor = NO_SHOT_NOISE
        now = f"now {factor:g} photons per grey value"
        log.notes.append(f"noise_poisson_factor: no shot noise; {now}")
    if factor:
        brightest = factor * (SCALE * (exposure or 1.0) - (dark or 0.0))
        camera |= {"gain": tidy(1 / factor), "photons": tidy(max(brightest, factor))}
        log.notes.append(
            f"noise_poisson_factor: {factor:g} photons per grey value; camera.photons is the light "
            "of the brightest labelled voxels: adjust it, a median nucleus has less"
        )
    if read is not None and factor:
        camera["read_noise"] = tidy(read * factor)
    elif read is not None:
        log.untranslated.append("noise_gauss: in grey values, and photons per grey value is absent")
    return camera
