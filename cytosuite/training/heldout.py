"""Held-out cases as users bring them, the algorithm's own answers, and the facts of both."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from cytosuite.contract.manifest import ModelCard
from cytosuite.contract.weights import Model
from cytosuite.files import Entries
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.realism.scene import Scene
from cytosuite.training.images import objects_of, stacked
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.pieces import extremes


class HeldOut(NamedTuple):
    """A held-out case: what the algorithm gets, and what is known about it."""

    inputs: Volumes  # by slug, the main one first
    truth: Volume | None = None  # that the answer should be
    labels: Volume | None = None  # of the objects in it

    @property
    def image(self) -> Volume:
        """The main input."""
        return next(iter(self.inputs.values()))

    @property
    def empty(self) -> Volume:
        """An answer without anything."""
        like = self.truth or self.image
        return like.like(np.zeros_like(like.array))

    def facts(self, answer: Volume) -> Iterator[Facts]:
        """Yield the facts of each channel; labels without channels belong to the first one."""
        image = self.image
        named = {"prediction": answer, "image": image, "truth": self.truth, "labels": self.labels}
        volumes = {name: volume for name, volume in named.items() if volume}
        for channels in zip(*(volume.channels for volume in volumes.values()), strict=False):
            arrays = {name: part.array for name, part in zip(volumes, channels, strict=True)}
            arrays |= {"spacing": image.spacing}
            if "truth" in arrays:
                low, high = extremes(arrays["truth"])
                arrays |= {"data_range": float(high) - float(low) or 1.0}
            yield Facts({name: partial(arrays.__getitem__, name) for name in arrays})


def program(algorithm: str) -> Any:  # noqa: ANN401 - a module
    """Return the module of an algorithm with `predict` and `Parameters`."""
    return import_module(f"cytosuite.algorithms.{algorithm}.predict")


def outputs_of(
    algorithm: str,
    inputs: Volumes,
    parameters: Entries,
    describes: Entries,
) -> Volumes:
    """Return the outputs of an algorithm with the parameters of a card."""
    facts: Any = {"describes": dict(describes), "parameters": dict(parameters)}
    card = ModelCard.model_construct(name="trained", algorithm=algorithm, **facts)
    outputs: Volumes = program(algorithm).predict(inputs, Model(card))
    return outputs


def facts_of_sets(real: Sequence[Volume], made: Sequence[Volume]) -> Iterator[Facts]:
    """Yield the facts about real and made images, of each channel; none without real ones.

    A threshold finds the objects of their scenes.
    """
    sides = {"real": real, "synthetic": made}
    for channel in range(len(real[0].channels) if real else 0):
        facts: dict[str, Callable[[], Any]] = {}
        for name, images in sides.items():
            stacks = [stacked(image.channels[channel]) for image in images]
            facts |= {
                f"{name}:arrays": partial(list, [stack.array for stack in stacks]),
                f"{name}:volumes": partial(list, stacks),
                f"{name}:scenes": partial(list, map(_scene, stacks)),
            }
        yield Facts(facts)


def _scene(image: Volume) -> Scene:
    return Scene(image, objects_of(image.array))
