"""Translate a whole volume into the target domain, tile by tile."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import numpy as np

from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.errors import InputError
from cytosuite.networks.network import Forward, Lazy, Prediction, predict_tiles
from cytosuite.networks.normalise import (
    Background,
    Target,
    background_of,
    denormalise,
    in_dtype,
    normalise,
)
from cytosuite.volume.arrays import Array, Box, Floats, Image, Sizes
from cytosuite.volume.memory import need_memory, release, room, taken
from cytosuite.volume.pieces import extremes, slabs

Scale = Literal["style", "light", "background", "dtype"]
OF_TARGET = ("style", "light")  # scales in units of the target
Scaling = Callable[[Array], Image]
_COPIES = 6  # of the widest activation that are in memory at once, float32


def scaling_of(image: Array, scale: Scale, target: Target | None = None) -> Scaling:
    """Return the map of an image, or parts, into network units; InputError if unfit for `scale`."""
    if scale == "background":
        return partial(normalise, background=background_of(image))
    if scale in OF_TARGET:
        assert target is not None  # see Parameters
        return partial(normalise, background=Background(target.mean, target.sd))
    if image.dtype.kind == "f":
        low, high = extremes(image)
        if image.size and not 0 <= low <= high <= 1:
            raise InputError(
                "the image: a network with the scale dtype takes integers, or floats in 0..1, "
                f"found {low:g} to {high:g}; scale them"
            )
        return lambda part: (2 * part - 1).astype(np.float32)
    if image.dtype.kind not in "ub":
        raise InputError(
            "the image: a network with the scale dtype takes unsigned integers or floats in "
            f"0..1, found {image.dtype}"
        )
    top = 1 if image.dtype.kind == "b" else np.iinfo(image.dtype).max
    return lambda part: part.astype(np.float32) * np.float32(2 / top) - np.float32(1)


def from_network(values: Image, scale: Scale, target: Target) -> Array:
    """Return an image with the grey values of the target; integers are rounded and clipped."""
    dtype = np.dtype(target.dtype)
    if scale != "dtype":
        image = denormalise(values, Background(target.mean, target.sd))
    else:
        top = 1 if dtype.kind == "f" else np.iinfo(dtype).max
        image = (values + np.float32(1)) * np.float32(top / 2)
    return in_dtype(image, dtype)


def translate(
    image: Array,
    forward: Forward,
    arguments: Architecture,
    scale: Scale,
    target: Target,
    *,
    tile: Sizes,
    seed: int = 0,
    device: str = "cpu",
) -> tuple[Array, Prediction]:
    """Return an image (Z, Y, X) or (C, Z, Y, X) in grey values of the target, and in network units.

    Tiles overlap by the reach of a voxel, and the image is scaled as a whole: there are no seams.
    InputError if the channels differ, or a norm over the whole image has too much or one voxel.
    """
    values = _input(image, arguments, scale, target, seed)
    whole = arguments.norm == "instance"
    _large_enough(values.shape[1:], arguments)
    prediction = predict_tiles(
        values,
        forward,
        channels=arguments.channels,
        multiple=arguments.multiple,
        tile=_one_piece(values.shape[1:], arguments) if whole else tile,
        halo=(0, 0, 0) if whole else arguments.halo,
        device=device,
    )
    translation = room(prediction.values.shape, target.dtype)
    for channel, answer in zip(translation, prediction.values, strict=True):
        for part in slabs(channel, answer):
            channel[part] = from_network(answer[part], scale, target)
    return translation.reshape(image.shape), prediction


def _input(image: Array, arguments: Architecture, scale: Scale, target: Target, seed: int) -> Lazy:
    """Return an image in units of the network, and the noise that it takes, (C, Z, Y, X)."""
    channels = image if image.ndim == 4 else image[None]
    if len(channels) != arguments.channels:
        raise InputError(
            f"expected an image of {arguments.channels} channels for this model, found "
            f"{len(channels)}"
        )
    rng = np.random.default_rng(seed)
    noise = room((arguments.noise, *channels.shape[1:]), np.float32)
    for drawn in noise:
        for plane in drawn:  # by planes the same numbers as at once
            plane[...] = rng.standard_normal(plane.shape, np.float32)
            release(noise)
    scaled = [(channel, scaling_of(channel, scale, target=target)) for channel in channels]

    def _read(box: Box) -> Floats:
        parts = [scaling(taken(channel, box)) for channel, scaling in scaled]
        return np.stack([*parts, *(taken(drawn, box) for drawn in noise)])

    return Lazy((len(channels) + len(noise), *channels.shape[1:]), _read)


def _large_enough(shape: Sizes, arguments: Architecture) -> None:
    """Refuse an image with one voxel for a norm over it, or none for borders to reflect."""
    limits = [max(step, arguments.kernel // 2 * arguments.fold) for step in arguments.multiple]
    within = [size <= most for size, most in zip(shape, limits, strict=True)]
    within = within[-arguments.dimensions :]
    norm = arguments.norm == "instance"
    borders = arguments.padding == "reflect"
    if (norm and all(within)) or (borders and any(within)):
        raise InputError(
            f"this network has {'a norm over the image' if norm else 'reflecting borders'}, which "
            f"must be larger than {' x '.join(map(str, limits))} voxels; give a larger one"
        )


def _one_piece(shape: Sizes, arguments: Architecture) -> list[int]:
    """Return the sides of an image in one piece, or refuse one that is too large."""
    sides = [size + -size % step for size, step in zip(shape, arguments.multiple, strict=True)]
    size = float(np.prod(sides)) / arguments.fold**2 * arguments.widths[0] * 4 * _COPIES
    need_memory(
        size,
        "the norm of this network is over the whole image, which takes",
        "crop it, or train with norm voxel",
    )
    return sides
