import numpy as np
import pytest
import torch

from cytosuite.algorithms.harmonicnet.network import HarmonicNet
from cytosuite.algorithms.harmonicnet.training.losses import LossWeights, losses, shape_loss
from cytosuite.bodies.harmonics import basis, fibonacci_sphere


def test_the_loss_of_a_shape_is_the_mean_squared_error_of_its_radius():
    rng, order = np.random.default_rng(0), 3
    found, true = rng.normal(size=(2, (order + 1) ** 2)).astype(np.float32)
    radii = basis(order, fibonacci_sphere(5000)) @ (found - true)
    table = torch.zeros(1, 2, true.size)
    table[0, 1] = torch.from_numpy(true)
    heat, rows = torch.zeros(1, 1, 1, 2), torch.zeros(1, 1, 1, 2, dtype=torch.long)
    heat[..., 1], rows[..., 1] = 1, 1  # the other voxel is of no object
    maps = torch.from_numpy(found)[None, :, None, None, None].expand(1, -1, 1, 1, 2)
    assert float(shape_loss(maps, heat, rows, table)) == pytest.approx((radii**2).mean(), rel=1e-3)


def test_sizes_are_learned_and_not_their_mean_alone():
    torch.manual_seed(0)
    place = torch.stack(torch.meshgrid(*[torch.arange(n) for n in (24, 24, 48)], indexing="ij"))
    image, heat = torch.zeros(1, 1, 24, 24, 48), torch.zeros(1, 12, 12, 24)
    rows, table = torch.zeros(1, 12, 12, 24, dtype=torch.long), torch.zeros(1, 3, 4)
    for row, (middle, radius) in enumerate([(12, 4.0), (36, 8.0)], 1):
        ball = (place - torch.tensor([12, 12, middle])[:, None, None, None]).square().sum(0)
        image[0, 0][ball < radius**2] = 5.0
        coarse = ball[::2, ::2, ::2] < radius**2
        heat[0][coarse], rows[0][coarse], table[0, row, 0] = 0.8, row, 3.5 * radius / 6
    network = HarmonicNet(1, 8)
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    batch = {"heat": heat, "rows": rows, "table": table}
    for _ in range(40):
        maps = network(image + 0.1 * torch.randn_like(image))
        adam.zero_grad()
        losses(maps, batch, LossWeights())["total"].backward()
        adam.step()
    means = [maps.detach()[0, 1][rows[0] == row].mean() for row in (1, 2)]
    assert means[1] - means[0] > 0.5 * 3.5 * 4 / 6
