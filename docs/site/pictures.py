"""Pictures of the site, drawn by the program: a case of each dataset and recipe, models at work.

They are kept in build/pictures by the digest of all that makes them; PICTURES=0 draws none.
"""

import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from cytosuite.apply import apply
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT
from cytosuite.benchmark.commands.terminal.console import console, progress
from cytosuite.benchmark.runs.data.dataset import Case, make_case
from cytosuite.benchmark.runs.data.preview import write_result
from cytosuite.benchmark.runs.data.recipe import DataRequest, Recipe, recipe
from cytosuite.benchmark.runs.store.pool import Processes
from cytosuite.benchmark.scores.comparison.documents import trained
from cytosuite.contract.manifest import ModelCard, read_recipe
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import read_cards
from cytosuite.datasets.recipes import recipes, simulations
from cytosuite.errors import CytosuiteError
from cytosuite.files import digest, value_digest
from cytosuite.volume import Volume

CACHE = ROOT / "build" / "pictures"
WANTED = os.environ.get("PICTURES", "1") not in ("", "0", "no")
# Parts of what is larger, or takes longer, than a page needs.
SMALLER: Mapping[str, tuple[str, ...]] = {
    "nuclei/large": ("shape=[64,256,256]", "n_nuclei=28"),
    "nuclei/tric": ("shape=[13,544,1224]", "n_nuclei=750"),
    "spheroid/cell_training": ("image.shape=[32,64,64]",),
    "spheroid/hard": ("image.shape=[48,160,160]", "tissue.n_nuclei=[80,100]"),
}
# Datasets whose images models are shown on, by task and facts of the card; the first that fits.
EXAMPLES: Sequence[tuple[str, Mapping[str, str], str, tuple[str, ...]]] = (
    ("segment", {"channel": "membrane"}, "spheroid/cell_training", ()),
    ("segment", {"channel": "cytoplasm"}, "cells/culture", ()),
    ("segment", {"axes": "YX"}, "cells/culture", ("shown.image=nuclei", "shown.target=nuclei")),
    ("segment", {"sample": "tissue"}, "spheroid/tissue", ()),
    ("segment", {"sample": "spheroid"}, "spheroid", ()),
    ("segment", {}, "spheroid/mouse_embryo", ()),
    ("enhance", {}, "spheroid/late_embryo", ()),
    ("fuse", {"channel": "membrane"}, "views/membrane", ()),
    ("fuse", {}, "views/nucleus", ()),
    ("synthesise", {"sample": "ovule"}, "membrane/ovule", ()),
    ("synthesise", {"axes": "ZYX"}, "spheroid/mouse_embryo_diffusion", ()),
    ("synthesise", {}, "nuclei/culture", ()),
)


GALLERY = """# Gallery

A case of each simulated dataset (at size mini) and of each recipe, drawn by the simulator itself,
seed 0. `cytosuite simulate NAME --out data` makes as many as you want; the page of a dataset has
all its parameters.
"""
MODELS = """# Models at work

All models that come along, each on a simulated image like those that it is for: the input, and what
it makes of it. [Weights](../weights/README.md) has their scores on images that no training saw,
[models](../docs/models.md) how one is chosen for an image.
"""


class Picture(NamedTuple):
    """A picture of the site, which may not be there yet."""

    path: Path
    made: Recipe  # of its image
    card: ModelCard | None = None  # of the model at work on it

    @property
    def uri(self) -> str:
        """Place in the site."""
        return f"gallery/{self.path.name}"


def of_recipe(name: str, settings: tuple[str, ...] = ()) -> Picture:
    """Return the picture of a dataset or recipe: of its first case."""
    size = None if "/" in name else "mini"
    simulation = recipe(
        DataRequest(name, size, cases=1, settings=(*SMALLER.get(name, ()), *settings))
    )
    key = value_digest([simulation.fingerprint, digest([PACKAGE / "benchmark/runs/data"], PACKAGE)])
    return Picture(CACHE / f"{name.replace('/', '-')}-{key[:12]}.png", simulation)


def of_model(card: ModelCard) -> Picture | None:
    """Return the picture of a model on an image like those that it is for; None without one."""
    described = {"sample": card.name.partition("-")[0], **card.describes}
    for task, facts, name, settings in EXAMPLES:
        if task == card.task and facts.items() <= described.items():
            image = of_recipe(name, settings)
            rooms = (PACKAGE / room / card.algorithm for room in ("algorithms", "weights"))
            key = value_digest([image.path.name, card.name, digest(rooms, PACKAGE)])
            path = CACHE / f"{card.algorithm}-{card.name}-{key[:12]}.png"
            return Picture(path, image.made, card)
    return None


@cache
def cards() -> Sequence[ModelCard]:
    """Return the cards of all models that come along."""
    folders = sorted((ROOT / "weights").glob("*/"))
    return [card for folder in folders for card in read_cards(folder, folder.name)]


@cache
def models() -> Mapping[str, Picture]:
    """Return the pictures of models by algorithm and name."""
    pictures = {f"{card.algorithm}/{card.name}": of_model(card) for card in cards()}
    return {name: picture for name, picture in pictures.items() if picture is not None}


