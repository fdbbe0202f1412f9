"""The choice of a model by an image's metadata: one cost, no rule language."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, log

from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, SelectPolicy
from cytosuite.volume import Volume

Value = str | int | float | tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Selection:
    """The chosen card and why it was chosen.

    Parameters
    ----------
    card : ModelCard
        The card of smallest cost.
    cost : float
        Sum of `terms`.
    terms : mapping
        Cost of each key.
    fallback : bool
        Whether no card passed every ``must``, so that the nearest was taken all the same.
    broken : tuple of str
        The keys of ``must`` which the chosen card does not pass.
    """

    card: ModelCard
    cost: float
    terms: Mapping[str, float]
    fallback: bool
    broken: tuple[str, ...] = ()


def describe(volume: Volume) -> dict[str, Value]:
    """Return what cards are compared with: an image's metadata and its geometry.

    The voxel size is left out where the file gave none, so that it counts as missing.

    Parameters
    ----------
    volume : Volume
        The image.
    """
    found: dict[str, Value] = {**volume.metadata}
    found["axes"] = volume.axes
    found["shape"] = tuple(float(size) for size in volume.shape)
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
        What is known of the image, see `describe`.
    policy : SelectPolicy
        What counts, and how much.

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
    The cost is a sum over the policy's keys which the card gives. Words: the weight when they
    differ. Numbers: the weight times ``|ln(image / card)|``, summed over axes. A key which the
    image lacks: `policy.missing`. ``must``: another value excludes the card; an unknown one
    costs `policy.missing`.
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
    """Return what choosing this card would cost."""
    terms: dict[str, float] = {}
    broken = []
    for key, weight in policy.keys.items():
        if key not in card.describes:
            continue
        if key not in metadata:
            terms[key] = policy.missing
        elif weight == "must":
            if str(metadata[key]) != str(card.describes[key]):
                broken.append(key)
        else:
            terms[key] = weight * _distance(metadata[key], card.describes[key])
    return Selection(card, sum(terms.values()), terms, bool(broken), tuple(broken))


def _distance(image: Value, card: Value) -> float:
    """Return ``sum |ln ratio|`` for numbers, 0 or 1 for equal or different words."""
    if isinstance(image, str) or isinstance(card, str):
        return float(str(image) != str(card))
    ours, theirs = _numbers(image), _numbers(card)
    if len(ours) != len(theirs):
        return inf
    return sum(
        0.0 if a == b else abs(log(a / b)) if a > 0 and b > 0 else inf
        for a, b in zip(ours, theirs, strict=True)
    )


def _numbers(value: int | float | tuple[float, ...]) -> tuple[float, ...]:
    """Return a number or numbers as a tuple."""
    return tuple(value) if isinstance(value, tuple | list) else (float(value),)
