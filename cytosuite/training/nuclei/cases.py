"""Training cases in memory: 9 bytes per simulated voxel and 5 per real one, and its targets."""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from cytosuite.contract.metadata import channel_of
from cytosuite.contract.tasks import LABELS
from cytosuite.errors import InputError
from cytosuite.files import Entries, IntTriple, frozen, read_json
from cytosuite.folders.index import RECORD, Item
from cytosuite.folders.masks import Source
from cytosuite.folders.part import read_grey
from cytosuite.formats import read
from cytosuite.networks.grid import PIXELS
from cytosuite.networks.normalise import QUIETEST, background_of, normalise
from cytosuite.training.augment import joined_labels
from cytosuite.training.images import padded
from cytosuite.training.nuclei.camera import USUAL, StrayRanges, own_light, tails
from cytosuite.training.settings import BESIDE, FileSettings
from cytosuite.volume import Volume, listed_channels
from cytosuite.volume.arrays import (
    Array,
    Bytes,
    Doubles,
    Floats,
    Halves,
    Integers,
    Lengths,
    Longs,
    Shape,
    Shorts,
    Sizes,
)
from cytosuite.volume.objects import borders
from cytosuite.volume.pieces import deep

VECTOR_UNIT, SHARE_UNIT = 127, 255  # whole numbers that stand for 1
_SOLID = 0.3  # level from which a voxel counts for the diameter
_HINT = {
    "nucleus": "simulate it with labels.style=visible and output.steps=true",
    "membrane": "simulate it with output.channel=membrane and output.steps=true",
}

Channel = Literal["nucleus", "membrane", "cytoplasm"]


class Files(NamedTuple):
    """Files of a case; nuclei have no level, the level of cells is made from their labels."""

    name: str
    image: Path
    labels: Source
    level: Path | None
    simulated: bool = False
    channel: Channel = "nucleus"
    group: str = ""  # of HDF5 files


class Targets(NamedTuple):
    """Arrays that a network learns from labels (Z, Y, X), beyond the labels themselves."""

    vectors: Floats  # (3 or 0, Z, Y, X) from -1 to 1: along z, y, x, turned with the image
    shares: Floats  # (S, Z, Y, X) from 0 to 1


MakeTargets = Callable[[Shorts], Targets]


def labels_alone(labels: Shorts) -> Targets:
    """Return no targets: the network makes its own of the labels in a patch."""
    none = np.empty((0, *labels.shape), np.float32)
    return Targets(none, none)


@frozen
class TrainingCase:
    """One volume with its targets, padded to at least the size of a patch; N labels."""

    name: str
    path: Path  # of the image, or of the light
    unpadded: Shape  # voxels z y x, without the extension to a patch
    image: Halves  # (Z, Y, X) light, 1 = a median nucleus; if real, normalised
    further: Halves  # (C - 1, Z, Y, X) further channels, normalised
    labels: Shorts  # (Z, Y, X)
    level: Bytes  # (Z, Y, X), in units of 1/255
    make_targets: MakeTargets
    # Patches of planes are scaled and make their own targets: here they are empty.
    vectors: NDArray[np.int8]  # (3 or 0, Z, Y, X), in units of 1/127
    shares: Bytes  # (S, Z, Y, X), in units of 1/255
    tails: Halves  # (2, Z, Y, X) light from out of focus, near and far; if real, one 0
    # Mean light at each label, weighted by its level (at membranes by its difference to 1); the
    # first is the background's, 0.
    own: Floats  # (N + 1,) of the label itself
    rest: Floats  # (N + 1,) of all others
    wide: Floats  # (2, N + 1) of the tails
    centres: Longs  # (N, 3) voxel near the middle of each label
    simulated: bool  # a camera must still be applied
    spacing: Lengths  # µm per voxel, z y x
    has_size: bool  # False where 1 µm is assumed; planes are counted in pixels
    diameters_um: Doubles  # (N,) of a circle as large as the label's largest slice
    coefficients: Floats | None = None  # (N + 1, C) µm, shapes by label, where they are learned

    @property
    def shape(self) -> IntTriple:
        """Size in voxels."""
        z, y, x = self.image.shape
        return z, y, x

    @property
    def is_plane(self) -> bool:
        """Whether the image is a plane, with lengths in pixels."""
        return len(self.image) == 1


def find_cases(
    folder: Path, channel: Channel = "nucleus", files: FileSettings = BESIDE, *, light: bool = True
) -> list[Files]:
    """Return the annotated volumes in a dataset, a folder or a list.

    With `light` a simulation must keep its light; without, its images serve where it has none.
    """
    items = files.index(folder, "segment").labelled(folder)
    cases = [_files_of(item, channel, files.group, light=light) for item in items]
    if len({case.level is not None for case in cases if not case.simulated}) > 1:
        first = next(case for case in cases if not case.level)
        raise InputError(
            f"{first.image}: expected its visible-level, found none; give a level for each image, "
            "or for none"
        )
    return cases


