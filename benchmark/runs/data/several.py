"""Several datasets as one: the cases of all, each as it is in its own dataset."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from cytosuite.benchmark.runs.data.recipe import (
    OF_FOLDERS,
    DataRequest,
    Maker,
    Recipe,
    named_datasets,
    recipe,
)
from cytosuite.datasets.recipes import recipes, simulated
from cytosuite.datasets.sample import Sample
from cytosuite.errors import InputError
from cytosuite.files import Entries, TextMap, TextSeq, value_digest

DATASET = "dataset"  # the condition: from which dataset a case is
OWN = "dataset (own)"  # a condition of that name which the user gives
Makers = dict[str, tuple[Maker, Entries]]
LONGEST = 48  # letters of the name of all: folders are named after it
# Fields of a request by kind of dataset: one that others take is not asked of these.
TAKES = {
    "folder": {*OF_FOLDERS} - {"data_root"},
    "recipe": {"cases", "settings"},
    "simulation": {"size", "cases", "settings"},
}


def recipe_of_all(request: DataRequest) -> Recipe:
    """Return how one dataset, or several named with commas, are made; options go where they fit."""
    names = named_datasets(request.dataset)
    if len(names) < 2:
        return recipe(request)
    kinds = {name: _kind(name) for name in names}
    if len(kinds) < len(names):
        raise InputError(f"{request.dataset}: a dataset is named twice; name each once")
    taken = set().union(*(TAKES[kind] for kind in kinds.values()))
    parts = []
    for name, kind in kinds.items():
        usual = DataRequest(name)
        others = {field: getattr(usual, field) for field in taken - TAKES[kind]}
        made = recipe(replace(request, dataset=name, **others))
        parts.append(
            _Part(f"{made.name}/{made.size}" if kind == "recipe" else made.name, kind, made)
        )
    names = distinct([part.name for part in parts])
    return _joined(request, [p._replace(name=n) for p, n in zip(parts, names, strict=True)])


class _Part(NamedTuple):
    """One of the datasets: its name among them, a key of `TAKES`, and how it is made."""

    name: str
    kind: str
    recipe: Recipe

    @property
    def short(self) -> str:
        """Prefix of its cases, where others have the same names: a size, recipe or folder."""
        text = self.recipe.name if self.kind == "folder" else self.recipe.size
        return re.sub(r"[^\w.]+", "_", text)[:LONGEST]


def _kind(name: str) -> str:
    """Return the kind of a dataset, a key of `TAKES`."""
    if name in recipes() or Path(name).suffix == ".toml":
        return "recipe"
    return "folder" if simulated(name, None) is None else "simulation"


def distinct(names: TextSeq) -> list[str]:
    """Return names with a number after those that are there already."""
    unique = []
    for name in names:
        numbered = (f"{name}_{n}" for n in range(2, len(names) + 2))
        unique.append(next(n for n in (name, *numbered) if n not in unique))
    return unique


def _joined(request: DataRequest, parts: Sequence[_Part]) -> Recipe:
    """Return the recipe of several datasets."""
    _refuse_unlike(request, parts)
    cases = _cases(parts)
    tasks = [part.recipe.task for part in parts]
    sizes = dict.fromkeys(part.recipe.size for part in parts if part.kind == "simulation")
    whole = "+".join(part.name.replace("/", "-") for part in parts)
    short = f"{whole[:LONGEST]}+{len(parts)}"
    counts = ", ".join(f"{part.name} ({len(part.recipe.makers)})" for part in parts)
    notes = [f"{part.name}: {note}" for part in parts for note in part.recipe.notes]
    return Recipe(
        whole if len(whole) <= LONGEST else short,
        " + ".join(part.name for part in parts),
        "+".join(sizes) or "own",
        next((task for task in tasks if task != request.task), tasks[0]),
        request.seed if any(part.recipe.seed is not None for part in parts) else None,
        value_digest([[part.name, part.recipe.fingerprint] for part in parts]),
        tuple((case, maker) for case, (maker, _) in cases.items()),
        (f"Cases of {len(parts)} datasets: {counts}.", *notes),
        changed=len(whole) > LONGEST or any(part.recipe.changed for part in parts),
        through=parts[0].recipe.through,
        reference=next((part.recipe.reference for part in parts if part.recipe.reference), {}),
        records={case: record for case, (_, record) in cases.items()},
        parts={name: placed for part in parts for name, placed in part.recipe.parts.items()},
    )


def _refuse_unlike(request: DataRequest, parts: Sequence[_Part]) -> None:
    """Refuse datasets that make no common run."""
    tasks = {part.name: part.recipe.task for part in parts}
    if len(set(tasks.values())) > 1 and request.task is None:
        raise InputError(f"the datasets have different tasks, {_each(tasks)}; name one with TASK")
    pipelines = {part.name: " then ".join(part.recipe.through) or "none" for part in parts}
    if len(set(pipelines.values())) > 1:
        raise InputError(
            f"the datasets pass different pipelines, {_each(pipelines)}; run them apart"
        )
    owners = {part.name: part.recipe.reference for part in parts if part.recipe.reference}
    if any(reference != next(iter(owners.values())) for reference in owners.values()):
        raise InputError(
            f"expected one reference set, found those of {', '.join(owners)}; name one with "
            "REFERENCE, or run the datasets apart"
        )
    counts = Counter(part.recipe.fingerprint for part in parts)
    if same := [part.name for part in parts if counts[part.recipe.fingerprint] > 1]:
        raise InputError(f"{', '.join(same)} are the same cases; name them once")


def _each(values: TextMap) -> str:
    """Return values by name in words."""
    return ", ".join(f"{value} ({name})" for name, value in values.items())


def _cases(parts: Sequence[_Part]) -> Makers:
    """Return maker and record of each case, by a name that no other has."""
    counts = Counter(name for part in parts for name, _ in part.recipe.makers)
    twice = [any(counts[name] > 1 for name, _ in part.recipe.makers) for part in parts]
    cases: Makers = {}
    for part, short, prefixed in zip(parts, distinct([p.short for p in parts]), twice, strict=True):
        for name, maker in part.recipe.makers:
            case = f"{short}-{name}" if prefixed else name
            if case in cases:
                raise InputError(f"{case}: two cases of this name; name the files otherwise")
            cases[case] = partial(_of_dataset, maker, part.name), part.recipe.record
    return cases


def _of_dataset(maker: Maker, name: str) -> Sample:
    """Make a case that states its dataset."""
    sample = maker()
    conditions = {OWN if key == DATASET else key: value for key, value in sample.conditions.items()}
    return replace(sample, dataset=name, conditions={DATASET: name, **conditions})
