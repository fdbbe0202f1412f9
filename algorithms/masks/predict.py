"""Entry point of the masks: a request with a seed in, labels of cells and of their nuclei out."""

from dataclasses import replace
from functools import partial
from math import cos, pi, prod, sin

import numpy as np
from scipy import ndimage

from cytosuite.algorithms.masks.fields import DrawnCells, Fields, draw
from cytosuite.contract.manifest import Described, NotNegative, Positive, parameters_of
from cytosuite.contract.tasks import REQUEST, SAMPLED_CELLS, SAMPLED_NUCLEI
from cytosuite.contract.weights import Model
from cytosuite.denoising.network import DenoiserArguments, load
from cytosuite.denoising.noise import noise_field
from cytosuite.denoising.sampling import Conditional, Contrast, Process, synthesise
from cytosuite.errors import InputError
from cytosuite.files import ScalarMap
from cytosuite.networks.network import device, load_once
from cytosuite.networks.tiling import Sides, Tiled
from cytosuite.volume import SPATIAL, Volume, Volumes
from cytosuite.volume.arrays import Floats, Interval, Lengths, Sizes
from cytosuite.volume.memory import need_memory
from cytosuite.volume.objects import box_at

FARTHEST = 4.0  # between voxel sizes of request and model, as a factor
_COPIES = 24  # float32 copies of an image's voxels that are in memory at once

FROM_NOISE = Process(t_start=1000, contrast=Contrast(dark=0, bright=1), range=(-1, 1))


class Gates(Described):
    """Range of each measure of whole cells; those beyond are rejected."""

    area: Interval  # of a cell, µm² (µm³)
    solidity: Interval  # of a cell: area / area of its convex hull
    nucleus_share: Interval  # area of the nucleus / area of the cell
    nucleus_solidity: Interval  # of a nucleus


class Parameters(Tiled):
    """``parameters`` of a card."""

    network: DenoiserArguments  # arguments of the denoiser
    process: Process = FROM_NOISE  # the way from noise to distances
    spacing: Lengths  # µm per voxel of the training's labels
    scale_um: Positive = 3.0  # distances are tanh(distance / this)
    # beyond the faces, where cells that they cut have their nuclei
    margin_um: NotNegative = 20.0
    gates: Gates  # measured in the training's labels
    tile: Sides = (1, 512, 512)  # voxels z, y, x; its volume bounds the memory


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return ``sampled-cells``, and ``sampled-nuclei`` with the numbers of their cells."""
    parameters = parameters_of(model.card, Parameters)
    canvas = inputs[REQUEST.slug]
    axes = parameters.network.dimensions
    if canvas.axes != SPATIAL[-axes:]:
        raise InputError(
            f"this network draws in {axes}D, found a request of the shape {canvas.shape}"
        )
    masks = sampled(canvas, parameters, load_once(model, parameters.network, load), device())
    facts = {"masks_cells": int(masks.cells.max(initial=0))}
    facts["masks_found"] = masks.proposed  # also in the margin
    facts |= {f"masks_rejected_{reason}": count for reason, count in masks.rejected.items()}
    cells = Volume(masks.cells, canvas.spacing, canvas.axes, facts)
    nuclei = Volume(masks.nuclei, canvas.spacing, canvas.axes, {"channel": "nucleus"})
    return {SAMPLED_CELLS.slug: cells, SAMPLED_NUCLEI.slug: nuclei}


def sampled(
    canvas: Volume, parameters: Parameters, network: Conditional, device: str
) -> DrawnCells:
    """Return the cells of a request, at most as many as it asks for, and those rejected."""
    margin = [
        round(parameters.margin_um / step) if n > 1 else 0
        for step, n in zip(canvas.spacing, canvas.shape, strict=True)
    ]
    wide = np.broadcast_to(np.uint8(0), np.add(canvas.shape, np.multiply(2, margin)))
    fields = fields_from(replace(canvas, array=wide), parameters, network, device)
    masks = draw(fields, canvas.spacing, parameters.gates.model_dump())
    inner = box_at(margin, canvas.shape)
    cells = masks.cells[inner]
    nuclei = masks.nuclei[inner]
    numbers = np.unique(cells[cells > 0])
    request = canvas.metadata
    nearer = "to" if float(request.get("share", 0)) >= 0.5 else "seed"
    chosen = np.random.default_rng(int(request[nearer])).permutation(numbers)
    chosen = np.sort(chosen[: int(request.get("number", numbers.size))])
    new = np.zeros(masks.cells.max(initial=0) + 1, masks.cells.dtype)
    new[chosen] = np.arange(1, chosen.size + 1)
    return masks._replace(cells=new[cells], nuclei=new[nuclei])


def fields_from(
    canvas: Volume, parameters: Parameters, network: Conditional, device: str
) -> Fields:
    """Return the distances (2, [Z,] Y, X) of a request, drawn on the grid of the training."""
    shape = canvas.shape
    ratio = np.divide(canvas.spacing, parameters.spacing)
    if (np.abs(np.log(ratio)) > np.log(FARTHEST)).any():
        raise InputError(
            f"spacing: expected within a factor of {FARTHEST:g} of {list(parameters.spacing)} µm, "
            f"found {list(canvas.spacing)}; take a voxel size near it"
        )
    grid = tuple(int(np.ceil(n * r)) for n, r in zip(shape, ratio, strict=True))
    need_memory(
        max(prod(grid), prod(shape)) * 4 * _COPIES,
        f"masks of {' x '.join(map(str, shape))} voxels take",
        "ask for smaller ones",
    )
    fields = synthesise(
        np.zeros((2, *(1,) * (3 - len(grid)), *grid), np.float32),
        network,
        parameters.network,
        parameters.process,
        tile=parameters.tile,
        seed=int(canvas.metadata["seed"]),
        device=device,
        noise=partial(_noise, canvas.metadata),
    ).values.reshape(2, *grid)
    if grid == shape and np.allclose(ratio, 1):
        return fields
    middle = (ratio - 1) / 2  # centres of first voxels
    finer = partial(ndimage.affine_transform, order=1, mode="nearest")
    return np.stack([finer(field, ratio, middle, shape) for field in fields])


def _noise(request: ScalarMap, shape: Sizes, seed: int, draw: int, labels: None) -> Floats:
    """Return noise between two seeds on the sphere, nearer the mean by the truncation."""
    del labels
    share = float(request.get("share", 0))
    size = np.float32(request.get("truncation", 1))
    noise = noise_field(shape, seed, draw)
    if share:
        second = noise_field(shape, int(request["to"]), draw)
        noise = np.float32(cos(share * pi / 2)) * noise + np.float32(sin(share * pi / 2)) * second
    return size * noise
