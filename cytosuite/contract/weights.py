"""The models of an algorithm: cards, and weights with verified digests."""

import re
import subprocess
from collections.abc import Sequence
from getpass import getuser
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Any

from cytosuite.contract.manifest import ModelCard, Use, Uses, parse, read_card
from cytosuite.errors import InputError, ModelError
from cytosuite.errors.packages import install
from cytosuite.files import Entries, atomic, file_digest, frozen, need_file, read_json, write_json

SAFE = ".safetensors"
USES = "use.rules"  # in a folder of models
MODELS = "cytosuite_models"  # package of all weights; the wheel holds the cards alone
_HOME = Path(__file__).resolve().parents[1] / "weights"  # of a wheel; a link in a checkout
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


@frozen
class Model:
    """A chosen model: its card and its verified weights file, if it has one."""

    card: ModelCard
    weights: Path | None = None


def read_cards(folder: Path, algorithm: str) -> list[ModelCard]:
    """Return the model cards in a folder, sorted by name; `ModelError` for another algorithm's."""
    cards = [read_card(path) for path in sorted(folder.glob("*.json"))]
    for card in cards:
        if card.algorithm != algorithm:
            raise ModelError(
                f"{folder}/{card.name}.json: expected a model of {algorithm}, found one of "
                f"{card.algorithm}"
            )
    return in_use(cards, uses(folder))


def uses(folder: Path) -> tuple[Use, ...]:
    """Return the rules of a folder of models, see `Uses`; none without their file."""
    path = folder / USES
    return parse(path, read_json(path), Uses).use if path.is_file() else ()


def in_use(cards: Sequence[ModelCard], rules: Sequence[Use]) -> list[ModelCard]:
    """Return cards with the rules that name them; ModelError for a rule that names none."""
    places = [*enumerate(rules)]
    if lost := {rule.model for rule in rules} - {card.name for card in cards}:
        raise ModelError(f"{USES}: there is no model called {min(lost)}; remove its rule")
    return [
        card.model_copy(update={"used": {n: r.images for n, r in places if r.model == card.name}})
        for card in cards
    ]


def module_of(algorithm: str, part: str, lack: str) -> Any:  # noqa: ANN401 - a module
    """Return a module of an algorithm; InputError that ends with `lack` where it has none."""
    name = f"cytosuite.algorithms.{algorithm}.{part}"
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if not f"{name}.".startswith(f"{error.name}."):
            raise
        raise InputError(f"algorithms/{algorithm}: {lack}") from None


def trained_on(card: ModelCard) -> str:
    """Return the datasets of a training, comma-separated; else why there are none."""
    if not card.weights:
        return "no training"
    return ", ".join(map(str, card.trained.get("of", ()))) or "not said"


def find_folder(folders: Sequence[Path]) -> Path:
    """Return the first folder that holds a model card; `ModelError` without one, or below it."""
    for folder in folders:
        if any(folder.glob("*.json")):
            return folder
        if deeper := next(folder.glob("*/*.json"), None):  # nobody meant the next folder's
            raise ModelError(
                f"{folder}: expected model cards (*.json) in it, found "
                f"{deeper.relative_to(folder)}; pack or mount them without their folder"
            )
    names = ", ".join(str(folder) for folder in folders)
    raise ModelError(
        f"no model card (*.json) in {names}; make one of weights: cytosuite model add FILE --like "
        "ALGORITHM --name NAME, or mount a folder of models"
    )


def weights_file(folder: Path, card: ModelCard) -> Path:
    """Return the weights next to a card, or in `MODELS` where cytosuite is installed."""
    path = folder / str(card.weights)
    if path.is_file() or folder.parent != _HOME or (spec := find_spec(MODELS)) is None:
        return path
    return Path(*(spec.submodule_search_locations or ())[:1], card.algorithm, path.name)


def open_model(folder: Path, card: ModelCard) -> Model:
    """Return a model after verifying the digest of its weights, if it has any."""
    if card.weights is None:
        return Model(card)
    path = weights_file(folder, card)
    if path.suffix != SAFE:
        raise ModelError(
            f"{path}: expected weights as {SAFE}, which alone are exported and never run code; "
            f"convert them: cytosuite model add {path} --like {folder / card.name}.json --name NAME"
        )
    if not path.is_file():
        remedy = f": {install([MODELS])}" if folder.parent == _HOME else ""
        raise ModelError(f"{path}: the weights of model {card.name} are missing{remedy}")
    digest = file_digest(path)
    if digest != card.sha256:
        raise ModelError(
            f"{path}: expected SHA-256 {card.sha256}, found {digest}; the file was altered"
        )
    return Model(card, path)


def new_card(folder: Path, name: str) -> Path:
    """Return the path of a new model's card; InputError for a bad or taken name or folder."""
    if not NAME.fullmatch(name):
        raise InputError(f"--name: expected up to 100 letters of a-z 0-9 . _ -, found {name!r}")
    card = folder / f"{name}.json"
    if card.exists():
        raise InputError(
            f"{card}: a model of this name exists; give another name, or remove it with its weights"
        )
    need_file(card)
    return card


def write_model(card: Path, entries: Entries, weights: bytes = b"") -> Path:
    """Write weights, if any, and the card that names them, once it is checked; return its path."""
    file = card.with_suffix(SAFE)
    named = {"weights": file.name, "sha256": sha256(weights).hexdigest(), "bytes": len(weights)}
    checked = parse(card, {**entries, **(named if weights else {})}, ModelCard)
    if weights:
        with atomic(file) as temporary:
            temporary.write_bytes(weights)
    write_json(card, checked.model_dump(mode="json"))
    return card


def user() -> str:
    """Return git's ``user.name`` or, without it, the name of the account."""
    git = which("git")
    if git is not None:
        asked = subprocess.run([git, "config", "user.name"], capture_output=True, check=False)
        if name := asked.stdout.decode(errors="replace").strip():
            return name
    return getuser()


def weights_of(model: Model) -> Path:
    """Return the weights of a model of a tool; `ModelError` of a card without any."""
    if not model.weights:
        name = model.card.algorithm
        raise ModelError(
            f"card {model.card.name}: it names no weights; train a model (cytosuite train {name} "
            f"DATASET --name NAME), make one of weights (cytosuite model add FILE --like {name} "
            "--name NAME), or name a file that the tool wrote (MODEL=path)"
        )
    return model.weights
