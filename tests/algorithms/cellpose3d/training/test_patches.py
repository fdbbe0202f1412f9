from dataclasses import replace

import numpy as np
import pytest
from training_data import real_folder, simulated_folder

from cytosuite.algorithms.cellpose3d.training.camera import CameraRanges
from cytosuite.algorithms.cellpose3d.training.cases import find_cases, load_case
from cytosuite.algorithms.cellpose3d.training.patches import (
    Patches,
    _light,
    draw_batch,
    draw_image,
    draw_patch,
)

SMALL = Patches(shape=(8, 16, 16), batch=3)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    files = find_cases(simulated_folder(tmp_path_factory.mktemp("data")))
    return [load_case(each, SMALL.shape) for each in files]


def _bytes(batch):
    return batch["image"].tobytes() + batch["target"].tobytes()


def test_a_batch_has_the_promised_form(cases):
    batch = draw_batch(cases, SMALL, 0, 0)
    assert batch["image"].shape == (3, 1, 8, 16, 16)
    assert batch["target"].shape == (3, 5, 8, 16, 16)
    assert batch["image"].dtype == batch["target"].dtype == np.float32
    assert np.isfinite(batch["image"]).all()
    level, flow, heat = batch["target"][:, 0], batch["target"][:, 1:4], batch["target"][:, 4]
    assert level.min() == heat.min() == 0
    assert 0 < level.max() <= 1
    assert np.abs(flow).max() <= 1
    outside = (level == 0)[:, None]
    assert not (flow * outside).any()
    assert not (heat * outside[:, 0]).any()


def test_a_step_depends_on_seed_and_number_alone(cases):
    assert _bytes(draw_batch(cases, SMALL, 1, 7)) == _bytes(draw_batch(cases, SMALL, 1, 7))
    different = {_bytes(draw_batch(cases, SMALL, s, k)) for s in range(3) for k in range(3)}
    assert len(different) == 9


def test_patches_near_nuclei_hold_more_of_them(cases):
    fields = ("image", "labels", "level", "heat", "flow", "tails")
    beyond = ((0, 0), (0, 90), (0, 90))
    wide = [
        replace(
            case,
            **{
                name: np.pad(array, ((0, 0),) * (array.ndim - 3) + beyond)
                for name, array in ((name, getattr(case, name)) for name in fields)
            },
        )
        for case in cases
    ]
    camera = CameraRanges(visibility=0.0, contrast=0.0)
    share = {}
    for near in (0.0, 1.0):
        settings = SMALL.model_copy(update={"near": near, "camera": camera})
        targets = [draw_batch(wide, settings, 0, k)["target"][:, 0] for k in range(20)]
        share[near] = np.mean([target.any((1, 2, 3)) for target in targets])
    assert share[1.0] > 0.9
    assert share[0.0] < 0.3


def test_stray_light_is_added_to_the_light(cases):
    case, where = cases[0], np.s_[1:5, 2:9, 3:20]
    plain = case.image[where].astype(np.float32)
    near, far = case.tails[(slice(None), *where)].astype(np.float32)
    assert near.max() > 0
    none, both = (_light(case, where, np.float32(w)) for w in ((0, 0), (0.5, 0.25)))
    np.testing.assert_array_equal(none, plain)
    np.testing.assert_allclose(both, plain + 0.5 * near + 0.25 * far, rtol=2e-3)


def test_nuclei_hidden_by_the_light_of_others_are_no_target(cases):
    def voxels(contrast):
        camera = CameraRanges(photons=(500, 500.001), visibility=0.0, contrast=contrast)
        settings = SMALL.model_copy(update={"camera": camera, "near": 1.0})
        return sum((draw_batch(cases, settings, 0, k)["target"][:, 0] > 0).sum() for k in range(5))

    assert voxels(0.0) > 0
    assert voxels(100.0) == 0


