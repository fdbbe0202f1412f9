"""The choice among the shipped models by the metadata of an image."""

from hypothesis import given
from hypothesis import strategies as st

from cytosuite.contract.manifest import read_algorithm, read_card
from cytosuite.contract.select import select
from cytosuite.training.publish import ALGORITHMS

WEIGHTS = ALGORITHMS.parent / "weights/cellpose3d"
CARDS = [read_card(path) for path in sorted(WEIGHTS.glob("*.json"))]
POLICY = read_algorithm(ALGORITHMS / "cellpose3d/algorithm.toml").select
metadata = st.fixed_dictionaries(
    {"axes": st.just("ZYX")},
    optional={
        "spacing": st.tuples(*[st.floats(0.02, 10)] * 3),
        "study": st.sampled_from(["mouse-embryo", "plant-tissue", "simulated-spheroid", "mine"]),
    },
)


@given(metadata)
def test_membranes_are_for_the_model_for_membranes_and_all_else_for_nuclei(image):
    for channel in ("membrane", "nucleus"):
        assert (
            select(CARDS, image | {"channel": channel}, POLICY).card.describes["channel"] == channel
        )
    others = [card for card in CARDS if card.describes["channel"] == "nucleus"]
    for unknown in (image, image | {"channel": "DAPI"}):
        assert select(CARDS, unknown, POLICY) == select(others, unknown, POLICY)
