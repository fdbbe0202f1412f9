"""The choice of a model by an image's metadata: one cost, no language of rules."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from math import inf, isfinite, log
from types import MappingProxyType
from typing import TYPE_CHECKING

from cytosuite.contract.manifest import ModelCard, SelectPolicy
from cytosuite.errors import ModelError
from cytosuite.files import FloatMap, FloatPair, FloatTuple, Json, Texts, frozen

if TYPE_CHECKING:
    from cytosuite.volume import Volume

Value = str | int | float | FloatTuple
Facts = Mapping[str, Value]  # of an image or a card, by key

RIGID = "axes"  # never relaxed: a model of volumes has no meaning in a plane
FOLDER = "folder"  # key of the folder that images lie in, where a rule names it
PROOF = "scores of images kept out of its training"
CHANNELS = "; --channel-index takes several channels of a file, like cytoplasm,nucleus"
DISORDER = 1.0  # cost of sizes in another order than the card's
LARGER = 3.0  # an edge that grows costs more than one that shrinks: crops are smaller
EXACT = 2e-3  # largest cost of equal voxels, as files round them
SIZE = "diameter_um"  # key of the width of objects
CROP = 0.01  # of the cost of the shape where voxels are equal: an image may be a crop

NO_FACTS: Facts = MappingProxyType({})


@frozen
class Selection:
    """A card with the terms of its cost, and for the chosen one all others."""

    card: ModelCard
    cost: float  # sum of `terms`
    terms: FloatMap  # cost of each key
    broken: Texts = ()  # keys of ``must`` that the card does not pass
    unknown: Texts = ()  # keys of ``must`` that the image lacks: taken as the card's
    left_out: str = ""  # reason why the card is never chosen by itself, see `left_out`; else empty
    strange: Texts = ()  # keys with a word of the image that no card has: as if missing
    place: float = inf  # of the first rule by which it is in use for this image
    tie: Texts = ()  # models of the same cost, among them those trained from this one
    # All other cards, nearest first, those left out last; not compared.
    others: "tuple[Selection, ...]" = field(default=(), compare=False)

    @property
    def fallback(self) -> bool:
        """Whether no card passes every ``must``: this one is the nearest."""
        return bool(self.broken)

    @property
    def by(self) -> str:
        """The way of the choice: ``use`` of a model that the user has put before all others."""
        return "metadata" if self.place == inf else "use"

    @property
    def general(self) -> Texts:
        """The keys which the image gives and the card does not: it serves any value of them."""
        return tuple(key for key in self.terms if key not in self.card.describes)

    @property
    def summary(self) -> Json:
        """Model, cost, terms, broken keys, reason of being left out; as JSON can hold them."""
        return {
            "model": self.card.name,
            "cost": self.cost if isfinite(self.cost) else None,
            "terms": {key: value for key, value in self.terms.items() if isfinite(value)},
            "broken": list(self.broken),
            "left_out": self.left_out,
        }


def describe(
    volume: "Volume | None", values: Mapping[str, Mapping[str, object]] = MappingProxyType({})
) -> dict[str, Value]:
    """Return the facts that cards are compared with: an image's metadata and its geometry."""
    if not volume:
        facts = {key: value for entries in values.values() for key, value in entries.items()}
        return {key: value for key, value in facts.items() if isinstance(value, str | int | float)}
    described = {
        **volume.metadata,
        "axes": volume.axes,
        "shape": tuple(float(size) for size in volume.shape),
    }
    if not volume.spacing_is_assumed:
        described["spacing"] = volume.spacing
    elif volume.spacing[-2:] != (1.0, 1.0):
        described["spacing"] = volume.spacing[-2:]
    described.pop("spacing_source", None)
    return described


