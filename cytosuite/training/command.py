"""Train a network: ``python -m cytosuite.training.command ALGORITHM --data DIR --name NAME``."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import torch

from cytosuite.contract.manifest import ModelCard, merged, parse, read_card
from cytosuite.contract.weights import module_of, new_card
from cytosuite.contract.words import Say
from cytosuite.errors import InputError
from cytosuite.errors.ending import CLOSED, end
from cytosuite.files import Json, PathLists, Paths, TextSeq, need_folder, read_toml
from cytosuite.files.working import alone
from cytosuite.folders.splits import read_splits, splits_of
from cytosuite.training.loop import CHECKPOINT, DRAWERS, begin, need_data, train
from cytosuite.training.outline import OutlineSettings, fit
from cytosuite.training.parts import Case, Data, Trainer, Training
from cytosuite.training.publish import ALGORITHMS
from cytosuite.training.settings import Settings, TrainingSettings, altered

LOOK_S = 1.0  # between two looks at the parent
FINETUNE = "finetune.toml"  # settings of a training from a parent
OUTLINE = "outline.toml"  # settings of a fit of outlines
CHECKED = "checked\n"  # line on stderr after which the data are awaited on stdin


def training_of(algorithm: str) -> Trainer:
    """Return ``TRAINING`` of an algorithm's ``training/train.py``; InputError without one."""
    training: Trainer = module_of(
        algorithm, "training.train", "no algorithm that is trained here"
    ).TRAINING
    return training


def by_role(
    words: TextSeq,
    roles: TextSeq,
    divide: Callable[[Path], Paths] = lambda _: {},
) -> PathLists:
    """Return folders by role: of ``role=folder``, else the first one or by `Training.divide`."""
    folders: PathLists = {}
    for text in words:
        role, sign, folder = text.partition("=")
        named = sign and "/" not in role
        if named and role not in roles:
            raise InputError(f"--data {text}: expected a role among {', '.join(roles)}")
        path = Path(text)
        parts = {role: Path(folder)} if named else divide(path) or {roles[0]: path}
        for name, part in parts.items():
            folders.setdefault(name, []).append(part)
    return folders


def check(
    training: Training[Settings, Case],
    settings: Settings,
    data: Data,
    recipes: TextSeq = (),
) -> None:
    """Raise InputError for data, recipes (JSON) or settings from which nothing can be learned."""
    sources_by_role = {role: list(folders) for role, folders in data.items()}
    for text in recipes:
        role, parameters = json.loads(text)
        if role and role not in training.roles:
            raise InputError(f"--data {role}=: expected a role among {', '.join(training.roles)}")
        sources_by_role.setdefault(role or training.roles[0], []).append(parameters)
    need_data(training, settings, sources_by_role)
    for folder in (folder for folders in data.values() for folder in folders):
        splits_of(folder)  # a mistake in it is known before data are made
    for role, sources in sources_by_role.items():
        for source in (source for source in sources if source is not None):
            training.check(source, role, settings)


def _follow(parent: int) -> None:
    """Interrupt this process once its parent has ended without asking it to stop."""
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGINT)


def inherited(parent: ModelCard, model: type[TrainingSettings]) -> Json:
    """Return the network of a parent, and the settings of its images, crops and losses."""
    shared = TrainingSettings.model_fields
    trained = parent.trained.get("settings", {})
    stated = {
        key: trained[key] for key in model.model_fields if key in trained and key not in shared
    }
    network = parent.parameters.get("network")
    return {**stated, "network": network} if network else stated


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cytosuite.training.command", description=__doc__)
    add = parser.add_argument
    add("algorithm", help="name in algorithms/")
    add("--data", action="append", default=[], help="folder or list, or role=folder")
    add("--data-root", type=Path, help="folder in which the names in a list count")
    add("--group", help="dataset in HDF5 files, like data/raw_image")
    add("--recursive", action="store_true", help="look for images in sub-folders, too")
    add("--name", required=True, help="of the model")
    add("--out", type=Path, help="its folder (default weights/<algorithm>)")
    add("--settings", type=Path, help="file (default the algorithm's TOML)")
    add("--splits", type=Path, help="file with the parts, in place of splits.toml in the folder")
    add("--work", type=Path, help="folder for log and checkpoint")
    add("--from", type=Path, dest="parent", help="card of a model to start from")
    add("--steps", type=int, help="batches")
    add("--seed", type=int, help="of everything random")
    add("--learning-rate", type=float, help="highest rate")
    add("--threads", type=int, default=1, help="of the CPU")
    add("--device", choices=sorted(DRAWERS), default="cpu")
    add("--restart", action="store_true", help="ignore an earlier checkpoint")
    add("--authors", help="of the model; the user of git or of the machine")
    add("--ends-with", type=int, help="process that it ends with, as by Ctrl-C")
    add("--check", action="store_true", help="check, and train nothing")
    add("--wait", action="store_true", help="check, then read all --data as JSON from stdin")
    recipe = 'with a check, data to be simulated: JSON ["role", parameters]'
    add("--recipe", action="append", default=[], help=recipe)
    return parser


