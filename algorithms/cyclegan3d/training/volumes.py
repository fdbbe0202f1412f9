"""Volumes of both domains: decoded once into a mapped file, read crop by crop."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cytosuite.algorithms.cyclegan3d.training.settings import Crops, Settings
from cytosuite.algorithms.cyclegan3d.translate import OF_TARGET, Scale, Scaling, scaling_of
from cytosuite.contract.interface import is_finite
from cytosuite.contract.tasks import LABELS
from cytosuite.errors import InputError
from cytosuite.files import FloatTuple, frozen
from cytosuite.folders.index import Item
from cytosuite.folders.masks import Source
from cytosuite.networks.normalise import Target
from cytosuite.training.images import (
    chosen,
    cut,
    draw_box,
    mapped,
    padded,
    streams,
    turn_of,
    turned,
)
from cytosuite.training.parts import Arrays, Cases
from cytosuite.training.settings import BESIDE, FileSettings
from cytosuite.volume import Volume
from cytosuite.volume.arrays import (
    Array,
    Halves,
    Image,
    Labels,
    Lengths,
    Rng,
    Shape,
    Sizes,
)
from cytosuite.volume.pieces import deep

SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)  # quantiles that make crops alike


@frozen
class DomainVolume:
    """One volume of a domain; 2 to 8 bytes per voxel on disk, few in memory."""

    path: Path
    twin: Source | None  # its labels; None of a real volume
    image: Halves  # (C, Z, Y, X) float16 or float32, in network units, mapped
    labels: Labels | None  # (Z, Y, X), of a simulated volume
    shape: Shape  # voxels z y x, without the padding up to a crop
    spacing: Lengths  # µm per voxel, z y x
    counts: FloatTuple = ()  # a grey count of each channel in network units, to dither by
    scale: Scale = "background"
    files: FileSettings = BESIDE

    def read(self) -> Volume:
        """Return the volume as it is in its file."""
        return self.files.read(self.path)


DomainCases = Cases[DomainVolume]  # by role


def load_item(item: Item, role: str, settings: Settings) -> DomainVolume:
    """Return a volume of a domain; networks of planes see planes of stacks, too.

    Labels are read of the simulated one alone. InputError if the image or its labels do not fit.
    """
    real, axes, scale = role == "real", settings.network.axes, settings.images.scale
    accepted = (axes, f"C{axes}", *(("ZYX", "CZYX") if axes == "YX" else ()))
    first = "background" if scale in OF_TARGET else scale
    # float16 has steps of 16 grey counts where the range of 16 bits is -1..1.
    kind = np.float32 if first == "dtype" else np.float16
    twin = item.files.get(LABELS.slug)
    files = settings.files
    crop = settings.crops.shape
    volume = files.read(item.image)
    if volume.axes not in accepted:
        raise InputError(
            f"expected an image with the axes {', '.join(accepted[:-1])} or {accepted[-1]}, "
            f"found {volume.axes}"
        )
    array = volume.array if volume.axes[0] == "C" else volume.array[None]
    array = array.reshape(len(array), -1, *array.shape[-2:])  # planes are stacks of one
    if not is_finite(array):
        raise InputError("expected finite grey values, found NaN or infinity")
    units = [scaling_of(channel, first) for channel in array]
    values = np.stack([scaling(channel) for scaling, channel in zip(units, array, strict=True)])
    labels = None
    if settings.loss.keep == "labels" and settings.loss.structure > 0 and not real:
        if not twin:
            raise InputError(
                "expected labels beside this image for loss.keep labels, found none; give them, or "
                "choose correlation"
            )
        labels = deep(files.labels(twin).array)
        shape = array.shape[1:]
        if labels.shape != shape:
            raise InputError(f"expected labels of the shape {shape}, found {labels.shape}")
        labels = mapped(padded(labels.astype(np.int32), crop))
    return DomainVolume(
        path=item.image,
        twin=twin,
        image=mapped(padded(values.astype(kind), crop)),
        labels=labels,
        shape=array.shape[1:],
        spacing=volume.spacing,
        counts=_counts(array, units, first) if real else (),
        scale=first,
        files=files,
    )


def in_grey_values_of(
    item: DomainVolume, image: Array, target: Target, crop: Sizes, scale: Scale
) -> DomainVolume:
    """Return a one-channel volume with another image, in units of a target's background."""
    image = deep(image)
    units = scaling_of(image, scale, target=target)
    return replace(
        item,
        image=mapped(padded(units(image)[None].astype(np.float16), crop)),
        counts=_counts(image[None], [units], scale),
        scale=scale,
    )


