"""Measure memory and utilisation of a GPU by the cases of one algorithm."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from cytosuite.benchmark.engines.gpu import Gpu, nvml
from cytosuite.benchmark.engines.memory import Peak
from cytosuite.benchmark.engines.outcome import GpuUse

POLL_S = 0.1  # the driver's own numbers of utilisation are those of 1/6 s or longer


class GpuMeter:
    """Memory and utilisation of a GPU at present.

    Parameters
    ----------
    library : module
        From `cytosuite.benchmark.engines.gpu.nvml`.
    gpu : Gpu
        The GPU, or an instance of a divided one.

    Notes
    -----
    What is in use at the beginning is left out: it belongs to other programs. A number that the
    driver does not give is None.
    """

    def __init__(self, library: Any, gpu: Gpu) -> None:  # noqa: ANN401 - has no annotations
        self.gpu, self._library = gpu, library
        self._handle = library.nvmlDeviceGetHandleByUUID(gpu.uuid)
        self._before = self._used() or 0

    def memory(self) -> int | None:
        """Return the bytes in use beyond those at the beginning."""
        used = self._used()
        return None if used is None else max(0, used - self._before)

    def utilisation(self) -> int | None:
        """Return the time in which the GPU computed lately [%]."""
        with suppress(self._library.NVMLError):
            return int(self._library.nvmlDeviceGetUtilizationRates(self._handle).gpu)
        return None

    def _used(self) -> int | None:
        """Return the bytes in use by all programs."""
        with suppress(self._library.NVMLError):
            return int(self._library.nvmlDeviceGetMemoryInfo(self._handle).used)
        return None


@contextmanager
def metered(gpu: Gpu) -> Iterator[GpuMeter]:
    """Give the meter of a GPU, from before the start of an algorithm to its end."""
    with nvml() as library:
        yield GpuMeter(library, gpu)


@contextmanager
def measured(
    meter: GpuMeter | None, poll_s: float = POLL_S
) -> Iterator[Callable[[], GpuUse | None]]:
    """Measure the use of a GPU while the block runs.

    Parameters
    ----------
    meter : GpuMeter or None
        Of the GPU; None without one.
    poll_s : float
        Seconds between two readings.

    Yields
    ------
    callable
        Returns the use, once the block has ended.
    """
    if meter is None:
        yield lambda: None
        return
    with Peak(meter.memory, poll_s) as memory, Peak(meter.utilisation, poll_s) as busy:
        yield lambda: GpuUse(meter.gpu.name, memory.value, busy.mean, busy.value)
