import numpy as np
import pytest
from mistakes import refused
from rasters import away_from
from safetensors.numpy import save_file
from scipy import ndimage

from cytosuite.segmentation.outline import looseness_of
from cytosuite.segmentation.outline.features import COLUMNS, Common, look, measure
from cytosuite.segmentation.outline.redraw import Trees, redraw

SPACING = (2.0, 1.0, 1.0)
# One question: whether the smoothed value is above half of the image's threshold.
HALF = Trees(
    np.zeros((1, 1), np.int32),
    np.full((1, 1), np.log(0.5), np.float32),
    np.array([[-3, 3]], np.float32),
    np.zeros(1, np.float32),
)
# Whether a voxel lies within 0.8 radii of its object's centre; within the labels.
ROUND = HALF._replace(
    feature=np.full((1, 1), 15, np.int32),
    threshold=np.full((1, 1), 0.8, np.float32),
    value=-HALF.value,
)
AS_IT_IS = ROUND._replace(
    feature=np.full((1, 1), 11, np.int32),
    threshold=np.full((1, 1), 1e-3, np.float32),
    value=-9 * HALF.value,
)


def scene():
    """Return light of soft balls of 7 µm and labels that are too small, numbered 1, 2, 3."""
    centres = ((8, 16, 14), (8, 16, 28), (9, 36, 30))
    away = np.stack([away_from(centre, (18, 50, 46), SPACING) for centre in centres])
    nearest = away.min(axis=0)
    labels = np.where(nearest < 5, away.argmin(axis=0) + 1, 0).astype(np.uint16)
    image = np.random.default_rng(0).poisson(100 + 400 / (1 + np.exp(nearest - 7)))
    return image.astype(np.float32), labels


def test_a_leaf_is_the_bits_of_the_answers():
    feature = np.array([[0, 1], [1, 1]], np.int32)
    threshold = np.array([[0, 0], [5, -5]], np.float32)
    value = np.array([[1, 2, 3, 4], [10, 20, 30, 40]], np.float32)
    trees = Trees(feature, threshold, value, np.array([100], np.float32))
    columns = np.array([[-1, 1, -1, 1], [-1, -1, 6, -6]], np.float32)
    assert trees.odds(columns).tolist() == [100 + 1 + 30, 100 + 2 + 30, 100 + 3 + 40, 100 + 2 + 10]


def test_trees_pass_through_a_file_and_others_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    save_file({"network": np.zeros(2), **HALF.tensors()}, path)
    assert all(map(np.array_equal, Trees.read(path, COLUMNS), HALF))
    refused("not of this version", Trees.read, path, 0)
    save_file({"network": np.zeros(2)}, path)
    for missing in (path, None):
        refused("expected an outline in the weights, found none", Trees.read, missing, COLUMNS)


def test_objects_grow_to_where_the_trees_say_and_touching_ones_keep_their_sides():
    image, labels = scene()
    redrawn = redraw(labels, image, SPACING, HALF, 0.5)
    assert redrawn.dtype == labels.dtype
    assert (np.bincount(redrawn.ravel())[1:] > 1.5 * np.bincount(labels.ravel())[1:]).all()
    assert all(np.mean(redrawn[labels == n] == n) > 0.99 for n in (1, 2, 3))
    common = measure(labels, image, SPACING)
    bright = ndimage.gaussian_filter(image, 1) - common.background > common.threshold / 2
    assert np.mean(bright[redrawn > 0]) > 0.98
    assert set(np.unique(redrawn)) <= {0, 1, 2, 3}
    assert np.mean(redrawn[:, :24, :20][redrawn[:, :24, :20] > 0] == 1) > 0.95


def test_units_do_not_count_and_a_looser_outline_holds_a_tighter_one():
    image, labels = scene()
    one = redraw(labels, image, SPACING, HALF, 0.5)
    other = redraw(labels, image * 4 + 1000, tuple(3 * s for s in SPACING), HALF, 0.5)
    assert np.mean(one == other) > 0.9999
    looser, tighter = (redraw(labels, image, SPACING, HALF, value) for value in (0.9, 0.1))
    assert ((looser > 0) >= (one > 0)).all()
    assert ((one > 0) >= (tighter > 0)).all()
    assert looser.astype(bool).sum() > tighter.astype(bool).sum() > 0


def test_a_slice_is_a_plane():
    image, labels = scene()
    image = image[8]
    labels = labels[8]
    plane = redraw(labels, image, SPACING[1:], HALF, 0.5)
    assert plane.max() == 3
    assert np.array_equal(redraw(labels[None], image[None], SPACING, HALF, 0.5), plane[None])


