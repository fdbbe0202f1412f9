import numpy as np
import pytest

from cytosuite.algorithms.cyclegan3d.measure import SHARES
from cytosuite.algorithms.cyclegan3d.network import Architecture
from cytosuite.algorithms.cyclegan3d.parameters import Parameters
from cytosuite.errors import InputError
from cytosuite.manifest import ModelCard, parameters_of
from cytosuite.tiling import plan

NETWORK = {"widths": [4, 6], "blocks": 1, "fold": 2}
TARGET = {"mean": 100.0, "sd": 5.0}
STYLE = {
    "dtype": "uint16",
    "background": 100.0,
    "spread": 2.0,
    "glow": np.linspace(110, 200, len(SHARES)).tolist(),
    "objects": np.linspace(200, 900, len(SHARES)).tolist(),
    "noise": {"offset": 90.0, "read_variance": 4.0, "gain": 0.5, "skew": 0.0},
    "blur_um": [2.0, 0.5],
}


def _card(**parameters):
    return ModelCard(
        name="m",
        version="0.1.0",
        algorithm="cyclegan3d",
        task="enhance",
        description="A test.",
        authors="nobody",
        license="Apache-2.0",
        describes={"axes": "ZYX"},
        parameters=parameters,
    )


def _parse(**parameters):
    return parameters_of(_card(**parameters), Parameters)


def test_a_card_has_a_network_or_a_style_or_both():
    assert _parse(network=NETWORK, target=TARGET).style is None
    assert _parse(style=STYLE).network is None
    both = _parse(network=NETWORK, target=TARGET, style=STYLE)
    assert both.network == Architecture.model_validate(NETWORK)
    assert (both.guard, both.scale, both.target.dtype) == ("replace", "background", "uint16")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, r"expected network \(with target\), style, or both"),
        ({"target": TARGET}, r"expected network \(with target\), style, or both"),
        ({"network": NETWORK}, "expected target beside network"),
        ({"network": NETWORK, "style": STYLE}, "expected target beside network"),
        ({"network": NETWORK, "target": {"mean": 1.0}}, "target.sd"),
        ({"network": {"widths": []}, "target": TARGET}, "network.widths"),
        ({"style": STYLE, "guard": "none"}, "guard"),
        ({"style": STYLE, "tile": [0, 9, 9]}, "tile"),
        ({"style": STYLE, "tiel": [9, 9, 9]}, "tiel is not a known key"),
        ({"style": STYLE, "scale": "range"}, "scale"),
        ({"style": STYLE, "scale": "style"}, "expected style and target for scale style"),
        (
            {"network": NETWORK, "target": TARGET, "scale": "style"},
            "expected style and target for scale style",
        ),
        ({"style": STYLE, "limits": {"nothing": 1}}, "limits"),
    ],
)
def test_a_card_that_cannot_translate_is_refused(given, message):
    with pytest.raises(InputError, match=f"card m: parameters: .*{message}"):
        _parse(**given)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("blocks", [0, 1])
@pytest.mark.parametrize("widths", [[4], [4, 4], [4, 4, 4]])
@pytest.mark.parametrize("fold", [1, 3])
def test_the_smallest_tile_can_be_planned_and_one_below_is_refused(axis, blocks, widths, fold):
    network = {"widths": widths, "blocks": blocks, "fold": fold}
    arguments = Architecture.model_validate(network)
    halo, multiple = arguments.halo, arguments.multiple
    least = [(-(-2 * h // m) + 1) * m for h, m in zip(halo, multiple, strict=True)]
    assert _parse(network=network, target=TARGET, tile=least).tile == tuple(least)
    shape = [2 * side for side in least]
    assert len(plan(shape, least, halo, multiple=multiple)) >= 8
    small = [side - (number == axis) for number, side in enumerate(least)]
    with pytest.raises(InputError, match=rf"tile must be at least \[{least[0]}, {least[1]}"):
        _parse(network=network, target=TARGET, tile=small)
    whole = {**network, "norm": "instance"}  # sees the image in one piece
    assert _parse(network=whole, target=TARGET, tile=[1, 1, 1]).tile == (1, 1, 1)


def test_the_default_tile_is_allowed_for_the_default_network():
    assert _parse(network={}, target=TARGET).tile == Parameters.model_fields["tile"].default
