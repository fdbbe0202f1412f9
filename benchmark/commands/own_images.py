"""Images that a user names, and the algorithms and models that come into question for them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from cytosuite.benchmark.catalog import algorithms, pick
from cytosuite.benchmark.commands.options import AUTO, OwnOptions
from cytosuite.benchmark.models import Models, named_models, preferred
from cytosuite.datasets.folder.collect import Item, collect
from cytosuite.datasets.folder.entries import case_name, is_folder, key_of
from cytosuite.errors import InputError
from cytosuite.imagefiles import image_files
from cytosuite.manifest import AlgorithmManifest
from cytosuite.tasks import TASKS

INFERENCE = ("inferenceB", "inferenceA")  # of the published CycleGAN: simulated images, real ones
SEGMENT = "segment"  # the task in which an algorithm is chosen where nothing is named


def candidates_for(
    options: OwnOptions, task: str | None = None
) -> tuple[list[AlgorithmManifest], Models]:
    """Return the algorithms to choose from, preferred ones first, and the models named for them.

    Parameters
    ----------
    options : OwnOptions
        Algorithm and model.
    task : str, optional
        The task of the algorithms; that of a named algorithm, or ``segment``, without it.

    Raises
    ------
    InputError
        If there is no such task, algorithm or model.
    """
    if task is not None:
        pick("task", [task], TASKS)
    known = {name: one for name, one in algorithms().items() if task in (None, one.task)}
    if options.algorithm == AUTO:
        found = preferred(task or SEGMENT, every=bool(options.model))
        if task is not None and not found:  # all of them run by their names alone
            found = preferred(task, every=True)
    else:
        noun = "algorithm" if task is None else f"algorithm for the task {task}"
        (name,) = pick(noun, [options.algorithm], known)
        found = [known[name]]
    if not found:
        raise InputError(f"no algorithm takes part in a choice ({AUTO}): name one with --algorithm")
    models = named_models(options.model, [candidate.name for candidate in found])
    return [candidate for candidate in found if not models or candidate.name in models], models


def own_images(options: OwnOptions, task: str) -> tuple[list[Item], list[str]]:
    """Return the images, each with a name of its own and without its truth, and lines on skips.

    Parameters
    ----------
    options : OwnOptions
        Files and folders.
    task : str
        Its sockets say which files of a folder belong together.

    Raises
    ------
    InputError
        If there is no image, a file or folder is missing, or two images have one name.
    """
    outputs = {socket.slug for socket in TASKS[task].outputs}
    main = next(socket for socket in TASKS[task].inputs if socket.kind != "json")
    items: list[Item] = []
    lines: list[str] = []
    for path in options.images:
        if is_folder(path):
            home = _inferred(path)
            found = collect(home, task, recursive=options.recursive or home != path)
            lines += [f"{path}: images of {home.name}/"] if home != path else []
            items += found.items
            lines += [f"{path}: {found.count}"] if found.skipped else []
        elif path.exists():
            items.append(Item(case_name(key_of(path)), path, socket=main.slug))
        else:
            raise InputError(f"{path}: no such file or folder")
    if not items:
        raise InputError("no image is given: name image files, or folders of them")
    for name, count in Counter(item.name.casefold() for item in items).items():
        if count > 1:
            twins = ", ".join(str(item.image) for item in items if item.name.casefold() == name)
            raise InputError(f"images need different names, found {twins}")
    own = [
        replace(item, files={s: path for s, path in item.files.items() if s not in outputs})
        for item in items
    ]
    return own, lines


def _inferred(folder: Path) -> Path:
    """Return the images to translate of a published CycleGAN data set; a folder of another kind."""
    own = image_files(folder) or (folder / "images").is_dir()
    inner = [] if own else [folder / name for name in INFERENCE if (folder / name).is_dir()]
    return next(iter(inner), folder)
