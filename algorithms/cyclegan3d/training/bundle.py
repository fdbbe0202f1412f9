"""The generator in the words of the MONAI bundle."""

from cytosuite.algorithms.cyclegan3d.predict import Parameters
from cytosuite.contract.manifest import ModelCard, parameters_of
from cytosuite.training.bundle import NetworkFormat

UNITS = {
    "background": "0.5 asinh((grey value - background) / (3 sd of the background))",
    "style": "0.5 asinh of the distance to the target's background in 3 of its sd",
    "light": "0.5 asinh of photons",
    "dtype": "range of the dtype as -1 to 1",
}


def network_format(card: ModelCard) -> NetworkFormat:
    """Return inputs and outputs of the generator of a card with weights."""
    parameters = parameters_of(card, Parameters)
    network = parameters.network
    units = UNITS[parameters.scale]
    assert network is not None  # of a card with weights
    whole = parameters.scale == "dtype" and not network.noise
    images = tuple(f"image of the first domain: {units}" for _ in range(network.channels))
    return NetworkFormat(
        parameters,
        inputs=(*images, *("normal noise of standard deviation 1" for _ in range(network.noise))),
        outputs=tuple("image of the target domain, in its units" for _ in images),
        input_range=(-1, 1) if whole else None,
        output_range=(-1, 1) if network.bounded else None,
        patches=network.norm == "voxel",
    )
