"""Read the parameter files of the published spheroid simulators as recipes of ours.

The published programs count in voxels and grey values, recipes in µm and photons. Keys without
counterpart are listed.

References
----------
Bruch et al., PLoS ONE 18 (2023), doi:10.1371/journal.pone.0283828 (first version); Communications
Biology (2025), doi:10.1038/s42003-025-07469-2 (second version, with or without simulated cells).
"""

from pathlib import Path

from cytosuite.datasets.spheroid.migration.light import camera_of, optics_of
from cytosuite.datasets.spheroid.migration.published import (
    EXPECTED,
    MACHINE,
    Migration,
    Published,
    Recipe,
    Version,
    tidy,
    version_of,
)
from cytosuite.errors import InputError
from cytosuite.files import read_json
from cytosuite.formats import header
from cytosuite.manifest import parse

DOI = {1: "10.1371/journal.pone.0283828", 2: "10.1038/s42003-025-07469-2"}
MOST_PLACES = 20000  # that a recipe may ask to be tried


def migrate(path: Path) -> Migration:
    """Return a recipe of ours for a parameter file of the published simulators.

    Parameters
    ----------
    path : Path
        The JSON file of either version.

    Returns
    -------
    Migration
        Keys that the file lacks keep our defaults and are listed. Paths of masks,
        phantoms and point spread functions are taken over as they stand.

    Raises
    ------
    InputError
        If the file is not JSON, holds none of the published keys, or a value is not allowed: one
        line that names file, key and value.
    """
    values = read_json(path)
    known = set(Published.model_fields)
    if not isinstance(values, dict) or not known & set(values):
        raise InputError(
            f"{path}: expected the parameters of a published spheroid simulation (a JSON object "
            "with keys like input_spheroid_mask), found none of its keys"
        )
    old = parse(path, {key: value for key, value in values.items() if key in known}, Published)
    version, log = version_of(values), Migration()
    log.untranslated += [f"{key}: not a published key" for key in values if key not in known]
    missing = [key for key in EXPECTED[version] if key not in values]
    log.notes += [f"{key}: not in the file; its parameter keeps our default" for key in missing]
    image = _image(old, path.parent, version, log)
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
    given = [key for key in MACHINE if values.get(key) is not None]
    log.untranslated += [f"{key}: {MACHINE[key]}" for key in given]
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
            log.untranslated.append(
                f"px_size_sim_img: {shown} simulated samples per voxel of px_size_desired, "
                "1 to 8 are possible; image.oversampling keeps our default"
            )
    shape = old.generated_image_shape
    if shape and version == "first version":  # it counted voxels of the simulation
        if out and fine:
            sizes = zip(shape, fine, out, strict=True)
            image["shape"] = [max(round(n * a / b), 1) for n, a, b in sizes]
        else:
            log.untranslated.append(
                "generated_image_shape: in voxels of the simulation, of which the file does not "
                "give the size; image.shape keeps our default"
            )
    elif shape:
        image["shape"] = list(shape)
    elif old.input_spheroid_mask:
        _shape_of_masks(old, folder, image, log)
    return image


def _shape_of_masks(old: Published, folder: Path, image: Recipe, log: Migration) -> None:
    """Take the shape of the first mask, as the published programs do without another."""
    masks = old.input_spheroid_mask or ()
    first = next((path for path in (folder / masks[0], Path(masks[0])) if path.is_file()), None)
    if first is None:
        log.untranslated.append(
            f"generated_image_shape: empty, which means that of the mask, and {masks[0]} was not "
            "found; image.shape keeps our default: set it"
        )
        return
    image["shape"] = [int(n) for n in header(first).shape]
    if old.px_size_mask_img and old.px_size_desired:
        ratios = [a / b for a, b in zip(old.px_size_mask_img, old.px_size_desired, strict=True)]
        sizes = zip(image["shape"], ratios, strict=True)
        image["shape"] = [max(round(n * ratio), 1) for n, ratio in sizes]
    if len(masks) > 1:
        log.notes.append(
            "generated_image_shape: empty, each mask gave its own image size; all cases now have "
            "that of the first mask"
        )


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
        log.notes.append(
            f"break_criterion_positions, break_criterion_objects: {tries[0]} places for each of "
            f"{tries[1]} nuclei in a row; now {tissue['break_criterion']} places in a row"
        )
    if old.max_overlap is not None:
        tissue["max_overlap"] = min(old.max_overlap, 0.5)
        if old.max_overlap > 0.5:
            log.notes.append(f"max_overlap: {old.max_overlap:g} is more than the 0.5 possible here")
    if old.min_dist is not None and old.px_size_sim_img:
        size = old.px_size_sim_img
        tissue["gap_um"] = tidy(old.min_dist * size[2])
        if old.min_dist:
            log.notes.append(
                f"min_dist: was {old.min_dist * size[0]:g} µm along z and {tissue['gap_um']:g} µm "
                "across; the latter now holds for all directions"
            )
    return tissue


