"""Training of StarDist by its own code, and models that it wrote."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from csbdeep.utils import normalize
from scipy.ndimage import zoom
from stardist import Rays_GoldenSpiral, calculate_extents

from cytosuite.algorithms.stardist.predict import KINDS, PERCENTILES, TOOL, scale_to
from cytosuite.contract.learning import Learned, Pair
from cytosuite.contract.progress import report, state
from cytosuite.errors import InputError
from cytosuite.files import Entries, Json, read_json
from cytosuite.files.archive import opened_zip
from cytosuite.volume.arrays import Lengths

CONFIG, THRESHOLDS, WEIGHTS = "config.json", "thresholds.json", "weights_best.h5"


def learn(pairs: Sequence[Pair], settings: Entries, scratch: Path) -> Learned:
    """Return a model trained from random weights; InputError of images that do not fit."""
    state(tool=TOOL)
    keras.utils.set_random_seed(settings["seed"])
    keras.utils.disable_interactive_logging()  # no bar of progress
    sized = not any(pair.image.spacing_is_assumed for pair in pairs)
    if len({pair.image.axes for pair in pairs}) > 1:
        raise InputError("stardist: a training takes planes or volumes, found both")
    middle = np.median([pair.image.spacing for pair in pairs], axis=0)
    spacing = tuple(float(step) for step in middle) if sized else None
    images, labels = map(list, zip(*(_scaled(pair, spacing) for pair in pairs), strict=True))
    kind, configured = KINDS[f"{pairs[0].image.axes}C"]
    tool = kind(configured(**_config(labels, settings)), name="model", basedir=str(scratch))
    held = range(4, len(pairs), 5) or range(len(pairs) - 1, len(pairs))
    seen = [n for n in range(len(pairs)) if n not in held] or held
    validation = [images[n] for n in held], [labels[n] for n in held]
    tool.prepare_for_training()
    epochs = settings["train_epochs"]
    after = keras.callbacks.LambdaCallback(on_epoch_end=lambda n, _: report(n + 1, epochs))
    tool.callbacks.append(after)
    tool.train(
        [images[n] for n in seen],
        [labels[n] for n in seen],
        validation_data=validation,
        augmenter=_turner(settings["seed"]),
    )
    tool.optimize_thresholds(*validation)
    return _learned(tool, spacing)


def convert(file: Path, scratch: Path) -> Learned:
    """Return a model that StarDist wrote, its folder as zip; InputError of another file."""
    state(tool=TOOL)
    expected = f"{file.name}: expected the folder of a StarDist model, or a zip of it"
    folder = scratch / "model"
    folder.mkdir()
    try:
        with opened_zip(file, names=(CONFIG, THRESHOLDS, WEIGHTS)) as archive:
            for member in archive.members:
                (folder / member.name).write_bytes(archive.read(member))
    except InputError as error:
        raise InputError(f"{expected}; {error}") from None
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise InputError(f"{expected}, with {CONFIG} and {WEIGHTS}, found no {name}")
    config = read_json(folder / CONFIG)
    axes = config.get("axes")
    channels = config.get("n_channel_in")
    if axes not in KINDS or channels != 1:
        raise InputError(
            f"{file.name}: expected a model of images with one channel, found axes {axes}, "
            f"{channels} channels"
        )
    try:
        return _learned(KINDS[axes][0](None, name=folder.name, basedir=str(scratch)), None)
    except (OSError, LookupError, ValueError, TypeError) as error:
        raise InputError(f"{expected}: {str(error).splitlines()[0][:100]}") from None


def _learned(tool: Any, spacing: Lengths | None) -> Learned:  # noqa: ANN401
    """Return configuration, thresholds and weights of the tool, these in their order."""
    weights = tool.keras_model.weights
    thresholds = {key: float(value) for key, value in tool.thresholds._asdict().items()}
    parameters = {"tool": TOOL, "config": vars(tool.config), "thresholds": thresholds}
    describes = {"axes": tool.config.axes.removesuffix("C")}
    if spacing is not None:
        parameters["spacing"] = describes["spacing"] = spacing
    tensors = {f"{n:03d}/{weight.path}": weight.numpy() for n, weight in enumerate(weights)}
    return Learned(parameters, tensors, describes)


def _scaled(pair: Pair, spacing: Lengths | None) -> tuple[Any, Any]:
    """Return a normalised image and its labels with voxels of the training's size."""
    image = np.asarray(pair.image.array)
    labels = pair.labels.array.astype(np.int32)
    if factors := scale_to(pair.image, spacing):
        image = zoom(image, factors, order=1)
        labels = zoom(labels, factors, order=0)
    return normalize(image, *PERCENTILES), labels


def _config(labels: Sequence[Any], settings: Entries) -> Json:
    """Return a configuration by the sizes of images and objects; InputError without these."""
    full = [image for image in labels if image.any()]
    if not full:
        raise InputError("stardist: a training needs labelled objects, found none")
    config = {key: value for key, value in settings.items() if key.startswith("train_")}
    config |= {"n_channel_in": 1, "train_tensorboard": False}
    flat = labels[0].ndim == 2
    patch, step = (settings["patch"], 16) if flat else (settings["volume_patch"], 8)
    shape = np.min([image.shape for image in labels], axis=0)
    shape[-2:] = min(shape[-2:])  # patches are turned
    config["train_patch_size"] = [int(n) // step * step for n in np.minimum(shape, patch)]
    if min(config["train_patch_size"]) == 0:
        raise InputError(f"stardist: a training needs images of {step} voxels along each axis")
    if flat:
        return {**config, "n_rays": settings["n_rays"], "grid": (2, 2)}
    sizes = np.median([calculate_extents(image) for image in full], axis=0)
    flatness = tuple(float(f) for f in sizes.max() / sizes)
    config |= {"anisotropy": flatness, "grid": tuple(1 if f > 1.5 else 2 for f in flatness)}
    return {
        **config,
        "rays": Rays_GoldenSpiral(settings["volume_n_rays"], anisotropy=flatness),
        "train_batch_size": 1,
    }


def _turner(seed: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """Return a function that mirrors and turns a patch in its plane, and changes its brightness."""
    random = np.random.default_rng(seed)

    def _turned(image: Any, labels: Any) -> tuple[Any, Any]:  # noqa: ANN401 - of the tool
        turns = int(random.integers(4))
        mirrored = random.random() < 0.5
        parts = [np.rot90(array, turns, axes=(-2, -1)) for array in (image, labels)]
        image, labels = (array[..., ::-1] if mirrored else array for array in parts)
        return image * random.uniform(0.6, 1.6) + random.uniform(-0.2, 0.2), labels

    return _turned
