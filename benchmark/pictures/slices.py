"""What is kept of a case for its picture: three slices of each volume, read one at a time."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.pictures import outlines
from benchmark.report.content import CasePicture
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.formats import read
from cytosuite.volume import Volume

LOGGER = logging.getLogger(__name__)

Pixels = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Slices:
    """The XY slice of one volume, and for a 3D one the XZ and YZ slices.

    Parameters
    ----------
    planes : list of 2D arrays
        (Y, X), (Z, X) and (Y, Z).
    limits : tuple of float
        The values shown as black and white (not used for labels).
    """

    planes: list[Pixels]
    limits: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Guess:
    """An algorithm's output of one case: slices, ids of missed and of extra objects, a summary.

    `slices` is None where there is no valid output; `missed` is None where there is no truth.
    """

    slices: Slices | None
    missed: Pixels | None
    extra: Pixels | None
    summary: str


@dataclass(frozen=True, slots=True)
class CutCase:
    """A case cut into slices.

    Parameters
    ----------
    picture : CasePicture
        Where it came from.
    cut, shape : tuple of int
        Index of the slice along z, y, x, and the size of these axes.
    spacing : tuple of float
        µm per voxel, z y x.
    unit : {"µm", "px"}
        ``"px"`` where the voxel size is not known.
    image, truth, guesses
        The slices of the input, of the truth, and of each algorithm in the order asked for.
    """

    picture: CasePicture
    cut: tuple[int, int, int]
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    unit: Literal["µm", "px"]
    image: Slices
    truth: Slices | None
    guesses: list[Guess]

    @property
    def flat(self) -> bool:
        """Whether there is one slice only."""
        return self.shape[0] == 1


def cut_case(picture: CasePicture, algorithms: Sequence[str]) -> CutCase:
    """Read a case and keep its slices.

    Parameters
    ----------
    picture : CasePicture
        The files. At most image, truth and one prediction are in memory at once.
    algorithms : sequence of str
        Whose outputs to read.

    Raises
    ------
    InputError
        If image or truth cannot be read or differ in shape.
    """
    volume = read(picture.image)
    image, spacing = spatial(volume)
    truth = None if picture.truth is None else spatial(read(picture.truth))[0]
    if truth is not None and truth.shape != image.shape:
        raise InputError(
            f"{picture.truth}: expected the shape {image.shape} of the image, found {truth.shape}"
        )
    labels = picture.kind == "labels"
    cut = cut_at(truth if labels else None, image.shape)
    depth, height, width = image.shape
    slices = _slices(image, cut, labels=False)
    del image
    guesses = []
    for name in algorithms:
        prediction = _prediction(picture.predictions.get(name), (depth, height, width))
        guesses.append(_guess(prediction, truth, cut, labels))
    return CutCase(
        picture,
        cut,
        (depth, height, width),
        spacing,
        "px" if volume.spacing_is_assumed else "µm",
        slices,
        None if truth is None else _slices(truth, cut, labels),
        guesses,
    )


def spatial(volume: Volume) -> tuple[Pixels, tuple[float, float, float]]:
    """Return a volume's (Z, Y, X) pixels and voxel size: middle time point, first channel.

    Parameters
    ----------
    volume : Volume
        Any axes; a 2D image becomes one slice, as thick as a pixel is high.
    """
    array = volume.array
    if "T" in volume.axes:
        array = array[array.shape[0] // 2]
    if "C" in volume.axes:
        array = array[0]
    if "Z" in volume.axes:
        z, y, x = volume.spacing
        return array, (z, y, x)
    return array[None], (volume.spacing[0], volume.spacing[0], volume.spacing[1])


def cut_at(labels: Pixels | None, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the slice to show along each axis: the middle, or where it is empty the fullest one.

    Parameters
    ----------
    labels : (Z, Y, X) integer array or None
        The truth, 0 = background.
    shape : tuple of int
        Of the image.
    """
    cut = [size // 2 for size in shape]
    if labels is not None:
        for axis in range(3):
            if not np.take(labels, cut[axis], axis).any():
                others = tuple(other for other in range(3) if other != axis)
                area = np.count_nonzero(labels, axis=others)
                cut[axis] = int(np.argmax(area)) if area.any() else cut[axis]
    return cut[0], cut[1], cut[2]


def _slices(array: Pixels, cut: tuple[int, int, int], labels: bool) -> Slices:
    """Return copies of the slices of a (Z, Y, X) array, so that the array itself can go."""
    z, y, x = cut
    planes = [array[z], array[:, y, :], array[:, :, x].T]
    kept = [plane.copy() for plane in (planes[:1] if array.shape[0] == 1 else planes)]
    return Slices(kept, (0.0, 1.0) if labels else outlines.limits(array))


def _prediction(path: Path | None, shape: tuple[int, int, int]) -> Pixels | None:
    """Return an output, or None when there is none that fits the image."""
    if path is None:
        return None
    try:
        array = spatial(read(path))[0]
    except (CytosuiteError, OSError) as error:
        LOGGER.warning("%s: not drawn: %s", path, error)
        return None
    return array if array.shape == shape else None


def _guess(
    prediction: Pixels | None, truth: Pixels | None, cut: tuple[int, int, int], labels: bool
) -> Guess:
    """Return the slices of a prediction and which objects of it match."""
    if prediction is None:
        return Guess(None, None, None, "no valid output")
    slices = _slices(prediction, cut, labels)
    if not labels:
        return Guess(slices, None, None, "")
    if truth is None:
        return Guess(slices, None, None, f"{len(np.unique(prediction[prediction > 0]))} objects")
    found, missed, _, extra = outlines.matched(truth, prediction)
    objects = len(found) + len(missed)
    summary = f"{len(found)} of {objects} found, {len(missed)} missed, {len(extra)} extra"
    return Guess(slices, missed, extra, summary)
