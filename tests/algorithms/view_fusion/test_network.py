import numpy as np
import pytest
import torch
from light_sheet import TINY, random_network
from safetensors.torch import save_file

from cytosuite.algorithms.view_fusion.network import RestorerArguments, build, load
from cytosuite.errors import InputError
from cytosuite.network import tensors_of

ARCHITECTURES = [
    TINY,
    RestorerArguments(widths=(3,), blocks=(0,), fold=1),
    RestorerArguments(widths=(3,), blocks=(2,), kernel=5, fold=3),
    RestorerArguments(widths=(3, 4), blocks=(0, 0), kernel=1, fold=1),
    RestorerArguments(widths=(2, 3, 3), blocks=(0, 1, 1), fold=1, flat=1),
    RestorerArguments(widths=(2, 3, 3), blocks=(1, 0, 0), fold=1, flat=0, kernel=5),
    RestorerArguments(widths=(2, 3, 3), blocks=(1, 1, 1), fold=1, flat=2),
]


def _image(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("arguments", [*ARCHITECTURES, RestorerArguments()], ids=str)
@pytest.mark.parametrize("inputs", [(), ("distance",), ("light", "distance")])
def test_an_untrained_network_hands_the_view_back_exactly(arguments, inputs):
    network = build(arguments.model_copy(update={"inputs": inputs}))
    image = 5 * _image(2, 1 + len(inputs), *(2 * n for n in arguments.multiple))
    assert torch.equal(network(image), image[:, :1])


def test_the_identity_can_be_left():
    network = build(TINY)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    image = _image(1, 1, 4, 8, 8)
    for _ in range(3):  # the first steps move the last convolutions alone
        optimiser.zero_grad()
        (network(image) - image - 1).square().mean().backward()
        optimiser.step()
    assert all(bool(weight.grad.any()) for weight in network.parameters())
    assert not torch.equal(network(image), image)


def test_further_inputs_are_seen_but_not_added():
    arguments = TINY.model_copy(update={"inputs": ("distance",)})
    network = random_network(arguments)
    image, other = _image(1, 2, 4, 8, 8), _image(1, 2, 4, 8, 8, seed=1)
    other[:, :1] = image[:, :1]
    assert not torch.allclose(network(image), network(other))
    with torch.no_grad():
        network.tail.weight.zero_()
        network.tail.bias.zero_()
    assert torch.equal(network(other), image[:, :1])


def _spacious(arguments):
    """Return sides in which a halo fits on both sides of the middle, which is at a multiple."""
    steps = zip(arguments.halo, arguments.multiple, strict=True)
    return [2 * (margin // step + 2) * step for margin, step in steps]


def _seen(arguments, place):
    """Return where the result depends on a place of an image: NaN goes wherever a kernel looks."""
    image = torch.zeros(1, 1, *_spacious(arguments))
    image[(0, 0, *place)] = torch.nan
    with torch.no_grad():
        return torch.isnan(random_network(arguments)(image))[0, 0].numpy()


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_beyond_the_halo_and_no_nearer_a_tile_does_not_see_its_faces(arguments, axis):
    face = _spacious(arguments)[axis] // 2
    reach = []
    for beyond in (slice(0, face), slice(face, None)):
        place = [slice(None)] * 3
        place[axis] = beyond
        touched = _seen(arguments, place).any(tuple({0, 1, 2} - {axis}))
        reach.append(touched[face:].sum() if beyond.start == 0 else touched[:face].sum())
    assert max(reach) == arguments.halo[axis]


def test_the_halo_of_the_default_network_by_hand():
    arguments = RestorerArguments()
    # Head 1, up to a whole coarse voxel; blocks of 2 convolutions; twice as fine, twice; tail 1.
    assert arguments.halo[1:] == (2 * (((1 + 2) * 2 + 2) * 2 + 2 + 1),) * 2 == (38, 38)
    assert arguments.halo[0] == ((1 + 2) * 2 + 2) + 2 + 1 == 11
    assert arguments.multiple == (2, 8, 8)
    assert arguments.strides == [(1, 2, 2), (2, 2, 2)]


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
def test_sides_are_multiples(arguments):
    network = random_network(arguments)
    for factor in (1, 3):
        sides = tuple(factor * n for n in arguments.multiple)
        assert network(_image(1, 1, *sides)).shape == (1, 1, *sides)


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
def test_no_voxel_is_counted_more_often_by_uneven_kernels(arguments):
    """A constant image repeats itself with the period of `multiple`, from the halo on."""
    network = random_network(arguments)
    sides = [
        2 * (-(-halo // step) + 1) * step
        for halo, step in zip(arguments.halo, arguments.multiple, strict=True)
    ]
    with torch.no_grad():
        made = network(torch.full((1, 1, *sides), 0.7))[0, 0].numpy()
    first, second = (
        tuple(
            slice(s := -(-halo // step) * step + (step if axis == turn else 0), s + step)
            for axis, (halo, step) in enumerate(
                zip(arguments.halo, arguments.multiple, strict=True)
            )
        )
        for turn in (-1, 1)
    )
    np.testing.assert_allclose(made[first], made[second], atol=1e-5)


def test_nothing_is_averaged_over_an_image():
    network = random_network(TINY)
    image = _image(1, 1, 8, 64, 96)
    other = image.clone()
    other[..., 80:] += 100
    with torch.no_grad():
        near = 80 - TINY.halo[2]
        assert torch.equal(network(image)[..., :near], network(other)[..., :near])


def test_amplitudes_pass():
    network = random_network(TINY)
    image = _image(1, 1, 4, 16, 16)
    with torch.no_grad():
        weak, strong = ((network(g * image) - g * image).std() for g in (10.0, 1000.0))
    assert strong > 30 * weak


def test_checkpointing_changes_no_gradient():
    gradients = []
    image = _image(1, 1, 4, 8, 8)
    for checkpointing in (False, True):
        network = random_network(TINY).train()
        network.checkpointing = checkpointing
        network(image).square().mean().backward()
        gradients.append([weight.grad for weight in network.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
    assert all(bool(each.any()) for each in gradients[0])


def test_loaded_weights_give_the_same_answer(tmp_path):
    network = random_network(TINY)
    path = tmp_path / "w.safetensors"
    save_file({name: value.contiguous() for name, value in tensors_of(network).items()}, path)
    loaded = load(TINY.model_dump(mode="json"), path)
    assert not loaded.training
    image = _image(1, 1, 4, 8, 8)
    assert torch.equal(loaded(image), network(image))
    for wrong in ({"widths": (4, 8)}, {"blocks": (1, 2)}, {"inputs": ["light"]}, {"kernel": 5}):
        with pytest.raises(
            InputError, match=r"w\.safetensors: these weights are not of this network"
        ):
            load({**TINY.model_dump(mode="json"), **wrong}, path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widths": []}, "network: widths"),
        ({"widths": [4, 0]}, r"network: widths\.1"),
        ({"blocks": [1, -1, 1]}, r"network: blocks\.1"),
        ({"blocks": [1]}, "blocks must be 3 numbers, one per width"),
        ({"kernel": 4}, "kernel must be odd, found 4"),
        ({"fold": 0}, "network: fold"),
        ({"flat": -1}, "network: flat"),
        ({"inputs": ["shadow"]}, r"network: inputs\.0"),
        ({"inputs": ["light", "light"]}, "inputs must differ"),
        ({"width": [4]}, "width is not a known key; did you mean 'widths'"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message, tmp_path):
    with pytest.raises(InputError, match=message):
        load(arguments, tmp_path / "w.safetensors")
