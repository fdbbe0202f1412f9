"""Simulated datasets by name or recipe: their parameters, a user's settings, their cases."""

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel

from cytosuite.contract.manifest import (
    MOST_CASES,
    DatasetManifest,
    merged,
    parse,
    read_dataset,
    read_recipe,
)
from cytosuite.errors import InputError, at, pick, reason_of
from cytosuite.files import Entries, Json, Paths, TextDict, Texts, TextSeq, digest

if TYPE_CHECKING:
    import numpy as np

    from cytosuite.datasets.sample import Sample

SET = "--set"  # the option of a user's own settings
BYSTANDERS = {"calibration", "migration"}  # a room and a module that no simulation imports
HOME = Path(__file__).parent


class Simulated(NamedTuple):
    """Parameters of a simulated dataset, the algorithms its cases pass, its reference images."""

    manifest: DatasetManifest
    title: str
    size: str
    cases: int
    parameters: BaseModel
    through: Texts = ()
    reference: Path | None = None
    task: str = ""  # where it is not the manifest's


def dataset_manifests() -> dict[str, DatasetManifest]:
    """Return the manifests of all datasets, by name."""
    return {path.parent.name: read_dataset(path) for path in sorted(HOME.glob("*/dataset.toml"))}


def simulations() -> dict[str, DatasetManifest]:
    """Return the manifests of the simulated datasets, by name."""
    return {name: m for name, m in dataset_manifests().items() if m.kind == "simulated"}


def recipes() -> Paths:
    """Return the recipes that come with the datasets: ``spheroid/<recipe>`` and their files."""
    paths = sorted(HOME.glob("*/recipes/*.toml"))
    return {f"{path.parent.parent.name}/{path.stem}": path for path in paths}


def simulate(
    dataset: str,
    cases: int | None = None,
    *,
    size: str | None = None,
    seed: int = 0,
    settings: TextSeq = (),
) -> "Iterator[Sample]":
    """Yield simulated images with their annotation, the same as ``cytosuite simulate`` makes.

    Parameters
    ----------
    dataset : str
        Name of a simulated dataset, ``name/recipe``, or the path of a recipe (``.toml``).
    cases : int, optional
        How many; as size or recipe says without it.
    size : str, optional
        ``mini``, ``default`` or ``full``, of a name alone.
    seed : int
        Of everything drawn; each case has a stream of its own.
    settings : sequence of str
        Parameters over those of the recipe, like ``"camera.photons=40"``.

    Yields
    ------
    Sample
        `Sample.volume` gives the image, ``"microscopy-image"`` (Z, Y, X), and its labels,
        ``"instance-labels"``, with voxel size in µm; `Sample.metadata` the drawn values. Where a
        recipe ends in algorithms, images are those before them.

    Raises
    ------
    InputError
        If there is no such dataset, size or recipe, or a parameter is wrong.

    Examples
    --------
    >>> (sample,) = simulate("spheroid", 1, size="mini")
    >>> sample.volume("microscopy-image").shape == sample.volume("instance-labels").shape
    True
    """
    import numpy as np  # the names of all datasets need none of it

    chosen = simulated(dataset, size, cases, settings)
    if not chosen:
        pick("simulated dataset", [dataset], simulations())
        raise InputError(f"{dataset}: expected a simulated dataset, found another kind")
    for stream in np.random.SeedSequence(seed).spawn(chosen.cases):
        yield simulate_case(chosen.manifest.name, stream, chosen.parameters)


def simulate_case(name: str, stream: "np.random.SeedSequence", parameters: BaseModel) -> "Sample":
    """Return one case of a dataset from its own random stream."""
    import numpy as np

    movie = getattr(parameters, "frames", 1) > 1
    module = importlib.import_module(
        f"cytosuite.datasets.{name}.{'series' if movie else 'generate'}"
    )
    # A seed sequence counts its children: a fresh one gives the same stream however often.
    fresh = np.random.SeedSequence(stream.entropy, spawn_key=stream.spawn_key)
    sample: Sample = module.generate(np.random.default_rng(fresh), parameters)
    return sample


