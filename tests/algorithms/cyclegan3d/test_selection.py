import pytest

from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.select import select
from cytosuite.contract.weights import read_cards

CARDS = read_cards(ROOT / "weights/cyclegan3d", "cyclegan3d")
EMBRYO = {"axes": "ZYX", "channel": "nucleus", "spacing": [1.75, 0.8, 0.8]}
DISC = EMBRYO | {"spacing": [2.0, 0.8, 0.8]}


@pytest.mark.parametrize(
    "facts, name",
    [
        (EMBRYO, "ix71-embryo-3d"),
        (EMBRYO | {"microscope": "IX71"}, "ix71-embryo-3d"),
        (EMBRYO | {"method": "style"}, "ix71-style-3d"),
        (EMBRYO | {"microscope": "IX71", "method": "style"}, "ix71-style-3d"),
        (DISC, "cv1000-style-3d"),
        (DISC | {"microscope": "CV1000"}, "cv1000-style-3d"),
        (DISC | {"microscope": "CV1000", "method": "style"}, "cv1000-style-3d"),
    ],
)
def test_the_network_is_chosen_for_its_microscope_and_the_transfer_where_it_is_asked_for(
    facts, name
):
    assert select(CARDS, facts, algorithms()["cyclegan3d"].select).card.name == name
