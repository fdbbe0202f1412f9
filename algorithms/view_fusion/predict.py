"""Entry point of view fusion: one light-sheet view in, an estimate of the fused views out."""

from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from cytosuite.algorithms.view_fusion.classical import Restoration, correct, smooth
from cytosuite.algorithms.view_fusion.intensity import Units, to_counts, to_network, units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments, load
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.progress import noted, report
from cytosuite.contract.spacing import warned
from cytosuite.contract.tasks import VIEW
from cytosuite.contract.weights import Model
from cytosuite.errors import InputError
from cytosuite.files import Scalars
from cytosuite.networks.network import Forward, answer, device, load_once, reused_memory
from cytosuite.networks.tiling import Sides, Tiled, fit, plan, tile_within
from cytosuite.segmentation.specimen import TISSUE_UM, coarse_image, maps_of, smoothed
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Array, Sizes, Spacing
from cytosuite.volume.memory import put, room, taken
from cytosuite.volume.pieces import deep, from_lowest

TILE_BYTES = 135  # per voxel of a tile in a pass of the default network, measured

Method = Literal["identity", "gaussian", "classical", "network"]


class Parameters(Tiled):
    """``parameters`` of a card: a method with the parts that it takes, and no others."""

    # identity hands the view back, gaussian smooths it, classical corrects attenuation and blur,
    # network applies a trained network
    method: Method
    # standard deviation of the Gaussian, in voxels along all axes; the Gaussian is also the answer
    # where the answer of a network is refused
    sigma_px: float = Field(0.442, ge=0, le=10)
    classical: Restoration | None = None  # of the classical restoration
    network: RestorerArguments | None = None  # arguments of the network
    tile: Sides = (128, 352, 352)  # voxels z, y, x; its volume bounds the memory
    # correlation of the network's answer and the view, smoothed over 5 µm, below which the answer
    # is refused
    least_agreement: float = Field(0.3, ge=-1, le=1)

    @model_validator(mode="after")
    def _of_one_method(self) -> Self:
        """Refuse a card without the part of its method, or with another's."""
        for part in ("classical", "network"):
            present = getattr(self, part) is not None
            if present and self.method != part:
                raise ValueError(f"{part} is for method {part}, found method {self.method}")
            if not present and self.method == part:
                raise ValueError(f"method {part} needs {part}, found none")
        return self


class Restored(NamedTuple):
    """The answer of a network for a view."""

    image: Array  # of the view's shape and dtype
    tiles: int
    finite: bool  # whether the network gave numbers everywhere


def restore(
    view: Array,
    spacing: Spacing,
    units: Units,
    network: Forward,
    arguments: RestorerArguments,
    *,
    tile: Sizes,
    device: str = "cpu",
) -> Restored:
    """Return a network's answer for a finite (Z, Y, X) view, by tiles of `TILE_BYTES` per voxel."""
    maps = maps_of(view, spacing, arguments.inputs)
    size = tile_within(tile, TILE_BYTES, arguments.halo, arguments.multiple)
    size = fit(view.shape, size, arguments.halo, arguments.multiple)
    tiles = plan(view.shape, size, arguments.halo, multiple=arguments.multiple)
    image = room(view.shape, view.dtype)
    finite = True
    with reused_memory():
        for done, piece in enumerate(tiles):
            report(done, len(tiles))
            part = [
                to_network(taken(view, piece.input), units),
                *(extra.read(piece.input) for extra in maps),
            ]
            restored = answer(np.stack(part), network, 1, arguments.multiple, device=device)[0]
            inner = restored[piece.crop]
            finite = finite and bool(np.isfinite(inner).all())
            put(image, piece.output, to_counts(inner, units, view.dtype))
    return Restored(image, len(tiles), finite)


def agreement(view: Array, restored: Array, spacing: Spacing) -> float:
    """Return the correlation of two images smoothed over 5 µm; 0 if one is constant, 1 if both."""
    coarse = (coarse_image(from_lowest(image), spacing) for image in (view, restored))
    first, second = (smoothed(c, step, TISSUE_UM).astype(np.float64) for c, _, step in coarse)
    first -= first.mean()
    second -= second.mean()
    norms = float(np.linalg.norm(first)), float(np.linalg.norm(second))
    if not all(norms):
        return float(not any(norms))
    return float(np.vdot(first, second) / norms[0] / norms[1])


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the fused image of a view; with a warning the view, smoothed, where none is found."""
    volume = image_of(inputs, VIEW)
    parameters = parameters_of(model.card, Parameters)
    network = None
    if parameters.network:
        if volume.axes != "ZYX":
            raise InputError(f"this network restores volumes (ZYX), found {volume.axes}")
        network = load_once(model, parameters.network, load)
    image, facts, warning = fused(volume, parameters, network)
    return {f"fused-{VIEW}": warned(noted(volume.like(image), "view_fusion", facts), warning)}


def fused(
    volume: Volume, parameters: Parameters, network: Forward | None
) -> tuple[Array, Scalars, str]:
    """Return the image by a card's method, facts, and a warning or "" (see `predict`)."""
    view = deep(volume.array)
    spacing = (volume.spacing[0], *volume.spacing)[-3:]
    units = units_of(view)
    facts = Scalars()
    method = parameters.method
    warning = ""
    if units.flat and method != "identity":
        method = "identity"
        warning = "no contrast in the view: it is handed back as it is"
    image = view
    if method == "network":
        assert network is not None  # see Parameters
        assert parameters.network is not None
        restored = restore(
            view, spacing, units, network, parameters.network, tile=parameters.tile, device=device()
        )
        image, agrees, fault = restored.image, agreement(view, restored.image, spacing), ""
        facts |= {"tiles": restored.tiles, "agreement": round(agrees, 4)}
        if not restored.finite:
            fault = "its answer is not finite"
        elif agrees < parameters.least_agreement:
            fault = f"its answer correlates with the view by {agrees:.2f}"
        if fault:
            method = "gaussian"
            warning = f"the network is refused ({fault}): smoothed view in its place"
    elif method == "classical":
        assert parameters.classical is not None  # see Parameters
        image, loss = correct(view, spacing, units, parameters.classical, tile=parameters.tile)
        facts["loss_per_mm"] = " ".join(f"{1000 * lost:.3g}" for lost in loss.per_um)
        facts["gain"] = round(float(loss.gain.values.max()), 3)
    if method == "gaussian":
        image = smooth(view, parameters.sigma_px, tile=parameters.tile)
    return image.reshape(volume.shape), {"method": method, **facts}, warning
