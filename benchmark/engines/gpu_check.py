"""Check, before anything runs, that algorithms find the GPU that they are given."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from cytosuite.benchmark.catalog import PACKAGE
from cytosuite.benchmark.containers.daemon import daemon_errors
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.gpu import REMEDY, Gpu, gpus, held
from cytosuite.benchmark.engines.outcome import Engine, Limits
from cytosuite.benchmark.engines.packages import uses_gpu
from cytosuite.benchmark.engines.process import ProcessEngine
from cytosuite.benchmark.engines.sandbox import sandbox, watch
from cytosuite.errors import InputError, plain

PROBE_S = 180.0  # torch for CUDA is read from the disk for the first time
PROBE_GIB = 8.0
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
CPU_BUILD = "not compiled with CUDA"


def check_gpu(engine: Engine, algorithms: Sequence[str]) -> None:
    """Check that torch computes on a GPU where the algorithms will run.

    Parameters
    ----------
    engine : Engine
        With the images or packages of the algorithms.
    algorithms : sequence of str
        Names; nothing is checked if none of them uses a GPU.

    Raises
    ------
    InputError
        If there is no driver or no GPU, containers get none, or torch is its CPU build or does not
        fit the driver.
    """
    user = next((name for name in algorithms if uses_gpu(name)), None)
    if user is None:
        return
    if isinstance(engine, DockerEngine):
        with held(engine.say) as gpu:
            _in_container(engine, user, gpu)
    elif isinstance(engine, ProcessEngine):
        with held(engine.say) as gpu:
            _in_process(user, gpu)
    else:
        gpus()


def _in_container(engine: DockerEngine, algorithm: str, gpu: Gpu) -> None:
    """Check torch in a container of an algorithm."""
    limits = Limits(memory_gib=PROBE_GIB, timeout_s=PROBE_S)
    with ExitStack() as stack, daemon_errors("a container with a GPU"):
        image, chosen = engine.container(algorithm, limits, gpu)
        words = {**chosen, "entrypoint": ["python3", "-c", PROBE]}
        box = stack.enter_context(sandbox(engine.client, image, (), {}, limits, words))
        code = watch(box.exit_code, lambda waited: waited > PROBE_S, time.perf_counter())
        _, line = box.new_log()
    if code == 0:
        return
    reason = plain(line) or f"no answer within {PROBE_S:g} s"
    tool = "podman (a version whose service knows CDI)" if "podman" in engine.name else "Docker"
    raise InputError(
        f"DEVICE=cuda: torch in the image of {algorithm} finds no GPU ({reason}) although the "
        f"machine has {gpu.name}; update the NVIDIA driver or {tool}, {REMEDY}"
    )


def _in_process(algorithm: str, gpu: Gpu) -> None:
    """Check torch in a plain process."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=PACKAGE.parent,
        env={**os.environ, **gpu.environment},
        capture_output=True,
        text=True,
        timeout=PROBE_S,
        check=False,
    )
    if done.returncode == 0:
        return
    lines = done.stderr.strip().splitlines()
    reason = plain(lines[-1]) if lines else f"exit code {done.returncode}"
    remedy = "update the NVIDIA driver"
    if CPU_BUILD in reason:
        remedy = (
            "install its build for CUDA with `make setup DEVICE=cuda` or `python "
            "docker/wheelhouse.py --device cuda --install`"
        )
    raise InputError(
        f"DEVICE=cuda: {algorithm} finds no GPU in a plain process ({reason}) although the machine "
        f"has {gpu.name}; {remedy}, {REMEDY}"
    )
