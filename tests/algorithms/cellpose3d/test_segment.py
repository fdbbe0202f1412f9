import numpy as np
import pytest
from numpy.testing import assert_array_equal
from rasters import away_from
from scipy import ndimage

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.parameters import Parameters
from cytosuite.algorithms.cellpose3d.quality import Removal, control
from cytosuite.algorithms.cellpose3d.segment import (
    Fields,
    Whole,
    measure,
    moved_to_walls,
    segment,
    smoothed,
    without_walls_joined,
)

SPACING = (2.0, 1.0, 1.0)
CENTRES = ((10, 16, 12), (10, 16, 22), (12, 34, 30))
RADIUS = 5.5


def truth():
    """Return labels of two touching balls and one alone, in µm."""
    away = np.stack(
        [away_from(place, (12, 46, 44), SPACING) for place in np.divide(CENTRES, SPACING) - 0.5]
    )
    return np.where(away.min(0) < RADIUS, away.argmin(0) + 1, 0)


def perfect(labels):
    return Fields((labels > 0).astype(np.float32), flow_targets(labels), 1, 0)


def parameters(**options):
    return Parameters(**{"network": {"widths": [4, 4, 4], "fold": 2}, "li": False} | options)


def cut(labels, image, whole=None, **options):
    """Return the objects in an image by perfect fields of labels."""
    return segment(perfect(labels), image, SPACING, parameters(**options), whole)


