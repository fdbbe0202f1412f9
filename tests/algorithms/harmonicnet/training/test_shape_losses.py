from math import log, pi

import numpy as np
import pytest
import torch
from rasters import away_from
from trainings import losses_of

from cytosuite.algorithms.harmonicnet.network import HarmonicNet, in_eights
from cytosuite.algorithms.harmonicnet.training.train import heat_loss, shape_loss
from cytosuite.bodies.harmonics import basis, fibonacci_sphere

HEAT = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0]).view(1, 1, 1, 5)


def test_objects_and_ground_weigh_the_same():
    logit = torch.zeros(1, 1, 1, 5)
    assert float(heat_loss(logit, HEAT)) == pytest.approx(log(2))
    logit[..., 2:] = -30
    assert float(heat_loss(logit, HEAT)) == pytest.approx(log(2) / 2)
    assert float(heat_loss(logit, 0 * HEAT + 1)) > 1  # no ground divides by nothing


def test_shapes_count_where_the_centre_is_hot_by_their_squared_error():
    table = torch.tensor([[[0.0, 0.0], [3.0, 1.0], [2.0, 0.0]]])
    rows = torch.tensor([1, 2, 0, 0, 0]).view(1, 1, 1, 5)
    prediction = torch.zeros(1, 3, 1, 1, 5)
    batch = {"heat": HEAT, "rows": rows, "table": table}
    losses = losses_of("harmonicnet", prediction, batch, shape=2)
    # Errors of 3, 1 and 2, 0: sums of squares of 10 and 4, with the heat of 1 and 0.5.
    assert float(losses["shape"]) == pytest.approx((10 * 1 + 4 * 0.5) / 1.5 / (4 * pi))
    assert float(losses["total"]) == pytest.approx(log(2) + 2 * float(losses["shape"]))
    assert float(losses_of("harmonicnet", prediction, {**batch, "heat": 0 * HEAT})["shape"]) == 0


def test_the_loss_of_a_shape_is_the_mean_squared_error_of_its_radius(rng):
    order = 3
    predicted, true = rng.normal(size=(2, (order + 1) ** 2)).astype(np.float32)
    radii = basis(order, fibonacci_sphere(5000)) @ (predicted - true)
    table = torch.zeros(1, 2, true.size)
    table[0, 1] = torch.from_numpy(true)
    heat = torch.zeros(1, 1, 1, 2)
    rows = torch.zeros(1, 1, 1, 2, dtype=torch.long)
    heat[..., 1], rows[..., 1] = 1, 1  # the other voxel is of no object
    maps = torch.from_numpy(predicted)[None, :, None, None, None].expand(1, -1, 1, 1, 2)
    assert float(shape_loss(maps, heat, rows, table)) == pytest.approx((radii**2).mean(), rel=1e-3)


def test_sizes_are_learned_and_not_their_mean_alone():
    torch.manual_seed(0)
    image = torch.zeros(1, 1, 24, 24, 48)
    heat = torch.zeros(1, 12, 12, 24)
    rows = torch.zeros(1, 12, 12, 24, dtype=torch.long)
    table = torch.zeros(1, 3, 4)
    for row, (middle, radius) in enumerate([(12, 4.0), (36, 8.0)], 1):
        ball = torch.from_numpy(away_from((12, 12, middle), (24, 24, 48)) < radius)
        image[0, 0][ball] = 5.0
        coarse = ball[::2, ::2, ::2]
        heat[0][coarse], rows[0][coarse], table[0, row, 0] = 0.8, row, 3.5 * radius / 6
    network = HarmonicNet(1, 8)
    adam = torch.optim.Adam(network.parameters(), 3e-3)
    batch = {"heat": heat, "rows": rows, "table": table}
    for _ in range(40):
        noisy = image + 0.1 * torch.randn_like(image)
        maps = network(torch.from_numpy(in_eights(noisy[0, 0].numpy()))[None])
        adam.zero_grad()
        losses_of("harmonicnet", maps, batch)["total"].backward()
        adam.step()
    means = [maps.detach()[0, 1][rows[0] == row].mean() for row in (1, 2)]
    assert means[1] - means[0] > 0.5 * 3.5 * 4 / 6
