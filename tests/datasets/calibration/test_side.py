from numpy.testing import assert_array_equal

from cytosuite.datasets.calibration.calibrate import simulator
from cytosuite.datasets.calibration.fit import draw
from cytosuite.datasets.calibration.measure import counted, in_order, in_turn, measure


def test_results_stand_in_the_order_of_their_pieces(backwards):
    assert in_order(backwards, str, [3, 1, 2]) == ["3", "1", "2"]
    assert in_order(backwards, str, []) == []


def test_stacks_are_counted_after_their_turns_and_never_beyond_the_total():
    seen = []
    counting = counted(in_turn, lambda *values: seen.append(values), 2, "note", turns=2)
    for _ in range(3):
        assert in_order(counting, str, [1, 2]) == ["1", "2"]
    assert [done for done, _, _ in seen] == [0.5, 1, 1.5, 2, 2, 2]
    assert seen[0][1:] == (2, "note")


def test_draws_and_statistics_do_not_depend_on_who_is_done_first(backwards):
    small = {"image": {"shape": [16, 48, 48], "spacing_um": [2.0, 1.0, 1.0]}}
    small |= {"tissue": {"n_nuclei": [2, 8]}}
    crowded = {**small, "tissue": {"n_nuclei": 900}}  # refused: no room
    runs = []
    for order in (in_turn, backwards):
        stacks, refused = draw(simulator("spheroid"), [small, crowded, small], range(3), order)
        assert refused == 1
        runs.append((stacks, measure(stacks, dark=100.0, each=order)))
    (stacks, first), (others, second) = runs
    for (image, labels), (other, theirs) in zip(stacks, others, strict=True):
        assert_array_equal(image.array, other.array)
        assert_array_equal(labels, theirs)
    for name, values in first.volumes.items():
        assert_array_equal(values, second.volumes[name])
