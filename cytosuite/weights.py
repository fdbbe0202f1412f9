"""The models of an algorithm: cards, and weights with verified digests."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cytosuite.errors import ModelError
from cytosuite.files import file_digest
from cytosuite.manifest import ModelCard, read_card

SAFE = ".safetensors"


@dataclass(frozen=True, slots=True)
class Model:
    """A chosen model: its card and its verified weights file, if it has one."""

    card: ModelCard
    weights: Path | None = None


def read_cards(folder: Path, algorithm: str) -> list[ModelCard]:
    """Return the model cards in a folder, sorted by name.

    Parameters
    ----------
    folder : Path
        Holds ``<model>.json`` and, for networks, ``<model>.safetensors``.
    algorithm : str
        The algorithm they must belong to.

    Raises
    ------
    ModelError
        If a card is one of another algorithm.
    InputError
        If a card is not valid.
    """
    cards = [read_card(path) for path in sorted(folder.glob("*.json"))]
    for card in cards:
        if card.algorithm != algorithm:
            raise ModelError(
                f"{folder}/{card.name}.json: expected a model of {algorithm}, "
                f"found one of {card.algorithm}"
            )
    return cards


def find_folder(folders: Sequence[Path]) -> Path:
    """Return the first folder that holds a model card.

    Raises
    ------
    ModelError
        If none does.
    """
    for folder in folders:
        if any(folder.glob("*.json")):
            return folder
    names = ", ".join(str(folder) for folder in folders)
    raise ModelError(f"no model card (*.json) in {names}; mount a model folder or build one in")


def open_model(folder: Path, card: ModelCard) -> Model:
    """Return a model after verifying that its weights, if any, are those of its card.

    Raises
    ------
    ModelError
        If the file is no safetensors, missing, or its SHA-256 is not the card's.
    """
    if card.weights is None:
        return Model(card)
    path = folder / card.weights
    if path.suffix != SAFE:
        raise ModelError(
            f"{path}: expected weights as {SAFE}, which alone are exported and never run code; "
            f"convert them: cytosuite weights {path} {folder / card.name}.json"
        )
    if not path.is_file():
        raise ModelError(f"{path}: the weights of model {card.name} are missing")
    found = file_digest(path)
    if found != card.sha256:
        raise ModelError(
            f"{path}: expected SHA-256 {card.sha256}, found {found}; the file was altered"
        )
    return Model(card, path)
