"""The parts that a network brings to its training, and the state that a step changes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cytosuite.errors import CytosuiteError
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.network import precision, tensors_of
from cytosuite.training.settings import Schedule, Settings

Case = TypeVar("Case")
Cases: TypeAlias = Mapping[str, Sequence[Case]]  # by role
Arrays: TypeAlias = Mapping[str, NDArray[Any]]
Tensors: TypeAlias = Mapping[str, Tensor]
Source: TypeAlias = Path | Mapping[str, Any] | None  # a folder, or parameters of a simulation
Parts: TypeAlias = tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]

MOMENTUM = 0.9  # of stochastic gradient descent
# Relative: sound gradients in bfloat16 are up to 0.25 off, unsound ones 0.8 or more.
ROUNDING = 0.5


class DivergedError(CytosuiteError):
    """The training has left the range of numbers and cannot go on."""

    exit_code = 1


class Best(NamedTuple):
    """Scores and step of the best validation so far, and the published weights at that step."""

    score: float
    step: int
    weights: dict[str, Tensor]
    also: dict[str, float]  # scores by further metrics


@dataclass(slots=True)
class State:
    """Everything that a step changes."""

    modules: dict[str, nn.Module]  # from `Training.build`
    optimisers: dict[str, torch.optim.Optimizer]
    average: nn.Module  # moving average of the module that is published
    device: str
    clip: float  # largest norm of the gradient of an optimiser
    step: int = 0  # steps taken
    seconds: float = 0.0  # time of these steps, without interruptions
    cpu_seconds: float = 0.0  # of all threads
    best: Best | None = None  # none before the first validation
    stale: int = 0  # validations since the best one
    bound: tuple[int, int] | None = None  # `validate.bounded`; None before the first validation
    rounding: float | None = None  # `loop.rounding`; None before the first batch
    recent: list[Tensor] = field(default_factory=list)  # losses of the steps since the last report

    @property
    def precision(self) -> torch.dtype:
        """Return the `precision` of the device, or float32 where gradients are wrong in it."""
        return precision(self.device) if (self.rounding or 0.0) <= ROUNDING else torch.float32

    @property
    def place(self) -> str:
        """Return device and precision, with the reason for another than the device's."""
        place, fast = f"{self.device}, {self.precision}", precision(self.device)
        if self.rounding is None or self.precision == fast:
            return place
        off = f"{self.rounding:.0%} off" if isfinite(self.rounding) else "not finite"
        return f"{place}: gradients in {fast} are {off}"

    def autocast(self) -> AbstractContextManager[Any]:
        """Return a context in which networks compute in this `precision`."""
        kind = self.precision
        return torch.autocast(self.device, kind, enabled=kind != torch.float32)

    def update(self, optimiser: str, loss: Tensor) -> None:
        """Take one step against the gradient of a loss; DivergedError if that is not finite."""
        chosen = self.optimisers[optimiser]
        chosen.zero_grad()
        cast(Any, loss).backward()
        weights = [weight for group in chosen.param_groups for weight in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(weights, self.clip)
        if not torch.isfinite(norm):
            raise DivergedError(
                f"step {self.step + 1}: the gradient is not finite; lower "
                "schedule.learning_rate and give --restart"
            )
        chosen.step()


@dataclass(frozen=True, slots=True)
class Training(Generic[Settings, Case]):
    """The part of a training that depends on the network.

    Parameters
    ----------
    algorithm : str
        Folder in ``algorithms/``.
    settings : type
        Pydantic model of its settings: `TrainingSettings` with further keys.
    load : callable
        ``load(folder, role, settings)`` returns the cases in a folder.
    build : callable
        ``build(settings)`` returns new modules and their optimisers, both by name. Rates of the
        optimisers are relative to the schedule's. State besides weights is a buffer of a module.
    batch : callable
        ``batch(cases, settings, step)`` returns the arrays of a step by name, from its number
        alone.
    step : callable
        ``step(state, batch, settings)`` calls `State.update` for each optimiser and returns the
        losses, scalars by name.
    describe : callable
        ``describe(cases, settings)`` returns measured entries of the card's ``describes``.
    validate : callable, optional
        ``validate(state, cases, settings)`` yields the facts about each held-out case, about the
        set of all, or both, with predictions of ``state.average``. A metric takes those facts
        that hold all that it needs.
    baselines : callable, optional
        ``baselines(cases, settings)`` yields the name of each simpler method, and the facts about
        the held-out cases with its predictions, as of ``validate``. Their scores go to the card.
    check : callable, optional
        ``check(source, role, settings)`` refuses a folder, or parameters of a simulation, from
        which nothing can be learned; it is asked before anything is made or read.
    measure : callable, optional
        ``measure(cases, settings)`` returns measured entries of the card's ``parameters`` from the
        cases to train on. They win over a parent's, the settings over both; all later
        calls find them in ``settings.card.parameters``.
    prepare_cases : callable, optional
        ``prepare_cases(cases, settings)`` changes the cases to train on, where that depends on
        measured parameters.
    notes : callable, optional
        ``notes(cases, settings)`` returns lines for the user on the cases to train on.
    also : mapping of callables, optional
        ``also[name](state, cases, settings)`` returns state and settings of a further model of the
        training, ``<model>-<name>``, or None.
    tune : callable, optional
        ``tune(state, cases, settings)`` returns entries of the card's ``parameters`` that are
        chosen on the held-out cases with the published weights, `state.average`; the settings' and
        a parent's win.
    picture : callable, optional
        ``picture(state, cases, settings)`` returns a picture of held-out cases at a validation,
        (H, W) grey or (H, W, 3) red, green, blue, uint8.
    divide : callable, optional
        ``divide(folder)`` returns the parts of one folder that holds several roles, by role; empty
        for one that is not divided. Asked of folders that are given without a role.
    translate : callable, optional
        ``translate(path, folders)`` returns the settings in a file that is no TOML, and notes for
        the user; folders of the data are given by role.
    roles : tuple of str
        Roles of data, like simulated and real; a folder without a role has the first.
    spare : tuple of str
        Those among the roles that a training may do without.
    published : str
        Name of the module that is averaged and published.
    default : str
        File of its settings in ``algorithms/<name>/training/``.
    """

    algorithm: str
    settings: type[Settings]
    load: Callable[[Path, str, Settings], Sequence[Case]]
    build: Callable[[Settings], Parts]
    batch: Callable[[Cases[Case], Settings, int], Arrays]
    step: Callable[[State, Tensors, Settings], Tensors]
    describe: Callable[[Cases[Case], Settings], Mapping[str, Any]]
    validate: Callable[[State, Cases[Case], Settings], Iterable[Facts]] | None = None
    baselines: Callable[[Cases[Case], Settings], Iterable[tuple[str, Iterable[Facts]]]] | None = (
        None
    )
    check: Callable[[Path | Mapping[str, Any], str, Settings], None] | None = None
    measure: Callable[[Cases[Case], Settings], Mapping[str, Any]] | None = None
    prepare_cases: Callable[[Cases[Case], Settings], Cases[Case]] | None = None
    notes: Callable[[Cases[Case], Settings], Iterable[str]] | None = None
    also: Mapping[str, Callable[[State, Cases[Case], Settings], tuple[State, Settings] | None]] = (
        field(default_factory=dict)
    )
    tune: Callable[[State, Cases[Case], Settings], Mapping[str, Any]] | None = None
    picture: Callable[[State, Cases[Case], Settings], NDArray[np.uint8]] | None = None
    divide: Callable[[Path], Mapping[str, Path]] | None = None
    translate: (
        Callable[[Path, Mapping[str, Sequence[Path]]], tuple[dict[str, Any], list[str]]] | None
    ) = None
    roles: tuple[str, ...] = ("images",)
    spare: tuple[str, ...] = ()
    published: str = "network"
    default: str = "train.toml"


def decaying(modules: Iterable[nn.Module], decay: float) -> list[dict[str, Any]]:
    """Return the parameter groups of an optimiser: gains, shifts and biases do not decay."""
    weights = [weight for module in modules for weight in module.parameters()]
    if not decay:
        return [{"params": weights, "weight_decay": 0.0}]
    thick, thin = ([w for w in weights if (w.ndim > 1) == many] for many in (True, False))
    return [{"params": thick, "weight_decay": decay}, {"params": thin, "weight_decay": 0.0}]


def optimiser_of(modules: Iterable[nn.Module], schedule: Schedule) -> torch.optim.Optimizer:
    """Return the optimiser that a schedule names, at a rate relative to the schedule's."""
    groups = decaying(modules, schedule.weight_decay)
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=MOMENTUM)
    return torch.optim.AdamW(groups, lr=1.0, fused=True)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move an average of weights and buffers, in place, towards them, faster in early steps."""
    share = 1 - min(decay, (1 + step) / (10 + step))
    news = tensors_of(network)
    for name, tensor in tensors_of(average).items():
        if tensor.is_floating_point():
            tensor.lerp_(news[name], share)
        else:
            tensor.copy_(news[name])
