"""The denoiser in the words of the MONAI bundle."""

from math import pi

from cytosuite.algorithms.diffusion.parameters import Parameters
from cytosuite.manifest import ModelCard, parameters_of
from cytosuite.training.network_format import NetworkFormat, tensor

PHASE = "phase of the noise, one number per image (shape N): 0 an image, pi / 2 noise alone"
ANSWERS = {
    "velocity": "cos(time) noise - sin(time) image",
    "noise": "noise of standard deviation 1",
}
SOCKETS = {"sketch": "structure-sketch", "labels": "instance-labels"}


def network_format(card: ModelCard) -> NetworkFormat:
    """Return inputs and outputs of the denoiser of a card with weights."""
    parameters = parameters_of(card, Parameters)
    network = parameters.network
    assert network is not None  # of a card with weights
    given = ("sketch: 0 is ground, 1 objects, on average",) if network.conditioned else ()
    time = tensor((PHASE,), (), (0, round(pi / 2, 6)), kind="tuples", content="raw", patches=False)
    return NetworkFormat(
        network,
        network.multiple,
        inputs=("noised image: cos(time) image + sin(time) noise", *given),
        outputs=(ANSWERS[network.predicts],),
        others={"time": time},
        socket=SOCKETS[parameters.given],
    )
