"""The parts that a network brings to its training, and the state that a step changes.

Gradients of a CPU in bfloat16 are compared with those in float32.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from math import inf, isfinite
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, NamedTuple, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook

from cytosuite.contract.manifest import parse
from cytosuite.errors import CytosuiteError, InputError, at
from cytosuite.files import Entries, FloatDict, FloatPair, IntPair, Json, Paths, Texts, read_toml
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.network import precision, tensors_of, using
from cytosuite.training.heldout import HeldOut, facts_of_sets, outputs_of, program
from cytosuite.training.images import joined, views
from cytosuite.training.settings import Schedule, Settings
from cytosuite.volume import Volume, Volumes
from cytosuite.volume.arrays import Array, Bytes

Case = TypeVar("Case")
Cases = Mapping[str, Sequence[Case]]  # by role
CaseLists = dict[str, list[Case]]  # the same, to be filled
Data = Mapping[str, Sequence[Path]]  # files or folders by role
Arrays = Mapping[str, Array]
Tensors = Mapping[str, Tensor]
Source = Path | Entries | None  # a folder, or parameters of a simulation
Modules = Mapping[str, nn.Module]
Parts = tuple[dict[str, nn.Module], dict[str, torch.optim.Optimizer]]

LOGGER = logging.getLogger(__name__)
SHOWN = 3  # cases in a picture
MOMENTUM = 0.9  # of stochastic gradient descent
# Relative: sound gradients in bfloat16 are up to 0.25 off, unsound ones 0.8 or more.
ROUNDING = 0.5
_FAINT = 1e-3  # of an optimiser's gradient: the part of a weight below it may be all rounding
_STIR = 0.05  # deviation of weights that are 0 at first: no gradient passes them


class DivergedError(CytosuiteError):
    """The training has left the range of numbers and cannot go on."""

    exit_code = 1


class Best(NamedTuple):
    """Scores and step of the best validation so far, and the published weights at that step."""

    score: float
    step: int
    weights: dict[str, Tensor]
    also: FloatDict  # scores by further metrics


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
    bound: IntPair | None = None  # `validate.bounded`; None before the first validation
    rounding: float | None = None  # `loop.rounding`; None before the first batch
    recent: list[Tensor] = field(default_factory=list)  # losses of the steps since the last report

    @property
    def precision(self) -> torch.dtype:
        """Return the `precision` of the device, or float32 where gradients are wrong in it."""
        return precision(self.device) if (self.rounding or 0.0) <= ROUNDING else torch.float32

    @property
    def place(self) -> str:
        """Return device and precision, with the reason for another than the device's."""
        place = f"{self.device}, {self.precision}"
        fast = precision(self.device)
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
        norm = torch.nn.utils.clip_grad_norm_(
            [weight for group in chosen.param_groups for weight in group["params"]], self.clip
        )
        if not torch.isfinite(norm):
            raise DivergedError(
                f"step {self.step + 1}: the gradient is not finite; lower "
                "schedule.learning_rate and give --restart"
            )
        chosen.step()


