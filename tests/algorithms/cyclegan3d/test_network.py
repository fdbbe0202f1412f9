import numpy as np
import pytest
import torch
from reach import random_image, seen, spacious
from unpaired import TINY, random_network

from cytosuite.algorithms.cyclegan3d.network import Architecture, build


@pytest.mark.parametrize("fold", [1, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_residual_network_starts_as_the_identity(fold, channels):
    network = build(TINY.model_copy(update={"fold": fold, "channels": channels}))
    image = random_image(2, channels, 4, 8, 12)
    first = image[:, :1]
    assert torch.equal(network(image), image)
    bounded = build(TINY.model_copy(update={"bounded": True}))
    torch.testing.assert_close(bounded(first), torch.tanh(first))
    assert (build(TINY.model_copy(update={"residual": False}))(first) - first).abs().mean() > 0.1


@pytest.mark.parametrize(
    "arguments",
    [
        TINY,
        Architecture(widths=(3,), blocks=0, fold=1),
        Architecture(widths=(3,), blocks=2, kernel=5, fold=3),
        Architecture(widths=(3, 4), blocks=0, kernel=7, fold=1, residual=False),
        Architecture(widths=(3, 3), blocks=1, fold=1, padding="replicate"),
        Architecture(dimensions=2, widths=(3, 3), blocks=1, fold=2, padding="reflect"),
    ],
    ids=str,
)
def test_a_voxel_is_seen_no_farther_than_the_halo(arguments):
    middle = [n // 2 for n in spacious(arguments)]
    reach = np.zeros(3, int)
    for corner in np.ndindex(*arguments.multiple):
        place = [m + c for m, c in zip(middle, corner, strict=True)]
        touched = seen(random_network(arguments), arguments, place)
        assert touched[tuple(place)]
        reach = np.maximum(reach, np.abs(np.argwhere(touched) - place).max(0))
    within = arguments.fold - 1  # a pixel of a folded square sees squares as a whole
    assert reach.tolist() == np.add(arguments.halo, (0, within, within)).tolist()
