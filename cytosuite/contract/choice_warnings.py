"""Warnings on the choice of a model, one line each: kind, colon, finding."""

from collections.abc import Iterator, Sequence
from math import exp, inf, log

import numpy as np

from cytosuite.contract.select import SIZE, Facts, Selection, distance, pairs
from cytosuite.contract.spacing import OVERRIDE, text
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Doubles, Integers, Spacing
from cytosuite.volume.memory import release

ASSUMED = "voxel size assumed"
FAR = log(2.0)  # largest |ln ratio| of a voxel's edges that needs no warning
SECTIONS = 16  # slices that are looked at
PIXELS = 9  # of a section that counts
OBJECTS = 8  # that are enough for a typical ratio
STRETCHED = {"YX": 1.5, "ZYX": 1.35}  # ratios worth a warning; cells on glass may lie in line
SAME = log(1.25)  # largest one of voxels that may be of one kind of image


def choice_warnings(selection: Selection, volume: Volume | None, facts: Facts) -> Iterator[str]:
    """Yield the warnings on a choice by these facts, one line each: kind, colon, finding."""
    if not volume:
        return
    card = selection.card
    for key in selection.broken:
        yield (
            f"model does not fit: {key} is {facts.get(key)!r}, {card.name} was made for "
            f"{card.describes[key]!r}"
        )
    for key in selection.unknown:
        yield f"{key} assumed: {card.describes[key]}, not given by the file"
    for key in selection.strange:
        yield (
            f"{key} unknown: {facts[key]!r} is that of no model to choose from, taken as not given"
        )
    if selection.left_out and card.baselines:
        yield f"model not proven: {card.name}: {selection.left_out}"
    yield from _general(selection, facts)
    yield from _contradictions(selection, facts)
    edges = card.describes.get("spacing")
    if volume.spacing_is_assumed:
        yield f"{ASSUMED}: {text(volume.spacing)} µm, not given by the file ({OVERRIDE})"
    elif isinstance(edges, tuple):
        far = max(_logs(volume.spacing, edges), key=abs, default=0.0)
        if abs(far) > FAR:
            size = facts.get(SIZE)
            yield (
                f"voxel size far from the model's: {text(volume.spacing)} µm, up to "
                f"{exp(abs(far)):.3g} times {'larger' if far > 0 else 'smaller'} than "
                f"{text(edges)} µm of {card.name}"
                + (f", chosen for nuclei {size:.3g} µm wide" if size else "")
            )


def _general(selection: Selection, facts: Facts) -> Iterator[str]:
    """Yield a warning if a card for any image is taken in place of those for some."""
    card = selection.card
    general = set(selection.general)
    rivals = [rival for rival in selection.others if not rival.left_out]
    for key in selection.general:
        describing = [rival for rival in rivals if key in rival.card.describes]
        if describing and all(key in rival.broken for rival in describing):
            yield f"no model for {key}: none was made for {facts[key]!r}, {card.name} serves any"
            return
    fitting = (rival for rival in rivals if not rival.broken)
    near = next((rival for rival in fitting if general - set(rival.general)), None)
    if not near:
        return
    lacking = [key for key in near.unknown if key not in card.describes]
    if lacking:
        yield (
            f"no model for {lacking[0]}: not given by the file, {card.name} serves any; with it in "
            f"acquisition-metadata.json a model like {near.card.name} is taken"
        )
    else:
        yield (
            f"no model near: {card.name} serves any {', '.join(selection.general)}, at a cost of "
            f"{selection.cost:.3g}; the nearest other is {near.card.name}, {near.cost:.3g}"
        )


def _contradictions(selection: Selection, facts: Facts) -> Iterator[str]:
    """Yield a warning for each word that belongs to one card, and the voxel size to another."""
    size = facts.get("spacing")
    if not isinstance(size, tuple):
        return
    cards = [candidate for candidate in (selection, *selection.others) if not candidate.broken]
    close = [
        candidate
        for candidate in cards
        if isinstance(edges := candidate.card.describes.get("spacing"), tuple)
        and all(abs(step) <= SAME for step in _logs(size, edges))
    ]
    for key in dict.fromkeys(key for candidate in cards for key in candidate.terms):
        agreeing = [
            candidate
            for candidate in cards
            if isinstance(word := candidate.card.describes.get(key), str | float)
            and key in facts
            and distance(key, facts[key], word) == 0
        ]
        named = (key in near.card.describes and near not in agreeing for near in close)
        if agreeing and close and all(named):
            yield (
                f"{key} and voxel size contradictory: {facts[key]} is that of "
                f"{agreeing[0].card.name}, {text(size)} µm that of {close[0].card.name}; "
                f"{selection.card.name} was used"
            )


def _logs(size: Spacing, card: Sequence[float]) -> list[float]:
    """Return ``ln(image / card)`` of each edge, infinite where a card has an impossible one."""
    return [log(a / b) if b > 0 else inf for a, b in pairs(size, card)]


def stretched(labels: Volume) -> str:
    """Return a warning if objects are longer along y than along x, or the other way round."""
    planes = labels.array.reshape(-1, *labels.shape[-2:])
    places = np.linspace(0, len(planes) - 1, min(len(planes), SECTIONS) + 2)[1:-1]
    sections = [_log_ratios(planes[place]) for place in np.unique(places.round().astype(int))]
    release(labels.array)
    names, ratios = map(np.concatenate, zip(*sections, strict=True))
    ratios += log(labels.spacing[-2] / labels.spacing[-1])
    limit = log(STRETCHED.get(labels.axes, 1.5))
    if np.unique(names).size < OBJECTS or abs(middle := float(np.median(ratios))) <= limit:
        return ""
    long, short = ("y", "x") if middle > 0 else ("x", "y")
    return (
        f"objects odd: {exp(abs(middle)):.2g} times as long along {long} as along {short}; "
        f"check the order of the axes and the voxel size, {text(labels.spacing)} µm"
    )


def _log_ratios(plane: Integers) -> tuple[Integers, Doubles]:
    """Return whole sections, and ln of standard deviation along y over that along x, in pixels."""
    places = np.nonzero(plane > 0)
    names, labels = np.unique(plane[places], return_inverse=True)
    count = np.bincount(labels, minlength=names.size)
    cut = np.concatenate([plane[[0, -1]].ravel(), plane[:, [0, -1]].ravel()])
    keep = (count >= PIXELS) & ~np.isin(names, cut)
    variances = []
    for place in places:
        weight = place.astype(np.float64)
        mean = np.bincount(labels, weight, names.size) / count
        square = np.bincount(labels, weight**2, names.size) / count
        variances.append((square - mean**2)[keep] + 1 / 12)  # of a pixel itself
    return names[keep], np.log(variances[0] / variances[1]) / 2
