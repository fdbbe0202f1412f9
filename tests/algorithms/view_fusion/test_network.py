import pytest
import torch
from mistakes import refused
from reach import random_image, seen, spacious
from restorers import TINY, random_network

from cytosuite.algorithms.view_fusion.network import RestorerArguments, build, load

ARCHITECTURES = [
    TINY,
    RestorerArguments(widths=(3,), blocks=(2,), kernel=5, fold=3),
    RestorerArguments(widths=(3, 4), blocks=(0, 0), kernel=1, fold=1),
    RestorerArguments(widths=(2, 3, 3), blocks=(0, 1, 1), fold=1, flat=1),
    RestorerArguments(widths=(2, 3, 3), blocks=(1, 0, 0), fold=1, flat=0, kernel=5),
]


def test_an_untrained_network_hands_the_view_back_exactly():
    network = build(TINY.model_copy(update={"inputs": ("light", "distance")}))
    image = 5 * random_image(2, 3, *(2 * n for n in TINY.multiple))
    assert torch.equal(network(image), image[:, :1])


def test_further_inputs_are_seen_but_not_added():
    network = random_network(TINY.model_copy(update={"inputs": ("distance",)}))
    image = random_image(1, 2, 4, 8, 8)
    other = random_image(1, 2, 4, 8, 8, seed=1)
    other[:, :1] = image[:, :1]
    assert not torch.allclose(network(image), network(other))


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_beyond_the_halo_and_no_nearer_a_tile_does_not_see_its_faces(arguments, axis):
    face = spacious(arguments)[axis] // 2
    reach = []
    for beyond in (slice(0, face), slice(face, None)):
        place = [slice(None)] * 3
        place[axis] = beyond
        touched = seen(random_network(arguments), arguments, place).any(tuple({0, 1, 2} - {axis}))
        reach.append(touched[face:].sum() if beyond.start == 0 else touched[:face].sum())
    assert max(reach) == arguments.halo[axis]


def test_checkpointing_changes_no_gradient():
    gradients = []
    image = random_image(1, 1, 4, 8, 8)
    for checkpointing in (False, True):
        network = random_network(TINY).train()
        network.checkpointing = checkpointing
        network(image).square().mean().backward()
        gradients.append([weight.grad for weight in network.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
    assert all(bool(gradient.any()) for gradient in gradients[0])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"blocks": [1]}, r"blocks must be 3 numbers, one per width, found \(1,\)$"),
        ({"kernel": 4}, "kernel must be odd, found 4"),
        ({"inputs": ["light", "light"]}, "inputs must differ"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message, tmp_path):
    refused(message, load, arguments, tmp_path / "w.safetensors")