def test_blocks_give_the_labels_of_the_whole(monkeypatch):
    image, labels = scene()
    image = np.tile(image, (1, 1, 4))
    labels = np.tile(labels, (1, 1, 4))
    labels[labels > 0] += (3 * (np.indices(labels.shape)[2] // 46))[labels > 0].astype(np.uint16)
    whole = redraw(labels, image, SPACING, HALF, 0.5)
    assert whole.max() == 12
    monkeypatch.setattr(
        "cytosuite.segmentation.outline.redraw.free_gib", lambda: labels.size * 0.7 * 200 / 2**30
    )
    planned = []
    monkeypatch.setattr(
        "cytosuite.segmentation.outline.redraw.put",
        lambda to, box, part: planned.append(to.__setitem__(box, part)),
    )
    parts = redraw(labels, image, SPACING, HALF, 0.5)
    assert len(planned) > 1
    assert np.mean(parts == whole) > 0.9999


def test_a_block_sees_the_whole_of_a_nucleus_twice_as_large(monkeypatch):
    labels = np.zeros((50, 120), np.uint16)
    discs = [(9, 8 + 15 * n, 5) for n in range(8)] + [(34, 51, 10)]  # a seam at x = 60
    for number, (*middle, radius) in enumerate(discs, 1):
        labels[away_from(middle, labels.shape) < radius] = number
    image = 10 + 90 * (labels > 0).astype(np.float32)
    whole = redraw(labels, image, (1.0, 1.0), ROUND, 0.5)
    monkeypatch.setattr(
        "cytosuite.segmentation.outline.redraw.free_gib", lambda: labels.size * 0.9 * 200 / 2**30
    )
    assert np.array_equal(redraw(labels, image, (1.0, 1.0), ROUND, 0.5), whole)


def test_a_ramp_of_light_has_its_slope_per_radius_over_the_mean():
    labels = np.zeros((21, 30, 40), np.int32)
    labels[5:16, 10:21, 12:27] = 1
    image = (3 + np.indices(labels.shape)[2] * 0.5).astype(np.float32)  # 1 a µm
    near = look(labels, image, (2.0, 1.0, 0.5), Common(0.0, 1.0, 4.0))
    middle = np.unravel_index(near.voxels, labels.shape)[2] - 19
    inner = np.abs(middle) < 7
    assert near.columns[9, inner] == pytest.approx(4 / (3 + 19 * 0.5), rel=1e-4)
    along = near.columns[10, inner]  # outwards
    assert (along[middle[inner] > 0] > 0).all()
    assert (along[middle[inner] < 0] < 0).all()


@pytest.mark.parametrize("axis", [-2, -1])
def test_the_place_along_y_and_x_is_signed_and_a_mirrored_object_mirrors_it(axis):
    labels = np.zeros((9, 24, 30), np.int32)
    labels[2:7, 5:17, 8:21] = 1
    image = 10 + 90 * ndimage.gaussian_filter((labels > 0).astype(np.float32), 1.5)
    common = Common(0.0, 50.0, 8.0)
    size = labels.shape[axis]
    near, seen = (
        look(np.flip(part[0], part[2]), np.flip(part[1], part[2]), SPACING, common)
        for part in ((labels, image, ()), (labels, image, axis))
    )
    places = [*np.unravel_index(near.voxels, labels.shape)]
    places[axis] = size - 1 - places[axis]
    order = np.searchsorted(seen.voxels, np.ravel_multi_index(places, labels.shape))
    sign = np.ones(COLUMNS)
    sign[axis] = -1
    assert sign[14] == 1  # its distance without a sign stays
    assert np.allclose(seen.columns[:, order], near.columns * sign[:, None], atol=1e-4)
    assert np.ptp(near.columns[axis]) > 2  # from one side of the object to the other


def test_trees_of_former_columns_ask_the_same_of_them():
    # The number of a column is its name in cards: new ones stand last.
    image, labels = scene()
    near = look(labels, image, SPACING, measure(labels, image, SPACING))
    far = near.columns[15]
    across = near.columns[14]
    assert np.allclose(np.hypot(near.columns[16], near.columns[17]), across, atol=1e-5)
    assert np.allclose(np.hypot(near.columns[13], across), far, atol=1e-5)


def test_an_outline_keeps_what_is_wider_than_a_quarter_of_a_radius():
    disc = away_from(32, (64, 64)) < 20
    for width, stays in ((2, False), (7, True)):
        labels = disc.astype(np.uint8)
        labels[:32, 29 : 29 + width] = 0
        redrawn = redraw(labels, 10 + 90 * disc.astype(np.float32), (1.0, 1.0), AS_IT_IS, 0.5)
        assert (redrawn[22, 29:31] == 0).all() == stays
        assert np.mean(redrawn[labels > 0]) > 0.95


def test_an_object_in_the_dark_is_dropped_and_nothing_changes_without_objects_or_light():
    image, labels = scene()
    labels[:4, :8, -8:] = 2
    labels[labels == 3] = 4
    labels[(labels == 2) & (np.indices(labels.shape)[1] > 7)] = 3
    redrawn = redraw(labels, image, SPACING, HALF, 0.5)
    assert np.unique(redrawn).tolist() == [0, 1, 2, 3]
    assert not redrawn[:4, :8, -8:].any()
    assert redraw(np.zeros_like(labels), image, SPACING, HALF, 0.5).max() == 0
    assert np.array_equal(redraw(labels, np.ones_like(image), SPACING, HALF, 0.5), labels)


def test_columns_are_finite_in_objects_of_one_voxel_and_at_the_border():
    labels = np.zeros((6, 7), np.int32)
    labels[0, 0], labels[3, 3], labels[5, 4:] = 1, 2, 3
    image = np.arange(42, dtype=np.float32).reshape(6, 7)
    near = look(labels, image, (1.0, 1.0), measure(labels, image, (1.0, 1.0)))
    assert near.columns.shape == (COLUMNS, near.voxels.size)
    assert np.isfinite(near.columns).all()
    inside = labels.ravel()[near.voxels]
    assert (near.owner[inside > 0] == inside[inside > 0]).all()


def test_looseness_is_a_number_or_a_word_relative_to_the_card():
    assert [looseness_of(0.55, setting) for setting in (None, "0.3", 0.3)] == [0.55, 0.3, 0.3]
    assert looseness_of(0.5, "looser") == 0.65
    assert looseness_of(0.1, "tighter") == 0.05
    for bad in ("wide", "nan", 0, 1, "-1"):
        refused("outline must be looser, tighter or a number", looseness_of, 0.5, bad)
