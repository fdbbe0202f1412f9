"""The choice of a model for Fuse My Cells: seven networks, two Gaussians, the identity.

Nothing runs: cards are written from the challenge's strata, with the shipped costs; images have no
pixels.
"""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.benchmark.catalog import ROOT
from cytosuite.cautions import cautions
from cytosuite.errors import InputError, ModelError
from cytosuite.manifest import read_algorithm
from cytosuite.metadata import described
from cytosuite.select import describe, select
from cytosuite.volume import Volume
from cytosuite.weights import read_cards

# Voxel size [µm] and shape, z y x, of the training images of each study.
STUDIES = {
    1: ((1.0, 0.195, 0.195), (222, 731, 860)),
    2: ((1.0, 0.195, 0.195), (264, 2008, 1091)),
    3: ((1.0, 0.39, 0.39), (891, 817, 817)),
    4: ((3.0, 0.33, 0.33), (80, 1920, 1920)),
    5: ((1.01, 0.388, 0.388), (309, 1920, 1920)),
}
STRATA = [("nucleus", study) for study in STUDIES] + [("membrane", 1), ("membrane", 3)]
STAIN = {"nucleus": {}, "membrane": {"stain": "membrane"}}
SCORE, SIMPLE = 0.2, {"identity": {"N_SSIM": 0.0}, "gaussian": {"N_SSIM": 0.03}}
MANIFEST = (ROOT / "algorithms" / "view_fusion" / "algorithm.toml").read_text(encoding="utf-8")


def _entries(scores):
    """Yield name, purpose, score and baselines of each card."""
    for content, study in STRATA:
        name, (spacing, shape) = f"{content}-{study}", STUDIES[study]
        facts = {"channel": content, "study": study, "spacing": spacing, "shape": shape}
        yield name, facts | STAIN[content], scores.get(name, SCORE), SIMPLE
    for content, stain in STAIN.items():
        facts = {"channel": content, "method": "gaussian", **stain}
        yield f"gaussian-{content}", facts, 0.03, {}
    yield "identity", {"method": "identity"}, 0.0, {}


def _choose(folder, volume, *, without=(), **scores):
    """Return the choice among the cards, written into a folder, and the doubts about it."""
    home = folder / "view_fusion"
    home.mkdir(parents=True, exist_ok=True)
    (home / "algorithm.toml").write_text(MANIFEST)
    own = {name.replace("_", "-"): score for name, score in scores.items()}
    for name, facts, score, simple in _entries(own):
        card = {
            "name": name,
            "version": "0.1.0",
            "algorithm": "view_fusion",
            "task": "fuse",
            "description": "d",
            "authors": "a",
            "license": "Apache-2.0",
            "describes": {"axes": "ZYX", **facts},
            "scores": {"views": {"N_SSIM": score}},
            "baselines": simple,
        }
        if name not in without:
            (home / f"{name}.json").write_text(json.dumps(card))
    policy = read_algorithm(home / "algorithm.toml").select
    found = select(read_cards(home, "view_fusion"), describe(volume), policy)
    return found, cautions(found, volume)


def _view(channel="nucleus", *, spacing=None, shape=None, axes="ZYX", stratum=1, **metadata):
    """Return an image of a stratum, as a container reads it, without pixels and study."""
    own, sizes = STUDIES[stratum]
    given = metadata | ({"channel": channel} if channel else {})
    assumed = {"spacing_source": "assumed"} if spacing == () else {}
    size = spacing or ((1.0, 1.0, 1.0) if assumed else own)
    pixels = np.broadcast_to(np.uint16(0), shape or sizes)
    return described(Volume(pixels, size[-len(axes) :], axes, assumed), given)


def _line(*parts):
    return "".join(parts)


@pytest.fixture(scope="module")
def choose(tmp_path_factory):
    """Return a function that chooses among the cards in a folder."""
    folder = tmp_path_factory.mktemp("views")
    return lambda volume, **more: _choose(folder, volume, **more)


@pytest.mark.parametrize(("content", "study"), STRATA)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("factor", [1.0, 0.9, 1.1])
@pytest.mark.parametrize("small", [False, True])
def test_an_image_of_a_stratum_gets_its_network(choose, content, study, named, factor, small):
    """By study, or by voxel size and shape; a small crop is told apart by its study alone."""
    shape = (40, 64, 64) if small else tuple(int(factor * edge) for edge in STUDIES[study][1])
    spacing = tuple(factor**0.1 * edge for edge in STUDIES[study][0])
    facts = {"study": study} if named else {}
    found, doubts = choose(_view(content, spacing=spacing, shape=shape, stratum=study, **facts))
    if named or not small:
        assert found.card.name == f"{content}-{study}"
    size = found.card.describes["spacing"]
    assert size == pytest.approx(STUDIES[study][0], rel=0.02)  # 3 and 5 are all but alike
    assert doubts == []
    assert len(found.others) == 9


