from functools import partial
from itertools import product

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from sketches import SPACING, volume
from trainings import short
from view_pairs import (
    FUSED,
    SHAPE,
    challenge,
    dataset,
    fused_of,
    item,
    pairs,
    published,
    two_folders,
)

from cytosuite.algorithms.view_fusion.intensity import to_network, units_of
from cytosuite.algorithms.view_fusion.training.pairs import MESH, ViewCrops, draw_box
from cytosuite.algorithms.view_fusion.training.train import TRAINING
from cytosuite.contract.tasks import VIEW, VIEW_FOLDER
from cytosuite.formats import read, write
from cytosuite.segmentation.specimen import CoarseMap, maps_of

settings = partial(short, "view_fusion", files={"recursive": True})


def _find(folder):
    return TRAINING.find(folder, "pairs", settings())


def _load(folder, inputs=()):
    return TRAINING.load(folder, "pairs", settings(network={"inputs": inputs}))


@pytest.mark.parametrize(
    "layout, channel, study",
    [
        (dataset, "nucleus", 3),
        (two_folders, "membrane", None),
        (challenge, "membrane", None),
        (published, "nucleus", 1),  # of the folder Study1_H5
    ],
)
def test_views_are_found_with_fused_images_and_metadata_in_every_layout(
    layout, channel, study, tmp_path
):
    cases = _load(layout(tmp_path))
    assert [next(n for n in "012" if n in case.path.stem) for case in cases] == ["0", "1", "2"]
    for case, (view, fused) in zip(cases, pairs(), strict=True):
        for stored, counts in ((case.view, view), (case.fused, fused)):
            assert_allclose(stored, to_network(counts, units_of(counts)), atol=2e-3)
        assert (case.shape, case.channel, case.study) == (SHAPE, channel, study)
        assert case.spacing == (None if layout is published else SPACING)


def test_the_input_is_the_view_and_maps_of_all_of_it(tmp_path):
    (case,) = _load(dataset(tmp_path, 1), ("light", "distance"))
    view = read(case.path)
    box = (slice(2, 10), slice(8, 24), slice(20, 36))
    channels = case.channels(box)
    assert channels.dtype == np.float32
    assert_array_equal(channels[0], case.view[box])
    for values, expected in zip(
        channels[1:], maps_of(view.array, SPACING, ("light", "distance")), strict=True
    ):
        assert_array_equal(values, expected.read(box))
    assert channels[1:].any()


def test_the_foreground_is_at_or_above_the_mean(tmp_path):
    for case in _load(dataset(tmp_path)):
        assert (case.places % MESH == 0).all()
        values = case.fused[tuple(case.places.T)]
        mean = case.fused.mean(dtype=np.float64)
        assert values.min() >= mean
        grid = case.fused[tuple(slice(None, None, step) for step in MESH)]
        assert len(values) == (grid >= mean).sum()
        assert 0.05 < len(values) / grid.size < 0.6


def test_the_platforms_folders_and_letters_are_found(tmp_path):
    folder = two_folders(tmp_path, 1)
    (folder / VIEW).rename(folder / VIEW_FOLDER)
    (folder / FUSED).rename(folder / f"fused-{VIEW_FOLDER}")
    (pair,) = _find(folder)
    assert pair.image == folder / VIEW_FOLDER / "a_0.tif"
    assert pair.path(FUSED).parent.name == f"fused-{VIEW_FOLDER}"
    loud = tmp_path / "loud"
    write(loud / "A_ANGLE.tif", volume(fused_of()))
    write(loud / "A_Fused.tiff", volume(fused_of()))
    (pair,) = _find(loud)
    assert (pair.image, pair.path(FUSED)) == (loud / "A_ANGLE.tif", loud / "A_Fused.tiff")


@pytest.mark.parametrize("layout", [dataset, challenge])
def test_a_view_without_its_fused_image_is_left_out(layout, tmp_path):
    pairs = _find(folder := layout(tmp_path))
    pairs[1].path(FUSED).unlink()
    assert _find(folder) == [pairs[0], pairs[2]]


def test_a_folder_without_pairs_is_refused(tmp_path):
    write(tmp_path / "plain/a.tif", volume(fused_of()))
    refused("plain: expected views .* found none of these", _find, tmp_path / "plain")


@pytest.mark.parametrize(
    "role, change, message",
    [
        (
            "fused",
            lambda counts: counts[1:],
            "a fused image of the view's shape (14, 40, 36), found",
        ),
        (
            "angle",
            lambda counts: np.where(counts > 500, np.nan, 1).astype(np.float32),
            "expected finite grey values, found NaN or infinity",
        ),
        ("angle", lambda counts: counts[0], "expected a volume with the axes ZYX, found YX"),
    ],
)
def test_wrong_pairs_are_refused_in_one_line(role, change, message, tmp_path):
    folder = challenge(tmp_path)
    write(folder / f"image_0_membrane_{role}.tif", volume(change(fused_of())))
    refused(message, _load, folder)


SIDES = (8, 12, 16)  # 1536 voxels: each number is exact in float16


def _drawn(image, step, maps=(), **crops):
    """Return the arrays of a step from one image."""
    options = settings(crops={"shape": (4, 4, 8), "batch": 3, **crops})
    return TRAINING.batch({"pairs": [item(image, maps=maps)]}, options, step)


def _numbered():
    """Return an image in which each voxel has its own value."""
    return np.arange(np.prod(SIDES), dtype=np.float16).reshape(SIDES)


def test_channels_and_target_show_one_place():
    image = _numbered()
    maps = [CoarseMap(image.astype(np.float32), (1, 1, 1), SIDES)]
    for step in range(20):
        batch = _drawn(image, step, maps, mirror=("z", "y", "x"))
        assert_array_equal(batch["image"][:, :1], batch["target"])
        assert_allclose(batch["image"][:, 1:], batch["target"])


@pytest.mark.parametrize("mirror", [(), ("z",), ("y", "x")])
def test_crops_are_mirrored_along_the_chosen_axes_alone(mirror):
    seen = set()
    for step in range(40):
        for crop in _drawn(_numbered(), step, mirror=mirror)["target"]:
            signs = []
            for axis, place in enumerate(np.unravel_index(crop[0].astype(int), SIDES)):
                steps = np.unique(np.diff(place, axis=axis))
                assert steps.size == 1  # neighbours stay neighbours
                assert abs(steps[0]) == 1
                signs.append(int(steps[0]))
            seen.add(tuple(signs))
    assert seen == set(product(*[(1, -1) if axis in mirror else (1,) for axis in "zyx"]))


def test_an_aimed_crop_has_its_voxel_in_the_middle(rng):
    place = np.array([4, 4, 8])
    aimed = ViewCrops(shape=(4, 4, 8), aimed=1)
    for _ in range(100):
        box = draw_box(rng, item(_numbered(), places=[place]), aimed)
        middle = np.array(
            [side.start + size // 2 for side, size in zip(box, (4, 4, 8), strict=True)]
        )
        assert (middle >= place).all()
        assert (middle < place + MESH).all()
