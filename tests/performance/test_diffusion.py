"""Work counted by the real plan of tiles, costs of both programs, and the table."""

import json
import mmap
from math import prod

import diffusion as script
import numpy as np
import pytest
import torch

from cytosuite.algorithms.diffusion.network import DenoiserArguments
from cytosuite.algorithms.diffusion.parameters import Parameters
from cytosuite.algorithms.diffusion.synthesise import synthesise
from cytosuite.errors import InputError, ModelError

SMALL = {3: (20, 80, 72), 2: (1, 90, 120)}


@pytest.fixture(autouse=True)
def _one_thread():
    """Compute in one thread: small tensors are faster so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def small(monkeypatch):
    """Measure small images and networks."""
    arguments = {"widths": (4, 6), "embedding": 8, "fold": 2}
    monkeypatch.setattr(script, "IMAGES", SMALL)
    monkeypatch.setattr(script, "LEAST", SMALL)
    monkeypatch.setattr(script, "PATCHES", {3: (8, 64, 64), 2: (1, 64, 64)})
    published, own = script.PublishedDenoiser, script.DenoiserArguments
    monkeypatch.setattr(script, "PublishedDenoiser", lambda dimensions: published(dimensions, 2))
    monkeypatch.setattr(script, "DenoiserArguments", lambda **more: own(**arguments, **more))


def _parameters(tile, steps, dimensions=3):
    arguments = DenoiserArguments(dimensions=dimensions, widths=(4, 6), blocks=0, embedding=8)
    process = {"steps": steps}
    return Parameters(network=arguments, process=process, target=script.GREY, tile=tile)


@pytest.mark.parametrize(
    ("shape", "tile", "dimensions"),
    [
        ((21, 50, 47), (24, 32, 32), 3),
        ((8, 12, 12), (24, 32, 32), 3),
        ((1, 61, 90), (1, 40, 40), 2),
    ],
)
def test_the_counted_work_is_what_the_network_is_asked_for(shape, tile, dimensions):
    parameters, asked = _parameters(tile, 3, dimensions), []

    def network(given, time):
        asked.append(tuple(given.shape[2:]))
        return torch.zeros_like(given[:, :1])

    work = script.our_work(shape, parameters)
    made = synthesise(
        np.zeros(shape, np.float32),
        network,
        parameters.network,
        parameters.process,
        tile=parameters.tile,
    )
    assert work.passes == len(asked) == made.evaluations
    assert work.tiles == made.tiles
    assert work.voxels == sum(map(prod, asked))
    assert work.tile in asked
    assert prod(work.tile) == max(map(prod, asked))


def test_a_plain_sketch_takes_no_network():
    assert script.our_work((4, 8, 8), Parameters(target=script.GREY)).passes == 0


def test_a_volume_takes_the_published_passes_and_voxels():
    work = [script.published_work(script.IMAGES[3], tiler) for tiler in script.tilers(3).values()]
    assert [each.tiles for each in work] == [96, 486]
    assert [each.passes for each in work] == [38_400, 194_400]
    assert [each.voxels for each in work] == [n * 400 * 32 * 128 * 128 for n in (96, 486)]
    planes = [script.published_work(script.IMAGES[2], t).tiles for t in script.tilers(2).values()]
    assert planes == [16, 36]


@pytest.mark.parametrize("dimensions", [2, 3])
def test_the_default_computes_at_least_twenty_times_fewer_voxels(dimensions):
    """Beside the tiles of the published example; without overlap it is nine times in volumes."""
    shape = script.IMAGES[dimensions]
    parameters = Parameters(network=DenoiserArguments(dimensions=dimensions), target=script.GREY)
    own = script.our_work(shape, parameters)
    alone, overlapping = (
        script.published_work(shape, tiler) for tiler in script.tilers(dimensions).values()
    )
    assert own.steps == 20
    assert own.voxels >= own.steps * prod(shape)
    assert overlapping.voxels > 20 * own.voxels
    assert alone.voxels > 9 * own.voxels
    assert alone.passes > 100 * own.passes


@pytest.mark.parametrize("dimensions", [2, 3])
def test_both_take_a_step_with_their_tile(dimensions, small):
    tile = script.PATCHES[dimensions]
    own = script.our_step(script.ours(dimensions, None), "cpu")(tile)
    theirs = script.published_step(script.PublishedDenoiser(dimensions), "cpu")(tile)
    for made in (own, theirs):
        assert made.shape == (1, 1, *(tile if made is own else tile[-dimensions:]))
        assert torch.isfinite(made).all()
        assert made.std() > 0.1


def test_programs_take_turns_and_the_first_turn_is_not_timed(monkeypatch):
    order = []
    programs = {n: (lambda tile, n=n: order.append((n, tile)), (1, 2, 3)) for n in ("a", "b")}
    clocks = iter([(1, 10, 100), (2, 20, 5), (3, 30, 300), (4, 40, 6), (8, 20, 200), (6, 60, 7)])

    def clocked(run, device):
        run()
        return next(clocks)

    monkeypatch.setattr(script, "clocked", clocked)
    found = script.in_turns(programs, 3, "cpu")
    assert [name for name, _ in order] == ["a", "b"] * 4
    assert found["a"] == {"GFLOP": 0, "cpu": 3, "wall": 20, "MiB": 200}
    assert found["b"] == {"GFLOP": 0, "cpu": 4, "wall": 40, "MiB": 6}


def test_time_and_memory_of_a_call_are_seen():
    """Fresh pages: an array may be laid into memory that was freed before and is still held."""

    def run():
        with mmap.mmap(-1, 2**26) as pages:  # 64 MiB
            np.ndarray(2**26, np.uint8, buffer=pages).fill(1)

    cpu, wall, mib = script.clocked(run, "cpu")
    assert cpu > 0
    assert wall > 0
    assert 60 < mib < 200


def test_the_rest_of_the_work_asks_for_no_network(small):
    own = script.ours(3, None)
    own.network.forward = None
    assert min(script.rest(own, SMALL[3])[:2]) > 0


def test_hours_are_extrapolated_from_a_step_by_voxels(small, monkeypatch):
    costs = {"GFLOP": 2.0, "cpu": 3.0, "wall": 4.0, "MiB": 5.0}
    monkeypatch.setattr(script, "in_turns", lambda programs, *_: dict.fromkeys(programs, costs))
    monkeypatch.setattr(script, "rest", lambda *_: (36.0, 72.0, 1.0))
    alone, overlapping, own = script.measured(3, None, 1, "cpu")
    assert alone["hours"] == {
        "cpu": pytest.approx(alone["passes"] * 3 / 3600),
        "wall": pytest.approx(alone["passes"] * 4 / 3600),
    }
    assert overlapping["passes"] > alone["passes"]
    scale = own["voxels"] / prod(own["tile"])
    assert own["PFLOP"] == pytest.approx(2e-6 * scale)
    assert own["hours"]["cpu"] == pytest.approx((3 * scale + 36) / 3600)
    assert own["hours"]["wall"] == pytest.approx((4 * scale + 72) / 3600)
    last = script.table([alone, overlapping, own]).splitlines()
    assert len({line.count("|") for line in last}) == 1
    ratio = alone["voxels"] / own["voxels"]
    assert f", {ratio:.3g}, " in last[2]
    assert "ours (default, random weights)" in last[4]


def test_the_script_measures_planes_and_volumes_and_writes_its_figures(small, tmp_path, capsys):
    script.main(["--repeats", "1", "--json", str(tmp_path / "figures.json")])
    shown = capsys.readouterr().out
    assert "extrapolated" in shown
    assert "Whole images are not measured on a CPU" in shown
    found = json.loads((tmp_path / "figures.json").read_text())
    assert [row["image"] for row in found["rows"]] == [list(SMALL[d]) for d in (3, 3, 3, 2, 2, 2)]
    for row in found["rows"]:
        assert row["step"]["cpu"] > 0
        assert row["step"]["GFLOP"] > 0
        assert row["hours"]["wall"] > 0
    assert found["absolute"] == {}


@pytest.mark.parametrize("dimensions", [2, 3])
def test_whole_images_are_measured_from_the_sketch_on(small, dimensions, monkeypatch):
    made = []
    inner = script.from_sketch
    monkeypatch.setattr(script, "from_sketch", lambda *a: made.append(inner(*a)) or made[-1])
    assert min(script.whole(dimensions, None, "cpu")[:2]) > 0
    assert [volume.shape for volume in made] == [SMALL[dimensions]] * 2
    assert made[1].metadata["diffusion_steps"] == 20


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_told(capsys):
    """--device cuda: expected a GPU, found none; leave --device out"""
    assert script.ended(lambda: script.main(["--device", "cuda"])) == 2
    assert capsys.readouterr().err.strip() == test_a_missing_gpu_is_told.__doc__


@pytest.mark.gpu
@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_whole_images_are_measured_on_a_gpu(small, capsys):
    script.main(["--device", "cuda", "--repeats", "1"])
    assert "min, " in capsys.readouterr().out


def test_a_card_without_a_network_is_refused():
    card = script.Path(__file__).resolve().parents[2] / "weights/diffusion/plain-sketch.json"
    with pytest.raises(InputError, match="expected a card with a network"):
        script.main(["--model", str(card), "--repeats", "1", "--only", "2"])


def test_mistakes_end_with_their_code(capsys):
    def fail():
        raise ModelError("weights: missing")

    assert script.ended(fail) == 3
    assert capsys.readouterr().err == "weights: missing\n"
    assert script.ended(lambda: None) == 0
    with pytest.raises(InputError, match="at least 1"):
        script.main(["--threads", "0"])
