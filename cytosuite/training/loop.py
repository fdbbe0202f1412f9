"""The training loop, from the data to the published model."""

import time
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from math import inf
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from cytosuite.errors import CytosuiteError, InputError
from cytosuite.manifest import read_card
from cytosuite.network import put_tensors, tensors_of
from cytosuite.training.check import need_hooks, need_roles
from cytosuite.training.checkpoint import Data, Origin, origin, restore, save
from cytosuite.training.curves import draw_curves, draw_picture, read_curves, thinned
from cytosuite.training.parts import (
    Arrays,
    Best,
    Case,
    Cases,
    State,
    Tensors,
    Training,
    update_average,
)
from cytosuite.training.progress import Log, ahead, line, polite_interrupt
from cytosuite.training.publish import ALGORITHMS, publish, rounded
from cytosuite.training.rounding import rounding
from cytosuite.training.settings import Settings
from cytosuite.training.validate import hold_out, score, wanted_metrics
from cytosuite.weights import open_model

Say = Callable[[str], None]

LIBRARY = Path(__file__).parents[1]

DRAWERS = {"cpu": 0, "cuda": 8}  # threads: a GPU waits for batches, a CPU has none to spare


class StoppedError(CytosuiteError):
    """The training was interrupted and can be resumed."""

    exit_code = 130


def train(
    training: Training[Settings, Case],
    settings: Settings,
    data: Data,
    card: Path,
    *,
    work: Path,
    resume: bool = True,
    parent: Path | None = None,
    device: str = "cpu",
    say: Say = lambda _: None,
) -> Path:
    """Train a network, and return the path of its card.

    Parameters
    ----------
    training : Training
        The part that depends on the network.
    settings : TrainingSettings
    data : mapping of str to sequence of Path
        Folders by role.
    card : Path
        ``<name>.json`` of the new model; its weights lie next to it.
    work : Path
        Folder for ``*.csv``, ``curves.svg``, ``checkpoint.pt`` and ``pictures/step-<step>.png``.
    resume : bool
        Whether to go on from a checkpoint.
    parent : Path, optional
        Card to start from. Its parameters hold where the settings give none.
    device : {"cpu", "cuda"}
    say : callable
        Receives lines for the user.

    Raises
    ------
    InputError
        If data, parent, validation or checkpoint do not fit, or nothing is trained or measured.
    StoppedError
        After Ctrl-C, once the checkpoint is written.
    DivergedError
        If a gradient is not finite.

    Notes
    -----
    On a CPU with one thread the weights depend on data, settings, parent and kind of processor; on
    a GPU two trainings differ, as gradients are summed in the order in which they come.
    """
    need_roles(training, data)
    need_hooks(training, settings)
    made_from = origin(data, settings, [ALGORITHMS / training.algorithm, LIBRARY], parent)
    state = begin(training, settings, parent, device)
    if resume and settings.schedule.steps and (work / "checkpoint.pt").is_file():
        restore(state, work / "checkpoint.pt", made_from)
        say(f"resumed after step {state.step} of {settings.schedule.steps}")
    cases, held = _load(training, settings, data, say)
    settings = complete(training, settings, cases, parent, say)
    cases = training.prepare(cases, settings) if training.prepare else cases
    _run(training, settings, state, cases, held, work, made_from, say)
    facts = made_from | _course(settings, state, work, say)
    if parent is not None and state.best is not None:
        theirs = _parent_scores(training, settings, held, parent, device)
        facts["parent"] = {**made_from["parent"], "scores": theirs}
    publish(training, settings, state, cases, held, card, facts, data)
    if not read_card(card).adopted:
        say(f"used only by its name, --model {card.stem}, until `cytosuite adopt {card}`")
    return card


def _parent_scores(
    training: Training[Settings, Case],
    settings: Settings,
    held: Cases[Case],
    parent: Path,
    device: str,
) -> dict[str, float]:
    """Return the scores of a parent, with its own parameters, on the held-out cases."""
    assert training.validate is not None  # see need_hooks
    own = {key: value for key, value in read_card(parent).parameters.items() if key != "network"}
    settings = settings.with_card(parameters={**settings.card.parameters, **own})
    start = begin(training, settings, parent, device)
    return rounded(
        score(wanted_metrics(settings.validation), training.validate(start, held, settings))
    )


