import numpy as np
import pytest
import torch
from unpaired import SPACING, TINY, random_network, real_folder, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.train import TRAINING, load
from cytosuite.algorithms.cyclegan3d.training.validate import (
    SHOWN,
    picture,
    translated,
    validate,
)
from cytosuite.algorithms.cyclegan3d.translate import translate
from cytosuite.formats import read, write
from cytosuite.normalise import Target
from cytosuite.training.images import objects_of
from cytosuite.training.loop import begin
from cytosuite.volume import Volume

TARGET = {"mean": 300.0, "sd": 25.0, "dtype": "uint16"}


@pytest.fixture
def settings():
    return Settings.model_validate(
        {
            "network": TINY.model_dump(),
            "judge": {"widths": [4, 6]},
            "crops": {"shape": [8, 16, 16]},
            "card": {"parameters": {"target": TARGET}},
        }
    )


@pytest.fixture
def cases(tmp_path, settings):
    folders = {
        "simulated": simulated_dataset(tmp_path / "simulated", 2),
        "real": real_folder(tmp_path / "real", 3),
    }
    return {role: load(folder, role, settings) for role, folder in folders.items()}


@pytest.fixture
def state(settings):
    """Return the state of a training with random weights of its average."""
    state = begin(TRAINING, settings, None, "cpu")
    state.average.load_state_dict(random_network(TINY).state_dict())
    return state


def test_a_volume_is_translated_by_the_average_as_the_card_would(state, settings):
    image, _ = simulated(3)
    made = translated(Volume(image, SPACING), state, settings)
    network = random_network(TINY)
    target = Target.model_validate(TARGET)
    expected, _ = translate(image, network, TINY, "background", target, tile=(96, 256, 256))
    np.testing.assert_array_equal(made.array, expected)
    assert made.spacing == SPACING
    with torch.no_grad():
        next(state.modules["forward"].parameters()).add_(5)
    np.testing.assert_array_equal(
        translated(Volume(image, SPACING), state, settings).array, expected
    )


def test_facts_are_those_of_each_case_and_of_the_set(state, cases, settings):
    *each, whole = validate(state, cases, settings)
    assert len(each) == 2
    for number, facts in enumerate(each):
        image, labels = simulated(number)
        np.testing.assert_array_equal(facts.get("image"), image)
        np.testing.assert_array_equal(facts.get("labels"), labels)
        assert facts.get("prediction").dtype == np.uint16
        assert facts.get("prediction").shape == image.shape
        assert facts.get("spacing") == SPACING
    arrays = whole.get("synthetic:arrays")
    for facts, array in zip(each, arrays, strict=True):
        np.testing.assert_array_equal(facts.get("prediction"), array)
    assert len(whole.get("real:arrays")) == len(whole.get("real:volumes")) == 3
    for item, volume in zip(cases["real"], whole.get("real:volumes"), strict=True):
        np.testing.assert_array_equal(volume.array, read(item.path).array)
    for name, count in (("real", 3), ("synthetic", 2)):
        assert len(whole.get(f"{name}:scenes")) == count


def test_images_without_labels_count_in_the_set_alone(state, cases, settings):
    bare = list(cases["real"][:2])
    *each, whole = validate(state, {"simulated": bare, "real": cases["real"]}, settings)
    assert each == []
    assert len(whole.get("synthetic:arrays")) == 2


def test_objects_are_pieces_above_a_threshold_and_specks_are_none():
    image, labels = simulated(0, (12, 40, 40))
    image[:, 1, 1] = 0
    image[2, 38, 1] = 255  # a speck
    found = objects_of(image)
    assert found.dtype == np.int32
    assert len(np.unique(found)) == 3
    both = (found > 0) & (labels > 0)
    assert both.sum() > 0.8 * (labels > 0).sum()
    assert found[2, 38, 1] == 0
    assert not objects_of(np.full((5, 9, 9), 7, np.uint16)).any()


def test_a_picture_has_a_row_of_each_kind(state, cases, settings):
    found = picture(state, cases, settings)
    z, y, x = read(cases["real"][0].path).shape
    assert found.dtype == np.uint8
    assert found.shape[0] >= 3 * max(z, y)
    assert found.shape[1] >= 3 * 2 * x  # two planes of three real volumes
    for top in (0, found.shape[0] // 3, 2 * found.shape[0] // 3):
        assert np.ptp(found[top : top + y, :x]) > 200
    plane = read(cases["simulated"][0].path).array[z // 2]
    assert np.corrcoef(found[:y, :x].ravel(), plane.ravel())[0, 1] > 0.95


def test_volumes_of_other_sizes_stand_in_one_picture(state, cases, settings, tmp_path):
    for number, shape in enumerate([(8, 40, 16), (30, 16, 24)]):
        write(tmp_path / "more" / f"{number}.tif", Volume(simulated(number, shape)[0], SPACING))
    more = load(tmp_path / "more", "real", settings)
    mixed = {role: (more + items)[:SHOWN] for role, items in cases.items()}
    found = picture(state, mixed, settings)
    assert found.shape[0] >= 3 * 40
    constant = Volume(np.full((8, 16, 16), 9, np.uint16), SPACING)
    write(tmp_path / "flat" / "a.tif", constant)
    flat = load(tmp_path / "flat", "real", settings)
    assert picture(state, {"simulated": flat, "real": flat}, settings).size
