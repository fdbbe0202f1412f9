import time
from itertools import chain, repeat

import pytest

from cytosuite.benchmark.engines.gpu import gpus
from cytosuite.benchmark.engines.gpu_use import measured, metered
from cytosuite.benchmark.engines.outcome import GpuUse

A = "GPU-aaaa-1"
GIB = 2**30


def series(*values):
    """Return a function that gives these values one after the other, the last one for ever."""
    found = chain(values, repeat(values[-1]))
    return lambda: next(found)


def use(seconds=0.1):
    with metered(gpus()[0]) as meter, measured(meter, 0.001) as found:
        time.sleep(seconds)
    return found()


def test_memory_is_the_peak_beyond_what_others_used_before(machine):
    machine({"uuid": A, "used": series(2 * GIB, 3 * GIB, 7 * GIB, 4 * GIB), "busy": 50})
    assert use() == GpuUse("NVIDIA L4", 5 * GIB, 50.0, 50)


def test_utilisation_has_mean_and_maximum(machine):
    machine({"uuid": A, "busy": series(*[0] * 3, *[80] * 1, 40)})
    with metered(gpus()[0]) as meter:
        with measured(meter, 10) as found:  # one reading at the begin, one at the end
            pass
        assert found().utilisation in (0, 0.0)
        with measured(meter, 10) as found:
            time.sleep(0.05)
    assert (found().utilisation, found().busiest) == (40.0, 80)


def test_memory_that_others_give_back_is_no_use(machine):
    machine({"uuid": A, "used": series(5 * GIB, 1 * GIB), "busy": 0})
    assert use().memory == 0


def test_an_instance_of_a_divided_gpu_has_no_utilisation(machine):
    machine({"uuid": A, "parts": [{"uuid": "MIG-1", "used": series(0, GIB), "name": "A100 1g"}]})
    assert use() == GpuUse("A100 1g", GIB, None, None)


def test_a_driver_that_fails_in_the_middle_costs_the_numbers_alone(machine):
    library = machine({"uuid": A, "busy": 10})
    with metered(gpus()[0]) as meter, measured(meter, 0.001) as found:

        def fail(card):
            raise library.real.NVMLError(library.real.NVML_ERROR_GPU_IS_LOST)

        library.nvmlDeviceGetMemoryInfo = fail
        library.nvmlDeviceGetUtilizationRates = fail
        time.sleep(0.02)
    assert found().name == "NVIDIA L4"


def test_without_a_gpu_there_is_no_use():
    with measured(None) as found:
        pass
    assert found() is None


def test_the_library_is_open_as_long_as_the_algorithm_runs(machine):
    library = machine(A)
    with metered(gpus()[0]):
        assert library.open == 1
    assert library.open == 0


@pytest.mark.gpu
def test_a_real_gpu_is_measured():
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    with metered(gpus()[0]) as meter, measured(meter, 0.01) as found:
        held = torch.ones(2**28, device="cuda")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            held.mul_(1.0).sum().item()
    assert found().memory >= 2**30
    assert found().busiest > 0
