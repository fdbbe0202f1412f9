"""The flow network in the words of the MONAI bundle."""

from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.contract.manifest import ModelCard, parameters_of
from cytosuite.training.bundle import NetworkFormat

IMAGE = "image: 0.5 asinh((grey value - background) / (3 sd of the background))"


def network_format(card: ModelCard) -> NetworkFormat:
    """Return inputs and outputs of the flow network of a card."""
    parameters = parameters_of(card, Parameters)
    flow = (f"flow along {axis} towards the object's centre, -1 to 1" for axis in "zyx")
    return NetworkFormat(
        parameters,
        inputs=[IMAGE] * parameters.network.channels,
        outputs=("level: logit of the brightness relative to the object's peak", *flow),
        options={"auxiliary": False},  # the channel that serves training alone
    )
