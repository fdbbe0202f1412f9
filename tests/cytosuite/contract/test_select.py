from itertools import permutations
from math import inf, isfinite, log, nan

import numpy as np
import pytest
from cards import card
from house import ROOT
from hypothesis import given
from hypothesis import strategies as st
from mistakes import no_model

from cytosuite.contract.manifest import SelectPolicy, read_algorithm
from cytosuite.contract.select import DISORDER, LARGER, describe, distance, left_out, select
from cytosuite.contract.weights import read_cards
from cytosuite.volume import Volume

UNIT = (1.0, 1.0, 1.0)
POLICY = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=1.0)


SCORED = {"other images": {"SEG": 0.7}}


def _card(name, scores=SCORED, baselines=None, **describes):
    return card(name=name, describes=describes, scores=scores, baselines=baselines or {})


def _taken(cards, facts, policy=POLICY):
    """Return the name of the card that is chosen."""
    return select(cards, facts, policy).card.name


def test_the_cost_is_what_it_is_said_to_be():
    choice = select(
        [_card("a", channel="nucleus", study=1, spacing=UNIT)],
        {"channel": "nucleus", "study": 2, "spacing": (2.0, 1.0, 0.5)},
        POLICY,
    )
    assert choice.terms["spacing"] == pytest.approx(2 * log(2))
    assert not choice.fallback


def test_or_it_fails_with_what_there_is():
    no_model("no model to choose from", select, [], {}, POLICY)
    no_model(
        "net: made for channel a or b, found actin",
        select,
        [_card("x", channel="a"), _card("y", channel="b")],
        {"channel": "actin"},
        SelectPolicy(channel="must", fallback="fail"),
    )


def test_a_model_of_other_axes_is_never_taken():
    policy = SelectPolicy(axes="must", channel="must", fallback="relax")
    cards = [_card("a", axes="ZYX", channel="x"), _card("b", axes="ZYX", channel="membrane")]
    for some, who in ((cards, "net"), (cards[:1], "net a")):
        no_model(
            f"{who}: made for axes ZYX, found YX",
            select,
            some,
            {"axes": "YX", "channel": "x"},
            policy,
        )
    no_model(
        "found YX; --channel-index takes several",
        select,
        [_card("two", axes="CYX")],
        {"axes": "YX"},
        policy,
    )
    plane = _card("c", axes="YX", channel="nucleus")
    choice = select([*cards, plane], {"axes": "YX", "channel": "x"}, policy)
    assert (choice.card.name, choice.broken) == ("c", ("channel",))


def test_voxel_sizes_of_plane_and_volume_are_compared_by_their_last_axes():
    cards = [_card("a-coarse", spacing=(9.0, 0.8, 0.8)), _card("b-fine", spacing=(9.0, 0.1, 0.1))]
    choice = select(cards, {"spacing": (0.1, 0.2)}, POLICY)
    assert choice.card.name == "b-fine"
    assert choice.cost == pytest.approx(log(2))
    plane = [_card("a", spacing=(0.8, 0.8)), _card("b", spacing=(0.1, 0.1))]
    assert _taken(plane, {"spacing": (7.0, 0.1, 0.1)}) == "b"


def test_sizes_in_another_order_cost_once_and_an_image_larger_than_its_card_more():
    assert distance("spacing", (1.0, 1.0, 4.0), (4.0, 1.0, 1.0)) == DISORDER
    assert distance("spacing", (5.0, 1.0, 1.0), (4.0, 1.0, 1.0)) == pytest.approx(log(1.25))
    smaller, larger = (distance("shape", (4.0, 1.0, n), (4.0, 1.0, 2.0)) for n in (1.0, 4.0))
    assert (smaller, larger) == pytest.approx((log(2), LARGER * log(2)))


def test_an_assumed_voxel_size_counts_as_missing():
    measured = Volume(np.zeros((2, 3)), (0.5, 0.5), "YX", {"channel": "nucleus"})
    geometry = {"axes": "YX", "shape": (2.0, 3.0), "spacing": (0.5, 0.5)}
    assert describe(measured) == {"channel": "nucleus", **geometry}
    guessed = Volume(np.zeros((2, 3)), (1, 1), "YX", {"spacing_source": "assumed"})
    assert set(describe(guessed)) == {"axes", "shape"}


NAMES = [2, 2.0, "2", "2.0", " 2 ", "02", "study 2", "Study 2", "STUDY_2", "study2", "study-2"]
SIZES = [(0.0, 1, 1), (1, -1.0, 1), (nan, 1, 1), (inf, 1, 1), ()]


