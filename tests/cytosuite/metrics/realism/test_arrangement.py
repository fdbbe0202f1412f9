from itertools import product

import numpy as np
import pytest
from mistakes import refused

from cytosuite.metrics.realism.arrangement import (
    PROPERTIES,
    arrangement,
    arrangement_distance,
    arrangement_distances,
    numbers,
)
from cytosuite.metrics.realism.scene import Scene
from cytosuite.volume import Volume

SPACING = (2.0, 1.0, 0.5)


def box(labels, label, *sides):
    labels[tuple(slice(*side) for side in sides)] = label


def boxes():
    """Two boxes of 4 x 2 x 1 µm that share a side of 4 x 2 µm, and a cube of 2 µm away from them."""
    labels = np.zeros((10, 12, 20), np.uint16)
    box(labels, 5, (2, 4), (3, 5), (4, 6))
    box(labels, 9, (2, 4), (3, 5), (6, 8))
    box(labels, 2, (6, 7), (8, 10), (12, 16))
    return labels


def test_boxes_by_hand():
    table = arrangement(boxes(), SPACING)
    assert table["label"].tolist() == [2, 5, 9]
    assert table["surface"].tolist() == [24, 28, 28]
    assert table["contact"] == pytest.approx([0, 8 / 28, 8 / 28])
    assert table["relative_volume"].tolist() == [1, 1, 1]
    assert table["elongation"] == pytest.approx([1, 4, 4])
    assert table["tilt_deg"][1:] == pytest.approx([0, 0])
    away = np.linalg.norm([13 - 6, 9 - 4, 7 - 3.5])  # of centres, from the cube to label 9
    assert table["neighbour_um"] == pytest.approx([away, 1, 1])
    assert table["neighbour"] == pytest.approx(np.array([away, 1, 1]) / (48 / np.pi) ** (1 / 3))
    assert table["valley"].shape == (1,)
    values = numbers(table)
    assert values["contact_share"] == pytest.approx(16 / 80)
    assert values["touching_share"] == values["pressed_share"] == pytest.approx(2 / 3)
    assert values["volume_cv"] == 0
    two = np.where(boxes() == 2, 0, boxes())
    assert arrangement(two, SPACING)["fraction"] == pytest.approx([1])


@pytest.mark.parametrize(
    "z, x, faces, pressed", [(3, 4, 0, 0), (2, 4, 1, 0), (1, 4, 2, 1), (1, 3, 4, 1)]
)
def test_an_object_is_pressed_by_a_twentieth_of_its_surface(z, x, faces, pressed):
    labels = np.zeros((6, 6, 9), int)  # two of 2 x 2 x 4 voxels, with 40 faces each
    box(labels, 1, (1, 3), (1, 3), (1, 5))
    box(labels, 2, (z, z + 2), (3, 5), (x, x + 4))
    values = numbers(arrangement(labels, (1, 1, 1)))
    assert values["contact_share"] == faces / 40
    assert (values["touching_share"], values["pressed_share"]) == (faces > 0, pressed)


def test_a_plane_is_a_stack_of_one():
    labels = boxes()[2]
    flat = arrangement(labels, SPACING[1:])
    stack = arrangement(labels[None], SPACING)
    for name, values in flat.items():
        assert np.array_equal(values, stack[name], equal_nan=True)
    assert flat["contact"] == pytest.approx([2 / 6, 2 / 6])
    assert flat["neighbour"] == pytest.approx([1 / np.sqrt(8 / np.pi)] * 2)
    assert np.isnan(flat["tilt_deg"]).all()


def test_an_axis_has_an_angle_to_z():
    labels = np.zeros((24, 24, 24), int)
    box(labels, 1, (2, 3), (2, 3), (2, 12))
    for step in range(8):
        labels[12 + step, 12, 12 + step] = 2
    assert arrangement(labels, (1, 1, 1))["tilt_deg"] == pytest.approx([90, 45])


def test_cut_objects_are_neighbours_and_scraps_are_nothing():
    labels = boxes()
    labels[4:, 3:5, 4:6] = 7  # on label 5, down to the last plane
    labels = labels.repeat(3, 0).repeat(3, 1).repeat(3, 2)
    labels[6, 15, 12] = 30  # a voxel on label 5
    table = arrangement(labels, np.divide(SPACING, 3))
    assert table["label"].tolist() == [2, 5, 7, 9]
    assert table["cut"].tolist() == [False, False, True, False]
    for name in ("relative_volume", "elongation", "tilt_deg"):
        assert np.isnan(table[name]).tolist() == [False, False, True, False]
    assert table["contact"][1] == pytest.approx((8 + 2) / 28)
    assert table["contact"][2] == pytest.approx(2 / (2 + 6 * 12))  # the last plane is no surface


