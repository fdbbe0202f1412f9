import numpy as np
import pytest
from mistakes import refused
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from cytosuite.metrics.metric import metrics_of
from cytosuite.metrics.points import matching
from cytosuite.metrics.points.cells import (
    CELL_POINTS,
    cell_at,
    cell_count_correlation,
    cell_count_error,
    right_cell,
)
from cytosuite.metrics.points.detection import (
    points_f1,
    points_f1_area,
    points_jaccard,
    points_precision,
    points_recall,
    rmse_axial,
    rmse_lateral,
)
from cytosuite.metrics.points.matching import MATCHED_POINTS, matched_points, pooled

PLANE = (1.0, 1.0)
NONE = np.zeros((0, 2))
SCORES = (points_f1, points_f1_area, points_precision, points_recall, points_jaccard)


def _values(*arguments):
    return [score(*arguments) for score in SCORES]


def _dense(truth, prediction, radius):
    """Return the number of pairs and the sum of their distances, from the whole matrix."""
    distances = cdist(truth, prediction)
    near = distances[linear_sum_assignment(np.where(distances <= radius, distances, 1e6))]
    return (near <= radius).sum(), near[near <= radius].sum()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("side", [4.0, 15.0, 60.0])
def test_pairs_are_those_of_the_whole_matrix(seed, side):
    rng = np.random.default_rng(seed)
    truth, prediction = (rng.uniform(0, side, (number, 3)) for number in (80, 110))
    matched = matched_points(truth, prediction, (1.0, 1.0, 1.0), 2.5)
    number, total = _dense(truth, prediction, 2.5)
    assert matched.truth_index.size == matched.pairs[-1] == number
    assert matched.distances.sum() == pytest.approx(total)
    assert len(np.unique(matched.prediction_index)) == number
    curve = [_dense(truth, prediction, 2.5 * step / 10)[0] for step in range(1, 11)]
    assert matched.pairs.tolist() == curve


def test_scores_of_a_hand_made_answer():
    # 4 true points; one found at 0.5 µm, one at 2 µm, one wrong by 4 µm, one missed; 1 more false.
    truth = np.array([[0, 0], [0, 10], [0, 20], [0, 30]])
    prediction = np.array([[0, 0.5], [2, 10], [0, 24], [50, 50]])
    assert _values(truth, prediction, PLANE) == [
        0.5, pytest.approx((1 * 0 + 5 * 0.25 + 4 * 0.5) / 10),
        0.5, 0.5, 2 / 6,
    ]  # fmt: skip
    assert rmse_lateral(truth, prediction, PLANE) == pytest.approx(np.sqrt((0.25 + 4) / 2))
    assert np.isnan(rmse_axial(truth, prediction, PLANE))
    # A third pair lies at the radius itself.
    farther = [score(truth, prediction, PLANE, 4.0) for score in SCORES if score != points_f1_area]
    assert farther == [0.75, 0.75, 0.75, 3 / 5]


@pytest.mark.parametrize("shift", [0, 100, 1e5 + 0.3])
def test_a_pair_at_the_radius_itself_counts_for_every_metric_wherever_it_lies(shift):
    for step in np.arange(40, 500, 9) / 1000:
        at, on, off = (np.array([[5, x]]) + shift for x in (5, 8, 8.00001))
        matched = matched_points(at, on, (step, step))
        assert (matched.pairs.tolist(), matched.truth_index.size) == ([0] * 9 + [1], 1), step
        assert matched.distances == pytest.approx(3 * step)
        assert points_f1(at, off, (step, step)) == 0


def test_of_equal_sums_of_distances_squares_decide_not_rounding(rng):
    for _ in range(20):
        truth, prediction = rng.integers(0, 12, (2, 12, 2))
        moved = [(truth, prediction), (truth + 7, prediction + 7), (-truth, -prediction)]
        moved += [(truth[::-1], prediction), (truth[:, ::-1], prediction[:, ::-1])]
        first, *others = [rmse_lateral(*pair, (0.13, 0.13)) for pair in moved]
        assert others == pytest.approx([first] * 4)