def simulated(
    dataset: str, size: str | None, cases: int | None = None, settings: TextSeq = ()
) -> Simulated | None:
    """Return a dataset by ``name``, ``name/recipe`` or ``.toml``; None if it is not simulated."""
    if cases is not None and not 0 < cases <= MOST_CASES:
        raise InputError(f"CASES={cases}: expected 1 to {MOST_CASES} cases")
    manifests = simulations()
    paths = recipes()
    if dataset.split("/")[0] in manifests and "/" in dataset and not Path(dataset).exists():
        pick("recipe", [dataset], paths)
    path = paths.get(dataset, Path(dataset))
    if path.suffix == ".toml":
        if size is not None:
            raise InputError(f"SIZE={size}: a recipe has the size it has; leave SIZE out")
        recipe = read_recipe(path)
        with at(path):
            pick("simulated dataset", [recipe.dataset], manifests)
        manifest = manifests[recipe.dataset]
        home = path.resolve().parent
        return Simulated(
            manifest,
            recipe.title,
            path.stem,
            cases or recipe.cases,
            _with_settings(path, manifest, recipe.parameters, home, settings),
            recipe.through,
            home / recipe.reference if recipe.reference else None,
            recipe.task or "",
        )
    if dataset not in manifests:
        return None
    manifest = manifests[dataset]
    size = size or "default"
    pick(f"size of {manifest.name}", [size], manifest.sizes)
    chosen = manifest.sizes[size]
    place = f"datasets/{manifest.name}/dataset.toml: sizes.{size}"
    parameters = _with_settings(place, manifest, chosen.parameters, None, settings)
    return Simulated(manifest, manifest.title, size, cases or chosen.cases, parameters)


def sources(name: str) -> str:
    """Return the digest of the code that simulates a dataset: its folder, used and shared ones."""
    shared = [
        path.parent
        for path in HOME.glob("*/__init__.py")
        if path.parent.name not in BYSTANDERS and not path.with_name("dataset.toml").exists()
    ]
    modules = [
        path
        for room in (*shared, *map(HOME.joinpath, (name, *dataset_manifests()[name].uses)))
        for path in room.rglob("*.py")
        if path.stem not in BYSTANDERS
    ]
    return digest([*HOME.glob("*.py"), *modules], HOME.parent)


def files(parameters: BaseModel) -> TextDict:
    """Return the files that parameters refer to, each with the digest of its content."""
    from cytosuite.datasets.ranges import files_in  # the names of all datasets need none of it

    return {str(path): digest([path], path.parent) for path in files_in(parameters)}


def _settings(settings: TextSeq) -> Json:
    """Return settings like ``camera.photons=5`` as nested parameters."""
    values: Json = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set must be like camera.photons=5, found {setting!r}")
        try:
            nested = tomllib.loads(f"{key} = {value}")
        except (tomllib.TOMLDecodeError, RecursionError):
            try:
                nested = tomllib.loads(f"{key} = '{value}'")  # a word without quotation marks
            except tomllib.TOMLDecodeError as error:
                raise InputError(f"--set {setting}: {error}") from None
        values = merged(values, nested)
    return values


def _with_settings(
    place: Path | str,
    manifest: DatasetManifest,
    changes: Entries,
    folder: Path | None,
    settings: TextSeq,
) -> BaseModel:
    """Return checked parameters of a size or recipe, with a user's own settings over them."""
    values = merged(manifest.parameters, changes)
    name = manifest.name
    if not settings:
        return _checked(place, values, name, folder)
    stated = _settings(settings)
    try:
        return _checked(SET, values, name, folder, stated)
    except InputError as error:
        text = reason_of(error, SET)
        try:
            _checked(place, values, name, folder)
        except InputError as former:
            if reason_of(former, str(place)) == text:  # no setting mends it
                raise former from None
        # Else one of the settings is wrong.
        for setting in settings:
            key = setting.partition("=")[0].strip()
            if text.startswith((f"{key}: ", f"{key} ")):
                raise InputError(f"{SET} {setting}{text.removeprefix(key)}") from None
        raise InputError(f"{SET} {', '.join(settings)}: {text}") from None


def _checked(
    place: Path | str,
    values: Entries,
    name: str,
    folder: Path | None,
    stated: Entries | None = None,
) -> BaseModel:
    """Return parameters, with stated ones over them, which the dataset has checked."""
    module = importlib.import_module(f"cytosuite.datasets.{name}.generate")
    if stated:
        arranged = getattr(module.Parameters, "arranged", dict)  # of older keys
        with at(place):
            values = merged(arranged(values), arranged(stated))
    parameters: BaseModel = parse(place, values, module.Parameters, folder)
    with at(place):
        return module.check(parameters) if hasattr(module, "check") else parameters
