"""Which spots are clear: the second decision, by the distribution of the heights of an image."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from cytosuite.files import TextDict, Texts
from cytosuite.volume.arrays import Bools, Doubles, Indices

_FEWEST = 20  # spots to fit a mixture to
_SIDE = 3  # least number of spots on a side of its valley, or above a gap: fewer may be dirt
_BINS = 256  # of ln height, from which mixtures are fitted
_MOST = 4  # normals of a mixture
_ROUNDS = 60  # of its fit
_BETTER = 6.0  # BIC of a mixture, than of one normal: strong evidence (Kass and Raftery 1995)
_NARROWEST = 0.05  # sd of a normal, in ln height
_VALLEY = 0.7  # density of a valley relative to the lower of its peaks
_FAINT = 10.0  # median signal-to-noise of spots that may be none
_BROADER = 1.3  # times the spread of clear spots
_SURE = 2.0  # standard errors of the ratio of both spreads
_USUAL = 0.2, 0.2  # median deviation of ln height of spots of one kind, and the sd of its ln
_PLAIN = 6.0  # median signal-to-noise of spots that noise alone spreads
_LIGHT = 3.0  # light of clear spots relative to dim ones: transcription sites hold less
_APART = 3.0  # times as high as dim ones


class Choice(NamedTuple):
    """The spots to mark, and why."""

    marked: Bools  # (N,)
    facts: TextDict  # for the record
    lines: Texts  # for the user


def choose(height: Doubles, snr: Doubles, stricter: float = 1.0, expected: int = 0) -> Choice:
    """Return which spots (N,) to mark: the clear of two populations, or as many as are expected.

    `stricter` times the height that divides them, or the lowest one, is the least of a marked one.
    """
    low = float(height.min(initial=np.inf))
    least, taken = split(height, snr) or (low, False)
    clear, marked = int((height >= least).sum()), height >= stricter * (least if taken else low)
    if expected:
        marked = np.zeros(len(height), np.bool_)
        marked[np.argsort(-height, kind="stable")[:expected]] = True
    words = "took the clear" if taken else "kept both, as they spread alike"
    line = (
        f"two populations: {clear:,} clear from {least:.3g} grey values on, "
        f"{len(height) - clear:,} dim; {words} (--stricter)"
    )
    ends = np.quantile(height, np.linspace(0, 1, 5)) if len(height) else height
    facts = {
        "spots": f"{len(height)}",
        "marked": f"{marked.sum()}",
        "least_height": f"{height[marked].min(initial=np.inf):.4g}",
        "heights": " ".join(f"{end:.4g}" for end in ends),
    }
    return Choice(marked, facts, (line,) if clear < len(height) and not expected else ())


def split(height: Doubles, snr: Doubles) -> tuple[float, bool] | None:
    """Return the height between dim spots (N,) and clear ones, and whether the dim are none.

    It is the deepest valley of a mixture of normals of ln height. The dim are structures of the
    background where they are faint and spread further than the clear ones, or are very faint and
    many clear ones stand high above: single transcripts below transcription sites, which are few,
    spread as these do. None where all are alike.
    """
    x, doubtful = np.log(height), None
    for valley in _divisions(x):
        clear = x >= valley
        least, faint = float(np.exp(valley)), float(np.median(snr[~clear]))
        apart = float(np.exp(np.median(x[clear]) - np.median(x[~clear])))
        many = faint <= _PLAIN and clear.sum() * apart >= _LIGHT * (~clear).sum()
        broader = faint <= _FAINT and _is_broader(x[~clear], x[clear])
        if apart >= _APART and (many or broader):
            return least, True
        doubtful = doubtful or (least, False)
    return doubtful


def _divisions(x: Doubles) -> Iterator[float]:
    """Yield values between which ln heights (N,) may divide: gaps, valleys of mixtures."""
    order = np.sort(x)
    gaps = np.diff(order)[: 1 - _SIDE]
    if gaps.max(initial=0) >= np.log(_APART):
        yield float(order[gaps.argmax()] + gaps.max() / 2)
    if len(x) < _FEWEST:
        return
    edges = np.linspace(x.min(), x.max() + 1e-9, _BINS + 1)
    count, at = np.histogram(x, edges)[0], (edges[1:] + edges[:-1]) / 2
    alone = _mixture(at, count, 1)[1]
    for number in range(2, _MOST + 1):
        density, cost = _mixture(at, count, number)
        for place in _valleys(density) if cost < alone - _BETTER else ():
            if min((x >= at[place]).sum(), (x < at[place]).sum()) >= _SIDE:
                yield float(at[place])


def _mixture(at: Doubles, count: Indices, number: int) -> tuple[Doubles, float]:
    """Return the density (M,) of normals fitted to counts (M,) by EM, and its BIC."""
    total = count.sum()
    ranks = np.linspace(0.05, 0.95, number) if number > 1 else [0.5]
    mean = np.interp(ranks, np.cumsum(count) / total, at)[:, None]
    sd, share = np.full((number, 1), np.ptp(at) / (2 * number)), np.full((number, 1), 1 / number)
    for _ in range(_ROUNDS):
        parts = share * np.exp(-(((at - mean) / sd) ** 2) / 2) / sd / np.sqrt(2 * np.pi) + 1e-300
        weight = parts / parts.sum(axis=0) * count
        own = weight.sum(axis=1, keepdims=True) + 1e-9
        mean, share = (weight * at).sum(axis=1, keepdims=True) / own, own / total
        sd = np.maximum(
            np.sqrt((weight * (at - mean) ** 2).sum(axis=1, keepdims=True) / own), _NARROWEST
        )
    density = parts.sum(axis=0)
    likelihood = float((count * np.log(density)).sum())
    return density, (3 * number - 1) * float(np.log(total)) - 2 * likelihood


def _valleys(density: Doubles) -> Iterator[int]:
    """Yield the minima of a density that are deep, the deepest first."""
    low = [n for n in range(1, len(density) - 1) if density[n - 1] >= density[n] < density[n + 1]]
    deep = {n: density[n] / min(density[:n].max(), density[n:].max()) for n in low}
    yield from (n for n in sorted(low, key=lambda n: deep[n]) if deep[n] <= _VALLEY)


def _is_broader(dim: Doubles, clear: Doubles) -> bool:
    """Return whether dim spots surely spread further than clear ones, by median deviations."""
    spreads = [np.log(max(np.median(abs(part - np.median(part))), 1e-9)) for part in (dim, clear)]
    # The sd of ln of a median deviation is 1.17 / sqrt(N) of normals.
    variance = 1.17**2 / len(clear), _USUAL[1] ** 2
    usual = np.average([spreads[1], np.log(_USUAL[0])], weights=variance[::-1])
    error = 1.17**2 / len(dim) + 1 / (1 / variance[0] + 1 / variance[1])
    return bool(spreads[0] - usual >= max(np.log(_BROADER), _SURE * error**0.5))