def main(arguments: TextSeq | None = None) -> int:
    """Train as the command line asks for, and return the exit code."""
    options = _parser().parse_args(arguments)
    say = partial(print, flush=True)
    options.work = options.work or Path("runs/training") / options.algorithm / options.name
    changes = {"steps": options.steps, "seed": options.seed, "learning_rate": options.learning_rate}
    if options.threads < 1:
        raise InputError(f"--threads must be 1 or more, found {options.threads}")
    torch.set_num_threads(options.threads)
    if options.ends_with:
        Thread(target=_follow, args=(options.ends_with,), daemon=True).start()
    home = ALGORITHMS / options.algorithm / "training"
    outline = options.settings or home / OUTLINE
    network = (home / "train.py").is_file()
    if (home / OUTLINE).is_file() and (
        not network
        or (options.settings and outline.suffix == ".toml" and "outline" in read_toml(outline))
    ):
        return _outline(options, outline, say)
    training = training_of(options.algorithm)
    finetune = options.parent and (home / FINETUNE).is_file()
    path = options.settings or home / (FINETUNE if finetune else training.default)

    def prepared(words: TextSeq) -> tuple[PathLists, Any, list[str]]:
        """Return the folders of each role, the settings, and notes on their translation."""
        data = by_role(words, training.roles, training.divide)
        content, notes = training.translate(path, data)
        if options.parent is not None:
            content = merged(inherited(read_card(options.parent), training.settings), content)
        settings = parse(path, content, training.settings).with_schedule(**changes)
        settings = settings.with_files(**_files(options))
        return data, settings.with_card(authors=options.authors), notes

    data, settings, notes = prepared(options.data)
    # One that was killed while it wrote its models has written some of them.
    resumed = not options.restart and (options.work / CHECKPOINT).is_file()
    names = [options.name, *(f"{options.name}-{also}" for also in training.also if not resumed)]
    target, *_ = _targets(options, names)
    need_folder(options.work)
    if options.check or options.wait:
        check(training, settings, data, options.recipe)
        begin(training, settings, options.parent, options.device)
    if options.check:
        return 0
    with _alone(options, names) as words:
        if options.wait:
            if not words:
                return CLOSED
            data, settings, notes = prepared(words)
        for note in notes:
            say(f"note: {note}")
        card = train(
            training,
            settings,
            data,
            target,
            work=options.work,
            resume=not options.restart,
            parent=options.parent,
            device=options.device,
            say=say,
        )
    say(f"written: {card}")
    return 0


def _files(options: argparse.Namespace) -> Json:
    """Return the settings of files that the command line gives."""
    return {
        "root": options.data_root,
        "group": options.group,
        "recursive": options.recursive or None,
        "splits": options.splits and read_splits(options.splits),
    }


def _targets(options: argparse.Namespace, names: Iterable[str]) -> list[Path]:
    """Return the cards to write; InputError for one that is there."""
    return [new_card(options.out or Path("weights") / options.algorithm, name) for name in names]


@contextmanager
def _alone(options: argparse.Namespace, names: Iterable[str]) -> Iterator[list[str]]:
    """Lock the folder of a training, and yield the words for the data, once they are made.

    None if nobody makes them; InputError where another one of its name runs or has ended.
    """
    busy = f"{options.work}: another training is running here; wait for it or give another --name"
    with alone(options.work, busy):
        _targets(options, names)
        if not options.wait:
            yield options.data
            return
        sys.stderr.write(CHECKED)
        sys.stderr.flush()
        yield json.loads(sys.stdin.read() or "[]")


def _outline(options: argparse.Namespace, path: Path, say: Say) -> int:
    """Fit the outlines of a model in place of a network, and return the exit code."""
    settings = parse(path, read_toml(path), OutlineSettings)
    outline = altered(
        settings.outline, {"trees": options.steps, "rate": options.learning_rate}
    ).model_dump()
    settings = altered(
        settings,
        {
            "outline": parse("outline", outline, type(settings.outline)),
            "files": altered(settings.files, _files(options)),
            "seed": options.seed,
        },
    )
    if options.parent is None:
        raise InputError("--from: expected the model that finds the objects, found none")
    target, *_ = _targets(options, [options.name])
    for folder in by_role(options.data, ("images",)).get("images", []):
        settings.files.index(folder, "segment").labelled(folder)
    if options.check:
        return 0
    with _alone(options, [options.name]) as words:
        if options.wait and not words:
            return CLOSED
        folders = by_role(words, ("images",)).get("images", [])
        if not folders:
            raise InputError("data: outlines are learned from annotated images, found none")
        card = fit(
            options.algorithm, settings, folders, target, options.parent, options.authors or "", say
        )
    say(f"written: {card}")
    return 0


if __name__ == "__main__":
    end(main)