def _nuclei(old: Published, log: Migration) -> Recipe:
    """Return the sources of nuclei, clusters of another kind, fragments, and cells around them."""
    alone = (old.input_phantom_folder,) if old.input_phantom_folder else ()
    folders = old.input_phantom_folders or alone
    spacing = {"phantoms_um": list(old.px_size_phantom_img)} if old.px_size_phantom_img else {}
    shares = old.input_phantom_folders_prop or (1.0,) * len(folders)
    nucleus: Recipe = {"brightness_spread": 0.0, "mitotic_fraction": 0.0}
    log.notes.append(
        "nucleus: brightness_spread and mitotic_fraction are 0, the stored nuclei bring their own"
    )
    if len(folders) == 1:
        nucleus |= {"phantoms": folders[0], **spacing}
    kinds: list[Recipe] = [
        {"name": f"kind{number}", "share": share, "phantoms": place, **spacing}
        for number, (place, share) in enumerate(zip(folders, shares, strict=True), start=1)
    ]
    if old.fragment_probability:
        nucleus["apoptotic_fraction"] = old.fragment_probability
    if old.input_fragment_folder and old.fragment_probability:
        log.untranslated.append(
            "input_fragment_folder: fragments of dying nuclei are drawn, not taken from files"
        )
    made: Recipe = {"nucleus": nucleus}
    clusters = _subcultures(old, log)
    if clusters:
        stranger: Recipe = {"name": "subculture", "share": 0.0}
        stranger["phantoms"] = old.input_subculture_folder
        if old.px_size_subculture_phantoms:
            stranger["phantoms_um"] = list(old.px_size_subculture_phantoms)
        kinds = [*(kinds or [{"name": "nucleus", "share": 1.0}]), stranger]
        made["subcultures"] = clusters
    if len(kinds) > 1:
        made["kinds"] = kinds
    if old.fragment_probability:
        made["debris"] = {"fragment_share": 0.05, "fragment_brightness": 10.0}
    if old.volume_ratio_phantom is not None:
        made["cells"] = {"enabled": True}
        log.untranslated.append(
            f"volume_ratio_phantom: {old.volume_ratio_phantom:g} of each given cell was filled "
            "with a nucleus; here cells are grown around packed nuclei, and masks say only where "
            "tissue is"
        )
    return made


def _subcultures(old: Published, log: Migration) -> list[Recipe]:
    """Return the balls that hold another kind of nuclei."""
    if not (old.num_of_subcultures and old.input_subculture_folder):
        if old.num_of_subcultures:
            log.untranslated.append("num_of_subcultures: no input_subculture_folder is given")
        return []
    cluster: Recipe = {"kind": "subculture", "count": old.num_of_subcultures}
    width, height, size = old.subculture_radius_xy, old.subculture_radius_z, old.px_size_sim_img
    if width and height and size:
        steps = max(int(width / height), 1)  # voxels across per voxel along z
        diameter = min(width, height * steps)
        cluster["diameter_um"] = tidy(diameter * size[2])
        cluster["flattening"] = tidy(diameter / steps * size[0] / (diameter * size[2]))
        log.notes.append(
            "subculture_radius_xy, subculture_radius_z: full widths in voxels of the simulation in "
            f"spite of their names; {cluster['diameter_um']:g} µm wide, flattening "
            f"{cluster['flattening']:g}"
        )
    if old.subculture_min_dist:
        log.untranslated.append("subculture_min_dist: the distance is tissue.gap_um for all kinds")
    return [cluster]
