import numpy as np
from trainings import cases_of, short, written
from unpaired import SPACING, TINY, random_network, simulated

from cytosuite.algorithms.cyclegan3d.training.train import TRAINING
from cytosuite.formats import read
from cytosuite.training.loop import begin


def test_facts_are_those_of_each_case_and_of_the_set(tmp_path):
    settings = short("cyclegan3d")
    cases = cases_of("cyclegan3d", written("cyclegan3d", tmp_path), settings)
    cases["simulated"] = cases["simulated"][:2]
    state = begin(TRAINING, settings, None, "cpu")
    state.average.load_state_dict(random_network(TINY).state_dict())
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