SPELLINGS = ["2", 2, 2.0, "2.0", "study 2", "Study 2", "study_2", " 2 "]


@pytest.mark.parametrize("study", SPELLINGS)
def test_a_study_is_read_in_every_spelling(choose, study):
    found, doubts = choose(_view(stratum=1, study=study))
    assert (found.card.name, found.terms["study"], doubts) == ("nucleus-2", 0.0, [])


@pytest.mark.parametrize("study", [0, 6, -1, 2.5, "x", "study 9", "", "nan", float("nan")])
def test_a_study_that_is_none_leaves_voxel_size_and_shape(choose, study):
    found, _ = choose(_view(stratum=4, study=study))
    assert found.card.name == "nucleus-4"
    assert found.terms["study"] == 0.0


@pytest.mark.parametrize(("study", "name"), [(2, "membrane-1"), (5, "membrane-3")])
def test_membranes_of_a_study_without_a_network_get_the_nearest(choose, study, name):
    """There the published program finds no file, and fails."""
    for facts in ({"study": study}, {}):
        assert choose(_view("membrane", stratum=study, **facts))[0].card.name == name


def test_membranes_with_slices_far_apart_get_the_nearest_or_the_gaussian(choose):
    found, doubts = choose(_view("membrane", stratum=4, study=4))
    assert found.card.name == "gaussian-membrane"
    assert doubts == [
        _line(
            "no model near: gaussian-membrane serves any study, spacing, shape, at a cost of 4; ",
            "the nearest other is membrane-3, 5.34",
        )
    ]
    found, doubts = choose(_view("membrane", stratum=4))
    assert found.card.name == "membrane-3"
    assert doubts == [
        _line(
            "voxel size far from the model's: 3 x 0.33 x 0.33 µm, up to 3 times larger than ",
            "1 x 0.39 x 0.39 µm of membrane-3",
        )
    ]


@pytest.mark.parametrize("content", STAIN)
@pytest.mark.parametrize("stratum", STUDIES)
@pytest.mark.parametrize("pick", [min, max])
def test_voxels_far_from_all_networks_get_the_gaussian(choose, content, stratum, pick):
    """Three times larger, or smaller, than those of every study."""
    edges = zip(*(spacing for spacing, _ in STUDIES.values()), strict=True)
    spacing = tuple(pick(edge) * (3 if pick is max else 1 / 3) for edge in edges)
    found, doubts = choose(_view(content, spacing=spacing, stratum=stratum))
    assert found.card.name == f"gaussian-{content}"
    assert [line.partition(":")[0] for line in doubts] == ["no model near"]
    assert not found.fallback


@pytest.mark.parametrize("content", ["nucleus", "membrane"])
def test_far_is_twice_the_edges_and_three_times_where_the_study_is_named(choose, content):
    """2 general keys cost 2 = 3 ln(1.95); a study that is named adds 1.5: 3.5 = 3 ln(3.2)."""
    for factor, facts, general in (
        (1.9, {}, False), (2.0, {}, True), (3.1, {"study": 3}, False), (3.3, {"study": 3}, True),
    ):  # fmt: skip
        spacing = tuple(factor * edge for edge in STUDIES[3][0])
        found, _ = choose(_view(content, spacing=spacing, stratum=3, **facts))
        assert found.card.name == (f"gaussian-{content}" if general else f"{content}-3"), factor


@pytest.mark.parametrize("shape", [(80, 100, 100), (20, 2008, 1091), (16, 16, 16)])
def test_a_crop_alone_is_no_reason_for_the_gaussian(choose, shape):
    found, doubts = choose(_view(shape=shape, stratum=2))
    assert found.card.describes["spacing"] == STUDIES[2][0]
    assert [line for line in doubts if line.startswith("no model")] == []


@pytest.mark.parametrize("facts", [{}, {"study": 3}, {"spacing": (9.0, 9.0, 9.0)}])
def test_unknown_content_is_handed_back_and_recorded(choose, facts):
    found, doubts = choose(_view("actin", stratum=3, **facts))
    assert (found.card.name, found.fallback) == ("identity", False)
    assert found.terms["channel"] == 1.0
    line = "no model for channel: none was made for 'actin', identity serves any"
    assert [doubt for doubt in doubts if doubt.startswith("no model")] == [line]
    assert all(own.broken == ("channel",) for own in found.others)


@pytest.mark.parametrize("facts", [{}, {"study": 3}, {"channel": ""}])
def test_content_that_is_not_given_is_assumed_and_recorded(choose, facts):
    found, doubts = choose(_view(**{"channel": None, "stratum": 3, **facts}))
    assert (found.card.name, found.unknown) == ("nucleus-3", ("channel",))
    assert doubts == ["channel assumed: nucleus, not given by the file"]
    assert found.terms["channel"] == 0.5


