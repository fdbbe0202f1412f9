"""Real images and, for a conditioned network, their sketches: decoded once, read crop by crop."""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from scipy import ndimage

from cytosuite.algorithms.diffusion.intensity import (
    contrast_of,
    each_channel,
    image_units,
    sketch_units,
)
from cytosuite.algorithms.diffusion.predict import SKETCH, Given
from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.contract.interface import is_finite
from cytosuite.contract.tasks import LABELS
from cytosuite.denoising.camera import light_of
from cytosuite.denoising.noise import noise_of
from cytosuite.denoising.sampling import HIDDEN, positions
from cytosuite.errors import InputError
from cytosuite.files import frozen
from cytosuite.folders.index import Item
from cytosuite.folders.masks import Source
from cytosuite.networks.normalise import normalise, sketch_of_labels
from cytosuite.segmentation.specimen import CoarseMap
from cytosuite.training.augment import augmented
from cytosuite.training.images import (
    chosen,
    cut,
    draw_box,
    mapped,
    padded,
    stacked,
    streams,
    turn_of,
    turned,
)
from cytosuite.training.settings import BESIDE, FileSettings
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Floats, Halves, Lengths, Shape

SKETCHES = "sketches"  # role of further label images or sketches
_SMOOTH = 1.0  # pixels, before the threshold that makes a sketch of an image


@frozen
class SketchedImage:
    """An image to learn from; 2 bytes per voxel on disk, 4 with a sketch, few in memory."""

    path: Path  # the image's file
    twin: Source | None  # its labels
    # (C, Z, Y, X) in units of the network, at least as large as a crop; mapped
    image: Halves
    sketch: Halves | None  # ground at 0, objects at 1; None if unconditioned
    spacing: Lengths | None  # µm per voxel; None where the file gives none
    kind: Given | None  # of the file that the sketch comes from
    shape: Shape = ()  # voxels z y x, without the extension to a crop
    files: FileSettings = BESIDE
    position: tuple[CoarseMap, ...] = ()  # further channels of the network


def _units(image: Array, settings: Settings) -> Floats:
    """Return an image in its own units, or its light in its camera's."""
    if settings.camera:
        return normalise(light_of(image, settings.camera), settings.camera.units)
    return image_units(image, settings.units)


def threshold_sketch(image: Array) -> Floats:
    """Return a sketch of an image alone: 1 above a threshold."""
    smooth = ndimage.gaussian_filter(image.astype(np.float32), _SMOOTH)
    levels = contrast_of(smooth)
    return np.asarray(smooth > (levels.dark + levels.bright) / 2, np.float32)


def given_of(items: Sequence[SketchedImage]) -> Given | None:
    """Return the source of all sketches, None where there are none; InputError for two sources."""
    first = {item.kind: item.path for item in reversed(items)}
    if len(first) > 1:
        raise InputError(
            f"expected sketches for all images or labels for all, found a sketch for "
            f"{first['sketch']} and labels alone for {first['labels']}; add the missing sketches, "
            "or take the others away"
        )
    return next(iter(first), None)


def stacks(image: Volume) -> list[Volume]:
    """Return each channel as a stack (Z, Y, X), a plane as one of one."""
    return [stacked(channel) for channel in image.channels]


def load_pair(item: Item, role: str, settings: Settings) -> SketchedImage:
    """Return an image in units of its own, or of a camera, with its sketch if one is drawn."""
    network = settings.network
    files = settings.files
    axes, path, twin = network.axes, item.image, item.files.get(LABELS.slug)
    volume = files.read(path)
    if volume.axes != axes and not (volume.axes.replace("Z", "") == axes and volume.shape[-3] == 1):
        raise InputError(f"expected an image with the axes {axes}, found {volume.axes}")
    if not is_finite(volume.array):
        raise InputError("expected finite grey values, found NaN or infinity")
    if (count := len(volume.channels)) != network.channels:
        raise InputError(
            f"expected {network.channels} channels, found {count}; set network.channels"
        )
    sketch = kind = None
    if network.conditioned and settings.adversary.unpaired and role != SKETCHES:
        sketch = each_channel(threshold_sketch, volume)
    elif network.conditioned:
        itself = path if role == SKETCHES else None
        sketch, kind = _sketch(item.path(SKETCH), twin or itself, volume, files)
    spacing = None if volume.spacing_is_assumed else volume.spacing[-len(axes.lstrip("C")) :]

    def stored(array: Floats) -> Halves:
        """Return an array as float16, mapped from a file."""
        parts = [channel.array for channel in stacks(volume.like(array))]
        return mapped(padded(np.stack(parts).astype(np.float16), settings.crops.shape))

    kept = None if sketch is None else stored(sketch)
    position = list[CoarseMap]()
    if network.position:
        if spacing is None:
            raise InputError("the file gives no voxel size, which network.position counts in")
        voxel = (1.0, *spacing)[-3:]
        position = positions(np.asarray(kept, np.float32), voxel, network.position)
    return SketchedImage(
        path,
        twin,
        stored(each_channel(partial(_units, settings=settings), volume)),
        kept,
        spacing,
        kind,
        stacks(volume)[0].shape,
        files,
        tuple(position),
    )


def _sketch(
    sketch: Path | None, twin: Source | None, image: Volume, files: FileSettings
) -> tuple[Floats, Given]:
    """Return the sketch of an image, its own or one that is made of its labels, and its kind."""
    file = sketch or twin
    if not file:
        raise InputError(
            f"expected a sketch (folder {SKETCH}) or labels of the same name for a conditioned "
            "network, found none; give them, or choose network.conditioned = false"
        )
    array = (files.read(sketch) if sketch else files.labels(file)).array
    if array.shape != image.shape:
        raise InputError(f"{file}: expected the shape {image.shape}, found {array.shape}")
    if not sketch:
        return each_channel(sketch_of_labels, image.like(array)), "labels"
    return each_channel(sketch_units, image.like(array)), "sketch"


def draw_crops(
    items: Sequence[SketchedImage], settings: Settings, seed: int, step: int
) -> dict[str, Floats]:
    """Return ``image``, ``noise``, ``sketch``, ``position`` (N, C, Z, Y, X), ``place`` (N,)."""
    arrays = defaultdict(list)
    crops = settings.crops
    noise_channel = settings.network.noise_channel
    shape, augment, count = crops.shape, crops.augment, crops.batch
    for number, rng in enumerate(streams(seed, step, count)):
        item = chosen(rng, items)
        channels, *whole = item.image.shape
        box = draw_box(rng, whole, shape)
        turn = turn_of(rng, noise=settings.camera is None)
        image = turned(cut(item.image, box), turn)
        conditions = [] if item.sketch is None else [turned(cut(item.sketch, box), turn)]
        noise = rng.standard_normal((channels, *shape), np.float32)
        place = np.float32((number + rng.random()) / count)
        hidden = bool(conditions) and rng.random() < crops.dropped
        conditions += [turned(channel.read(box), turn)[None] for channel in item.position]
        image, both = augmented(rng, image, np.concatenate([image[:0], *conditions]), augment)
        sketch = both[:channels].copy()
        position = both[channels:]
        if hidden:
            sketch.fill(HIDDEN)
        drawn = {"image": image, "sketch": sketch, "noise": noise, "place": np.array(place)}
        drawn["position"] = position
        if noise_channel:
            drawn["channel"] = noise_of(rng, (1, *shape), noise_channel)
        for name, array in drawn.items():
            if array.size:  # an unconditioned network has no sketch and no position
                arrays[name].append(array)
    return {name: np.stack(parts) for name, parts in arrays.items()}
