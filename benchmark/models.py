"""Models on the side of the runner: those that a user names, and the choice of an algorithm."""

import difflib
import shutil
import tarfile
import zlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from pathlib import Path
from types import MappingProxyType

from cytosuite.benchmark.catalog import ROOT, algorithms, model_homes
from cytosuite.errors import InputError, ModelError
from cytosuite.files import digest
from cytosuite.manifest import AlgorithmManifest, ModelCard, read_card
from cytosuite.select import Value, select
from cytosuite.weights import open_model, read_cards

Models = Mapping[str, Path]  # the card that a user names, by algorithm


def named_models(text: str | None, names: Sequence[str]) -> dict[str, Path]:
    """Return the card that a user names, for each algorithm that has it.

    Parameters
    ----------
    text : str or None
        Name of a card in ``weights/``, ours or the user's, or the path of a card with its weights
        in the same folder.
    names : sequence of str
        Algorithms that come into question.

    Raises
    ------
    InputError
        If there is no such card, or it belongs to none of the algorithms.
    """
    if not text:
        return {}
    if is_tarball(text):
        raise InputError(f"{text}: a tarball is for images of others; give a model card (.json)")
    path = Path(text)
    if path.suffix == ".json" or len(path.parts) > 1:
        if not path.is_file():
            raise InputError(f"{path}: no such model card; expected <name>.json")
        card = read_card(path)
        if card.algorithm not in names:
            raise InputError(
                f"{path}: expected a model of {' or '.join(names)}, found one of {card.algorithm}"
            )
        return {card.algorithm: path}
    folders = [home / name for home in model_homes() for name in names]
    cards = [path for folder in folders for path in sorted(folder.glob("*.json"))]
    if found := {path.parent.name: path for path in cards if path.stem == text}:
        return found
    known = sorted({path.stem for path in cards})
    near = difflib.get_close_matches(text, known, n=3, cutoff=0.5) or known
    raise InputError(
        f"no model called {text!r} of {' or '.join(names)}; nearest: {', '.join(near) or 'none'}; "
        "or give the path of a card (.json)"
    )


def need_weights(names: Iterable[str], models: Models) -> None:
    """Refuse weights that are missing or altered, before a result is made with them or lost.

    Parameters
    ----------
    names : iterable of str
        Algorithms that will run.
    models : mapping of str to Path
        Cards that the user names.

    Raises
    ------
    ModelError
        If the weights of a card are not those that it names.
    """
    for name in dict.fromkeys(names):
        folder = models[name].parent if name in models else ROOT / "weights" / name
        for card in cards_of(name, models):
            open_model(folder, card)


def identity_with(models: Models, algorithm: str, identity: str) -> str:
    """Return the identity of an algorithm's program together with that of its named model."""
    if algorithm not in models:
        return identity
    card = models[algorithm]
    return f"{identity}, model {digest(_files(card), card.parent)}"


def hand_over(card: Path, folder: Path) -> Path:
    """Copy a card and its weights into a new folder that any user can read, and return it."""
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    for path in _files(card):
        shutil.copyfile(path, folder / path.name)
        (folder / path.name).chmod(0o644)
    return folder


def is_tarball(text: str | None) -> bool:
    """Return whether a user's word for a model means a tarball of models."""
    return (text or "").endswith((".tar.gz", ".tgz"))


def unpack(tarball: Path, folder: Path) -> Path:
    """Unpack a tarball of models into a new folder that any user can read, and return it.

    Raises
    ------
    InputError
        If it cannot be read, or an entry would leave the folder.
    """
    folder.mkdir(parents=True)
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            archive.extractall(folder, filter="data")
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise InputError(f"{tarball}: cannot be unpacked as a tarball of models: {error}") from None
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    return folder


def choose_algorithm(
    candidates: Sequence[AlgorithmManifest], facts: Mapping[str, Value], models: Models
) -> AlgorithmManifest:
    """Return the first algorithm with a model that fits an image.

    Parameters
    ----------
    candidates : sequence of AlgorithmManifest
        Of one task, preferred ones first.
    facts : mapping
        Metadata of the image, see `cytosuite.select.describe`.
    models : mapping of str to Path
        Cards that the user names.

    Returns
    -------
    AlgorithmManifest
        The first with a card that passes every ``must``; else the one whose card breaks the
        fewest.

    Raises
    ------
    ModelError
        If no candidate has a model for the axes; the message names an algorithm that has one.
    """
    doubtful: list[tuple[int, AlgorithmManifest]] = []
    reasons = []
    for candidate in candidates:
        try:
            chosen = select(cards_of(candidate.name, models), facts, candidate.select)
        except ModelError as error:
            reasons.append(str(error))
            continue
        if not chosen.fallback:
            return candidate
        doubtful.append((len(chosen.broken), candidate))
    if not doubtful:
        raise ModelError(f"{'; '.join(reasons)}{_remedy(candidates[0].task, facts)}")
    return min(doubtful, key=lambda pair: pair[0])[1]


def preferred(task: str, *, every: bool = False) -> list[AlgorithmManifest]:
    """Return the algorithms of a task from which one is chosen by the image, in their order.

    Parameters
    ----------
    task : str
        Name of the task.
    every : bool
        Whether to give also those without a preference, last.
    """
    found = [known for known in algorithms().values() if known.task == task]
    chosen = [known for known in found if known.preference or every]
    return sorted(chosen, key=lambda known: (known.preference or inf, known.name))


def choice_digest(name: str) -> str:
    """Return the SHA-256 of an algorithm's manifest and model cards, which decide a choice."""
    home = ROOT / "algorithms" / name / "algorithm.toml"
    return digest([home, *(ROOT / "weights" / name).glob("*.json")], ROOT)


def lacks_model(
    algorithm: AlgorithmManifest, axes: Collection[str], models: Models = MappingProxyType({})
) -> str:
    """Return the reason why an algorithm has no model for any of these axes, empty if it has.

    Parameters
    ----------
    algorithm : AlgorithmManifest
        Chooses among its cards, or has the one that the user names.
    axes : collection of str
        Of the images of a dataset; without any, none is lacking.
    models : mapping of str to Path
        Cards that the user names.
    """
    reason = ""
    for own in axes:
        try:
            choose_algorithm([algorithm], {"axes": own}, models)
        except ModelError as error:
            reason = str(error)
        else:
            return ""
    return reason


def _remedy(task: str, facts: Mapping[str, Value]) -> str:
    """Return the advice to take an algorithm and a model that fit, where there are any."""
    for other in preferred(task):
        try:
            chosen = select(cards_of(other.name, {}), facts, other.select)
        except ModelError:
            continue
        return f"; {other.name} has {chosen.card.name}"
    return ""


def cards_of(name: str, models: Models) -> list[ModelCard]:
    """Return the cards from which an algorithm's container chooses."""
    return (
        [read_card(models[name])] if name in models else read_cards(ROOT / "weights" / name, name)
    )


def _files(card: Path) -> list[Path]:
    """Return a card and its weights file, which must be there."""
    weights = read_card(card).weights
    if weights is None:
        return [card]
    path = card.parent / Path(weights).name
    if not path.is_file():
        raise ModelError(f"{card}: its weights {path.name} are not in the same folder")
    return [card, path]
