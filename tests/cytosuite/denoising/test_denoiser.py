import numpy as np
import pytest
import torch
from sketches import FLAT, TINY, random_network
from torch.testing import assert_close

from cytosuite.denoising.network import DenoiserArguments, clean_image
from cytosuite.monai import measured_halo


@pytest.mark.filterwarnings("ignore")  # of MONAI, about torch
@pytest.mark.parametrize(
    "arguments",
    [
        TINY,
        DenoiserArguments(widths=(3,), blocks=2, fold=1, embedding=4, conditioned=False),
        DenoiserArguments(widths=(2, 3, 3), blocks=1, fold=1, embedding=4),
        DenoiserArguments(dimensions=2, widths=(3, 4, 3), blocks=2, fold=2, embedding=4),
    ],
)
def test_the_halo_is_the_reach_of_a_voxel_and_no_more_than_needed(arguments):
    reach = measured_halo(
        random_network(arguments), arguments.inputs, arguments.multiple, torch.tensor([0.7])
    )
    for needed, halo in zip(reach, arguments.halo, strict=True):
        assert halo / 3 <= needed <= halo


def test_planes_are_seen_without_neighbours():
    network = random_network(FLAT)
    image = torch.randn(1, 2, 5, 8, 8)
    time = torch.tensor([0.4])
    whole = network(image, time)
    for z in range(5):
        assert_close(network(image[:, :, z : z + 1], time), whole[:, :, z : z + 1])


@pytest.mark.parametrize("predicts", ["velocity", "noise"])
def test_the_image_follows_from_the_true_answer(predicts):
    image, noise = torch.randn(2, 2, 1, 3, 4, 4, dtype=torch.float64)
    time = torch.tensor([0.2, 1.4], dtype=torch.float64)
    angle = time.reshape(-1, 1, 1, 1, 1)
    noised = angle.cos() * image + angle.sin() * noise
    velocity = angle.cos() * noise - angle.sin() * image
    answer = velocity if predicts == "velocity" else noise
    assert_close(clean_image(answer, noised, time, predicts), image)


def test_a_step_of_training_reaches_every_weight():
    network = random_network()
    network(torch.randn(1, 2, 4, 8, 8), torch.tensor([0.5])).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert np.isfinite(weight.grad.numpy()).all()
        assert weight.grad.abs().max() > 0, name
