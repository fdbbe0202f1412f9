from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from training_data import TURNS, directed, real_folder, simulated_folder

from cytosuite.training.images import turned
from cytosuite.training.nuclei.camera import CameraRanges
from cytosuite.training.nuclei.cases import find_cases, load_case
from cytosuite.training.nuclei.patches import (
    AugmentRanges,
    Patches,
    _light,
    alter,
    draw_batch,
    draw_image,
    draw_patch,
    draw_turn,
    turn_target,
)

SMALL = Patches(shape=(8, 16, 16), batch=3)


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    files = find_cases(simulated_folder(tmp_path_factory.mktemp("data")))
    return [load_case(entry, SMALL.shape, directed) for entry in files]


def test_a_batch_has_the_promised_form(cases):
    batch = draw_batch(cases, SMALL, 0, 0)
    target = batch["target"]
    assert batch["image"].shape == (3, 1, 8, 16, 16)
    assert target.shape == (3, 6, 8, 16, 16)
    assert batch["image"].dtype == target.dtype == np.float32
    assert np.isfinite(batch["image"]).all()
    level = target[:, 0]
    vectors = target[:, 1:4]
    shares = target[:, 4]
    labels = target[:, 5]
    assert level.min() == shares.min() == 0
    assert 0 < level.max() <= 1
    assert 0 < np.abs(vectors).max() <= 1
    assert not target[:, 1:][np.broadcast_to((level == 0)[:, None], (3, 5, 8, 16, 16))].any()
    assert_array_equal(labels > 0, level > 0)
    assert set(np.unique(labels)) <= {0, 1, 2}


def test_a_network_that_makes_its_own_targets_draws_level_and_labels(cases):
    plain = [replace(case, vectors=case.vectors[:0], shares=case.shares[:0]) for case in cases]
    (reduced, whole) = (draw_batch(source, SMALL, 0, 0)["target"] for source in (plain, cases))
    assert_array_equal(reduced, whole[:, [0, 5]])


def test_patches_near_nuclei_hold_more_of_them(cases):
    fields = ("image", "labels", "level", "shares", "vectors", "tails")
    beyond = ((0, 0), (0, 90), (0, 90))
    wide = []
    for case in cases:
        arrays = {name: getattr(case, name) for name in fields}
        padded = {n: np.pad(a, ((0, 0),) * (a.ndim - 3) + beyond) for n, a in arrays.items()}
        wide.append(replace(case, **padded))
    camera = CameraRanges(visibility=0.0, contrast=0.0)
    share = {}
    for near in (0.0, 1.0):
        settings = SMALL.model_copy(update={"near": near, "camera": camera})
        targets = [draw_batch(wide, settings, 0, k)["target"][:, 0] for k in range(20)]
        share[near] = np.mean([target.any((1, 2, 3)) for target in targets])
    assert share[1.0] > 0.9
    assert share[0.0] < 0.3


def test_stray_light_is_added_to_the_light(cases):
    case = cases[0]
    where = np.s_[1:5, 2:9, 3:20]
    plain = case.image[where].astype(np.float32)
    near, far = case.tails[(slice(None), *where)].astype(np.float32)
    assert near.max() > 0
    none, both = (_light(case, where, np.float32(w)) for w in ((0, 0), (0.5, 0.25)))
    assert_array_equal(none, plain)
    assert_allclose(both, plain + 0.5 * near + 0.25 * far, rtol=2e-3)


def test_invisible_nuclei_are_no_target_but_stay_in_the_image(cases):
    def nuclei(visibility):
        camera = CameraRanges(photons=(20, 20.001), visibility=visibility)
        settings = SMALL.model_copy(update={"near": 1.0, "camera": camera})
        drawn = [draw_batch(cases, settings, 0, k) for k in range(10)]
        return [b["target"] for b in drawn], [b["image"] for b in drawn]

    (all_targets, all_images), (few_targets, few_images) = nuclei(0.0), nuclei(5.0)
    (no_targets, _) = nuclei(1e6)
    assert_array_equal(np.stack(all_images), np.stack(few_images))
    counts = [sum((t[:, 0] > 0).sum() for t in ts) for ts in (all_targets, few_targets, no_targets)]
    assert counts[0] > counts[1] > counts[2] == 0
    assert not np.stack(no_targets).any()


def test_a_real_case_meets_no_camera(tmp_path, rng):
    case = load_case(find_cases(real_folder(tmp_path))[0], SMALL.shape)
    whole = Patches.model_validate(
        {"shape": case.shape, "augment": {"brightness": (1.0, 1.0), "noise": 0.0}}
    )
    _, image, target, _ = draw_patch(rng, [case], whole)
    assert_allclose(np.sort(image, None), np.sort(case.image.astype(np.float32), None))
    assert target[0].sum() == (case.labels > 0).sum()
    (image,), labels = draw_image(rng, case, SMALL)
    assert_array_equal(labels, case.labels)
    assert_allclose(np.arcsinh(image) / 2, case.image.astype(np.float32), atol=1e-5)


@pytest.fixture(scope="module")
def labels():
    objects = np.zeros((8, 14, 14), np.int32)
    objects[1:5, 2:6, 1:9] = 1
    objects[4:7, 8:13, 6:9] = 2
    objects[5, 8, 5] = 2  # not symmetric
    return objects


def _target(labels):
    return np.concatenate([[labels > 0], *directed(labels), [labels]]).astype(np.float32)


def test_all_symmetries_are_drawn_and_turn_the_target_as_the_labels(labels, rng):
    for turn in TURNS:
        expected = _target(turned(labels, turn))
        assert_allclose(turn_target(_target(labels), turn, 3), expected, atol=1e-5)
    assert {draw_turn(rng) for _ in range(300)} == set(TURNS)
    assert len({turned(labels, turn).tobytes() for turn in TURNS}) == 16


def test_brightness_and_noise_by_their_moments():
    image = np.full((10, 40, 40), 2.0, np.float32)
    drawn = [alter(np.random.default_rng(k), image, AugmentRanges()) for k in range(60)]
    means = [float(a.mean()) / 2 for a in drawn]
    assert min(means) > 0.79
    assert max(means) < 1.26
    assert np.std(means) > 0.05
    assert np.mean([a.std() for a in drawn]) == pytest.approx(0.06, rel=0.05)


def test_noise_of_a_width_is_as_high_and_neighbours_share_it():
    ranges = AugmentRanges(noise=0.0, grain=0.2, grain_width=3.0)
    image = np.zeros((1, 90, 90), np.float32)
    drawn = [alter(np.random.default_rng(k), image, ranges) for k in range(60)]
    shared = [np.corrcoef(a[0, :, 1:].ravel(), a[0, :, :-1].ravel())[0, 1] for a in drawn]
    assert np.mean([a.std() for a in drawn]) == pytest.approx(0.1, rel=0.1)
    assert min(shared) < 0.1
    assert max(shared) > 0.9
