"""Entry point of the diffusion model: one sketch in, an image of a microscope out."""

from dataclasses import replace
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator
from scipy import ndimage

from cytosuite.algorithms.diffusion.intensity import (
    GreyLevels,
    each_channel,
    grey_values,
    sketch_units,
)
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import OpenShare, parameters_of
from cytosuite.contract.progress import noted
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.denoising.camera import CameraModel
from cytosuite.denoising.network import DenoiserArguments, load
from cytosuite.denoising.noise import noise_field
from cytosuite.denoising.sampling import (
    Conditional,
    Keep,
    Process,
    blurred,
    of_channels,
    synthesise,
)
from cytosuite.errors import InputError
from cytosuite.files import Scalars
from cytosuite.networks.network import device, load_once
from cytosuite.networks.normalise import Target, denormalise, in_dtype, sketch_of_labels
from cytosuite.networks.tiling import Tiled
from cytosuite.volume import Volume, Volumes, seed_of
from cytosuite.volume.arrays import Array, Image
from cytosuite.volume.memory import need_memory

SKETCH, LABELS, MADE = "structure-sketch", "instance-labels", "synthetic-image"
LAYERS = "layered-labels"
SERIES = "series_seed"  # of the labels of a time series, the same in all frames
NEAR = 3  # voxels around an object that its light reaches
COURSE = "sampling-course"
FAINT = 1e-3  # of the signal: below, an error of the noise is 30 times as large in the image
PLAIN_NOISE = 1 / 6  # sd of a background in units of the network, see cytosuite.networks.normalise
_COPIES = 9  # of the image that are in memory at once, float32

Given = Literal["sketch", "labels"]


