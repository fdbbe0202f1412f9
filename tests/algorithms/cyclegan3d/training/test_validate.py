import numpy as np
import pytest
from unpaired import SPACING, TINY, random_network, real_folder, simulated, simulated_dataset

from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.train import (
    TRAINING,
)
from cytosuite.formats import read
from cytosuite.training.loop import begin

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
    return {role: TRAINING.load(folder, role, settings) for role, folder in folders.items()}


@pytest.fixture
def state(settings):
    """Return the state of a training with random weights of its average."""
    state = begin(TRAINING, settings, None, "cpu")
    state.average.load_state_dict(random_network(TINY).state_dict())
    return state


def test_facts_are_those_of_each_case_and_of_the_set(state, cases, settings):
    *each, whole = TRAINING.validate(state, cases, settings)
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
