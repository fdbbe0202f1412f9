from dataclasses import replace

import numpy as np
import pytest
from layouts import hdf5
from mistakes import refused
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import ndtr
from training_data import (
    SHAPE,
    SPACING,
    TURNS,
    cells_folder,
    chain_folder,
    directed,
    plain_folder,
    real_folder,
    scene,
    simulated_folder,
)

from cytosuite.formats import read, write
from cytosuite.training.images import turned
from cytosuite.training.nuclei.camera import CameraRanges
from cytosuite.training.nuclei.cases import (
    SHARE_UNIT,
    VECTOR_UNIT,
    Files,
    _level_within_cells,
    find_cases,
    load_case,
)
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
from cytosuite.training.settings import FileSettings
from cytosuite.volume import Volume

PATCH = (8, 16, 16)
SMALL = Patches(shape=(8, 16, 16), batch=3)


def test_a_simulated_case_keeps_its_fields_within_rounding(tmp_path):
    files = find_cases(simulated_folder(tmp_path))
    assert [names.name for names in files] == ["case_0", "case_1"]
    case = load_case(files[1], PATCH, directed)
    light, level, labels = scene(1)
    assert case.simulated
    assert case.spacing == SPACING
    assert_array_equal(case.labels, labels)
    assert_allclose(case.level / SHARE_UNIT, level, atol=0.5 / SHARE_UNIT + 1e-6)
    vectors, shares = directed(labels)
    assert_array_equal(case.vectors, np.rint(vectors * VECTOR_UNIT))
    assert_array_equal(case.shares, np.rint(shares * SHARE_UNIT))
    ratio = case.image / light
    assert ratio.std() < 1e-3 * ratio.mean()


def test_light_is_in_units_of_the_median_nucleus_and_diameters_of_the_largest_slice(tmp_path):
    case = load_case(find_cases(simulated_folder(tmp_path, 1))[0], PATCH)
    light, level, labels = scene(0)
    means = [np.average(light[labels == k], weights=level[labels == k]) for k in (1, 2)]
    assert_allclose(case.own + case.rest, [0, *(means / np.median(means))], rtol=1e-5)
    assert case.centres.tolist() == [[5, 7, 7], [5, 16, 15]]
    # The level falls to 0.3 at sqrt(2 ln(1 / 0.3)) standard deviations of 3 voxels.
    assert_allclose(case.diameters_um, 2 * 3 * np.sqrt(2 * np.log(1 / 0.3)) * SPACING[1], rtol=0.08)


def test_a_real_case_is_normalised_and_has_full_level_inside(tmp_path):
    (files,) = find_cases(real_folder(tmp_path))
    case = load_case(files, PATCH)
    assert not case.simulated
    assert_array_equal(case.level, SHARE_UNIT * (case.labels > 0))
    assert abs(np.median(case.image[case.labels == 0])) < 0.2
    assert case.image.max() > 1
    array = read(files.image).array
    both = Volume(np.stack([array[::-1], array]), SPACING, "CZYX", {"channels": "DAPI, cytosol"})
    write(files.image, both)
    main = load_case(files._replace(channel="cytoplasm"), PATCH, channels=2).image
    assert_array_equal(main, case.image)  # the channel of the settings by its name


def test_images_behind_a_chain_count_like_real_ones(tmp_path):
    files = find_cases(chain_folder(tmp_path / "a", level=False))
    assert [(entry.name, entry.simulated, entry.level) for entry in files] == [
        ("case_0", False, None),
        ("case_1", False, None),
    ]
    case, real = (
        load_case(entry, PATCH, directed)
        for entry in (files[0], find_cases(real_folder(tmp_path / "b"))[0])
    )
    for name in ("image", "labels", "level", "vectors", "shares", "own"):
        assert_array_equal(getattr(case, name), getattr(real, name))
    assert not case.tails.any()


def test_images_of_a_simulation_without_light_serve_those_that_learn_of_labels(tmp_path):
    folder = simulated_folder(tmp_path, 1)
    (files,) = find_cases(folder, light=False)
    assert files.simulated
    (folder / "cases/case_0/extras/step-3-light").rename(tmp_path / "away")
    (bare,) = find_cases(folder, light=False)
    assert (bare.simulated, bare.image.parent.name) == (False, "microscopy-image")
    refused("expected step-3-light/case_0.tif", find_cases, folder)
    assert find_cases(folder, "cytoplasm")[0].image == bare.image  # whole cells: as they are