def test_distances_are_in_micrometres_along_long_voxels_too():
    truth, near, far = [[5, 5, 5]], [[5, 5, 7]], [[7, 5, 5]]
    spacing = (0.5, 0.1, 0.1)
    assert points_f1(truth, near, spacing) == 1
    assert points_f1(truth, far, spacing) == 0
    assert [points_f1([[0, 0]], [[0, x]], (9.0, 0.1)) for x in (3, 3.1)] == [1, 0]
    assert matched_points(truth, [[6, 7, 5]], spacing, 1.0).distances == pytest.approx(
        np.hypot(0.5, 0.2)
    )
    assert rmse_axial(truth, [[6, 7, 5]], spacing, 1.0) == pytest.approx(0.5)
    assert rmse_lateral(truth, [[6, 7, 5]], spacing, 1.0) == pytest.approx(0.2)


ONCE = [[1, 1]]
TWICE = ONCE * 2


@pytest.mark.parametrize(
    "truth, prediction, expected",
    [
        (NONE, NONE, [np.nan] * 5),
        ([], [], [np.nan] * 5),
        (NONE, ONCE, [0, 0, 0, np.nan, 0]),
        (ONCE, NONE, [0, 0, np.nan, 0, 0]),
        (ONCE, TWICE, [2 / 3, 2 / 3, 1 / 2, 1, 1 / 2]),
        (TWICE, ONCE, [2 / 3, 2 / 3, 1, 1 / 2, 1 / 2]),
        (TWICE, TWICE, [1] * 5),
    ],
)
def test_empty_sides_and_duplicates(truth, prediction, expected):
    np.testing.assert_allclose(_values(truth, prediction, PLANE), expected)
    assert np.isnan(rmse_lateral(NONE, prediction, PLANE))


def test_a_set_is_scored_as_one_image_with_its_images_far_apart(rng):
    sides = [(rng.uniform(0, 30, (20, 2)), rng.uniform(0, 30, (25, 2))) for _ in range(3)]
    parts = [matched_points(*pair, PLANE) for pair in sides]
    apart = [
        np.concatenate([points + 1000 * n for n, points in enumerate(images)])
        for images in zip(*sides, strict=True)
    ]
    whole = pooled(parts)
    steps = apart[1][whole.prediction_index] - apart[0][whole.truth_index]
    assert steps == pytest.approx(whole.offsets[:, 1:])  # the pairs name points of their images
    for score in (*SCORES, rmse_lateral):
        assert score.of(whole) == pytest.approx(score(*apart, PLANE))
    assert np.isnan(points_f1.of(pooled([])))


def test_points_of_cells_by_hand():
    labels = np.array([[1, 1, 1, 0, 2, 2, 0, 5, 5]])
    truth = np.array([[0, 0], [0, 1], [0, 4], [0, 7], [0, 3]])
    prediction = np.array([[0, 0.2], [0, 2.4], [0, 3.2], [0, 7], [0, 8], [9, 9]])
    facts = truth, prediction, labels, PLANE, 1.5
    # Of the pairs (0, 0.2), (3, 2.4), (4, 3.2) and (7, 7) the second has no true cell, the third
    # a prediction in none.
    counts = CELL_POINTS.gather(*facts)
    assert (counts.truth.tolist(), counts.prediction.tolist()) == ([2, 1, 1], [2, 0, 2])
    assert cell_count_error(*facts) == pytest.approx(2 / 3)
    assert cell_count_correlation(*facts) == pytest.approx(0.5)
    assert right_cell(*facts) == 2 / 3
    assert right_cell(truth, prediction[::-1], *facts[2:]) == 2 / 3


