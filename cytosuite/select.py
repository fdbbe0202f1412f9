"""The choice of a model by an image's metadata: one cost, no language of rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log
from types import MappingProxyType

from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, SelectPolicy
from cytosuite.volume import Volume

Value = str | int | float | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen card with the terms of its cost.

    Parameters
    ----------
    card : ModelCard
        The card of smallest cost.
    cost : float
        Sum of `terms`.
    terms : mapping
        Cost of each key.
    broken : tuple of str
        The keys of ``must`` which the chosen card does not pass.
    """

    card: ModelCard
    cost: float
    terms: Mapping[str, float]
    broken: tuple[str, ...] = ()

    @property
    def fallback(self) -> bool:
        """Whether no card passes every ``must``: this one is the nearest."""
        return bool(self.broken)


def describe(
    volume: Volume | None, values: Mapping[str, Mapping[str, object]] = MappingProxyType({})
) -> dict[str, Value]:
    """Return the facts that cards are compared with: an image's metadata and its geometry.

    Parameters
    ----------
    volume : Volume or None
        The main input. Its voxel size is left out where the file gave none, so that it counts as
        missing.
    values : mapping of str to mapping
        JSON inputs: without an image their strings and numbers are the facts.
    """
    if volume is None:
        facts = {key: value for own in values.values() for key, value in own.items()}
        return {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    shape = tuple(float(size) for size in volume.shape)
    found: dict[str, Value] = {**volume.metadata, "axes": volume.axes, "shape": shape}
    if not volume.spacing_is_assumed:
        found["spacing"] = volume.spacing
    found.pop("spacing_source", None)
    return found


def select(
    cards: Sequence[ModelCard], metadata: Mapping[str, Value], policy: SelectPolicy
) -> Selection:
    """Return the card that fits an image best.

    Parameters
    ----------
    cards : sequence of ModelCard
        The models there are.
    metadata : mapping
        Of the image, see `describe`.
    policy : SelectPolicy
        The keys that count, with their costs.

    Returns
    -------
    Selection
        Of smallest cost; ties go to the first name.

    Raises
    ------
    ModelError
        If there is no card, or none passes every ``must`` and the policy is to fail.

    Notes
    -----
    The cost is a sum over the policy's keys which the card gives. Lists of numbers (voxel size,
    shape): the weight times ``|ln(image / card)|``, summed over axes. Anything else: the weight
    when the two differ. A key which the image lacks: `policy.missing`. ``must``: another value
    excludes the card; an unknown one costs `policy.missing`.
    """
    if not cards:
        raise ModelError("no model to choose from; give a folder with at least one model card")
    candidates = [_judge(card, metadata, policy) for card in cards]
    best = min(candidates, key=lambda found: (len(found.broken), found.cost, found.card.name))
    if best.fallback and policy.fallback == "fail":
        key = best.broken[0]
        known = sorted({str(card.describes[key]) for card in cards if key in card.describes})
        raise ModelError(
            f"no model for {key} = {metadata.get(key)!r}; there are models for {', '.join(known)}"
        )
    return best


def _judge(card: ModelCard, metadata: Mapping[str, Value], policy: SelectPolicy) -> Selection:
    """Return this card with its cost."""
    terms: dict[str, float] = {}
    broken = []
    for key, weight in policy.keys.items():
        if key not in card.describes:
            continue
        if key not in metadata:
            terms[key] = policy.missing
        elif weight == "must":
            if _distance(metadata[key], card.describes[key]) > 0:
                broken.append(key)
        else:
            terms[key] = weight * _distance(metadata[key], card.describes[key])
    return Selection(card, sum(terms.values()), terms, tuple(broken))


def _distance(image: Value, card: Value) -> float:
    """Return ``sum |ln ratio|`` for lists of numbers, else 0 for equal and 1 for different."""
    if not isinstance(image, tuple | list) or not isinstance(card, tuple | list):
        return float(_word(image) != _word(card))
    if len(image) != len(card):
        return inf
    return sum(
        0.0 if a == b else abs(log(a / b)) if a > 0 and b > 0 else inf
        for a, b in zip(image, card, strict=True)
    )


def _word(value: Value) -> str:
    """Return a value as text, equal for a number and its text: files write study 2 in both ways."""
    try:
        return f"{float(value):g}"  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
