import csv

import numpy as np
import pytest
from cyclegan3d_scores import (
    difference,
    group_of,
    groups_of,
    results_of,
    scores,
    sums_of,
    table_of_differences,
    table_of_scores,
    write_rows,
)

from cytosuite.metrics.labels.ctc import det, seg
from cytosuite.metrics.labels.detection import f1_at
from cytosuite.metrics.labels.overlap import concatenate, overlap

NAMES = ["ix71_Emb01_t301", "ix71_Emb01_t351", "ix71_Emb02_t501", "cv1000_Emb1_t501"]


def _volumes(seed, wrong):
    """Return a truth of nine cells and a prediction that moves, merges and invents some."""
    rng = np.random.default_rng(seed)
    truth = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((4, 4), int))
    found = np.roll(truth, int(rng.integers(0, 2)), 1)
    found[rng.random(found.shape) < wrong] = 0
    found[found == rng.integers(1, 10)] = 11
    found[0, : int(rng.integers(0, 3))] = 12
    return truth, found


def test_sums_of_volumes_give_the_scores_of_all_objects_together():
    tables = [overlap(*_volumes(seed, 0.3)) for seed in range(6)]
    tables.append(overlap(np.zeros((2, 2), int), np.array([[1, 0], [0, 2]])))
    pooled = concatenate(tables)
    expected = [seg.of(pooled), det.of(pooled), f1_at(pooled, 50)]
    np.testing.assert_allclose(scores(np.array([sums_of(t) for t in tables])), expected)


def test_scores_of_nothing_are_unknown_and_none_is_negative():
    nothing = sums_of(overlap(np.zeros(3, int), np.zeros(3, int)))
    assert np.isnan(scores(nothing[None])).all()
    many = sums_of(overlap(np.array([1] + [0] * 20), np.arange(21)))
    np.testing.assert_array_equal(scores(many[None]), [0, 0, 0])


def test_groups_are_those_of_the_frames_and_the_other_microscope():
    assert [group_of(name) for name in NAMES] == ["t <= 301", "t 351-401", "t 451-501", "CV1000"]
    assert groups_of(NAMES[::-1]) == {
        "all": [0, 1, 2, 3],
        "t <= 301": [3],
        "t 351-401": [2],
        "t 451-501": [1],
        "CV1000": [0],
    }
    assert list(groups_of(NAMES[:1])) == ["all", "t <= 301"]


def _sums(seg_values, objects):
    """Return sums of one seed whose SEG, DET and F1 are given, by volume."""
    objects = np.asarray(objects, float)
    column = np.stack([np.multiply(seg_values, objects), objects], -1)
    return np.repeat(column[:, None], 3, 1)[None]


def test_a_constant_difference_has_no_interval_and_equal_arms_none():
    objects = [3, 8, 20, 50]
    low, high = _sums([0.5, 0.6, 0.4, 0.5], objects), _sums([0.6, 0.7, 0.5, 0.6], objects)
    np.testing.assert_allclose(difference(high, low, 0, 200), 0.1)
    assert difference(low, low, 2, 200) == (0, 0, 0)
    assert difference(low, high, 0, 200)[0] == pytest.approx(-0.1)


def test_the_interval_is_that_of_the_mean_over_volumes_and_seeds():
    rng = np.random.default_rng(0)
    apart = rng.normal(0.05, 0.1, 40)
    first = np.concatenate(
        [_sums(0.5 + apart - 0.02, np.ones(40)), _sums(0.5 + apart + 0.02, np.ones(40))]
    )
    value, low, high = difference(first, _sums(np.full(40, 0.5), np.ones(40)), 0)
    assert value == pytest.approx(apart.mean())
    half = 1.96 * apart.std() / np.sqrt(40)
    np.testing.assert_allclose([value - low, high - value], half, rtol=0.1)


@pytest.fixture
def results():
    """Return results of two arms, one with two seeds, on four volumes."""
    pairs = {name: _volumes(number, 0.2) for number, name in enumerate(NAMES)}
    truth = {name: pair[0] for name, pair in pairs.items()}
    moved = {name: pair[1] for name, pair in pairs.items()}
    found = {
        ("watershed", 0): {"with threshold": moved},
        ("calibrated", 0): {"alone": truth, "with threshold": truth},
        ("calibrated", 1): {"alone": moved, "with threshold": truth},
    }
    return results_of(found, truth, 0)


def test_tables_show_means_over_seeds_and_differences_from_others(results):
    shown = table_of_scores(results, groups_of(NAMES))
    assert len(shown) == 2 + 3
    perfect = next(line for line in shown if "calibrated | with threshold" in line)
    assert perfect.count("1.000 / 1.000 / 1.000") == 5
    assert perfect.endswith("| 1.000, 1.000 |")
    watershed = scores(results["watershed", "with threshold"])[0]
    alone = next(line for line in shown if "calibrated | alone" in line)
    assert f"| {(1 + watershed[0]) / 2:.3f} / " in alone
    differences = table_of_differences(results, groups_of(NAMES))
    named = [line.split(" | ")[0] for line in differences[2:]]
    assert named == [
        "| calibrated, alone - watershed, with threshold",
        "| calibrated, alone - calibrated, with threshold",
        "| calibrated, with threshold - watershed, with threshold",
    ]
    assert f"{1 - watershed[0]:+.3f} (" in differences[-1]


def test_small_objects_are_neither_missed_nor_found():
    truth = np.array([1] * 5 + [0] * 3 + [2] * 2)
    found = {("a", 0): {"alone": {"x": np.array([7] * 5 + [0] * 5)}}}
    assert scores(results_of(found, {"x": truth}, 0)["a", "alone"])[0, 0] == 0.5
    assert scores(results_of(found, {"x": truth}, 3)["a", "alone"])[0, 0] == 1


def test_rows_hold_every_seed_group_and_volume(results, tmp_path):
    write_rows(tmp_path / "rows.csv", {0: results, 100: results}, NAMES)
    with (tmp_path / "rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * (1 + 2 + 2) * (5 + 4)
    assert rows[0]["objects"] == "36"
    assert {row["seed"] for row in rows if row["arm"] == "calibrated"} == {"0", "1"}
    assert {row["group"] for row in rows} >= {"all", "CV1000", NAMES[0]}
