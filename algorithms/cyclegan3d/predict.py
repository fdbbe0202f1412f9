"""Entry point of the 3D CycleGAN: one simulated image in, the same in the look of a microscope."""

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from cytosuite.algorithms.cyclegan3d.fidelity import FidelityLimits, compare, complaint
from cytosuite.algorithms.cyclegan3d.network import Architecture, load
from cytosuite.algorithms.cyclegan3d.style import Style, light_in_counts, transfer
from cytosuite.algorithms.cyclegan3d.translate import Scale, translate
from cytosuite.contract.interface import image_of
from cytosuite.contract.manifest import parameters_of
from cytosuite.contract.progress import noted
from cytosuite.contract.spacing import warned
from cytosuite.contract.weights import Model
from cytosuite.denoising.camera import CameraModel, light_of
from cytosuite.errors import InputError
from cytosuite.files import ScalarMap, Scalars
from cytosuite.networks.network import Forward, Prediction, device, load_once
from cytosuite.networks.normalise import Target, in_dtype
from cytosuite.networks.tiling import Tiled
from cytosuite.volume import Volume, Volumes, seed_of
from cytosuite.volume.arrays import Array
from cytosuite.volume.pieces import gathered, slabs_of


class Parameters(Tiled):
    """``parameters`` of a card: with `network` a generator, without it the classical transfer."""

    network: Architecture | None = None  # arguments of the generator
    # units of the generator: of the image's background, of its dtype, of the target's background,
    # for an image that the classical transfer has brought there, or of photons: it translates
    # light, and the camera adds its noise; images of another camera take the style's levels first
    scale: Scale = "background"
    camera: CameraModel | None = None  # of both domains, for the scale light
    target: Target | None = None  # grey values of the target domain
    style: Style | None = None  # reference of the classical transfer, which stands in for a refusal
    # A translation that moves structure is replaced by the classical transfer, refused, or kept
    guard: Literal["replace", "refuse", "off"] = "replace"
    limits: FidelityLimits = FidelityLimits()  # of a translation that keeps the structure

    @model_validator(mode="after")
    def _complete(self) -> Self:
        """Refuse a card that cannot translate."""
        if not self.network and not self.style:
            raise ValueError("expected network (with target), style, or both")
        if self.network and not self.target:
            raise ValueError("expected target beside network")
        if self.scale == "style" and (not self.style or not self.target):
            raise ValueError("expected style and target for scale style")
        if (self.scale == "light") != (self.camera is not None):
            raise ValueError("expected camera for scale light, and for no other")
        return self


def predict(inputs: Volumes, model: Model) -> Volumes:
    """Return the ``enhanced-image`` of one image; InputError or ModelError if unfit."""
    volume = image_of(inputs)
    parameters = parameters_of(model.card, Parameters)
    if not parameters.network:
        return _result(volume, classical(volume, parameters), "style", {})
    if volume.axes != parameters.network.axes:
        raise InputError(
            f"this network translates the axes {parameters.network.axes}, found {volume.axes}"
        )
    translation, prediction = by_network(
        volume, load_once(model, parameters.network, load), parameters, device()
    )
    facts: Scalars = {"tiles": prediction.tiles}
    fault = None
    if parameters.guard != "off":  # the noise of a camera, drawn last, is none of the network's
        fidelity = compare(volume.array, translation, volume.spacing)
        facts |= {name: round(float(value), 4) for name, value in fidelity._asdict().items()}
        fault = complaint(fidelity, parameters.limits)
    if fault is None:
        return _result(volume, exposed(translation, volume, parameters), "network", facts)
    if parameters.guard == "refuse" or not parameters.style:
        raise InputError(
            f"the translation is refused, as it changes the structure ({fault}); give an image "
            "like those of the training, or a card with guard off or a style"
        )
    line = f"the network changes the structure ({fault}): classical transfer in its place"
    return _result(warned(volume, line), classical(volume, parameters), "style", facts)


def by_network(
    volume: Volume, forward: Forward, parameters: Parameters, device: str
) -> tuple[Array, Prediction]:
    """Return an image (of a camera's light) as the generator translates it, and its own values."""
    assert parameters.network is not None  # see Parameters
    assert parameters.target is not None
    image = prepared(volume, parameters)
    target = parameters.target
    if parameters.camera:  # counts come last
        target = target.model_copy(update={"dtype": "float32"})
    translation, prediction = translate(
        image if "Z" in volume.axes else np.expand_dims(image, -3),
        forward,
        parameters.network,
        parameters.scale,
        target,
        tile=parameters.tile,
        seed=seed_of(volume),
        device=device,
    )
    return translation.reshape(volume.shape), prediction


def exposed(light: Array, volume: Volume, parameters: Parameters) -> Array:
    """Return the counts of a translated image's light, the image itself without a camera."""
    assert parameters.target is not None  # see Parameters
    if not (camera := parameters.camera):
        return light
    counts = camera.expose(light, seed_of(volume))
    dtype = np.dtype(parameters.target.dtype)
    return gathered(counts.shape, dtype, (in_dtype(part, dtype) for part in slabs_of(counts)))


def prepared(volume: Volume, parameters: Parameters) -> Array:
    """Return an image as the scale takes it: after the classical transfer, or its light alone."""
    if parameters.camera and parameters.style:
        return light_in_counts(volume.array, volume.spacing, parameters.camera, parameters.style)
    if parameters.camera:
        return light_of(volume.array, parameters.camera)
    return classical(volume, parameters) if parameters.scale == "style" else volume.array


def classical(volume: Volume, parameters: Parameters) -> Array:
    """Return an image after the classical transfer; its noise is drawn by the image's digest."""
    assert parameters.style is not None  # see Parameters
    return transfer(
        volume.array, volume.spacing, parameters.style, np.random.default_rng(seed_of(volume))
    )


def _result(volume: Volume, image: Array, method: str, facts: ScalarMap) -> Volumes:
    return {"enhanced-image": noted(volume.like(image), "cyclegan3d", {"method": method, **facts})}
