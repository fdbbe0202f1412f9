"""The algorithms, their models that a user names, and the choice of an algorithm by the runner."""

import difflib
import shutil
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cytosuite.benchmark.catalog.places import ROOT, model_homes
from cytosuite.contract.manifest import AlgorithmManifest, ModelCard, Use, read_algorithm, read_card
from cytosuite.contract.select import FOLDER, Facts, select
from cytosuite.contract.weights import USES, open_model, read_cards, uses, weights_file
from cytosuite.errors import InputError, ModelError, pick
from cytosuite.files import Paths, Texts, TextSeq, digest

ALL = "all"  # in place of names: the optional algorithms too
NAMED = 8  # parameters in which models differ, in a sentence
Models = Paths  # the card that a user names, by algorithm


def algorithms(root: Path = ROOT) -> dict[str, AlgorithmManifest]:
    """Return the manifests of all algorithms in the checkout, by name."""
    paths = sorted((root / "algorithms").glob("*/algorithm.toml"))
    return {path.parent.name: read_algorithm(path) for path in paths}


def asked_for(words: Sequence[str], manifests: Mapping[str, AlgorithmManifest]) -> list[str]:
    """Return the named algorithms; of ``all`` every one, without words those not optional."""
    if list(words) == [ALL]:
        return list(manifests)
    return (
        pick("algorithm", words, manifests)
        if words
        else [n for n in manifests if not manifests[n].optional]
    )


def named_models(text: str | None, names: TextSeq) -> Paths:
    """Return the card of a name or path for each algorithm that has it; InputError without one."""
    if not text:
        return {}
    if is_tarball(text):
        raise InputError(f"{text}: a tarball is for images of others; give a model card (.json)")
    program, colon, model = text.partition(":")
    if colon and program in algorithms():
        if program not in names or not model:
            raise InputError(f"{text}: expected the name of a model of {' or '.join(names)}")
        return named_models(model, [program])
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
    if matches := {path.parent.name: path for path in cards if path.stem == text}:
        return matches
    stems = sorted({path.stem for path in cards})
    near = difflib.get_close_matches(text, stems, n=3, cutoff=0.5) or stems
    raise InputError(
        f"no model called {text!r} of {' or '.join(names)}; nearest: {', '.join(near) or 'none'}; "
        "or give the path of a card (.json)"
    )


def own_models(words: Iterable[str]) -> dict[str, Path | None]:
    """Return the card of each ``algorithm:model`` by its name in a run, None of an algorithm."""
    cards: dict[str, Path | None] = {}
    for word in words:
        name, colon, model = word.partition(":")
        if colon and not model:
            raise InputError(f"{word}: expected the name of a model after the colon, found none")
        path = named_models(model, [name])[name] if colon else None
        if path:
            name = f"{name}:{path.stem}"
        if cards.setdefault(name, path) != path:
            raise InputError(f"{path}: a second model called {name}; give it another name")
    return cards


def unlike(cards: Paths) -> list[str]:
    """Return a sentence on the parameters in which the models of an algorithm differ, or do not."""
    by_algorithm = defaultdict(list)
    for card in map(read_card, cards.values()):
        by_algorithm[card.algorithm].append(card)
    sentences = []
    for name, siblings in by_algorithm.items():
        differing = []
        theirs = {card.name: dict(leaves(card.parameters)) for card in siblings}
        for key in dict.fromkeys(key for parameters in theirs.values() for key in parameters):
            values = {card: parameters.get(key) for card, parameters in theirs.items()}
            if any(value != values[siblings[0].name] for value in values.values()):
                differing.append(
                    f"{'.'.join(key)} ({', '.join(f'{n} {v}' for n, v in values.items())})"
                )
        if (more := len(differing) - NAMED) > 0:
            differing[NAMED:] = [f"{more} more"]
        how = f"other parameters: {'; '.join(differing)}" if differing else "the same parameters"
        if len(siblings) > 1:
            sentences.append(f"The models of {name} have {how}.")
    return sentences


