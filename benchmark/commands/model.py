"""Models of one's own and of colleagues: add, use, pack, install, remove."""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from cytosuite.benchmark.catalog.contract import trial
from cytosuite.benchmark.catalog.models import algorithms, cards_of, named_models
from cytosuite.benchmark.catalog.packages import need_packages
from cytosuite.benchmark.catalog.packed import fact_text, opened, pack, purpose, unpack
from cytosuite.benchmark.catalog.places import (
    CHECKOUT,
    PACKAGE,
    ROOT,
    model_homes,
    program_of,
    workplace,
)
from cytosuite.benchmark.commands.data import start_engine
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.commands.options.model import (
    AddOptions,
    InstallOptions,
    PackOptions,
    RemoveOptions,
    UseOptions,
    fact,
)
from cytosuite.benchmark.commands.terminal.console import say
from cytosuite.benchmark.commands.terminal.options import RunOptions
from cytosuite.benchmark.runs.learning import converted, is_tool
from cytosuite.benchmark.runs.trial import running
from cytosuite.contract.manifest import ModelCard, Use, Uses, parse, read_card
from cytosuite.contract.select import FOLDER, Facts, Value, partakers, select
from cytosuite.contract.weights import SAFE, USES, new_card, read_cards, uses
from cytosuite.errors import InputError, ModelError, count, last_line, pick
from cytosuite.errors.ending import REFUSED
from cytosuite.files import Json, atomic, file_digest, need_file, read_json, remove, write_json
from cytosuite.files.working import alone

CONVERTER = "cytosuite.training.convert"
FRESH: Json = {  # entries of a card that are never copied from another model
    "version": "0.1.0",
    "authors": "unknown",
    "license": "NOASSERTION",
    **dict.fromkeys(("weights", "sha256", "bytes")),
    "scores": {},
    "baselines": {},
    "trained": {},
    "adopted": False,
    "exact": {},
}


def add_command(options: AddOptions, console: Console) -> None:
    """Convert weights, write their card, test and score them; all of it, or nothing is left."""
    name, like = _like(options.like, options.facts)
    home = _home(name)
    keys = {*algorithms()[name].select.keys, "diameter_um"}
    ours = (like, *read_cards(ROOT / "weights" / name, name))
    keys |= {key for card in ours if card for key in card.describes}
    pick("key of --describes", options.facts, keys)
    _need_new(home, options.name)
    for path in (options.file, options.data):
        if path is not None and not path.exists():
            raise InputError(f"{path}: no such file or folder")
    with _staged(home, options.name) as stage:
        _convert(options, name, like, stage, console)
        cards = sorted(stage.glob("*.json"))
        for card in cards:
            _need_new(home, card.stem)
            _complete(card, options, like)
            _test(card, options.file, console)
        if like and like.weights is None:
            say(
                console,
                f"note: {name}:{like.name} has no weights, so whether these are read is not tested",
            )
        placed = _place(cards, home)
    try:
        if options.data is not None:
            for card in placed:
                _score(card, options.data, options.engine, console)
    except BaseException:  # also Ctrl-C
        _remove(placed)
        raise
    for card in placed:
        _tell(card, "added", console)
    _need_choice(placed, console)


def use_command(options: UseOptions, console: Console) -> None:
    """Put a model before all others of its algorithm, for all images or some, or end that."""
    card = read_card(path := _named(options.model))
    home = ROOT / "weights" / card.algorithm
    if path.resolve().parent != home.resolve():
        raise InputError(f"{path}: models are chosen from {home} alone; name it with --model")
    images = dict(map(_image_fact, options.images))
    with alone(home):
        cards = read_cards(home, card.algorithm)
        rules = uses(home)
        same = {
            sibling.name
            for sibling in cards
            if sibling.describes.get("axes") == card.describes.get("axes")
        }
        if options.off:
            rules = tuple(r for r in rules if r.model != card.name or images not in ({}, r.images))
        else:
            others = (r for r in rules if r.images != images or r.model not in same)
            rules = (Use(model=card.name, images=images), *others)
        _write_rules(home, rules)
    which = ", ".join(f"{key} {fact_text(value)}" for key, value in images.items())
    end = (
        f"in use before all others, for {which or 'all images'} with axes "
        f"{card.describes.get('axes', 'of any kind')}"
    )
    if options.off:
        end = f"no longer in use for {which or 'any image'}"
    say(console, f"{card.algorithm}:{card.name}: {end}")


