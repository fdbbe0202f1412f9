import re
from types import SimpleNamespace

import pytest

from cytosuite.algorithms.cellpose3d.parameters import Parameters, trained_of
from cytosuite.errors import InputError
from cytosuite.manifest import parameters_of

NETWORK = {"widths": [4, 4, 4], "fold": 2}


def card(parameters=None, **describes):
    return SimpleNamespace(
        name="test", parameters={"network": NETWORK} | (parameters or {}), describes=describes
    )


def test_a_network_is_all_a_card_must_give():
    assert parameters_of(card(), Parameters) == Parameters(network=NETWORK)
    assert parameters_of(card({"tile": [32, 64, 64]}), Parameters).tile == (32, 64, 64)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"taw": 0.3}, "card test: parameters: taw is not a known key; did you mean 'tau'?"),
        ({"tau": 1.0}, "card test: parameters: tau: input should be less than 1, found 1.0"),
        ({"steps": 0}, "steps: input should be greater than or equal to 1, found 0"),
        ({"tile": [0, 64, 64]}, "tile.0: input should be greater than or equal to 1"),
        ({"halo": [8, 8]}, "halo.2 is missing"),
        ({"network": {"fold": 2}}, "network.widths is missing"),
        ({"min_volume_um3": 5, "max_volume_um3": 4}, "min_volume_um3 must not exceed max_volume"),
        ({"tile": [16, 64, 64]}, "tile must be at least [20, 56, 56] for this halo and network"),
    ],
)
def test_explains(parameters, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        parameters_of(card(parameters), Parameters)
    assert "\n" not in str(caught.value)


def test_the_size_of_the_training_is_read():
    found = trained_of(card(spacing=(2.0, 1.0, 0.5), diameter_um=11, axes="ZYX"))
    assert (found.spacing, found.diameter_um) == ((2.0, 1.0, 0.5), 11.0)


@pytest.mark.parametrize(
    ("describes", "message"),
    [
        ({"diameter_um": 11.0}, "card test: describes: spacing is missing"),
        ({"spacing": (1.0, 1.0), "diameter_um": 11.0}, "describes: spacing.2 is missing"),
        ({"spacing": (1.0, 1.0, 1.0)}, "describes: diameter_um is missing"),
        (
            {"spacing": (1.0, 1.0, 1.0), "diameter_um": -1},
            "diameter_um: input should be greater than 0, found -1",
        ),
    ],
)
def test_explains_a_card_without_the_size_of_its_training(describes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        trained_of(card(**describes))
