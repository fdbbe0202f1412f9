"""The choice among cards, by the costs of `algorithm.toml`, and the cards without a network."""

import numpy as np
import pytest
from mistakes import refused
from restorers import TINY

from cytosuite.algorithms.view_fusion.predict import Parameters
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.contract.choice_warnings import choice_warnings
from cytosuite.contract.manifest import parameters_of, parse, read_algorithm
from cytosuite.contract.metadata import described
from cytosuite.contract.select import describe, select
from cytosuite.contract.weights import read_cards
from cytosuite.volume import Volume

POLICY = read_algorithm(ROOT / "algorithms/view_fusion/algorithm.toml").select
CARDS = {card.name: card for card in read_cards(ROOT / "weights/view_fusion", "view_fusion")}


def _lines(selection, view):
    return [*choice_warnings(selection, view, describe(view))]


def _selected(view):
    return select(list(CARDS.values()), describe(view), POLICY)


def test_the_widths_are_those_of_the_challenge():
    for channel, sigma in {"nucleus": 0.442, "membrane": 0.5}.items():
        card = CARDS[f"gaussian-{channel}"]
        assert card.describes["channel"] == channel
        assert parameters_of(card, Parameters).sigma_px == sigma


GEOMETRY = {  # of the challenge: shape, voxel size in µm
    1: ((222, 731, 860), (1.0, 0.195, 0.195)),
    2: ((264, 2008, 1091), (1.0, 0.195, 0.195)),
    3: ((891, 817, 817), (1.0, 0.39, 0.39)),
    4: ((80, 1920, 1920), (3.0, 0.33, 0.33)),
    5: ((309, 1920, 1920), (1.01, 0.388, 0.388)),
}


def _of_challenge(number, channel, factor=1.0, **metadata):
    """Return a view as the challenge gives it, of which memory holds one voxel."""
    shape, spacing = GEOMETRY[number]
    array = np.broadcast_to(np.uint16(0), [int(factor * n) for n in shape])
    size = tuple(factor**0.1 * step for step in spacing)
    return Volume(array, size, metadata={"channel": channel, **metadata})


@pytest.mark.parametrize("number", GEOMETRY)
@pytest.mark.parametrize("channel", ["nucleus", "membrane"])
def test_each_study_and_channel_of_the_challenge_has_a_network(channel, number):
    for metadata in ({"study": number}, {"study": f"study {number}"}, {}):
        for factor in (0.9, 1.0, 1.1):
            view = _of_challenge(number, channel, factor, **metadata)
            choice = _selected(view)
            assert choice.card.name == f"{channel}-study{number}"
            assert (choice.fallback, _lines(choice, view)) == (False, [])


def _permuted(shape, spacing, rng):
    order = rng.permutation(3)
    return shape[order], spacing[order]


def _cut(shape, spacing, rng):
    return np.where(np.arange(3) == rng.integers(3), shape // 4, shape), spacing


CHANGES = {
    "voxel size 5 % wrong": (
        0.97,
        lambda shape, size, rng: (shape, size * rng.uniform(0.95, 1.05)),
    ),
    "axes in another order": (0.97, _permuted),
    "an axis cut to a quarter": (0.9, _cut),
    "no voxel size": (0.9, lambda shape, size, rng: (shape, np.ones(3))),
}


@pytest.mark.parametrize("name", CHANGES)
def test_without_a_study_most_views_get_the_network_of_their_shape_and_voxels(name, rng):
    (least, change), right = CHANGES[name], 0
    words = {"spacing_source": "assumed"} if name == "no voxel size" else {}
    for _ in range(300):
        number = int(rng.integers(1, 6))
        channel = ("nucleus", "membrane")[rng.integers(2)]
        shape = (np.array(GEOMETRY[number][0]) * rng.uniform(0.5, 1.25, 3)).astype(int)
        shape, spacing = change(shape, np.array(GEOMETRY[number][1]), rng)
        array = np.broadcast_to(np.uint16(0), shape)
        view = Volume(array, tuple(spacing.tolist()), "ZYX", {"channel": channel, **words})
        right += _selected(described(view, {})).card.name == f"{channel}-study{number}"
    assert right >= 300 * least


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.weights])
def test_every_shipped_network_is_better_than_view_and_gaussian(name):
    card = CARDS[name]
    (scores,) = card.scores.values()
    assert sorted(card.baselines) == ["gaussian", "identity"]
    assert scores["N_SSIM"] > max(baseline["N_SSIM"] for baseline in card.baselines.values())
    assert card.trained["device"]
    assert card.authors == "cytosuite developers"


@pytest.mark.parametrize(
    "channel, name", [("nucleus", "gaussian-nucleus"), ("membrane", "identity")]
)
def test_far_from_every_network_what_beats_the_view_is_taken_and_told(channel, name):
    for spacing in ((20.0, 9.0, 9.0), (0.1, 0.02, 0.02)):
        view = Volume(np.zeros((8, 9, 9), np.uint16), spacing, metadata={"channel": channel})
        choice = _selected(view)
        assert choice.card.name == name
        assert [line.partition(":")[0] for line in _lines(choice, view)] == ["no model near"]


@pytest.mark.parametrize(
    "channel, words", [("actin", "none was made for 'actin'"), ("", "not given by the file")]
)
def test_content_that_no_network_knows_is_handed_back_and_told(channel, words):
    for metadata in ({}, {"study": 3}):
        view = _of_challenge(3, channel, **metadata)
        choice = _selected(view)
        assert (choice.card.name, choice.fallback) == ("identity", False)
        line = f"no model for channel: {words}, identity serves any"
        assert [line.partition(";")[0] for line in _lines(choice, view)] == [line]


@pytest.mark.parametrize(
    "entries, message",
    [
        ({"method": "network"}, "method network needs network, found none"),
        (
            {"method": "gaussian", "network": TINY.model_dump(mode="json")},
            "network is for method network, found method gaussian",
        ),
    ],
)
def test_contradictions_are_explained(entries, message):
    refused(message, parse, "card", entries, Parameters)