def select(cards: Sequence[ModelCard], metadata: Facts, policy: SelectPolicy) -> Selection:
    """Return the card in use, else the card of least cost; `ModelError` where none may be taken.

    Sum over keys: weight times `distance`, ``general`` of the image's, ``missing`` of the card's.
    At equal cost a card of `exact` facts is taken first, a model before those trained from it, and
    one of nuclei before others.
    """
    if not cards:
        raise ModelError("no model to choose from; give a folder with at least one model card")
    stated = {key: value for key, value in metadata.items() if _says_something(value)}
    free = partakers(cards, policy, stated)
    strange = _strange(free, stated, policy) if len(cards) > 1 else ()
    plain = {key: value for key, value in stated.items() if key not in strange}
    names = {card.name for card in free}

    def rank(selection: Selection) -> tuple[bool, float, int, float, bool, bool, bool, bool, str]:
        """Return the place in the order of choice."""
        broken = selection.broken
        card = selection.card
        return (
            RIGID in broken,
            selection.place,
            len(broken),
            selection.cost,
            not card.exact,
            not card.baselines,
            card.parent in names,
            "nucleus" not in str(card.describes.get("channel")),  # most images are of nuclei
            card.name,
        )

    candidates = sorted((_judge(card, plain, policy) for card in free), key=rank)
    best = candidates[0]
    if RIGID in best.broken or (best.fallback and policy.fallback == "fail"):
        key = RIGID if RIGID in best.broken else best.broken[0]
        describing = [one.card.describes for one in candidates if key in one.card.describes]
        purposes = sorted({str(facts[key]) for facts in describing})
        who = best.card.algorithm + (f" {best.card.name}" if len(cards) == 1 else "")
        value = metadata.get(key)
        more = CHANNELS * (purposes == [f"C{value}"])
        raise ModelError(f"{who}: made for {key} {' or '.join(purposes)}, found {value}{more}")
    others = [_judge(card, stated, policy) for card in cards if card not in free]
    tie = tuple(
        candidate.card.name
        for candidate in candidates[1:]
        if rank(candidate)[:-3] == rank(best)[:-3]
    )
    others = [*candidates[1:], *sorted(others, key=rank)]
    return replace(best, strange=strange, tie=tie, others=tuple(others))


def partakers(
    cards: Sequence[ModelCard], policy: SelectPolicy, facts: Facts = NO_FACTS
) -> Sequence[ModelCard]:
    """Return the cards that may be chosen for images with these facts; ModelError if none may.

    Those in use may, and a lone one.
    """
    some = cards if len(cards) > 1 else ()
    reasons = {card.name: _reason(card, facts, policy) for card in some}
    free = [card for card in cards if not reasons.get(card.name) or _place(card, facts) < inf]
    if not free:
        why = "; ".join(f"{name}: {reason}" for name, reason in sorted(reasons.items()))
        raise ModelError(
            "no model is chosen by itself, name one (--model), or for good: "
            f"cytosuite model use {cards[0].algorithm}:NAME; {why}"
        )
    return free


def left_out(card: ModelCard, policy: SelectPolicy) -> str:
    """Return the reason why a card is never chosen by itself, empty where it may be."""
    metric = policy.score
    if not card.scores:
        return f"no {PROOF}"
    if not card.adopted:
        return "not adopted (cytosuite model use)"
    if not metric or not card.baselines:
        return ""
    achieved = [scores[metric] for scores in card.scores.values() if metric in scores]
    if not achieved or not all(map(isfinite, achieved)):
        return f"no score by {metric} to hold against {' and '.join(card.baselines)}"
    baselines = {name: scores.get(metric, inf) for name, scores in card.baselines.items()}
    best = max(baselines, key=lambda name: baselines[name])
    if min(achieved) > baselines[best]:
        return ""
    if not isfinite(baselines[best]):
        return f"no {metric} of {best} to be held against"
    return f"did not beat {best}: {metric} {min(achieved):.3g} <= {baselines[best]:.3g}"


