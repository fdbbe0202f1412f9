"""The choice among cards, by the costs of `algorithm.toml`, and the cards without a network."""

import numpy as np
import pytest
from light_sheet import TINY

from cytosuite.algorithms.view_fusion.parameters import Parameters
from cytosuite.benchmark.catalog import ROOT
from cytosuite.errors import ModelError
from cytosuite.manifest import ModelCard, parameters_of, read_algorithm
from cytosuite.select import describe, select
from cytosuite.volume import Volume
from cytosuite.weights import read_cards

POLICY = read_algorithm(ROOT / "algorithms" / "view_fusion" / "algorithm.toml").select
CARDS = {card.name: card for card in read_cards(ROOT / "weights" / "view_fusion", "view_fusion")}
SCORES = {"held-out views": {"N_SSIM": 0.3}}
BASELINES = {"identity": {"N_SSIM": 0.0}, "gaussian": {"N_SSIM": 0.1}}
SPACINGS = {1: (1.0, 0.195, 0.195), 3: (1.0, 0.39, 0.39), 4: (3.0, 0.33, 0.33)}
SHAPES = {1: (222, 731, 860), 3: (891, 817, 817), 4: (80, 1920, 1920)}


def _network(study, channel="nucleus"):
    """Return the card of a trained network."""
    known = {
        "axes": "ZYX",
        "channel": channel,
        "study": study,
        "spacing": SPACINGS[study],
        "shape": SHAPES[study],
    }
    own = {"method": "network", "network": TINY.model_dump(mode="json")}
    entries = CARDS["identity"].model_dump() | {"name": f"study{study}-{channel}"}
    entries |= {"describes": known, "scores": SCORES, "baselines": BASELINES, "parameters": own}
    return ModelCard.model_validate(entries)


def _view(number, **metadata):
    """Return a view with the geometry of a study, of which memory holds one voxel."""
    array = np.broadcast_to(np.uint16(0), SHAPES[number])
    return Volume(array, SPACINGS[number], metadata=metadata)


def _chosen(cards, view):
    return select([*cards, CARDS["identity"]], describe(view), POLICY).card.name


NETWORKS = [_network(1), _network(3), _network(4), _network(1, "membrane"), _network(3, "membrane")]


@pytest.mark.parametrize("study", SHAPES)
@pytest.mark.parametrize("channel", ["nucleus", "membrane"])
def test_the_network_of_study_and_channel_is_taken(study, channel):
    if (study, channel) == (4, "membrane"):
        return
    view = _view(study, study=study, channel=channel)
    for cards in (NETWORKS, NETWORKS[::-1]):
        assert _chosen(cards, view) == f"study{study}-{channel}"


@pytest.mark.parametrize("study", [1, 3, 4])
def test_a_view_that_does_not_say_its_study_gets_the_network_of_its_voxels(study):
    assert _chosen(NETWORKS[:3], _view(study, channel="nucleus")) == f"study{study}-nucleus"


def test_a_view_without_a_network_of_its_own_comes_back():
    """A membrane of study 4, at which the published program stops with an error."""
    assert _chosen(NETWORKS, _view(4, study=4, channel="membrane")) == "identity"
    assert _chosen(NETWORKS, _view(1, study=1, channel="brightfield")) == "identity"
    assert _chosen([], _view(1)) == "identity"


def test_the_network_of_a_study_that_looks_alike_stands_in():
    """Study 2 has the voxels of study 1, and no network of its own here."""
    assert _chosen(NETWORKS, _view(1, study=2, channel="nucleus")) == "study1-nucleus"
    pooled = ModelCard.model_validate(
        NETWORKS[1].model_dump()
        | {
            "name": "pooled",
            "describes": {"axes": "ZYX", "channel": "nucleus", "spacing": SPACINGS[3]},
        }
    )
    view = _view(1, study=1, channel="nucleus")
    assert _chosen([pooled], view) == "pooled"
    assert _chosen([pooled, NETWORKS[0]], view) == "study1-nucleus"


