"""The choice among the shipped models by the metadata of an image."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.errors import ModelError
from cytosuite.manifest import read_algorithm, read_card
from cytosuite.select import select
from cytosuite.training.publish import ALGORITHMS

WEIGHTS = ALGORITHMS.parent / "weights" / "cellpose3d"
CARDS = [read_card(path) for path in sorted(WEIGHTS.glob("*.json"))]
POLICY = read_algorithm(ALGORITHMS / "cellpose3d" / "algorithm.toml").select
known = st.fixed_dictionaries(
    {"axes": st.just("ZYX")},
    optional={
        "spacing": st.tuples(*[st.floats(0.02, 10)] * 3),
        "study": st.sampled_from(["mouse-embryo", "plant-tissue", "simulated-spheroid", "mine"]),
    },
)


def _channel(image):
    return select(CARDS, image, POLICY).card.describes["channel"]


@given(known)
def test_membranes_are_for_the_model_for_membranes_and_for_no_other(image):
    assert _channel(image | {"channel": "membrane"}) == "membrane"
    assert _channel(image | {"channel": "nucleus"}) == "nucleus"


@given(known, st.sampled_from([{}, {"channel": "DAPI"}]))
def test_images_of_an_unknown_channel_are_taken_for_nuclei(image, channel):
    others = [card for card in CARDS if card.describes["channel"] == "nucleus"]
    found = select(CARDS, image | channel, POLICY)
    assert found == select(others, image | channel, POLICY)


def test_nothing_known_at_all_is_a_nucleus():
    assert _channel({"axes": "ZYX"}) == "nucleus"


def test_a_plane_has_no_model():
    with pytest.raises(ModelError, match="made for axes ZYX, found YX"):
        select(CARDS, {"axes": "YX"}, POLICY)