def distance(key: str, image: Value, card: Value) -> float:
    """Return ``sum |ln(image / card)|`` of lists of numbers or of `SIZE`, else 0 for equal, or 1.

    A word is equal to each that the card names, as in ``cytoplasm or membrane``. A shape counts
    edges longer than the card's `LARGER` times; another order costs `DISORDER`.
    """
    if key == SIZE and isinstance(image, int | float) and isinstance(card, float):
        image = (image,)
        card = (card,)
    if not isinstance(image, tuple | list) or not isinstance(card, tuple | list):
        words = (card, *str(card).split(" or "))
        return float(_word(key, image) not in {_word(key, word) for word in words})
    larger = LARGER if key == "shape" else 1.0
    ordered = _apart(pairs(image, card), larger)
    if len(image) != len(card):
        return ordered
    return min(ordered, DISORDER + _apart(pairs(sorted(image), sorted(card)), larger))


def _apart(sizes: Sequence[FloatPair], larger: float) -> float:
    """Return the sum of ``|ln(a / b)|``, of those with a > b `larger` times."""
    return sum(
        0.0 if a == b else max(larger * log(a / b), log(b / a)) if a > 0 and b > 0 else inf
        for a, b in sizes
    )


def pairs(image: Sequence[float], card: Sequence[float]) -> list[FloatPair]:
    """Return the values of the last axes, as many as both have: y and x of plane and volume."""
    return list(zip(reversed(image), reversed(card), strict=False))


def _judge(card: ModelCard, metadata: Facts, policy: SelectPolicy) -> Selection:
    terms = {}
    broken = []
    unknown = []
    for key, weight in policy.keys.items():
        if key not in card.describes:
            if key in metadata and (cost := policy.cost(policy.general, key)):
                terms[key] = cost
        elif key not in metadata:
            terms[key] = policy.cost(policy.missing, key)
            unknown += [key] if weight == "must" else []
        else:
            far = distance(key, metadata[key], card.describes[key])
            if weight != "must":
                terms[key] = weight * far
            elif far > 0:
                broken.append(key)
    if "spacing" in metadata and terms.get("spacing", inf) <= EXACT and "shape" in terms:
        terms["shape"] *= CROP
    unfit = RIGID in broken or (broken and policy.fallback == "fail")
    return Selection(
        card,
        sum(terms.values()),
        terms,
        tuple(broken),
        tuple(unknown),
        _reason(card, metadata, policy),
        place=inf if unfit else _place(card, metadata),
    )


def _reason(card: ModelCard, facts: Facts, policy: SelectPolicy) -> str:
    """Return the reason why a card is not chosen for an image by itself, empty where it may be."""
    if (reason := left_out(card, policy)) or not card.exact:
        return reason
    images = card.images.items()
    same = all(distance(key, facts[key], value) <= EXACT for key, value in images if key in facts)
    if same and card.exact.keys() <= facts.keys():
        return ""
    return f"only for images of its {' and '.join(card.exact)}"


def _place(card: ModelCard, facts: Facts) -> float:
    """Return the place of the first rule that puts a card in use for these facts, else infinity."""
    fitting = (
        place
        for place, images in card.used.items()
        if all(key in facts and not distance(key, facts[key], images[key]) for key in images)
    )
    return min(fitting, default=inf)


def _strange(cards: Sequence[ModelCard], stated: Facts, policy: SelectPolicy) -> Texts:
    """Return the keys with a word that no card has; it would favour cards that say less."""
    return tuple(
        key
        for key, weight in policy.keys.items()
        if weight != "must"
        and key in stated
        and key != SIZE
        and not isinstance(stated[key], tuple | list)
        and (listed := [card.describes[key] for card in cards if key in card.describes])
        and all(distance(key, stated[key], word) for word in listed)
    )


def _says_something(value: object) -> bool:
    """Return whether a fact is one: no blank text, no NaN, sizes that are positive."""
    if isinstance(value, tuple | list):
        sizes = [isinstance(size, int | float) and isfinite(size) and size > 0 for size in value]
        return bool(sizes) and all(sizes)
    return str(value).strip().lower() not in {"", "nan"}


def _word(key: str, value: Value) -> str:
    """Return a value as text, equal for all ways in which files write it."""
    label = rf"{re.escape(key)}(-|[\s_:=]+|(?=\d))(?=\S)"
    text = re.sub(f"^{label}", "", str(value).strip().casefold())
    try:
        return f"{float(text):g}"
    except ValueError:
        return text
