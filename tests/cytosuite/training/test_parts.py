import pytest
import torch

from cytosuite.network import tensors_of
from cytosuite.training.parts import DivergedError, State, precision, update_average


def _network(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))


def _state(layer, rate=0.1, clip=1e9):
    optimisers = {"sgd": torch.optim.SGD(layer.parameters(), lr=rate)}
    return State({"layer": layer}, optimisers, layer, "cpu", clip)


def test_an_average_converges_to_the_network_buffers_too():
    network, average = _network(0), _network(1)
    network(torch.randn(8, 3))  # moves the buffers
    for step in range(400):
        update_average(average, network, 0.9, step)
    for name, value in tensors_of(network).items():
        torch.testing.assert_close(tensors_of(average)[name], value)


def test_one_step_of_the_average_by_hand():
    network, average = torch.nn.Linear(1, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(network.weight, 10.0)
    torch.nn.init.constant_(average.weight, 0.0)
    update_average(average, network, 0.995, 0)  # the first average keeps a tenth only
    assert float(average.weight.detach()) == pytest.approx(9.0)
    update_average(average, network, 0.5, 10_000)
    assert float(average.weight.detach()) == pytest.approx(9.5)


@pytest.mark.parametrize(("clip", "change"), [(1e9, 0.5), (1.0, 0.1)])
def test_an_update_goes_against_the_clipped_gradient(clip, change):
    layer = torch.nn.Linear(1, 1, bias=False)
    before = float(layer.weight.detach())
    state = _state(layer, clip=clip)
    for _ in range(2):  # an earlier gradient does not count
        state.update("sgd", 5 * layer.weight.sum())
    assert before - float(layer.weight.detach()) == pytest.approx(2 * change, rel=1e-4)


def test_a_gradient_that_is_not_finite_leaves_the_weights():
    layer = torch.nn.Linear(1, 1, bias=False)
    before = layer.weight.detach().clone()
    with pytest.raises(DivergedError, match="step 1: the gradient is not finite; lower schedule"):
        _state(layer).update("sgd", layer.weight.sum() * float("nan"))
    assert torch.equal(layer.weight.detach(), before)


def test_networks_compute_in_the_precision_of_the_device():
    layer = torch.nn.Linear(2, 2)
    with _state(layer).autocast():
        assert layer(torch.ones(1, 2)).dtype == precision("cpu")
    assert layer(torch.ones(1, 2)).dtype == torch.float32
