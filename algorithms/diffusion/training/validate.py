"""Validation: images made from the sketches of held-out images, beside these."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.algorithms.diffusion.intensity import contrast_of
from cytosuite.algorithms.diffusion.parameters import Parameters
from cytosuite.algorithms.diffusion.predict import from_sketch
from cytosuite.algorithms.diffusion.training.pairs import SketchedImage, deep
from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.formats import read
from cytosuite.manifest import parse
from cytosuite.metrics.evidence import Facts
from cytosuite.training.images import joined, scenes_of, views
from cytosuite.training.parts import Cases, State
from cytosuite.volume import Volume

SHOWN = 3  # images in a picture
_SMOOTH = 1.0  # pixels, before the threshold that makes a sketch of an image


def validate(state: State, cases: Cases[SketchedImage], settings: Settings) -> Iterator[Facts]:
    """Yield the facts about each made image with known labels, then about the set.

    Only the middle of large images is made, see `NoisedCrops.shown`. Objects of the set are found
    alike in real and made images, by a threshold.
    """
    real, synthetic = [], []
    for item in cases["images"]:
        image, sketch, labels = middle(item, settings.crops.shown)
        made = made_from(image, sketch, state, settings)
        real.append(_stack(image))
        synthetic.append(_stack(made))
        if labels is not None:
            yield Facts(
                {
                    "prediction": partial(_same, made.array),
                    "image": partial(_same, sketch),
                    "labels": partial(_same, labels),
                    "spacing": partial(_same, image.spacing),
                }
            )
    sides = {"real": real, "synthetic": synthetic}
    yield Facts(
        {f"{name}:arrays": partial(_arrays, volumes) for name, volumes in sides.items()}
        | {f"{name}:volumes": partial(_same, volumes) for name, volumes in sides.items()}
        | {f"{name}:scenes": partial(scenes_of, volumes) for name, volumes in sides.items()}
    )


def made_from(
    image: Volume, sketch: NDArray[np.float32], state: State, settings: Settings
) -> Volume:
    """Return an image made from a sketch as the card would, with the average network.

    The noise is always the same, so that validations differ by the network alone.
    """
    given: dict[str, Any] = dict(settings.card.parameters)
    given["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", given, Parameters)
    return from_sketch(image, sketch, parameters, state.average, 0, state.device)


def middle(
    item: SketchedImage, shape: Sequence[int]
) -> tuple[Volume, NDArray[np.float32], NDArray[Any] | None]:
    """Return the middle of an image, with its sketch and, where there are some, its labels.

    Parameters
    ----------
    item : SketchedImage
        Without a sketch, one is made of the smoothed image by a threshold.
    shape : sequence of int
        Most voxels along z, y, x.
    """
    volume = read(item.path)
    sides = deep(volume.array).shape
    box = tuple(
        slice((n - min(n, most)) // 2, (n - min(n, most)) // 2 + min(n, most))
        for n, most in zip(sides, shape, strict=True)
    )[-volume.array.ndim :]
    array = volume.array[box]
    if item.sketch is None:
        smooth = ndimage.gaussian_filter(array.astype(np.float32), _SMOOTH)
        found = contrast_of(smooth)
        sketch = (smooth > (found.dark + found.bright) / 2).astype(np.float32)
    else:
        whole = item.sketch[tuple(slice(n) for n in sides)].reshape(volume.shape)
        sketch = whole[box].astype(np.float32)
    labels = None if item.twin is None else read(item.twin).array[box]
    return replace(volume, array=array), sketch, labels


def picture(state: State, cases: Cases[SketchedImage], settings: Settings) -> NDArray[np.uint8]:
    """Return held-out images: sketches, made images, real ones, one row each."""
    rows: list[list[NDArray[np.uint8]]] = [[], [], []]
    for item in cases["images"][:SHOWN]:
        image, sketch, _ = middle(item, settings.crops.shown)
        made = made_from(image, sketch, state, settings)
        for row, array in zip(rows, (sketch, made.array, image.array), strict=True):
            row.append(views(Volume(deep(array), (1.0, 1.0, 1.0))))
    return joined([joined(row, 1) for row in rows], 0)


def _stack(volume: Volume) -> Volume:
    """Return a plane as a stack of one, which the metrics of spectra take."""
    if volume.axes == "ZYX":
        return volume
    return replace(volume, array=volume.array[None], axes="ZYX", spacing=(1.0, *volume.spacing))


def _same(value: Any) -> Any:  # noqa: ANN401 - any fact
    """Return a value."""
    return value


def _arrays(volumes: Sequence[Volume]) -> list[NDArray[Any]]:
    """Return the arrays of volumes."""
    return [volume.array for volume in volumes]
