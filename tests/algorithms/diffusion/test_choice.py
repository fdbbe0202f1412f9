"""The choice among trained cards, by the costs of `algorithm.toml`."""

import numpy as np
from sketches import SPACING, volume

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.manifest import ModelCard, read_algorithm
from cytosuite.contract.metadata import with_given
from cytosuite.contract.select import describe, select
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import read_cards

POLICY = read_algorithm(ROOT / "algorithms/diffusion/algorithm.toml").select
PLAIN = next(
    card for card in read_cards(ROOT / "weights/diffusion", "diffusion") if not card.weights
)
SCORED = {"held-out images": {"W1_by_std": 0.1}}


def _card(name, **describes):
    """Return the card of a trained network, with the entries that every training writes."""
    facts = {"axes": "ZYX", "spacing": SPACING, **describes}
    return ModelCard.model_validate(
        PLAIN.model_dump() | {"name": name, "scores": SCORED, "describes": facts}
    )


VOLUME = volume(np.zeros((4, 16, 16), np.uint8))


def test_a_network_of_labels_is_not_for_a_sketch_alone():
    # One of sketches takes both: of labels a sketch is made.
    labels = _card("labels", given="labels")
    sketches = _card("sketches")
    for slug, name in {"structure-sketch": "sketches", "instance-labels": "labels"}.items():
        image = with_given(VOLUME, TASKS["synthesise"], [slug])
        assert select([sketches, labels], describe(image), POLICY).card.name == name
        assert not select([sketches], describe(image), POLICY).broken
    assert with_given(VOLUME, TASKS["segment"], ["instance-labels"]) == VOLUME