@pytest.mark.parametrize(
    "key, values, cost",
    [
        ("study", [*NAMES, "study: 2", "study=2"], 0.0),  # a number has many spellings
        ("study", [0, 6, -2, 20, inf, "study -2", "study", "studying 2", "2 3", "x"], 4.0),
        ("study", ["", "  ", nan, "nan", "NaN"], POLICY.missing),
        ("spacing", SIZES, POLICY.missing),
    ],
)
def test_a_value_is_the_cards_or_another_or_says_nothing(key, values, cost):
    single = _card("b", study=2) if key == "study" else _card("b", spacing=UNIT)
    for value in values:
        assert select([single], {key: value}, POLICY).terms == {key: cost}, value
    assert distance("study", 2, "study 2") == 0  # a card spells as it likes, too
    assert distance("channel", "membrane", "cytoplasm or membrane") == 0
    choice = select([_card("b", channel="x")], {"channel": values[-1]}, POLICY)
    assert choice.unknown == (("channel",) if cost == POLICY.missing else ())


def test_a_word_that_no_card_has_counts_as_missing():
    policy = SelectPolicy(study=3.0, spacing=1.0, general=1.0)
    one, two = (_card(f"study{n}", study=n, spacing=(n, 1.0, 1.0)) for n in (1, 2))
    cards = [one, two, _card("any")]
    image = {"study": "study 9", "spacing": (2.2, 1.0, 1.0)}
    choice = select(cards, image, policy)
    assert (choice.card.name, choice.strange) == ("study2", ("study",))
    assert select(cards, image | {"study": 1}, policy).strange == ()
    assert select([two], image, policy).terms["study"] == 3.0  # nothing to choose: as it is


def test_a_model_of_the_users_own_is_chosen_once_it_is_adopted():
    mine = _card("own", study=1)
    shipped = _card("shipped", study=2)
    trained = mine.model_copy(update={"adopted": False})
    choice = select([trained, shipped], {"study": 1}, POLICY)
    assert (choice.card.name, choice.strange) == ("shipped", ("study",))  # nobody knows it
    assert choice.others[0].left_out == "not adopted (cytosuite model use)"
    assert _taken([mine, shipped], {"study": 1}) == "own"
    assert _taken([trained], {"study": 1}) == "own"


GENERAL = SelectPolicy(channel="must", study=4.0, spacing=1.0, missing=0.5, general=2.0)


def test_each_side_pays_for_what_the_other_alone_says():
    mine = _card("own", study=1)
    other = _card("any")
    assert select([mine], {"study": 1}, GENERAL).terms == {"study": 0.0}
    assert select([mine], {}, GENERAL).terms == {"study": 0.5}
    assert select([other], {"study": 1}, GENERAL).terms == {"study": 2.0}
    assert select([other], {}, GENERAL).terms == {}
    assert select([mine], {}, SelectPolicy(study=4.0)).terms == {"study": 0.0}  # the defaults
    assert select([other], {"study": 1}, SelectPolicy(study=4.0)).terms == {"study": 2.0}
    assert select([other], {"channel": "x", "study": 1}, GENERAL).general == ("channel", "study")
    assert select([mine], {"study": 1}, GENERAL).general == ()


RULE = SelectPolicy(study=4.0, spacing=1.0, score="N_SSIM")
SIMPLE = {"identity": {"N_SSIM": 0.0}, "gaussian": {"N_SSIM": 0.03}}


def _scores(*values):
    return {f"set {n}": value for n, value in enumerate(values)}


@pytest.mark.parametrize(
    "scores, baselines, reason",
    [
        ([{"N_SSIM": 0.04}], SIMPLE, ""),
        ([{"N_SSIM": 0.04}, {"SEG": 0.0}], SIMPLE, ""),
        ([{"N_SSIM": -0.5}], {}, ""),
        ([{"SEG": 0.5}], {}, ""),
        ([], {}, "no scores of images kept out of its training"),
        ([{"N_SSIM": 0.01}], SIMPLE, "did not beat gaussian: N_SSIM 0.01 <= 0.03"),
        ([{"N_SSIM": 0.03}], SIMPLE, "did not beat gaussian: N_SSIM 0.03 <= 0.03"),
        ([{"N_SSIM": 0.9}, {"N_SSIM": 0.01}], SIMPLE, "did not beat gaussian: N_SSIM 0.01 <= 0.03"),
        ([{"SEG": 0.5}], SIMPLE, "no score by N_SSIM to hold against identity and gaussian"),
        ([{"N_SSIM": 0.5}], {"gaussian": {"SEG": 0.1}}, "no N_SSIM of gaussian to be held against"),
    ],
)
def test_a_card_must_beat_every_baseline_on_every_data_set(scores, baselines, reason):
    card = _card("a", scores=_scores(*scores), baselines=baselines)
    assert left_out(card, RULE) == reason
    assert left_out(card, POLICY) == ("" if scores else reason)  # no metric: no baselines


