from math import log

import pytest
import torch

from cytosuite.algorithms.harmonicnet.training.losses import LossWeights, heat_loss, losses

HEAT = torch.tensor([1.0, 0.5, 0.0, 0.0, 0.0]).view(1, 1, 1, 5)


def test_objects_and_ground_weigh_the_same():
    logit = torch.zeros(1, 1, 1, 5)
    assert float(heat_loss(logit, HEAT)) == pytest.approx(log(2))
    logit[..., 2:] = -30
    assert float(heat_loss(logit, HEAT)) == pytest.approx(log(2) / 2)
    assert float(heat_loss(logit, 0 * HEAT + 1)) > 1  # no ground divides by nothing


def test_shapes_count_where_the_centre_is_hot_each_coefficient_once():
    table = torch.tensor([[[0.0, 0.0], [3.0, 1.0], [2.0, 0.0]]])
    rows = torch.tensor([1, 2, 0, 0, 0]).view(1, 1, 1, 5)
    prediction = torch.zeros(1, 3, 1, 1, 5)
    batch = {"heat": HEAT, "rows": rows, "table": table}
    found = losses(prediction, batch, LossWeights(shape=2))
    # Errors of 3, 1 and 2, 0: means of 2 and 1, with the heat of 1 and 0.5.
    assert float(found["shape"]) == pytest.approx((2 * 1 + 1 * 0.5) / 1.5)
    assert float(found["total"]) == pytest.approx(log(2) + 2 * float(found["shape"]))
    empty = losses(prediction, {**batch, "heat": 0 * HEAT}, LossWeights())
    assert float(empty["shape"]) == 0