def test_invisible_nuclei_are_no_target_but_stay_in_the_image(cases):
    def nuclei(visibility):
        camera = CameraRanges(photons=(20, 20.001), visibility=visibility)
        settings = SMALL.model_copy(update={"near": 1.0, "camera": camera})
        drawn = [draw_batch(cases, settings, 0, k) for k in range(10)]
        return [b["target"] for b in drawn], [b["image"] for b in drawn]

    (all_targets, all_images), (few_targets, few_images) = nuclei(0.0), nuclei(5.0)
    (no_targets, _) = nuclei(1e6)
    np.testing.assert_array_equal(np.stack(all_images), np.stack(few_images))
    counts = [sum((t[:, 0] > 0).sum() for t in ts) for ts in (all_targets, few_targets, no_targets)]
    assert counts[0] > counts[1] > counts[2] == 0
    assert not np.stack(no_targets).any()


def test_the_background_is_near_zero_whatever_the_camera(cases):
    settings = Patches(shape=(10, 24, 24), batch=8, near=0.0)
    batch = draw_batch(cases, settings, 0, 0)
    for image, target in zip(batch["image"][:, 0], batch["target"][:, 0], strict=True):
        assert abs(np.percentile(image[target == 0], 30)) < 0.25


def test_a_real_case_meets_no_camera(tmp_path):
    case = load_case(find_cases(real_folder(tmp_path))[0], SMALL.shape)
    whole = Patches.model_validate(
        {"shape": case.shape, "augment": {"brightness": (1.0, 1.0), "noise": 0.0}}
    )
    image, target = draw_patch(np.random.default_rng(0), [case], whole)
    np.testing.assert_allclose(np.sort(image, None), np.sort(case.image.astype(np.float32), None))
    assert target[0].sum() == (case.labels > 0).sum()


def test_the_image_of_a_whole_case_shows_its_visible_nuclei(cases):
    dim = CameraRanges(photons=(20, 20.001), haze=(1, 1.001), visibility=1e6)
    settings = SMALL.model_copy(update={"camera": dim})
    image, labels = draw_image(np.random.default_rng(0), cases[0], settings)
    assert image.shape == labels.shape == cases[0].shape
    assert image.dtype == np.float32
    assert not labels.any()
    bright = SMALL.model_copy(update={"camera": CameraRanges(visibility=0.0, contrast=0.0)})
    image, labels = draw_image(np.random.default_rng(0), cases[0], bright)
    np.testing.assert_array_equal(labels, cases[0].labels)
    assert image[labels == 1].mean() > image[labels == 0].mean()


def test_the_image_of_a_real_case_is_linear_again(tmp_path):
    case = load_case(find_cases(real_folder(tmp_path))[0], SMALL.shape)
    image, labels = draw_image(np.random.default_rng(0), case, SMALL)
    np.testing.assert_array_equal(labels, case.labels)
    np.testing.assert_allclose(np.arcsinh(image) / 2, case.image.astype(np.float32), atol=1e-5)


def test_faces_of_a_patch_are_borders_of_an_image_where_nuclei_are_cut(cases):
    camera = CameraRanges(visibility=0.0, contrast=0.0)
    whole = Patches(shape=(8, 8, 8), camera=camera)
    cut = whole.model_copy(update={"cut": True})
    differ = 0
    for number in range(12):
        drawn = [draw_patch(np.random.default_rng(number), cases, each)[1] for each in (whole, cut)]
        np.testing.assert_array_equal(drawn[0][0], drawn[1][0])
        flow = drawn[1][1:4]
        for axis in range(3):
            # The visible part of a nucleus flows to its own middle: both ways along each axis.
            inside = flow[axis][drawn[1][0] > 0]
            if inside.size > 8 and np.ptp(inside) > 0:
                assert inside.min() <= 0 <= inside.max()
        differ += not np.array_equal(*(each[1:] for each in drawn))
    assert differ > 6
