import pytest
from light_sheet import TINY

from cytosuite.algorithms.view_fusion.parameters import Parameters
from cytosuite.errors import InputError
from cytosuite.manifest import parse

NETWORK = TINY.model_dump(mode="json")


@pytest.mark.parametrize(
    "given",
    [
        {"method": "identity"},
        {"method": "gaussian", "sigma_px": 0.5},
        {"method": "classical", "classical": {}},
        {"method": "classical", "classical": {"steps": 0, "loss": {"strength": 0}}},
        {"method": "network", "network": {}},
        {"method": "network", "network": NETWORK, "tile": [48, 64, 64], "least_agreement": -1},
    ],
)
def test_a_card_holds_what_its_method_takes(given):
    assert parse("card", given, Parameters).method == given["method"]


def test_parameters_that_are_written_are_read_again():
    given = parse("card", {"method": "network", "network": NETWORK}, Parameters)
    assert parse("card", given.model_dump(mode="json"), Parameters) == given
    assert given.network == TINY


def missing():
    """method is missing"""
    return {}


def unknown():
    """method: input should be 'identity', 'gaussian', 'classical' or 'network', found 'magic'"""
    return {"method": "magic"}


def without_a_network():
    """method network needs network, found none"""
    return {"method": "network"}


def without_classical():
    """method classical needs classical, found none"""
    return {"method": "classical"}


def a_network_for_a_gaussian():
    """network is for method network, found method gaussian"""
    return {"method": "gaussian", "network": NETWORK}


def classical_for_a_network():
    """classical is for method classical, found method network"""
    return {"method": "network", "network": NETWORK, "classical": {}}


def all_halo():
    """tile must be at least [20, 40, 40] for this network, found [8, 44, 44]"""
    return {"method": "network", "network": NETWORK, "tile": [8, 44, 44]}


def a_negative_width():
    """sigma_px: input should be greater than or equal to 0, found -1"""
    return {"method": "gaussian", "sigma_px": -1}


def a_misspelt_key():
    """sigma_pix is not a known key; did you mean 'sigma_px'?"""
    return {"method": "gaussian", "sigma_pix": 1}


def no_number():
    """sigma_px: input should be a finite number, found nan"""
    return {"method": "gaussian", "sigma_px": float("nan")}


def no_pedestal():
    """classical.pedestal: input should be greater than 0, found 0"""
    return {"method": "classical", "classical": {"pedestal": 0}}


def a_gain_that_darkens():
    """classical.loss.most_gain: input should be greater than or equal to 1, found 0.5"""
    return {"method": "classical", "classical": {"loss": {"most_gain": 0.5}}}


@pytest.mark.parametrize(
    "mistake",
    [
        missing,
        unknown,
        without_a_network,
        without_classical,
        a_network_for_a_gaussian,
        classical_for_a_network,
        all_halo,
        a_negative_width,
        a_misspelt_key,
        no_number,
        no_pedestal,
        a_gain_that_darkens,
    ],
    ids=lambda mistake: mistake.__name__,
)
def test_contradictions_are_explained(mistake):
    with pytest.raises(InputError) as raised:
        parse("card", mistake(), Parameters)
    assert mistake.__doc__ in str(raised.value)
