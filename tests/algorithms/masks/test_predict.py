import numpy as np
import pytest
import torch
from mistakes import refused
from numpy.testing import assert_array_equal
from sketches import random_network
from torch.nn import functional

from cytosuite.algorithms.masks.predict import Parameters, fields_from, predict
from cytosuite.denoising.network import DenoiserArguments
from cytosuite.formats.request import canvas_of
from cytosuite.networks.network import using

TINY = DenoiserArguments(
    dimensions=2, widths=(4, 6), embedding=8, fold=1, channels=2, conditioned=False
)
GATES = {
    **{"area": (6.0, 1e6), "solidity": (0.0, 1.0)},
    **{"nucleus_share": (0.05, 1.0), "nucleus_solidity": (0.0, 1.0)},
}
PROCESS = {"t_start": 1000, "steps": 2, "range": (-1, 1), "contrast": {"dark": 0, "bright": 1}}
GIVEN = {
    **{"network": TINY.model_dump(mode="json"), "process": PROCESS, "gates": GATES},
    **{"spacing": (1.0, 1.0), "margin_um": 6.0},
}
SIZE = (40, 48)


class Blobs(torch.nn.Module):
    """Noise, smoothed, is cells, with nuclei where it is high; the answer is a velocity."""

    def __init__(self):
        super().__init__()
        self.none = torch.nn.Parameter(torch.zeros(1))

    def forward(self, inputs, time):
        smooth = functional.avg_pool2d(functional.avg_pool2d(inputs[:, 0], 5, 1, 2), 5, 1, 2)
        clean = torch.stack([4 * smooth, 4 * smooth - 0.6], 1).clamp(-1, 1)
        return (time.cos() * inputs - clean) / time.sin()


@pytest.fixture
def model(opened):
    """Return a function that opens a model whose network is in use."""
    with using(Blobs()):
        yield lambda **options: opened("masks", "sample", {**GIVEN, **options})


def _made(model, seed=3, spacing=(1.0, 1.0), **more):
    request = {"seed": seed, "shape": list(SIZE), "spacing": list(spacing), **more}
    outputs = predict({"sample-request": canvas_of(request)}, model)
    return outputs["sampled-cells"], outputs["sampled-nuclei"]


def test_a_seed_gives_the_same_bytes_on_the_grid_of_the_request(model):
    tiny = model()
    (cells, nuclei), (again, _), (other, _) = (_made(tiny, seed) for seed in (3, 3, 4))
    assert_array_equal(cells.array, again.array)
    assert (cells.array != other.array).any()
    assert (cells.shape, cells.spacing, nuclei.shape) == (SIZE, (1.0, 1.0), SIZE)
    count = cells.metadata["masks_cells"]
    assert count == cells.array.max() > 5
    assert np.unique(cells.array).tolist() == list(range(count + 1))
    inside = nuclei.array > 0
    assert (nuclei.array[inside] == cells.array[inside]).all()
    assert len({key for key in cells.metadata if key.startswith("masks_rejected_")}) == 6


def test_at_most_so_many_cells_are_kept_each_as_it_was(model):
    tiny = model()
    (some, _), (every, _) = _made(tiny, number=3), _made(tiny)
    assert some.array.max() == 3
    assert all(len(np.unique(every.array[some.array == n])) == 1 for n in (1, 2, 3))
    assert _made(tiny, number=0)[0].array.max() == 0


def test_the_ends_of_a_way_are_its_seeds_and_its_middle_is_neither(model):
    tiny = model()
    ways = [_made(tiny, 3, to=8, share=share)[0].array for share in (0, 0.5, 1)]
    for way, seed in ((0, 3), (2, 8)):
        assert_array_equal(ways[way], _made(tiny, seed)[0].array)
    assert all((ways[1] != ways[end]).any() for end in (0, 2))


def test_less_noise_is_nearer_the_mean():
    spreads = []
    arguments = (Parameters.model_validate(GIVEN), random_network(TINY), "cpu")
    for truncation in (1.0, 0.5, 0.0):
        plain = {"shape": list(SIZE), "spacing": [1.0, 1.0], "truncation": truncation}
        drawn = [fields_from(canvas_of(plain | {"seed": seed}), *arguments) for seed in (1, 2, 3)]
        spreads.append(np.std(drawn, axis=0).mean())
    assert spreads[0] > spreads[1] > 0.1 > 1e-6 > spreads[2]


def test_another_voxel_size_is_the_same_cells_on_another_grid(model):
    tiny = model(margin_um=0.0)
    (cells, _), (fine, _) = _made(tiny), _made(tiny, spacing=(0.5, 0.5))
    assert fine.spacing == (0.5, 0.5)
    part = cells.array[: SIZE[0] // 2 - 4, : SIZE[1] // 2 - 4] > 0
    assert ((fine.array[::2, ::2] > 0)[: part.shape[0], : part.shape[1]] == part).mean() > 0.8


@pytest.mark.parametrize(
    "more, message",
    [
        ({"spacing": (8.0, 8.0)}, "spacing: expected within a factor of 4 of \\[1.0, 1.0\\] µm"),
        ({"spacing": (1.0,) * 3, "shape": [4, 8, 8]}, "draws in 2D, found a request of the shape"),
    ],
)
def test_requests_far_from_the_training_are_refused(more, message, model):
    refused(message, _made, model(), **more)