def leaves(value: object, path: Texts = ()) -> Iterator[tuple[Texts, Any]]:
    """Yield the values of nested objects by their path."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    else:
        yield path, value


def need_model(name: str, models: Models) -> None:
    """Refuse an algorithm without any model."""
    if not cards_of(name, models):
        raise ModelError(
            f"{name} comes without a model: train one (cytosuite train {name} DATASET --name "
            f"NAME), or make one of weights (cytosuite model add FILE --like {name} --name NAME)"
        )


def need_weights(names: Iterable[str], models: Models) -> None:
    """Refuse weights that are missing or altered, before a result is made with them or lost."""
    for name in dict.fromkeys(names):
        folder = models[name].parent if name in models else ROOT / "weights" / name
        for card in cards_of(name, models):
            open_model(folder, card)


def identity_with(models: Models, algorithm: str, identity: str) -> str:
    """Return the identity of an algorithm's program and of its named model."""
    if algorithm not in models:
        return identity
    card = models[algorithm]
    # Weights of another package stand in the card with their digest.
    files = [path for path in _files(card) if path.parent == card.parent]
    return f"{identity}, model {digest(files, card.parent)}"


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


def choose_algorithm(
    candidates: Sequence[AlgorithmManifest], facts: Facts, models: Models
) -> AlgorithmManifest:
    """Return the first algorithm with a model that passes every ``must``, or breaks the fewest."""
    fitting = []
    reasons = []
    some = any(candidate.preference for candidate in candidates)
    for candidate in candidates:
        try:
            chosen = select(cards_of(candidate.name, models), facts, candidate.select)
        except ModelError as error:
            reasons.append(str(error))
            continue
        if chosen.by == "use":
            fitting.append((-inf, candidate))
        elif candidate.preference or candidate.name in models or not some:
            fitting.append((len(chosen.broken), candidate))
    if not fitting:
        raise ModelError(f"{'; '.join(reasons)}{_remedy(candidates[0].task, facts)}")
    return min(fitting, key=lambda pair: pair[0])[1]


def preferred(task: str, *, every: bool = False) -> list[AlgorithmManifest]:
    """Return the algorithms of a task in the order of choice, and those with a model in use.

    With `every` all others follow.
    """
    manifests = [manifest for manifest in algorithms().values() if manifest.task == task]
    chosen = [
        manifest
        for manifest in manifests
        if manifest.preference or every or rules_of(manifest.name)
    ]
    return sorted(chosen, key=lambda manifest: (manifest.preference or inf, manifest.name))


def rules_of(name: str) -> tuple[Use, ...]:
    """Return the rules of an algorithm's models in use; ``*`` stands for all algorithms."""
    homes = sorted(path.parent for path in (ROOT / "weights").glob(f"{name}/{USES}"))
    return tuple(rule for home in homes for rule in uses(home))


def ruled_folder(place: Path) -> str:
    """Return the innermost folder around a place that a model is in use for, empty without."""
    around = {str(folder) for folder in (place.resolve(), *place.resolve().parents)}
    named = {str(rule.images.get(FOLDER)) for rule in rules_of("*")}
    return max(named & around, key=len, default="")


def choice_digest(name: str) -> str:
    """Return a digest of an algorithm's manifest, model cards and rules, which decide a choice."""
    home = ROOT / "algorithms" / name / "algorithm.toml"
    models = ROOT / "weights" / name
    return digest([home, *models.glob("*.json"), *models.glob(USES)], ROOT)


def lacks_model(
    algorithm: AlgorithmManifest, axes: Collection[str], models: Models = MappingProxyType({})
) -> str:
    """Return why an algorithm has no model for any of these axes, empty if it has one."""
    reason = ""
    for order in axes:
        try:
            choose_algorithm([algorithm], {"axes": order}, models)
        except ModelError as error:
            reason = str(error)
        else:
            return ""
    return reason


def _remedy(task: str, facts: Facts) -> str:
    """Return the advice to take an algorithm and a model that fit, where there are any."""
    for algorithm in preferred(task):
        try:
            chosen = select(cards_of(algorithm.name, {}), facts, algorithm.select)
        except ModelError:
            continue
        return f"; {algorithm.name} has {chosen.card.name}"
    return ""


def cards_of(name: str, models: Models) -> list[ModelCard]:
    """Return the cards from which an algorithm's container chooses."""
    return (
        [read_card(models[name])] if name in models else read_cards(ROOT / "weights" / name, name)
    )


def _files(card: Path) -> list[Path]:
    """Return a card and its weights file, which must be there."""
    model = read_card(card)
    if model.weights is None:
        return [card]
    path = weights_file(card.parent, model)
    if not path.is_file():
        raise ModelError(f"{card}: its weights {path.name} are not in the same folder")
    return [card, path]
