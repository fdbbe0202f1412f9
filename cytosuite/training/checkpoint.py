"""The state of a training on disk: whole or absent, bound to all that its steps read."""

from collections.abc import Sequence
from io import BytesIO
from itertools import chain
from pathlib import Path
from pickle import UnpicklingError

import torch

from cytosuite.contract.manifest import read_card
from cytosuite.contract.words import SPLITS
from cytosuite.errors import InputError, last_line
from cytosuite.files import Json, atomic, digest, read_json, value_digest
from cytosuite.folders.conditions import FILE as CONDITIONS
from cytosuite.folders.entries import home_of
from cytosuite.folders.index import CASES
from cytosuite.formats.lists import list_of, read_list
from cytosuite.training.parts import Best, Data, State
from cytosuite.training.settings import TrainingSettings

Origin = Json

# Another version of the code may finish a training.
_BINDING = ("data", "parts", "settings", "parameters", "parent")
# Fields of `State` that are stored as they are.
_AS_IT_IS = ("stale", "bound", "step", "seconds", "cpu_seconds", "rounding", "recent")


def origin(
    data: Data, settings: TrainingSettings, code: Sequence[Path], parent: Path | None
) -> Origin:
    """Return digests of all that a training depends on: data, its parts, settings, code, parent.

    The parameters are those of `settings`, with a parent's where these leave one out.
    """
    card = settings.model_dump(mode="json")["card"]
    source_facts = {
        "data": {
            role: [_fingerprint(path, settings.files.root) for path in paths]
            for role, paths in data.items()
        },
        "settings": settings.model_dump(mode="json", exclude={"card"}),
        "parameters": value_digest([card["parameters"], card["describes"]]),
        "source": digest([path for folder in code for path in folder.rglob("*.py")], Path("/")),
    }
    rules = [
        digest([home / SPLITS, home / CONDITIONS], home)
        for home in map(home_of, chain.from_iterable(data.values()))
        if (home / SPLITS).is_file()
    ]
    if rules or settings.files.recursive:
        source_facts["parts"] = value_digest([settings.files.recursive, *rules])
    if parent:
        source_facts["parent"] = {"name": parent.stem, "sha256": read_card(parent).sha256}
    return source_facts


def save(state: State, path: Path, made_from: Origin) -> None:
    """Write a checkpoint with its `origin`, whole or not at all."""
    content = {
        "origin": made_from,
        "modules": {name: module.state_dict() for name, module in state.modules.items()},
        "optimisers": {name: part.state_dict() for name, part in state.optimisers.items()},
        "average": state.average.state_dict(),
        "best": tuple(state.best) if state.best else None,
        **{name: getattr(state, name) for name in _AS_IT_IS},
    }
    torch.save(content, stream := BytesIO())
    with atomic(path) as temporary:
        temporary.write_bytes(stream.getbuffer())  # torch would not tell why a disk refuses it


def restore(state: State, path: Path, made_from: Origin) -> None:
    """Read a checkpoint into a state; InputError for other files and another `origin`."""
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
        old = stored["origin"]
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, UnpicklingError) as error:
        raise InputError(
            f"{path}: cannot be read as a checkpoint ({last_line(error)}); remove it"
        ) from None
    if differs := [key for key in _BINDING if old.get(key) != made_from.get(key)]:
        raise InputError(
            f"{path}: this checkpoint was made with other {' and '.join(differs)}; give the "
            "same, or --restart to begin anew"
        )
    for name, module in state.modules.items():
        module.load_state_dict(stored["modules"][name])
    try:
        for name, optimiser in state.optimisers.items():
            optimiser.load_state_dict(stored["optimisers"][name])
    except (KeyError, ValueError):
        raise InputError(
            f"{path}: this checkpoint was made by a version with other groups of weights in its "
            "optimiser; finish it with that version, or give --restart to begin anew"
        ) from None
    state.average.load_state_dict(stored["average"])
    state.best = None if stored["best"] is None else Best(*stored["best"])
    for name in _AS_IT_IS:  # older checkpoints lack some
        setattr(state, name, stored.get(name, getattr(state, name)))
    state.recent = [losses.to(state.device) for losses in state.recent]


def _fingerprint(source: Path, root: Path | None) -> str:
    """Return the fingerprint of a dataset, or a digest of the files in a folder or a list.

    A dataset of a run has `cases/`, which nobody alters. Images in a folder of `simulate --out`
    may have changed since; nnU-Net's card has the same name.
    """
    facts = source / "dataset.json"
    card = read_json(facts) if facts.is_file() and (source / CASES).is_dir() else {}
    if "fingerprint" in card:
        return str(card["fingerprint"])
    lists = [*filter(None, (list_of(source, part) for part in ("train", "val")))]
    if not lists:
        return digest([source], source)
    home = root or lists[0].parent
    pairs = [pair for path in lists for pair in (*read_list(path, root), (None, None))]
    return value_digest([file and digest([file], home) for pair in pairs for file in pair])
