import pytest
import torch

from cytosuite.algorithms.u2net.network import CLASSES, SIDES, Network, UBlock, build


@pytest.mark.parametrize("height", [4, 7, None])
def test_a_block_keeps_the_size_and_sees_beyond_its_layers(height):
    torch.manual_seed(0)
    block = UBlock(height, 1, 4, 6).eval()
    image = torch.zeros(1, 1, 64, 64, requires_grad=True)
    answer = block(image)
    assert answer.shape == (1, 6, 64, 64)
    answer[0, :, 32, 32].sum().backward()
    seen = image.grad[0, 0, 32].nonzero()
    assert int(seen.max() - seen.min()) > 20


def test_every_depth_answers_at_the_size_of_the_image():
    network = build(Network(channels=4, middle=2)).eval()
    with torch.inference_mode():
        answer = network(torch.zeros(2, 1, 1, 32, 64))
    assert answer.shape == (2, (1 + SIDES) * CLASSES, 1, 32, 64)


def test_the_published_size():
    # The published one has 1,131,181 weights, from 3 channels to 1 class.
    count = sum(tensor.numel() for tensor in build(Network()).parameters())
    first, side, fuse = 2 * 9 * 64, 2 * (9 * 64 + 1), 18 * 3 + 3 - (6 + 1)
    assert count == 1_131_181 - first + SIDES * side + fuse
