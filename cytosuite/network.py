"""Networks at run time: weights are read once, images are predicted in tiles."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from safetensors.torch import load_file
from torch import Tensor, nn

from cytosuite.errors import InputError, ModelError
from cytosuite.large import release, room, taken
from cytosuite.manifest import parse
from cytosuite.progress import report
from cytosuite.tiling import Box, fit, paste, plan
from cytosuite.weights import Model

# Workspaces of a fixed size, without which cuBLAS may sum in another order each time.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

Image = NDArray[np.float32]
Load = Callable[[Mapping[str, Any], Path], nn.Module]
Forward = Callable[[Tensor], Tensor]
Arguments = TypeVar("Arguments", bound=BaseModel)
Network = TypeVar("Network", bound=nn.Module)


class Lazy(NamedTuple):
    """Input channels that are made tile by tile."""

    shape: tuple[int, ...]  # (C, Z, Y, X)
    read: Callable[[Box], Image]  # returns those (C, z, y, x) in a box of z, y, x


class Prediction(NamedTuple):
    """The answer of a network for an image."""

    values: Image  # (C, Z, Y, X), 0 in tiles that were skipped; on disk where they do not fit
    tiles: int
    skipped: int  # tiles without a pass of the network


def device() -> str:
    """Return ``cuda`` where a GPU is found, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_once(model: Model, arguments: Mapping[str, Any], load: Load) -> nn.Module:
    """Return the network of a model on `device`; it stays in memory for further cases.

    Parameters
    ----------
    model : Model
        Card and verified weights.
    arguments : mapping
        Of the network's constructor, as JSON can hold them.
    load : callable
        Returns the network from its arguments and the path of its weights, in evaluation mode.

    Raises
    ------
    ModelError
        If the model has no weights.
    """
    if model.weights is None:
        raise ModelError(f"card {model.card.name}: it names no weights; train the model first")
    text = json.dumps(arguments, sort_keys=True)
    return _loaded(load, model.weights, str(model.card.sha256), text)


@lru_cache(maxsize=4)
def _loaded(load: Load, path: Path, sha256: str, arguments: str) -> nn.Module:
    """Return a network with its weights."""
    del sha256  # altered weights under the same name are another network
    return load(json.loads(arguments), path).to(device())


