"""Training of Cellpose by its own code, and models that it wrote."""

from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from cellpose.models import CellposeModel
from cellpose.train import train_seg
from cellpose.utils import diameters
from scipy.ndimage import zoom

from cytosuite.algorithms.cellpose.predict import TOOL
from cytosuite.contract.learning import Learned, Pair
from cytosuite.contract.progress import report, state
from cytosuite.errors import InputError
from cytosuite.files import Entries

OURS = ("diam_mean", "planes", "seed")  # settings that `train_seg` does not know
SIZES = ("diam_mean", "diam_labels")  # among the weights; models of Cellpose 1 lack them


def learn(pairs: Sequence[Pair], settings: Entries, scratch: Path) -> Learned:
    """Return a model trained from random weights; InputError without labelled objects."""
    state(tool=TOOL)
    torch.manual_seed(settings["seed"])
    seen: list[Any] = []
    held: list[Any] = []
    sizes = []  # µm
    for number, pair in enumerate(pairs):
        planes = list(_planes(pair, settings["planes"]))
        (held if number % 5 == 4 else seen).extend(planes)
        sizes += [diameters(labels)[0] * pair.image.spacing[-1] for _, labels in planes]
    if not seen:
        raise InputError("cellpose: a training needs labelled objects, found none")
    net = CellposeModel(
        gpu=torch.cuda.is_available(), mkldnn=False, diam_mean=settings["diam_mean"]
    ).net
    batches = -(-settings["nimg_per_epoch"] // settings["batch_size"])
    steps = count(1)
    total = settings["n_epochs"] * batches
    net.register_forward_hook(lambda *_: report(next(steps), total) if net.training else None)
    train_seg(
        net,
        train_data=[image for image, _ in seen],
        train_labels=[labels for _, labels in seen],
        test_data=[image for image, _ in held] or None,
        test_labels=[labels for _, labels in held] or None,
        channels=[0, 0],
        min_train_masks=1,
        save_path=scratch,
        **{key: value for key, value in settings.items() if key not in OURS},
    )
    sized = not any(pair.image.spacing_is_assumed for pair in pairs)
    return _learned(net.state_dict(), float(np.mean(sizes)) if sized else None)


def convert(file: Path, scratch: Path) -> Learned:
    """Return a model that Cellpose 2 or 3 wrote, no code run; InputError of another file."""
    del scratch
    state(tool=TOOL)
    tool = CellposeModel(gpu=False, mkldnn=False)
    layout = {key: value.shape for key, value in tool.net.state_dict().items()}
    expected = f"{file.name}: expected a model file of Cellpose 1 to 3"
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
        shapes = {key: value.shape for key, value in weights.items()}
    except (UnpicklingError, RuntimeError, EOFError, AttributeError) as error:
        reason = (str(error).splitlines() or ["it ends early"])[0]
        raise InputError(f"{expected}, weights alone: {reason[:100]}") from None
    odd = [key for key in sorted(layout.keys() | shapes) if layout.get(key) != shapes.get(key)]
    if odd := [key for key in odd if key not in SIZES or key in shapes]:
        raise InputError(f"{expected}, with two channels and three outputs: {odd[0]} differs")
    mean = CellposeModel(gpu=False, pretrained_model=str(file), mkldnn=False).diam_mean
    return _learned({**dict.fromkeys(SIZES, torch.tensor([float(mean)])), **weights}, None)


def _learned(weights: Entries, diameter_um: float | None) -> Learned:
    """Return weights of a network without counts of batches, which no prediction needs."""
    tensors = {
        key: value.cpu().numpy() for key, value in weights.items() if "num_batches" not in key
    }
    return Learned({"tool": TOOL, "diameter_um": diameter_um}, tensors)


def _planes(pair: Pair, most: int) -> Iterator[tuple[Any, Any]]:
    """Yield planes with objects and square pixels; of a volume some along each axis."""
    image = pair.image.array.astype(np.float32)
    labels = pair.labels.array.astype(np.int32)
    if deep := image.ndim == 3:
        steps = (pair.image.spacing[0] / pair.image.spacing[-1], 1, 1)
        image = zoom(image, steps, order=1)
        labels = zoom(labels, steps, order=0)
    else:
        image = image[None]
        labels = labels[None]
    for axis in range(3 if deep else 1):
        there = np.flatnonzero(labels.any(axis=tuple({0, 1, 2} - {axis})))
        for place in there[np.linspace(0, len(there) - 1, min(most, len(there)), dtype=int)]:
            yield image.take(place, axis), labels.take(place, axis)
