"""What every training loop needs, as functions: schedule, averages, checkpoints, log, interrupt."""

import csv
import json
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import cos, pi
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from cytosuite.errors import InputError
from cytosuite.files import atomic

_FIRST = 1 / 25  # rate of the first step, relative to the highest
_LAST = 1e-4


def one_cycle(step: int, steps: int, peak: float, warm_up: float) -> float:
    """Return the learning rate of a step: up along a cosine, then down along another.

    Parameters
    ----------
    step : int
        From 0 to `steps` - 1.
    steps : int
        Length of the training.
    peak : float
        The highest rate.
    warm_up : float
        Share of the steps that go up.

    References
    ----------
    Smith and Topin, SPIE 11006 (2019), doi:10.1117/12.2520589.

    Examples
    --------
    >>> [round(one_cycle(step, 11, 1.0, 0.5), 3) for step in (0, 5, 10)]
    [0.04, 1.0, 0.0]
    """
    place, rise = step / max(1, steps - 1), max(warm_up, 1e-9)
    if place < rise:
        return peak * (_FIRST + (1 - _FIRST) * (1 - cos(pi * place / rise)) / 2)
    fall = (place - rise) / max(1e-9, 1 - rise)
    return peak * (_LAST + (1 - _LAST) * (1 + cos(pi * fall)) / 2)


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move an average of a network's weights and buffers one step towards them.

    Parameters
    ----------
    average, network : nn.Module
        Of one architecture; `average` is changed in place.
    decay : float
        Share of the average that stays; less in the first steps, when it is still young.
    step : int
        From 0.
    """
    share = 1 - min(decay, (1 + step) / (10 + step))
    news = tensors_of(network)
    for name, kept in tensors_of(average).items():
        new = news[name]
        if kept.is_floating_point():
            kept.lerp_(new, share)
        else:
            kept.copy_(new)


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return the weights and buffers of a network by name, each once.

    Unlike ``state_dict`` it names a tensor once where modules share it, under its first name.
    """
    found: dict[str, Tensor] = dict(network.named_parameters())
    return found | dict(network.named_buffers())


@torch.no_grad()
def put_tensors(network: nn.Module, tensors: Mapping[str, Tensor], where: Path) -> None:
    """Give a network the weights and buffers that `tensors_of` returned.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    tensors : mapping
        By name, of any precision. Counters of batches may be missing.
    where : Path
        What to name as the place of a mistake.

    Raises
    ------
    InputError
        If a name is missing or unknown, or a shape differs.
    """
    own = {k: v for k, v in tensors_of(network).items() if v.is_floating_point() or k in tensors}
    odd = sorted(own.keys() ^ tensors.keys())
    odd += [k for k in own if k in tensors and own[k].shape != tensors[k].shape]
    if odd:
        raise InputError(f"{where}: these weights are not of this network ({odd[0]} differs)")
    for name, value in own.items():
        value.copy_(tensors[name])


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors and facts as one safetensors file, whole or not at all.

    Parameters
    ----------
    path : Path
        Its parent is made if it is missing.
    tensors : mapping
        Tensors by name; each is copied, so that none share memory.
    facts : mapping
        What JSON can hold.
    """
    plain = {
        name: value.detach().to("cpu", copy=True).contiguous() for name, value in tensors.items()
    }
    with atomic(path) as temporary:
        temporary.write_bytes(save(plain, metadata={"facts": json.dumps(facts)}))


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the facts of a checkpoint.

    Raises
    ------
    InputError
        If the file is missing or is not a checkpoint.
    """
    try:
        with safe_open(path, "pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["facts"])
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a checkpoint ({error}); remove it") from None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser as tensors by name, ``<parameter>.<key>``."""
    state = optimiser.state_dict()["state"]
    return {f"{number}.{key}": value for number, s in state.items() for key, value in s.items()}


@torch.no_grad()
def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser the state that `optimiser_tensors` returned.

    Parameters
    ----------
    optimiser : Optimizer
        For the same parameters.
    tensors : mapping
        By the same names.
    """
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        number, key = name.split(".", 1)
        weight = weights[int(number)]
        if value.shape == weight.shape:
            # Fused optimisers go through memory in its own order, so both must be laid out alike.
            value = torch.empty_like(weight).copy_(value)
        state.setdefault(int(number), {})[key] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


class Log:
    """A table of numbers that grows by a line per report and survives an interruption.

    Parameters
    ----------
    path : Path
        A CSV file; its parent is made if it is missing.
    columns : sequence of str
        Names; the first is the step.
    after : int
        Lines of an earlier run up to this step are kept, later ones dropped.
    """

    def __init__(self, path: Path, columns: Sequence[str], after: int = 0) -> None:
        self.path = path
        kept: list[list[str]] = []
        if after > 0 and path.is_file():
            with path.open(encoding="utf-8", newline="") as stream:
                kept = [row for row in list(csv.reader(stream))[1:] if int(row[0]) <= after]
        with atomic(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerows([list(columns), *kept])

    def add(self, step: int, values: Sequence[float]) -> None:
        """Append a line."""
        with self.path.open("a", encoding="utf-8", newline="") as stream:
            csv.writer(stream).writerow([step, *(f"{value:.6g}" for value in values)])


class Interrupt:
    """Whether the user has asked to stop."""

    asked = False


@contextmanager
def polite_interrupt() -> Iterator[Interrupt]:
    """Let the first Ctrl-C only set a mark, so that the step at hand can be finished.

    Yields
    ------
    Interrupt
        Its `asked` becomes true; a second Ctrl-C ends the program at once. Outside of the main
        thread, where signals cannot be caught, it stays false.
    """
    mark = Interrupt()
    if threading.current_thread() is not threading.main_thread():
        yield mark
        return

    def ask(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - as signals call it
        """Set the mark, and leave the next signal to Python."""
        mark.asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield mark
    finally:
        signal.signal(signal.SIGINT, before)
