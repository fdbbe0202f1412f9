"""Validation: the middle of held-out views, restored, beside the fused images."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.view_fusion.classical import smooth
from cytosuite.algorithms.view_fusion.intensity import Units, to_counts
from cytosuite.algorithms.view_fusion.parameters import Parameters
from cytosuite.algorithms.view_fusion.training.pairs import ViewPair
from cytosuite.algorithms.view_fusion.training.settings import Settings
from cytosuite.manifest import parse
from cytosuite.metrics.evidence import Facts
from cytosuite.network import predict_tiles
from cytosuite.tiling import Box
from cytosuite.training.images import joined, views
from cytosuite.training.parts import Cases, State
from cytosuite.volume import Volume

SHOWN = 3  # volumes in a picture
# Voxels; of a participant of the challenge (Cyril-Meyer/FuseMyCells), whose entry this was.
SIGMA = {"nucleus": 0.442, "membrane": 0.5}

Image = NDArray[np.float32]
Method = Callable[[ViewPair, Box], Image]


def validate(state: State, cases: Cases[ViewPair], settings: Settings) -> Iterator[Facts]:
    """Yield the facts about the middle of each held-out view, restored by the average network."""
    return _judged(partial(restored, state, settings), cases, settings)


def baselines(cases: Cases[ViewPair], settings: Settings) -> Iterator[tuple[str, Iterator[Facts]]]:
    """Yield the methods that a network must beat, with the same facts as of `validate`.

    The view as it is, and with its noise smoothed by a Gaussian.
    """
    methods: dict[str, Method] = {"identity": _view, "gaussian": _smoothed}
    for name, method in methods.items():
        yield name, _judged(method, cases, settings)


def restored(state: State, settings: Settings, item: ViewPair, box: Box) -> Image:
    """Return a part of a view, in its units, as the card would restore it."""
    given = {"method": "network", **settings.card.parameters}
    given["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", given, Parameters)
    network = settings.network
    found = predict_tiles(
        item.channels(box),
        state.average,
        channels=1,
        multiple=network.multiple,
        tile=parameters.tile,
        halo=network.halo,
        device=state.device,
    )
    return _linear(found.values[0])


def picture(state: State, cases: Cases[ViewPair], settings: Settings) -> NDArray[np.uint8]:
    """Return planes of held-out images, one row each: views, restored ones, fused ones."""
    rows: list[list[NDArray[np.uint8]]] = [[], [], []]
    for item in cases["pairs"][:SHOWN]:
        box = middle(item, settings)
        fused = _linear(item.fused[box])
        for row, array in zip(
            rows, (_view(item, box), restored(state, settings, item, box), fused), strict=True
        ):
            row.append(views(Volume(array, (1.0, 1.0, 1.0))))
    return joined([joined(row, 1) for row in rows], 0)


def middle(item: ViewPair, settings: Settings) -> Box:
    """Return the voxels of a held-out image that a validation looks at, see `ViewCrops.shown`."""
    sides = [min(n, most) for n, most in zip(item.shape, settings.crops.shown, strict=True)]
    starts = [(n - side) // 2 for n, side in zip(item.shape, sides, strict=True)]
    return tuple(slice(low, low + n) for low, n in zip(starts, sides, strict=True))


def _judged(method: Method, cases: Cases[ViewPair], settings: Settings) -> Iterator[Facts]:
    """Yield the facts about each held-out case with the predictions of a method.

    All images are in units of the percentiles of their whole, of which 1 is the data range.
    """
    for item in cases["pairs"]:
        box = middle(item, settings)
        yield Facts(
            {
                "truth": partial(_linear, item.fused[box]),
                "prediction": partial(method, item, box),
                "image": partial(_view, item, box),
                "data_range": partial(float, 1),
            }
        )


def _view(item: ViewPair, box: Box) -> Image:
    """Return a part of a view as it is."""
    return _linear(item.view[box])


def _smoothed(item: ViewPair, box: Box) -> Image:
    """Return a part of a view, smoothed by the Gaussian for its channel."""
    sigma = SIGMA.get(str(item.channel), SIGMA["nucleus"])
    image = _view(item, box)
    return smooth(image, sigma, tile=image.shape)


def _linear(values: NDArray[np.floating]) -> Image:
    """Return values in units of the network without the compression of outliers."""
    found: Image = to_counts(values, Units(0.0, 1.0), np.float32)
    return found
