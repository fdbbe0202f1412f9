"""Networks at run time: weights are read once, images are predicted in tiles."""

import ctypes
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from functools import lru_cache
from operator import methodcaller
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from pydantic import BaseModel
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.checkpoint import checkpoint

from cytosuite.contract import progress
from cytosuite.contract.call import within
from cytosuite.contract.manifest import parse
from cytosuite.contract.progress import report
from cytosuite.contract.weights import Model, weights_of
from cytosuite.errors import InputError
from cytosuite.files import Entries, IntPair
from cytosuite.networks.tiling import fit, plan
from cytosuite.volume.arrays import Box, Image, Shape, Sizes
from cytosuite.volume.memory import release, room, taken
from cytosuite.volume.objects import box_at

# Workspaces of a fixed size, without which cuBLAS may sum in another order each time.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

Load = Callable[[Entries, Path], nn.Module]
Forward = Callable[[Tensor], Tensor]
Arguments = TypeVar("Arguments", bound=BaseModel)
Network = TypeVar("Network", bound=nn.Module)
_IN_USE: ContextVar[nn.Module | None] = ContextVar("network", default=None)
_REUSING: ContextVar[bool] = ContextVar("reusing", default=False)
_ARGUMENTS = {torch.conv2d: 7, torch.conv3d: 7, torch.conv_transpose3d: 8}  # that layers give
# Options of glibc's mallopt; every value but those for reuse is its default after large arrays.
_TRIM, _MAP, _MAPS = -1, -3, -4
_FREED = {_TRIM: 2**26, _MAP: 2**25, _MAPS: 2**16}
_REUSED = {_TRIM: -1, _MAPS: 0}


class Lazy(NamedTuple):
    """Input channels that are made tile by tile."""

    shape: Shape  # (C, Z, Y, X)
    read: Callable[[Box], Image]  # returns those (C, z, y, x) in a box of z, y, x


class Prediction(NamedTuple):
    """The answer of a network for an image."""

    values: Image  # (C, Z, Y, X), 0 in tiles that were skipped; on disk where they do not fit
    tiles: int
    skipped: int  # tiles without a pass of the network


def device() -> str:
    """Return the device of the network in use, else ``cuda`` where a GPU is found or ``cpu``."""
    if (network := _IN_USE.get()) is not None:
        return str(next(network.parameters()).device)
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision(device: str) -> torch.dtype:
    """Return bfloat16 where the processor computes with it, else float32."""
    if device == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


@contextmanager
def using(network: nn.Module) -> Iterator[None]:
    """Let algorithms take a network, with its weights, in place of the model file's."""
    with within(_IN_USE, network):
        yield


@contextmanager
def reused_memory() -> Iterator[None]:
    """Take memory that the work within frees for its next arrays: new pages cost up to a third."""
    library = ctypes.CDLL(None)
    if _REUSING.get() or not hasattr(library, "mallopt"):  # another C library than glibc
        yield
        return
    token = _REUSING.set(True)
    try:
        for option, value in _REUSED.items():
            library.mallopt(option, value)
        yield
    finally:
        _REUSING.reset(token)
        for option, value in _FREED.items():
            library.mallopt(option, value)
        library.malloc_trim(0)


def load_once(model: Model, arguments: Entries | BaseModel, load: Load) -> nn.Module:
    """Return the network of a model on `device`, kept in memory; `ModelError` if untrained."""
    if (network := _IN_USE.get()) is not None:
        return network
    text = json.dumps(arguments, sort_keys=True, default=methodcaller("model_dump", mode="json"))
    return _loaded(load, weights_of(model), str(model.card.sha256), text)


@lru_cache(maxsize=4)
def _loaded(load: Load, path: Path, sha256: str, arguments: str) -> nn.Module:
    del sha256  # altered weights under the same name are another network
    return load(json.loads(arguments), path).to(device())


