"""Distance of small pieces of synthetic stacks from pieces of real ones, in texture and light.

Kernel (KID) and Fréchet (FID) distances of hand-made numbers per patch: nothing is downloaded, and
every number has a meaning. Values compare only where the `Extractor` is the same.

References
----------
Binkowski et al., Demystifying MMD GANs, ICLR (2018), doi:10.48550/arXiv.1801.01401 (KID).
Heusel et al., GANs trained by a two time-scale update rule converge to a local Nash equilibrium,
NeurIPS (2017), doi:10.48550/arXiv.1706.08500 (FID; there, of a network's features).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Evidence
from cytosuite.metrics.metric import metric
from cytosuite.metrics.realism.patch_statistics import Extractor, statistics
from cytosuite.metrics.realism.scene import Scene, members

PER_DIMENSION = 5  # patches of each side per number, below which no covariance is estimated

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PatchFeatures:
    """Numbers that describe the patches of both sides.

    Parameters
    ----------
    real, synthetic : (N, D) and (M, D) float64 array
        One row per patch, standardised: less the mean of the real patches, over their standard
        deviation (over 1 where that is 0). No rows where a side cannot be drawn from.
    real_volume, synthetic_volume : (N,) and (M,) int64 array
        Place, in its set, of the stack a patch is from.
    """

    real: Floats
    synthetic: Floats
    real_volume: NDArray[np.int64]
    synthetic_volume: NDArray[np.int64]


def patch_features(
    real: Scene | Sequence[Scene],
    synthetic: Scene | Sequence[Scene],
    *,
    extractor: Extractor | None = None,
    patches: int = 256,
    foreground: float = 0.5,
    seed: int = 0,
) -> PatchFeatures:
    """Draw patches of both sides and describe them by the same numbers.

    Parameters
    ----------
    real, synthetic : Scene or list of Scene
        Stacks with labels, their grey values in one unit. Voxel sizes should be alike: a finer
        stack holds frequencies which a coarser one cannot.
    extractor : Extractor, optional
        Numbers measured per patch; see there for why. The default suits nuclei.
    patches : int
        How many per side, spread evenly over its stacks.
    foreground : float
        Share of patches centred on a voxel of an object, in [0, 1], the same on both sides:
        otherwise a difference in the number of cells would pass as one of texture.
    seed : int
        Of the places, which are drawn independently on the two sides. Patches that would reach
        out of the stack are shifted into it.

    Returns
    -------
    PatchFeatures
        Of both sides; without rows if a side has no object, or nothing but objects, to draw from.

    Raises
    ------
    InputError
        If a stack is smaller than a patch, or a number is out of range.
    """
    if patches < 2 or not 0 <= foreground <= 1:
        raise InputError(
            f"patches must be at least 2 and foreground in [0, 1], found {patches} and {foreground}"
        )
    extractor = Extractor() if extractor is None else extractor
    generators = np.random.default_rng(seed).spawn(2)
    drawn = [
        _described(members(side), extractor, patches, foreground, generator)
        for side, generator in zip((real, synthetic), generators, strict=True)
    ]
    (first, first_volume), (second, second_volume) = drawn
    if len(first) and len(second):
        spread = first.std(axis=0)
        centre, scale = first.mean(axis=0), np.where(spread > 0, spread, 1.0)
        first, second = (first - centre) / scale, (second - centre) / scale
    return PatchFeatures(first, second, first_volume, second_volume)


PATCHES = Evidence(patch_features, ("real", "synthetic"), form="scenes", voxel_bytes=16)


@metric(
    "patch_KID",
    "Kernel distance of patch statistics",
    evidence=PATCHES,
    best=0.0,
    reference="10.48550/arXiv.1801.01401",
    undefined="when a side has fewer than 2 patches, or no object to draw them from",
)
def patch_kid(features: PatchFeatures) -> float:
    """Return the unbiased squared maximum mean discrepancy of the patches' numbers.

    ``sum_{i != j} k(x_i, x_j) / (N (N - 1)) + sum_{i != j} k(y_i, y_j) / (M (M - 1))
    - 2 mean k(x_i, y_j)`` with ``k(x, y) = (x . y / D + 1)**3``, of all patches: the mean over
    subsets, which large sets need, estimates the same with more noise. It is 0 on average for
    patches of one kind, and then negative half of the time. See `kid_interval`.

    Examples
    --------
    >>> none = np.zeros(2, int)
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [2.0]])
    >>> patch_kid.of(PatchFeatures(x, y, none, none))
    -13.0
    """
    kernel = _Kernel(features)
    every = np.ones((1, 1))
    return float(kernel.distance(every, every)[0])


@metric(
    "patch_FID",
    "Fréchet distance of patch statistics",
    evidence=PATCHES,
    best=0.0,
    reference="10.48550/arXiv.1706.08500",
    undefined="when a side has fewer than 5 patches per number that describes them",
)
def patch_fid(features: PatchFeatures) -> float:
    """Return the Fréchet distance of the patches' numbers, taken as normally distributed.

    Above 0 for patches of one kind too: the estimate is biased upwards by few patches.

    Examples
    --------
    >>> none, x = np.zeros(5, int), np.arange(5.0)[:, None]
    >>> round(patch_fid.of(PatchFeatures(x, x + 3, none, none)), 9)
    9.0
    """
    least = PER_DIMENSION * features.real.shape[1]
    if min(len(features.real), len(features.synthetic)) < max(least, 2):
        return nan
    return frechet_distance(features.real, features.synthetic)


def frechet_distance(first: Floats, second: Floats) -> float:
    """Return the squared Fréchet distance of two samples, taken as normally distributed.

    ``|m1 - m2|**2 + Tr(S1 + S2 - 2 (S1 S2)**(1/2))`` with means m and sample covariances S of two
    float64 arrays, (N, D) and (M, D), of at least two rows each. The trace of the root is the sum
    of the roots of the eigenvalues of the symmetric matrix ``S1**(1/2) S2 S1**(1/2)``, negative
    ones by rounding taken as 0: no complex numbers arise.

    Examples
    --------
    >>> round(frechet_distance(np.array([[0.0], [2.0]]), np.array([[3.0], [9.0]])), 6)
    33.0
    """
    covariances = [np.atleast_2d(np.cov(side, rowvar=False)) for side in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariances[1] @ root), 0, None)).sum()
    gap = first.mean(axis=0) - second.mean(axis=0)
    spread = np.trace(covariances[0]) + np.trace(covariances[1])
    return max(float(gap @ gap + spread - 2 * shared), 0.0)


def kid_interval(
    features: PatchFeatures, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the 95 % interval of `patch_kid` over draws of whole stacks with replacement.

    Stacks are drawn on both sides; the limits are NaN with fewer than 2 stacks on a side, as
    patches of one stack are not independent. The kernel is summed once per pair of stacks. A stack
    drawn twice is not compared to itself patch by patch, which keeps the draws free of bias.
    """
    kernel = _Kernel(features)
    counts = [len(side) for side in kernel.within]
    if min(counts) < 2 or draws < 1:
        return nan, nan
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(n, np.full(n, 1 / n), draws).astype(np.float64) for n in counts]
    low, high = np.nanquantile(kernel.distance(*drawn), [0.025, 0.975])
    return float(low), float(high)


