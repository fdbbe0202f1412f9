"""Weights of the published program, ``Study<n>_<channel>.ckpt``: recognised, and refused."""

from pathlib import Path
from typing import NoReturn

from cytosuite.errors import InputError
from cytosuite.training.convert import NESTED, state

LAYOUT = {"c1.0.weight", "d3.0.weight", "u3.3.weight", "out.6.weight"}  # of its U-Net


def published(file: Path) -> NoReturn:
    """Raise InputError with the differences between the network of a file and ours."""
    theirs = state(file, NESTED, ("module.", "network.", "model."))
    if not set(theirs) >= LAYOUT:
        raise InputError(
            f"{file}: expected the published U-Net ({', '.join(sorted(LAYOUT))}), found "
            f"{', '.join(list(theirs)[:3])}; only a card of a network of ours takes other weights"
        )
    raise InputError(
        f"{file}: the published U-Net, {theirs['c1.0.weight'].shape[1]} inputs, "
        f"{sum(tensor.numel() for tensor in theirs.values()):,} weights; it normalises each "
        "tile, halves z, y and x by kernels of 4 and joins its skips, so that none fits the "
        "network here; train on its views and fused images (cytosuite train view_fusion)"
    )
