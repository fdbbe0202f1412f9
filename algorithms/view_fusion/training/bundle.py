"""The restorer in the words of the MONAI bundle."""

from cytosuite.algorithms.view_fusion.predict import Parameters
from cytosuite.contract.manifest import ModelCard, parameters_of
from cytosuite.training.bundle import NetworkFormat

VIEW = "view: 0 and 1 are its percentiles 2 and 99.8; logarithmic beyond 2 and -2"
BESIDE = {
    "distance": "signed distance to the specimen's surface, tanh(d / 50 µm), positive inside",
    "light": "brightness of the specimen around the voxel, octaves / 3, -1 to 1",
}


def network_format(card: ModelCard) -> NetworkFormat:
    """Return inputs and outputs of the restorer of a card with weights."""
    parameters = parameters_of(card, Parameters)
    assert parameters.network is not None  # of a card with weights
    return NetworkFormat(
        parameters,
        inputs=(VIEW, *(BESIDE[name] for name in parameters.network.inputs)),
        outputs=("fused image, in units of the view",),
    )