def _used(card, *rules):
    return card.model_copy(update={"used": dict(enumerate(rules))})


def test_a_model_in_use_is_taken_before_all_others_but_for_other_axes():
    policy = SelectPolicy(axes="must", channel="must", spacing=1.0)
    near = _card("near", axes="YX", channel="nucleus", spacing=(1.0, 1.0))
    far = _card("far", scores={}, axes="YX", channel="nucleus", spacing=(9.0, 9.0))
    stacks = _card("stacks", axes="ZYX")
    image = {"axes": "YX", "channel": "nucleus", "spacing": (1.0, 1.0)}
    cards = [near, _used(far, {}), stacks]
    choice = select(cards, image, policy)
    assert (choice.card.name, choice.by) == ("far", "use")
    assert _taken(cards, image | {"channel": "x"}, policy) == "far"  # I say so
    assert _taken(cards, image | {"axes": "ZYX"}, policy) == "stacks"
    strict = SelectPolicy(axes="must", channel="must", spacing=1.0, fallback="fail")
    cards = [_card("x", axes="YX", channel="x"), _used(far, {})]
    assert select(cards, image | {"channel": "x"}, strict).by == "metadata"
    assert _taken([far, _used(_card("new", scores={}, axes="YX"), {})], image, policy) == "new"


def test_a_model_is_in_use_for_some_images_and_the_first_rule_counts():
    any_, one, two = (_card(name) for name in ("any", "one", "two"))
    cards = [_used(any_, {}), one, two.model_copy(update={"used": {2: {"study": "7"}}})]
    assert _taken(cards, {"study": 7}) == "any"
    cards[0] = any_.model_copy(update={"used": {3: {}}})
    assert _taken(cards, {"study": "study 7"}) == "two"
    assert _taken(cards, {"study": "77"}) == "any"
    folder = [one, _used(two, {"folder": "/data/a"})]
    assert select(folder, {"folder": "/data/a"}, POLICY).by == "use"
    assert _taken(folder, {}) == "one"


@pytest.mark.parametrize("child", ["a-model", "mine", "zzz"])
def test_at_equal_cost_the_parent_is_taken_whatever_the_names(child):
    parent = _card("culture", study=1)
    tuned = _card(child, study=1).model_copy(update={"trained": {"parent": {"name": "culture"}}})
    next_ = tuned.model_copy(update={"name": "a", "trained": {"parent": {"name": child}}})
    itself = _card("z", study=2).model_copy(update={"trained": {"parent": {"name": "z"}}})
    for cards in permutations([parent, tuned, next_, itself]):
        choice = select(cards, {"study": 1}, POLICY)
        assert (choice.card.name, {*choice.tie}) == ("culture", {child, "a"})
    assert select([parent, tuned], {"study": 2}, POLICY).tie == (child,)
    assert _taken([_card("a", channel="x"), _card("b", channel="nucleus")], {}) == "b"


def test_a_habit_is_for_images_of_its_voxels_alone_and_stands_before_its_parent():
    size = (1.75, 0.8, 0.8)
    policy = SelectPolicy(axes="must", study=1.0, spacing=1.0)
    trained = (1.8, 0.8, 0.8)  # of the network, which both share
    parent = _card("a", axes="ZYX", study="x", spacing=trained)
    habit = _card("habit", axes="ZYX", study="x", spacing=trained, microscope="M")
    habit = habit.model_copy(update={"exact": {"spacing": size}})
    cards = [parent, habit, _card("other", axes="ZYX", study="y", spacing=(9.0, 9.0, 9.0))]

    def chosen(**facts):
        return select(cards, {"axes": "ZYX", **facts}, policy)

    assert chosen(spacing=size).card.name == "habit"
    assert chosen(spacing=(1.7501, 0.8001, 0.8), study="x").card.name == "habit"  # as files round
    assert chosen(spacing=size, microscope="m").card.name == "habit"
    for facts in (
        {},
        {"spacing": trained},
        {"spacing": size, "study": "mine"},
        {"spacing": size, "microscope": "N"},
    ):
        choice = chosen(**facts)
        assert choice.card.name == "a"
        assert "only for images of its spacing" in {other.left_out for other in choice.others}
    assert _taken([habit], {"axes": "ZYX"}, policy) == "habit"  # by its name
    used = [parent, _used(habit, {"study": "mine"})]
    assert _taken(used, {"axes": "ZYX", "study": "mine"}, policy) == "habit"


