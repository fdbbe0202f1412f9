"""Validation: held-out simulated volumes, translated, beside held-out real ones."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.cyclegan3d.parameters import Parameters
from cytosuite.algorithms.cyclegan3d.predict import classical, seed_of
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.volumes import DomainVolume
from cytosuite.algorithms.cyclegan3d.translate import translate
from cytosuite.formats import read
from cytosuite.manifest import parse
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.realism.scene import Scene
from cytosuite.segmentation.foreground import li_threshold
from cytosuite.training.parts import Cases, State
from cytosuite.volume import Volume

SHOWN = 3  # volumes of each kind in a picture
_SMOOTH = 1.0  # pixels, before the threshold that finds objects
_LEAST = 50  # voxels of an object
_MARGIN, _DARK, _LIGHT = 4, 1.0, 99.8  # pixels between planes; percentiles shown as black and white


def validate(state: State, cases: Cases[DomainVolume], settings: Settings) -> Iterator[Facts]:
    """Yield the facts about each translated volume with known labels, then about the set.

    Objects of the set are found alike in real and translated volumes, by a threshold: the real
    ones have no labels here.
    """
    made = []
    for item in cases["simulated"]:
        given = read(item.path)
        made.append(translated(given, state, settings))
        if item.twin is not None:
            labels = read(item.twin).array
            yield Facts(
                {
                    "prediction": partial(_same, made[-1].array),
                    "image": partial(_same, given.array),
                    "labels": partial(_same, labels),
                    "spacing": partial(_same, given.spacing),
                }
            )
    real = [read(item.path) for item in cases["real"]]
    sides = {"real": real, "synthetic": made}
    yield Facts(
        {f"{name}:arrays": partial(_arrays, volumes) for name, volumes in sides.items()}
        | {f"{name}:volumes": partial(_same, volumes) for name, volumes in sides.items()}
        | {f"{name}:scenes": partial(_scenes, volumes) for name, volumes in sides.items()}
    )


def translated(volume: Volume, state: State, settings: Settings) -> Volume:
    """Return a volume as the card would translate it, without its guard.

    Without a training, of no step, it is the classical transfer.
    """
    given: dict[str, Any] = dict(settings.card.parameters)
    if settings.schedule.steps:
        given["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", given, Parameters)
    if parameters.network is None:
        return volume.like(classical(volume, parameters))
    assert parameters.target is not None  # see Parameters
    array, _ = translate(
        volume.array,
        state.average,
        parameters.network,
        parameters.scale,
        parameters.target,
        tile=parameters.tile,
        seed=seed_of(volume),
        device=state.device,
    )
    return volume.like(array)


def picture(state: State, cases: Cases[DomainVolume], settings: Settings) -> NDArray[np.uint8]:
    """Return the middle planes of held-out volumes: simulated, translated, real, one row each.

    Black and white are the 1st and 99.8th percentile of each volume.
    """
    given = [read(item.path) for item in cases["simulated"][:SHOWN]]
    rows = [
        given,
        [translated(volume, state, settings) for volume in given],
        [read(item.path) for item in cases["real"][:SHOWN]],
    ]
    strips = [joined([views(volume) for volume in row], 1) for row in rows]
    return joined(strips, 0)


def views(volume: Volume) -> NDArray[np.uint8]:
    """Return the middle planes across z and across y side by side, as light in 8 bits."""
    array = volume.array if volume.array.ndim == 3 else volume.array[0]
    low, high = np.percentile(array, (_DARK, _LIGHT))
    z, y, _ = array.shape
    planes = []
    for plane in (array[z // 2], array[:, y // 2]):
        light = (plane.astype(np.float32) - low) / max(float(high - low), 1e-6)
        planes.append((np.clip(light, 0, 1) * 255).astype(np.uint8))
    return joined(planes, 1)


def joined(planes: Sequence[NDArray[np.uint8]], axis: int) -> NDArray[np.uint8]:
    """Return planes of any size one after the other, with white margins."""
    other = 1 - axis
    longest = max(plane.shape[other] for plane in planes)
    framed = []
    for plane in planes:
        margins = [(0, _MARGIN), (0, _MARGIN)]
        margins[other] = (0, longest - plane.shape[other])
        framed.append(np.pad(plane, margins, constant_values=255))
    return np.concatenate(framed, axis)


def _same(value: Any) -> Any:  # noqa: ANN401 - any fact
    """Return a value."""
    return value


def _arrays(volumes: Sequence[Volume]) -> list[NDArray[Any]]:
    """Return the arrays of volumes."""
    return [volume.array for volume in volumes]


def _scenes(volumes: Sequence[Volume]) -> list[Scene]:
    """Return volumes with the objects that a threshold finds in them."""
    return [Scene(volume, _objects(volume.array)) for volume in volumes]


def _objects(image: NDArray[Any]) -> NDArray[np.int32]:
    """Return the pieces of a smoothed image above Li's threshold, numbered."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), _SMOOTH)
    labels, _ = ndimage.label(smooth > li_threshold(smooth))
    kept = np.bincount(labels.ravel()) >= _LEAST
    kept[0] = False
    return np.where(kept[labels], labels, 0).astype(np.int32)