def check_recipe(parameters: Entries, channel: Channel) -> None:
    """Refuse (InputError) a simulation that keeps nothing to learn from, with the remedy."""
    if channel == "cytoplasm":
        return
    expected = [
        ("output", "channel", channel),
        ("output", "steps", True),
        *[("labels", "style", "visible")] * (channel == "nucleus"),
    ]
    missing = [
        f"{part}.{name}={str(value).lower()}"
        for part, name, value in expected
        if parameters.get(part, {}).get(name) != value
    ]
    if missing:
        raise InputError(
            f"these simulated data keep no light and level of the {channel} to learn from; add "
            f'SET="{" ".join(missing)}", or take a recipe for training like '
            "spheroid/spheroid_training"
        )


def _files_of(item: Item, channel: Channel, group: str, *, light: bool) -> Files:
    """Return the files of a simulation, or of an image to train on as it is; or InputError."""
    beside = item.extras
    labels = item.files[LABELS.slug]
    lights = [beside[name] for name in sorted(beside) if re.fullmatch("step-.+-light", name)]
    level = beside.get("visible-level") if channel == "nucleus" else None
    whole = bool(lights) and (level is not None or channel != "nucleus")
    record = beside.get(RECORD)
    # Whole cells are learned as they are, simulated or not. Another algorithm made the image of a
    # pipeline: no light of the simulation belongs to it.
    real = channel == "cytoplasm" or (record and read_json(record).get("through"))
    if real or not (whole or (light and record) or (lights and not record)):
        return Files(item.name, item.image, labels, level, channel=channel, group=group)
    hint = _HINT[channel]
    if not lights:
        raise InputError(f"{item.image}: expected step-3-light/{item.name}.tif; {hint}")
    # Light of membranes has the labels of nuclei as extras.
    shown = "membrane" if "nucleus-labels" in beside else "nucleus"
    if shown != channel:
        raise InputError(
            f"{lights[0]}: expected light of the {channel}, found {shown}; set channel = "
            f'"{shown}" in the settings of the training, or {hint}'
        )
    if not whole:
        raise InputError(f"{lights[0]}: expected its visible-level, found none; {hint}")
    return Files(item.name, lights[0], labels, level, simulated=True, channel=channel)


def load_case(
    files: Files,
    patch: Sizes,
    make_targets: MakeTargets = labels_alone,
    stray: StrayRanges = USUAL,
    quietest: float = QUIETEST,
    channels: int = 1,
    spacing: object = None,
) -> TrainingCase:
    """Return one volume with its targets; InputError if a file is broken or the shapes differ.

    The voxel size of the card, `spacing` (a tuple, µm), is for a file of as many axes without one.
    """
    volume = read_grey(files.image, files.group)
    lengths = spacing if isinstance(spacing, tuple) else ()
    if len(lengths) == len(volume.spacing) and volume.spacing_is_assumed and patch[0] > 1:
        volume = replace(volume, spacing=lengths)
    others = volume.channels
    if len(others) != channels:
        first = volume.axes[0]
        as_many = volume.shape[0] == channels
        remedy = (
            f"save those that were read as {first} as axis C" if as_many else "set network.channels"
        )
        raise InputError(
            f"{files.image}: expected channels: {channels}, found {len(others)}; {remedy}"
        )
    if not all(np.isfinite(one.array.astype(np.float32)).all() for one in others):
        raise InputError(f"{files.image}: expected finite numbers, found NaN or infinity")
    shown = [channel_of(name) for name in listed_channels(volume.metadata)[:channels]]
    # The channel of the settings is the main one, else the first.
    volume = others.pop(shown.index(files.channel) if files.channel in shown else 0)
    image, labels, level = _arrays(files, volume, quietest, plane=patch[0] == 1)
    image, labels, level = (padded(a, patch) for a in (image, labels, level))
    further = [padded(deep(_normalised(other.array, quietest)), patch) for other in others]
    labels = np.where(level > 0, labels, 0).astype(np.uint16)
    vectors, shares = _kept(make_targets, labels)
    voxel = PIXELS if patch[0] == 1 else volume.spacing
    diameters = _diameters(labels, level) * voxel[-1]
    bright = 1 - level if files.channel == "membrane" else level
    means = _means([image], labels, bright)[0].astype(np.float32)
    # The mean of 1 is 0 for a label without any weight.
    any_weight, *middles = _means([1, *np.indices(image.shape, sparse=True)], labels, bright)
    spread = np.zeros((2, *(image.shape if files.simulated else (1, 1, 1))), np.float32)
    if files.simulated:
        # The unit is the median nucleus as it is seen, after the blur.
        unit = np.float32(np.median(means[means > 0])) if (means > 0).any() else np.float32(1)
        image = image / unit
        means = means / unit
        if len(diameters):
            spread = tails(image, voxel, float(np.median(diameters)), stray, files.name)
    light_of_label = own_light(image, labels, level, means)
    return TrainingCase(
        name=files.name,
        path=files.image,
        unpadded=(1, *volume.shape)[-3:],
        image=image.astype(np.float16),
        further=np.array(further, np.float16).reshape(-1, *image.shape),
        labels=labels,
        level=np.rint(level * np.float32(SHARE_UNIT)).astype(np.uint8),
        make_targets=make_targets,
        vectors=vectors,
        shares=shares,
        tails=spread.astype(np.float16),
        own=light_of_label,
        rest=means - light_of_label,
        wide=_means(spread, labels, bright).astype(np.float32),
        centres=np.rint(np.stack(middles, 1)[any_weight > 0]).astype(np.int64),
        simulated=files.simulated,
        spacing=voxel,
        has_size=voxel is PIXELS or not volume.spacing_is_assumed,
        diameters_um=diameters,
    )


