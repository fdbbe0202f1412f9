from functools import partial

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from scipy import ndimage
from sketches import SPACING, image_of, labels_of, paired_dataset, real_folder, volume
from tifffile import imwrite
from trainings import short

from cytosuite.algorithms.diffusion.training.pairs import draw_crops, given_of
from cytosuite.algorithms.diffusion.training.train import TRAINING
from cytosuite.denoising.camera import CameraModel
from cytosuite.denoising.sampling import HIDDEN
from cytosuite.formats import write
from cytosuite.networks.normalise import denormalise, sketch_of_labels

CROP = (4, 8, 8)


def _settings(crops=(), **options):
    return short("diffusion", crops={"shape": CROP, **dict(crops)}, **options)


def _load(folder, **options):
    return TRAINING.load(folder, "images", _settings(**options))


def test_sketches_are_found_beside_images_or_made_of_labels(tmp_path):
    drawn = _load(paired_dataset(tmp_path / "a"))
    np.testing.assert_allclose(drawn[0].sketch[0], labels_of(0) > 0, atol=1e-3)
    derived = _load(paired_dataset(tmp_path / "b", sketches=False))
    assert_array_equal(derived[0].sketch[0], sketch_of_labels(labels_of(0)))
    assert all(item.twin is not None for item in derived)
    assert (given_of(drawn), given_of(derived)) == ("sketch", "labels")
    write(tmp_path / "c/images/x.tif", volume(image_of(labels_of())))
    write(tmp_path / "c/structure-sketch/x.tif", volume(labels_of().astype(np.uint8)))
    assert _load(tmp_path / "c")[0].sketch.max() > 1


def test_a_stack_of_one_plane_passes_for_a_plane(tmp_path):
    plane = partial(
        _load, crops={"shape": (1, 8, 8)}, network={"dimensions": 2, "conditioned": False}
    )
    flat = plane(real_folder(tmp_path / "a", 1, (24, 20)))
    write(tmp_path / "b/r_0.tif", volume(image_of(labels_of(0, (24, 20)))[None]))
    (item,) = plane(tmp_path / "b")
    assert_array_equal(item.image, flat[0].image)
    assert item.spacing == flat[0].spacing == SPACING[1:]
    refused("expected an image with the axes YX, found ZYX", plane, real_folder(tmp_path / "c", 1))


def test_a_missing_sketch_and_another_shape_are_explained(tmp_path):
    refused(r"expected a sketch .* or labels of the same name", _load, real_folder(tmp_path / "a"))
    folder = paired_dataset(tmp_path / "b", 1)
    write(next(folder.rglob("structure-sketch")) / "s_0.tif", volume(np.zeros((3, 4, 4), np.uint8)))
    refused(r"expected the shape \(10, 24, 20\), found \(3, 4, 4\)", _load, folder)


@pytest.fixture
def items(tmp_path):
    return _load(paired_dataset(tmp_path))


def test_sketch_and_image_are_cut_and_turned_alike(items):
    for step in range(20):
        crops = draw_crops(items, _settings(), 0, step)
        inside = crops["sketch"] > 0.5
        if 20 < inside.sum() < inside.size - 20:
            assert crops["image"][inside].mean() > crops["image"][~inside].mean() + 0.5


def test_light_is_learned_in_the_units_of_its_camera(tmp_path):
    camera = CameraModel(gain=4.0, offset=100.0, read_noise=2.0)
    (item,) = _load(paired_dataset(tmp_path, 1), camera=camera.model_dump())
    light = denormalise(item.image[0].astype(np.float32), camera.units)
    truth = 100 + 300 * (labels_of() > 0)
    ground = ndimage.distance_transform_edt(truth == 100) > 3
    assert light[ground].std() < 0.5 * image_of(labels_of())[ground].std()
    assert light[truth > 100].mean() == pytest.approx(400, rel=0.1)


def test_positions_are_cut_and_turned_as_the_sketch(tmp_path):
    network = {"position": ("distance", "depth")}
    items = _load(paired_dataset(tmp_path), network=network)
    augment = {"queue": ("shrink",), "prob": 0.5, "permute_dim": True}
    settings = _settings({"augment": augment}, network=network)
    for step in range(20):
        crops = draw_crops(items, settings, 0, step)
        assert crops["position"].shape == (2, 2, *CROP)
        inside = crops["sketch"][:, 0] > 0.5
        if 20 < inside.sum() < inside.size - 20:
            distance = crops["position"][:, 0]
            assert distance[inside].mean() > distance[~inside].mean() + 0.02
    for folder, array in (("images", image_of(labels_of())), ("labels", labels_of())):
        (tmp_path / "d" / folder).mkdir(parents=True)
        imwrite(tmp_path / "d" / folder / "x.tif", array)
    refused(r"no voxel size, which network\.position", _load, tmp_path / "d", network=network)


def test_hidden_sketches_are_a_constant_and_all_else_is_as_without(items):
    hidden = 0
    both = [_settings({"batch": 4, "dropped": share}) for share in (0, 0.25)]
    for step in range(100):
        plain, some = (draw_crops(items, settings, 0, step) for settings in both)
        for name in ("image", "noise", "place"):
            assert_array_equal(plain[name], some[name])
        gone = (some["sketch"] == HIDDEN).all((1, 2, 3, 4))
        assert_array_equal(some["sketch"][~gone], plain["sketch"][~gone])
        hidden += gone.sum()
        assert not (plain["sketch"] == HIDDEN).any()
    assert hidden == pytest.approx(100, abs=30)  # of 400; sd is 9


def test_levels_of_noise_are_spread_evenly(items):
    settings = _settings({"batch": 4})
    places = np.stack([draw_crops(items, settings, 0, step)["place"] for step in range(100)])
    assert ((places >= np.arange(4) / 4) & (places <= np.arange(1, 5) / 4)).all()
    assert places[:, 0].std() == pytest.approx(0.25 / 12**0.5, rel=0.2)
