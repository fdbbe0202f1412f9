"""Views and fused images: their files, decoded once into mapped arrays, and crops of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from cytosuite.algorithms.view_fusion.intensity import to_network, units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments
from cytosuite.contract.interface import is_finite
from cytosuite.contract.manifest import Count, Described, NotNegative, Positive, Share
from cytosuite.contract.metadata import described, study_of
from cytosuite.contract.tasks import TASKS, VIEW
from cytosuite.errors import InputError, at
from cytosuite.files import Scalar, Texts, frozen
from cytosuite.folders.index import Item
from cytosuite.networks.tiling import Sides
from cytosuite.segmentation.specimen import CoarseMap, maps_of
from cytosuite.training.images import chosen, find_images, mapped, streams
from cytosuite.training.parts import Cases
from cytosuite.training.settings import FileSettings, TrainingSettings
from cytosuite.volume import Volume
from cytosuite.volume.arrays import Array, Box, Floats, Halves, Lengths, Rng, Shape, Shorts, Sizes
from cytosuite.volume.objects import box_at

FUSED = TASKS["fuse"].outputs[0].slug
MESH = (2, 4, 4)  # voxels z y x between the places of the foreground that are kept


class ViewCrops(Described):
    """Crops of a step, and of a validation."""

    shape: Sides = (32, 96, 96)  # voxels along z, y, x
    batch: Count = 2  # crops per step
    # share around voxels at or above the mean of the fused image
    aimed: Share = 0.75
    # axes along which crops are mirrored; none along which the network must know the direction of
    # the light: no channel tells it
    mirror: tuple[Literal["z", "y", "x"], ...] = ("y", "x")
    # most voxels, z y x, of the middle of a held-out image that a validation predicts; percentiles
    # and scores are of this part
    shown: Sides = (64, 256, 256)


class FusionLoss(Described):
    """Parts of the loss and their weights."""

    # similarity lost in the answer; n_ssim: relative to that lost in the view
    kind: Literal["ssim", "n_ssim"] = "ssim"
    # weight of the lost similarity; published: 100 (ssim), 1 (n_ssim)
    similarity: NotNegative = 100
    difference: NotNegative = 1  # weight of the mean absolute difference
    # n_ssim: one ratio per crop, as published, or of sums over the batch
    over: Literal["crop", "batch"] = "batch"
    floor: Positive = 0.05  # n_ssim: least similarity lost in a view that is divided by


class Settings(TrainingSettings):
    """All settings of a training."""

    network: RestorerArguments = RestorerArguments()
    names: Texts = ("*",)  # of views, without suffix, like image_*_membrane_angle
    crops: ViewCrops = ViewCrops()
    loss: FusionLoss = FusionLoss()


@frozen
class ViewPair:
    """A view with its fused image; 4 bytes per voxel on disk, few in memory."""

    path: Path  # the view's file
    view: Halves  # in units of its percentiles, at least as large as a crop; mapped
    fused: Halves  # likewise
    maps: list[CoarseMap]  # further input channels, of the whole view
    places: Shorts  # voxels of the foreground: at or above the mean of `fused`
    shape: Shape  # voxels z y x without the extension to a crop
    spacing: Lengths | None  # µm per voxel z y x; None where the file gives none
    channel: Scalar | None  # of the metadata, else of the name
    study: Scalar | None  # likewise, or of the folder, like ``Study1``
    read: Callable[[], tuple[Volume, Volume]]  # the view and the fused image
    warnings: Texts = ()  # of the view's file

    def channels(self, box: Box) -> Floats:
        """Return a part of the network's input, (C, Z, Y, X): the view, then its maps."""
        return np.stack([self.view[box].astype(np.float32), *(m.read(box) for m in self.maps)])


ViewCases = Cases[ViewPair]  # by role


def find_pairs(folder: Path, _: str, settings: Settings) -> list[Item]:
    """Return the views in a folder that have a fused image; InputError of none."""
    fused = [
        item
        for item in find_images(folder, settings.names, settings.files, "fuse")
        if item.path(FUSED)
    ]
    if not fused:
        raise InputError(
            f"{folder}: expected views with fused images: <name>_angle.tif and <name>_fused.tif "
            f"beside, folders {VIEW} and {FUSED}, or a list *_train.csv; found none of these"
        )
    return fused