class Training(Generic[Settings, Case]):
    """The part of a training that depends on the network; each part also stands as a keyword.

    Parameters
    ----------
    **parts : callable
        Functions like methods of this class without ``self``, in their place; attributes.

    Attributes
    ----------
    algorithm : str
        Folder in ``algorithms/``.
    settings : type
        Pydantic model of its settings: `TrainingSettings` with further keys.
    roles : tuple of str
        Roles of data, like simulated and real; a folder without a role has the first.
    spare : tuple of str
        Those among the roles that a training may do without.
    published : str
        Name of the module that is averaged and published.
    default : str
        File of its settings in ``algorithms/<name>/training/``.
    also : mapping of callables
        ``also[name](state, cases, settings)`` returns state and settings of a further model of the
        training, ``<model>-<name>``, or None.
    widened : tuple of str
        Arguments of the network of which a parent may have less: its weights for more inputs are 0.
    judged_with : mapping
        Entries of the card's ``parameters`` that hold in validations alone.
    """

    algorithm: str
    settings: type[Settings]
    roles: Texts = ("images",)
    spare: Texts = ()
    published: str = "network"
    default: str = "train.toml"
    fused: bool = False  # optimiser; it rounds otherwise
    also: Mapping[str, Callable[..., tuple[State, Settings] | None]] = MappingProxyType({})
    widened: Texts = ()
    judged_with: Entries = MappingProxyType({})

    def __init__(self, **parts: Any) -> None:  # noqa: ANN401 - as they are
        vars(self).update(parts)

    def find(self, folder: Path, role: str, settings: Settings) -> Sequence[Any]:
        """Return the images of a folder with their files, by its index; InputError of none."""
        return ()

    def case(self, item: Any, role: str, settings: Settings) -> Case:  # noqa: ANN401 - as found
        """Return the case of an image that was found."""
        raise NotImplementedError

    def load(self, folder: Path, role: str, settings: Settings) -> Sequence[Case]:
        """Return the cases in a folder."""
        cases = []
        for item in self.find(folder, role, settings):
            with at(item.image):
                cases.append(self.case(item, role, settings))
        return cases

    def build(self, settings: Settings) -> Parts:
        """Return new modules and their optimisers, both by name.

        Rates of the optimisers are relative to the schedule's. State besides weights is a buffer of
        a module.
        """
        network = import_module(type(settings.network).__module__).build(settings.network)
        optimiser = optimiser_of([network], settings.schedule, fused=self.fused)
        return {"network": network}, {"network": optimiser}

    def batch(self, cases: Cases[Case], settings: Settings, step: int) -> Arrays:
        """Return the arrays of a step by name, from its number alone."""
        raise NotImplementedError

    def losses(self, prediction: Tensor, batch: Tensors, settings: Settings) -> Tensors:
        """Return the loss of the network's answer, ``total``, and its parts, scalars."""
        raise NotImplementedError

    def step(self, state: State, batch: Tensors, settings: Settings) -> Tensors:
        """Call `State.update` for each optimiser and return the losses, scalars by name."""
        with state.autocast():
            prediction = state.modules["network"](batch["image"])
        terms = self.losses(prediction, batch, settings)
        state.update("network", terms["total"])
        return terms

    def describe(self, cases: Cases[Case], settings: Settings) -> Entries:
        """Return measured entries of the card's ``describes``."""
        raise NotImplementedError

    def described(self, cases: Cases[Case], settings: Settings) -> Settings:
        """Return settings with `describes` of the cases, where the card has none."""
        measured = self.describe(cases, settings).items()
        facts = {name: tuple(v) if isinstance(v, list) else v for name, v in measured}
        return settings.with_card(describes={**facts, **settings.card.describes})

    def held_out(self, case: Case, number: int, settings: Settings) -> HeldOut:
        """Return a held-out case, the `number`-th of its role, as a user would bring it."""
        raise NotImplementedError

    def validate(self, state: State, cases: Cases[Case], settings: Settings) -> Iterable[Facts]:
        """Yield the facts about each held-out case, about the set of all, or both.

        Answers are those of the algorithm's own `predict` with ``state.average``. A metric takes
        those facts that hold all that it needs.
        """
        real = self.real(cases, settings)
        answers = list[Volume]()
        for number, case in enumerate(cases[self.roles[0]]):
            scene = self.held_out(case, number, settings)
            try:
                answer = self.answer(state, scene.inputs, settings)
            except InputError as error:  # a failed case, as of a board
                LOGGER.warning("held-out case %d counts as empty: %s", number + 1, error)
                answer = scene.empty
            yield from scene.facts(answer)
            if real:
                answers.append(answer)
        yield from facts_of_sets(real, answers)

    def answer(self, state: State, inputs: Volumes, settings: Settings) -> Volume:
        """Return the first output of the algorithm for a case."""
        return next(iter(self.outputs(state, inputs, settings).values()))

    def outputs(self, state: State, inputs: Volumes, settings: Settings) -> Volumes:
        """Return the outputs of the algorithm for a case, as the card would give them."""
        parameters = {**self.card_parameters(settings), **self.judged_with}
        with using(state.average):
            return outputs_of(self.algorithm, inputs, parameters, settings.card.describes)

    def real(self, cases: Cases[Case], settings: Settings) -> Sequence[Volume]:
        """Return the held-out images that answers should look like, where they are images."""
        return ()

    def picture(self, state: State, cases: Cases[Case], settings: Settings) -> Bytes | None:
        """Return a picture of held-out cases, (H, W) grey or (H, W, 3) red, green, blue, uint8.

        Inputs, answers and images that these should look like, one row each; None for labels.
        """
        few = {role: items[:SHOWN] for role, items in cases.items()}
        if not (real := self.real(few, settings)):
            return None
        items = enumerate(few[self.roles[0]])
        scenes = [self.held_out(item, number, settings) for number, item in items]
        answers = [self.answer(state, scene.inputs, settings) for scene in scenes]
        rows = [[scene.image for scene in scenes], answers, [*real]]
        return joined([joined([views(c) for v in row for c in v.channels], 1) for row in rows], 0)

    def baselines(
        self, cases: Cases[Case], settings: Settings
    ) -> Iterable[tuple[str, Iterable[Facts]]]:
        """Yield the name of each simpler method, and facts as of `validate` by it, for the card."""
        return ()

    def check(self, source: Path | Entries, role: str, settings: Settings) -> None:
        """Refuse a folder, or parameters of a simulation, from which nothing can be learned.

        It is asked before anything is made or read.
        """
        if isinstance(source, Path):
            self.find(source, role, settings)

    def measure(self, cases: Cases[Case], settings: Settings) -> Entries:
        """Return measured entries of the card's ``parameters`` from the cases to train on.

        They win over a parent's, the settings over both; all later calls find them in
        ``settings.card.parameters``.
        """
        return {}

    def prepare_cases(self, cases: Cases[Case], settings: Settings) -> Cases[Case]:
        """Return the cases to train on, changed where that depends on measured parameters."""
        return cases

    def notes(self, cases: Cases[Case], settings: Settings) -> Iterable[str]:
        """Return lines for the user on the cases to train on."""
        return ()

    def card_parameters(self, settings: Settings) -> Json:
        """Return the parameters of the card, with the network where one is trained."""
        if not (settings.schedule.steps or settings.schedule.epochs):
            return settings.card.parameters
        return {"network": settings.network.model_dump(mode="json"), **settings.card.parameters}

    def parameters(self, settings: Settings) -> Any:  # noqa: ANN401 - of the algorithm
        """Return the parameters of the inference; refuse them as `predict` would."""
        model = program(self.algorithm).Parameters
        return parse("card.parameters", self.card_parameters(settings), model)

    def tune(self, state: State, cases: Cases[Case], settings: Settings) -> Entries:
        """Return entries of the card's ``parameters`` chosen on the held-out cases.

        The published weights are those of ``state.average``; the settings' and a parent's win.
        """
        return {}

    def divide(self, folder: Path) -> Paths:
        """Return the parts of one folder that holds several roles, by role; empty for another."""
        return {}

    def translate(self, path: Path, data: Data) -> tuple[Json, list[str]]:
        """Return the settings in a file, and notes for the user; folders of the data by role."""
        return read_toml(path), []

    def brings(self, *names: str) -> bool:
        """Return whether a training has one of these parts itself."""
        return any(
            getattr(getattr(self, name), "__func__", None) is not getattr(Training, name)
            for name in names
        )


