import pickle
import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cytosuite.errors import InputError
from cytosuite.metrics.labels import overlap_count
from cytosuite.metrics.labels.overlap import Overlap, concatenate, overlap
from cytosuite.metrics.labels.overlap_count import CHUNK, THREADED

INTEGERS = [np.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)]
PAIRS = st.tuples(*[arrays.arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 4))] * 2)


def counted(table):
    """Return the table as plain dictionaries, however it is ordered."""
    t, p = table.truth_labels.tolist(), table.prediction_labels.tolist()
    pairs = zip(table.truth_index, table.prediction_index, table.shared, strict=True)
    return (
        dict(zip(t, table.truth_sizes.tolist(), strict=True)),
        dict(zip(p, table.prediction_sizes.tolist(), strict=True)),
        {(t[i], p[j]): int(n) for i, j, n in pairs},
    )


def slowly(truth, prediction):
    """Count voxel by voxel."""
    sizes, pairs = ({}, {}), {}
    for t, p in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        for size, label in zip(sizes, (t, p), strict=True):
            if label:
                size[label] = size.get(label, 0) + 1
        if t and p:
            pairs[t, p] = pairs.get((t, p), 0) + 1
    return *sizes, pairs


@given(PAIRS)
@settings(max_examples=50, deadline=None)
def test_counts_as_a_loop_over_the_voxels_does(pair):
    assert counted(overlap(*pair)) == slowly(*pair)


