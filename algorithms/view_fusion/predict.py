"""Entry point of view fusion: one light-sheet view in, an estimate of the fused views out."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from cytosuite.algorithms.view_fusion.classical import correct, smooth
from cytosuite.algorithms.view_fusion.fuse import agreement, restore
from cytosuite.algorithms.view_fusion.intensity import Units, units_of
from cytosuite.algorithms.view_fusion.network import load
from cytosuite.algorithms.view_fusion.parameters import Parameters
from cytosuite.errors import InputError
from cytosuite.interface import image_of
from cytosuite.manifest import parameters_of
from cytosuite.network import Forward, device, load_once
from cytosuite.spacing import warned
from cytosuite.tasks import VIEW
from cytosuite.volume import Scalar, Volume
from cytosuite.weights import Model

Made = tuple[NDArray[Any], dict[str, Scalar], str]  # image, facts, warning


def predict(inputs: Mapping[str, Volume], model: Model) -> Mapping[str, Volume]:
    """Return an estimate of the fused image from one view.

    Parameters
    ----------
    inputs : mapping of str to Volume
        ``fluorescence-lightsheet-3d-microscopy``: axes ZYX, or YX for a method without a network.
        A second view is not read: the challenge gives none.
    model : Model
        Card (`Parameters`) and, with a network, weights.

    Returns
    -------
    mapping of str to Volume
        ``fused-fluorescence-lightsheet-3d-microscopy``: of the view's shape, spacing, axes, dtype
        and grey values. Metadata keys that begin with ``view_fusion_`` give the method and its
        facts. An image without contrast is handed back as it is, and where the answer of the
        network is not finite, or does not agree with the view, the image is the smoothed view;
        both with a warning.

    Raises
    ------
    InputError
        If the image is one that `image_of` refuses or that the network cannot take, or a parameter
        of the card is unknown, contradicts another or is out of bounds.
    ModelError
        If the model has no weights for its network.
    """
    volume = image_of(inputs, VIEW)
    parameters = parameters_of(model.card, Parameters)
    network = None
    if parameters.network is not None:
        if volume.axes != "ZYX":
            raise InputError(f"this network restores volumes (ZYX), found {volume.axes}")
        network = load_once(model, parameters.network.model_dump(mode="json"), load)
    image, facts, warning = fused(volume, parameters, network)
    own = {f"view_fusion_{key}": value for key, value in facts.items()}
    result = replace(volume.like(image), metadata={**volume.metadata, **own})
    return {f"fused-{VIEW}": warned(result, warning) if warning else result}


def fused(volume: Volume, parameters: Parameters, network: Forward | None) -> Made:
    """Return the image that the method of a card makes of a view, facts, and a warning or "".

    Parameters
    ----------
    volume : Volume
        Axes ZYX, or YX without a network.
    parameters : Parameters
    network : callable or None
        For the method ``network``.
    """
    view = volume.array if volume.axes == "ZYX" else volume.array[None]
    spacing = volume.spacing if volume.axes == "ZYX" else (volume.spacing[0], *volume.spacing)
    units, facts = units_of(view), dict[str, Scalar]()
    method, warning = parameters.method, ""
    if units.flat and method != "identity":
        method, warning = "identity", "no contrast in the view: it is handed back as it is"
    image = view
    if method == "network":
        assert network is not None
        image, facts, warning = _by_network(view, spacing, units, parameters, network)
        method = "gaussian" if warning else method
    elif method == "classical":
        assert parameters.classical is not None  # see Parameters
        image, loss = correct(view, spacing, units, parameters.classical, tile=parameters.tile)
        facts["loss_per_mm"] = " ".join(f"{1000 * each:.3g}" for each in loss.per_um)
        facts["gain"] = round(float(loss.gain.values.max()), 3)
    if method == "gaussian":
        image = smooth(view, parameters.sigma_px, tile=parameters.tile)
    return image.reshape(volume.shape), {"method": method, **facts}, warning


def _by_network(
    view: NDArray[Any],
    spacing: tuple[float, ...],
    units: Units,
    parameters: Parameters,
    network: Forward,
) -> Made:
    """Return the answer of the network with facts, and the reason why it is refused, or ""."""
    assert parameters.network is not None  # see Parameters
    found = restore(
        view, spacing, units, network, parameters.network, tile=parameters.tile, device=device()
    )
    agrees = agreement(view, found.image, spacing)
    fault = ""
    if not found.finite:
        fault = "its answer is not finite"
    elif agrees < parameters.least_agreement:
        fault = f"its answer correlates with the view by {agrees:.2f}"
    facts: dict[str, Scalar] = {"tiles": found.tiles, "agreement": round(agrees, 4)}
    return (
        found.image,
        facts,
        fault and f"the network is refused ({fault}): smoothed view in its place",
    )
