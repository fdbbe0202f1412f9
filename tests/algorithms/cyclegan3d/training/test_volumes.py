from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from sketches import SPACING
from trainings import short
from unpaired import real, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.training.settings import Crops
from cytosuite.algorithms.cyclegan3d.training.train import TRAINING
from cytosuite.algorithms.cyclegan3d.training.volumes import (
    DomainVolume,
    draw_batch,
    in_grey_values_of,
)
from cytosuite.algorithms.cyclegan3d.translate import scaling_of
from cytosuite.formats import write
from cytosuite.networks.normalise import Target, background_of
from cytosuite.training.images import find_images
from cytosuite.volume import Volume


def _write(path, array):
    write(path, Volume(array, SPACING))


def _load(folder, role="simulated", scale="background", keep="labels"):
    return TRAINING.load(
        folder,
        role,
        short(
            "cyclegan3d", images={"scale": scale}, loss={"keep": keep}, crops={"shape": [8, 8, 8]}
        ),
    )


def test_an_item_holds_the_image_in_units_of_the_network(tmp_path):
    (item,) = _load(simulated_dataset(tmp_path, 1))
    image, labels = simulated()
    expected = scaling_of(image, "background")(image)
    assert item.image.dtype == np.float16
    np.testing.assert_allclose(item.image[0], expected, atol=2e-3)
    assert_array_equal(item.labels, labels)
    assert (item.labels.dtype, item.shape) == (np.int32, image.shape)
    assert item.spacing == SPACING
    assert item.twin.is_file()


def test_a_grey_count_of_integers_is_known_where_crops_are_dithered(tmp_path):
    _write(tmp_path / "a/a.tif", real())
    _write(tmp_path / "b/b.tif", real().astype(np.float32))
    floats = _load(tmp_path / "b", "real")
    simulated = _load(tmp_path / "a", keep="levels")
    assert floats[0].counts == simulated[0].counts == ()
    (item,) = _load(tmp_path / "a", "real")
    assert item.counts == pytest.approx([1 / 3 / background_of(real()).sd], rel=1e-3)
    (item,) = _load(tmp_path / "a", "real", "dtype")
    assert item.counts == pytest.approx([2 / 65535], rel=0.01)
    # Each count of 16 bits is kept apart.
    assert_array_equal(np.rint((item.image[0] + 1) * (65535 / 2)), real())
    target = Target(mean=100, sd=4, dtype="uint16")
    for image, counts in ((real(), [1 / 12]), (real().astype(np.float32), [])):
        item = in_grey_values_of(item, image, target, (4, 8, 8), "style")
        assert item.counts == pytest.approx(counts, rel=1e-3)
        assert item.scale == "style"


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    image = real().astype(np.float32)
    image[3, 4, 5] = np.nan
    _write(tmp_path / "a.tif", image)
    refused("finite grey values, found NaN", _load, tmp_path, "real")


def test_labels_of_another_shape_are_refused(tmp_path):
    folder = simulated_dataset(tmp_path, 1)
    _write(find_images(folder, ["*"])[0].files["instance-labels"], simulated()[1][:-1])
    refused(r"expected labels of the shape .*found \(9,", _load, folder)
    assert _load(folder, keep="levels")[0].labels is None


CROPS = Crops(shape=(4, 8, 8), batch=2, alike=3)


def _item(image, labels=None):
    array = image[None].astype(np.float16)
    spacing = (1.0, 1.0, 1.0)
    return DomainVolume(Path("a.tif"), None, array, labels, image.shape, spacing)


def _places(shape=(6, 12, 10)):
    """Return an item of which every voxel has a number of its own, in image and labels."""
    numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    assert numbers.max() < 2048  # exact in float16
    return _item(numbers, numbers)


def _draw(simulated, real, crops=CROPS, step=0):
    settings = short("cyclegan3d").model_copy(update={"crops": crops})
    return draw_batch({"simulated": simulated, "real": real}, settings, step)


@pytest.mark.parametrize(
    "scale, units, counts",
    [
        ("background", lambda v: 0.5 * np.arcsinh(v / 8), lambda x: np.sinh(2 * x) * 8),
        ("dtype", lambda v: v / 8, lambda x: x * 8),
    ],
)
def test_whole_grey_counts_are_dithered_by_half_a_count(scale, units, counts):
    grey = np.arange(4 * 40 * 40).reshape(4, 40, 40) % 300
    whole = replace(_item(grey), image=units(grey)[None].astype(np.float32), scale=scale)
    counted = replace(whole, counts=(1 / 8,))
    batch = _draw([whole], [counted], Crops(shape=(4, 40, 40), batch=1, alike=1))
    simulated, real = (counts(batch[name].astype(float)) for name in ("simulated", "real"))
    assert np.abs(simulated - simulated.round()).max() < 0.01
    away = np.sort(real.ravel()) - np.sort(simulated.ravel())
    assert 0.45 < np.abs(real - real.round()).max() <= 0.5
    assert abs(away.mean()) < 0.02
    assert np.var(real - real.round()) == pytest.approx(1 / 12, rel=0.05)


def test_crops_are_of_every_place_and_mirrored_along_y_alone():
    shape = (6, 10, 9)
    item = _places((6, 10, 9))
    crops = Crops(shape=(4, 8, 6), batch=1, alike=1)
    drawn = [_draw([item], [item], crops, step=step) for step in range(200)]
    for name in ("simulated", "real"):
        images = [batch[name][0, 0] for batch in drawn]
        corners = np.unravel_index([int(crop.min()) for crop in images], shape)
        assert [len(set(axis)) for axis in corners] == [3, 3, 4]
        steps = {
            tuple(np.sign(crop[1, 1, 1] - crop[[0, 1, 1], [1, 0, 1], [1, 1, 0]])) for crop in images
        }
        assert steps == {(1, 1, 1), (1, -1, 1)}  # along x a camera reads


def test_labels_are_turned_with_their_image():
    item = _places()
    for step in range(30):
        batch = _draw([item], [item], step=step)
        assert_array_equal(batch["labels"], batch["simulated"][:, 0])


@pytest.mark.parametrize("bright", [0.0, 1.0])
def test_the_place_most_alike_the_real_crop_is_taken(bright):
    real = _item(np.full((4, 8, 8), bright))
    halves = np.zeros((40, 8, 8))
    halves[20:] = 1
    simulated = _item(halves)

    def mean(alike):
        crops = Crops(shape=(4, 8, 8), batch=1, alike=alike)
        return np.mean([_draw([simulated], [real], crops, step=s)["simulated"] for s in range(60)])

    assert abs(mean(1) - 0.5) < 0.15
    assert abs(mean(12) - bright) < 0.02