@given(PAIRS, st.sampled_from([10, 100_000, 5_000_000_000, (1 << 64) // 5]))
@settings(max_examples=50, deadline=None)
def test_does_not_depend_on_how_large_the_labels_are(pair, factor):
    large = [labels.astype(np.uint64) * np.uint64(factor) for labels in pair]
    assert counted(overlap(*large)) == slowly(*large)


@given(PAIRS)
@settings(max_examples=25, deadline=None)
def test_exchanging_the_volumes_exchanges_the_columns(pair):
    truth, prediction, pairs = counted(overlap(*pair))
    assert counted(overlap(*pair[::-1])) == (
        prediction,
        truth,
        {(p, t): n for (t, p), n in pairs.items()},
    )


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize("other", INTEGERS, ids=str)
def test_takes_every_pair_of_integer_types(situations, dtype, other):
    truth, prediction = situations.merged()
    expected = counted(overlap(truth, prediction))
    assert counted(overlap(truth.astype(dtype), prediction.astype(other))) == expected


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_largest_label_of_the_type_is_a_label(dtype):
    largest = np.iinfo(dtype).max
    labels = np.array([0, largest, largest, largest - 1], dtype)
    sizes = {int(largest): 2, int(largest) - 1: 1}
    assert counted(overlap(labels, labels))[0] == sizes


def test_labels_that_float64_cannot_tell_apart_stay_apart():
    labels = np.array([1 << 63, (1 << 63) + 1, (1 << 64) - 1], np.uint64)
    assert overlap(labels, labels).truth_labels.tolist() == labels.tolist()


def test_sizes_and_pairs_add_up(situation):
    table = overlap(*situation)
    assert table.voxels == situation.truth.size
    assert table.truth_sizes.sum() == (situation.truth > 0).sum()
    assert table.prediction_sizes.sum() == (situation.prediction > 0).sum()
    assert table.shared.sum() == ((situation.truth > 0) & (situation.prediction > 0)).sum()
    assert (table.unions >= table.shared).all()


@pytest.mark.parametrize(
    "view",
    [
        np.asfortranarray,
        lambda labels: labels[:, ::-1],
        lambda labels: labels.transpose(2, 0, 1),
        lambda labels: labels[1:, ::2, 3:],
        lambda labels: labels.astype(">u2"),
        lambda labels: np.broadcast_to(labels[:1], labels.shape),
    ],
    ids=["fortran", "reversed", "transposed", "strided", "big-endian", "broadcast"],
)
def test_layout_in_memory_does_not_matter(situations, view):
    truth, prediction = (view(labels) for labels in situations.split())
    plain = (np.ascontiguousarray(labels).astype(np.int64) for labels in (truth, prediction))
    assert counted(overlap(truth, prediction)) == counted(overlap(*plain))


def test_reads_a_memory_mapped_file(tmp_path, situations):
    truth, prediction = situations.merged()
    np.save(tmp_path / "truth.npy", truth)
    mapped = np.load(tmp_path / "truth.npy", mmap_mode="r")
    assert counted(overlap(mapped, prediction)) == counted(overlap(truth, prediction))


def test_leaves_its_inputs_alone(situations):
    truth, prediction = situations.merged()
    truth.flags.writeable = prediction.flags.writeable = False
    overlap(truth, prediction)


@pytest.mark.parametrize("shape", [(), (0,), (0, 4, 4), (1,), (1, 1, 1)])
def test_volumes_of_no_or_one_voxel(shape):
    ones = np.ones(shape, np.uint8)
    assert counted(overlap(ones, ones))[2] == ({(1, 1): 1} if ones.size else {})


def test_runs_are_joined_across_chunks():
    labels = np.full(2 * CHUNK + 1, 5, np.uint8)
    table = overlap(labels, labels)
    assert table.shared.tolist() == [2 * CHUNK + 1]


def test_seventy_thousand_objects():
    labels = np.arange(2, 140_002, dtype=np.uint32).reshape(70, 2000) // 2
    table = overlap(labels, labels[::-1])
    assert table.truth_sizes.tolist() == table.shared.tolist() == [2] * 70_000


@pytest.fixture
def sorting(monkeypatch):
    """Make every volume one of too many pairs for the hash table."""
    monkeypatch.setattr(overlap_count, "_hashed", lambda *_: None)


def spread(labels, factor, dtype):
    """Return the same objects with labels so far apart."""
    return labels.astype(dtype) * np.array(factor, dtype)


WIDE = [
    (1, np.uint8),
    (13, np.int8),
    (9_000, np.uint16),
    (1 << 20, np.int32),
    (500_000_000, np.uint32),
    (1 << 60, np.int64),
    ((1 << 64) // 5, np.uint64),
]


@pytest.mark.parametrize(("factor", "dtype"), WIDE)
def test_sorting_gives_the_table_of_hashing(sorting, factor, dtype):
    rng = np.random.default_rng(0)
    for truth, prediction in rng.integers(0, 5, (4, 2, 3, 4, 5)):
        pair = spread(truth, factor, dtype), spread(prediction[:, ::-1], factor, dtype)
        assert counted(overlap(*pair)) == slowly(*pair)


@given(PAIRS)
@settings(max_examples=20, deadline=None)
def test_sorting_gives_the_columns_of_hashing_in_their_order(pair):
    hashed = overlap(*pair)
    sort = overlap_count._sorted(*pair, np.dtype(np.uint16))
    for column, name in zip(sort, Overlap.__dataclass_fields__, strict=False):
        assert column.tolist() == getattr(hashed, name).tolist()


def test_noise_outgrows_the_hash_table_and_its_columns_are_narrow(monkeypatch):
    monkeypatch.setattr(overlap_count, "SLOTS", 16)
    monkeypatch.setattr(overlap_count, "SMALL", 100)
    truth, prediction = np.random.default_rng(0).integers(0, 60, (2, 20, 30, 40), np.uint16)
    table = overlap(truth, prediction)
    assert {table.truth_index.dtype, table.prediction_index.dtype, table.shared.dtype} == {
        np.dtype(np.int32)
    }
    assert counted(table) == slowly(truth, prediction)
    assert table.halves.size == 0


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
def test_two_threads_count_as_one(dtype):
    labels = np.arange(2 * THREADED, dtype=np.uint32).reshape(64, -1) // 999
    truth, prediction = labels.astype(dtype), np.roll(labels, 5, 1).astype(np.uint16)
    assert counted(overlap(truth, prediction)) == slowly(truth, prediction)
    other = np.asfortranarray(truth), prediction.T.copy().T
    assert counted(overlap(*other)) == slowly(truth, prediction)


def test_halves_are_the_pairs_of_at_least_half_the_object_of_the_truth():
    table = overlap(np.array([1, 1, 2, 2, 3, 3, 3]), np.array([1, 2, 3, 3, 4, 0, 0]))
    assert table.halves.tolist() == [0, 1, 2]
    assert table.unions_of(table.halves).tolist() == [2, 2, 2]


def test_pairs_are_in_order(situation):
    table = overlap(*situation)
    pairs = list(zip(table.truth_index.tolist(), table.prediction_index.tolist(), strict=True))
    assert pairs == sorted(set(pairs))


def test_concatenation_keeps_objects_of_different_volumes_apart(situations):
    one, other = overlap(*situations.merged()), overlap(*situations.split())
    both = concatenate([one, other])
    assert both.voxels == one.voxels + other.voxels
    assert both.truth_sizes.tolist() == [64, 64, 64]
    assert sorted(both.unions) == sorted([*one.unions, *other.unions])
    assert both.truth_index.max() == 2
    assert both.prediction_index.max() == 2


def test_concatenation_of_nothing_is_the_table_of_an_empty_volume():
    assert concatenate([]).voxels == 0
    assert concatenate([]).truth_sizes.size == concatenate([]).shared.size == 0


DTYPE = "{}: labels must be of an integer dtype, found {}; write the labels as integers, for instance uint16 or uint32"
NEGATIVE = "prediction: labels must not be negative, found -4; use 0 for background and positive numbers for objects"
SHAPE = "truth and prediction must have the same shape, found (3, 4) and (4, 3); the prediction must cover the image voxel by voxel"
ZEROS = np.zeros(3, np.uint8)


@pytest.mark.parametrize(
    ("truth", "prediction", "message"),
    [
        (np.zeros(3, np.float32), ZEROS, DTYPE.format("truth", "float32")),
        (ZEROS, np.zeros(3, bool), DTYPE.format("prediction", "bool")),
        (ZEROS, np.array([0, np.nan, 1]), DTYPE.format("prediction", "float64")),
        (ZEROS, np.array([0, -1, -4], np.int16), NEGATIVE),
        (np.zeros((3, 4), np.uint8), np.zeros((4, 3), np.uint8), SHAPE),
    ],
)
def test_mistakes_are_named(truth, prediction, message):
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        overlap(truth, prediction)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_negative_labels_are_named_whatever_the_path(dtype, sorting):
    with pytest.raises(InputError, match=r"^truth: labels must not be negative, found -7; "):
        overlap(np.array([3, -7, 1], dtype), np.zeros(3, np.uint32))


@pytest.mark.parametrize("big", [7, 300, 2**40])
def test_a_table_that_was_pickled_is_the_same_in_fewer_bytes(big):
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 9, (40, 50)) * big
    prediction = np.where(rng.random(truth.shape) < 0.8, truth, 0)
    table = overlap(truth, prediction)
    assert table.halves.size  # is not pickled
    content = pickle.dumps(table)
    again = pickle.loads(content)
    for name in (field.name for field in fields(Overlap)):
        one, other = getattr(table, name), getattr(again, name)
        assert np.array_equal(one, other)
        assert getattr(one, "dtype", int) == getattr(other, "dtype", int)
    assert (again.halves == table.halves).all()


def test_the_table_of_a_thousand_objects_travels_in_25_kilobytes():
    labels = np.arange(1, 1001).repeat(500).reshape(100, -1)
    assert len(pickle.dumps(overlap(labels, np.roll(labels, 3)))) < 25_000
