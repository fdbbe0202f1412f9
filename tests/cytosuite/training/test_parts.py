import os
import signal
import threading
import time
from functools import partial
from xml.etree import ElementTree

import pytest
import torch

from cytosuite.figures.curves import HEIGHT, WIDTH, plots
from cytosuite.training.parts import DivergedError, State, still, update_average
from cytosuite.training.progress import Log, ahead, polite_interrupt

linear = partial(torch.nn.Linear, 1, 1, bias=False)


def _state(layer, clip=1e9):
    optimisers = {"sgd": torch.optim.SGD(layer.parameters(), lr=0.1)}
    return State({"layer": layer}, optimisers, layer, "cpu", clip)


def test_one_step_of_the_average_by_hand():
    network = linear()
    average = linear()
    torch.nn.init.constant_(network.weight, 10.0)
    torch.nn.init.constant_(average.weight, 0.0)
    update_average(average, network, 0.995, 0)  # the first average keeps a tenth only
    assert float(average.weight.detach()) == pytest.approx(9.0)
    update_average(average, network, 0.5, 10_000)
    assert float(average.weight.detach()) == pytest.approx(9.5)


@pytest.mark.parametrize("clip, change", [(1e9, 0.5), (1.0, 0.1)])
def test_an_update_goes_against_the_clipped_gradient(clip, change):
    layer = linear()
    before = float(layer.weight.detach())
    state = _state(layer, clip=clip)
    for _ in range(2):  # an earlier gradient does not count
        state.update("sgd", 5 * layer.weight.sum())
    assert before - float(layer.weight.detach()) == pytest.approx(2 * change, rel=1e-4)


def test_a_gradient_that_is_not_finite_leaves_the_weights():
    layer = linear()
    before = layer.weight.detach().clone()
    judge = torch.nn.Linear(1, 1)
    with (
        pytest.raises(DivergedError, match="step 1: the gradient is not finite; lower schedule"),
        still([judge]),
    ):
        _state(layer).update("sgd", layer.weight.sum() * float("nan"))
    assert torch.equal(layer.weight.detach(), before)
    assert judge.weight.requires_grad


@pytest.mark.parametrize("workers", [0, 3])
def test_steps_come_in_order_however_many_threads_draw(workers):
    def draw(step):
        time.sleep(0.002 * (step % 3))
        return step**2

    assert list(ahead(draw, 2, 9, workers)) == [(step, step**2) for step in range(2, 9)]


def test_the_log_forgets_the_lines_after_the_checkpoint(tmp_path):
    path = tmp_path / "new/log.csv"
    log = Log(path)
    for step in (10, 20, 30):
        log.add(step, {"loss": 1 / step})
    Log(path, after=20).add(30, {"loss": 7.0})
    assert path.read_text().split() == ["step,loss", "10,0.1", "20,0.05", "30,7"]
    Log(path)  # of another training: nothing of this one may enter its curves
    assert not path.exists()
    Log(path).add(10, {"other": 2})
    assert path.read_text().split() == ["step,other", "10,2"]


def test_the_first_interrupt_is_polite_and_the_second_is_not():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), polite_interrupt() as asked:
        assert not asked.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert asked.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_cannot_be_interrupted_but_run():
    states = []

    def work():
        with polite_interrupt() as asked:
            states.append(asked.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert states == [False]


def _lines(*parts):
    svg = ElementTree.fromstring(plots([("", curves) for curves in parts], "step"))
    lines = [part for part in svg.iter() if part.tag.endswith("polyline")]
    return [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        for line in lines
    ]


def test_curves_of_a_log_are_read_back(tmp_path):
    log = Log(tmp_path / "log.csv")
    log.add(10, {"total": 2.0, "flow": 0.5, "rate": 0.1, "seconds": 3})
    log.add(20, {"total": 1.0, "flow": float("nan"), "rate": 0.1, "seconds": 6})
    assert Log(log.path, 20).curves == {"total": {10: 2.0, 20: 1.0}, "flow": {10: 0.5}}
    assert Log(tmp_path / "none.csv").curves == {}


def test_plots_share_nothing_and_empty_ones_are_left_out():
    one = {"a & <b>": {5: 3.0, 10: 2.0, 15: 1.0}}
    assert _lines(one) == [[(0, 0), (WIDTH / 2, HEIGHT / 2), (WIDTH, HEIGHT)]]
    assert _lines({"a": {1: 5.0, 2: 0.0}, "b": {1: 0.0}}, {}, {"c": {7: 4.0}}) == [
        [(0, 0), (WIDTH, HEIGHT)],
        [(0, HEIGHT)],
        [(WIDTH / 2, HEIGHT / 2)],
    ]
    assert _lines({}, {"a": {}}) == []
