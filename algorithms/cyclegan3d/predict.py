"""Entry point of the 3D CycleGAN: one simulated image in, the same in the look of a microscope."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytosuite.algorithms.cyclegan3d.fidelity import compare, complaint
from cytosuite.algorithms.cyclegan3d.network import load
from cytosuite.algorithms.cyclegan3d.parameters import Parameters
from cytosuite.algorithms.cyclegan3d.style import transfer
from cytosuite.algorithms.cyclegan3d.translate import translate
from cytosuite.errors import InputError
from cytosuite.interface import image_of
from cytosuite.manifest import parameters_of
from cytosuite.network import Forward, Prediction, device, load_once
from cytosuite.spacing import warned
from cytosuite.volume import Scalar, Volume, seed_of
from cytosuite.weights import Model


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Volume]:
    """Return one image in the look of the model's target domain.

    Parameters
    ----------
    inputs : mapping of str to Volume
        ``microscopy-image``: axes ZYX, or YX for a model without a network.
    model : Model
        Card (`Parameters`) and, with a network, weights.

    Returns
    -------
    mapping of str to Volume
        ``enhanced-image``: of the same shape, spacing and axes, in the grey values and the dtype of
        the target domain. Metadata keys that begin with ``cyclegan3d_`` give the method and how
        well structure was kept. Where the network has moved, lost or invented structure, the
        image comes from the classical transfer, with a warning.

    Raises
    ------
    InputError
        If the image is one that `image_of` refuses or that the network cannot take, a parameter of
        the card is unknown or out of bounds, or the translation is refused.
    ModelError
        If the model has no weights for its network.
    """
    volume = image_of(inputs)
    parameters = parameters_of(model.card, Parameters)
    if parameters.network is None:
        return {"enhanced-image": _result(volume, classical(volume, parameters), "style", {})}
    if volume.axes != "ZYX":
        raise InputError(f"this network translates volumes (ZYX), found {volume.axes}")
    network = load_once(model, parameters.network.model_dump(mode="json"), load)
    made, found = by_network(volume, network, parameters, device())
    facts: dict[str, Scalar] = {"tiles": found.tiles}
    if parameters.guard == "off":
        return {"enhanced-image": _result(volume, made, "network", facts)}
    fidelity = compare(volume.array, made, volume.spacing)
    facts |= {name: round(float(value), 4) for name, value in fidelity._asdict().items()}
    fault = complaint(fidelity, parameters.limits)
    if fault is None:
        return {"enhanced-image": _result(volume, made, "network", facts)}
    if parameters.guard == "refuse" or parameters.style is None:
        raise InputError(
            f"the translation is refused, as it changes the structure ({fault}); give an image "
            "like those of the training, or a card with guard off or a style"
        )
    result = _result(volume, classical(volume, parameters), "style", facts)
    line = f"the network changes the structure ({fault}): classical transfer in its place"
    return {"enhanced-image": warned(result, line)}


def by_network(
    volume: Volume, forward: Forward, parameters: Parameters, device: str
) -> tuple[NDArray[Any], Prediction]:
    """Return an image as the generator translates it, and its values in units of the network.

    With the scale ``style`` it refines the classical transfer. Noise that it takes is drawn by the
    image's digest.
    """
    assert parameters.network is not None  # see Parameters
    assert parameters.target is not None
    return translate(
        classical(volume, parameters) if parameters.scale == "style" else volume.array,
        forward,
        parameters.network,
        parameters.scale,
        parameters.target,
        tile=parameters.tile,
        seed=seed_of(volume),
        device=device,
    )


def classical(volume: Volume, parameters: Parameters) -> NDArray[Any]:
    """Return an image after the classical transfer; its noise is drawn by the image's digest."""
    assert parameters.style is not None  # see Parameters
    rng = np.random.default_rng(seed_of(volume))
    return transfer(volume.array, volume.spacing, parameters.style, rng)


def _result(
    volume: Volume, image: NDArray[Any], method: str, facts: Mapping[str, Scalar]
) -> Volume:
    """Return the translated volume with facts about its making."""
    own = {f"cyclegan3d_{key}": value for key, value in {"method": method, **facts}.items()}
    return replace(volume.like(image), metadata={**volume.metadata, **own})
