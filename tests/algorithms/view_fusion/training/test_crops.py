from itertools import product

import numpy as np
import pytest
from view_pairs import dataset, item

from cytosuite.algorithms.view_fusion.channels import CoarseMap
from cytosuite.algorithms.view_fusion.training.crops import draw_box, draw_crops
from cytosuite.algorithms.view_fusion.training.pairs import MESH, load_pairs
from cytosuite.algorithms.view_fusion.training.settings import ViewCrops

SIDES = (8, 12, 16)  # 1536 voxels: each number is exact in float16


def _given(**given):
    return ViewCrops(**{"shape": (4, 4, 8), "batch": 3, **given})


def _numbered():
    """Return an image in which each voxel has its own value."""
    return np.arange(np.prod(SIDES), dtype=np.float16).reshape(SIDES)


def _places(crop):
    """Return the places z, y, x of the voxels of a crop of the numbered image."""
    return np.unravel_index(crop.astype(int), SIDES)


def test_crops_follow_from_seed_and_step_alone(tmp_path):
    items = load_pairs(dataset(tmp_path), ["*"], (4, 8, 8), ["distance"])
    given = _given(shape=(4, 8, 8))
    whole = [draw_crops(items, given, 7, step) for step in range(4)]
    again = draw_crops(load_pairs(tmp_path, ["*"], (4, 8, 8), ["distance"]), given, 7, 3)
    assert {name: part.tobytes() for name, part in again.items()} == {
        name: part.tobytes() for name, part in whole[3].items()
    }
    assert len({each["target"].tobytes() for each in whole}) == 4
    other = draw_crops(items, given, 8, 3)
    assert other["target"].tobytes() != again["target"].tobytes()
    assert again["image"].shape == (3, 2, 4, 8, 8)
    assert again["target"].shape == (3, 1, 4, 8, 8)
    assert {part.dtype for part in again.values()} == {np.dtype(np.float32)}
    assert all(part.flags.c_contiguous for part in again.values())  # as torch takes them


def test_channels_and_target_show_one_place():
    image = _numbered()
    maps = [CoarseMap(image.astype(np.float32), (1, 1, 1), SIDES)]
    for step in range(20):
        found = draw_crops([item(image, maps=maps)], _given(mirror=("z", "y", "x")), 0, step)
        np.testing.assert_array_equal(found["image"][:, :1], found["target"])
        np.testing.assert_allclose(found["image"][:, 1:], found["target"])


@pytest.mark.parametrize("mirror", [(), ("z",), ("y", "x"), ("z", "y", "x")])
def test_crops_are_mirrored_along_the_chosen_axes_alone(mirror):
    seen = set()
    for step in range(40):
        for crop in draw_crops([item(_numbered())], _given(mirror=mirror), 0, step)["target"]:
            signs = []
            for axis, place in enumerate(_places(crop[0])):
                steps = np.unique(np.diff(place, axis=axis))
                assert steps.size == 1  # neighbours stay neighbours
                assert abs(steps[0]) == 1
                signs.append(int(steps[0]))
            seen.add(tuple(signs))
    assert seen == set(product(*[(1, -1) if axis in mirror else (1,) for axis in "zyx"]))


@pytest.mark.parametrize("aimed", [0.0, 1.0])
def test_crops_lie_within_the_image_and_reach_all_its_borders(aimed):
    boxes = _boxes(item(_numbered(), places=[[0, 0, 0], [6, 8, 12]]), _given(aimed=aimed), 400)
    for axis, size in enumerate(SIDES):
        assert min(box[axis].start for box in boxes) == 0
        assert max(box[axis].stop for box in boxes) == size
        assert {box[axis].stop - box[axis].start for box in boxes} == {(4, 4, 8)[axis]}


def _boxes(case, given, count):
    rng = np.random.default_rng(0)
    return [draw_box(rng, case, given) for _ in range(count)]


def test_crops_anywhere_are_evenly_spread():
    boxes = _boxes(item(_numbered()), _given(aimed=0), 3000)
    for axis, room in enumerate((5, 9, 9)):
        counts = np.bincount([box[axis].start for box in boxes], minlength=room)
        assert len(counts) == room
        assert counts.min() > 0.7 * 3000 / room


def test_an_aimed_crop_has_its_voxel_in_the_middle():
    place = np.array([4, 4, 8])
    for box in _boxes(item(_numbered(), places=[place]), _given(aimed=1), 100):
        middle = np.array(
            [side.start + size // 2 for side, size in zip(box, (4, 4, 8), strict=True)]
        )
        assert (middle >= place).all()
        assert (middle < place + MESH).all()


def test_one_voxel_gives_all_three_coordinates():
    # Drawn axis by axis, as published, crops would mix the two corners and show neither.
    image = np.zeros((16, 24, 32), np.float16)
    image[:2, :4, :4] = image[-2:, -4:, -4:] = 1
    ends = []
    for box in _boxes(item(image), _given(shape=(4, 8, 8), aimed=1), 200):
        assert image[box].any()
        ends.append(box[0].start)
    assert 40 < ends.count(0) < 160


def test_as_many_crops_are_aimed_as_the_settings_say():
    image = np.zeros((40, 40, 80), np.float16)
    image[20, 20, 40] = 1
    case = item(image, places=[[20, 20, 40]])
    aimed = [image[box].any() for box in _boxes(case, _given(shape=(4, 8, 8), aimed=0.6), 500)]
    assert np.mean(aimed) == pytest.approx(0.6, abs=0.1)


def test_an_image_without_foreground_on_the_grid_is_drawn_from_anywhere():
    case = item(_numbered(), places=np.zeros((0, 3)))
    assert len({box[1].start for box in _boxes(case, _given(aimed=1), 200)}) == 9


def test_an_image_of_the_size_of_a_crop_is_the_crop():
    image = _numbered()
    found = draw_crops([item(image)], _given(shape=SIDES, mirror=()), 0, 0)
    assert (found["target"][:, 0] == image).all()


def test_every_case_is_drawn_as_often():
    items = [item(np.full(SIDES, number, np.float16)) for number in range(3)]
    found = draw_crops(items, _given(batch=300), 0, 0)["target"][:, 0, 0, 0, 0]
    assert np.bincount(found.astype(int)).min() > 70