def test_the_level_of_cells_falls_where_they_touch_and_not_at_the_border_of_the_volume():
    labels = np.ones((12, 16, 40), np.uint16)
    labels[..., 20:] = 2
    level = _level_within_cells(labels)
    # Two voxels side by side are border: P(1.5 > x > -0.5) of a normal distribution is missing.
    assert_allclose(level[..., 19:21], 1 - (ndtr(1.5) - ndtr(-0.5)), atol=0.02)
    assert_allclose(level[..., [0, 10, 30, 39]], 1, atol=1e-5)
    assert_allclose(level, level[..., ::-1], atol=1e-6)


def test_the_other_channel_is_refused(tmp_path):
    refused(
        r"light of the nucleus, found membrane; set channel = \"membrane\"",
        find_cases,
        cells_folder(tmp_path / "a"),
    )
    refused(
        r"light of the membrane, found nucleus; .*channel=membrane",
        find_cases,
        plain_folder(tmp_path / "b"),
        "membrane",
    )


def test_small_volumes_are_padded_to_a_patch_without_new_nuclei(tmp_path):
    case = load_case(find_cases(simulated_folder(tmp_path, 1))[0], (16, 32, 16))
    assert case.shape == (16, 32, 24)
    assert not case.labels[SHAPE[0] :].any() or (case.labels[SHAPE[0] - 1] > 0).any()
    assert_array_equal(case.image[:, 24:], np.repeat(case.image[:, 23:24], 8, axis=1))


def test_a_published_list_gives_images_and_labels(tmp_path):
    labels = np.zeros((8, 16, 16), np.uint16)
    labels[2:6, 4:12, 4:12] = 1
    arrays = {
        "images": {"image": labels / 2},
        "masks": {"instance": labels, "distance": labels - 0.5},
    }
    for room, content in arrays.items():
        hdf5(tmp_path / room / "a.h5", **content)
    (tmp_path / "files_train.csv").write_text("images/a.h5;masks/a.h5\n")
    (files,) = find_cases(tmp_path, files=FileSettings(group="data/image,data/instance"))
    case = load_case(files, (8, 16, 16))
    assert_array_equal(case.labels, labels)
    assert not case.simulated
    assert not case.has_size
    assert load_case(files, (8, 16, 16), spacing=SPACING).spacing == SPACING
    (tmp_path / "files_train.csv").write_text("images/a.h5\n")
    refused("expected images with labels of the same name, found 1", find_cases, tmp_path)


def test_mistakes_in_the_data_are_named(tmp_path):
    refused("found no image", find_cases, tmp_path)
    folder = simulated_folder(tmp_path / "a", 1)
    (folder / "cases/case_0/extras/visible-level/case_0.tif").unlink()
    refused(r"visible-level.*simulate it with labels.style=visible", find_cases, folder)
    one = find_cases(simulated_folder(tmp_path / "c"))[0]
    refused(
        r"step-3-light.*a level must be a share from 0 to 1",
        load_case,
        Files("x", one.image, one.labels, one.image),
        PATCH,
    )
    refused(r"found .*for volumes give --settings embryo", load_case, one, (1, 16, 16))
    one.level.unlink()
    for record in (tmp_path / "c").glob("cases/*/case.json"):
        record.write_text('{"through": [{}]}')
    refused("give a level for each image, or for none", find_cases, tmp_path / "c")
    refused("whole numbers", load_case, Files("x", one.image, one.image, None), PATCH)


@pytest.mark.parametrize(
    "channels, first, message",
    [
        (1, -1, "a.tif: expected labels as whole numbers, 0 for the background, found int32 from"),
        (1, 2**16, "a.tif: expected labels up to 65535, found 65536; number the objects anew"),
        (2, 0, "a.tif: expected finite numbers, found NaN or infinity"),
    ],
)
def test_labels_and_every_channel_of_an_image_are_checked(tmp_path, channels, first, message):
    # NaN in the second channel passed, and a background of -1 took the first object away.
    image = np.ones((channels, *PATCH), np.float32)
    image[1:, 0, 0, 0] = np.nan
    labels = np.zeros(PATCH, np.int32)
    labels[0, 0, 0] = first
    write(tmp_path / "images/a.tif", Volume(image, SPACING, "CZYX"))
    write(tmp_path / "labels/a.tif", Volume(labels, SPACING))
    (files,) = find_cases(tmp_path)
    refused(message, load_case, files, PATCH, channels=channels)


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
