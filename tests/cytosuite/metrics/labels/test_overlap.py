import pickle
import re
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from mistakes import refused

from cytosuite.metrics.labels.overlap import Overlap, concatenate, overlap

INTEGERS = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]
PAIRS = st.tuples(*[arrays.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 4))] * 2)


def counted(table):
    """Return the table as plain dictionaries, however it is ordered."""
    t = table.truth_labels.tolist()
    p = table.prediction_labels.tolist()
    pairs = zip(table.truth_index, table.prediction_index, table.shared, strict=True)
    return (
        dict(zip(t, table.truth_sizes.tolist(), strict=True)),
        dict(zip(p, table.prediction_sizes.tolist(), strict=True)),
        {(t[i], p[j]): int(n) for i, j, n in pairs},
    )


def slowly(truth, prediction):
    """Count voxel by voxel."""
    both = truth.ravel().tolist(), prediction.ravel().tolist()
    pairs = filter(all, zip(*both, strict=True))
    return *(Counter(filter(None, labels)) for labels in both), Counter(pairs)


@given(PAIRS)
@settings(max_examples=50)
def test_counts_as_a_loop_over_the_voxels_does(pair):
    assert counted(overlap(*pair)) == slowly(*pair)


def test_takes_the_largest_label_of_every_integer_type():
    for dtype in INTEGERS:
        largest = np.iinfo(dtype).max
        labels = np.array([0, largest, largest, largest - 1], dtype)
        assert counted(overlap(labels, labels))[0] == {int(largest): 2, int(largest) - 1: 1}


@pytest.fixture
def sorting(monkeypatch):
    """Make every volume one of too many pairs for the hash table."""
    monkeypatch.setattr("cytosuite.metrics.labels.overlap._hashed", lambda *_: None)


@pytest.mark.parametrize(
    "factor, dtype",
    {1: np.uint8, 1 << 20: np.int32, 1 << 60: np.int64, (1 << 64) // 5: np.uint64}.items(),
)
def test_sorting_gives_the_table_of_hashing(sorting, factor, dtype, rng):
    # Labels are multiples of the factor.
    for pair in rng.integers(0, 5, (4, 2, 3, 4, 5)).astype(dtype) * np.array(factor, dtype):
        assert counted(overlap(*pair)) == slowly(*pair)


def test_noise_outgrows_the_hash_table_and_needs_memory(monkeypatch, rng):
    monkeypatch.setattr("cytosuite.metrics.labels.overlap.SLOTS", 16)
    truth, prediction = rng.integers(0, 60, (2, 20, 30, 40), np.uint16)
    table = overlap(truth, prediction)
    assert counted(table) == slowly(truth, prediction)
    assert table.halves.size == 0
    pairs = list(zip(table.truth_index.tolist(), table.prediction_index.tolist(), strict=True))
    assert pairs == sorted(set(pairs))
    monkeypatch.setattr("cytosuite.volume.memory.free_gib", lambda: 1e-3)
    refused(
        "in so many pairs that their table needs 0.00161 GiB .* noise", overlap, truth, prediction
    )


def test_concatenation_keeps_objects_of_different_volumes_apart(situations):
    one = overlap(*situations.merged())
    other = overlap(*situations.split())
    both = concatenate([one, other])
    assert both.voxels == one.voxels + other.voxels
    assert both.truth_sizes.tolist() == [64, 64, 64]
    assert sorted(both.unions()) == sorted([*one.unions(), *other.unions()])
    assert both.truth_index.max() == 2
    assert both.prediction_index.max() == 2
    nothing = concatenate([])
    assert nothing.voxels == nothing.truth_sizes.size == nothing.shared.size == 0


DTYPE = "{}: labels must be of an integer dtype, found {}; write the labels as integers, for instance uint16 or uint32"
NEGATIVE = "prediction: labels must not be negative, found -4; use 0 for background and positive numbers for objects"
SHAPE = "truth and prediction must have the same shape, found (3, 4) and (4, 3); the prediction must cover the image voxel by voxel"
ZEROS = np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    "truth, prediction, message",
    [
        (np.zeros(3, np.float32), ZEROS, DTYPE.format("truth", "float32")),
        (ZEROS, np.zeros(3, bool), DTYPE.format("prediction", "bool")),
        (ZEROS, np.array([0, np.nan, 1]), DTYPE.format("prediction", "float64")),
        (ZEROS, np.array([0, -1, -4], np.int16), NEGATIVE),
        (np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8), SHAPE),
    ],
)
def test_mistakes_are_named(truth, prediction, message):
    refused(f"^{re.escape(message)}$", overlap, truth, prediction)


def test_negative_labels_are_named_where_voxels_are_sorted(sorting):
    refused(
        r"^truth: labels must not be negative, found -7; ",
        overlap,
        np.array([3, -7, 1], np.int8),
        np.zeros(3, np.uint32),
    )


@pytest.mark.parametrize("big", [7, 2**40])
def test_a_table_that_was_pickled_is_the_same_in_fewer_bytes(big, rng):
    truth = rng.integers(0, 9, (40, 50)) * big
    table = overlap(truth, np.where(rng.random(truth.shape) < 0.8, truth, 0))
    assert table.halves.size  # is not pickled
    again = pickle.loads(pickle.dumps(table))
    for name in (field.name for field in fields(Overlap)):
        one = getattr(table, name)
        other = getattr(again, name)
        assert np.array_equal(one, other)
        assert getattr(one, "dtype", int) == getattr(other, "dtype", int)
    assert (again.halves == table.halves).all()