Trainer = Training[Any, Any]


def decaying(modules: Iterable[nn.Module], decay: float) -> list[Json]:
    """Return the parameter groups of an optimiser: gains, shifts and biases do not decay."""
    weights = [weight for module in modules for weight in module.parameters()]
    if not decay:
        return [{"params": weights, "weight_decay": 0.0}]
    thick, thin = ([w for w in weights if (w.ndim > 1) == many] for many in (True, False))
    return [{"params": thick, "weight_decay": decay}, {"params": thin, "weight_decay": 0.0}]


def optimiser_of(
    modules: Iterable[nn.Module], schedule: Schedule, *, fused: bool = False
) -> torch.optim.Optimizer:
    """Return the optimiser that a schedule names, at a rate relative to the schedule's."""
    groups = decaying(modules, schedule.weight_decay)
    if schedule.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=1.0, momentum=MOMENTUM)
    return torch.optim.AdamW(groups, lr=1.0, fused=fused)


def adams(
    groups: Mapping[str, Iterable[nn.Module]],
    judges_rate: float,
    decay: float,
    betas: FloatPair,
) -> dict[str, torch.optim.Optimizer]:
    """Return the optimisers of networks that learn against each other, by name."""
    return {
        name: torch.optim.Adam(
            decaying(group, decay), lr=judges_rate if name == "judges" else 1.0, betas=betas
        )
        for name, group in groups.items()
    }


