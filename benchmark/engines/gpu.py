"""GPUs of this machine: which there are for this process, and one of them for a container."""

import os
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from cytosuite.benchmark.catalog.places import PACKAGE
from cytosuite.benchmark.engines.memory import Peak
from cytosuite.benchmark.engines.outcome import VISIBLE, GpuUse, say
from cytosuite.contract.words import Say
from cytosuite.errors import InputError, plain
from cytosuite.files import TextDict, TextMap, TextPair, frozen

# The same for all users and jobs, unlike TMPDIR; GPUs of different machines have different names.
LOCKS = Path("/tmp")
NONE = {"", "-1", "NoDevFiles"}  # of VISIBLE: no GPU; the last is Slurm's
WAIT_S = 0.5
SAY_S = 10.0
REMEDY = "or run with DEVICE=cpu"
POLL_S = 0.1  # the driver's own numbers of utilisation are of 1/6 s or longer
PROBE_S = 180.0  # torch for CUDA is read from the disk for the first time
# Ends with one line on stderr where torch cannot compute on a GPU.
PROBE = """
import sys
try:
    import torch
    torch.zeros(1, device="cuda").sum().item()
except Exception as error:
    lines = str(error).strip().splitlines()
    sys.exit(lines[0] if lines else type(error).__name__)
"""


@frozen
class Gpu:
    """A GPU, or an instance of a divided one (MIG), that this process may use."""

    index: int
    uuid: str
    name: str  # of the product
    memory: int  # bytes

    @property
    def environment(self) -> TextDict:
        """Variables by which a process sees this GPU alone."""
        return {VISIBLE: self.uuid}


def gpus(environment: TextMap = os.environ) -> list[Gpu]:
    """Return the GPUs that this process may use, at least one; else InputError."""
    # CUDA_VISIBLE_DEVICES: indices (all instances of a divided GPU), UUIDs or beginnings of these.
    with nvml() as library:
        there = _installed(library)
    if not there:
        raise InputError(
            "DEVICE=cuda: the NVIDIA driver finds no GPU on this machine; look at `nvidia-smi`, "
            f"use a machine with one, {REMEDY}"
        )
    if VISIBLE not in environment:
        return there
    words = [word.strip() for word in environment[VISIBLE].split(",")]
    if words[0] in NONE:
        raise InputError(
            f"DEVICE=cuda: this process may use no GPU ({VISIBLE}={environment[VISIBLE]!r}); ask "
            f"the scheduler for one (Slurm: --gres=gpu:1), unset the variable, {REMEDY}"
        )
    return list({gpu.uuid: gpu for word in words for gpu in _named(word, there)}.values())


def torch_trouble(gpu: Gpu) -> TextPair:
    """Return why torch of this Python cannot compute on a GPU, with the remedy; empty if it can."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROBE],
            cwd=PACKAGE.parent,
            env={**os.environ, **gpu.environment},
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer in {PROBE_S:g} s", "look at `nvidia-smi`"
    if done.returncode == 0:
        return "", ""
    lines = done.stderr.strip().splitlines()
    reason = plain(lines[-1]) if lines else f"exit code {done.returncode}"
    if "not compiled with CUDA" in reason:
        return reason, (
            "install its build for CUDA with `make setup DEVICE=cuda` or `python "
            "docker/install.py networks --device cuda`"
        )
    return reason, "update the NVIDIA driver"


@contextmanager
def held(say: Say = say) -> Iterator[Gpu]:
    """Lock a GPU against all processes of cytosuite on this machine; wait for a free one."""
    usable, begin, said = gpus(), time.monotonic(), False
    while (taken := _take(usable)) is None:
        if not said and time.monotonic() > begin + SAY_S:
            said = True
            say(f"waiting for a GPU: other runs on this machine use {listed(usable)}")
        time.sleep(WAIT_S)
    gpu, lock = taken
    try:
        yield gpu
    finally:
        os.close(lock)


def listed(cards: Sequence[Gpu]) -> str:
    """Return GPUs in words: ``2 x NVIDIA L4 (16 GiB)``."""
    kinds = [f"{gpu.name} ({gpu.memory / 2**30:.0f} GiB)" for gpu in cards]
    return ", ".join(f"{number} x {kind}" for kind, number in Counter(kinds).items())


def gpu_facts(device: str) -> TextDict:
    """Return the GPUs of this machine as a fact of a run; nothing on the CPU, or without any."""
    with suppress(InputError):
        return {"gpus": listed(gpus())} if device == "cuda" else {}
    return {}


@contextmanager
def nvml() -> Iterator[Any]:
    """Give NVIDIA's management library, started; InputError if the driver does not work."""
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        reasons = {
            pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "there is no NVIDIA driver on this machine "
            "(libnvidia-ml.so.1 is not found); install it",
            pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver of this machine is not loaded; "
            "load it (modprobe nvidia)",
            pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH: "the NVIDIA driver was updated while "
            "another is loaded; restart the machine",
        }
        reason = reasons.get(error.value, f"the NVIDIA driver says: {error}; look at `nvidia-smi`")
        raise InputError(f"DEVICE=cuda: {reason}, {REMEDY}") from None
    try:
        yield pynvml
    except pynvml.NVMLError as error:
        raise InputError(
            f"DEVICE=cuda: the NVIDIA driver says: {error}; look at `nvidia-smi`, {REMEDY}"
        ) from None
    finally:
        pynvml.nvmlShutdown()


