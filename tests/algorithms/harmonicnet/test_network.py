import numpy as np
import pytest
import torch

from cytosuite.algorithms.harmonicnet.network import SPHERE, HarmonicNet, in_eights


@pytest.mark.parametrize("order", [0, 3])
def test_the_answer_has_the_sides_of_eights_and_begins_as_spheres(order):
    torch.manual_seed(0)
    network = HarmonicNet(order, 4).eval()
    count = (order + 1) ** 2
    with torch.inference_mode():
        maps = network(torch.randn(2, 8, 8, 12, 16))
    assert maps.shape == (2, 1 + count, 8, 12, 16)
    assert maps.dtype == torch.float32
    expected = torch.zeros(count)
    expected[0] = SPHERE
    assert (maps[:, 1:].movedim(1, -1) == expected).all()


def test_eights_are_the_voxels_of_blocks_and_repeat_the_last_plane(rng):
    image = rng.random((5, 6, 8), np.float32)
    eights = in_eights(image)
    assert eights.shape == (8, 3, 3, 4)
    for number, (z, y, x) in enumerate(np.ndindex(2, 2, 2)):
        assert (eights[number, : 3 - z] == image[z::2, y::2, x::2]).all()
        assert (eights[number, 2] == image[4, y::2, x::2]).all()
