"""Augmentations of crops, with the keys and the order of the published programs' JSON."""

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from cytosuite.contract.manifest import Described, NotNegative, Share, Whole
from cytosuite.networks.tiling import Sides
from cytosuite.volume.arrays import Array, Bools, Image, Rng, Unsigned

Labels = Unsigned
Axes = Annotated[tuple[Literal[0, 1, 2], ...], Field(min_length=1)]
Factor = Annotated[int, Field(ge=1, le=16)]

GEOMETRY = ("anisotropy", "stretch", "shrink")
FLOW_AXES = 3  # channels of a flow, z, y, x


class Augmentations(Described):
    """Random changes of crops; windows are voxels z, y, x, axes 0 to 2 are z, y, x."""

    prob: Share = 0.5  # share of crops that each change is made to
    # changes to make, always in this order
    queue: tuple[
        Literal[
            "anisotropy", "stretch", "shrink", "scale", "noise", "shuffle", "inpaint", "decline"
        ],
        ...,
    ] = ()
    scale_min: NotNegative = 0.6  # scale: least factor of the intensity
    scale_max: NotNegative = 1.2  # and largest
    noise_mean: float = 0  # noise: its mean, units of the network
    noise_std: NotNegative = 0.1  # and standard deviation
    shuffle_size: Sides = (25, 25, 25)  # shuffle: window of mixed planes
    shuffle_count: Whole = 3  # windows
    inpaint_size: Sides = (15, 15, 15)  # inpaint: window of a random grey value
    inpaint_count: Whole = 3  # windows
    decline_axes: Axes = (0, 1, 2)  # decline: the intensity rises from 0 along
    stretch_factor: Factor = 2  # stretch: voxels are repeated
    stretch_axes: Axes = (0, 1, 2)
    shrink_factor: Factor = 2  # shrink: voxels are left out, mirrored beyond
    shrink_axes: Axes = (0, 1, 2)
    anisotropy_factor: Factor = 2  # anisotropy: left out, others repeated
    anisotropy_axes: Axes = (0, 1, 2)
    permute_dim: bool = False  # two axes of equal length are exchanged


def augmented(
    rng: Rng,
    image: Image,
    truth: Image,
    settings: Augmentations,
    flow: int | None = None,
) -> tuple[Image, Image]:
    """Return a changed image (..., Z, Y, X), and its truth, maybe empty, with the same geometry.

    From channel `flow` on the truth (C, Z, Y, X) holds vectors along z, y, x that are relative to
    the size of their objects: only mirrors and exchanges change them.
    """
    if settings.permute_dim:
        first, second = rng.choice(3, 2, replace=False) - 3
        if image.shape[first] == image.shape[second]:
            image = image.swapaxes(first, second)
            truth = truth.swapaxes(first, second)
            if flow is not None:
                channels = [flow + FLOW_AXES + int(axis) for axis in (first, second)]
                truth = truth.copy()
                truth[channels] = truth[channels[::-1]]
    chosen = [name for name in settings.queue if rng.random() < settings.prob]
    for name in GEOMETRY:
        if name in chosen:
            axis = int(rng.choice(getattr(settings, f"{name}_axes"))) - 3
            index, mirrored = _places(name, image.shape[axis], getattr(settings, f"{name}_factor"))
            image = image.take(index, axis)
            truth = truth.take(index, axis)
            if flow is not None:
                signs = np.where(mirrored, -1, 1).astype(np.float32)
                truth[flow + FLOW_AXES + axis] *= _along(signs, axis)
    if chosen:
        image = _repainted(rng, image.copy(), settings, chosen)
    return image, truth


def joined_labels(rng: Rng, labels: Labels, share: float) -> Labels:
    """Return labels with a share of objects joined to a neighbour, as in bad annotation."""
    touching = []
    for axis in range(labels.ndim):
        sides = labels.swapaxes(axis, 0)
        low = sides[:-1].ravel()
        high = sides[1:].ravel()
        meet = (low != high) & (low > 0) & (high > 0)
        touching += [(low[meet], high[meet]), (high[meet], low[meet])]
    pairs = np.unique(np.concatenate(touching, axis=1), axis=1)
    number = np.arange(int(labels.max(initial=0)) + 1, dtype=labels.dtype)
    for label in np.unique(pairs[0]):
        if rng.random() < share:
            number[number == number[label]] = number[rng.choice(pairs[1][pairs[0] == label])]
    return number[labels]


def _places(name: str, count: int, factor: int) -> tuple[Array, Bools]:
    """Return the voxels that are taken along an axis, and which of them lie in a mirror."""
    place = np.arange(count)
    if name == "anisotropy":
        return place // factor * factor, np.zeros(count, bool)
    if name == "stretch":
        return place // factor, np.zeros(count, bool)
    last = (count - 1) // factor
    wave = place % max(2 * last, 1)
    return np.minimum(wave, 2 * last - wave) * factor, wave > last


def _repainted(rng: Rng, image: Image, settings: Augmentations, chosen: Sequence[str]) -> Image:
    """Return an image with changed intensities, in its range, in place."""
    low = image.min()
    high = image.max()
    if "scale" in chosen:
        image *= np.float32(rng.uniform(settings.scale_min, settings.scale_max))
        image.clip(low, high, out=image)
    if "noise" in chosen:
        noise = rng.standard_normal(image.shape, np.float32)
        image += noise * np.float32(settings.noise_std) + np.float32(settings.noise_mean)
        image.clip(low, high, out=image)
    if "shuffle" in chosen:
        for _ in range(settings.shuffle_count):
            window = _window(rng, image, settings.shuffle_size)
            planes = next((axis for axis in (-3, -2) if window.shape[axis] > 1), -1)
            rng.shuffle(window, axis=image.ndim + planes)
    if "inpaint" in chosen:
        for _ in range(settings.inpaint_count):
            _window(rng, image, settings.inpaint_size)[:] = rng.uniform(low, high)
    if "decline" in chosen:
        axis = int(rng.choice(settings.decline_axes)) - 3
        count = image.shape[axis]
        dark = int(rng.random() * count)
        ramp = np.append(np.linspace(0, 1, dark), np.ones(count - dark))
        image *= _along(ramp.astype(np.float32), axis)
    return image


def _window(rng: Rng, image: Image, size: Sides) -> Image:
    """Return a view of a random window of an image, of all its channels."""
    sides = zip(image.shape[-3:], size, strict=True)
    corners = [(int(rng.integers(max(1, n - window + 1))), window) for n, window in sides]
    z, y, x = (slice(low, low + window) for low, window in corners)
    return image[..., z, y, x]


def _along(values: Image, axis: int) -> Image:
    """Return values (N,) shaped to lie along an axis (-3 to -1) of an image."""
    return values.reshape(-1, *[1] * (-1 - axis))
