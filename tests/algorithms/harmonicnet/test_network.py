import pytest
import torch

from cytosuite.algorithms.harmonicnet.network import SPHERE, HarmonicNet


@pytest.mark.parametrize("order", [0, 3])
def test_the_answer_has_half_the_sides_and_begins_as_spheres(order):
    torch.manual_seed(0)
    network = HarmonicNet(order, 4).eval()
    count = (order + 1) ** 2
    with torch.inference_mode():
        maps = network(torch.randn(2, 1, 16, 24, 32))
    assert maps.shape == (2, 1 + count, 8, 12, 16)
    assert maps.dtype == torch.float32
    expected = torch.zeros(count)
    expected[0] = SPHERE
    assert (maps[:, 1:].movedim(1, -1) == expected).all()
