"""Losses of view fusion: structural similarity that is lost, and absolute differences."""

from functools import lru_cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from cytosuite.manifest import Described
from cytosuite.metrics.images.ssim_compare import K1, K2
from cytosuite.metrics.images.ssim_window import gaussian_window


class FusionLoss(Described):
    """Parts of the loss and their weights."""

    kind: Literal["ssim", "n_ssim"] = Field(
        "ssim",
        description="similarity lost in the answer; n_ssim: relative to that lost in the view",
    )
    similarity: float = Field(
        100, ge=0, description="weight of the lost similarity; published: 100 (ssim), 1 (n_ssim)"
    )
    difference: float = Field(1, ge=0, description="weight of the mean absolute difference")
    over: Literal["crop", "batch"] = Field(
        "batch", description="n_ssim: one ratio per crop, as published, or of sums over the batch"
    )
    floor: float = Field(
        0.05, gt=0, description="n_ssim: least similarity lost in a view that is divided by"
    )


def fusion_loss(
    answer: Tensor, target: Tensor, view: Tensor, given: FusionLoss
) -> dict[str, Tensor]:
    """Return the loss of a batch, ``total``, and its parts ``similarity``, ``difference``; scalars.

    Parameters
    ----------
    answer, target, view : (N, 1, Z, Y, X) tensor
        Predicted, fused and given image, each in units of its own percentiles.
    given : FusionLoss

    Notes
    -----
    With S the similarity to the target, ``ssim`` is the mean of ``1 - S(answer)`` over crops.
    ``n_ssim`` is ``(1 - S(answer)) / max(1 - S(view), floor)``: 1 minus the share of the lost
    similarity that is restored, the challenge's score of a crop, wherever the floor does not
    count. What is right about each: ``ssim`` follows every window alike, and strong images with
    much to restore outweigh those with little; a ratio per crop weighs all crops alike, as the
    challenge weighs images, but a crop of background, of which the view has lost next to nothing,
    outweighs a hundred others without the floor; the ratio of sums is the score of the batch
    taken as one image, where such a crop adds little above and below. Units here compress values
    beyond 2, those of the metric do not: a hot voxel counts less than in the score.
    """
    answer, target, view = (part.float() for part in (answer, target, view))
    lost = 1 - similarity(answer, target)
    if given.kind == "n_ssim":
        before = 1 - similarity(view, target)
        if given.over == "batch":
            lost, before = lost.mean(), before.mean()
        lost = lost / before.clamp_min(given.floor)
    parts = {"similarity": lost.mean(), "difference": (answer - target).abs().mean()}
    total = given.similarity * parts["similarity"] + given.difference * parts["difference"]
    return {"total": total, **parts}


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return the structural similarity of two batches in three dimensions, one per crop.

    Parameters
    ----------
    first, second : (N, 1, Z, Y, X) float32 tensor
        Values of which a range of 1 counts as the data range.

    Returns
    -------
    (N,) tensor
        In [-1, 1], equal to `cytosuite.metrics.images.ssim.mean_ssim` of each crop: windows of 11
        voxels lie within it. Along an axis with fewer voxels the window is narrowed, and a single
        plane is an image.

    References
    ----------
    Wang et al. (2004), doi:10.1109/TIP.2003.819861.
    """
    middle = second.detach().mean(
        (-3, -2, -1)
    )  # near the values, so that small variances stay exact
    first, second = (part - middle[..., None, None, None] for part in (first, second))
    maps = torch.cat([first, second, first * first, second * second, first * second], 1)
    window = gaussian_window(tuple(first.shape[-3:]), shrink=True)
    for axis, half in zip((-3, -2, -1), window.weights, strict=True):
        if half.size > 1:
            rows = _rows(first.shape[axis], tuple(half.tolist())).to(first)
            maps = torch.movedim(torch.movedim(maps, axis, -1) @ rows, -1, axis)
    one, two, ones, twos, both = maps.flatten(2).unbind(1)
    common, spread = both - one * two, ones - one * one + twos - two * two
    one, two = one + middle, two + middle
    c1, c2 = K1**2, K2**2
    level = (2 * one * two + c1) / (one * one + two * two + c1)
    return (level * (2 * common + c2) / (spread + c2)).mean(1)


@lru_cache(maxsize=16)
def _rows(length: int, half: tuple[float, ...]) -> Tensor:
    """Return the windows within an axis as columns of a matrix: fast, however wide they are."""
    weights = torch.tensor([*half[:0:-1], *half])
    found = torch.zeros(length, length - len(weights) + 1)
    for place in range(found.shape[1]):
        found[place : place + len(weights), place] = weights
    return found
