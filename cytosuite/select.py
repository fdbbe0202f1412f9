"""The choice of a model by an image's metadata: one cost, no language of rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, inf, log
from types import MappingProxyType

from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, SelectPolicy
from cytosuite.volume import Volume

Value = str | int | float | tuple[float, ...]

RIGID = "axes"  # never relaxed: a model of volumes has no meaning in a plane
ASSUMED = "voxel size assumed"
FAR = log(2.0)  # largest |ln ratio| of a voxel's edges that needs no warning


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
    unknown : tuple of str
        The keys of ``must`` of which the image says nothing: it was taken as one for this card.
    """

    card: ModelCard
    cost: float
    terms: Mapping[str, float]
    broken: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

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
        missing; where the step between slices alone is missing, the pixel's is given.
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
    elif volume.spacing[-2:] != (1.0, 1.0):
        found["spacing"] = volume.spacing[-2:]
    found.pop("spacing_source", None)
    return found


def select(
    cards: Sequence[ModelCard], metadata: Mapping[str, Value], policy: SelectPolicy
) -> Selection:
    """Return the card that fits an image best.

    Parameters
    ----------
    cards : sequence of ModelCard
        The models there are. Of several, those without scores of images that were kept out of
        their training are left out; a single card was chosen by the user and is taken as it is.
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
        If there is no card, several but none with scores, none for the image's axes, or none
        that passes every ``must`` and the policy is to fail.

    Notes
    -----
    The cost is a sum over the policy's keys which the card gives. Lists of numbers (voxel size,
    shape): the weight times ``|ln(image / card)|``, summed over the last axes, as many as both
    have. Anything else: the weight when the two differ. A key which the image lacks:
    `policy.missing`. ``must``: another value excludes the card; an unknown one costs
    `policy.missing`.
    """
    if not cards:
        raise ModelError("no model to choose from; give a folder with at least one model card")
    scored = [card for card in cards if card.scores] if len(cards) > 1 else cards
    if not scored:
        names = ", ".join(card.name for card in cards)
        raise ModelError(
            "no model has scores of images kept out of its training, so none is chosen by itself; "
            f"name one with --model: {names}"
        )
    candidates = [_judge(card, metadata, policy) for card in scored]
    best = min(
        candidates,
        key=lambda found: (RIGID in found.broken, len(found.broken), found.cost, found.card.name),
    )
    if RIGID in best.broken or (best.fallback and policy.fallback == "fail"):
        key = RIGID if RIGID in best.broken else best.broken[0]
        known = sorted({str(card.describes[key]) for card in scored if key in card.describes})
        who = best.card.algorithm + (f" {best.card.name}" if len(cards) == 1 else "")
        raise ModelError(f"{who}: made for {key} {' or '.join(known)}, found {metadata.get(key)}")
    return best


def cautions(selection: Selection, volume: Volume | None) -> list[str]:
    """Return the warnings on a choice, one line each: kind, colon, finding.

    Parameters
    ----------
    selection : Selection
        The chosen card.
    volume : Volume or None
        The main input.

    Returns
    -------
    list of str
        On every ``must`` that the card does not pass or the image does not say, on a voxel size
        that was assumed, and on one that is more than twice or less than half of the card's.
    """
    if volume is None:
        return []
    card, facts = selection.card, describe(volume)
    lines = [
        f"model does not fit: {key} is {facts.get(key)!r}, {card.name} was made for "
        f"{card.describes[key]!r}"
        for key in selection.broken
    ]
    lines += [
        f"{key} assumed: {card.describes[key]}, not given by the file" for key in selection.unknown
    ]
    size = " x ".join(f"{step:g}" for step in volume.spacing)
    if volume.spacing_is_assumed:
        return [*lines, f"{ASSUMED}: {size} µm, not given by the file"]
    own = card.describes.get("spacing")
    if not isinstance(own, tuple):
        return lines
    ratios = [log(a / b) for a, b in _pairs(volume.spacing, own)]
    if (far := max(ratios, key=abs, default=0.0)) and abs(far) > FAR:
        word = "larger" if far > 0 else "smaller"
        lines.append(
            f"voxel size far from the model's: {size} µm, up to {exp(abs(far)):.3g} times {word} "
            f"than {' x '.join(f'{step:g}' for step in own)} µm of {card.name}"
        )
    return lines


def _judge(card: ModelCard, metadata: Mapping[str, Value], policy: SelectPolicy) -> Selection:
    """Return this card with its cost."""
    terms: dict[str, float] = {}
    broken, unknown = [], []
    for key, weight in policy.keys.items():
        if key not in card.describes:
            continue
        if key not in metadata:
            terms[key] = policy.missing
            unknown += [key] if weight == "must" else []
        elif weight == "must":
            if _distance(metadata[key], card.describes[key]) > 0:
                broken.append(key)
        else:
            terms[key] = weight * _distance(metadata[key], card.describes[key])
    return Selection(card, sum(terms.values()), terms, tuple(broken), tuple(unknown))


def _distance(image: Value, card: Value) -> float:
    """Return ``sum |ln ratio|`` for lists of numbers, else 0 for equal and 1 for different."""
    if not isinstance(image, tuple | list) or not isinstance(card, tuple | list):
        return float(_word(image) != _word(card))
    return sum(
        0.0 if a == b else abs(log(a / b)) if a > 0 and b > 0 else inf
        for a, b in _pairs(image, card)
    )


def _pairs(image: Sequence[float], card: Sequence[float]) -> list[tuple[float, float]]:
    """Return the values of the last axes, as many as both have: y and x of plane and volume."""
    return list(zip(reversed(image), reversed(card), strict=False))


def _word(value: Value) -> str:
    """Return a value as text, equal for a number and its text: files write study 2 in both ways."""
    try:
        return f"{float(value):g}"  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return str(value)
