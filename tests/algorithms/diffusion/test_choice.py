"""The choice among trained cards, by the costs of `algorithm.toml`."""

from functools import partial
from math import log

import numpy as np
import pytest
from sketches import FLAT, SPACING, TINY, volume

from cytosuite.benchmark.catalog import ROOT
from cytosuite.cautions import cautions
from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, read_algorithm
from cytosuite.metadata import with_given
from cytosuite.select import describe, select
from cytosuite.tasks import TASKS
from cytosuite.weights import read_cards

POLICY = read_algorithm(ROOT / "algorithms" / "diffusion" / "algorithm.toml").select
PLAIN = next(
    card for card in read_cards(ROOT / "weights" / "diffusion", "diffusion") if not card.weights
)
SCORED = {"held-out images": {"W1_by_std": 0.1}}


def _card(name, network=TINY, scores=SCORED, **describes):
    """Return the card of a trained network, with the entries that every training writes."""
    axes = "ZYX"[-network.dimensions :]
    known = {"axes": axes, "spacing": SPACING[-network.dimensions :], **describes}
    entries = PLAIN.model_dump() | {"name": name, "scores": scores, "describes": known}
    return ModelCard.model_validate(entries)


def _chosen(cards, image):
    return select(cards, describe(image), POLICY).card.name


VOLUME = volume(np.zeros((4, 16, 16), np.uint8))
PLANE = volume(np.zeros((16, 16), np.uint8))


def test_volumes_and_planes_get_the_card_that_is_made_for_them():
    deep, flat = _card("deep"), _card("flat", FLAT)
    for cards in ([deep, flat, PLAIN], [PLAIN, flat, deep]):
        assert _chosen(cards, VOLUME) == "deep"
        assert _chosen(cards, PLANE) == "flat"


@pytest.mark.parametrize(("own", "other"), [(TINY, PLANE), (FLAT, VOLUME)])
def test_a_card_for_other_axes_is_never_taken(own, other):
    """Not even where all else fits and nothing else is trained: `plain-sketch` is not scored."""
    card, image = _card("trained", own, channel="membrane"), other
    image.metadata["channel"] = "membrane"
    for cards in ([card, PLAIN], [card]):
        with pytest.raises(ModelError, match=rf"made for axes \w+, found {image.axes}"):
            select(cards, describe(image), POLICY)


def test_the_plain_sketch_serves_every_image_where_nothing_is_trained():
    assert _chosen([PLAIN], VOLUME) == _chosen([PLAIN], PLANE) == "plain-sketch"
    unscored = _card("unscored", scores={})
    assert _chosen([unscored, _card("scored"), PLAIN], VOLUME) == "scored"
    with pytest.raises(ModelError, match="by itself, name one .*: plain-sketch: .*; unscored: "):
        select([PLAIN, unscored], describe(VOLUME), POLICY)


def test_a_card_is_taken_by_channel_then_microscope_and_voxel_size():
    cards = [
        _card("nuclei", channel="nucleus", microscope="IX71"),
        _card("membranes", channel="membrane", microscope="LSM"),
        _card("light-sheet", channel="membrane", microscope="SPIM"),
        _card("coarse", channel="membrane", microscope="LSM", spacing=(4.0, 1.6, 1.6)),
    ]
    image = partial(volume, np.zeros((4, 16, 16), np.uint8))
    assert _chosen(cards, image(channel="nucleus", microscope="LSM")) == "nuclei"
    assert _chosen(cards, image(channel="membrane", microscope="SPIM")) == "light-sheet"
    assert _chosen(cards, image(channel="membrane", microscope="LSM")) == "membranes"
    other = describe(image(channel="membrane", microscope="IX71"))
    assert select(cards[1:2], other, POLICY).terms["microscope"] == 1
    assert select(cards[3:], other, POLICY).terms["spacing"] == pytest.approx(3 * log(2))


def test_a_network_of_labels_is_not_for_a_sketch_alone():
    """One of sketches takes both: of labels a sketch is made."""
    labels, sketches = _card("labels", given="labels"), _card("sketches")
    for slug, name in {"structure-sketch": "sketches", "instance-labels": "labels"}.items():
        image = with_given(VOLUME, TASKS["synthesise"], [slug])
        assert _chosen([sketches, labels], image) == name
        assert not select([sketches], describe(image), POLICY).broken
    assert with_given(VOLUME, TASKS["segment"], ["instance-labels"]) == VOLUME


def test_another_channel_is_taken_with_a_doubt_where_there_is_none_for_it():
    image = volume(np.zeros((4, 16, 16), np.uint8), channel="vessels")
    found = select([_card("nuclei", channel="nucleus"), PLAIN], describe(image), POLICY)
    assert (found.card.name, found.fallback, found.broken) == ("nuclei", True, ("channel",))
    (doubt,) = cautions(found, image)
    assert doubt == "model does not fit: channel is 'vessels', nuclei was made for 'nucleus'"