class _Kernel:
    """Sums of the kernel over the patches of each pair of stacks, and the numbers of pairs."""

    def __init__(self, features: PatchFeatures) -> None:
        """Sum the kernel by stack."""
        x, y = features.real, features.synthetic
        a, b = (
            (np.unique(volume)[:, None] == volume).astype(np.float64)
            for volume in (features.real_volume, features.synthetic_volume)
        )
        self.within, self.pairs = [], []
        for rows, group in ((x, a), (y, b)):
            kernel = _polynomial(rows, rows)
            np.fill_diagonal(kernel, 0.0)
            size = group.sum(axis=1)
            self.within.append(group @ kernel @ group.T)
            self.pairs.append(np.outer(size, size) - np.diag(size))
        self.between = a @ _polynomial(x, y) @ b.T
        self.crossed = np.outer(a.sum(axis=1), b.sum(axis=1))

    def distance(self, real: Floats, synthetic: Floats) -> Floats:
        """Return the distance for each row of multiplicities of the stacks of both sides."""
        real = np.broadcast_to(real, (len(real), len(self.within[0])))
        synthetic = np.broadcast_to(synthetic, (len(synthetic), len(self.within[1])))

        def mean(one: Floats, kernel: Floats, pairs: Floats, other: Floats) -> Floats:
            """Return the mean of the kernel over the drawn pairs."""
            number = np.einsum("da,ab,db->d", one, pairs, other)
            total: Floats = np.einsum("da,ab,db->d", one, kernel, other)
            return total / np.where(number > 0, number, nan)

        distance = mean(real, self.within[0], self.pairs[0], real)
        distance += mean(synthetic, self.within[1], self.pairs[1], synthetic)
        return distance - 2 * mean(real, self.between, self.crossed, synthetic)


def _polynomial(x: Floats, y: Floats) -> Floats:
    """Return the cubic kernel of all pairs of rows."""
    kernel: Floats = (x @ y.T / max(x.shape[1], 1) + 1.0) ** 3
    return kernel


def _described(
    scenes: list[Scene],
    extractor: Extractor,
    patches: int,
    foreground: float,
    generator: np.random.Generator,
) -> tuple[Floats, NDArray[np.int64]]:
    """Return the numbers of the patches drawn from a set, and the place of the stack of each."""
    on = round(patches * foreground)
    wanted = np.zeros((2, len(scenes)), np.int64)  # off and on objects, per stack
    for kind, number in enumerate((patches - on, on)):
        able = [i for i, s in enumerate(scenes) if ((s.labels != 0) == bool(kind)).any()]
        if number and not able:
            return np.zeros((0, len(extractor.names))), np.zeros(0, np.int64)
        for place in range(number):
            wanted[kind, able[place % len(able)]] += 1
    rows = [np.zeros((0, len(extractor.names)))]
    for place, scene in enumerate(scenes):
        if wanted[:, place].any():
            cut = _cut(scene, extractor, wanted[:, place], generator)
            rows.append(statistics(cut, scene.image.spacing, extractor))
    volume = np.repeat(np.arange(len(scenes)), wanted.sum(axis=0))
    return np.concatenate(rows), volume


def _cut(
    scene: Scene, extractor: Extractor, wanted: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[Any]:
    """Return patches with their centres off and on objects."""
    shape = extractor.shape(scene.image.spacing)
    size = np.array(scene.labels.shape)
    if (size < shape).any():
        raise InputError(
            f"a stack of {scene.labels.shape} voxels is smaller than a patch of {shape} voxels "
            f"({extractor.patch_um} µm); choose a smaller patch_um"
        )
    inside = (scene.labels != 0).ravel()
    centres = [
        generator.choice(np.flatnonzero(inside == bool(kind)), number)
        for kind, number in enumerate(wanted)
        if number
    ]
    places = np.stack(np.unravel_index(np.concatenate(centres), scene.labels.shape), axis=1)
    starts = np.clip(places - np.array(shape) // 2, 0, size - shape)
    boxes = [tuple(slice(a, a + n) for a, n in zip(s, shape, strict=True)) for s in starts]
    return np.stack([scene.image.array[box] for box in boxes])
