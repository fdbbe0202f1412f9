"""The denoiser in the words of the MONAI bundle."""

from math import pi

from cytosuite.algorithms.diffusion.predict import Parameters
from cytosuite.contract.manifest import ModelCard, parameters_of
from cytosuite.training.bundle import NetworkFormat, tensor

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
    sketch = ("sketch: 0 is ground, 1 objects, on average",) if network.conditioned else ()
    names = [f", channel {number}" for number in range(network.channels)]

    def listed(*texts: str) -> list[str]:
        """Return a text for each channel."""
        return [text + of for text in texts for of in (names if names[1:] else ("",))]

    noise = [f"{network.noise_channel} noise"] if network.noise_channel is not None else []
    time = tensor((PHASE,), (), (0, round(pi / 2, 6)), patches=False)
    time |= {"type": "tuples", "format": "raw", "modality": "n/a"}
    return NetworkFormat(
        parameters,
        inputs=[*listed("noised image: cos(time) image + sin(time) noise", *sketch), *noise],
        outputs=listed(ANSWERS[network.predicts]),
        others={"time": time},
        socket=SOCKETS[parameters.given],
    )
