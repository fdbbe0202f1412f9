"""Models of tools of others: trained by their own code in their containers, or converted there."""

from math import isfinite
from pathlib import Path
from tempfile import TemporaryDirectory

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.engines.outcome import Engine, Limits, Shown
from cytosuite.benchmark.runs.data.dataset import Dataset
from cytosuite.contract.learning import ANSWER, REQUEST, WEIGHTS
from cytosuite.contract.learning import PART as MODULE
from cytosuite.contract.tasks import LABELS, TASKS
from cytosuite.contract.weights import write_model
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.files import (
    Entries,
    Json,
    Paths,
    digest,
    file_digest,
    link,
    object_in,
    read_toml,
    visible_files,
    write_json,
)
from cytosuite.files.archive import write_zip
from cytosuite.folders.splits import PART

SETTINGS = "learn.toml"
DAYS_S = 7 * 24 * 3600.0  # of a training
OUTPUT_GIB = 64.0  # of the output of a training, with the tool's own files
MOST_BYTES = 10_000_000  # of a card


class LearningError(CytosuiteError):
    """The tool did not end its work."""

    exit_code = 1


def is_tool(algorithm: str) -> bool:
    """Return whether an algorithm is a tool of others, which trains by its own code."""
    return (ROOT / "algorithms" / algorithm / f"{MODULE}.py").is_file()


def settings_of(algorithm: str, changes: Path | None) -> Json:
    """Return the settings of a tool's training with a file's changes; InputError of others."""
    settings = read_toml(ROOT / "algorithms" / algorithm / SETTINGS)
    changed = read_toml(changes) if changes else {}
    if strange := sorted(set(changed) - set(settings)):
        raise InputError(
            f"{changes}: {strange[0]} is not a known key; known keys: {', '.join(sorted(settings))}"
        )
    for key, value in changed.items():
        usual = settings[key]
        kinds = (int, float) if isinstance(usual, float) else (type(usual),)
        if type(value) not in kinds or (isinstance(value, float) and not isfinite(value)):
            raise InputError(
                f"{changes}: {key}: expected a value like {usual!r}, found {value!r}; change it"
            )
    return {**settings, **changed}


def trained(
    engine: Engine,
    algorithm: str,
    dataset: Dataset,
    card: Path,
    settings: Entries,
    limits: Limits,
    seed: int,
    authors: str,
    shown: Shown = lambda _: None,
) -> Path:
    """Train a model on annotated cases outside the part `test`; write it, return its card."""
    task = TASKS[algorithms()[algorithm].task]
    files = dict[str, Path]()
    for case in dataset.cases:
        image = case.main(task)
        labels = case.truth(task).get(LABELS.slug)
        if case.conditions().get(PART) != "test" and image is not None and labels is not None:
            suffix = "".join(image.suffixes[-1:])
            files |= {f"images/{case.name}{suffix}": image, f"labels/{case.name}{suffix}": labels}
    if not files:
        raise InputError(f"{dataset.title}: a training needs images with labels, found none")
    size = f"/{dataset.size}" if dataset.seed is not None else ""
    answer, weights = _asked(
        engine, algorithm, {"settings": dict(settings), "seed": seed}, files, limits, shown
    )
    tool = answer.get("facts", {}).get("tool", algorithm)
    name = f"{dataset.name}{size}"
    facts = {
        "data": {"images": [dataset.fingerprint]},
        "of": [name],
        "settings": dict(settings),
        "seed": seed,
        "cases": {"images": len(files) // 2},
        "device": engine.device,
    }
    return _written(
        card,
        algorithm,
        answer,
        weights,
        f"Trained by {tool} on {len(files) // 2} cases of {name}.",
        facts,
        authors,
    )


def converted(engine: Engine, algorithm: str, model: Path, home: Path, name: str = "") -> Path:
    """Return the card in `home` of a tool's own model, a file or a folder, converted once."""
    if not model.exists():
        raise InputError(f"{model}: no such file or folder of {algorithm}")
    sha256 = digest([model], model) if model.is_dir() else file_digest(model)
    card = home / f"{name or f'{_word(model.stem)}-{sha256[:8]}'}.json"
    if card.is_file() and not name:
        return card
    with TemporaryDirectory() as temporary:
        file = model
        if model.is_dir():
            parts = {path.relative_to(model).as_posix(): path for path in visible_files(model)}
            file = write_zip(Path(temporary) / f"{model.name}.zip", parts)
        answer, weights = _asked(
            engine, algorithm, {}, {f"model/{file.name}": file}, Limits(timeout_s=DAYS_S)
        )
    facts = {"file": model.name, "sha256": sha256}
    return _written(card, algorithm, answer, weights, f"{model.name} of a user.", facts, "unknown")


def _asked(
    engine: Engine,
    algorithm: str,
    request: Entries,
    files: Paths,
    limits: Limits,
    shown: Shown = lambda _: None,
) -> tuple[Entries, bytes]:
    """Return the answer of a tool and packed weights; LearningError with its last line."""
    with TemporaryDirectory(prefix="cytosuite-") as temporary:
        place = Path(temporary)
        place.chmod(0o755)
        inputs, out, log = place / "given", place / "out", place / "log.txt"
        write_json(inputs / REQUEST, dict(request))
        for name, file in files.items():
            link(inputs / name, file)
        out.mkdir()
        with engine.session(algorithm, place / "work", limits, "exec") as session:
            outcome = session.predict(inputs, out, log, shown)
        if outcome.status != "ok":
            raise LearningError(f"{algorithm}: {outcome.status}: {outcome.message}")
        answer = out / ANSWER
        weights = out / WEIGHTS
        if not answer.is_file() or not weights.is_file():
            raise LearningError(f"{algorithm}: expected {ANSWER} and {WEIGHTS}, found neither")
        if answer.stat().st_size > MOST_BYTES:
            raise LearningError(f"{algorithm}: {ANSWER} is larger than {MOST_BYTES} bytes")
        if not (content := object_in(answer)):
            raise LearningError(f"{algorithm}: expected an object in {ANSWER}")
        return content, weights.read_bytes()


def _written(
    card: Path,
    algorithm: str,
    answer: Entries,
    weights: bytes,
    description: str,
    trained: Entries,
    authors: str,
) -> Path:
    """Write a card and its weights; return the card's path."""
    manifest = algorithms()[algorithm]
    costs = {key: answer[key] for key in ("seconds", "cpu_seconds") if key in answer}
    content = {
        "name": card.stem,
        "version": manifest.version,
        "algorithm": algorithm,
        "task": manifest.task,
        "description": description,
        "authors": authors,
        "license": "NOASSERTION",
        "describes": answer.get("describes", {}),
        "parameters": answer.get("parameters", {}),
        "trained": {**trained, **costs, **answer.get("facts", {})},
    }
    return write_model(card, content, weights)


def _word(text: str) -> str:
    """Return a text as the name of a model may be."""
    return "".join(sign if sign.isalnum() or sign in "._-" else "-" for sign in text.lower())