def _image_fact(text: str) -> tuple[str, Value]:
    """Return the folder of images, or another fact about them."""
    if Path(text).is_dir():
        return FOLDER, str(Path(text).resolve())
    return fact(text, "--for", "a folder, or key=value")


def _write_rules(home: Path, rules: Sequence[Use]) -> None:
    """Write the rules of models in use, those for some images first; no file without any."""
    if rules:
        ordered = sorted(rules, key=lambda rule: -len(rule.images))
        write_json(home / USES, Uses(use=tuple(ordered)).model_dump(mode="json"))
    else:
        remove(home / USES)


def _need_choice(placed: Sequence[Path], console: Console) -> None:
    """Put a model in use where none of its algorithm can be chosen: the former, or the new one."""
    name = read_card(placed[0]).algorithm
    cards = {card.name: card for card in cards_of(name, {})}
    try:
        partakers([*cards.values()], algorithms()[name].select)
    except ModelError:
        fresh = {path.stem for path in placed}
        former = [model for model, card in cards.items() if card.weights and model not in fresh]
        use_command(UseOptions(model=f"{name}:{min(former or fresh)}"), console)


def pack_command(options: PackOptions, console: Console) -> None:
    """Pack a model."""
    card = _named(options.model)
    out = options.out or Path(f"{card.stem}.zip")
    if out.suffix != ".zip":
        raise InputError(f"{out}: expected the name of a file that ends with .zip")
    need_file(out)
    pack(card, out)
    say(console, f"written: {out}, {out.stat().st_size / 1e6:.3g} MB, SHA-256 {file_digest(out)}")
    say(console, f"for a colleague: cytosuite model install {out.name}")


def install_command(options: InstallOptions, console: Console) -> None:
    """Install a packed model once it is checked and tested; nothing is left of a refused one."""
    with opened(options.file) as packed:
        name = options.name or packed.card.name
        home = _home(packed.card.algorithm)
        place = home / f"{name}.json"
        replaceable = place.exists() and not _is_shipped(place)
        if not (replaceable and options.overwrite):
            _need_new(home, name, "--name OTHER" + " or --overwrite" * replaceable)
        with _staged(home, name) as stage:
            card = unpack(packed, stage, name)
            _test(card, options.file, console)
            _place([card], home)
    _tell(place, "installed", console)
    _need_choice([place], console)


def remove_command(options: RemoveOptions, console: Console) -> None:
    """Remove the card and the weights of a model of one's own."""
    card = _named(options.model)
    home = workplace() / "weights"
    if card.resolve().parent.parent != home.resolve() or _is_shipped(card):
        raise InputError(f"{card}: no model of your own in {home}; only those are removed")
    _remove([card])
    say(console, f"removed: {card}")


def _home(algorithm: str) -> Path:
    """Return the folder of one's own models of an algorithm."""
    return workplace() / "weights" / algorithm


def _need_new(home: Path, name: str, remedy: str = "--name OTHER") -> None:
    """Refuse the name of a model of this algorithm that exists, one's own or of the package."""
    for place in model_homes():
        if (card := place / home.name / f"{name}.json").exists():
            raise InputError(f"{card}: a model of this name exists; give {remedy}")
    new_card(home, name)  # its letters, and the folder


def _named(word: str) -> Path:
    """Return the card of a name, ``algorithm:name`` or path; InputError where several have it."""
    cards = named_models(word, list(algorithms()))
    if len(cards) > 1:
        words = " or ".join(f"{name}:{word}" for name in cards)
        raise InputError(f"{word}: expected the name of one model, found several; give {words}")
    return next(iter(cards.values()))


