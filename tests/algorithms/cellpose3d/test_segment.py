import numpy as np
import pytest
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.extent import Whole, measure
from cytosuite.algorithms.cellpose3d.fields import Fields
from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.segment import segment

SPACING = (2.0, 1.0, 1.0)
CENTRES, RADIUS = ((10, 16, 12), (10, 16, 22), (12, 34, 30)), 5.5


def truth(spacing=SPACING, shape=(12, 46, 44)):
    """Return labels of two touching balls and one alone, in µm."""
    grid = [(g + 0.5) * s for g, s in zip(np.indices(shape), spacing, strict=True)]
    away = np.stack(
        [sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) for centre in CENTRES]
    )
    return np.where(away.min(0) < RADIUS**2, away.argmin(0) + 1, 0)


def perfect(labels):
    return Fields((labels > 0).astype(np.float32), flow_targets(labels), 1, 0)


def parameters(**given):
    return Parameters(network={"widths": [4, 4, 4], "fold": 2}, **{"li": False} | given)


def same(first, second):
    """Return whether two label images show the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return len(set(pairs[0])) == len(set(pairs[1])) == pairs.shape[1]


def test_perfect_fields_give_the_truth():
    labels = truth()
    found = segment(perfect(labels), labels.astype(np.float32), SPACING, parameters())
    assert found.labels.dtype == np.uint32
    assert same(found.labels, labels)
    np.testing.assert_array_equal(found.margin > 0, labels > 0)
    assert (found.removed, found.li) == ([], None)


def test_tau_decides_how_far_an_object_extends():
    labels = truth()
    inner = labels * (np.random.default_rng(0).random(labels.shape) < 2)
    fields = perfect(labels)
    fields.level[:] = np.where(inner, 0.4, 0.0)
    assert segment(fields, fields.level, SPACING, parameters(tau=0.3)).labels.any()
    assert not segment(fields, fields.level, SPACING, parameters(tau=0.5)).labels.any()


def test_li_removes_dim_objects_of_the_image():
    labels = truth()
    image = np.where(labels == 3, 12.0, np.where(labels > 0, 100.0, 10.0)).astype(np.float32)
    found = segment(perfect(labels), image, SPACING, parameters(li=True, smoothing_um=0))
    assert 12 < found.li < 100
    assert same(found.labels, np.where(labels == 3, 0, labels))


def test_a_bright_object_is_cut_higher_than_a_dim_one():
    labels = truth()
    rim = labels * (ndimage.minimum_filter(labels, (1, 3, 3)) != labels)
    image = np.select([labels == 3, labels > 0], [100.0, 1000.0], 0.0).astype(np.float32)
    image[rim > 0] = 40  # above the threshold, but little next to a bright nucleus
    given = {"li": True, "smoothing_um": 0, "li_factor": 0.05}
    both = segment(perfect(labels), image, SPACING, parameters(**given)).labels
    assert same(both, labels)
    own = segment(perfect(labels), image, SPACING, parameters(own_weight=0.5, **given))
    assert same(own.labels, np.where((labels < 3) & (rim > 0), 0, labels))
    np.testing.assert_array_equal(own.margin > 0, own.labels > 0)


def test_bright_surroundings_raise_the_threshold():
    labels = truth()
    rim = labels * (ndimage.minimum_filter(labels, (1, 3, 3)) != labels)
    image = np.select([labels == 3, labels > 0], [100.0, 1000.0], 0.0).astype(np.float32)
    image[rim > 0] = 40
    given = {"li": True, "smoothing_um": 0, "li_factor": 0.05, "local_um": 5.0}
    found = segment(perfect(labels), image, SPACING, parameters(local_weight=0.7, **given)).labels
    assert same(found, np.where((labels < 3) & (rim > 0), 0, labels))


def test_an_object_hardly_brighter_than_the_threshold_can_be_refused():
    labels = truth()
    image = np.select([labels == 3, labels > 0], [60.0, 100.0], 0.0).astype(np.float32)
    given = {"li": True, "smoothing_um": 0, "li_factor": 0.5}
    whole = Whole(0.0, 50.0)
    found = segment(perfect(labels), image, SPACING, parameters(min_contrast=1.5, **given), whole)
    assert [(r.reason, r.value) for r in found.removed] == [("min_contrast", pytest.approx(1.2))]
    assert same(found.labels, np.where(labels == 3, 0, labels))


def test_a_part_of_an_image_is_cut_as_the_whole_is():
    labels = truth()
    image = np.where(labels == 3, 12.0, np.where(labels > 0, 100.0, 10.0)).astype(np.float32)
    settings = parameters(li=True, smoothing_um=0.5)
    whole = measure(image, SPACING, settings)
    here = np.s_[:, 24:]  # nothing but the dim one
    part = perfect(labels[here])
    assert segment(part, image[here], SPACING, settings).labels.any()
    assert not segment(part, image[here], SPACING, settings, whole).labels.any()


def test_removed_objects_are_named_and_leave_no_margin():
    labels = truth()
    alone = 2.0 * np.count_nonzero(labels == 3)
    touching = 2.0 * min(np.count_nonzero(labels == 1), np.count_nonzero(labels == 2))
    fields = perfect(labels)
    fields.level[labels == 3] = 0.5
    found = segment(fields, fields.level, SPACING, parameters(min_level=0.7))
    assert [(row.reason, row.limit) for row in found.removed] == [("min_level", 0.7)]
    assert np.allclose(found.centres[0], (5.5, 33.5, 29.5), atol=0.6)
    assert not (found.margin[labels == 3] > 0).any()
    assert same(found.labels, np.where(labels == 3, 0, labels))
    limit = max(alone, touching) + 1
    none = segment(perfect(labels), fields.level, SPACING, parameters(min_volume_um3=limit))
    assert {row.reason for row in none.removed} == {"min_volume_um3"}


def test_peaks_of_a_tall_nucleus_are_one_where_nuclei_look_longer_along_z():
    """Flows that lead to two places 8 µm apart along z."""
    labels = np.zeros((12, 20, 20), int)
    labels[1:6, 8:13, 8:13], labels[6:11, 8:13, 8:13] = 1, 2
    fields = Fields((labels > 0).astype(np.float32), flow_targets(labels), 1, 0)
    image = labels.astype(np.float32)
    given = {"seed_distance_um": 7.0, "seed_smoothing_um": 0.5}
    assert segment(fields, image, SPACING, parameters(**given)).labels.max() == 2
    tall = parameters(axial_elongation=2.0, **given)
    assert segment(fields, image, SPACING, tall).labels.max() == 1


@pytest.mark.parametrize("min_contrast", [0.0, 1.5])
def test_nothing_gives_nothing(min_contrast):
    zeros = np.zeros((4, 16, 16), np.float32)
    found = segment(
        Fields(zeros, np.zeros((3, 4, 16, 16), np.float32), 1, 0),
        zeros,
        SPACING,
        parameters(li=True, min_contrast=min_contrast),
    )
    assert not found.labels.any()
    assert not (found.margin > 0).any()


@pytest.mark.parametrize(("slices", "limit"), [(4, 500.0), (1, 2 * 76.158)])
def test_in_a_single_slice_volumes_count_with_the_part_in_it(slices, limit):
    """A ball of 500 µm³ has a section of 76.158 µm², in a slice of 2 µm."""
    from cytosuite.algorithms.cellpose3d.segment import _within

    assert _within(500.0, (slices, 9, 9), (2.0, 1.0, 1.0)) == pytest.approx(limit, rel=1e-4)
    assert _within(float("inf"), (1, 9, 9), (2.0, 1.0, 1.0)) == float("inf")


def test_faces_move_to_bright_walls_where_the_card_says_so():
    labels = np.repeat(np.array([1, 2]), [10, 14])[None, None, :] * np.ones((12, 24, 1), int)
    image = np.zeros(labels.shape, np.float32)
    image[:, :, 12] = 9  # two voxels beyond the face that the flow gives
    found = [
        segment(
            perfect(labels), image, SPACING, parameters(wall_reach_um=reach, seed_distance_um=2)
        )
        for reach in (0.0, 3.0)
    ]
    assert same(found[0].labels, labels)
    expected = np.repeat(np.array([1, 2]), [12, 12])[None, None, :] * np.ones((12, 24, 1), int)
    expected[:, :, 12] = found[1].labels[:, :, 12]  # the wall may belong to either side
    np.testing.assert_array_equal(found[1].labels, expected)


def test_objects_that_the_level_does_not_part_are_one_where_the_card_says_so():
    labels = np.repeat(np.array([1, 2]), [10, 14])[None, None, :] * np.ones((12, 24, 1), int)
    fields, image = perfect(labels), np.zeros(labels.shape, np.float32)
    given = {"seed_distance_um": 2, "max_face_level": 0.7}
    assert segment(fields, image, SPACING, parameters(**given)).labels.max() == 1
    fields.level[:, :, 9:11] = 0.4
    assert same(segment(fields, image, SPACING, parameters(**given)).labels, labels)
