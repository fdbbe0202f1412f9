"""Tables of models for readers, from their cards."""

from collections.abc import Mapping
from pathlib import Path

from cytosuite.benchmark.report.section import table
from cytosuite.errors import InputError
from cytosuite.manifest import ModelCard
from cytosuite.weights import read_cards

HEADS = ("model", "purpose", "made for", "trained", "scores", "baselines", "license")
COUNTS = {"n_objects"}  # among the scores of a card
DIGITS = 3


def models_table(folder: Path, algorithm: str) -> list[str]:
    """Return the lines of a table with the models of an algorithm.

    Parameters
    ----------
    folder : Path
        Holds the cards.
    algorithm : str
        Its name.

    Raises
    ------
    InputError
        If there is no card, or one is not valid.
    """
    cards = read_cards(folder, algorithm)
    if not cards:
        raise InputError(f"{folder}: expected model cards, found none")
    return table(HEADS, [_row(card) for card in cards])


def _row(card: ModelCard) -> tuple[str, ...]:
    """Return the cells of a model."""
    return (
        card.name,
        card.description,
        ", ".join(f"{key} {_value(value)}" for key, value in card.describes.items()),
        trained(card),
        "; ".join(f"{data}: {_scores(found)}" for data, found in card.scores.items()) or "-",
        "; ".join(f"{name}: {_scores(found)}" for name, found in card.baselines.items()) or "-",
        card.license,
    )


def trained(card: ModelCard) -> str:
    """Return data, steps, seed, time and device of a training; of parameters alone, that."""
    facts = card.trained
    if not facts:
        return "not trained: parameters"
    data = facts.get("dataset") or facts.get("data")
    words = [f"data {_digests(data)}"] if data else []
    words += [f"{facts['volumes']} volumes"] if "volumes" in facts else []
    words += [f"{facts['steps']} steps"] if "steps" in facts else []
    words += [f"seed {facts['seed']}"] if "seed" in facts else []
    words += [f"{facts['seconds'] / 60:.0f} min"] if facts.get("seconds") else []
    words += [str(facts["device"])] if "device" in facts else []
    return ", ".join(words)


def _digests(data: object) -> str:
    """Return the start of each digest of the data."""
    if isinstance(data, Mapping):
        return ", ".join(f"{role} {_digests(own)}" for role, own in data.items())
    if isinstance(data, list):
        return " ".join(map(_digests, data))
    return str(data)[:12]


def _scores(found: Mapping[str, float]) -> str:
    """Return scores as text, with the number of objects first."""
    counts = [f"{found[name]:.0f} objects" for name in COUNTS if name in found]
    return ", ".join(counts + [f"{k} {v:.{DIGITS}g}" for k, v in found.items() if k not in COUNTS])


def _value(value: object) -> str:
    """Return a fact that a card describes as text."""
    if isinstance(value, tuple):
        return " x ".join(f"{part:g}" for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
