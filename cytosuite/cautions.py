"""Doubts about the choice of a model that a user must see, one line each: kind, colon, finding."""

from collections.abc import Iterator, Mapping, Sequence
from math import exp, inf, log

from cytosuite.select import Selection, Value, describe, distance, pairs
from cytosuite.volume import Volume

ASSUMED = "voxel size assumed"
FAR = log(2.0)  # largest |ln ratio| of a voxel's edges that needs no warning
SAME = log(1.25)  # largest one of voxels that may be of one kind of image


def cautions(selection: Selection, volume: Volume | None) -> list[str]:
    """Return the warnings on a choice, one line each: kind, colon, finding.

    Parameters
    ----------
    selection : Selection
        The chosen card, with all others.
    volume : Volume or None
        The main input.

    Returns
    -------
    list of str
        On every ``must`` that the card does not pass or the image does not say, on words that no
        card has, on a card that the user named though it is not better than its baselines, on a
        card for any image where those for some images do not fit, on facts that belong to
        different cards, on a voxel size that was assumed, and on one that is more than twice or
        less than half of the card's.
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
    lines += [
        f"{key} unknown: {facts[key]!r} is that of no model to choose from, taken as not given"
        for key in selection.strange
    ]
    if selection.left_out and card.baselines:
        lines.append(f"model not proven: {card.name}: {selection.left_out}")
    lines += [*_general(selection, facts), *_contradictions(selection, facts)]
    return [*lines, *_voxel_size(selection, volume)]


def _general(selection: Selection, facts: Mapping[str, Value]) -> Iterator[str]:
    """Yield a warning if a card for any image is taken in place of those for some."""
    name, general = selection.card.name, set(selection.general)
    rivals = [other for other in selection.others if not other.left_out]
    for key in selection.general:
        made = [other for other in rivals if key in other.card.describes]
        if made and all(key in other.broken for other in made):
            yield f"no model for {key}: none was made for {facts[key]!r}, {name} serves any"
            return
    fitting = (other for other in rivals if not other.broken)
    near = next((other for other in fitting if general - set(other.general)), None)
    if near is not None:
        yield (
            f"no model near: {name} serves any {', '.join(selection.general)}, at a cost of "
            f"{selection.cost:.3g}; the nearest other is {near.card.name}, {near.cost:.3g}"
        )


def _contradictions(selection: Selection, facts: Mapping[str, Value]) -> list[str]:
    """Return a warning for each word that belongs to one card, and the voxel size to another."""
    size = facts.get("spacing")
    if not isinstance(size, tuple):
        return []
    cards = [found for found in (selection, *selection.others) if not found.broken]
    close = [found for found in cards if _is_close(size, found.card.describes.get("spacing"))]
    lines = []
    for key in dict.fromkeys(key for found in cards for key in found.terms):
        own = [found for found in cards if _agrees(key, found, facts)]
        if own and close and not any(found in close for found in own):
            lines.append(
                f"{key} and voxel size contradictory: {facts[key]} is that of {own[0].card.name}, "
                f"{_text(size)} µm that of {close[0].card.name}; {selection.card.name} was used"
            )
    return lines


def _agrees(key: str, found: Selection, facts: Mapping[str, Value]) -> bool:
    """Return whether a card gives the same word as the image."""
    own = found.card.describes.get(key)
    if own is None or isinstance(own, tuple) or key not in facts:
        return False
    return distance(key, facts[key], own) == 0


def _is_close(size: Sequence[float], own: object) -> bool:
    """Return whether a card is made for about this voxel size."""
    return isinstance(own, tuple) and all(abs(step) <= SAME for step in _logs(size, own))


def _logs(size: Sequence[float], own: Sequence[float]) -> list[float]:
    """Return ``ln(image / card)`` of each edge, infinite where a card has an impossible one."""
    return [log(a / b) if b > 0 else inf for a, b in pairs(size, own)]


def _voxel_size(selection: Selection, volume: Volume) -> Iterator[str]:
    """Yield a warning on a voxel size that is assumed, or far from the card's."""
    own = selection.card.describes.get("spacing")
    if volume.spacing_is_assumed:
        yield f"{ASSUMED}: {_text(volume.spacing)} µm, not given by the file"
    elif isinstance(own, tuple):
        far = max(_logs(volume.spacing, own), key=abs, default=0.0)
        if abs(far) > FAR:
            yield (
                f"voxel size far from the model's: {_text(volume.spacing)} µm, up to "
                f"{exp(abs(far)):.3g} times {'larger' if far > 0 else 'smaller'} than {_text(own)} "
                f"µm of {selection.card.name}"
            )


def _text(size: Sequence[float]) -> str:
    """Return a voxel size for a message."""
    return " x ".join(f"{step:g}" for step in size)
