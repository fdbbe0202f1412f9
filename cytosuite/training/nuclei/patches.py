"""Patches for training: a random place, camera and symmetry for each, by its number alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import ndimage

from cytosuite.contract.manifest import Count, Described, NotNegative, Share
from cytosuite.networks.grid import to_working
from cytosuite.networks.normalise import background_of, normalise
from cytosuite.networks.tiling import Sides
from cytosuite.training.augment import Augmentations, augmented
from cytosuite.training.images import Turn, chosen, streams, turned
from cytosuite.training.nuclei.camera import (
    CameraRanges,
    DrawnCamera,
    StrayRanges,
    draw_camera,
    draw_weights,
    expose,
    visible,
)
from cytosuite.training.nuclei.cases import SHARE_UNIT, VECTOR_UNIT, Targets, TrainingCase
from cytosuite.volume.arrays import Array, Bools, Box, Image, Integers, Interval, Rng, Shorts, Sizes
from cytosuite.volume.objects import box_at

T = TypeVar("T", bound=np.integer[Any])


_GLOW = (2, 9)  # values of a glow along y and x, the last excluded
_SOFT = 1.0  # pixels, standard deviation of the edge of a nucleus that is brighter or darker
_SLICES = 4  # slices of a volume that stand for its background


class AugmentRanges(Augmentations):
    """Ranges of the changes to a normalised image, further ones as published."""

    brightness: Interval = (0.8, 1.25)  # factor, uniform
    noise: NotNegative = 0.06  # standard deviation of Gaussian noise added
    grain: NotNegative = 0  # largest standard deviation of further noise
    grain_width: NotNegative = 0  # largest standard deviation of a blur of the noise, pixels
    blur: NotNegative = 0  # largest standard deviation of a blur, pixels
    glow: NotNegative = 0  # largest height of a smooth glow added
    # standard deviation of the ln of a factor on each nucleus of a plane
    spread: NotNegative = 0
    # share of objects that are joined with a neighbour, once
    corrupt_prob: Share = 0


class Patches(Described):
    """Ranges from which patches are drawn."""

    shape: Sides = (32, 64, 64)  # voxels along z, y, x
    # pixels to which the median nucleus of a plane is scaled; 0: as it is
    diameter: NotNegative = 0
    sizes: Interval = (1, 1)  # factor on that, log-uniform
    stretch: float = Field(1, ge=1)  # largest factor between y and x, log-uniform
    batch: Count = 2  # patches per step
    near: Share = 0.85  # share that lies near a nucleus
    cut: bool = False  # faces of a patch cut nuclei, as the border of an image does
    camera: CameraRanges = CameraRanges()
    stray: StrayRanges = StrayRanges()
    augment: AugmentRanges = AugmentRanges()


class DrawnPatch(NamedTuple):
    """A part of a case, turned, as a network sees it."""

    case: TrainingCase
    image: Image  # (C, Z, Y, X), normalised
    target: Image  # (C, Z, Y, X): level, vectors, shares, labels; 0 outside of visible objects
    turn: Turn


def draw_batch(
    cases: Sequence[TrainingCase], settings: Patches, seed: int, step: int
) -> dict[str, Image]:
    """Return normalised images and targets (N, C, Z, Y, X) of a step."""
    drawn = draw_patches(cases, settings, seed, step)
    return {
        "image": np.stack([patch.image for patch in drawn]),
        "target": np.stack([patch.target for patch in drawn]),
    }


def draw_patches(
    cases: Sequence[TrainingCase], settings: Patches, seed: int, step: int
) -> list[DrawnPatch]:
    """Return the patches of a step."""
    return [draw_patch(rng, cases, settings) for rng in streams(seed, step, settings.batch)]


def draw_patch(rng: Rng, cases: Sequence[TrainingCase], settings: Patches) -> DrawnPatch:
    """Return one patch."""
    case = chosen(rng, cases)
    image, target = (_plane if case.is_plane else _volume)(rng, case, settings)
    vectors = len(case.vectors)
    turn = draw_turn(rng)
    image = np.stack([alter(rng, channel, settings.augment) for channel in turned(image, turn)])
    target = turn_target(target, turn, vectors)
    image, target = augmented(rng, image, target, settings.augment, 1 if vectors else None)
    return DrawnPatch(case, image, target, turn)


def _volume(rng: Rng, case: TrainingCase, settings: Patches) -> tuple[Image, Image]:
    """Return image and target (C, Z, Y, X) of a part of a volume."""
    box = _place(rng, case, settings, settings.shape)
    level = case.level[box]
    if case.simulated:
        camera, weights, seen = _view(rng, case, settings)
        level = level * seen[case.labels[box]]
        whole = expose(
            rng, _light(case, np.sort(rng.integers(0, case.shape[0], _SLICES)), weights), camera
        )
        image = expose(rng, _light(case, box, weights), camera)
        image = normalise(image, background_of(whole))[None]
    else:
        image = np.stack(_channels(case, box))
    labels = case.labels[box]
    where = (slice(None), *box)
    if settings.cut:
        targets = case.make_targets(labels)
    else:
        targets = Targets(
            np.divide(case.vectors[where], VECTOR_UNIT, dtype=np.float32),
            np.divide(case.shares[where], SHARE_UNIT, dtype=np.float32),
        )
    target = _stacked(level / np.float32(SHARE_UNIT), targets, labels)
    target[1:] *= level > 0
    return image, target


def _stacked(level: Array, targets: Targets, labels: Shorts) -> Image:
    """Return a target (C, Z, Y, X) float32, in which labels up to 65535 are exact."""
    return np.concatenate([level[None], *targets, labels[None]], dtype=np.float32)


def _plane(rng: Rng, case: TrainingCase, settings: Patches) -> tuple[Image, Image]:
    """Return image and target (C, 1, Y, X) of a part of a plane, scaled."""
    zoom = zoom_of(case, settings) * np.exp(rng.uniform(*np.log(settings.sizes)))
    stretch = rng.uniform(-1, 1) * np.log(settings.stretch) / 2
    factors = zoom * np.exp([stretch, -stretch])
    sides = np.minimum(np.ceil(settings.shape[1:] / factors), case.shape[1:]).astype(int)
    box = _place(rng, case, settings, (1, *sides))
    image = np.stack([resized(channel, settings.shape) for channel in _channels(case, box)])
    labels = resized_labels(case.labels[box], settings.shape)
    if settings.augment.spread:
        factors = np.exp(rng.normal(0, settings.augment.spread, int(labels.max()) + 1))
        factors[0] = 1
        factor_image = factors.astype(np.float32)[labels]
        image[0] *= ndimage.gaussian_filter(factor_image, (0, _SOFT, _SOFT), truncate=3.0)
    return image, _stacked(labels > 0, case.make_targets(labels), labels)


def _channels(case: TrainingCase, box: Box) -> list[Image]:
    """Return the channels (Z, Y, X) of a part of a case."""
    return [channel[box].astype(np.float32) for channel in (case.image, *case.further)]


def zoom_of(case: TrainingCase, settings: Patches) -> float:
    """Return the factor that gives the median nucleus of a plane the diameter of the settings."""
    if not (settings.diameter and len(case.diameters_um)):
        return 1.0
    return settings.diameter / float(np.median(case.diameters_um))


def resized(image: Image, shape: Sizes) -> Image:
    """Return an image on a grid of another shape over the same box, linear."""
    return to_working(image, [new / old for new, old in zip(shape, image.shape, strict=True)])


def resized_labels(labels: NDArray[T], shape: Sizes) -> NDArray[T]:
    """Return labels on a grid of another shape over the same box, by nearest voxels."""
    places = [
        ((np.arange(new) + 0.5) * old / new).astype(int)
        for new, old in zip(shape, labels.shape, strict=True)
    ]
    return labels[np.ix_(*places)]


def draw_image(rng: Rng, case: TrainingCase, settings: Patches) -> tuple[Image, Shorts]:
    """Return the image of a whole case, of real ones (C, Z, Y, X), and the labels visible in it."""
    if case.is_plane or not case.simulated:
        inside = tuple(map(slice, case.unpadded if case.is_plane else case.shape))
        return np.sinh(2 * np.stack(_channels(case, inside))), case.labels[inside]
    camera, weights, seen = _view(rng, case, settings)
    everything = (slice(None), slice(None), slice(None))
    labels = np.where(seen[case.labels], case.labels, 0).astype(np.uint16)
    return expose(rng, _light(case, everything, weights), camera), labels


def _view(rng: Rng, case: TrainingCase, settings: Patches) -> tuple[DrawnCamera, Image, Bools]:
    """Return a camera, the weights of stray light, and a mask of the labels visible with both."""
    camera = draw_camera(rng, settings.camera)
    weights = draw_weights(rng, settings.stray)
    rest = case.rest + weights @ case.wide
    return camera, weights, visible(case.own, rest, camera, settings.camera)


def _light(case: TrainingCase, where: Box | Integers, weights: Image) -> Image:
    light = case.image[where].astype(np.float32)
    for weight, tail in zip(weights, case.tails, strict=True):
        if weight > 0:
            light += weight * tail[where]
    return light


def _place(rng: Rng, case: TrainingCase, settings: Patches, shape: Sizes) -> Box:
    """Return the voxels of a patch: around some place near a nucleus, or anywhere."""
    size = np.array(shape, np.int64)
    room = np.array(case.shape, np.int64) - size
    near = rng.random() < settings.near
    corner = rng.integers(0, room + 1)
    shift = rng.integers(-size // 3, size // 3 + 1)
    if near and len(case.centres):
        centre = case.centres[int(rng.integers(len(case.centres)))]
        corner = np.clip(centre - size // 2 + shift, 0, room)
    return box_at(corner, shape)


def draw_turn(rng: Rng) -> Turn:
    """Return one of the 16 symmetries, each as likely."""
    z, y, x, swap = (bool(bit) for bit in rng.integers(0, 2, 4))
    return Turn((z, y, x), swap)


def turn_target(target: Image, turn: Turn, vectors: int) -> Image:
    """Return a turned copy of a target (C, Z, Y, X), with its vectors from channel 1 on."""
    copy = turned(target, turn).copy()
    if vectors:
        copy[1:4] *= np.where(turn.flips, -1, 1).astype(np.float32)[:, None, None, None]
        if turn.swap:
            copy[[2, 3]] = copy[[3, 2]]
    return copy


def alter(rng: Rng, image: Image, ranges: AugmentRanges) -> Image:
    """Return a normalised image, brighter or darker and noisier."""
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    factor = np.float32(rng.uniform(*ranges.brightness))
    if ranges.glow:
        coarse = rng.standard_normal((1, *rng.integers(*_GLOW, 2)), dtype=np.float32)
        image = image + resized(coarse * np.float32(rng.uniform(0, ranges.glow)), image.shape)
    if ranges.blur:
        sigma = rng.uniform(0, ranges.blur)
        image = ndimage.gaussian_filter(image, (0, sigma, sigma), truncate=3.0)
    height = ranges.noise + (rng.uniform(0, ranges.grain) if ranges.grain else 0)
    if ranges.grain_width:  # as of a plane that is enlarged
        sigma = rng.uniform(0, ranges.grain_width)
        noise = ndimage.gaussian_filter(noise, (0, sigma, sigma))
        noise /= noise.std()
    return image * factor + noise * np.float32(height)