def predict_tiles(
    image: Image | Lazy,
    network: Forward,
    *,
    channels: int,
    multiple: Sequence[int],
    tile: Sequence[int],
    halo: Sequence[int],
    blend: int = 0,
    activate: Forward | None = None,
    skip: Callable[[Image], bool] | None = None,
    device: str = "cpu",
) -> Prediction:
    """Return the answer of a network for an image of any size.

    Parameters
    ----------
    image : (C, Z, Y, X) float32 array, or Lazy
        Input channels, of which no more than a tile is copied.
    network : callable
        Takes a (1, C, Z, Y, X) float32 tensor and returns one of the same size.
    channels : int
        Number of its output channels that are kept, the first ones.
    multiple : sequence of int
        Sides that the network takes are multiples of these, z y x.
    tile : sequence of int
        Voxels z y x; their product is the limit of one pass, see `cytosuite.tiling.fit`.
    halo : sequence of int
        Voxels at inner faces of a tile that are thrown away.
    blend : int
        Voxels over which neighbouring tiles are blended, even; 0 for none.
    activate : callable, optional
        Applied to the (C, Z, Y, X) tensor of a tile.
    skip : callable, optional
        True for the input of a tile that is left at 0, without the network.
    device : str
        Device of the network.

    Notes
    -----
    An axis shorter than its multiple is extended at both ends by its border values. See `exact`.
    """
    shape = image.shape[1:]
    thick = [max(size, step) for size, step in zip(shape, multiple, strict=True)]
    missing = [whole - size for whole, size in zip(thick, shape, strict=True)]
    padding = [(each // 2, each - each // 2) for each in missing]
    size = fit(thick, tile, [width + blend // 2 for width in halo], multiple)
    tiles = plan(thick, size, halo, multiple=multiple, blend=blend)
    values = room((channels, *thick), np.float32)
    skipped = 0
    for done, piece in enumerate(tiles):
        report(done, len(tiles))
        part = _extended(image, piece.input, padding)
        if skip is not None and skip(part):
            skipped += 1
        else:
            paste(values, piece, answer(part, network, channels, multiple, activate, device))
            release(values)
    own = [slice(low, low + n) for (low, _), n in zip(padding, shape, strict=True)]
    return Prediction(values[(slice(None), *own)], len(tiles), skipped)


def _extended(image: Image | Lazy, box: Box, padding: Sequence[tuple[int, int]]) -> Image:
    """Return a part of an image that is extended by its border values."""
    ends = [(0, 0), *padding]
    # An axis that is extended is shorter than any tile: each holds all of it.
    own = tuple(
        side if wide == (0, 0) else slice(0, n)
        for side, wide, n in zip(box, padding, image.shape[1:], strict=True)
    )
    if isinstance(image, Lazy):
        found = image.read(own)
    else:
        found = np.stack([taken(channel, own) for channel in image])
    return np.pad(found, ends, mode="edge") if any(map(any, ends)) else found


def answer(
    part: Image,
    network: Forward,
    channels: int,
    multiple: Sequence[int],
    activate: Forward | None = None,
    device: str = "cpu",
) -> Image:
    """Return the answer of a network for one tile, see `predict_tiles`.

    Parameters
    ----------
    part : (C, Z, Y, X) float32 array
        Extended at its end, by its border values, to sizes that the network takes.
    network, channels, multiple, activate, device
        As of `predict_tiles`.

    Returns
    -------
    (channels, Z, Y, X) float32 array
        Of the extended sizes.
    """
    padding = [(0, -size % step) for size, step in zip(part.shape[1:], multiple, strict=True)]
    given = torch.from_numpy(np.pad(part, [(0, 0), *padding], mode="edge"))[None].to(device)
    with exact(device):
        found = network(given)[0, :channels].float()
        found = found if activate is None else activate(found)
        values: Image = found.cpu().numpy()
    return values


@contextmanager
def exact(device: str) -> Iterator[None]:
    """Compute without gradients, in float32; on a GPU with deterministic kernels.

    Parameters
    ----------
    device : str
        ``cpu``, where nothing changes, or ``cuda``.

    Notes
    -----
    On a GPU an operation without a deterministic kernel gives a warning; those of our networks all
    have one in this direction. cuBLAS reads ``CUBLAS_WORKSPACE_CONFIG`` on its first use, so that
    it is set when this module is imported.
    """
    flags = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), flags:
        if device == "cpu":
            yield
            return
        before = torch.are_deterministic_algorithms_enabled()
        only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warns)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers of a network by name, each once.

    Unlike ``state_dict`` it names a tensor once where modules share it, under its first name.
    """
    found: dict[str, Tensor] = dict(network.named_parameters())
    return found | dict(network.named_buffers())


@torch.no_grad()
def put_tensors(network: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Write weights and buffers into a network, by the names of `tensors_of`.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    tensors : mapping
        By name, of any precision. Counters of batches may be missing.
    where : Path
        Named as the place of a mistake.

    Raises
    ------
    InputError
        If a name is missing or unknown, or a shape differs.
    """
    own = {k: v for k, v in tensors_of(network).items() if v.is_floating_point() or k in tensors}
    odd = sorted(own.keys() ^ tensors.keys())
    odd += [k for k in own if k in tensors and own[k].shape != tensors[k].shape]
    if odd:
        raise InputError(f"{where}: these weights are not of this network ({odd[0]} differs)")
    for name, value in own.items():
        value.copy_(tensors[name])


def trained(
    build: Callable[[Arguments], Network],
    model: type[Arguments],
    arguments: Mapping[str, Any],
    path: Path,
) -> Network:
    """Return a trained network in evaluation mode.

    Parameters
    ----------
    build : callable
        Returns the network with random weights.
    model : type
        The pydantic model of its arguments.
    arguments : mapping
        As a card holds them.
    path : Path
        Verified weights in safetensors.

    Raises
    ------
    InputError
        If an argument is not allowed, or the weights do not fit.
    """
    network = build(parse("network", arguments, model))
    put_tensors(network, load_file(path), path)
    return network.eval()


class VoxelNorm(nn.Module):
    """Channels of each voxel divided by their root mean square, with a learned gain and shift.

    It depends on no other voxel: tiles of an image leave no seams, and an empty crop is not
    stretched as by a norm over the crop.

    References
    ----------
    Karras et al., ICLR (2018), doi:10.48550/arXiv.1710.10196 (norm over the channels of a pixel).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Return normalised (N, C, Z, Y, X) values."""
        scale = torch.rsqrt(values.square().mean(1, keepdim=True) + 1e-4)
        gain, shift = (
            part.to(values.dtype)[None, :, None, None, None] for part in (self.gain, self.shift)
        )
        return values * scale * gain + shift


def folded(image: Tensor, fold: int) -> Tensor:
    """Return images with squares of pixels as channels: (N, C, Z, Y, X) to (N, C f f, Z, ...)."""
    count, channels, z, y, x = image.shape
    parts = image.view(count, channels, z, y // fold, fold, x // fold, fold)
    return parts.permute(0, 1, 4, 6, 2, 3, 5).reshape(count, -1, z, y // fold, x // fold)


def unfolded(values: Tensor, fold: int) -> Tensor:
    """Return images from folded ones, see `folded`."""
    count, _, z, y, x = values.shape
    parts = values.reshape(count, -1, fold, fold, z, y, x).permute(0, 1, 4, 5, 2, 6, 3)
    return parts.reshape(count, -1, z, y * fold, x * fold)
