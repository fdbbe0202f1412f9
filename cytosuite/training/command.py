"""Train a network: ``python -m cytosuite.training.command ALGORITHM --data DIR --name NAME``."""

import argparse
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from cytosuite.ending import end
from cytosuite.errors import InputError
from cytosuite.files import read_toml
from cytosuite.manifest import parse
from cytosuite.places import need_folder
from cytosuite.training.check import check, new_card
from cytosuite.training.loop import DRAWERS, begin, train
from cytosuite.training.parts import Source, Training
from cytosuite.training.publish import ALGORITHMS

LOOK_S = 1.0  # between two looks at the parent


def training_of(algorithm: str) -> Training[Any, Any]:
    """Return the training of an algorithm, ``TRAINING`` in its ``training/train.py``.

    Raises
    ------
    InputError
        If the algorithm does not exist, or is not trained.
    """
    name = f"cytosuite.algorithms.{algorithm}.training.train"
    try:
        found: Training[Any, Any] = import_module(name).TRAINING
    except ModuleNotFoundError as error:
        if not name.startswith(str(error.name)):
            raise
        raise InputError(f"algorithms/{algorithm}: no algorithm that is trained here") from None
    return found


def by_role(
    given: Sequence[str],
    roles: Sequence[str],
    divide: Callable[[Path], Mapping[str, Path]] | None = None,
) -> dict[str, list[Path]]:
    """Return folders by role.

    Parameters
    ----------
    given : sequence of str
        ``folder``, of the first role unless it is divided, or ``role=folder``.
    roles : sequence of str
        Of the training.
    divide : callable, optional
        See `Training`.

    Raises
    ------
    InputError
        If a role is unknown.

    Examples
    --------
    >>> by_role(["a", "real=b", "real=c"], ("simulated", "real"))
    {'simulated': [PosixPath('a')], 'real': [PosixPath('b'), PosixPath('c')]}
    """
    found: dict[str, list[Path]] = {}
    for text in given:
        role, sign, folder = text.partition("=")
        if sign and role not in roles:
            raise InputError(f"--data {text}: expected a role among {', '.join(roles)}")
        parts = divide(Path(text)) if divide is not None and not sign else {}
        whole = {role: Path(folder)} if sign else {roles[0]: Path(text)}
        for name, part in (parts or whole).items():
            found.setdefault(name, []).append(part)
    return found


def read_settings(
    path: Path, training: Training[Any, Any], data: Mapping[str, Sequence[Path]]
) -> tuple[dict[str, Any], list[str]]:
    """Return the settings in a file, TOML or one that the training translates, and its notes.

    `data` are folders by role.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    if path.suffix == ".toml" or training.translate is None:
        return read_toml(path), []
    return training.translate(path, data)


def _together(
    data: Mapping[str, Sequence[Path]], recipes: Sequence[str], roles: Sequence[str]
) -> dict[str, list[Source]]:
    """Return folders, and the parameters of data to be simulated, by role."""
    found: dict[str, list[Source]] = {role: list(folders) for role, folders in data.items()}
    for text in recipes:
        role, parameters = json.loads(text)
        if role and role not in roles:
            raise InputError(f"--data {role}=: expected a role among {', '.join(roles)}")
        found.setdefault(role or roles[0], []).append(parameters)
    return found


def _follow(parent: int) -> None:
    """Interrupt this process once its parent has ended without asking it to stop."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGINT)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the options."""
    parser = argparse.ArgumentParser(prog="cytosuite.training.command", description=__doc__)
    parser.add_argument("algorithm", help="name in algorithms/")
    parser.add_argument("--data", action="append", default=[], help="folder, or role=folder")
    parser.add_argument("--name", required=True, help="of the model")
    parser.add_argument("--out", type=Path, help="its folder (default weights/<algorithm>)")
    parser.add_argument("--settings", type=Path, help="file (default the algorithm's TOML)")
    parser.add_argument("--work", type=Path, help="folder for log and checkpoint")
    parser.add_argument("--from", type=Path, dest="parent", help="card of a model to start from")
    parser.add_argument("--steps", type=int, help="batches")
    parser.add_argument("--seed", type=int, help="of everything random")
    parser.add_argument("--learning-rate", type=float, help="highest rate")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument("--device", choices=sorted(DRAWERS), default="cpu")
    parser.add_argument("--restart", action="store_true", help="ignore an earlier checkpoint")
    parser.add_argument("--authors", help="of the model; the user of git or of the machine")
    parser.add_argument("--check", action="store_true", help="check, and train nothing")
    parser.add_argument("--ends-with", type=int, help="process that it ends with, as by Ctrl-C")
    parser.add_argument(
        "--recipe",
        action="append",
        default=[],
        help='with --check, data to be simulated: JSON ["role", parameters]',
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as the command line asks for, and return 0.

    Raises
    ------
    CytosuiteError
        If that is not possible.
    """
    given, say = _parser().parse_args(arguments), partial(print, flush=True)
    changes = {"steps": given.steps, "seed": given.seed, "learning_rate": given.learning_rate}
    if given.threads < 1:
        raise InputError(f"--threads must be 1 or more, found {given.threads}")
    torch.set_num_threads(given.threads)
    if given.ends_with:
        Thread(target=_follow, args=(given.ends_with,), daemon=True).start()
    training = training_of(given.algorithm)
    path = given.settings or ALGORITHMS / given.algorithm / "training" / training.default
    data = by_role(given.data, training.roles, training.divide)
    content, notes = read_settings(path, training, data)
    settings = parse(path, content, training.settings).with_schedule(**changes)
    settings = settings.with_card(authors=given.authors)
    target = new_card(given.out or Path("weights") / given.algorithm, given.name)
    work = given.work or Path("runs") / "training" / given.name
    need_folder(work)
    if given.check:
        check(training, settings, _together(data, given.recipe, training.roles))
        begin(training, settings, given.parent, given.device)
        return 0
    for note in notes:
        say(f"note: {note}")
    card = train(
        training,
        settings,
        data,
        target,
        work=work,
        resume=not given.restart,
        parent=given.parent,
        device=given.device,
        say=say,
    )
    say(f"written: {card}")
    return 0


if __name__ == "__main__":
    end(main)
