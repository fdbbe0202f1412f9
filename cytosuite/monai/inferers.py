"""Inferers of MONAI: networks in exact tiles, whole algorithms."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.data.meta_tensor import MetaTensor
from monai.data.utils import decollate_batch, list_data_collate
from monai.inferers.inferer import Inferer
from monai.utils.type_conversion import convert_to_dst_type
from torch import Tensor, nn

from cytosuite.apply import warn_of
from cytosuite.container import Algorithm
from cytosuite.contract.manifest import read_card
from cytosuite.contract.metadata import described
from cytosuite.contract.tasks import TASKS
from cytosuite.errors import InputError, at
from cytosuite.monai.images import tensor_of, volume_of
from cytosuite.networks.network import predict_tiles, using
from cytosuite.volume.arrays import Shape, Sizes

_BLOCKS = (9, 33, 129)  # lengths of images, in multiples, in which a reach is looked for


class TileInferer(Inferer):
    """Network on images of any size, in tiles that leave no seams.

    Voxels that depend on anything outside of their tile are thrown away, not blended: the answer is
    the one for the whole image, but for rounding. `InputError` if the network has no halo, a tile
    is all halo, or the image has other axes.

    `tile` are voxels per axis, halo included, whose product bounds the memory; `multiple` what the
    sides of the network's input must be multiples of; `halo` the voxels at the inner faces of a
    tile that are thrown away, `measured_halo` without it.

    Examples
    --------
    >>> layer = nn.Conv2d(1, 1, 3, padding=1)
    >>> image = torch.rand(1, 1, 40, 50)
    >>> bool((TileInferer((16, 16), (1, 1))(image, layer) - layer(image)).abs().max() < 1e-6)
    True
    """

    def __init__(self, tile: Sizes, multiple: Sizes, halo: Sizes | None = None) -> None:
        super().__init__()
        self.tile, self.multiple, self.halo = tile, multiple, halo
        self.network: Callable[..., Any] | None = None  # with the measured halo

    def __call__(
        self,
        inputs: Tensor,
        network: Callable[..., Any],
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """Return the answer (N, C, ...) for images (N, C, ...); each tile gets all arguments."""
        channels, flat = inputs.shape[1], [1] * (5 - inputs.ndim)  # axes that images lack
        if inputs.ndim - 2 != len(self.tile):
            raise InputError(
                f"tiles: expected images of {len(self.tile)} spatial axes, found {inputs.ndim - 2}"
            )
        if self.halo is None or self.network not in (None, network):
            self.halo = measured_halo(network, channels, self.multiple, *args, **kwargs)
            self.network = network

        def forward(values: Tensor) -> Tensor:
            """Return the answer for a tile (1, C, Z, Y, X); its first axes may be missing."""
            answer: Tensor = network(values.flatten(1, 1 + len(flat)), *args, **kwargs)
            return answer.reshape(*answer.shape[:2], *flat, *answer.shape[2:])

        with torch.inference_mode():
            channels = forward(inputs.new_zeros(1, channels, *flat, *self.multiple)).shape[1]
        answers = [
            predict_tiles(
                image.reshape(len(image), *flat, *image.shape[1:]),
                forward,
                channels=channels,
                multiple=(*flat, *self.multiple),
                tile=(*flat, *self.tile),
                halo=(*[0] * len(flat), *self.halo),
                device=str(inputs.device),
            ).values.reshape(channels, *image.shape[1:])
            for image in inputs.detach().cpu().float().numpy()
        ]
        return convert_to_dst_type(np.stack(answers), inputs)[0]


def measured_halo(
    network: Callable[..., Any],
    channels: int,
    multiple: Sizes,
    *args: Any,  # noqa: ANN401
    **kwargs: Any,  # noqa: ANN401
) -> Shape:
    """Return how far the answer of a network depends on its input, in voxels per axis.

    The network is in evaluation mode, and its answer has the sides of its input, which are
    multiples of `multiple`; it gets all further arguments. `InputError` if the whole image plays a
    part.

    Examples
    --------
    >>> measured_halo(nn.Conv3d(1, 1, (1, 3, 5), padding=(0, 1, 2)), 1, (1, 1, 1))
    (0, 1, 2)
    """
    device = next(network.parameters()).device if isinstance(network, nn.Module) else "cpu"
    # NaN spread to all that depends on them; cuDNN's fast convolutions spread them over a block.
    with torch.backends.cudnn.flags(enabled=False), torch.inference_mode():

        def reach(axis: int, blocks: int) -> int | None:
            """Return how far NaN in the middle block of an image spread, None if to an end."""
            step = multiple[axis]
            shape = [blocks * step if n == axis else 2 * m for n, m in enumerate(multiple)]
            image = torch.zeros(1, channels, *shape, device=device)
            first = blocks // 2 * step
            image.narrow(2 + axis, first, step).fill_(torch.nan)
            touched = network(image, *args, **kwargs).isnan().movedim(2 + axis, 0).flatten(1).any(1)
            places = touched.nonzero().flatten().tolist() or [first]
            ends = not places[0] or places[-1] == len(touched) - 1
            return None if ends else max(0, first - places[0], places[-1] + 1 - first - step)

        reaches = [
            next((n for b in _BLOCKS if (n := reach(axis, b)) is not None), None)
            for axis in range(len(multiple))
        ]
    if None in reaches:
        raise InputError(
            "tiles: expected a network whose answer depends on a part of the image, found one that "
            "sees all of it: use eval(), no instance or group norms, no attention, or give a halo"
        )
    return tuple(n for n in reaches if n is not None)


class AlgorithmInferer(Inferer):
    """Algorithm of this library as an inferer: units, scale, tiles, objects and checks.

    Its voxels are those of the algorithm's container. Images come from `VolumeReader`, in grey
    values; the network is MONAI's, with its weights. The model card is alone in its folder with its
    weights; `socket` is the slug of the input, where it is not the task's first.
    """

    def __init__(self, card: str | Path, socket: str | None = None) -> None:
        super().__init__()
        self.card, self.socket = Path(card), socket

    @cached_property
    def algorithm(self) -> Algorithm:
        """The algorithm; MONAI makes inferers to look at them, too, where no card lies."""
        return Algorithm(read_card(self.card).algorithm, Path(), Path(), [self.card.parent])

    def __call__(self, inputs: Tensor, network: Any, *_: object, **__: object) -> Any:  # noqa: ANN401
        """Return the main outputs (N, C, ...), int64 or float32, of images (N, C, ...)."""
        return list_data_collate([self._made(image, network) for image in decollate_batch(inputs)])

    def _made(self, image: MetaTensor, network: nn.Module) -> MetaTensor:
        """Return the output for an image (C, ...)."""
        name = str(image.meta.get("filename_or_obj", ""))
        manifest = self.algorithm.manifest
        slug = self.socket or TASKS[manifest.task].inputs[0].slug
        with at(name), using(network):
            volume = described(volume_of(image), {}, Path(name).name)
            outputs, _, lines = self.algorithm.answer({slug: volume})
        warn_of(manifest.name, [*volume.origin.warnings, *lines])
        main = TASKS[manifest.task].main_output
        assert main is not None  # every task with images has one
        output = outputs[main.slug]
        tensor = tensor_of(output, np.int64 if output.array.dtype.kind in "iu" else np.float32)
        tensor.meta["filename_or_obj"] = name
        return tensor