def _course(settings: Settings, state: State, work: Path, say: Say) -> dict[str, Any]:
    """Return a few points of every curve of a training for its card, and whether it ended early."""
    found = read_curves(work / "log.csv") | read_curves(work / "validation.csv")
    course: dict[str, Any] = {"curves": {name: thinned(curve) for name, curve in found.items()}}
    if settings.schedule.steps:
        say(f"curves: {work / 'curves.svg'}")
    if state.step < settings.schedule.steps:
        say(f"stopped early: no better score in the last {state.stale} validations")
        course["stopped_early"] = True
    return course


def complete(
    training: Training[Settings, Case],
    settings: Settings,
    cases: Cases[Case],
    parent: Path | None,
    say: Say,
) -> Settings:
    """Return settings with measured parameters below their own and, below these, a parent's.

    Parameters as of `train`; `cases` are those to train on.
    """
    own = settings.card.parameters
    if parent is not None:
        settings = settings.inheriting(read_card(parent))
    found = dict(training.measure(cases, settings)) if training.measure else {}
    measured = {name: value for name, value in found.items() if name not in own}
    if measured:
        say(f"measured: {', '.join(sorted(measured))}")
    if parent is not None:
        kept = ", ".join(sorted(set(settings.card.parameters) - {*own, *measured}))
        say(
            f"from {parent.stem}: {kept or 'no parameters'} kept, "
            f"{', '.join(sorted(own)) or 'none'} by the settings"
        )
    return settings.with_card(parameters={**settings.card.parameters, **measured})


