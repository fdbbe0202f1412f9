"""A model as one zip, written for a colleague or read from one: card, weights and a README."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.contract.manifest import ModelCard, parse, read_card
from cytosuite.contract.select import Value
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import NAME, SAFE, open_model
from cytosuite.errors import InputError, pick, plain
from cytosuite.files import file_digest, json_text, parse_json, write_json
from cytosuite.files.archive import ZipReader, opened_zip, write_zip

MOST_BYTES = 10_000_000  # of a card
SETTINGS = "configs"  # folder of a bundle with JSON files that are no cards
DIMENSIONS = {"YX": "2D", "ZYX": "3D", "CYX": "2D, channels", "CZYX": "3D, channels"}


class Packed(NamedTuple):
    """A model in an opened archive."""

    card: ModelCard
    archive: ZipReader
    weights: PurePosixPath | None


def fact_text(value: Value) -> str:
    """Return a fact about images as text."""
    sizes = value if isinstance(value, tuple) else (value,)
    return " x ".join(f"{size:g}" if isinstance(size, float) else str(size) for size in sizes)


def made_for(card: ModelCard) -> str:
    """Return the images that a model was made for: channel, study, dimensions, size, sample."""
    facts = card.images
    size = facts.get("spacing")
    words = [
        str(facts.get("channel", "")),
        f"study {study:g}" if isinstance(study := facts.get("study"), float) else "",
        DIMENSIONS.get(str(facts.get("axes", "")), ""),
        f"{fact_text(size)} µm" if isinstance(size, tuple) else "",
        str(facts.get("sample", "")),
    ]
    return ", ".join(word for word in words if word)


def purpose(card: ModelCard) -> list[str]:
    """Return lines for a reader: purpose, authors, scores and use of a model."""
    command = "segment" if card.task == "segment" else "apply"
    scores = [
        f"scores on {data}: {', '.join(f'{name} {value:g}' for name, value in values.items())}"
        for data, values in card.scores.items()
    ]
    lines = [
        f"{card.algorithm}, {TASKS[card.task].title}: {card.description}",
        f"made for: {made_for(card) or 'any image'}",
        f"by {card.authors}; licence {card.license}",
        *(scores or ["no scores"]),
        f"use: cytosuite {command} IMAGES --algorithm {card.algorithm} --model {card.name}",
    ]
    return list(map(plain, lines))


def pack(path: Path, out: Path) -> Path:
    """Write a card and its weights into a zip, the same bytes each time; ModelError if altered."""
    card = read_card(path)
    model = open_model(path.parent, card)
    contents = {}
    if model.weights is not None:
        card = card.model_copy(update={"weights": f"{card.name}{SAFE}"})
        contents[f"{card.name}{SAFE}"] = model.weights.read_bytes()
    text = [f"# {card.name}", *purpose(card), f"install: cytosuite model install {out.name}"]
    if contents:
        text.append(f"SHA-256 of {card.name}{SAFE}: {card.sha256}")
    contents["README.md"] = "\n\n".join([*text, ""]).encode()
    contents[path.name] = f"{json_text(card.model_dump(mode='json'))}\n".encode()
    return write_zip(out, contents)


@contextmanager
def opened(path: Path) -> Iterator[Packed]:
    """Open a packed model or bundle of a stranger; InputError unless it holds one model of ours."""
    with opened_zip(path) as archive:
        cards = [
            name
            for name in archive.members
            if name.suffix == ".json" and name.parent.name != SETTINGS and name.name[0] != "."
        ]
        if len(cards) != 1:
            names = ", ".join(str(name)[:100] for name in cards[:3]) or "none"
            raise InputError(
                f"{path}: expected one model card (.json), found {names}; "
                "cytosuite model pack writes such a file"
            )
        card = _card(archive, cards[0])
        yield Packed(card, archive, _weights(card, cards[0], archive))


def _card(archive: ZipReader, name: PurePosixPath) -> ModelCard:
    """Return the card in a member of an archive, of an algorithm and a task that are known."""
    where = f"{archive.path}: {name}"
    if archive.members[name].file_size > MOST_BYTES:
        raise InputError(f"{where}: expected a card of at most {MOST_BYTES} bytes")
    try:
        content = parse_json(archive.read(name).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected JSON, found {error}") from None
    card = parse(where, content, ModelCard)
    manifests = algorithms()
    pick("algorithm", [card.algorithm], manifests)
    if card.task != (task := manifests[card.algorithm].task):
        raise InputError(f"{where}: expected the task {task}, found {card.task}")
    facts = [part for pair in card.describes.items() for part in map(str, pair)]
    for text in (card.description, card.authors, card.license, *facts, *card.scores):
        if not text.isprintable():
            raise InputError(f"{where}: expected printable text, found {text[:100]!r}")
    if not NAME.fullmatch(card.name):
        raise InputError(f"{where}: expected a name of at most 100 letters, found {card.name!r}")
    return card


def _weights(card: ModelCard, place: PurePosixPath, archive: ZipReader) -> PurePosixPath | None:
    """Return the weights that a card names, from its folder; None without any."""
    if card.weights is None:
        return None
    if not card.weights.endswith(SAFE):
        raise InputError(f"{archive.path}: expected weights as {SAFE}, found {card.weights}")
    if (weights := place.with_name(card.weights)) not in archive.members:
        raise InputError(
            f"{archive.path}: its card names the weights {card.weights}, not in the archive"
        )
    return weights


def unpack(packed: Packed, folder: Path, name: str) -> Path:
    """Write a packed model under a name into a folder, not adopted; return the card's path."""
    entries = {"name": name, "adopted": False}
    if packed.weights is not None:
        entries["weights"] = f"{name}{SAFE}"
        packed.archive.unpack(packed.weights, target := folder / f"{name}{SAFE}")
        if (digest := file_digest(target)) != packed.card.sha256:
            raise InputError(
                f"{packed.archive.path}: expected SHA-256 {packed.card.sha256} of its weights, "
                f"found {digest}"
            )
    path = folder / f"{name}.json"
    write_json(path, packed.card.model_copy(update=entries).model_dump(mode="json"))
    return path
