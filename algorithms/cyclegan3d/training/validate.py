"""Validation: held-out simulated volumes, translated, beside held-out real ones."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cyclegan3d.parameters import Parameters
from cytosuite.algorithms.cyclegan3d.predict import by_network, classical
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.volumes import DomainVolume
from cytosuite.formats import read
from cytosuite.manifest import parse
from cytosuite.metrics.evidence import Facts
from cytosuite.training.images import joined, scenes_of, views
from cytosuite.training.parts import Cases, State
from cytosuite.volume import Volume

SHOWN = 3  # volumes of each kind in a picture


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
        | {f"{name}:scenes": partial(scenes_of, volumes) for name, volumes in sides.items()}
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
    array, _ = by_network(volume, state.average, parameters, state.device)
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


def _same(value: Any) -> Any:  # noqa: ANN401 - any fact
    """Return a value."""
    return value


def _arrays(volumes: Sequence[Volume]) -> list[NDArray[Any]]:
    """Return the arrays of volumes."""
    return [volume.array for volume in volumes]
