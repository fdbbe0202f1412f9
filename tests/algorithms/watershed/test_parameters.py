import json
import math
from pathlib import Path

import pytest

from cytosuite.algorithms.watershed.parameters import Parameters
from cytosuite.errors import InputError
from cytosuite.manifest import parse

WEIGHTS = Path(__file__).parents[3] / "weights" / "watershed"
CARDS = sorted(WEIGHTS.glob("*.json"))


def test_there_are_cards():
    assert {card.stem for card in CARDS} >= {"embryo-nuclei-3d", "nuclei-2d", "tissue-nuclei-3d"}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.stem)
def test_every_card_gives_valid_parameters(card):
    content = json.loads(card.read_text())
    parameters = Parameters(**content["parameters"])
    assert isinstance(parameters.radii_um, tuple)
    assert content["name"] == card.stem
    assert content["algorithm"] == "watershed"
    axes = content["describes"]["axes"]
    size = content["describes"].get("spacing", ())
    assert len(size) == (0 if parameters.in_pixels else len(axes))
    assert all(
        math.isfinite(score) for scores in content["scores"].values() for score in scores.values()
    )


def test_lists_become_tuples_so_that_equal_cards_are_equal():
    assert Parameters(radii_um=[2, 3]) == Parameters(radii_um=(2.0, 3.0))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("smoothing_um", -1.0, "smoothing_um: .* greater than or equal to 0, found -1.0"),
        ("smoothing_um", math.nan, "smoothing_um: .* finite number, found nan"),
        ("smoothing_um", math.inf, "smoothing_um: .* finite number, found inf"),
        ("merge_ratio", 1.5, "merge_ratio: .* less than or equal to 1, found 1.5"),
        ("minimum_size", "small", "minimum_size: .* valid number, found 'small'"),
        ("minimum_size", True, "minimum_size: .* valid number, found True"),
        ("maximum_size", math.nan, "maximum_size: .* greater than or equal to 0, found nan"),
        ("passes", 1.5, "passes: .* valid integer, found 1.5"),
        ("radii_um", (), "radii_um: .* at least 1 item"),
        ("radii_um", (0.0,), "radii_um.0: .* greater than 0, found 0.0"),
        ("relative_radii", (-1.0,), "relative_radii.0: .* greater than 0"),
    ],
)
def test_refuses_values_out_of_bounds(name, value, message):
    with pytest.raises(InputError, match=message):
        parse("card", {name: value}, Parameters)


def test_no_upper_limit_of_the_size_is_allowed():
    assert Parameters(maximum_size=math.inf).maximum_size == math.inf