class Parameters(Tiled):
    """``parameters`` of a card: with `network` a diffusion model, without it the plain sketch."""

    network: DenoiserArguments | None = None  # arguments of the denoiser
    process: Process = Process()  # the way from a sketch over noise to an image
    # grey values of the images to be made, or of each channel
    target: Target | GreyLevels | tuple[Target | GreyLevels, ...]
    camera: CameraModel | None = None  # of the images, where the network makes their light alone
    # input that counts where a case has both, as in the training. labels: never a sketch; sketch:
    # one is made of labels where there is none.
    given: Given = "sketch"
    dropped: OpenShare = 0  # share of the training's crops without a sketch
    # of the noise; by default `series_seed` of the labels, or the image's digest
    seed: int | None = Field(None, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _fits_the_network(self) -> Self:
        """Refuse targets that are not one per channel, and guidance by a network without it."""
        if self.network:
            for name, value in (("target", self.target), ("contrast", self.process.contrast)):
                several = len(of_channels(value, 1))
                count = self.network.channels
                if several not in (1, count):
                    raise ValueError(f"{name} must be one, or one per channel, {count}: {several}")
        if self.process.guidance > 1 and not self.dropped:
            raise ValueError(
                "process.guidance must be 1 for a network that was always given its sketch "
                f"(dropped is 0), found {self.process.guidance:g}; train one with crops.dropped"
            )
        return self


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return a ``synthetic-image`` of a sketch or of labels, in the grey values of real images."""
    parameters = parameters_of(model.card, Parameters)
    volume, sketch = _sketch(inputs, parameters.given)
    network = None
    if parameters.network:
        arguments = parameters.network
        noun = f"{'volumes' if arguments.dimensions == 3 else 'planes'} ({arguments.axes})"
        if arguments.channels > 1:
            noun += f" of {arguments.channels} channels"
        if volume.axes != arguments.axes or (
            arguments.channels > 1 and volume.shape[0] != arguments.channels
        ):
            raise InputError(
                f"this network makes {noun}, found {volume.axes} of the shape {volume.shape}"
            )
        network = load_once(model, arguments, load)
    seed = seed_of(volume) if parameters.seed is None else parameters.seed
    course: list[Image] = []
    if LAYERS in inputs and parameters.given == "labels":
        image = _overlapping(volume, inputs[LAYERS], parameters, network, seed)
    else:
        series = volume.metadata.get(SERIES)
        moving = None
        whole = volume.array.dtype.kind in "iu" and "C" not in volume.axes
        if network and isinstance(series, int) and whole:
            moving = volume.array
            if parameters.seed is None:
                seed = abs(series)
        keep = course.append
        image = from_sketch(volume, sketch, parameters, network, seed, device(), keep, moving)
    image = warned(image, doubt_of(parameters.network, parameters.process))
    if not course:
        return {MADE: image}
    frames = np.stack([_grey(frame, volume, parameters) for frame in course])
    return {MADE: image, COURSE: replace(image, array=frames, axes=f"T{volume.axes}")}


def doubt_of(network: DenoiserArguments | None, process: Process) -> str:
    """Return the caution for images that a network of noise makes of noise alone, or nothing."""
    if not network or network.predicts != "noise" or process.left >= FAINT:
        return ""
    return (
        f"start from noise alone: the network predicts noise, of which no image follows at a "
        f"signal of {process.left:g}; set process.t_start to {process.schedule.steps_to(0.01)} or "
        "less, or train one that predicts velocity"
    )


def _overlapping(
    labels: Volume, layers: Volume, parameters: Parameters, network: Conditional | None, seed: int
) -> Volume:
    """Return an image of overlapping objects: layers are made alone, and their light is added."""
    if layers.shape[1:] != labels.shape[1:] or layers.shape[0] % labels.shape[0]:
        raise InputError(
            f"{LAYERS}: expected label images of the shape {labels.shape}, joined along the first "
            f"axis, found {layers.shape}"
        )
    target = parameters.target
    if isinstance(target, tuple):
        raise InputError(
            f"{LAYERS}: expected a model of one channel, found {len(target)}; give labels alone"
        )
    plain = parameters.model_copy(
        update={"target": target.model_copy(update={"dtype": "float32"}), "camera": None}
    )
    ground = target.mean if isinstance(target, Target) else target.dark
    light = np.zeros(labels.shape, np.float32)
    layer = labels
    parts = layers.array.reshape(-1, *labels.shape)
    for number, part in enumerate(parts):
        layer = from_sketch(
            labels, sketch_of_labels(part), plain, network, (seed + number) % 2**64, device()
        )
        # Further layers have no ground of their own: its noise would add up.
        near = ndimage.binary_dilation(part > 0, iterations=NEAR).astype(np.float32)
        share = ndimage.gaussian_filter(near, 1) if number else 1
        light += share * (layer.array - np.float32(ground))
    light += np.float32(ground)
    counts = parameters.camera.expose(light, seed) if parameters.camera else light
    return noted(layer.like(in_dtype(counts, target.dtype)), "diffusion", {"layers": len(parts)})


def from_sketch(
    volume: Volume,
    sketch: Image,
    parameters: Parameters,
    network: Conditional | None,
    seed: int,
    device: str,
    keep: Keep = lambda _: None,
    moving: Array | None = None,
) -> Volume:
    """Return the image of a sketch, plain without a network; noise moves with labels `moving`."""
    deep = sketch if "Z" in volume.axes else np.expand_dims(sketch, -3)
    source = "by image" if moving is None else "by series"
    origin = source if parameters.seed is None else parameters.seed
    facts: Scalars = {"method": "plain", "seed": origin}
    process = parameters.process
    if not network or not parameters.network:
        values = blurred(deep, process) + PLAIN_NOISE * noise_field(deep.shape, seed, 0)
    else:
        need_memory(
            deep.size * 4 * _COPIES,
            f"an image of {' x '.join(map(str, deep.shape))} voxels takes",
            "make it in parts, or give more memory",
        )
        synthesis = synthesise(
            deep,
            network,
            parameters.network,
            process,
            tile=parameters.tile,
            spacing=(1.0, *volume.spacing)[-3:],
            seed=seed,
            moving=None if moving is None else moving.reshape(deep.shape),
            device=device,
            keep=keep,
        )
        values = synthesis.values
        guided = {"guidance": process.guidance} if process.guidance > 1 else {}
        facts |= guided | {
            "method": "network",
            "solver": process.solver,
            "steps": process.steps,
            "t_start": process.start,
            "signal": round(process.left, 6),
            "tiles": synthesis.tiles,
            "evaluations": synthesis.evaluations,
        }
    return noted(volume.like(_grey(values, volume, parameters)), "diffusion", facts)


def _grey(values: Image, volume: Volume, parameters: Parameters) -> Array:
    """Return an image of a volume's axes in grey values from units of the network."""
    target = parameters.target
    targets = iter(target if isinstance(target, tuple) else [target] * len(volume.channels))
    image = volume.like(values.reshape(volume.shape))
    if not parameters.camera:
        return each_channel(lambda channel: grey_values(channel, next(targets)), image)
    # The camera's noise moves with no object: frames of a series have their own.
    seed = seed_of(volume) if parameters.seed is None else parameters.seed
    return in_dtype(
        parameters.camera.expose(denormalise(image.array, parameters.camera.units), seed),
        next(targets).dtype,
    )


def _sketch(inputs: Volumes, kind: Given) -> tuple[Volume, Image]:
    """Return the input that counts, and the sketch that it holds or that is made of its labels."""
    if kind == "labels" and LABELS not in inputs and SKETCH in inputs:
        raise InputError(
            f"this model was trained on sketches of labels, expected {LABELS}, found {SKETCH} "
            "alone; give labels (integers), or another model: plain-sketch"
        )
    if kind == "sketch" and SKETCH in inputs:
        volume = image_of(inputs, SKETCH, "CZYX")
        return volume, each_channel(sketch_units, volume)
    volume = image_of(inputs, LABELS, "CZYX")
    if volume.array.dtype.kind not in "iu":
        raise InputError(f"{LABELS} must be integers, found {volume.array.dtype}")
    return volume, each_channel(sketch_of_labels, volume)