def test_planes_have_no_model():
    plane = Volume(np.zeros((4, 4), np.uint16), (0.2, 0.2), "YX")
    with pytest.raises(ModelError, match="made for axes ZYX, found YX"):
        _chosen(NETWORKS, plane)


@pytest.mark.parametrize("name", ["identity", "gaussian-nucleus", "gaussian-membrane", "classical"])
def test_cards_without_a_network_are_whole(name):
    given = parameters_of(CARDS[name], Parameters)
    assert given.method == CARDS[name].describes["method"] == name.split("-")[0]
    assert given.network is None
    assert CARDS[name].weights is None
    assert CARDS[name].task == "fuse"


def test_the_widths_are_those_of_the_challenge():
    for channel, sigma in {"nucleus": 0.442, "membrane": 0.5}.items():
        card = CARDS[f"gaussian-{channel}"]
        assert card.describes["channel"] == channel
        assert parameters_of(card, Parameters).sigma_px == sigma


def test_the_identity_scores_0_by_definition():
    assert {value for score in CARDS["identity"].scores.values() for value in score.values()} == {0}


GEOMETRY = {  # of the challenge: shape, voxel size in µm
    1: ((222, 731, 860), (1.0, 0.195, 0.195)),
    2: ((264, 2008, 1091), (1.0, 0.195, 0.195)),
    3: ((891, 817, 817), (1.0, 0.39, 0.39)),
    4: ((80, 1920, 1920), (3.0, 0.33, 0.33)),
    5: ((309, 1920, 1920), (1.01, 0.388, 0.388)),
}


def _of_challenge(number, channel, **metadata):
    """Return a view as the challenge gives it, of which memory holds one voxel."""
    shape, spacing = GEOMETRY[number]
    array = np.broadcast_to(np.uint16(0), shape)
    return Volume(array, spacing, metadata={"channel": channel, **metadata})


@pytest.mark.parametrize("number", GEOMETRY)
@pytest.mark.parametrize("channel", ["nucleus", "membrane"])
def test_each_study_and_channel_of_the_challenge_has_a_network(channel, number):
    for metadata in ({"study": number}, {"study": f"study {number}"}, {}):
        view = _of_challenge(number, channel, **metadata)
        found = select(list(CARDS.values()), describe(view), POLICY)
        assert found.card.name == f"{channel}-study{number}"
        assert not found.fallback


@pytest.mark.parametrize("number", GEOMETRY)
@pytest.mark.parametrize("channel", ["nucleus", "membrane"])
def test_a_study_that_no_card_knows_is_guessed_by_size(channel, number):
    """As by the published rule; voxels 1.3 times larger are no reason for the identity."""
    view = _of_challenge(number, channel, study=9)
    facts = describe(view) | {"spacing": tuple(1.3 * step for step in view.spacing)}
    found = select(list(CARDS.values()), facts, POLICY).card
    assert found.weights
    assert found.name == select(list(CARDS.values()), facts | {"study": ""}, POLICY).card.name


@pytest.mark.parametrize("name", [name for name, card in CARDS.items() if card.weights])
def test_every_shipped_network_is_better_than_view_and_gaussian(name):
    card = CARDS[name]
    (scores,) = card.scores.values()
    assert sorted(card.baselines) == ["gaussian", "identity"]
    assert scores["N_SSIM"] > max(own["N_SSIM"] for own in card.baselines.values())
    assert card.trained["device"]
    assert card.authors == "cytosuite developers"


@pytest.mark.parametrize(
    ("channel", "name"), [("nucleus", "gaussian-nucleus"), ("membrane", "identity")]
)
def test_far_from_every_network_what_beats_the_view_is_taken(channel, name):
    view = Volume(np.zeros((8, 9, 9), np.uint16), (20.0, 9.0, 9.0), metadata={"channel": channel})
    assert select(list(CARDS.values()), describe(view), POLICY).card.name == name