def _like(word: str, facts: Facts) -> tuple[str, ModelCard | None]:
    """Return an algorithm and the card that a model is like, None where its file says all."""
    name = program_of(word)
    if name != word or Path(word).suffix == ".json":
        card = read_card(_named(word))
        return card.algorithm, card
    pick("algorithm", [name], algorithms())
    if is_tool(name) or (ROOT / "algorithms" / name / "training/weights.py").is_file():
        return name, None  # the tool's or the published file says which network it is
    every = read_cards(ROOT / "weights" / name, name)
    cards = [card for card in every if card.weights] or every
    if not cards:
        return name, None  # the first model of an algorithm of one's own
    if len(cards) > 1 and not facts:
        raise InputError(
            f"--like {name}: expected one of its models, {name}:NAME, or --describes to choose "
            f"by; there are {', '.join(card.name for card in cards)}"
        )
    return name, select(cards, facts, algorithms()[name].select).card


@contextmanager
def _staged(home: Path, name: str) -> Iterator[Path]:
    """Make a hidden folder for a model that is not tested yet, and remove it at the end."""
    try:
        with atomic(home / name, stays=lambda: True) as stage:
            (folder := stage / home.name).mkdir(parents=True)  # by which its algorithm is known
            yield folder
    finally:
        _tidy(home)


def _convert(
    options: AddOptions, name: str, like: ModelCard | None, stage: Path, console: Console
) -> None:
    """Write weights and cards into a folder, in a process or container that may load them."""
    card = stage / f"{options.name}.json"
    if like is None and is_tool(name):
        engine = start_engine(RunOptions(engine=options.engine), [name], console)
        converted(engine, name, options.file, stage, options.name)
        return
    if like is not None or not (ROOT / f"algorithms/{name}/training/weights.py").is_file():
        text = f"{options.file.name}, used like {like.name}." if like else options.file.name
        fresh = {**FRESH, "name": options.name, "description": text}
        bare = {"algorithm": name, "task": algorithms()[name].task, "describes": {}}
        write_json(card, {**(like.model_dump(mode="json") if like else bare), **fresh})
    need_packages("model add", CONVERTER)
    command = [sys.executable, "-m", CONVERTER, str(options.file.resolve()), str(card.resolve())]
    done = subprocess.run(
        command, cwd=PACKAGE.parent, capture_output=True, text=True, errors="replace", check=False
    )
    # The place where it is written is left again.
    say(console, *(n for n in done.stdout.splitlines() if not n.startswith("written: ")))
    if done.returncode:
        line = (done.stderr.strip().splitlines() or ["without a word"])[-1]
        hint = "" if like else f"; weights of a network of ours need --like {name}:MODEL"
        reason = line.removeprefix("cytosuite: ") + hint
        if done.returncode == REFUSED:
            raise InputError(reason)
        raise InputError(f"{options.file}: its conversion ended with {done.returncode}: {reason}")


def _complete(path: Path, options: AddOptions, like: ModelCard | None) -> None:
    """Write the user's entries, and the origin of the weights, into a card."""
    converted = read_json(path)
    described = {k: v for k, v in {**converted["describes"], **options.facts}.items() if v != ""}
    origin = {"file": options.file.name}
    if options.file.is_file():
        origin["sha256"] = file_digest(options.file)
    if like:
        origin["like"] = f"{like.algorithm}:{like.name}"
    card = {**converted, **options.entries, "describes": described, "adopted": False}
    card["trained"] = {**converted["trained"], **origin}
    write_json(path, parse(path.name, card, ModelCard).model_dump(mode="json"))


def _test(path: Path, file: Path, console: Console) -> None:
    """Run a model on the example image, as ``check`` does; InputError where a rule is broken."""
    card = read_card(path)
    manifest = algorithms()[card.algorithm]
    with (
        TemporaryDirectory(prefix="cytosuite-") as folder,
        running(manifest, Path(folder), {card.algorithm: path}) as run,
    ):
        for done in trial(manifest, [card], run, poor="note"):
            if done.result == "FAIL":
                reason = done.reason.rpartition(f"{path.stem}{SAFE}: ")[2]  # in a temporary folder
                reason = reason.removeprefix("non-zero exit: ")
                raise InputError(f"{file}: {done.title}: {reason}")
            say(console, done.line)


