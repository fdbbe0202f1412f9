import os
import signal
import threading

import pytest
import torch

from cytosuite.errors import InputError
from cytosuite.training.tools import (
    Log,
    follow,
    one_cycle,
    optimiser_tensors,
    polite_interrupt,
    put_tensors,
    read_checkpoint,
    restore_optimiser,
    save_checkpoint,
    tensors_of,
)


def _network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def test_the_rate_rises_to_its_peak_and_falls_to_almost_nothing():
    rates = [one_cycle(step, 101, 2e-3, 0.1) for step in range(101)]
    assert rates.index(max(rates)) == 10
    assert max(rates) == pytest.approx(2e-3)
    assert rates[0] == pytest.approx(2e-3 / 25)
    assert rates[-1] == pytest.approx(2e-7)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10:] == sorted(rates[10:], reverse=True)


@pytest.mark.parametrize(("steps", "warm_up"), [(1, 0.1), (2, 0.0), (5, 0.99)])
def test_short_trainings_have_positive_rates(steps, warm_up):
    assert all(0 < one_cycle(step, steps, 1.0, warm_up) <= 1 for step in range(steps))


def test_an_average_converges_to_what_it_follows_buffers_too():
    network, average = _network(0), _network(1)
    network(torch.randn(8, 3))  # moves the buffers
    for step in range(400):
        follow(average, network, 0.9, step)
    for name, value in tensors_of(network).items():
        torch.testing.assert_close(tensors_of(average)[name], value)


def test_one_step_of_the_average_by_hand():
    network, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 10.0)
    torch.nn.init.constant_(average.weight, 0.0)
    follow(average, network, 0.995, 0)  # the first average keeps a tenth only
    assert float(average.weight.detach()) == pytest.approx(9.0)
    follow(average, network, 0.5, 10_000)
    assert float(average.weight.detach()) == pytest.approx(9.5)


def test_shared_tensors_are_averaged_and_named_once():
    layer = torch.nn.Linear(2, 2)
    assert sorted(tensors_of(torch.nn.Sequential(layer, layer))) == ["0.bias", "0.weight"]


def test_a_checkpoint_comes_back_bit_by_bit(tmp_path):
    network = _network()
    optimiser = torch.optim.AdamW(network.parameters())
    network(torch.randn(5, 3)).sum().backward()
    optimiser.step()
    path = tmp_path / "new" / "c.safetensors"
    save_checkpoint(path, {**tensors_of(network), **optimiser_tensors(optimiser)}, {"step": 3})
    tensors, facts = read_checkpoint(path)
    assert facts == {"step": 3}
    other = _network(5)
    names = tensors_of(network).keys()
    put_tensors(other, {name: tensors[name] for name in names}, path)
    again = torch.optim.AdamW(other.parameters())
    restore_optimiser(again, {k: v for k, v in tensors.items() if k not in names})
    data = torch.randn(5, 3)
    for net, opt in ((network, optimiser), (other, again)):
        opt.zero_grad()
        net(data).square().sum().backward()
        opt.step()
    for name, value in tensors_of(network).items():
        assert torch.equal(tensors_of(other)[name], value), name


def test_weights_of_another_network_are_refused(tmp_path):
    tensors = tensors_of(_network())
    with pytest.raises(InputError, match=r"1\.bias differs"):
        put_tensors(_network(), {k: v for k, v in tensors.items() if k != "1.bias"}, tmp_path)
    with pytest.raises(InputError, match=r"0\.weight differs"):
        put_tensors(_network(), {**tensors, "0.weight": torch.zeros(4, 9)}, tmp_path)


def test_a_broken_checkpoint_is_named(tmp_path):
    path = tmp_path / "c.safetensors"
    with pytest.raises(InputError, match=r"c\.safetensors: cannot be read"):
        read_checkpoint(path)
    path.write_bytes(b"12345678 nonsense")
    with pytest.raises(InputError, match="remove it"):
        read_checkpoint(path)


def test_the_log_forgets_what_lies_after_the_checkpoint(tmp_path):
    path = tmp_path / "log.csv"
    log = Log(path, ("step", "loss"))
    for step in (10, 20, 30):
        log.add(step, [1 / step])
    Log(path, ("step", "loss"), after=20).add(30, [7.0])
    assert path.read_text().split() == ["step,loss", "10,0.1", "20,0.05", "30,7"]


def test_the_first_interrupt_is_polite_and_the_second_is_not():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), polite_interrupt() as interrupt:
        assert not interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupt.asked
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_other_threads_cannot_be_interrupted_but_run():
    found = []

    def work():
        with polite_interrupt() as interrupt:
            found.append(interrupt.asked)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_restored_optimiser_has_the_memory_layout_of_its_weights():
    def start():
        torch.manual_seed(0)
        layer = torch.nn.Conv3d(3, 5, 3).to(memory_format=torch.channels_last_3d)
        return layer, torch.optim.AdamW(layer.parameters(), fused=True)

    def step(layer, optimiser):
        optimiser.zero_grad()
        layer(torch.ones(1, 3, 3, 3, 3) * torch.arange(3.0)).square().sum().backward()
        optimiser.step()

    (first, one), (second, two) = start(), start()
    step(first, one)
    plain = {key: value.clone().contiguous() for key, value in optimiser_tensors(one).items()}
    put_tensors(second, tensors_of(first), "here")
    restore_optimiser(two, plain)
    step(first, one)
    step(second, two)
    assert torch.equal(first.weight, second.weight)
