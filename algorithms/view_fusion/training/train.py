"""Training of view fusion: the parts that `cytosuite.training.loop` puts together."""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from cytosuite.algorithms.view_fusion.training.pairs import (
    Settings,
    ViewCases,
    ViewPair,
    draw_crops,
    find_pairs,
    load_pair,
)
from cytosuite.contract.tasks import VIEW
from cytosuite.files import Entries, FloatTuple
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.images.ssim import K1, K2, gaussian_window
from cytosuite.training.heldout import HeldOut, outputs_of
from cytosuite.training.images import filled, middle
from cytosuite.training.parts import Tensors, Training
from cytosuite.volume import Volume


def similarity(first: Tensor, second: Tensor) -> Tensor:
    """Return `ssim` (Wang et al. 2004) of (N, 1, Z, Y, X) batches, (N,), data range 1."""
    # A middle near the values keeps small variances exact.
    middle = second.detach().mean((-3, -2, -1))
    first, second = (part - middle[..., None, None, None] for part in (first, second))
    maps = torch.cat([first, second, first * first, second * second, first * second], 1)
    window = gaussian_window(tuple(first.shape[-3:]), shrink=True)
    for axis, half in zip((-3, -2, -1), window, strict=True):
        if half.size > 1:
            rows = _rows(first.shape[axis], tuple(half.tolist())).to(first)
            maps = torch.movedim(torch.movedim(maps, axis, -1) @ rows, -1, axis)
    one, two, ones, twos, both = maps.flatten(2).unbind(1)
    common = both - one * two
    spread = ones - one * one + twos - two * two
    one = one + middle
    two = two + middle
    c1 = K1**2
    c2 = K2**2
    level = (2 * one * two + c1) / (one * one + two * two + c1)
    return (level * (2 * common + c2) / (spread + c2)).mean(1)


@lru_cache(maxsize=16)
def _rows(length: int, half: FloatTuple) -> Tensor:
    """Return the windows within an axis as columns of a matrix: fast at any width."""
    weights = torch.tensor([*half[:0:-1], *half])
    columns = torch.zeros(length, length - len(weights) + 1)
    for place in range(columns.shape[1]):
        columns[place : place + len(weights), place] = weights
    return columns


# Voxels; from the entry of a participant of the challenge (Cyril-Meyer/FuseMyCells).
SIGMA = {"nucleus": 0.442, "membrane": 0.5}


class FusionTraining(Training[Settings, ViewPair]):
    """The parts of the training."""

    algorithm = "view_fusion"
    settings = Settings
    roles = ("pairs",)

    def losses(self, prediction: Tensor, batch: Tensors, settings: Settings) -> Tensors:
        """Return the loss of restored views, ``total``, and its parts similarity and difference.

        With S the similarity to the target, ``ssim`` is the mean of ``1 - S(answer)``; ``n_ssim``
        is ``(1 - S(answer)) / max(1 - S(view), floor)``, 1 minus the challenge's score, of each
        crop or of the sums over the batch: without floor a crop of background outweighs a hundred.
        """
        weights = settings.loss
        views = batch["image"][:, :1]
        answer, target, view = (part.float() for part in (prediction, batch["target"], views))
        lost = 1 - similarity(answer, target)
        if weights.kind == "n_ssim":
            before = 1 - similarity(view, target)
            if weights.over == "batch":
                lost = lost.mean()
                before = before.mean()
            lost = lost / before.clamp_min(weights.floor)
        parts = {"similarity": lost.mean(), "difference": (answer - target).abs().mean()}
        total = weights.similarity * parts["similarity"] + weights.difference * parts["difference"]
        return {"total": total, **parts}

    def describe(self, cases: ViewCases, settings: Settings) -> Entries:
        """Return axes, median shape and voxel size [µm], and channel and study where all agree."""
        items = cases["pairs"]
        entries = {
            "axes": "ZYX",
            "shape": np.median([item.shape for item in items], 0).round().tolist(),
        }
        if sizes := [item.spacing for item in items if item.spacing is not None]:
            entries["spacing"] = np.median(sizes, 0).round(4).tolist()
        for name in ("channel", "study"):
            values = {getattr(item, name) for item in items}
            if len(values) == 1 and None not in values:
                entries[name] = values.pop()
        return entries

    def measure(self, cases: ViewCases, settings: Settings) -> Entries:
        """Return the method of the card."""
        return {"method": "network"}

    def notes(self, cases: ViewCases, settings: Settings) -> list[str]:
        """Return lines on small views, voxel sizes and channels not given, and maps not read."""
        items = cases["pairs"]
        describes = settings.card.describes
        lines = filled([item.shape for item in items], settings.crops.shape)
        for name, title in (("spacing", "voxel size [µm]"), ("channel", "channel")):
            unknown = sum(getattr(item, name) is None for item in items)
            if unknown and name not in describes:
                lines.append(
                    f"{unknown} of {len(items)} views give no {title}: "
                    f"card.describes.{name} sets it"
                )
        unread = Counter(line for item in items for line in item.warnings if "not read" in line)
        return lines + [f"{count} of {len(items)} views: {line}" for line, count in unread.items()]

    def held_out(self, case: ViewPair, number: int, settings: Settings) -> HeldOut:
        """Return the middle of a view and of its fused image."""
        view, fused = (middle(volume, settings.crops.shown) for volume in case.read())
        return HeldOut({VIEW: view}, fused)

    def real(self, cases: ViewCases, settings: Settings) -> list[Volume]:
        """Return the middle of the fused images."""
        return [middle(item.read()[1], settings.crops.shown) for item in cases["pairs"]]

    def baselines(
        self, cases: ViewCases, settings: Settings
    ) -> Iterator[tuple[str, Iterator[Facts]]]:
        """Yield the facts of `validate` for the view itself and for one smoothed by a Gaussian."""
        for method in ("identity", "gaussian"):
            yield method, self._by(method, cases, settings)

    def _by(self, method: str, cases: ViewCases, settings: Settings) -> Iterator[Facts]:
        for number, item in enumerate(cases["pairs"]):
            scene = self.held_out(item, number, settings)
            sigma = SIGMA.get(str(item.channel), SIGMA["nucleus"])
            parameters = {"method": method, "sigma_px": sigma}
            yield from scene.facts(
                next(iter(outputs_of(self.algorithm, scene.inputs, parameters, {}).values()))
            )


TRAINING = FusionTraining(find=find_pairs, case=load_pair, batch=draw_crops)