def _installed(library: Any) -> list[Gpu]:  # noqa: ANN401 - has no annotations
    """Return the GPUs that this process may open; instances in place of a divided one."""
    handles = []
    for number in range(library.nvmlDeviceGetCount()):
        with suppress(library.NVMLError_NoPermission, library.NVMLError_GpuIsLost):
            handles.append(library.nvmlDeviceGetHandleByIndex(number))
    return [
        Gpu(
            index,
            str(library.nvmlDeviceGetUUID(part)),
            str(library.nvmlDeviceGetName(part)),
            int(library.nvmlDeviceGetMemoryInfo(part).total),
        )
        for index, handle in enumerate(handles)  # a job's own are counted from 0
        for part in _instances(library, handle) or [handle]
    ]


def _instances(library: Any, handle: Any) -> list[Any]:  # noqa: ANN401
    """Return the instances of a divided GPU, none of another."""
    try:
        if library.nvmlDeviceGetMigMode(handle)[0] != library.NVML_DEVICE_MIG_ENABLE:
            return []
    except library.NVMLError:  # this kind cannot be divided
        return []
    parts = []
    for number in range(library.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(library.NVMLError_NotFound):
            parts.append(library.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return parts


def _named(word: str, there: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs that a word of CUDA_VISIBLE_DEVICES names."""
    if word.isdecimal():
        matching = [gpu for gpu in there if gpu.index == int(word)]
    else:
        matching = [gpu for gpu in there if word and gpu.uuid.startswith(word)]
    if not matching:
        choices = ", ".join(f"{gpu.index} {gpu.uuid}" for gpu in there)
        raise InputError(f"{VISIBLE}: expected GPUs of this machine ({choices}), found {word!r}")
    return matching


def _take(cards: Sequence[Gpu]) -> tuple[Gpu, int] | None:
    """Return the first GPU with a free lock, and the handle of the lock; None without one."""
    for gpu in cards:
        handle = _opened(LOCKS / f"cytosuite-{gpu.uuid.replace('/', '-')}.lock")
        try:
            flock(handle, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            continue
        return gpu, handle
    return None


def _opened(path: Path) -> int:
    """Return a handle of a lock file, which any user of the machine may have made."""
    try:
        with suppress(FileExistsError):
            fresh = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC)
            os.fchmod(fresh, 0o444)  # under any umask: others must be able to lock it
            os.close(fresh)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: the lock of a GPU cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(
            f"{path}: expected the lock file of a GPU, found something else; remove it"
        )
    return handle


class GpuMeter:
    """Memory and utilisation of a GPU beyond those at the beginning; None where not known."""

    def __init__(self, library: Any, gpu: Gpu) -> None:  # noqa: ANN401 - has no annotations
        self.gpu = gpu
        self._library = library
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
    def measured(self, poll_s: float = POLL_S) -> Iterator[Callable[[], GpuUse]]:
        """Measure while the block runs; give a function that returns the use after its end."""
        with Peak(self.memory, poll_s) as memory, Peak(self.utilisation, poll_s) as busy:
            yield lambda: GpuUse(self.gpu.name, memory.value, busy.mean, busy.value)


@contextmanager
def metered(say: Say = say) -> Iterator[GpuMeter]:
    """Hold a GPU as `held` does, and give its meter."""
    with held(say) as gpu, nvml() as library:
        yield GpuMeter(library, gpu)
