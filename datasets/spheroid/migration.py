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
from cytosuite.files import Json, TextPair, Texts, read_json, read_toml
from cytosuite.formats import header
from cytosuite.volume.arrays import Lengths, Shape

Count = Annotated[int, Field(ge=1, le=10**9)]
KINDS: Json = {  # of values, in their own units
    "text": str,
    "texts": Texts,
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
KEYS: dict[str, TextPair] = TABLES["keys"]  # kind of the value, and versions that have it
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
MOST_PLACES = 20000  # that a recipe may ask to be tried


@dataclass(slots=True)
class Migration:
    """A recipe made from a published parameter file, with remarks for the reader."""

    recipe: Json = field(default_factory=dict)  # dataset, title, ..., parameters
    untranslated: list[str] = field(default_factory=list)  # a line per key without counterpart
    notes: list[str] = field(default_factory=list)  # a line per value that changed or is absent

    def note(self, remark: str, **values: object) -> None:
        """Add one of the `notes` of the table."""
        self.notes.append(TABLES["notes"][remark].format(**values))

    def lose(self, remark: str, **values: object) -> None:
        """Add one of the `untranslated` lines of the table."""
        self.untranslated.append(TABLES["untranslated"][remark].format(**values))


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
    home = home or path.parent
    log = Migration()
    known = {key: value for key, value in values.items() if key in KEYS}
    old = parse(path, known, Published).model_dump(mode="json")
    folders, shares = (old[f"input_phantom_folders{end}"] or () for end in ("", "_prop"))
    if shares and len(shares) != len(folders):
        raise InputError(
            f"{path}: input_phantom_folders_prop: needs one probability for each of the "
            f"{len(folders)} input_phantom_folders"
        )
    having = {KEYS[key][1] for key in known}  # the versions that have a key, by keys of the file
    version = "c" if "c" in having else "2" if having & {"2", "2c"} else "1"
    title = TABLES["versions"][version]
    log.untranslated += [f"{key}: not a published key" for key in values if key not in KEYS]
    for key in EXPECTED[title]:
        if key not in values:
            log.note("missing", key=key)
    _move_paths(old, path.parent, home, log)
    first = version == "1"
    parts = {"image": _image(old, home, first, log), "tissue": _tissue(old, log)}
    parts |= _nuclei(old, log)
    parts |= {
        "optics": _optics(old, parts["image"], first, log),
        "camera": _camera(old, first, log),
        "labels": {"style": "shape"},
    }
    for place, key in TABLES["same"].items():
        section, name = place.split(".")
        if old[key] not in (None, "", []):
            parts[section] = {name: old[key]} | parts[section]
    log.recipe = {
        "dataset": "spheroid",
        "title": f"Spheroids after {path.stem}",
        "description": f"Translated from a parameter file of the published simulator, {title}.",
        "cases": (old["num_of_images"] or 1) * max(len(old["input_spheroid_mask"] or ()), 1),
        "references": [TABLES["doi"][version]],
        "parameters": {name: section for name, section in parts.items() if section},
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
            log.note("lost_file", name=name)
        return os.path.relpath(places[0], home) if places else name

    for key in PATHS:
        if value := old[key]:
            old[key] = moved(value) if isinstance(value, str) else [*map(moved, value)]


def _image(old: Json, folder: Path, first: bool, log: Migration) -> Json:
    """Return the field of view: voxels of the output, and the oversampling of the simulation."""
    image: Json = {}
    out, fine, shape = old["px_size_desired"], old["px_size_sim_img"], old["generated_image_shape"]
    if out and fine:
        ratios = [tidy(a / b) for a, b in zip(out, fine, strict=True)]
        if all(1 <= ratio <= 8 for ratio in ratios):
            image["oversampling"] = ratios
        else:
            log.lose("oversampling", ratios=" x ".join(f"{ratio:g}" for ratio in ratios))
    if shape and first and not (out and fine):
        log.lose("simulated_shape")
    elif shape:  # the first version counted voxels of the simulation
        image["shape"] = _scaled(shape, fine, out) if first else shape
    elif masks := old["input_spheroid_mask"]:  # as the published programs do without a shape
        place = (folder / masks[0]).resolve()  # the folder of the recipe may be a new one
        if not place.is_file():
            log.lose("mask", mask=masks[0])
            return image
        own = old["px_size_mask_img"] if out else None
        image["shape"] = _scaled(header(place).shape, own or (1, 1, 1), out if own else (1, 1, 1))
        if len(masks) > 1:
            log.note("masks")
    return image


def _scaled(shape: Shape, before: Lengths, after: Lengths) -> list[int]:
    """Return a number of voxels, of a size before, in voxels of a size after."""
    return [max(round(n * a / b), 1) for n, a, b in zip(shape, before, after, strict=True)]


def _tissue(old: Json, log: Migration) -> Json:
    """Return the arrangement of nuclei: at random places in a mask until there is no room."""
    tissue: Json = {"arrangement": "random", "n_nuclei": "auto"}
    if old["input_spheroid_mask"]:
        tissue["outline"] = "file"
        if size := old["px_size_mask_img"] or old["px_size_desired"]:
            tissue["masks_um"] = size
    places = old["break_criterion_positions"]
    nuclei = old["break_criterion_objects"]
    if tries := places * nuclei if places and nuclei else old["break_criterion"]:
        tissue["break_criterion"] = min(tries, MOST_PLACES)
    if places and nuclei:
        log.note("places", places=places, nuclei=nuclei, now=tissue["break_criterion"])
    if (overlap := old["max_overlap"]) is not None:
        tissue["max_overlap"] = min(overlap, 0.5)
        if overlap > 0.5:
            log.note("overlap", overlap=overlap)
    gap = old["min_dist"]
    size = old["px_size_sim_img"]
    if gap is not None and size:
        tissue["gap_um"] = tidy(gap * size[2])
        if gap:
            log.note("gap", along=gap * size[0], across=tissue["gap_um"])
    return tissue


def _nuclei(old: Json, log: Migration) -> Json:
    """Return the sources of nuclei, clusters of another kind, fragments, and cells around them."""
    alone = old["input_phantom_folder"]
    dying = old["fragment_probability"]
    folders = old["input_phantom_folders"] or ([alone] if alone else [])
    spacing = {"phantoms_um": size} if (size := old["px_size_phantom_img"]) else {}
    shares = old["input_phantom_folders_prop"] or (1.0,) * len(folders)
    nucleus: Json = {"brightness_spread": 0.0, "mitotic_fraction": 0.0}
    log.note("nucleus")
    if len(folders) == 1:
        nucleus |= {"phantoms": folders[0], **spacing}
    kinds = [
        {"name": f"kind{number}", "share": share, "phantoms": place, **spacing}
        for number, (place, share) in enumerate(zip(folders, shares, strict=True), start=1)
    ]
    sections: Json = {"nucleus": nucleus}
    if dying and old["input_fragment_folder"]:
        log.lose("fragments")
    if clusters := _subcultures(old, log):
        place = {"phantoms": old["input_subculture_folder"]}
        stranger = {"name": "subculture", "share": 0.0, **place}
        kinds = [*(kinds or [{"name": "nucleus", "share": 1.0}]), stranger]
        if size := old["px_size_subculture_phantoms"]:
            kinds[-1]["phantoms_um"] = size
        sections["subcultures"] = clusters
    if len(kinds) > 1:
        sections["kinds"] = kinds
    if dying:
        sections["debris"] = {"fragment_share": 0.05, "fragment_brightness": 10.0}
    if (ratio := old["volume_ratio_phantom"]) is not None:
        sections["cells"] = {"enabled": True}
        log.lose("ratio", ratio=ratio)
    return sections


def _subcultures(old: Json, log: Migration) -> list[Json]:
    """Return the balls that hold another kind of nuclei."""
    if not old["num_of_subcultures"]:
        return []
    if not old["input_subculture_folder"]:
        log.lose("subcultures")
        return []
    cluster = {"kind": "subculture", "count": old["num_of_subcultures"]}
    width = old["subculture_radius_xy"]
    height = old["subculture_radius_z"]
    if width and height and (size := old["px_size_sim_img"]):
        steps = max(int(width / height), 1)  # voxels across per voxel along z
        diameter = min(width, height * steps)
        cluster["diameter_um"] = tidy(diameter * size[2])
        cluster["flattening"] = tidy(diameter / steps * size[0] / (diameter * size[2]))
        log.note("subcultures", **cluster)
    if old["subculture_min_dist"]:
        log.lose("subculture_gap")
    return [cluster]


def _optics(old: Json, image: Json, first: bool, log: Migration) -> Json:
    """Return attenuation and blur; `image` is the section of the new recipe."""
    log.note("optics")
    optics: Json = {"cytoplasm": 0.0, "haze": 0.0} | _attenuation(old, image, first, log)
    if old["paths_psf"]:
        optics["psf"] = "file"
        if size := old["px_size_sim_img"]:
            optics["psf_um"] = size
        log.note("psf")
    elif old["paths_psf"] is not None:
        log.lose("psf")
    return optics


def _attenuation(old: Json, image: Json, first: bool, log: Migration) -> Json:
    """Return the law of dimming; published lengths count output voxels along z.

    The laws, clipped to [0, 1], of depth d in voxels: ``fOld = (d / slices + 1)^-6 + 0.2``,
    ``f1 = ((d + 5) / slices + 1)^-6``, ``f2 = (d / 150 + 1)^-6``, ``f2p = (d / b + 1)^-6``,
    ``f3 = ((d - 10) / 200 + 1)^-6``, ``f3p = ((d - 10) / b + 1)^-6``, ``None = 1`` (Bruch et al.,
    PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828).
    """
    law = old["brightness_red_fuction"]
    size = old["px_size_desired"]
    if law in (None, "None"):
        return {"attenuation": "none"} if law else {}
    published = TABLES["laws"][law]
    by_slices = published.get("by_slices", False)
    voxels = published.get("length", old["brightness_red_factor_b"])
    voxels = _simulated_slices(old, image) if by_slices else voxels
    if not (voxels and size):
        lacks = "the height of the stack" if by_slices else "brightness_red_factor_b"
        log.lose("law", law=law, lacks=lacks)
        return {}
    section = {"attenuation": "power", "attenuation_um": tidy(voxels * size[0])}
    if "delay" in published:
        section["attenuation_delay_um"] = tidy(published["delay"] * size[0])
    if "floor" in published:
        section["attenuation_floor"] = published["floor"]
    if first:
        log.note("dimmed")
    return section


def _simulated_slices(old: Json, image: Json) -> float | None:
    """Return the height of the published simulation in slices, with those appended below."""
    fine = old["px_size_sim_img"]
    out = old["px_size_desired"]
    if "shape" not in image or not (fine and out):
        return None
    finest = old["px_size_phantom_img"] or fine
    return float(round(image["shape"][0] * out[0] / fine[0]) + round(30 * finest[0] / fine[0]))


def _camera(old: Json, first: bool, log: Migration) -> Json:
    """Return the camera, from grey values to photons."""
    factor, dark, read = old["noise_poisson_factor"], old["dc_baseline"], old["noise_gauss"]
    exposure = old["exposure_percentage"] or (1.0 if first else None)
    camera = {"bits": 8, "background_photons": 0.0}
    if exposure:
        camera["exposure"] = exposure
    if first:
        log.note("brightest")
    if dark:
        log.note("dark")
    if factor == 0:
        factor = NO_SHOT_NOISE
        log.note("no_shot_noise", factor=factor)
    if factor:
        brightest = factor * (SCALE * (exposure or 1.0) - (dark or 0.0))
        camera |= {"gain": tidy(1 / factor), "photons": tidy(max(brightest, factor))}
        log.note("photons", factor=factor)
    if read is not None and factor:
        camera["read_noise"] = tidy(read * factor)
    elif read is not None:
        log.lose("read_noise")
    return camera
