"""Both ways to tile a view, with the same network."""

import json
from contextlib import nullcontext
from math import prod

import numpy as np
import pytest
import torch
import view_fusion as script
from diffusion_published import Tiler

from cytosuite.algorithms.view_fusion.fuse import restore
from cytosuite.algorithms.view_fusion.intensity import units_of
from cytosuite.algorithms.view_fusion.network import RestorerArguments

SMALL = RestorerArguments(widths=(4,), blocks=(1,))
TILER = Tiler((16, 32, 32), (2, 3, 3), (2, 3, 3))
SHAPE = (16, 48, 40)


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute in one thread: small tensors are faster so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small(monkeypatch):
    """Measure a small network with small tiles."""
    monkeypatch.setattr(script, "GIVEN", SMALL)
    monkeypatch.setattr(script, "TILER", TILER)


def test_the_published_tiles_of_a_view_are_18():
    found = script.work(script.IMAGE)
    assert found["published"] == found["published, no gradients"] == (18, 18 * 64 * 256 * 256)
    assert found["published"][1] / prod(script.IMAGE) == 4.5
    tiles, voxels = found["ours"]
    assert tiles == 2
    assert 1 <= voxels / prod(script.IMAGE) <= 1.5


def test_the_counted_tiles_are_those_that_are_made(small, monkeypatch):
    asked = []
    network = script.randomised()

    def forward(part):
        asked.append(part.numel())
        return network(part)

    view = script.scene(SHAPE)
    script.averaged(view, forward, TILER, torch.inference_mode)
    assert (len(asked), sum(asked)) == script.work(SHAPE)["published"]
    asked.clear()
    restore(view, script.SPACING, units_of(view), forward, SMALL, tile=(128, 352, 352))
    assert (len(asked), sum(asked)) == script.work(SHAPE)["ours"]


def test_a_network_that_changes_nothing_gives_the_view_in_all_ways(small):
    view = script.scene(SHAPE)
    network = script.build(SMALL).eval()
    np.testing.assert_array_equal(script.ours(view, network), view)
    for program in (script.published, script.without_gradients):  # which cuts off, not rounds
        assert np.abs(program(view, network).astype(int) - view).max() <= 1


def test_gradients_are_kept_by_the_published_program_alone(small):
    network, view, kept = script.randomised(), script.scene(SHAPE), []

    def forward(part):
        made = network(part)
        kept.append(made.requires_grad)
        return made

    for mode in (nullcontext, torch.inference_mode):
        script.averaged(view, forward, TILER, mode)
    assert kept == [True] * (len(kept) // 2) + [False] * (len(kept) // 2)


def test_tiles_change_the_published_answer_alone(small):
    found = script.changes(SHAPE)
    assert found["ours"] < 1e-4
    assert found["published"] > 100 * found["ours"]


def test_the_table_has_a_row_for_each_program(small, monkeypatch, capsys):
    monkeypatch.setattr(script.subprocess, "run", lambda command, **_: _Answer(command))
    script.main(["--image", "16,48,40", "--repeats", "1"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0].strip("| ") for row in rows] == list(script.PROGRAMS)
    assert rows[0].endswith("| 1, 1 |")


class _Answer:
    """Stands in for a child, which measures with the network in its full size."""

    def __init__(self, command):
        assert command[command.index("--image") + 1] == "16,48,40"
        self.stdout = json.dumps(100.0 * (1 + list(script.PROGRAMS).index(command[3])))


def test_memory_is_printed_for_a_parent(small, capsys):
    script.main(["--memory", "ours", "--image", "16,48,40"])
    assert json.loads(capsys.readouterr().out) >= 0
