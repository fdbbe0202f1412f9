"""Losses of view fusion: structural similarity that is lost, and absolute differences."""

from functools import lru_cache
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from cytosuite.contract.manifest import Described
from cytosuite.metrics.images.ssim_compare import K1, K2, gaussian_window


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

    With S the similarity to the target, ``ssim`` is the mean of ``1 - S(answer)``; ``n_ssim`` is
    ``(1 - S(answer)) / max(1 - S(view), floor)``, 1 minus the challenge's score, of each crop or of
    the sums over the batch: without floor a crop of background outweighs a hundred others.
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
    """Return `mean_ssim` (Wang et al. 2004) of (N, 1, Z, Y, X) batches, (N,), data range 1."""
    # A middle near the values keeps small variances exact.
    middle = second.detach().mean((-3, -2, -1))
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
    """Return the windows within an axis as columns of a matrix: fast at any width."""
    weights = torch.tensor([*half[:0:-1], *half])
    found = torch.zeros(length, length - len(weights) + 1)
    for place in range(found.shape[1]):
        found[place : place + len(weights), place] = weights
    return found