def test_content_that_is_not_given_of_far_voxels_is_handed_back(choose):
    found, doubts = choose(_view(None, spacing=(9.0, 1.8, 1.8)))
    assert found.card.name == "identity"
    assert doubts[0].startswith("no model near: identity serves any spacing, shape, at a cost")


def test_an_unknown_voxel_size_leaves_the_shape(choose):
    for stratum in STUDIES:
        found, doubts = choose(_view(spacing=(), stratum=stratum))
        assert found.card.name == f"nucleus-{stratum}"
        assert doubts == ["voxel size assumed: 1 x 1 x 1 µm, not given by the file"]


def test_contradictions_are_recorded(choose):
    found, doubts = choose(_view(stratum=1, study=3))
    assert found.card.name == "nucleus-3"
    assert doubts == [
        _line(
            "study and voxel size contradictory: 3 is that of nucleus-3, 1 x 0.195 x 0.195 µm that of ",
            "nucleus-1; nucleus-3 was used",
        )
    ]


@pytest.mark.parametrize("study", STUDIES)
@pytest.mark.parametrize("stratum", STUDIES)
def test_a_named_study_precedes_all_voxel_sizes_of_the_challenge(choose, study, stratum):
    assert choose(_view(stratum=stratum, study=study))[0].card.name == f"nucleus-{study}"


def test_a_voxel_size_in_the_order_x_y_z_is_turned(choose):
    image = _view(spacing=(0.39, 0.39, 1.0), stratum=3)
    assert image.spacing == (1.0, 0.39, 0.39)
    assert "order x, y, z" in image.origin.warnings[0]
    assert choose(image)[0].card.name == "nucleus-3"


def test_networks_that_beat_nothing_are_left_out(choose, tmp_path):
    found, doubts = _choose(tmp_path, _view(stratum=2, study=2), nucleus_2=0.01)
    assert found.card.name == "nucleus-1"
    found, doubts = _choose(
        tmp_path, _view(stratum=2, study=2), **{f"nucleus_{n}": 0.02 for n in STUDIES}
    )
    line = "study unknown: 2 is that of no model to choose from, taken as not given"
    assert (found.card.name, doubts) == ("gaussian-nucleus", [line])
    reasons = {own.card.name: own.left_out for own in found.others if own.left_out}
    why = "did not beat gaussian: N_SSIM 0.02 <= 0.03"
    assert reasons == {f"nucleus-{n}": why for n in STUDIES}


@pytest.mark.parametrize("content", STAIN)
def test_without_networks_each_content_has_its_gaussian(tmp_path, content):
    networks = [f"{own}-{study}" for own, study in STRATA]
    found, doubts = _choose(tmp_path, _view(content), without=networks)
    assert (found.card.name, doubts) == (f"gaussian-{content}", [])


def test_every_card_wins_the_images_that_it_describes(tmp_path):
    """As `cytosuite check` demands."""
    _choose(tmp_path, _view())
    home = tmp_path / "view_fusion"
    policy, cards = read_algorithm(home / "algorithm.toml").select, read_cards(home, "view_fusion")
    for card in cards:
        assert select(cards, dict(card.describes), policy).card == card


def test_a_plane_has_no_model(choose):
    with pytest.raises(ModelError, match=r"^view_fusion: made for axes ZYX, found YX$"):
        choose(_view(axes="YX", shape=(731, 860)))


@pytest.mark.parametrize(
    "spacing", [[0, 1, 1], [-1.0, 0.2, 0.2], ["1", "1", "1"], "1,1,1", [1.0], [1e9, 1, 1]]
)
def test_an_impossible_voxel_size_is_one_line(spacing):
    volume = Volume(np.zeros((2, 3, 4)), (1.0, 0.2, 0.2))
    with pytest.raises(InputError, match="spacing|voxel size") as error:
        described(volume, {"spacing": spacing, "channel": "nucleus"})
    assert "\n" not in str(error.value)


words = st.sampled_from(["", "2", "study 3", "nan", "actin", "nucleus", "\0", "1e999", "x" * 50])
numbers = st.integers() | st.floats() | st.booleans()
facts = st.dictionaries(
    st.sampled_from(["channel", "study", "spacing", "shape", "axes", "method", "stain"]),
    words | numbers | st.lists(numbers | words, max_size=4) | st.none(),
)


@given(facts, st.tuples(*[st.integers(1, 4000)] * 3), st.tuples(*[st.floats(0.01, 50)] * 3))
def test_whatever_is_said_of_a_volume_there_is_a_choice(choose, facts, shape, spacing):
    try:
        image = described(Volume(np.broadcast_to(np.uint16(0), shape), spacing), facts)
    except InputError:  # an impossible voxel size
        return
    found, doubts = choose(image)
    assert found.cost < float("inf")
    assert not found.broken
    assert all(line.partition(": ")[2] for line in doubts)