def predict_tiles(
    image: Image | Lazy,
    network: Forward,
    *,
    channels: int,
    multiple: Sizes,
    tile: Sizes,
    halo: Sizes,
    activate: Forward | None = None,
    skip: Callable[[Image], bool] | None = None,
    device: str = "cpu",
    half: bool = False,
) -> Prediction:
    """Return the answer of a network for an image (C, Z, Y, X) of any size, tile by tile.

    `network` takes (1, C, Z, Y, X) float32 with sides that are multiples of `multiple`; its first
    `channels` are kept. `halo` is as of `tiling.plan`; the product of `tile` limits.
    With `half` a CPU that is fast in it computes in bfloat16.
    """
    shape = image.shape[1:]
    thick = [max(size, step) for size, step in zip(shape, multiple, strict=True)]
    missing = [whole - size for whole, size in zip(thick, shape, strict=True)]
    padding = [(gap // 2, gap - gap // 2) for gap in missing]
    tiles = plan(thick, fit(thick, tile, halo, multiple), halo, multiple=multiple)
    values = room((channels, *thick), np.float32)
    skipped = 0
    with reused_memory():
        for done, piece in enumerate(tiles):
            report(done, len(tiles))
            part = _extended(image, piece.input, padding)
            if skip and skip(part):
                skipped += 1
            else:
                whole = answer(part, network, channels, multiple, activate, device, half)
                values[:, *piece.output] = whole[:, *piece.crop]
                release(values)
    inner = box_at([low for low, _ in padding], shape)
    return Prediction(values[:, *inner], len(tiles), skipped)


def _extended(image: Image | Lazy, box: Box, padding: Sequence[IntPair]) -> Image:
    """Return a part of an image that is extended by its border values."""
    ends = [(0, 0), *padding]
    # An axis that is extended is shorter than any tile: each holds all of it.
    region = tuple(
        side if wide == (0, 0) else slice(0, n)
        for side, wide, n in zip(box, padding, image.shape[1:], strict=True)
    )
    if isinstance(image, Lazy):
        values = image.read(region)
    else:
        values = np.stack([taken(channel, region) for channel in image])
    return np.pad(values, ends, mode="edge") if any(map(any, ends)) else values


def answer(
    part: Image,
    network: Forward,
    channels: int,
    multiple: Sizes,
    activate: Forward | None = None,
    device: str = "cpu",
    half: bool = False,
) -> Image:
    """Return the answer for one tile (C, Z, Y, X), extended at its end; see `predict_tiles`."""
    padding = [(0, -size % step) for size, step in zip(part.shape[1:], multiple, strict=True)]
    inputs = torch.from_numpy(np.pad(part, [(0, 0), *padding], mode="edge"))[None].to(device)
    kind = precision(device) if half and device == "cpu" else torch.float32
    faster = torch.autocast(device, kind, enabled=kind != torch.float32)
    with progress.network(), exact(device), faster:
        output = network(inputs)[0, :channels].float()
        output = activate(output) if activate else output
        return output.cpu().numpy()


@contextmanager
def exact(device: str) -> Iterator[None]:
    """Compute without gradients, in float32; on a GPU with deterministic kernels."""
    flags = torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), flags:
        if device == "cpu":
            there = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
            with _SmallToo() if there else nullcontext():
                yield
            return
        before = torch.are_deterministic_algorithms_enabled()
        only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before, warn_only=only_warns)


class _SmallToo(TorchFunctionMode):
    """Float32 convolutions of volumes, and of single pixels, by oneDNN, however small.

    For one image of at most 20,480 channels x planes x rows, and for single pixels on one thread,
    torch (`ConvParams::use_mkldnn`) copies neighbourhoods: up to four times the CPU time.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Entries | None = None,
    ) -> Any:  # noqa: ANN401
        """Return the result of a function of torch."""
        del types
        if len(args) == _ARGUMENTS.get(func) and _plain(args):
            values, weight, bias, stride, padding, *others = args
            if len(others) == 2:
                return torch.mkldnn_convolution(values, weight, bias, padding, stride, *others)
            wider, groups, dilation = others
            sides = padding, wider, stride, dilation
            transposed = torch.ops.mkldnn._convolution_transpose_pointwise
            return transposed(values, weight, bias, *sides, groups, "none", [], "")
        return func(*args, **(kwargs or {}))


def _plain(args: Sequence[Any]) -> bool:
    """Return whether a layer asks for one of these convolutions, of images (N, C, ..., Y, X)."""
    values, weight, _, _, padding, *_ = args
    single = values.dtype == weight.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    here = values.ndim == weight.ndim and (values.ndim == 5 or weight[0, 0].numel() == 1)
    return single and here and isinstance(padding, tuple)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers of a network, unlike ``state_dict`` each under one name."""
    return dict(network.named_parameters()) | dict(network.named_buffers())


