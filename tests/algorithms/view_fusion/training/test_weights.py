"""Weights of the published program: what differs is one line."""

import torch
from mistakes import refused

from cytosuite.algorithms.view_fusion.training.weights import LAYOUT
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.training.convert import convert


def test_published_weights_are_recognised_and_refused_in_one_line(tmp_path):
    file = tmp_path / "Study1_Nucleus.ckpt"
    card = ROOT / "weights/view_fusion/theirs.json"
    weights = {f"network.{name}": torch.zeros(8, 2, 3, 3, 3) for name in LAYOUT}
    torch.save({"epoch": 291, "state_dict": weights}, file)
    refused(r"ckpt: the published U-Net, 2 inputs, 1,728 weights; it", convert, file, card)
    torch.save({"state_dict": {"head.weight": torch.zeros(1)}}, file)
    refused(r"expected the published U-Net .*, found head\.weight;", convert, file, card)
    assert not card.exists()
