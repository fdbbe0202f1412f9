import numpy as np

from cytosuite.datasets.physics.grid import ENOUGH, some_planes


def test_some_planes_are_all_of_usual_images():
    assert some_planes((512, 1024, 1024)).step == 1
    for shape in [(1024, 1024, 1024), (1024, 2048, 2048), (3000, 1500, 999)]:
        step = some_planes(shape).step
        assert np.prod(shape) / step <= ENOUGH
        assert step == 1 or np.prod(shape) / (step - 1) > ENOUGH
