"""Translate a whole volume into the target domain, tile by tile."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cyclegan3d.intensity import Scale, from_network, scaling_of
from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.errors import InputError, RoomError
from cytosuite.large import release, room, slabs, taken
from cytosuite.memory import free_gib
from cytosuite.network import Forward, Lazy, Prediction, predict_tiles
from cytosuite.normalise import Target
from cytosuite.tiling import Box

_COPIES = 6  # of the widest activation that are in memory at once, float32


def translate(
    image: NDArray[Any],
    forward: Forward,
    arguments: Architecture,
    scale: Scale,
    target: Target,
    *,
    tile: Sequence[int],
    seed: int = 0,
    device: str = "cpu",
) -> tuple[NDArray[Any], Prediction]:
    """Return an image in the grey values of the target domain.

    Parameters
    ----------
    image : (Z, Y, X) or (C, Z, Y, X) array of numbers
        A whole image.
    forward : callable
        The generator.
    arguments : Architecture
        Of the generator: channels, halo and multiples.
    scale, target : str, Target
        See `cytosuite.algorithms.cyclegan3d.intensity`.
    tile : sequence of int
        Voxels z y x; its volume bounds the memory, about 210 bytes per voxel for the default
        network.
    seed : int
        Of the noise, for a network that takes some; drawn for the whole image, whatever the tiles.
    device : str
        Device of the network.

    Returns
    -------
    image : array of ``target.dtype``
        Of the same shape.
    prediction : Prediction
        In units of the network.

    Raises
    ------
    InputError
        If the channels are not those of the network, or a norm over the image, which has to be
        seen in one piece, would take more than the free memory, or has one voxel to average.

    Notes
    -----
    Tiles overlap by the reach of a voxel, and the image is scaled as a whole: there are no seams.
    """
    values, whole = _input(image, arguments, scale, target, seed), arguments.norm == "instance"
    found = predict_tiles(
        values,
        forward,
        channels=arguments.channels,
        multiple=arguments.multiple,
        tile=_one_piece(values.shape[1:], arguments) if whole else tile,
        halo=(0, 0, 0) if whole else arguments.halo,
        device=device,
    )
    return _grey_values(found.values, scale, target).reshape(image.shape), found


def _grey_values(answer: NDArray[np.float32], scale: Scale, target: Target) -> NDArray[Any]:
    """Return an answer of a network, (C, Z, Y, X), in the grey values of the target domain."""
    made = room(answer.shape, target.dtype)
    for channel, values in zip(made, answer, strict=True):
        for part in slabs(channel, values):
            channel[part] = from_network(values[part], scale, target)
    return made


def _input(
    image: NDArray[Any], arguments: Architecture, scale: Scale, target: Target, seed: int
) -> Lazy:
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
    scaled = [(each, scaling_of(each, scale, target=target)) for each in channels]

    def read(box: Box) -> NDArray[np.float32]:
        """Return all channels in a box."""
        given = [scaling(taken(channel, box)) for channel, scaling in scaled]
        return np.stack([*given, *(taken(drawn, box) for drawn in noise)])

    return Lazy((len(channels) + len(noise), *channels.shape[1:]), read)


def _one_piece(shape: Sequence[int], arguments: Architecture) -> list[int]:
    """Return the sides of an image in one piece, or refuse one that is too large or too small."""
    sides = [size + -size % step for size, step in zip(shape, arguments.multiple, strict=True)]
    if tuple(sides) == arguments.multiple:
        raise InputError(
            f"the norm of this network is over the image, which must be larger than "
            f"{' x '.join(map(str, sides))} voxels; give a larger one"
        )
    size = float(np.prod(sides)) / arguments.fold**2 * arguments.widths[0] * 4 * _COPIES / 2**30
    free = free_gib()
    if free is not None and size > free:
        raise RoomError(
            f"the norm of this network is over the whole image, which takes {size:.3g} GiB, "
            f"{free:.3g} GiB are free; crop it, or train with norm voxel"
        )
    return sides