def _counts(channels: Array, units: Sequence[Scaling], scale: Scale) -> FloatTuple:
    """Return a grey count of each channel of integers, see `DomainVolume`; none for floats."""
    if channels.dtype.kind not in "ui":
        return ()
    ends = np.stack([scaling(np.arange(2)) for scaling in units]).astype(np.float64)
    ends = ends if scale == "dtype" else np.sinh(2 * ends)
    return tuple(np.diff(ends)[:, 0].tolist())


def draw_batch(cases: DomainCases, settings: Settings, step: int) -> Arrays:
    """Return simulated and real crops (N, C, Z, Y, X) of a step, and the simulated ones' labels.

    Crops that differ in content teach the generators to invent or remove nuclei, or to change their
    light: of a few places in simulated volumes the one with levels most like the real crop's is
    taken. Crops are mirrored along y, light along x, too, in which a camera reads, but not along z:
    light fades and blurs along it. Whole grey counts are dithered: generated images hold any value
    between them, and a judge could tell them by that alone.
    """
    seed = settings.schedule.seed
    drawn = [_pair(rng, cases, settings.crops) for rng in streams(seed, step, settings.crops.batch)]
    return {name: np.stack([pair[name] for pair in drawn]) for name in drawn[0]}


def _pair(rng: Rng, cases: DomainCases, settings: Crops) -> dict[str, Image | Labels]:
    """Return a simulated and a real crop (C, Z, Y, X), and the labels of the first, if given."""
    target = chosen(rng, cases["real"])
    simulated = cases["simulated"]
    crop = cut(target.image, draw_box(rng, target.image.shape[1:], settings.shape))
    sources = [
        simulated[int(number)] for number in rng.integers(len(simulated), size=settings.alike)
    ]
    places = [(s, draw_box(rng, s.image.shape[1:], settings.shape)) for s in sources]
    source, box = places[0]
    if settings.alike > 1:
        goal = _levels(crop)
        far = [np.abs(_levels(cut(item.image, box)) - goal).mean() for item, box in places]
        source, box = places[int(np.argmin(far))]
    turns = [turn_of(rng, noise=target.scale != "light") for _ in range(2)]
    drawn: dict[str, Image | Labels] = {
        "simulated": turned(_dithered(rng, cut(source.image, box), source), turns[0]),
        "real": turned(_dithered(rng, crop, target), turns[1]),
    }
    if source.labels is not None:
        drawn["labels"] = turned(np.asarray(source.labels[box]), turns[0])
    return drawn


def _dithered(rng: Rng, crop: Image, item: DomainVolume) -> Image:
    """Return a crop with an even change of up to half a grey count in each voxel."""
    if not item.counts:
        return crop
    change = rng.uniform(-0.5, 0.5, crop.shape) * np.reshape(item.counts, (-1, 1, 1, 1))
    if item.scale == "dtype":
        return np.asarray(crop + change, np.float32)
    return np.asarray(0.5 * np.arcsinh(np.sinh(2.0 * crop) + change), np.float32)


def _levels(crop: Image) -> Image:
    """Return quantiles of the first channel, means of 2 x 2 pixels: noise counts less."""
    first = crop[0]
    even = first[:, : first.shape[1] // 2 * 2, : first.shape[2] // 2 * 2]
    pairs = even.reshape(first.shape[0], even.shape[1] // 2, 2, even.shape[2] // 2, 2)
    quantiles: Image = np.quantile(pairs.mean((2, 4)), SHARES)
    return quantiles
