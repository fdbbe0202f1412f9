from functools import partial
from itertools import product

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage
from sketches import SPACING, volume
from training_data import merged
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
from cytosuite.training.loop import begin, take_step
from cytosuite.training.validate import score, wanted_metrics

settings = partial(short, "view_fusion", files={"recursive": True})


def _settings(**changes):
    """Return settings of a network with maps, for images in folders of any depth."""
    network = {"inputs": ["distance", "light"]}
    return short("view_fusion", files={"recursive": True}, **merged({"network": network}, changes))


def _cases(folder, settings):
    return {"pairs": TRAINING.load(folder, "pairs", settings)}


def test_the_first_loss_is_that_of_the_view_itself(tmp_path):
    settings = _settings(loss={"kind": "n_ssim", "similarity": 1})
    cases = _cases(dataset(tmp_path), settings)
    state = begin(TRAINING, settings, None, "cpu")
    drawn = TRAINING.batch(cases, settings, 0)
    losses = take_step(TRAINING, settings, state, drawn)
    apart = np.abs(drawn["image"][:, :1] - drawn["target"]).mean()
    assert losses["similarity"].item() == pytest.approx(1, abs=1e-4)
    assert losses["total"].item() == pytest.approx(1 + apart, rel=1e-3)


def test_the_card_describes_the_views(tmp_path):
    settings = _settings()
    cases = _cases(dataset(tmp_path), settings)
    assert TRAINING.describe(cases, settings) == {
        "axes": "ZYX",
        "shape": list(SHAPE),
        "spacing": list(SPACING),
        "channel": "nucleus",
        "study": 3,
    }
    assert TRAINING.measure(cases, settings) == {"method": "network"}
    assert TRAINING.notes(cases, settings) == []


def test_what_the_files_do_not_give_is_said(tmp_path):
    settings = _settings()
    cases = _cases(published(tmp_path / "h5"), settings)
    unread = "data/light_map, data/surface_distance not read: maps are made of the image"
    assert TRAINING.notes(cases, settings) == [
        "3 of 3 views give no voxel size [µm]: card.describes.spacing sets it",
        f"3 of 3 views: {unread}",
    ]
    assert "spacing" not in TRAINING.describe(cases, settings)
    told = _settings(card={"describes": {"spacing": SPACING}})
    assert TRAINING.notes(cases, told) == [f"3 of 3 views: {unread}"]
    assert _cases(tmp_path / "h5", told)["pairs"][0].maps[0].stride == (1, 2, 2)
    assert cases["pairs"][0].maps[0].stride == (1, 1, 1)
    for role in ("angle", "fused"):
        write(tmp_path / f"tif/a_{role}.tif", volume(np.ones(SHAPE, np.uint16)))
    both = [*cases["pairs"], *_cases(tmp_path / "tif", settings)["pairs"]]
    assert TRAINING.notes({"pairs": both}, settings)[1] == (
        "1 of 4 views give no channel: card.describes.channel sets it"
    )


NAMES = ("N_SSIM", "SSIM", "PSNR", "NRMSE")


def _judged(**crops):
    """Return settings of a validation by all metrics, of any answer."""
    validation = {"every": 1, "cases": 1, "metric": NAMES[0], "also": NAMES[1:]}
    card = {"parameters": {"method": "network", "least_agreement": -1.0}}
    return short("view_fusion", crops=crops, validation=validation, card=card)


def _validated(held, settings):
    """Return facts by a new network, which changes nothing."""
    return TRAINING.validate(begin(TRAINING, settings, None, "cpu"), held, settings)


def _scores(facts, settings):
    return score(wanted_metrics(settings.validation), facts)


def test_a_new_network_scores_as_the_view_itself(tmp_path):
    settings = _judged()
    held = _cases(dataset(tmp_path, 2), settings)
    scores = _scores(_validated(held, settings), settings)
    methods = {name: _scores(facts, settings) for name, facts in TRAINING.baselines(held, settings)}
    assert list(methods) == ["identity", "gaussian"]
    assert methods["identity"]["N_SSIM"] == 0
    assert scores == pytest.approx(methods["identity"], abs=1e-5)
    assert 0.2 < scores["SSIM"] < 0.98
    assert methods["gaussian"]["N_SSIM"] > 0.01  # the views are noisy
    assert scores["NRMSE"] < 1


def test_the_middle_of_a_large_image_is_judged(tmp_path):
    settings = _judged(shown=(8, 24, 16))
    held = _cases(dataset(tmp_path, 2), settings)
    (facts, _, _) = _validated(held, settings)
    view = read(held["pairs"][0].path).array
    np.testing.assert_array_equal(facts.get("image"), view[3:11, 8:32, 10:26])
    assert facts.get("prediction").shape == facts.get("truth").shape == (8, 24, 16)
    assert TRAINING.real(held, _judged())[0].shape == SHAPE


@pytest.mark.parametrize("channel", ["membrane", "other"])
def test_the_gaussian_is_that_of_the_channel(channel, tmp_path):
    settings = _judged()
    held = _cases(dataset(tmp_path, 2, channel=channel), settings)
    (facts, _) = dict(TRAINING.baselines(held, settings))["gaussian"]
    sigma = {"membrane": 0.5}.get(channel, 0.442)
    expected = ndimage.gaussian_filter(facts.get("image").astype(float), sigma)
    np.testing.assert_allclose(facts.get("prediction"), expected, atol=1)


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
