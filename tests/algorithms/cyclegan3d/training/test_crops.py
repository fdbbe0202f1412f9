from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cytosuite.algorithms.cyclegan3d.training.crops import draw_batch
from cytosuite.algorithms.cyclegan3d.training.settings import Crops
from cytosuite.algorithms.cyclegan3d.training.volumes import DomainVolume

CROPS = Crops(shape=(4, 8, 8), batch=2, alike=3)


def _item(image, labels=None):
    array = image if image.ndim == 4 else image[None]
    path = Path("a.tif")
    return DomainVolume(
        path, None, array.astype(np.float16), labels, array.shape[1:], (1.0, 1.0, 1.0)
    )


def _places(shape=(6, 12, 10)):
    """Return an item of which every voxel has a number of its own, in image and labels."""
    numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    assert numbers.max() < 2048  # exact in float16
    return _item(numbers, numbers)


def _draw(simulated, real, crops=CROPS, seed=0, step=0):
    return draw_batch(simulated, real, crops, seed, step)


def _same(one, two):
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


def test_a_step_is_drawn_by_its_number_alone():
    items = [_places(), _places((5, 9, 9))]
    forth = [_draw(items, items, step=step) for step in range(5)]
    back = [_draw(items, items, step=step) for step in reversed(range(5))][::-1]
    assert all(_same(one, two) for one, two in zip(forth, back, strict=True))
    assert not _same(forth[0], forth[1])
    assert not _same(forth[0], _draw(items, items, seed=1))
    assert not np.array_equal(forth[0]["real"][0], forth[0]["real"][1])


@pytest.mark.parametrize("scale", ["background", "dtype"])
def test_whole_grey_counts_are_dithered_by_half_a_count(scale):
    grey = np.arange(4 * 40 * 40).reshape(4, 40, 40) % 300
    count = 1 / 8
    units = (lambda v: v * count) if scale == "dtype" else (lambda v: 0.5 * np.arcsinh(v * count))
    counts = (lambda x: x / count) if scale == "dtype" else (lambda x: np.sinh(2 * x) / count)
    whole = replace(_item(grey), image=units(grey)[None].astype(np.float32), scale=scale)
    crops = Crops(shape=(4, 40, 40), batch=1, alike=1)
    found = _draw([whole], [replace(whole, counts=(count,))], crops)
    simulated, real = (counts(found[name].astype(float)) for name in ("simulated", "real"))
    assert np.abs(simulated - simulated.round()).max() < 0.01
    away = np.sort(real.ravel()) - np.sort(simulated.ravel())
    assert 0.45 < np.abs(real - real.round()).max() <= 0.5
    assert abs(away.mean()) < 0.02
    assert np.var(real - real.round()) == pytest.approx(1 / 12, rel=0.05)
    again, other = (
        _draw([whole], [replace(whole, counts=(count,))], crops, step=s) for s in (0, 1)
    )
    assert _same(found, again)
    assert not _same(found, other)


def test_crops_have_the_shape_and_dtype_of_a_batch():
    found = _draw([_places()], [_places()])
    assert {name: each.shape for name, each in found.items()} == {
        "simulated": (2, 1, 4, 8, 8),
        "real": (2, 1, 4, 8, 8),
        "labels": (2, 4, 8, 8),
    }
    dtypes = {name: each.dtype for name, each in found.items()}
    assert dtypes == {"simulated": np.float32, "real": np.float32, "labels": np.int32}
    assert all(each.flags.c_contiguous for each in found.values())


def _corner_and_turn(crop, shape):
    """Return the corner of a crop of `_places`, after checking it against all 8 orientations."""
    z, y, x = np.unravel_index(int(crop.min()), shape)
    numbers = np.arange(np.prod(shape)).reshape(shape)
    cut = numbers[z : z + crop.shape[0], y : y + crop.shape[1], x : x + crop.shape[2]]
    for swap in (False, True):
        for flips in ((), (1,), (2,), (1, 2)):
            turned = np.flip(cut, flips)
            turned = turned.swapaxes(1, 2) if swap else turned
            if turned.shape == crop.shape and np.array_equal(turned, crop):
                return (int(z), int(y), int(x)), (flips, swap)
    raise AssertionError("the crop is no turned part of the volume, or mirrored along z")


@pytest.mark.parametrize("side", [8, 6])
def test_crops_are_turned_parts_in_every_orientation_and_place(side):
    shape, item = (6, 10, 9), _places((6, 10, 9))
    crops = Crops(shape=(4, 8, side), batch=1, alike=1)
    drawn = [_draw([item], [item], crops, step=step) for step in range(300)]
    for name in ("simulated", "real"):
        found = [_corner_and_turn(each[name][0, 0], shape) for each in drawn]
        corners, turns = ({each[part] for each in found} for part in (0, 1))
        last = [n - size for n, size in zip(shape, crops.shape, strict=True)]
        for axis in range(3):
            assert {corner[axis] for corner in corners} == set(range(last[axis] + 1))
        assert len(turns) == (8 if side == 8 else 4)  # planes that are not square stay upright


