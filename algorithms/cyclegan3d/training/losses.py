"""Losses: of judges and generators, of the way there and back, and of the structure."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import (
    avg_pool3d,
    binary_cross_entropy_with_logits,
    l1_loss,
    max_pool3d,
    smooth_l1_loss,
)

_FAINT = 0.02  # variance of a window, squared units of the network, of noise in real stacks' dark
_LOST = 0.01  # of the larger variance of a window: below it structure is lost, whatever its gain


def fooled(answers: Tensor) -> Tensor:
    """Return the mean squared distance of a judge's answers from "real", 1.

    References
    ----------
    Mao et al., ICCV (2017), doi:10.1109/ICCV.2017.304 (least squares).
    """
    return (answers - 1).square().mean()


def judged(real: Tensor, made: Tensor) -> Tensor:
    """Return a judge's loss: half the squared distances from 1 for real, from 0 for made crops."""
    return 0.5 * (fooled(real) + made.square().mean())


def apart(made: Tensor, given: Tensor, soft: float, *, grain: bool = True) -> Tensor:
    """Return the mean absolute difference of two volumes.

    Parameters
    ----------
    made, given : tensor
        Of one shape.
    soft : float
        Differences below this count by their square, ``d^2 / (2 soft)``, larger by ``d - soft/2``.
        0: all count by their size, as published. There a generator that begins as the identity
        stays it, since every small change costs at once and gains later.
    grain : bool
        Whether single pixels count; without, means of 3 x 3 do, as noise that is drawn anew
        cannot come back the same.

    References
    ----------
    Huber, Annals of Mathematical Statistics 35 (1964), doi:10.1214/aoms/1177703732.
    """
    if not grain:
        made, given = _smoothed(made), _smoothed(given)
    return smooth_l1_loss(made, given, beta=soft) if soft else l1_loss(made, given)


def _smoothed(volume: Tensor) -> Tensor:
    """Return means of 3 x 3 pixels."""
    return _leveled(volume.float(), (1, 3, 3))


def level_change(made: Tensor, given: Tensor, window: Sequence[int], soft: float) -> Tensor:
    """Return the mean difference of the levels of two volumes.

    Parameters
    ----------
    made, given : (N, C, Z, Y, X) tensor
        Translated and original volumes, in units of the network.
    window : sequence of int
        Voxels z y x, odd; a level is a mean of means over windows, a triangle along each axis.
    soft : float
        As for `apart`.

    Notes
    -----
    Light can neither come nor go; texture and noise finer than a window are free.
    """
    levels = [_leveled(_leveled(volume.float(), window), window) for volume in (made, given)]
    return apart(levels[0], levels[1], soft)


def _leveled(volume: Tensor, window: Sequence[int], stride: Sequence[int] = (1, 1, 1)) -> Tensor:
    """Return means over windows; at the borders over their inner part."""
    size, steps = (window[0], window[1], window[2]), (stride[0], stride[1], stride[2])
    padding = [side // 2 for side in window]
    return avg_pool3d(volume, size, steps, padding, count_include_pad=False)


def decorrelation(made: Tensor, given: Tensor, window: Sequence[int]) -> Tensor:
    """Return how far structure has changed: one minus the local correlation of two volumes.

    Parameters
    ----------
    made, given : (N, C, Z, Y, X) tensor
        Translated and original volumes, in units of the network.
    window : sequence of int
        Voxels z y x of the windows, odd.

    Returns
    -------
    tensor
        Mean over windows, weighted by their structure: 0 for any gain above a tenth, its inverse
        and any offset, 1 for lost, invented or unrelated structure, 2 for an inverted contrast.

    Notes
    -----
    Symmetric. Both are averaged over 3 x 3 pixels before, as noise need not stay. Windows in which
    neither has more variance than noise leaves hardly weigh. Of Avants et al., Medical Image
    Analysis 12 (2008), doi:10.1016/j.media.2007.06.004.
    """
    a, b = _smoothed(made), _smoothed(given)
    mean = partial(_leveled, window=window, stride=(1, 2, 2))
    mean_a, mean_b = mean(a), mean(b)
    var_a = (mean(a * a) - mean_a.square()).clamp_min(0)
    var_b = (mean(b * b) - mean_b.square()).clamp_min(0)
    shared = mean(a * b) - mean_a * mean_b
    most, least = torch.maximum(var_a, var_b), torch.minimum(var_a, var_b)
    spread = (most * torch.maximum(least, _LOST * most)).clamp_min(1e-12).sqrt()
    weight = most.square() / (most.square() + _FAINT**2)
    # Noise has nothing in common with noise: what a window can lose is its structure.
    lost = weight * (1 - shared / spread).clamp(0, 2)
    return (lost * weight).sum() / weight.sum().clamp_min(1)


def structure_of(labels: Tensor) -> Tensor:
    """Return the structure that labels show: inside of objects, and at their borders.

    Parameters
    ----------
    labels : (N, Z, Y, X) integer tensor

    Returns
    -------
    (N, 2, Z, Y, X) float32 tensor
        1 inside of objects; 1 where another label or the background is next to an object's voxel.
    """
    values = labels.float()[:, None]
    most, least = max_pool3d(values, 3, 1, 1), -max_pool3d(-values, 3, 1, 1)
    inside = values > 0
    return torch.cat([inside, (most != least) & inside], 1).float()


def misread(answers: Tensor, structure: Tensor) -> Tensor:
    """Return the cross-entropy of a reader's logits against a structure (N, 2, Z, Y, X)."""
    return binary_cross_entropy_with_logits(answers.float(), structure)
