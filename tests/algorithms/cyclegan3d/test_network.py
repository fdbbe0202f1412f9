import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from unpaired import TINY, random_network

from cytosuite.algorithms.cyclegan3d.network import (
    Architecture,
    Generator,
    build,
    load,
)
from cytosuite.errors import InputError
from cytosuite.network import tensors_of

PUBLISHED = Architecture(
    widths=(64, 128, 256),
    blocks=9,
    kernel=7,
    fold=1,
    norm="instance",
    padding="replicate",
    residual=False,
    bounded=True,
)
ARCHITECTURES = [
    TINY,
    Architecture(widths=(3,), blocks=0, fold=1),
    Architecture(widths=(3,), blocks=2, kernel=5, fold=3),
    Architecture(widths=(3, 4), blocks=0, kernel=7, fold=1, residual=False),
    Architecture(widths=(2, 3, 3), blocks=1, fold=1),
    Architecture(widths=(3, 3), blocks=1, fold=1, padding="replicate"),
]


def _image(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_published_generator_has_the_published_number_of_weights():
    network = Generator(PUBLISHED)
    assert sum(weight.numel() for weight in network.parameters()) == 34_111_489
    assert PUBLISHED.multiple == (4, 4, 4)


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_residual_network_starts_as_the_identity(fold, channels):
    network = build(TINY.model_copy(update={"fold": fold, "channels": channels}))
    image = _image(2, channels, 4, 8, 12)
    assert torch.equal(network(image), image)
    bounded = build(TINY.model_copy(update={"bounded": True}))
    torch.testing.assert_close(bounded(image[:, :1]), torch.tanh(image[:, :1]))
    other = build(TINY.model_copy(update={"residual": False}))
    assert (other(image[:, :1]) - image[:, :1]).abs().mean() > 0.1


def test_the_identity_can_be_left():
    network = build(TINY)
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    image = _image(1, 1, 4, 8, 8)
    for _ in range(2):  # the first step moves the last convolution alone
        optimiser.zero_grad()
        (network(image) - image - 1).square().mean().backward()
        optimiser.step()
    assert all(bool(weight.grad.any()) for weight in network.parameters())
    assert not torch.equal(network(image), image)


def test_a_network_with_outputs_of_its_own_is_no_residual():
    network = random_network(TINY, outputs=3)
    assert network(_image(1, 1, 4, 8, 8)).shape == (1, 3, 4, 8, 8)
    assert not network.residual


def test_folded_planes_are_a_convolution_with_a_stride_and_back():
    network = random_network(Architecture(widths=(5,), blocks=0, kernel=1, fold=2, residual=False))
    head, norm, _ = network.head
    image = _image(1, 1, 3, 4, 6)
    wide = head.conv.weight.view(5, 1, 1, 2, 2)
    strided = torch.nn.functional.conv3d(image, wide, head.conv.bias, stride=(1, 2, 2))
    values = torch.relu(norm(strided))
    last = network.tail[-1].conv
    narrow = last.weight.view(1, 2, 2, 5).permute(3, 0, 1, 2)[:, :, None]
    expected = torch.nn.functional.conv_transpose3d(values, narrow, stride=(1, 2, 2))
    shifts = last.bias.view(2, 2).repeat(2, 3)
    torch.testing.assert_close(network(image), expected + shifts)


def _seen(arguments, place):
    """Return where the result depends on a place of an image: NaN goes wherever a kernel looks."""
    image = torch.zeros(1, 1, *_spacious(arguments))
    image[(0, 0, *place)] = torch.nan
    with torch.no_grad():
        return torch.isnan(random_network(arguments)(image))[0, 0].numpy()


def _spacious(arguments):
    """Return sides in which a halo fits on both sides of the middle, which is at a multiple."""
    steps = zip(arguments.halo, arguments.multiple, strict=True)
    return [2 * (margin // step + 2) * step for margin, step in steps]


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
def test_a_voxel_is_seen_no_farther_than_the_halo(arguments):
    middle = [n // 2 for n in _spacious(arguments)]
    found = np.zeros(3, int)
    for corner in np.ndindex(*arguments.multiple):
        place = [m + c for m, c in zip(middle, corner, strict=True)]
        touched = _seen(arguments, place)
        assert touched[tuple(place)]
        found = np.maximum(found, np.abs(np.argwhere(touched) - place).max(0))
    within = arguments.fold - 1  # a pixel of a folded square sees squares as a whole
    assert found.tolist() == np.add(arguments.halo, (0, within, within)).tolist()


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_beyond_the_halo_a_tile_does_not_see_its_faces(arguments, axis):
    face = _spacious(arguments)[axis] // 2
    reach = []
    for beyond in (slice(0, face), slice(face, None)):
        place = [slice(None)] * 3
        place[axis] = beyond
        touched = _seen(arguments, place).any(tuple({0, 1, 2} - {axis}))
        reach.append(touched[face:].sum() if beyond.start == 0 else touched[:face].sum())
    assert max(reach) == arguments.halo[axis]


def test_the_halo_of_the_default_network_by_hand():
    assert Architecture().multiple == (4, 8, 8)
    ends, strided, blocks = 1 + 1, (1 + 2) + (1 + 2), 3 * (4 + 4)
    assert Architecture().halo[0] == ends + strided + blocks == 32
    assert Architecture().halo[1:] == (64, 64)


@pytest.mark.parametrize("arguments", ARCHITECTURES, ids=str)
def test_the_smallest_image_has_the_sides_of_the_multiple(arguments):
    network = random_network(arguments)
    multiple = arguments.multiple
    assert network(_image(1, 1, *multiple)).shape[2:] == multiple
    assert network(_image(1, 1, *(2 * n for n in multiple))).shape[2:] == tuple(
        2 * n for n in multiple
    )


def test_an_instance_norm_sees_the_whole_image():
    network = random_network(TINY.model_copy(update={"norm": "instance"}))
    image = _image(1, 1, 8, 64, 64)
    other = image.clone()
    other[..., 60:] += 5
    with torch.no_grad():
        assert (network(image) - network(other))[..., :16].abs().max() > 1e-3


def test_checkpointing_changes_no_gradient():
    gradients = []
    image = _image(1, 1, 4, 8, 8)
    for checkpointing in (False, True):
        network = random_network(TINY.model_copy(update={"blocks": 2})).train()
        network.checkpointing = checkpointing
        network(image).square().mean().backward()
        gradients.append([weight.grad for weight in network.parameters()])
    assert all(torch.equal(one, two) for one, two in zip(*gradients, strict=True))
    assert all(bool(each.any()) for each in gradients[0])


def test_a_bounded_network_stays_within_its_bounds():
    image = 50 * _image(1, 1, 4, 8, 8)
    free = random_network(TINY)(image)
    bounded = random_network(TINY.model_copy(update={"bounded": True}))(image)
    assert free.abs().max() > 2
    assert bounded.abs().max() <= 1
    torch.testing.assert_close(bounded, torch.tanh(free))


def test_loaded_weights_give_the_same_translation(tmp_path):
    network = random_network(TINY)
    path = tmp_path / "w.safetensors"
    save_file({name: value.contiguous() for name, value in tensors_of(network).items()}, path)
    loaded = load(TINY.model_dump(mode="json"), path)
    assert not loaded.training
    image = _image(1, 1, 4, 8, 8)
    assert torch.equal(loaded(image), network(image))
    with pytest.raises(InputError, match=r"w\.safetensors: these weights are not of this network"):
        load({**TINY.model_dump(), "widths": (4, 8)}, path)
    with pytest.raises(InputError, match="not of this network"):
        load({**TINY.model_dump(), "blocks": 2}, path)
    with pytest.raises(InputError, match="not of this network"):
        load({**TINY.model_dump(), "norm": "instance"}, path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"widths": []},
        {"widths": [4, 0]},
        {"blocks": -1},
        {"kernel": 4},
        {"fold": 0},
        {"norm": "batch"},
        {"channels": 0},
        {"depth": 3},
    ],
)
def test_impossible_arguments_are_refused(arguments, tmp_path):
    with pytest.raises(InputError, match=f"network: {next(iter(arguments))}"):
        load(arguments, tmp_path / "w.safetensors")
