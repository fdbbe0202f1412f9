"""Checks of a training before its data are made or read."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from cytosuite.errors import InputError
from cytosuite.places import need_file
from cytosuite.training.parts import Case, Source, Training
from cytosuite.training.settings import Settings
from cytosuite.training.validate import wanted_metrics

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")


def check(
    training: Training[Settings, Case], settings: Settings, data: Mapping[str, Sequence[Source]]
) -> None:
    """Refuse data and settings from which nothing can be learned.

    Parameters
    ----------
    training : Training
    settings : TrainingSettings
    data : mapping of str to sequence
        By role: folders, and parameters of datasets that will be simulated; None for one that
        passes other algorithms, of which nothing is known before.

    Raises
    ------
    InputError
        If a role has no data, the validation is not possible, or `Training.check` refuses them.
    """
    need_roles(training, data)
    need_hooks(training, settings)
    if training.check is not None:
        for role, sources in data.items():
            for source in sources:
                if source is not None:
                    training.check(source, role, settings)


def need_roles(training: Training[Any, Any], roles: Collection[str]) -> None:
    """Raise `InputError` unless there are data of every role that a training learns from."""
    if set(training.roles) - set(roles):
        raise InputError(
            f"data: {training.algorithm} learns from {' and '.join(training.roles)}, found "
            f"{' and '.join(roles) or 'none'}; give each as role=folder"
        )


def need_hooks(training: Training[Any, Any], settings: Settings) -> None:
    """Raise `InputError` where a validation or a measurement is asked for that there is not."""
    if not settings.schedule.steps and training.measure is None:
        raise InputError(
            f"schedule.steps: {training.algorithm} measures nothing without a training; expected "
            "1 or more, found 0"
        )
    if settings.validation.every:
        wanted_metrics(settings.validation)
        if training.validate is None:
            raise InputError(
                f"validation.every: {training.algorithm} has no validation; leave it out"
            )


def new_card(folder: Path, name: str) -> Path:
    """Return the place of a new model's card.

    Raises
    ------
    InputError
        If a model cannot have this name, one has it already, or the folder cannot be written.
    """
    if not NAME.fullmatch(name):
        raise InputError(f"--name: expected up to 100 letters of a-z 0-9 . _ -, found {name!r}")
    card = folder / f"{name}.json"
    if card.exists():
        raise InputError(
            f"{card}: a model of this name exists; give another name, or remove it with its weights"
        )
    need_file(card)
    return card