@pytest.mark.parametrize("algorithm", ["watershed", "cellpose3d"])
def test_outlines_of_embryos_are_for_the_voxels_of_their_microscope(algorithm):
    cards = read_cards(ROOT / "weights" / algorithm, algorithm)
    policy = read_algorithm(ROOT / "algorithms" / algorithm / "algorithm.toml").select
    for spacing, study, name in (
        ((1.75, 0.8, 0.8), "", "ix71"),
        ((2.0, 0.8, 0.8), "mouse-embryo", "cv1000"),
        ((1.8, 0.8, 0.8), "mouse-embryo", "embryo"),
        ((1.75, 0.8, 0.8), "simulated-spheroid", "embryo"),
    ):
        facts = {"axes": "ZYX", "channel": "nucleus", "spacing": spacing, "study": study}
        assert _taken(cards, facts, policy) == f"{name}-nuclei-3d"


VIEWS = read_algorithm(ROOT / "algorithms/view_fusion/algorithm.toml").select
NUCLEI = {"axes": "ZYX", "channel": "nucleus"}


@pytest.mark.parametrize(
    "spacing, shape, model",
    [
        ((1.01, 0.388, 0.388), (40, 96, 96), "nucleus-study5"),
        ((1.01, 0.388, 0.388), (891, 817, 817), "nucleus-study5"),
        ((1.0, 0.39, 0.39), (309, 1920, 1920), "nucleus-study3"),
        ((1.05, 0.4, 0.38), (40, 96, 96), "nucleus-study3"),
    ],
)
def test_exact_voxels_outweigh_the_shape_which_may_be_of_a_crop(spacing, shape, model):
    cards = read_cards(ROOT / "weights/view_fusion", "view_fusion")
    sizes = {"spacing": spacing, "shape": tuple(map(float, shape))}
    assert _taken(cards, NUCLEI | sizes, VIEWS) == model
    assert _taken(cards, NUCLEI | sizes | {"study": 4}, VIEWS) == "nucleus-study4"


def _worse(name="worse", **describes):
    return _card(name, _scores({"N_SSIM": 0.01}), SIMPLE, **describes)


def test_a_card_that_beats_nothing_is_taken_by_name_alone():
    assert _taken([_worse(study=1), _card("plain", study=2)], {"study": 1}, RULE) == "plain"
    assert _taken([_worse(study=1)], {"study": 1}, RULE) == "worse"
    no_model(
        "by itself, name one .*: .*; again: did not beat .*; worse: ",
        select,
        [_worse(), _worse("again")],
        {},
        RULE,
    )


def test_all_other_cards_are_kept_with_their_costs_nearest_first():
    cards = [
        _card("far", channel="x", study=1, spacing=(4.0, 1.0, 1.0)),
        _card("none", scores={}, channel="x", study=1, spacing=UNIT),
        _card("other", channel="y", study=1, spacing=UNIT),
        _card("near", channel="x", study=1, spacing=(2.0, 1.0, 1.0)),
    ]
    facts = {"channel": "x", "study": 1, "spacing": UNIT}
    for order in permutations(cards):
        choice = select(order, facts, POLICY)
        assert choice.card.name == "near"
        assert [other.card.name for other in choice.others] == ["far", "other", "none"]
        assert [other.broken for other in choice.others] == [(), ("channel",), ()]
        assert [other.cost for other in choice.others] == pytest.approx([log(4), 0, 0])
        assert choice == select(cards[2:], facts, POLICY)  # whatever else there is


words = st.booleans() | st.integers() | st.floats() | st.text("study x1.-", max_size=9)
values = words | st.lists(words, max_size=4).map(tuple)


@given(st.dictionaries(st.sampled_from(["channel", "study", "spacing", "x"]), values))
def test_whatever_metadata_say_there_is_one_choice(facts):
    cards = [
        _card("own", channel="x", study=1, spacing=UNIT),
        _card("odd", channel="y", study="nan", spacing=(1.0,)),
        _card("any"),
    ]
    choice = select(cards, facts, GENERAL)
    assert isfinite(choice.cost)
    assert choice.cost == sum(choice.terms.values())
    assert not choice.broken
    assert len(choice.others) == 2
    assert all(choice.cost <= other.cost for other in choice.others if not other.broken)


def test_a_tie_goes_to_the_card_that_has_beaten_others():
    better = _card("z-better", _scores({"N_SSIM": 0.1}), SIMPLE)
    for cards in permutations([better, _card("a"), _card("b")]):
        choice = select(cards, {}, RULE)
        assert [choice.card.name, *(o.card.name for o in choice.others)] == ["z-better", "a", "b"]