def corrupted(case: TrainingCase, share: float) -> TrainingCase:
    """Return a case with targets of joined labels, random by its name."""
    labels = joined_labels(np.random.default_rng(crc32(case.name.encode())), case.labels, share)
    vectors, shares = _kept(case.make_targets, labels)
    return replace(case, labels=labels, vectors=vectors, shares=shares)


def _kept(make: MakeTargets, labels: Shorts) -> tuple[NDArray[np.int8], Bytes]:
    """Return vectors and shares of labels as whole numbers; empty ones of a plane."""
    vectors, shares = make(labels[:0] if len(labels) == 1 else labels)
    return np.rint(vectors * VECTOR_UNIT).astype(np.int8), np.rint(shares * SHARE_UNIT).astype(
        np.uint8
    )


def _arrays(
    files: Files, volume: Volume, quietest: float, *, plane: bool
) -> tuple[Floats, Array, Array]:
    """Return the light (or normalised image) of a case, labels and level."""
    image = volume.array.astype(np.float32)
    labels = FileSettings(group=files.group).labels(files.labels).array
    level = read(files.level).array if files.level else labels > 0
    if files.channel == "membrane":
        level = _level_within_cells(labels)
    axes, remedy = "(z, y, x)", "; for planes give --settings planes to cellpose3d, or train u2net"
    if plane:
        axes = "(y, x), as patches.shape is of planes,"
        remedy = "; for volumes give --settings embryo to cellpose3d, or train harmonicnet"
    if image.ndim != 3 - plane or not image.shape == labels.shape == level.shape:
        raise InputError(
            f"{files.image}: image, labels and level must be {axes} and of one shape, found "
            f"{image.shape}, {labels.shape}, {level.shape}{remedy * (image.ndim == 2 + plane)}"
        )
    if not (level.min(initial=0) >= 0 and level.max(initial=0) <= 1):
        raise InputError(f"{files.level}: a level must be a share from 0 to 1")
    if (most := labels.max(initial=0)) >= 2**16:
        raise InputError(
            f"{files.labels}: expected labels up to 65535, found {most}; number the objects anew"
        )
    if not files.simulated:
        image = _normalised(image, quietest)
    return deep(image), deep(labels), deep(level)


def _normalised(image: Array, quietest: float) -> Floats:
    return normalise(image, background_of(image, quietest))


def _level_within_cells(labels: Integers) -> Floats:
    """Return 1 within cells, lower towards membranes: the blurred share without another label."""
    inner = (labels > 0) & ~borders(labels)
    level = ndimage.gaussian_filter(inner.astype(np.float32), 1.0, mode="nearest")
    return np.asarray(np.where(labels > 0, np.minimum(level, 1), 0), np.float32)


def _means(fields: Iterable[Array | int], labels: Shorts, weight: Array) -> Doubles:
    """Return the weighted means (F, N + 1) of fields over labels, 0 where nothing weighs."""
    inside = labels > 0
    names = labels[inside]
    shares = weight[inside].astype(np.float64)
    total = np.bincount(names, shares, int(names.max(initial=0)) + 1)
    values = [shares * np.broadcast_to(field, labels.shape)[inside] for field in fields]
    total_or_1 = np.where(total > 0, total, 1)
    return np.stack([np.bincount(names, v, total.size) / total_or_1 for v in values])


def _diameters(labels: Shorts, level: Array) -> Doubles:
    """Return the lateral diameter of each label in voxels, where its level is high enough."""
    count = int(labels.max(initial=0)) + 1
    areas = np.zeros(count, np.int64)
    for plane, share in zip(labels, level, strict=True):
        np.maximum(areas, np.bincount(plane[share > _SOLID], minlength=count), out=areas)
    return 2 * np.sqrt(areas[1:][areas[1:] > 0] / np.pi)
