"""Crops of both domains for a step, drawn by its number alone."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cyclegan3d.training.settings import Crops
from cytosuite.algorithms.cyclegan3d.training.volumes import DomainVolume
from cytosuite.training.images import turned

SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)  # quantiles that make crops alike

Image = NDArray[np.float32]
Labels = NDArray[np.int32]
Box = tuple[slice, slice, slice]


def draw_batch(
    simulated: Sequence[DomainVolume],
    real: Sequence[DomainVolume],
    settings: Crops,
    seed: int,
    step: int,
) -> dict[str, Image | Labels]:
    """Return the crops of a step.

    Parameters
    ----------
    simulated, real : sequence of DomainVolume
        Volumes of both domains.
    settings : Crops
    seed : int
        Of the training.
    step : int
        Each crop of each step has a random stream of its own: any step can be drawn without those
        before it.

    Returns
    -------
    simulated, real : (N, C, Z, Y, X) float32 array
        In units of the network.
    labels : (N, Z, Y, X) int32 array
        Of the simulated crops; left out where volumes without labels are among them.

    Notes
    -----
    A pair of crops that differ in content teaches the generators to invent or remove nuclei, or to
    change their light: of a few places in simulated volumes the one with levels most like those of
    the real crop is taken. Crops are mirrored along y and x and exchanged in y and x, not along z:
    light fades and blurs along it. Whole grey counts are dithered, see `DomainVolume`: generated
    images hold any value between them, and a judge could tell them by that alone.
    """
    streams = np.random.SeedSequence([seed, step]).spawn(settings.batch)
    drawn = [_pair(np.random.default_rng(each), simulated, real, settings) for each in streams]
    found: dict[str, Image | Labels] = {
        "simulated": np.stack([pair[0] for pair in drawn]),
        "real": np.stack([pair[1] for pair in drawn]),
    }
    known = [pair[2] for pair in drawn if pair[2] is not None]
    return {**found, "labels": np.stack(known)} if len(known) == len(drawn) else found


def _pair(
    rng: np.random.Generator,
    simulated: Sequence[DomainVolume],
    real: Sequence[DomainVolume],
    settings: Crops,
) -> tuple[Image, Image, Labels | None]:
    """Return a simulated and a real crop, and the labels of the former."""
    target = real[int(rng.integers(len(real)))]
    wanted = _cut(target, _place(rng, target, settings.shape))
    sources = [simulated[int(each)] for each in rng.integers(len(simulated), size=settings.alike)]
    places = [(source, _place(rng, source, settings.shape)) for source in sources]
    goal = _levels(wanted) if settings.alike > 1 else None
    far = [0.0 if goal is None else np.abs(_levels(_cut(*place)) - goal).mean() for place in places]
    source, box = places[int(np.argmin(far))]
    labels = None if source.labels is None else np.asarray(source.labels[box])
    turns = rng.random((2, 3)) < 0.5
    return (
        turned(_dithered(rng, _cut(source, box), source), turns[0]),
        turned(_dithered(rng, wanted, target), turns[1]),
        None if labels is None else turned(labels, turns[0]),
    )


def _place(rng: np.random.Generator, item: DomainVolume, shape: Sequence[int]) -> Box:
    """Return a random place of a crop; every one that is possible is as likely."""
    sides = item.image.shape[1:]
    corner = [int(rng.integers(n - size + 1)) for n, size in zip(sides, shape, strict=True)]
    z, y, x = (slice(c, c + size) for c, size in zip(corner, shape, strict=True))
    return z, y, x


def _cut(item: DomainVolume, box: Box) -> Image:
    """Return a crop, (C, Z, Y, X); nothing else of the volume is read."""
    return item.image[(slice(None), *box)].astype(np.float32)


def _dithered(rng: np.random.Generator, crop: Image, item: DomainVolume) -> Image:
    """Return a crop with an even change of up to half a grey count in each voxel."""
    if not item.counts:
        return crop
    change = rng.uniform(-0.5, 0.5, crop.shape) * np.reshape(item.counts, (-1, 1, 1, 1))
    linear = item.scale == "dtype"
    found = crop + change if linear else 0.5 * np.arcsinh(np.sinh(2.0 * crop) + change)
    return np.asarray(found, np.float32)


def _levels(crop: Image) -> Image:
    """Return quantiles of the first channel, means of 2 x 2 pixels: noise counts less."""
    first = crop[0]
    even = first[:, : first.shape[1] // 2 * 2, : first.shape[2] // 2 * 2]
    pairs = even.reshape(first.shape[0], even.shape[1] // 2, 2, even.shape[2] // 2, 2)
    found: Image = np.quantile(pairs.mean((2, 4)), SHARES)
    return found
