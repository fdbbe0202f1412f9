"""GPUs of this machine: which there are for this process, and one of them for a container."""

import os
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any

from cytosuite.errors import InputError

# The same for all users and jobs, unlike TMPDIR; GPUs of different machines have different names.
LOCKS = Path("/tmp")
VISIBLE = "CUDA_VISIBLE_DEVICES"
NONE = {"", "-1", "NoDevFiles"}  # of VISIBLE: no GPU; the last is Slurm's
WAIT_S, SAY_S = 0.5, 10.0
REMEDY = "or run with DEVICE=cpu"


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU, or an instance of a divided one (MIG), that this process may use.

    Parameters
    ----------
    index : int
        In order of the PCI bus, as ``nvidia-smi`` and Slurm count; an instance has its GPU's.
    uuid : str
        ``GPU-...`` or ``MIG-...``: its name in CUDA_VISIBLE_DEVICES and for container daemons.
    name : str
        Of the product.
    memory : int
        Bytes.
    """

    index: int
    uuid: str
    name: str
    memory: int

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a process sees this GPU alone."""
        return {VISIBLE: self.uuid}


def gpus(environment: Mapping[str, str] = os.environ) -> list[Gpu]:
    """Return the GPUs of this machine that this process may use, at least one.

    Parameters
    ----------
    environment : mapping
        ``CUDA_VISIBLE_DEVICES`` in it, as Slurm sets it, restricts them: indices, UUIDs or
        beginnings of these, comma-separated. An index means all instances of a divided GPU.

    Raises
    ------
    InputError
        If there is no driver or no GPU, or the variable names another one.
    """
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
    found = [gpu for word in words for gpu in _named(word, there)]
    return list({gpu.uuid: gpu for gpu in found}.values())


def request(gpu: Gpu, *, podman: bool = False) -> dict[str, Any]:
    """Return the arguments of the SDK's ``DeviceRequest`` for one GPU.

    Parameters
    ----------
    gpu : Gpu
        The GPU.
    podman : bool
        Its service knows the names of the Container Device Interface alone, and ignores any other
        request without a word.
    """
    if podman:
        return {"driver": "cdi", "device_ids": [f"nvidia.com/gpu={gpu.uuid}"]}
    return {"device_ids": [gpu.uuid], "capabilities": [["gpu"]]}


def slots() -> list[dict[str, str]]:
    """Return the variables of a process in each GPU slot of this machine: one slot per GPU.

    Raises
    ------
    InputError
        As of `gpus`.
    """
    return [gpu.environment for gpu in gpus()]


def say(line: str) -> None:
    """Write a line to the log of this process, its stderr."""
    sys.stderr.write(f"{line}\n")


@contextmanager
def held(say: Callable[[str], None] = say) -> Iterator[Gpu]:
    """Hold a GPU that no other process of cytosuite on this machine holds; wait for a free one.

    Parameters
    ----------
    say : callable
        Gets a line once the wait has lasted 10 s.

    Raises
    ------
    InputError
        As of `gpus`; or if a lock file cannot be opened.

    Notes
    -----
    Each GPU has a lock file in `LOCKS`. The kernel frees a lock when its process ends, however that
    ends.
    """
    wanted, begin, said = gpus(), time.monotonic(), False
    while (found := _take(wanted, LOCKS)) is None:
        if not said and time.monotonic() > begin + SAY_S:
            said = True
            say(f"waiting for a GPU: other runs on this machine use {listed(wanted)}")
        time.sleep(WAIT_S)
    gpu, lock = found
    try:
        yield gpu
    finally:
        os.close(lock)


def listed(found: Sequence[Gpu]) -> str:
    """Return GPUs in words.

    Examples
    --------
    >>> listed([Gpu(0, "GPU-a", "NVIDIA L4", 2**34), Gpu(1, "GPU-b", "NVIDIA L4", 2**34)])
    '2 x NVIDIA L4 (16 GiB)'
    """
    kinds = [f"{gpu.name} ({gpu.memory / 2**30:.0f} GiB)" for gpu in found]
    return ", ".join(f"{kinds.count(kind)} x {kind}" for kind in dict.fromkeys(kinds))


def gpu_facts(device: str) -> dict[str, str]:
    """Return the GPUs of this machine as a fact of a run; nothing on the CPU, or without any.

    The machine that begins a run may have none where those of a cluster do.
    """
    with suppress(InputError):
        return {"gpus": listed(gpus())} if device == "cuda" else {}
    return {}


@contextmanager
def nvml() -> Iterator[Any]:
    """Give NVIDIA's management library, started.

    Raises
    ------
    InputError
        If the driver is missing or does not work.
    """
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
    """Return the GPUs that this process may open; instances in place of those that are divided."""
    found = []
    handles = []
    for number in range(library.nvmlDeviceGetCount()):
        with suppress(library.NVMLError_NoPermission, library.NVMLError_GpuIsLost):
            handles.append(library.nvmlDeviceGetHandleByIndex(number))
    for index, handle in enumerate(handles):  # a job's own are counted from 0
        for part in _instances(library, handle) or [handle]:
            uuid = _text(library.nvmlDeviceGetUUID(part))
            name = _text(library.nvmlDeviceGetName(part))
            memory = int(library.nvmlDeviceGetMemoryInfo(part).total)
            found.append(Gpu(index, uuid, name, memory))
    return found


def _instances(library: Any, handle: Any) -> list[Any]:  # noqa: ANN401
    """Return the instances of a divided GPU, none of another."""
    try:
        if library.nvmlDeviceGetMigMode(handle)[0] != library.NVML_DEVICE_MIG_ENABLE:
            return []
    except library.NVMLError:  # this kind cannot be divided
        return []
    found = []
    for number in range(library.nvmlDeviceGetMaxMigDeviceCount(handle)):
        with suppress(library.NVMLError_NotFound):
            found.append(library.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))
    return found


def _named(word: str, there: Sequence[Gpu]) -> list[Gpu]:
    """Return the GPUs that a word of CUDA_VISIBLE_DEVICES names."""
    if word.isdecimal():
        found = [gpu for gpu in there if gpu.index == int(word)]
    else:
        found = [gpu for gpu in there if word and gpu.uuid.startswith(word)]
    if not found:
        known = ", ".join(f"{gpu.index} {gpu.uuid}" for gpu in there)
        raise InputError(f"{VISIBLE}: expected GPUs of this machine ({known}), found {word!r}")
    return found


def _take(wanted: Sequence[Gpu], locks: Path) -> tuple[Gpu, int] | None:
    """Return the first GPU with a free lock, and the handle of the lock; None without one."""
    for gpu in wanted:
        handle = _opened(locks / f"cytosuite-{gpu.uuid.replace('/', '-')}.lock")
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
            made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC)
            os.fchmod(made, 0o444)  # whatever the umask: others must be able to lock it
            os.close(made)
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise InputError(f"{path}: the lock of a GPU cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InputError(
            f"{path}: expected the lock file of a GPU, found something else; remove it"
        )
    return handle


def _text(found: str | bytes) -> str:
    """Return a text of the library; older versions give bytes."""
    return found.decode() if isinstance(found, bytes) else found