@torch.no_grad()
def put_tensors(network: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Write weights and buffers into a network, by name; `InputError` for others, or with NaN."""
    current = {
        k: v for k, v in tensors_of(network).items() if v.is_floating_point() or k in tensors
    }
    # The network's first, in its order.
    for name in [*current, *sorted(tensors.keys() - current.keys())]:
        expected, stored = (_sides(group.get(name)) for group in (current, tensors))
        if expected != stored:
            raise InputError(
                f"{where}: these weights are not of this network ({name}: expected {expected}, "
                f"found {stored})"
            )
    refuse_nan(tensors, where)
    for name, value in current.items():
        value.copy_(tensors[name])


def refuse_nan(tensors: Mapping[str, Tensor], where: Path) -> None:
    """Refuse weights with NaN."""
    for name, value in tensors.items():
        if value.isnan().any():
            raise InputError(f"{where}: {name} holds NaN, as of a training that diverged")


def _sides(tensor: Tensor | None) -> str:
    """Return the shape of a tensor in words."""
    return "none" if tensor is None else " x ".join(map(str, tensor.shape)) or "a number"


def trained(
    build: Callable[[Arguments], Network],
    model: type[Arguments],
    arguments: Entries,
    path: Path,
) -> Network:
    """Return a network in evaluation mode with the arguments of a card and verified weights."""
    network = build(parse("network", arguments, model))
    put_tensors(network, load_file(path), path)
    return network.eval()


def channels_last(network: Network, dimensions: int = 3) -> Network:
    """Return a network with the channels of its weights last: on CPUs about a fifth faster."""
    layout = torch.channels_last_3d if dimensions == 3 else torch.channels_last
    return cast(Network, cast(Any, network).to(memory_format=layout))  # torch does not declare it


class VoxelNorm(nn.Module):
    """Channels over their root mean square, gain, shift (Karras et al., arXiv 1710.10196)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(
        self, values: Tensor, more: Tensor | float = 0.0, lift: Tensor | float = 0.0
    ) -> Tensor:
        """Return normalised (N, C, Z, Y, X) values, times 1 + `more`, plus `lift`."""
        root = torch.linalg.vector_norm(values, dim=1, keepdim=True, dtype=torch.float32)
        scale = torch.rsqrt(root.square() / values.shape[1] + 1e-4).to(values.dtype)
        gain, shift = (part[None, :, None, None, None] for part in (self.gain, self.shift))
        gain = gain * (1 + more)
        shift = shift * (1 + more) + lift
        return torch.addcmul(shift.to(values.dtype), values * scale, gain.to(values.dtype))


class PlaneByPlane(nn.Module):
    """A layer of planes for the planes of volumes: several times as fast as a flat one in 3D."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, values: Tensor) -> Tensor:
        """Return the answer (N, C, Z, Y, X) of the layer for (N, C, Z, Y, X) values."""
        planes = values.transpose(1, 2).flatten(0, 1).contiguous(memory_format=torch.channels_last)
        answers: Tensor = self.layer(planes)
        return torch.unflatten(answers, 0, (len(values), -1)).transpose(1, 2)


class AddedChange(nn.Module):
    """Layers with a skip connection around them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, values: Tensor) -> Tensor:
        """Return the sum of (N, C, Z, Y, X) values and their change."""
        change: Tensor = self.body(values)
        return change.add_(values)


class Checkpointed(nn.Module):
    """A network that can train with less memory: layers are computed again on the way back."""

    checkpointing = False

    def passed(self, layer: nn.Module, values: Tensor) -> Tensor:
        """Return the answer of a layer; with `checkpointing` its inner activations are not kept."""
        if self.checkpointing and torch.is_grad_enabled():
            return cast(Tensor, checkpoint(layer, values, use_reentrant=False))
        return cast(Tensor, layer(values))


def zero(layer: nn.Module) -> None:
    """Set the weights of a layer to 0, so that it changes nothing at first."""
    for weight in layer.parameters():
        nn.init.zeros_(weight)


def strided_reach(blocks: Sizes, kernel: int = 3) -> int:
    """Return how many voxels beyond the face of a tile, at multiples of its strides, a U-Net sees.

    `blocks` are the residual blocks of each level, finest first, down and up together, of two
    convolutions of 3 voxels; strided ones of 3 voxels lie between levels.

    Examples
    --------
    >>> strided_reach((0, 4)), strided_reach((2, 2, 1))
    (20, 28)
    """
    strided: int = 2 * (2 ** (len(blocks) - 1) - 1)  # on each level one voxel down, and one up
    inner: int = sum(2 * count * 2**level for level, count in enumerate(blocks))
    return 2 * (kernel // 2) + strided + inner


def folded(image: Tensor, fold: int) -> Tensor:
    """Return images with squares of pixels as channels: (N, C, Z, Y, X) to (N, C f f, Z, ...)."""
    squares = torch.unflatten(torch.unflatten(image, 4, (-1, fold)), 3, (-1, fold))
    return squares.permute(0, 1, 4, 6, 2, 3, 5).flatten(1, 3)


def unfolded(values: Tensor, fold: int) -> Tensor:
    """Return images from folded ones, see `folded`."""
    squares = torch.unflatten(values, 1, (-1, fold, fold))
    return squares.permute(0, 1, 4, 5, 2, 6, 3).flatten(5, 6).flatten(3, 4)