@contextmanager
def still(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Keep networks as they are in the block: gradients pass them alone."""
    for module in modules:
        module.requires_grad_(requires_grad=False)
    try:
        yield
    finally:
        for module in modules:
            module.requires_grad_(requires_grad=True)


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


def rounding(training: Trainer, settings: Settings, state: State, batch: Tensors) -> float:
    """Return the largest relative error of a gradient in fast precision; oneDNN has bugs there."""
    overhung = []
    try:
        with register_module_forward_pre_hook(lambda *call: overhung.append(_overhangs(*call))):
            exact = _gradients(training, settings, state, batch, inf)
    except DivergedError:
        return 0.0  # which the step itself explains
    if any(overhung):
        return inf
    try:
        fast = _gradients(training, settings, state, batch, 0.0)
    except DivergedError:
        return inf
    errors = [torch.zeros(())]
    for name, gradients in exact.items():
        least = _FAINT * torch.stack([gradient.norm() for gradient in gradients]).norm()
        # Gains, shifts and biases before a norm over an image have gradients near 0.
        errors += [
            (approximate - gradient).norm() / gradient.norm().maximum(least)
            for gradient, approximate in zip(gradients, fast[name], strict=True)
            if gradient.ndim > 1 and gradient.any()
        ]
    return float(torch.stack(errors).max())


def _overhangs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> bool:
    """Return whether a convolution is longer along z than its input.

    In bfloat16 oneDNN leaves parts of its gradient unwritten, and may write beyond the end.
    """
    return isinstance(layer, nn.Conv3d) and 1 < inputs[0].shape[2] < layer.kernel_size[0]


def _gradients(
    training: Trainer, settings: Settings, state: State, batch: Tensors, assumed: float
) -> dict[str, list[Tensor]]:
    """Return the gradients of each optimiser at a copy of a state, with an assumed `rounding`."""
    probe = deepcopy(state)
    probe.rounding, probe.clip, probe.step = assumed, inf, -1  # at -1 every network takes a turn
    torch.manual_seed(settings.schedule.seed)
    weights: dict[str, list[Tensor]] = {}
    for name, optimiser in probe.optimisers.items():
        weights[name] = []
        for group in optimiser.param_groups:
            group["lr"] = 0.0
            weights[name] += group["params"]
        for weight in weights[name]:
            if weight.ndim > 1 and not weight.any():
                torch.nn.init.normal_(weight, std=_STIR)
    for module in probe.modules.values():
        module.train()
    training.step(probe, batch, settings)
    return {
        name: [weight.grad for weight in group if weight.grad is not None]
        for name, group in weights.items()
    }