def begin(
    training: Training[Settings, Case], settings: Settings, parent: Path | None, device: str
) -> State:
    """Return new networks, or one with a parent's weights, and their optimisers.

    Parameters and errors as of `train`.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: no GPU was found here; use the device cpu")
    torch.manual_seed(settings.schedule.seed)
    modules, optimisers = training.build(settings)
    network = modules[training.published]
    if parent is not None:
        made_for, arguments = read_card(parent), settings.network.model_dump(mode="json")
        if (found := made_for.parameters.get("network")) != arguments:
            raise InputError(
                f"{parent}: expected the network {arguments}, found {found}; change [network] in "
                "the settings"
            )
        weights = open_model(parent.parent, made_for).weights
        if weights is None:
            raise InputError(f"{parent}: this model has no weights to start from")
        put_tensors(network, load_file(weights), weights)
    average = deepcopy(network).eval()
    for module in (*modules.values(), average):
        module.to(device)
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return State(modules, optimisers, average, device, settings.schedule.clip)


def _load(
    training: Training[Settings, Case], settings: Settings, data: Data, say: Say
) -> tuple[Cases[Case], Cases[Case]]:
    """Return the cases to train on and those held out, both by role."""
    found: dict[str, list[Case]] = {}
    for role in training.roles:
        say(f"reading {', '.join(str(folder) for folder in data[role])}")
        found[role] = [
            case for folder in data[role] for case in training.load(folder, role, settings)
        ]
    amount = settings.validation.cases if settings.validation.every else 0
    if 0 < amount < 1 and any(len(of_role) < 2 for of_role in found.values()):
        say("a single case: none is held out, so the model has no score and is used by name only")
        amount = 0
    cases, held = hold_out(found, amount)
    for role, kept in cases.items():
        say(f"cases of {role}: {len(kept)} to train on, {len(held[role])} held out")
    for remark in training.remark(cases, settings) if training.remark else ():
        say(remark)
    return cases, held


def _run(
    training: Training[Settings, Case],
    settings: Settings,
    state: State,
    cases: Cases[Case],
    held: Cases[Case],
    work: Path,
    made_from: Origin,
    say: Say,
) -> None:
    """Take the steps that are left: report, validate, save, and stop when the user asks to."""
    schedule, every = settings.schedule, settings.validation.every
    first, before, began = state.step, state.seconds, time.perf_counter()
    log, scores = (Log(work / name, after=first) for name in ("log.csv", "validation.csv"))
    draw = partial(training.batch, cases, settings)
    validate = partial(_validate, training, settings, state, held, scores, say)
    count = sum(weight.numel() for weight in state.average.parameters())
    how = f"{count:,} weights, {state.precision} on {state.device}"
    say(how if schedule.steps else "no network is trained")
    if every and any(held.values()) and not schedule.steps:
        validate()
    stop = first if _stale(settings, state) else schedule.steps
    recent: list[Tensor] = []
    with polite_interrupt() as asked:
        for step, batch in ahead(draw, first, stop, DRAWERS[state.device]):
            _choose_precision(training, settings, state, batch, say)
            losses = take_step(training, settings, state, batch)
            recent.append(torch.stack(list(losses.values())).detach())
            state.seconds = before + time.perf_counter() - began
            last = state.step == schedule.steps
            if state.step % schedule.report == 0 or last:
                means = dict(zip(losses, torch.stack(recent).mean(0).tolist(), strict=True))
                recent.clear()
                costs = {"rate": schedule.rate(step), "seconds": state.seconds}
                log.add(state.step, means | costs)
                pace = (state.seconds - before) / (state.step - first)
                say(line(state.step, schedule.steps, means, pace))
            if every and any(held.values()) and (state.step % every == 0 or last):
                validate()
                last = last or _stale(settings, state)
            if state.step % schedule.checkpoint == 0 or last or asked.is_set():
                save(state, work / "checkpoint.pt", made_from)
                _draw(work)
            if asked.is_set() and not last:
                raise StoppedError(
                    f"stopped after step {state.step}; the same command goes on from there"
                )
            if last:
                break


def _choose_precision(
    training: Training[Settings, Case], settings: Settings, state: State, batch: Arrays, say: Say
) -> None:
    """Fall back to float32, with a line, where the first gradient of a CPU is wrong in bfloat16."""
    if state.rounding is not None or state.device != "cpu" or state.precision == torch.float32:
        return
    state.rounding = rounding(training, settings, state, _tensors(batch, state.device))
    if state.precision == torch.float32:
        say(state.place)


def _stale(settings: Settings, state: State) -> bool:
    """Return whether there has been no better score for so long that the training ends."""
    patience = settings.validation.patience
    return 0 < patience <= state.stale


def _draw(work: Path) -> None:
    """Draw the losses together and each score in a plot of its own: their units differ."""
    scores = read_curves(work / "validation.csv").items()
    plots = [read_curves(work / "log.csv"), *({name: curve} for name, curve in scores)]
    draw_curves(plots, work / "curves.svg")


def take_step(
    training: Training[Settings, Case], settings: Settings, state: State, batch: Arrays
) -> Tensors:
    """Take one step of all optimisers, which changes the state, and return the losses before it.

    Raises
    ------
    DivergedError
        If a gradient is not finite.
    """
    schedule = settings.schedule
    # A stream of random numbers per step: a resumed training draws the same ones.
    torch.manual_seed(schedule.seed * 1_000_003 + state.step)
    for optimiser in state.optimisers.values():
        for group in optimiser.param_groups:
            group["lr"] = group["initial_lr"] * schedule.rate(state.step)
    for module in state.modules.values():
        module.train()
    losses = training.step(state, _tensors(batch, state.device), settings)
    update_average(state.average, state.modules[training.published], schedule.average, state.step)
    state.step += 1
    return losses


def _tensors(batch: Arrays, device: str) -> Tensors:
    """Return the arrays of a batch on a device."""
    return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}


def _validate(
    training: Training[Settings, Case],
    settings: Settings,
    state: State,
    held: Cases[Case],
    log: Log,
    say: Say,
) -> None:
    """Score the held-out cases, draw them, and keep the weights if they are the best so far."""
    assert training.validate is not None  # see need_hooks
    metrics = wanted_metrics(settings.validation)
    found = score(metrics, training.validate(state, held, settings))
    log.add(state.step, found)
    say(f"{', '.join(f'{name} {value:.4g}' for name, value in found.items())} of held-out cases")
    if training.picture is not None:
        picture = training.picture(state, held, settings)
        draw_picture(picture, log.path.parent / "pictures" / f"step-{state.step:06d}.png")
    metric, *others = metrics
    value, sign = found[metric.name], 1 if metric.higher_is_better else -1
    state.stale += 1
    # NaN, where the metric is undefined, is never the better one.
    if sign * value > (sign * state.best.score if state.best else -inf):
        weights = {name: tensor.clone() for name, tensor in tensors_of(state.average).items()}
        also = {other.name: found[other.name] for other in others}
        state.best, state.stale = Best(value, state.step, weights, also), 0