@cache
def simulated() -> Mapping[str, Picture]:
    """Return the pictures of all simulated datasets and their recipes."""
    return {name: of_recipe(name) for name in sorted([*simulations(), *recipes()])}


def draw(picture: Picture) -> None:
    """Draw a picture; where there can be none, write why."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=CACHE) as folder:
        case = Case(picture.made.makers[0][0], Path(folder) / "case")
        drawn, reason = case.folder / "preview.png", "it has no image"
        if picture.card is None:
            make_case(case, picture.made.makers[0][1], picture.made.record)
        else:
            drawn = Path(folder) / "result.png"
            try:
                _show(picture.card, picture.made, drawn)
            except CytosuiteError as error:
                reason = str(error).partition(":")[0]  # without what to install where
        if drawn.exists():
            drawn.replace(picture.path)
        else:
            picture.path.with_suffix(".txt").write_text(reason, encoding="utf-8")


def _show(card: ModelCard, simulation: Recipe, path: Path) -> None:
    """Write an image and the output of a model side by side."""
    task, sockets = TASKS[card.task], simulation.makers[0][1]().sockets
    inputs = {socket.slug: sockets[socket.slug] for socket in task.inputs if socket.slug in sockets}
    if task.name == "fuse":  # from one view
        inputs = dict([next(iter(inputs.items()))])
    with warnings.catch_warnings(action="ignore"):
        outputs = apply(card.algorithm, inputs, model=card.name)
    assert task.main_output is not None
    image, output = next(iter(inputs.values())), outputs[task.main_output.slug]
    assert isinstance(image, Volume)  # of all tasks in `EXAMPLES`
    write_result(path, image, output, task.main_output.kind)


def draw_missing() -> Iterator[tuple[str, Path]]:
    """Draw all pictures that are missing, and yield place in the site and file of each."""
    if not WANTED:
        return
    pictures = [*simulated().values(), *models().values()]
    missing = [one for one in pictures if not one.path.exists()]
    with progress(console(), "drawing pictures") as step:
        for done, _ in enumerate(Processes(os.cpu_count() or 1).each(draw, missing), start=1):
            step(done, len(missing))
    stems = {one.path.stem for one in pictures}
    for path in CACHE.glob("*.*"):
        if path.stem not in stems:
            path.unlink()  # of former sources
    yield from ((one.uri, one.path) for one in pictures if one.path.exists())


def shown(picture: Picture, title: str) -> str:
    """Return a picture as Markdown of a page in a folder, or why there is none."""
    if not WANTED:
        return "*No picture: the site was built without.*"
    if picture.path.exists():
        return f"![{title}](../{picture.uri}){{ loading=lazy }}"
    return f"*No picture: {picture.path.with_suffix('.txt').read_text(encoding='utf-8')}.*"


def gallery() -> str:
    """Return the page of all simulated datasets and recipes."""
    lines = [GALLERY]
    for name, manifest in simulations().items():
        lines += [f"## {name}", "", manifest.description]
        lines += [
            f"[Its parameters](../datasets/{name}/README.md).",
            "",
            shown(simulated()[name], name),
        ]
        variants = [variant for variant in recipes() if variant.startswith(f"{name}/")]
        lines += [line for variant in variants for line in _recipe(variant, recipes()[variant])]
        lines.append("")
    return "\n".join(lines)


def _recipe(name: str, path: Path) -> list[str]:
    """Return the section of a recipe."""
    content = read_recipe(path)
    notes = [f"`cytosuite simulate {name} --out data` makes {content.cases} cases."]
    if content.through:
        pipeline = " and ".join(
            f"[{algorithm}](../algorithms/{algorithm}/README.md)" for algorithm in content.through
        )
        notes.append(f"Shown before it passes {pipeline}.")
    if name in SMALLER:
        notes.append(f"Shown smaller: `{' '.join(f'--set {one}' for one in SMALLER[name])}`.")
    lines = ["", f"### {name} {{ #{name.replace('/', '-')} }}", "", f"**{content.title}.**"]
    return [*lines, content.description, "", " ".join(notes), "", shown(simulated()[name], name)]


def gallery_of_models() -> str:
    """Return the page of all models: what each is for, and one picture of it at work."""
    lines, algorithm = [MODELS], ""
    for card in cards():
        if card.algorithm != algorithm:
            algorithm = card.algorithm
            lines += [
                "",
                f"## {algorithm}",
                "",
                f"[How it works](../algorithms/{algorithm}/README.md).",
            ]
        lines += ["", f"### {card.name} {{ #{algorithm}-{card.name} }}", "", card.description]
        lines += [f"Licence: {card.license}.", f"Training: {trained(card)}." * bool(card.trained)]
        picture = models().get(f"{algorithm}/{card.name}")
        if picture is not None:
            lines += ["", shown(picture, card.name)]
    return "\n".join([*lines, ""])


PAGES = {"gallery/recipes.md": gallery, "gallery/models.md": gallery_of_models}
