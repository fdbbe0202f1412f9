"""The user's images, the algorithms and models that can run on them, and the choice among them."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from rich.console import Console

from cytosuite.benchmark.catalog.models import (
    Models,
    algorithms,
    cards_of,
    choose_algorithm,
    named_models,
    preferred,
    ruled_folder,
)
from cytosuite.benchmark.catalog.packages import need_packages, refusal
from cytosuite.benchmark.catalog.packed import fact_text
from cytosuite.benchmark.commands.data import own_model
from cytosuite.benchmark.commands.files.applied import WORDS
from cytosuite.benchmark.commands.options.apply import SegmentOptions
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.options import AUTO, SEGMENT
from cytosuite.benchmark.commands.terminal.table import Cell, ValueTable, keep, show
from cytosuite.benchmark.engines.choose import engine_name
from cytosuite.contract.choice_warnings import choice_warnings
from cytosuite.contract.manifest import AlgorithmManifest, ModelCard
from cytosuite.contract.metadata import acquisition, as_plane, described, with_given
from cytosuite.contract.select import FOLDER, SIZE, Facts, Selection, Value, describe, select
from cytosuite.contract.tasks import ACQUISITION, TASKS
from cytosuite.datasets.folder.load import load
from cytosuite.errors import CytosuiteError, InputError, ModelError, pick, printable
from cytosuite.files import Json, PathDict, TextMap, TextSeq
from cytosuite.folders.entries import case_name, is_folder, is_picture, key_of
from cytosuite.folders.index import IMAGES, SOCKETS, Item, by_part, index
from cytosuite.formats.imagefiles import REQUEST, format_of, image_files
from cytosuite.formats.lists import is_list
from cytosuite.volume import Volume

UNSAID = "not given"
Unable = Callable[[str], str]  # the reason why an algorithm cannot run here, or ""
SECOND = "second choice: "  # before the reason why the first one cannot run
INFERENCE = ("inferenceB", "inferenceA")  # of the published CycleGAN: simulated images, real ones


def candidates_for(
    options: SegmentOptions, console: Console
) -> tuple[list[AlgorithmManifest], Models]:
    """Return the algorithms to choose from, preferred ones first, and the models named for them."""
    task = options.task
    if options.algorithm == AUTO:
        candidates = preferred(task or SEGMENT, every=bool(options.model))
        # By their names alone.
        if task is not None and not any(candidate.preference for candidate in candidates):
            candidates = preferred(task, every=True)
    else:
        manifests = algorithms()
        (name,) = pick("algorithm", [options.algorithm], manifests)
        candidates = [manifests[name]]
        if task not in (None, other := candidates[0].task):
            raise InputError(
                f"{name} is for the task {other}, not {task}: cytosuite apply --algorithm {name}"
            )
    if not candidates:
        raise InputError(f"no algorithm takes part in a choice ({AUTO}): name one with --algorithm")
    names = [candidate.name for candidate in candidates]
    models = named_models(own_model(options.model, [options.algorithm], options, console), names)
    return [candidate for candidate in candidates if not models or candidate.name in models], models


def own_images(options: SegmentOptions, task: str) -> tuple[list[Item], list[str]]:
    """Return the images, each with a name of its own and without its truth, and lines on skips."""
    outputs = {socket.slug for socket in TASKS[task].outputs}
    main = next(socket for socket in TASKS[task].inputs if socket.is_volume)
    items: list[Item] = []
    lines = []
    places = options.images
    if main.kind == "canvas":
        places = [
            place
            for path in places
            for place in (sorted(path.glob("[!.]*")) if path.is_dir() else [path])
            if place == path or format_of(place) is REQUEST
        ]
    for path in places:
        if is_folder(path) or is_list(path):
            plain = image_files(path) or (path / "images").is_dir()
            inner = (path / name for name in INFERENCE if (path / name).is_dir())
            home = path if plain else next(inner, path)  # the images that CycleGAN translates
            contents = index(home, task, recursive=options.recursive, root=options.data_root)
            if home != path:
                lines.append(f"{path}: images of {home.name}/")
            items += contents.items
            if contents.skipped:
                lines.append(f"{path}: {contents.count}")
        elif path.exists():
            items.append(Item(case_name(key_of(path)), path, socket=main.slug))
        else:
            raise InputError(f"{path}: no such file or folder")
    if not items:
        raise InputError(
            "no image (for masks: no JSON request) is given: name files, folders of them, or lists"
        )
    times = Counter((item.name.casefold(), item.image.suffix) for item in items)
    taken: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: is_picture(item.image)):
        if times[item.name.casefold(), item.image.suffix] > 1:  # of `day1/` and `day2/`
            item = replace(item, name=case_name(f"{_homes(item.image)[-1].name}_{item.name}"))
        first = taken.get(item.name.casefold(), item)
        end = f"_{item.image.suffix[1:]}" if item.image.suffix != first.image.suffix else ""
        roles = {**_stated(item.image), **item.files}.items()
        files = {slug: path for slug, path in roles if slug not in outputs}
        item = replace(item, name=item.name + end, files=files)
        if taken.setdefault(item.name.casefold(), item) is not item:
            raise InputError(f"images need different names, found {first.image}, {item.image}")
    return list(by_part(taken.values(), options.part, task)), lines


def _homes(image: Path) -> list[Path]:
    """Return the folder of an image, and of one in ``images/`` the folder above, too."""
    home = image.absolute().parent
    return [home, home.parent] if home.name.lower() in IMAGES else [home]


def _stated(image: Path) -> PathDict:
    """Return the file of metadata of an image: next to the image or to its folder ``images/``."""
    file = f"{ACQUISITION.slug}/{key_of(image)}.json"
    return {path.parent.name: path for home in _homes(image) if (path := home / file).is_file()}


class Decision(NamedTuple):
    """The choice of algorithm and model for an image, with all that led to it."""

    image: str  # the file, printable
    algorithm: AlgorithmManifest  # its ``select`` has the costs
    by: str  # the way of the choice, as of `ModelChoice`
    facts: Facts
    sources: TextMap  # of each fact
    selection: Selection  # the chosen card, with all others
    warnings: TextSeq  # on metadata and choice, as a record has them

    def as_json(self) -> Json:
        """Return all of it as JSON, with the keys of a record."""
        return {
            "image": self.image,
            "algorithm": self.algorithm.name,
            "metadata": {
                key: {"value": value, "source": self.sources[key]}
                for key, value in self.facts.items()
            },
            **self.selection.summary,
            "by": self.by,
            "tie": list(self.selection.tie),
            "others": [candidate.summary for candidate in self.selection.others],
            "warnings": list(self.warnings),
        }


def candidates_of(decisions: Sequence[Decision]) -> ValueTable:
    """Return all cards of each image with costs and doubts, the chosen first."""
    keys = dict[str, None]()
    rows = list[dict[str, Cell]]()
    for decision in decisions:
        chosen = decision.selection
        cards = [chosen, *chosen.others]
        used = {key for card in cards for key in card.terms}
        keys |= dict.fromkeys(key for key in decision.algorithm.select.keys if key in used)
        for card in cards:
            rows.append(
                {
                    "image": decision.image,
                    "algorithm": decision.algorithm.name,
                    "model": card.card.name,
                    "cost": card.cost,
                    **card.terms,
                    "remarks": "; ".join(_remarks(card, first=card is chosen)),
                }
            )
    return ValueTable(("image", "algorithm", "model", "cost", *keys, "remarks"), rows)


def show_choice(options: SegmentOptions, console: Console) -> int:
    """Show metadata and costs of all models for each image; exit code 2 if one has none."""
    candidates, models = candidates_for(options, console)
    items, skipped = own_images(options, candidates[0].task)
    plain = engine_name(options.engine)[0] == "process"  # images have all packages
    unable = cache(partial(refusal, need_packages if plain else lambda _: None))
    decisions = []
    entries = []
    for item in items:
        try:
            decision = decide(item, candidates, models, options, unable)
        except CytosuiteError as error:
            if len(items) == 1:
                raise InputError(_line(item, error)) from None
            entries.append({"image": printable(str(item.image)), "error": str(error)})
            say(console, _line(item, error))
            continue
        decisions.append(decision)
        entries.append(decision.as_json())
        if not options.stdout_is_data:
            _print(decision, options, console)
    say(console, *skipped)
    keep(candidates_of(decisions), options, entries)
    return 2 if len(decisions) < len(items) else 0


def decide(
    item: Item,
    candidates: Sequence[AlgorithmManifest],
    models: Models,
    options: SegmentOptions,
    unable: Unable,
) -> Decision:
    """Return the choice for an image, the same as `apply` makes."""
    files = {slug: path for slug, path in item.files.items() if SOCKETS[slug].is_file}
    sample = load(replace(item, files=files), options.spacing, options.metadata)
    main = next(image for image in sample.sockets.values() if isinstance(image, Volume))
    stated = sample.sockets.get(ACQUISITION.slug)
    volume = described(main, stated if isinstance(stated, dict) else acquisition(main), item.name)
    volume = with_given(volume, TASKS[candidates[0].task], {*sample.sockets, *item.files})
    volume = as_plane(volume, cards_of_all(candidates, models))
    facts = describe(volume) | folder_of(item.image)
    algorithm, doubts = choose_able(candidates, facts, models, unable)
    cards = cards_of(algorithm.name, models)
    sized = facts
    if SIZE in algorithm.select.keys:
        from cytosuite.networks.scale import with_size  # scipy takes long to import

        sized = with_size(facts, volume, cards)
    selection = select(cards, sized, algorithm.select)
    warnings = dict.fromkeys(
        [*doubts, *volume.origin.warnings, *choice_warnings(selection, volume, sized)]
    )
    by = "user" if algorithm.name in models else selection.by
    facts |= sized
    known = {SIZE: "image", **volume.origin.sources}
    sources = {key: known.get(key, "file") for key in facts}
    image = printable(str(item.image))
    return Decision(image, algorithm, by, facts, sources, selection, list(warnings))


def cards_of_all(candidates: Sequence[AlgorithmManifest], models: Models) -> Iterator[ModelCard]:
    """Yield the model cards of several algorithms, which are read when they are asked for."""
    for candidate in candidates:
        yield from cards_of(candidate.name, models)


def folder_of(image: Path) -> dict[str, Value]:
    """Return the folder of an image as a fact, where a model is in use for it."""
    return {FOLDER: folder} if (folder := ruled_folder(image)) else {}


class UnableError(InputError):
    """No algorithm that fits an image can run here."""


def choose_able(
    candidates: Sequence[AlgorithmManifest],
    facts: Facts,
    models: Models,
    unable: Unable,
) -> tuple[AlgorithmManifest, list[str]]:
    """Return an algorithm that can run here, for planes maybe the next one, with a warning."""
    algorithm = choose_algorithm(candidates, facts, models)
    if not (reason := unable(algorithm.name)):
        return algorithm, []
    others = candidates[candidates.index(algorithm) + 1 :]
    if not others or "Z" in str(facts.get("axes", "Z")):
        raise UnableError(reason)
    try:
        second, doubts = choose_able(others, facts, models, unable)
    except ModelError:
        raise UnableError(reason) from None
    return second, doubts or [SECOND + reason]


def _print(decision: Decision, options: SegmentOptions, console: Console) -> None:
    """Print title, metadata with sources, candidates and warnings of a choice."""
    facts, algorithm, cards = decision.facts, decision.algorithm, candidates_of([decision])
    say(
        console,
        f"{decision.image}: {algorithm.name} "
        f"{decision.selection.card.name}{WORDS.get(decision.by, '')}",
    )
    rows = [
        {
            "key": key,
            "value": fact_text(facts[key]) if key in facts else None,
            "source": decision.sources.get(key, UNSAID),
        }
        for key in dict.fromkeys([*algorithm.select.keys, *sorted(facts)])  # those that count first
    ]
    metadata = ValueTable(("key", "value", "source"), rows)
    for table in (metadata, ValueTable(cards.names[2:], cards.rows)):
        show(table, console, wide=options.wide)
        console.print()
    say(console, *(f"warning: {line}" for line in decision.warnings))


def _remarks(candidate: Selection, *, first: bool) -> Iterator[str]:
    """Yield the place of a card, where it is the first, and the doubts about it."""
    if first:
        yield "chosen"
    if first and candidate.tie:
        yield f"before {', '.join(candidate.tie)} of the same cost"
    if candidate.left_out and candidate.by != "use":
        yield f"left out: {candidate.left_out}"
    facts = candidate.card.describes
    yield from (f"made for {key} {fact_text(facts[key])}" for key in candidate.broken)
    yield from (f"{key} assumed" for key in candidate.unknown)
    if candidate.general:
        yield f"for any {', '.join(candidate.general)}"


def _line(item: Item, error: CytosuiteError) -> str:
    """Return the failure of an image as a line that names it once."""
    place = str(item.image)
    return str(error) if str(error).startswith(place) else f"{place}: {error}"