def same(first, second):
    """Return whether two label images show the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([first.ravel(), second.ravel()]), axis=1)
    return len(set(pairs[0])) == len(set(pairs[1])) == pairs.shape[1]


def test_a_bright_object_is_cut_higher_than_a_dim_one():
    labels = truth()
    rim = labels * (ndimage.minimum_filter(labels, (1, 3, 3)) != labels)
    image = np.select([labels == 3, labels > 0], [100.0, 1000.0], 0.0).astype(np.float32)
    image[rim > 0] = 40  # above the threshold, but little next to a bright nucleus
    options = {"li": True, "smoothing_um": 0, "li_factor": 0.05}
    assert same(cut(labels, image, **options).labels, labels)
    trimmed = np.where((labels < 3) & (rim > 0), 0, labels)
    weighted = cut(labels, image, own_weight=0.5, **options)
    assert same(weighted.labels, trimmed)
    assert_array_equal(weighted.margin > 0, weighted.labels > 0)
    options |= {"local_um": 5.0, "local_weight": 0.7}  # so do bright surroundings
    assert same(cut(labels, image, **options).labels, trimmed)


def test_an_object_hardly_brighter_than_the_threshold_can_be_refused():
    labels = truth()
    image = np.select([labels == 3, labels > 0], [60.0, 100.0], 0.0).astype(np.float32)
    nuclei = cut(
        labels, image, Whole(0.0, 50.0), min_contrast=1.5, li=True, smoothing_um=0, li_factor=0.5
    )
    assert [(r.reason, r.value) for r in nuclei.removed] == [("min_contrast", pytest.approx(1.2))]
    assert same(nuclei.labels, np.where(labels == 3, 0, labels))


def test_a_part_of_an_image_is_cut_as_the_whole_is():
    labels = truth()
    image = np.where(labels == 3, 12.0, np.where(labels > 0, 100.0, 10.0)).astype(np.float32)
    options = {"li": True, "smoothing_um": 0.5}
    whole = measure(image, SPACING, parameters(**options))
    assert 12 < whole.background + whole.threshold < 100
    part = labels[:, 24:], image[:, 24:]  # nothing but the dim one
    assert cut(*part, **options).labels.any()
    assert not cut(*part, whole, **options).labels.any()


def test_removed_objects_are_named_and_leave_no_margin():
    labels = truth()
    fields = perfect(labels)
    fields.level[labels == 3] = 0.5
    nuclei = segment(fields, fields.level, SPACING, parameters(min_level=0.7))
    assert [(row.reason, row.limit) for row in nuclei.removed] == [("min_level", 0.7)]
    assert np.allclose(nuclei.removed[0].centre, (5.5, 33.5, 29.5), atol=0.6)
    assert not (nuclei.margin[labels == 3] > 0).any()
    assert same(nuclei.labels, np.where(labels == 3, 0, labels))


def test_peaks_of_a_tall_nucleus_are_one_where_nuclei_look_longer_along_z():
    # Flows that lead to two places 8 µm apart along z.
    labels = np.zeros((12, 20, 20), int)
    labels[1:6, 8:13, 8:13] = 1
    labels[6:11, 8:13, 8:13] = 2
    image = labels.astype(np.float32)
    options = {"seed_distance_um": 7.0, "seed_smoothing_um": 0.5}
    assert cut(labels, image, **options).labels.max() == 2
    assert cut(labels, image, axial_elongation=2.0, **options).labels.max() == 1


@pytest.mark.parametrize("dimensions, left", [(3, [30, 60]), (2, [60])])
def test_volumes_of_a_network_for_planes_are_areas(dimensions, left):
    # A ball of 50 µm³ has a section of 16.4 µm², the limit of a network for volumes.
    labels = np.zeros((1, 30, 30), int)
    labels[0, :3, :4], labels[0, 9:14, 3:9], labels[0, 20:26, 20:] = 1, 2, 3
    card = parameters(
        network={"dimensions": dimensions, "widths": [4, 4, 4], "fold": 2}, min_volume_um3=50
    )
    nuclei = segment(perfect(labels), labels.astype(np.float32), (1, 1, 1), card)
    assert np.bincount(nuclei.labels.ravel())[1:].tolist() == left
    assert [row.centre for row in nuclei.removed] == [(0, 1, 1.5), (0, 11, 5.5)][: 3 - len(left)]


def test_a_plane_without_nuclei_stays_empty():
    empty = np.zeros((1, 16, 16), np.float32)
    nuclei = segment(perfect(empty.astype(int)), empty, (1, 1, 1), parameters(max_flow_error=0.5))
    assert (nuclei.labels.any(), nuclei.removed) == (False, [])


def test_faces_move_to_bright_walls_where_the_card_says_so():
    labels = np.tile(np.repeat([1, 2], [10, 14]), (12, 24, 1))
    image = np.zeros(labels.shape, np.float32)
    image[:, :, 12] = 9  # two voxels beyond the face that the flow gives
    results = [cut(labels, image, wall_reach_um=um, seed_distance_um=2) for um in (0.0, 3.0)]
    assert same(results[0].labels, labels)
    expected = np.tile(np.repeat([1, 2], 12), (12, 24, 1))
    expected[:, :, 12] = results[1].labels[:, :, 12]  # the wall may belong to either side
    assert_array_equal(results[1].labels, expected)


def test_smoothing_is_in_micrometres_and_longer_along_z():
    point = np.zeros((21, 41, 41), np.float32)
    point[10, 20, 20] = 1
    blurred = smoothed(point, SPACING, parameters(smoothing_um=1.5, axial_elongation=2.0))
    away = np.indices(point.shape) - np.reshape([10, 20, 20], (3, 1, 1, 1))
    variance = (blurred * away**2).sum(axis=(1, 2, 3))
    assert np.sqrt(variance) == pytest.approx([1.5, 1.5, 1.5], rel=0.02)  # voxels


def test_large_images_are_smoothed_in_slabs_with_the_same_result(monkeypatch, rng):
    image = rng.gamma(2, 50, (30, 16, 16)).astype(np.float32)
    settings = parameters(smoothing_um=2.0)
    once = measure(image, SPACING, settings)
    monkeypatch.setattr("cytosuite.algorithms.cellpose3d.segment._SLAB", 4 * 256)
    assert measure(image, SPACING, settings) == once


FINE = (0.4, 0.2, 0.2)


def _moved(labels, rng, reach_um):
    """Return labels whose faces have moved to walls of noise."""
    return moved_to_walls(
        labels, rng.random(labels.shape, np.float32), FINE, reach_um=reach_um, smoothing_um=0.0
    )


def test_only_voxels_of_objects_near_their_faces_change(rng):
    labels = np.zeros((8, 24, 24), np.uint32)  # of four blocks that meet along two planes
    labels[1:-1, 2:12, 2:12] = 1
    labels[1:-1, 2:12, 12:-2] = 2
    labels[1:-1, 12:-2, 2:12] = 3
    labels[1:-1, 12:-2, 12:-2] = 4
    moved = _moved(labels, rng, 0.4)
    assert moved.dtype == np.uint32
    assert_array_equal(moved > 0, labels > 0)
    face = np.zeros(labels.shape, bool)
    face[:, 11:13] = True
    face[:, :, 11:13] = True
    away = ndimage.distance_transform_edt(~face, FINE)
    assert_array_equal(moved[away > 0.41], labels[away > 0.41])
    assert (moved != labels).any()
    for label in (1, 2, 3, 4):
        assert ndimage.label(moved == label)[1] == 1


def test_an_object_thinner_than_the_reach_keeps_its_voxels(rng):
    labels = np.ones((6, 20, 20), np.uint32)
    labels[2:4, 9:11, 9:11] = 2
    assert (_moved(labels, rng, 1.0)[labels == 2] == 2).all()


def test_the_mean_of_the_lower_levels_along_a_face_decides():
    labels = np.array([[[1, 1, 1, 2, 2, 2]] * 4], np.uint32)
    level = np.ones(labels.shape, np.float32)
    level[0, :, 2] = 0.2, 0.4, 0.6, 0.8  # with 1 on the other side: a mean of 0.5
    assert np.unique(without_walls_joined(labels, level, 0.49)).tolist() == [1]
    assert without_walls_joined(labels, level, 0.51) is labels


def test_chains_become_one_object_whatever_their_numbers_and_direction():
    labels = np.repeat(np.array([5, 2, 9, 4], np.uint32), 3).reshape(1, 1, 12)
    level = np.ones(labels.shape, np.float32)
    level[..., 8:10] = 0.1
    expected = np.repeat(np.array([2, 2, 2, 4], np.uint32), 3).reshape(1, 1, 12)
    assert_array_equal(without_walls_joined(labels, level, 0.5), expected)
    turned = without_walls_joined(labels.transpose(2, 0, 1), level.transpose(2, 0, 1), 0.5)
    assert_array_equal(turned, expected.transpose(2, 0, 1))


def three():
    """Return a cube of 64 voxels, a rod of 12 and a single voxel: 128, 24 and 2 µm³."""
    labels = np.zeros((8, 12, 20), np.uint32)
    labels[1:5, 1:5, 1:5] = 4
    labels[6, 7, 2:14] = 9
    labels[3, 9, 18] = 6
    return labels


def test_volumes_are_in_um3():
    labels, removed = control(three(), SPACING, {"min_volume_um3": 3, "max_volume_um3": 100})
    assert removed == [
        Removal(4, "max_volume_um3", 128.0, 100.0, (2.5, 2.5, 2.5)),
        Removal(6, "min_volume_um3", 2.0, 3.0, (3.0, 9.0, 18.0)),
    ]
    assert_array_equal(labels, three() == 9)


@pytest.mark.parametrize("limit, stays", [(24.0, True), (24.1, False)])
def test_an_object_at_its_limit_stays(limit, stays):
    labels, _ = control(three(), SPACING, {"min_volume_um3": limit})
    assert bool(labels[6, 7, 2]) is stays


def test_an_object_against_the_flow_is_removed():
    flow = flow_targets(three())
    limits = {"max_flow_error": 0.1}
    assert control(three(), SPACING, limits, flow=flow)[1] == []
    flow[:, 6] *= -1
    _, removed = control(three(), SPACING, limits, flow=flow)
    assert [(row.label, row.reason) for row in removed] == [(9, "max_flow_error")]
    assert removed[0].value == pytest.approx(2 * np.abs(flow[:, three() == 9]).mean(), rel=1e-5)


def test_in_a_plane_only_the_flow_within_it_counts():
    labels = three()[3:4]
    flow = flow_targets(labels)
    flow[0], flow[1] = 9, flow[1] + 0.2
    _, removed = control(labels, SPACING, {"max_flow_error": 0.05}, flow=flow)
    assert [row.value for row in removed] == pytest.approx([0.1, 0.1])


def test_elongation_is_that_of_a_cuboid_in_um():
    _, removed = control(three(), SPACING, {"max_elongation": 3})
    assert removed == [Removal(9, "max_elongation", pytest.approx(12.0), 3.0, (6.0, 7.0, 7.5))]
    _, removed = control(three(), SPACING, {"max_elongation": 1.5})
    assert {row.label: row.value for row in removed} == pytest.approx({4: 2.0, 6: 2.0, 9: 12.0})


def test_elongation_of_a_flat_image_is_that_within_it():
    labels = np.zeros((1, 9, 9), np.uint32)
    labels[0, 2:5, 2:8] = 1
    _, removed = control(labels, (100.0, 1.0, 1.0), {"max_elongation": 1.5})
    assert removed == [Removal(1, "max_elongation", pytest.approx(2.0), 1.5, (0.0, 3.0, 4.5))]
