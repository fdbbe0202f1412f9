import numpy as np
import pytest

from cytosuite import large
from cytosuite.datasets.physics.grid import ENOUGH, SLAB, copied, slabs, some_planes


@pytest.mark.parametrize("shape", [(1, 5, 5), (7, 5, 5), (23, 3, 40), (0, 4, 4), (4, 0, 4)])
@pytest.mark.parametrize("most", [1, 50, 10**6])
def test_slabs_follow_each_other_and_cover_all(shape, most):
    spans = slabs(shape, most)
    assert [n for start, stop in spans for n in range(start, stop)] == list(range(shape[0]))
    assert all(
        (stop - start) * shape[1] * shape[2] <= max(most, shape[1] * shape[2])
        for start, stop in spans
    )


def test_images_of_usual_size_are_one_slab_and_large_ones_bounded():
    assert slabs((128, 256, 256)) == [(0, 128)]
    thick = slabs((1024, 2048, 2048))
    assert max(stop - start for start, stop in thick) * 2048 * 2048 <= SLAB


def test_some_planes_are_all_of_usual_images():
    assert some_planes((512, 1024, 1024)).step == 1
    for shape in [(1024, 1024, 1024), (1024, 2048, 2048), (3000, 1500, 999)]:
        step = some_planes(shape).step
        assert np.prod(shape) / step <= ENOUGH
        assert step == 1 or np.prod(shape) / (step - 1) > ENOUGH


def test_a_copy_of_turned_planes_is_contiguous_also_on_disk(monkeypatch):
    image = np.random.default_rng(0).integers(0, 99, (5, 4, 3)).astype(np.uint8)
    for fits in (True, False):
        monkeypatch.setattr(large, "fits", lambda _, fits=fits: fits)
        made = copied(image[::-1])
        assert made.flags.c_contiguous
        assert large.is_mapped(made) is not fits
        assert made.tolist() == image[::-1].tolist()
