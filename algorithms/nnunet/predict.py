"""Entry point of nnU-Net: one image in, its instance labels out."""

from importlib.metadata import version
from os import environ
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from scipy import ndimage
from skimage.segmentation import watershed
from torch import nn

from cytosuite.contract import progress
from cytosuite.contract.interface import image_of
from cytosuite.contract.weights import Model, weights_of
from cytosuite.errors import InputError
from cytosuite.files import Entries, TextDict
from cytosuite.networks.network import device, load_once
from cytosuite.volume import Volumes
from cytosuite.volume.arrays import Bools, Bytes, Integers, Lengths, Spacing, Words

CLASSES = {"background": 0, "inside": 1, "border": 2}  # as in nnU-Net's dataset.json
Labels = Words
PLANES = "NaturalImage2DIO"  # nnU-Net's reader of planes, to which every pixel has the size 1


def classes_of(labels: Integers, spacing: Spacing, border_px: float) -> Bytes:
    """Return the classes of labels: within `border_px` of the finest voxels of others is border.

    An object that would be all border is all inside. Objects that touch have a border between them
    along coarse axes too.
    """
    width = border_px * min(spacing)
    reach = [max(1, int(width / step)) for step in spacing]
    offsets = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1)
    ball = ((offsets * np.asarray(spacing)) ** 2).sum(-1) <= width**2 * (1 + 1e-9)
    near = ball | (abs(offsets).sum(-1) == 1)
    numbers = labels.astype(np.int64)
    objects = labels > 0
    alone = np.where(objects, numbers, np.iinfo(np.int64).max)
    # The end of the image is no border.
    border = ndimage.minimum_filter(numbers, footprint=ball, mode="nearest") == 0
    border |= ndimage.maximum_filter(numbers, footprint=near, mode="nearest") != numbers
    border |= ndimage.minimum_filter(alone, footprint=near, mode="nearest") != numbers
    border &= np.isin(labels, np.unique(labels[objects & ~border]))
    return (objects * np.where(border, CLASSES["border"], CLASSES["inside"])).astype(np.uint8)


def instances_of(inside: Bools, border: Bools, spacing: Spacing) -> Labels:
    """Return connected insides as labels 1..n, grown over the border that they touch."""
    seeds, count = ndimage.label(inside)
    if not count:
        return np.zeros(inside.shape, np.uint32)
    distance = ndimage.distance_transform_edt(seeds == 0, sampling=spacing)
    return np.asarray(
        watershed(distance.astype(np.float32), seeds, mask=inside | border), dtype=np.uint32
    )


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``instance-labels`` of one image; InputError if model and image do not fit."""
    image = image_of(inputs, offset=False)
    parameters = model.card.parameters
    weights_of(model)
    flat = parameters["configuration"] == "2d"
    if flat != (image.axes == "YX"):
        raise InputError(
            f"card {model.card.name}: expected 2d for YX, 3d for ZYX, found "
            f"{parameters['configuration']}, the image is {image.axes}"
        )
    sized = parameters["plans"]["image_reader_writer"] != PLANES
    scaled = sized and not image.spacing_is_assumed
    progress.state(tool=tool(), size="given: voxel size" if scaled else "not used")
    spacing = (
        image.spacing if scaled else planned(parameters) if sized else (1.0,) * len(image.spacing)
    )
    labels = np.zeros(image.shape, np.uint32)
    if np.ptp(image.array) > 0:  # nnU-Net fails where all is 0
        network = load_once(model, parameters, load)
        classes = predictor(network, parameters).predict_single_npy_array(
            image.array.astype(np.float32)[(None, None) if flat else None],
            {"spacing": [999.0, *spacing] if flat else list(spacing)},
        )
        classes = np.reshape(classes, image.shape)
        labels = instances_of(classes == CLASSES["inside"], classes == CLASSES["border"], spacing)
    return {"instance-labels": image.like(labels)}


def planned(parameters: Entries) -> Lengths:
    """Return the voxel size [µm] of a model's plans, at which nnU-Net resamples nothing."""
    size = parameters["plans"]["configurations"][parameters["configuration"]][
        "spacing"
    ]  # of transposed axes
    full = [1.0, *size][-3:]
    return tuple(full[axis] for axis in parameters["plans"]["transpose_backward"])[-len(size) :]


def tool() -> str:
    """Return name and version of the tool."""
    return f"nnunetv2 {version('nnunetv2')}"


def predictor(network: nn.Module, parameters: Entries) -> Any:  # noqa: ANN401 - nnU-Net's
    """Return nnU-Net's predictor with a network, by the parameters of its card."""
    nnunet()
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    place = torch.device(device())
    plans = PlansManager(parameters["plans"])
    inference = nnUNetPredictor(
        tile_step_size=0.5,
        use_mirroring=parameters["mirroring"] is not None,
        perform_everything_on_device=place.type == "cuda",
        device=place,
        allow_tqdm=False,
    )
    inference.manual_initialization(
        network,
        plans,
        plans.get_configuration(parameters["configuration"]),
        [network.state_dict()],
        parameters["dataset"],
        "nnUNetTrainer",
        parameters["mirroring"],
    )
    inference.predict_logits_from_preprocessed_data = progress.network()(
        inference.predict_logits_from_preprocessed_data
    )
    return inference


def nnunet() -> None:
    """Let nnU-Net take no more threads than torch, before it is imported."""
    environ.setdefault("nnUNet_def_n_proc", str(torch.get_num_threads()))


def build(parameters: Entries) -> nn.Module:
    """Return the untrained network of a card's parameters."""
    from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plan = PlansManager(parameters["plans"]).get_configuration(parameters["configuration"])
    network: nn.Module = get_network_from_plans(
        plan.network_arch_class_name,
        plan.network_arch_init_kwargs,
        plan.network_arch_init_kwargs_req_import,
        len(parameters["dataset"]["channel_names"]),
        len(parameters["dataset"]["labels"]),
        allow_init=False,
        deep_supervision=False,
    )
    return network


def load(parameters: Entries, weights: Path) -> nn.Module:
    """Return the network of a card with its weights."""
    network = build(parameters)
    tensors = load_file(weights)
    network.load_state_dict({name: tensors[first] for name, first in names(network).items()})
    return network.eval()


def names(network: nn.Module) -> TextDict:
    """Return the first name of each tensor by all its names: nnU-Net's modules share them."""
    state = network.state_dict()
    first = dict[int, str]()
    return {name: first.setdefault(tensor.data_ptr(), name) for name, tensor in state.items()}