def test_labels_are_turned_with_their_image():
    item = _places()
    for step in range(30):
        found = _draw([item], [item], step=step)
        np.testing.assert_array_equal(found["labels"], found["simulated"][:, 0])


def test_channels_are_turned_together():
    numbers = np.arange(6 * 12 * 10).reshape(6, 12, 10)
    item = _item(np.stack([numbers, -numbers]))
    found = _draw([item], [item])
    for name in ("simulated", "real"):
        np.testing.assert_array_equal(found[name][:, 0], -found[name][:, 1])


def test_a_crop_may_be_the_whole_volume():
    item = _places(CROPS.shape)
    found = _draw([item], [item])
    for crop in (*found["simulated"][:, 0], *found["real"][:, 0]):
        assert _corner_and_turn(crop, CROPS.shape)[0] == (0, 0, 0)


def test_labels_are_left_out_where_a_volume_has_none():
    known, unknown = _places(), _item(np.zeros((6, 12, 10)))
    assert "labels" in _draw([known], [unknown])
    assert "labels" not in _draw([unknown], [known])
    found = [_draw([known, unknown], [known], step=step) for step in range(20)]
    assert {"labels" in each for each in found} == {True, False}
    full = [each for each in found if "labels" in each]
    assert all(len(each["labels"]) == 2 for each in full)


def _striped():
    """Return a volume that is dark below the middle of z, and bright above."""
    image = np.zeros((40, 8, 8))
    image[20:] = 1
    return _item(image)


@pytest.mark.parametrize("bright", [0.0, 1.0])
def test_the_place_most_alike_the_real_crop_is_taken(bright):
    real, simulated = _item(np.full((4, 8, 8), bright)), _striped()

    def mean(alike):
        crops = Crops(shape=(4, 8, 8), batch=1, alike=alike)
        return np.mean([_draw([simulated], [real], crops, step=s)["simulated"] for s in range(60)])

    assert abs(mean(1) - 0.5) < 0.15
    assert abs(mean(12) - bright) < 0.02


def test_noise_hardly_counts():
    rng = np.random.default_rng(0)
    image = rng.normal(0, 0.3, (40, 8, 8))
    image[20:] += 2
    real = _item(rng.normal(0, 0.3, (4, 8, 8)))
    crops = Crops(shape=(4, 8, 8), batch=1, alike=12)
    found = [_draw([_item(image)], [real], crops, step=step)["simulated"] for step in range(40)]
    assert abs(np.mean(found)) < 0.1


def test_as_bright_in_the_mean_is_not_alike():
    spots, haze = np.zeros((8, 8, 8)), np.full((8, 8, 8), 0.5)
    spots[:, :, 4:] = 1
    crops = Crops(shape=(4, 8, 8), batch=1, alike=12)
    for real in (spots, haze):
        drawn = [
            _draw([_item(haze), _item(spots)], [_item(real)], crops, step=s) for s in range(20)
        ]
        means = [
            np.abs(np.sort(d["simulated"].ravel()) - np.sort(real[:4].ravel())).mean()
            for d in drawn
        ]
        assert max(means) == 0


def test_every_volume_of_both_domains_is_drawn():
    simulated = [_item(np.full((6, 12, 10), value)) for value in (1, 2, 3)]
    real = [_item(np.full((6, 12, 10), value)) for value in (4, 5)]
    found = [_draw(simulated, real, step=step) for step in range(30)]
    assert {float(v) for each in found for v in np.unique(each["simulated"])} == {1, 2, 3}
    assert {float(v) for each in found for v in np.unique(each["real"])} == {4, 5}


class _Counted:
    """An array that counts the voxels that are read."""

    def __init__(self, array):
        self.array, self.read, self.shape = array, 0, array.shape

    def __getitem__(self, box):
        part = self.array[box]
        self.read += part.size
        return part


def test_only_the_crops_of_a_volume_are_read():
    shape = (40, 64, 64)
    image = _Counted(np.zeros((1, *shape), np.float16))
    labels = _Counted(np.zeros(shape, np.int32))
    item = DomainVolume(Path("a.tif"), None, image, labels, shape, (1.0, 1.0, 1.0))
    plain = _item(np.zeros((4, 8, 8)))
    _draw([item], [plain])
    size = 4 * 8 * 8
    assert image.read <= CROPS.batch * (CROPS.alike + 1) * size
    assert labels.read == CROPS.batch * size
    image.read = 0
    _draw([plain], [item])
    assert image.read == CROPS.batch * size