def load_pair(item: Item, _: str, settings: Settings) -> ViewPair:
    """Return a view with its fused image; the card's voxel size is for a file without one."""
    files = settings.files
    crop = settings.crops.shape
    spacing = settings.card.describes.get("spacing")
    fused = item.path(FUSED)
    assert fused is not None  # see find_pairs

    def view() -> Volume:
        """Return the view."""
        whole = _volume(item.image, files)
        if isinstance(spacing, tuple) and whole.spacing_is_assumed:
            return replace(whole, spacing=spacing)
        return whole

    target = _volume(fused, files)  # one of the two is in memory at a time
    shape = target.shape
    goal = _in_units(target.array, crop)
    del target
    volume = view()
    if volume.shape != shape:
        raise InputError(
            f"expected a fused image of the view's shape {volume.shape}, found {shape} in {fused}"
        )
    image = _in_units(volume.array, crop)
    maps = maps_of(volume.array, volume.spacing, settings.network.inputs)
    return ViewPair(
        path=item.image,
        view=image,
        fused=goal,
        maps=[part._replace(shape=image.shape) for part in maps],  # of the border, too
        places=_foreground(goal),
        shape=shape,
        spacing=None if volume.spacing_is_assumed else volume.spacing,
        channel=volume.metadata.get("channel"),
        study=volume.metadata.get("study", study_of(f"{item.image.parent.name} {item.image.stem}")),
        read=lambda: (view(), _volume(fused, files)),
        warnings=tuple(volume.origin.warnings),
    )


def _volume(path: Path, files: FileSettings) -> Volume:
    """Return a volume of finite grey values with the metadata of its file and name."""
    with at(path):
        volume = described(files.read(path, axes="ZYX"), {}, path.stem)
        if volume.axes != "ZYX":
            raise InputError(f"expected a volume with the axes ZYX, found {volume.axes}")
        if not is_finite(volume.array):
            raise InputError("expected finite grey values, found NaN or infinity")
    return volume


def _in_units(array: Array, crop: Sizes) -> Halves:
    """Return an image in units of its percentiles, extended to a crop, converted plane by plane."""
    units = units_of(array)
    shape = tuple(max(n, least) for n, least in zip(array.shape, crop, strict=True))
    image = mapped(np.broadcast_to(np.float16(0), shape))
    border = [(0, most - n) for n, most in zip(array.shape[1:], shape[1:], strict=True)]
    for number in range(len(image)):
        image[number] = np.pad(
            to_network(array[min(number, len(array) - 1)], units), border, mode="edge"
        )
    return image


def _foreground(fused: Halves) -> Shorts:
    """Return the places z y x on a grid of `MESH` at or above the mean of an image."""
    mean = np.mean([plane.mean(dtype=np.float64) for plane in fused])
    coarse = fused[tuple(slice(None, None, step) for step in MESH)]
    return (np.argwhere(coarse >= mean) * MESH).astype(np.uint16)


def draw_crops(cases: ViewCases, settings: Settings, step: int) -> dict[str, Floats]:
    """Return ``image`` (N, C, Z, Y, X), ``target`` (N, 1, Z, Y, X) from seed and step alone."""
    drawn: dict[str, list[Floats]] = {"image": [], "target": []}
    crops = settings.crops
    for rng in streams(settings.schedule.seed, step, crops.batch):
        item = chosen(rng, cases["pairs"])
        box = draw_box(rng, item, crops)
        back = [axis for axis in crops.mirror if rng.random() < 0.5]
        sides = tuple(slice(None, None, -1 if axis in back else 1) for axis in "zyx")
        drawn["image"].append(item.channels(box)[:, *sides])
        drawn["target"].append(item.fused[box].astype(np.float32)[None, *sides])
    return {name: np.stack(parts) for name, parts in drawn.items()}


def draw_box(rng: Rng, item: ViewPair, crops: ViewCrops) -> Box:
    """Return the voxels of a crop within the image: around a foreground voxel, or anywhere."""
    size = np.array(crops.shape)
    sides = np.array(item.fused.shape)
    aimed = rng.random() < crops.aimed and len(item.places) > 0
    corner = rng.integers(0, sides - size + 1)
    if aimed:
        place = item.places[int(rng.integers(len(item.places)))].astype(np.int64)
        corner = np.clip(place + rng.integers(0, MESH) - size // 2, 0, sides - size)
    return box_at(corner, size.tolist())
