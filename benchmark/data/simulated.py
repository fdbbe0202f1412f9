"""Parameters of a simulated dataset: a size or a recipe, and a user's own settings."""

import importlib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from cytosuite.benchmark.catalog.catalog import dataset_manifests, recipes
from cytosuite.benchmark.catalog.places import PACKAGE, pick
from cytosuite.contract.manifest import MOST_CASES, DatasetManifest, merged, parse, read_recipe
from cytosuite.errors import InputError, at
from cytosuite.files import digest

SET = "--set"  # the option of a user's own settings
BYSTANDERS = {"calibration", "migration"}  # rooms that no simulation imports


class Simulated(NamedTuple):
    """Parameters of a simulated dataset, the algorithms its cases pass, its reference images."""

    manifest: DatasetManifest
    title: str
    size: str
    cases: int
    parameters: BaseModel
    through: tuple[str, ...] = ()
    reference: Path | None = None
    task: str = ""  # where it is not the manifest's


def simulated(
    wanted: str, size: str | None, cases: int | None = None, settings: Sequence[str] = ()
) -> Simulated | None:
    """Return a dataset by ``name``, ``name/recipe`` or ``.toml``; None if it is not simulated."""
    if cases is not None and not 0 < cases <= MOST_CASES:
        raise InputError(f"CASES={cases}: expected 1 to {MOST_CASES} cases")
    manifests = {name: m for name, m in dataset_manifests().items() if m.kind == "simulated"}
    known = recipes()
    if wanted.split("/")[0] in manifests and "/" in wanted and not Path(wanted).exists():
        pick("recipe", [wanted], known)
    path = known.get(wanted, Path(wanted))
    if path.suffix == ".toml":
        if size is not None:
            raise InputError(f"SIZE={size}: a recipe has the size it has; leave SIZE out")
        found = read_recipe(path)
        with at(path):
            pick("simulated dataset", [found.dataset], manifests)
        manifest = manifests[found.dataset]
        values = merged(manifest.parameters, found.parameters)
        home = path.resolve().parent
        return Simulated(
            manifest,
            found.title,
            path.stem,
            cases or found.cases,
            _with_settings(path, values, manifest.name, home, settings),
            found.through,
            home / found.reference if found.reference else None,
            found.task or "",
        )
    if wanted not in manifests:
        return None
    manifest, size = manifests[wanted], size or "default"
    if size not in manifest.sizes:
        pick(f"size of {manifest.name}", [size], manifest.sizes)
    chosen = manifest.sizes[size]
    values = merged(manifest.parameters, chosen.parameters)
    place = f"datasets/{manifest.name}/dataset.toml: sizes.{size}"
    parameters = _with_settings(place, values, manifest.name, None, settings)
    return Simulated(manifest, manifest.title, size, cases or chosen.cases, parameters)


def sources(name: str) -> str:
    """Return the digest of the code that simulates a dataset: its folder, used and shared ones."""
    folder = PACKAGE / "datasets"
    shared = [
        path.parent for path in folder.glob("*/__init__.py") if path.parent.name not in BYSTANDERS
    ]
    used = dataset_manifests()[name].uses
    rooms = [path for path in shared if not (path / "dataset.toml").exists()]
    modules = [
        path
        for room in (*rooms, *(folder / each for each in (name, *used)))
        for path in room.rglob("*.py")
        if not BYSTANDERS & set(path.relative_to(room).parts)
    ]
    return digest([*folder.glob("*.py"), *modules], PACKAGE)


def files(parameters: BaseModel) -> dict[str, str]:
    """Return the files that parameters refer to, each with the digest of its content."""
    paths: Sequence[Path] = getattr(parameters, "files", tuple)()
    return {str(path): digest([path], path.parent) for path in paths}


def _settings(settings: Sequence[str]) -> dict[str, Any]:
    """Return settings like ``camera.photons=5`` as nested parameters."""
    values: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set must be like camera.photons=5, found {setting!r}")
        try:
            found = tomllib.loads(f"{key} = {value}")
        except (tomllib.TOMLDecodeError, RecursionError):
            try:
                found = tomllib.loads(f"{key} = '{value}'")  # a word without quotation marks
            except tomllib.TOMLDecodeError as error:
                raise InputError(f"--set {setting}: {error}") from None
        values = merged(values, found)
    return values


def _with_settings(
    place: Path | str,
    values: Mapping[str, Any],
    name: str,
    folder: Path | None,
    settings: Sequence[str],
) -> BaseModel:
    """Return checked parameters of a size or recipe, with a user's own settings over them."""
    parameters = _checked(place, values, name, folder)
    if not settings:
        return parameters
    own = _settings(settings)
    try:
        return _checked(SET, merged(values, own), name, folder)
    except InputError as error:
        # The parameters were right without the settings: one of these is wrong.
        text = str(error).removeprefix(f"{SET}: ")
        for setting in settings:
            key = setting.partition("=")[0].strip()
            if text.startswith((f"{key}: ", f"{key} ")):
                raise InputError(f"{SET} {setting}{text.removeprefix(key)}") from None
        raise InputError(f"{SET} {', '.join(settings)}: {text}") from None


def _checked(place: Path | str, values: object, name: str, folder: Path | None) -> BaseModel:
    """Return parameters which the dataset has checked."""
    module = importlib.import_module(f"cytosuite.datasets.{name}.generate")
    parameters: BaseModel = parse(place, values, module.Parameters, folder)
    with at(place):
        return module.check(parameters) if hasattr(module, "check") else parameters