@pytest.mark.parametrize("shift", [-0.5, -0.25, 0, 0.25, 0.49])
def test_a_pixel_reaches_half_a_pixel_to_each_side(shift):
    labels = 2**60 + np.arange(1, 25).reshape(2, 3, 4)
    places = np.moveaxis(np.indices((4, 5, 6)) - 1, 0, -1).reshape(-1, 3)  # a pixel more around
    assert cell_at(places + shift, labels).tolist() == np.pad(labels, 1).ravel().tolist()


def test_cells_without_points_or_without_cells():
    labels = np.array([[0, 0, 3]])
    assert cell_count_error(NONE, NONE, labels, PLANE) == 0
    assert np.isnan(cell_count_correlation(NONE, NONE, labels, PLANE))
    assert np.isnan(right_cell(NONE, NONE, labels, PLANE))
    assert np.isnan(cell_count_error(NONE, NONE, 0 * labels, PLANE))
    one = CELL_POINTS.gather([[0, 2]], NONE, labels, PLANE)
    assert CELL_POINTS.pool([one, one]).truth.tolist() == [1, 1]


def test_the_truth_itself_has_the_best_value_of_every_metric(rng):
    truth = rng.uniform(0, 20, (60, 3))
    labels = np.arange(20**3).reshape(20, 20, 20) // 1000
    points = {"truth": truth, "prediction": truth.copy(), "spacing": (2.0, 1.0, 1.0)}
    for metric in metrics_of("points"):
        facts = points | ({"labels": labels} if "labels" in metric.evidence.needs else {})
        expected = 60 if metric.best is None else metric.best
        assert metric(**facts) == pytest.approx(expected, abs=metric.tolerance), metric.name


def test_an_answer_without_anything_right_has_the_worst_value_of_every_metric():
    facts = {"truth": [[0, 0], [0, 0]], "spacing": PLANE, "labels": np.array([[1, 2]])}
    for metric in metrics_of("points"):
        needs = metric.evidence.needs
        wrong = [[0, 1], [0, 1]] if "labels" in needs else [[0, 9], [9, 0]]  # of cell; too far
        needed = {name: value for name, value in facts.items() if name in needs}
        if metric.worst is not None:
            assert metric(**needed, prediction=wrong) == metric.worst, metric.name


@pytest.mark.parametrize("wrong", [[[1, 2, 3]], [[np.nan, 1]], [1, 2]])
def test_other_places_are_refused(wrong):
    refused("prediction: expected finite places", MATCHED_POINTS.gather, ONCE, wrong, PLANE)


@pytest.mark.parametrize("spacing", [(0, 1), (-1, 1), (np.nan, 1), 1])
def test_a_voxel_size_is_of_lengths(spacing):
    refused("spacing must be a positive number", points_f1, ONCE, ONCE, spacing)


@pytest.mark.parametrize("labels", [[[1.0, 2.0]], [1, 2]])
def test_cells_are_integers_along_the_same_axes(labels):
    refused("cells: expected labels, integers along 2", right_cell, NONE, NONE, labels, PLANE)


@pytest.mark.parametrize("radius", [0, -1, 1e7, 1e308, np.inf, np.nan])
def test_a_radius_is_a_length(radius):
    refused(
        "radius: expected a length above 0 of at most 1e",
        matched_points,
        ONCE,
        ONCE,
        PLANE,
        radius,
    )


def test_crowds_of_many_neighbours_are_paired(rng):
    truth, prediction = (rng.uniform(0, 53, (2000, 2)) for _ in range(2))
    matched = matched_points(truth, prediction, PLANE)  # 20 within the radius of each
    assert 1990 < matched.truth_index.size == matched.pairs[-1] <= 2000


@pytest.mark.parametrize(
    "limit, message",
    [("MOST_PAIRS", "found 100; give a smaller radius"), ("MOST_STEPS", "10 and 10 points in one")],
)
def test_a_radius_with_too_many_pairs_is_refused(monkeypatch, limit, message):
    monkeypatch.setattr(matching, limit, 99)
    refused(message, points_f1, np.zeros((10, 2)), np.zeros((10, 2)), PLANE)
