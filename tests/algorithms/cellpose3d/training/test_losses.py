import numpy as np
import pytest
import torch
from trainings import losses_of

from cytosuite.algorithms.cellpose3d.flows import flow_targets
from cytosuite.algorithms.cellpose3d.training.train import (
    LossWeights,
    centre_heat,
    draw_thresholds,
    flow_loss,
    level_loss,
)

THRESHOLDS = torch.tensor([0.1, 0.2, 0.4])


def _fit(levels, share, thresholds=THRESHOLDS):
    """Return the level that a single free number learns where `share` of the voxels have it."""
    count = 200
    target = torch.zeros(1, 1, 1, count)
    target[..., : int(share * count)] = levels
    logit = torch.zeros(1, requires_grad=True)
    for _ in range(200):
        (slope,) = torch.autograd.grad(
            level_loss(logit.expand_as(target), target, thresholds), logit
        )
        logit = (logit - 0.3 * slope).detach().requires_grad_()
    return float(torch.sigmoid(logit.detach()))


def test_a_certain_level_is_met_between_the_thresholds_around_it():
    assert 0.2 < _fit(0.3, 1.0) < 0.4
    assert 0.1 < _fit(0.15, 1.0) < 0.2


def test_a_doubtful_nucleus_is_above_every_threshold_or_below_all():
    thresholds = torch.tensor([0.1])
    assert _fit(0.9, 0.7, thresholds) > 0.1
    assert _fit(0.9, 0.1, thresholds) < 0.1


def test_flow_counts_inside_only():
    flow = torch.zeros(1, 3, 1, 1, 4)
    target = torch.zeros(1, 3, 1, 1, 4)
    target[0, :, 0, 0, 0] = torch.tensor([1.0, 2.0, 2.0])
    target[..., 3] = 50
    inside = torch.tensor([True, True, True, False]).view(1, 1, 1, 1, 4)
    assert float(flow_loss(flow, target, inside)) == pytest.approx(9 / 9)
    assert float(flow_loss(flow, target, inside & False)) == 0


def test_the_total_is_the_weighted_sum():
    generator = torch.Generator().manual_seed(1)
    prediction = torch.randn(2, 5, 2, 4, 4, generator=generator)
    target = torch.rand(2, 5, 2, 4, 4, generator=generator)
    losses = losses_of("cellpose3d", prediction, {"target": target}, flow=3.0, heat=5.0)
    expected = float(losses["level"] + 3 * losses["flow"] + 5 * losses["heat"])
    assert float(losses["total"]) == pytest.approx(expected, rel=1e-6)


def test_thresholds_are_drawn_log_uniformly_from_the_range():
    weights = LossWeights(thresholds=(0.1, 0.4), per_step=2000)
    torch.manual_seed(0)
    drawn = draw_thresholds(weights)
    assert float(drawn.min()) >= 0.1
    assert float(drawn.max()) <= 0.4
    assert float(drawn.median()) == pytest.approx(0.2, rel=0.05)


def test_heat_peaks_at_the_centre_and_ends_within_the_object():
    labels = np.zeros((9, 13, 13), np.int32)
    labels[1:8, 2:11, 2:11] = 1
    heat = centre_heat(flow_targets(labels), labels > 0)
    assert np.unravel_index(heat.argmax(), heat.shape) == (4, 6, 6)
    assert heat.max() == pytest.approx(1)
    # A quarter of the half extent of 4.5 voxels is one standard deviation.
    assert heat[4, 6, 7] == pytest.approx(np.exp(-((1 / 4.5) ** 2) / (2 * 0.25**2)), rel=1e-4)
    assert heat[0].max() == 0
    assert heat[4, 6, 2] < 0.01