def _place(staged: Sequence[Path], home: Path) -> list[Path]:
    """Move models into a folder, all or none; return their cards there.

    A former one stays whole until its card changes.
    """
    places = [home / card.name for card in staged]
    fresh = [place for place in places if not place.exists()]
    with alone(home):
        try:
            for card, place in zip(staged, places, strict=True):
                if (weights := card.with_suffix(SAFE)).exists():
                    weights.replace(home / _free(card, home))
                card.replace(place)
        except BaseException:  # also Ctrl-C
            _remove(fresh)
            raise
        finally:
            for place in places:
                _drop(place)
    return places


def _free(card: Path, home: Path) -> str:
    """Return a name for the weights of a staged card that none in a folder have, as it says."""
    weights = card.with_suffix(SAFE)
    if not (home / weights.name).exists():
        return weights.name
    name = f"{card.stem}-{file_digest(weights)[:8].upper()}{SAFE}"  # no model has these letters
    write_json(card, {**read_json(card), "weights": name})
    return name


def _drop(card: Path) -> None:
    """Remove the weights of a model's name that its card does not name."""
    named = read_card(card).weights if card.exists() else None
    for path in (
        card.with_suffix(SAFE),
        *card.parent.glob(f"{card.stem}-{'[0-9A-F]' * 8}{SAFE}"),
    ):
        if path.name != named:
            remove(path)


def _remove(cards: Sequence[Path]) -> None:
    """Remove models: cards before weights, which nobody misses without them."""
    for card in cards:
        remove(card)
        _drop(card)
        if rules := uses(card.parent):
            _write_rules(card.parent, [rule for rule in rules if rule.model != card.stem])
        _tidy(card.parent)


def _tidy(home: Path) -> None:
    """Remove the folder of an algorithm's models, and of all models, where it is empty."""
    for folder in (home, home.parent):
        with suppress(OSError):
            folder.rmdir()


def _score(path: Path, data: Path, engine: str, console: Console) -> None:
    """Run a benchmark of a model on annotated images, and write its scores into the card."""
    from cytosuite.benchmark.commands.benchmark import benchmark_command
    from cytosuite.metrics.boards import BOARDS

    card = read_card(path)
    run = f"model-{card.algorithm}-{card.name}"
    options = BenchmarkOptions(
        dataset=str(data), algorithm=[f"{card.algorithm}:{card.name}"], run=run, engine=engine
    )
    if benchmark_command(options, console):
        raise InputError(f"{data}: the model fails on these images; see the lines above")
    aggregates = read_json(options.folder / run / "report/metrics.json")["aggregates"]
    measured = {name: aggregates.get(name, {}) for name in BOARDS[card.task].primary}
    # Objects are pooled, where a metric has some, as in a training.
    values = {name: of.get("pooled", of.get("mean")) for name, of in measured.items()}
    scores = {name: round(value, 4) for name, value in values.items() if value is not None}
    if not scores:
        raise InputError(f"{data}: expected annotated images to score on, found none")
    cases = len(read_json(options.folder / run / "run.json")["cases"])
    title = f"{count(cases, 'image')} of {data.resolve().name}"
    write_json(path, {**read_json(path), "scores": {title: scores}})


def _is_shipped(card: Path) -> bool:
    """Return whether a card comes with cytosuite: in a checkout git knows it."""
    if not CHECKOUT:
        return card.resolve().is_relative_to(ROOT)
    command = ["git", "-C", str(ROOT), "ls-files", "--error-unmatch", str(card.resolve())]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(f"{card}: git cannot tell whose it is ({last_line(error)})") from None
    return done.returncode == 0


def _tell(path: Path, verb: str, console: Console) -> None:
    """Print place, purpose and use of a model."""
    say(console, f"{verb}: {path}", *purpose(card := read_card(path)))
    if CHECKOUT:
        say(
            console,
            f"to put it before all others: cytosuite model use {card.algorithm}:{card.name}",
        )