def test_a_valley_by_hand():
    labels = np.zeros((8, 8, 10))
    image = np.full((8, 8, 10), 7.0)
    for x, (label, grey) in enumerate([(1, 100), (1, 100), (1, 40), (2, 40), (2, 80), (2, 80)], 2):
        labels[3, 4, x] = label
        image[3, 4, x] = 7 + grey
    table = arrangement(labels.astype(int), SPACING, image)
    assert table["valley"] == pytest.approx([1 - 40 / 80])
    assert table["relative_brightness"] == pytest.approx([1.2 / 1.1, 1 / 1.1])
    flat = arrangement(labels.astype(int), SPACING, np.where(labels > 0, 30.0, 7.0))
    assert flat["valley"] == pytest.approx([0])
    dark = arrangement(labels.astype(int), SPACING, np.full(labels.shape, 7.0))
    assert np.isnan([*dark["valley"], *dark["relative_brightness"]]).all()


def test_a_radius_is_one_at_the_ellipsoid_in_the_box_of_all_objects():
    labels = np.zeros((12, 22, 32), int)
    for number, corner in enumerate(product((1, 9), (1, 19), (1, 29)), 1):
        box(labels, number, *((at, at + 2) for at in corner))
    box(labels, 9, (5, 7), (10, 12), (15, 17))
    radii = arrangement(labels, (2, 1, 1))["radius"]
    assert radii == pytest.approx([np.linalg.norm([4 / 5, 9 / 10, 14 / 15])] * 8 + [0])


def test_flat_objects_along_the_surface_are_seen():
    labels = np.zeros((20, 80, 80), np.uint16)
    z, y, x = np.indices(labels.shape)
    turn = (np.arctan2(y - 40, x - 40) + np.pi) / (2 * np.pi) * 12
    radius = np.hypot(y - 40, x - 40)
    shell = (radius > 28) & (radius < 34) & (np.abs(turn % 1 - 0.5) < 0.4) & (z > 5) & (z < 12)
    labels[shell] = (turn.astype(int) % 12)[shell] + 1  # 6 µm thick and some 13 µm wide
    assert arrangement(labels, (2, 1, 1))["tangential"].mean() == pytest.approx(
        np.log(13 / 6), abs=0.15
    )
    assert np.isnan(arrangement(np.where(labels < 8, labels, 0), (2, 1, 1))["tangential"]).all()


def test_a_surface_is_near_beyond_half_of_the_radius():
    labels = np.zeros((101, 101), int)
    places = [
        (2, 50),
        (98, 50),
        (50, 2),
        (50, 98),
        (50, 27),
        (50, 24),
        (73, 50),
        (76, 50),
        (50, 50),
    ]
    for number, (y, x) in enumerate(places, 1):  # a specimen of 99 pixels: half is 24.75
        box(labels, number, (y - 1, y + 2), (x - 1, x + 2))
    near = np.isfinite(arrangement(labels, (1, 1))["tangential"])
    assert near.tolist() == [True] * 4 + [False, True, False, True, False]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_is_known_of_too_few_objects(count):
    labels = np.where(boxes() == 2, count, 0)
    table = arrangement(labels, SPACING, labels * 9.0)
    assert all(
        len(table[name]) == count for name in PROPERTIES if name not in ("valley", "fraction")
    )
    values = numbers(table)
    assert values.pop("objects") == count
    assert np.isnan(values["neighbour"])
    assert not count or values["contact_share"] == 0


def test_distances_are_of_the_pooled_objects_by_property():
    first, second = (
        Scene(Volume(9.0 * labels, SPACING), labels) for labels in (boxes(), boxes()[::-1])
    )
    distances = arrangement_distances([first, second], second)
    assert set(distances) == set(PROPERTIES)
    finite = [value for value in distances.values() if np.isfinite(value)]
    assert arrangement_distance.of(distances) == pytest.approx(np.mean(finite))
    assert arrangement_distance([first, second], [second, first]) == pytest.approx(0)


@pytest.mark.parametrize(
    "labels, spacing, image, message",
    [
        (np.zeros((3, 3)), (1, 1), None, "labels must be integers of at least 0 with axes YX or"),
        (np.full((3, 3), -1), (1, 1), None, "labels must be integers of at least 0"),
        (np.zeros((3, 3), int), (1, 1, 1), None, "spacing must be a positive number in µm for"),
        (np.zeros((3, 3), int), (1, 1), np.zeros((3, 4)), "labels must be integers of"),
    ],
)
def test_what_has_no_arrangement_is_refused(labels, spacing, image, message):
    refused(f"^{message}", arrangement, labels, spacing, image)
