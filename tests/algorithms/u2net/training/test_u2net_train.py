from math import log

import numpy as np
import pytest
import torch
from mistakes import refused
from trainings import cases_of, losses_of, short, written

from cytosuite.algorithms.u2net.predict import BORDER
from cytosuite.algorithms.u2net.training.train import (
    TRAINING,
    classes,
)
from cytosuite.training.loop import begin, take_step


def test_border_lies_in_objects_where_another_or_the_ground_is_near():
    row = np.repeat([[0] * 3 + [1] * 5 + [2] * 6], 7, axis=0).astype(np.int32)
    assert classes(row, 1)[3].tolist() == [0] * 3 + [2, 1, 1, 1, 2] + [2, 1, 1, 1, 1, 1]
    assert classes(row, 2)[3].tolist() == [0] * 3 + [2, 2, 1, 2, 2] + [2, 2, 1, 1, 1, 1]


def test_the_border_weighs_more_and_every_depth_counts():
    batch = {"classes": torch.tensor([0, BORDER]).view(1, 1, 1, 2)}
    logits = torch.zeros(1, 21, 1, 1, 2)
    losses = losses_of("u2net", logits, batch, border=3, sides=0.5)
    assert float(losses["fused"]) == pytest.approx(log(3))
    assert float(losses["total"]) == pytest.approx(log(3) * (1 + 6 * 0.5))
    logits[:, 0, ..., 0] = 50  # the ground of the fused answer is right: three quarters are left
    fused = losses_of("u2net", logits, batch, border=3)["fused"]
    assert float(fused) == pytest.approx(log(3) * 3 / 4)


def test_a_batch_without_statistics_is_refused_and_the_next_larger_one_learns(tmp_path):
    message = "patches: expected a batch of 2 or more, or a shape bey"
    refused(message, short, "u2net", patches={"batch": 1})
    for shape in ([1, 0, 0], [1, -32, -32]):
        refused(r"patches\.shape", short, "u2net", patches={"shape": shape})
    for larger in ({"batch": 2}, {"batch": 1, "shape": [1, 64, 64]}):
        settings = short("u2net", patches=larger)
        cases = cases_of("u2net", written("u2net", tmp_path), settings)
        state = begin(TRAINING, settings, None, "cpu")
        assert take_step(TRAINING, settings, state, TRAINING.batch(cases, settings, 0))["total"] > 0
