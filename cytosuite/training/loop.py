"""The training loop, from the data to the published model."""

import time
from collections.abc import Collection, Sequence
from copy import deepcopy
from functools import partial
from math import ceil, inf, isnan
from pathlib import Path
from typing import Generic

import torch
from safetensors.torch import load_file
from torch import nn

from cytosuite.contract.manifest import parse, read_card
from cytosuite.contract.weights import open_model
from cytosuite.contract.words import Say
from cytosuite.errors import CytosuiteError, InputError
from cytosuite.figures.curves import plots
from cytosuite.files import FloatDict, Json, frozen, write_text
from cytosuite.folders.entries import case_name, key_of
from cytosuite.folders.splits import TABLE, Placed, split_rows
from cytosuite.formats.lists import list_of
from cytosuite.metrics.metric import AnyMetric
from cytosuite.networks.network import put_tensors, reused_memory, tensors_of
from cytosuite.training.checkpoint import Origin, origin, restore, save
from cytosuite.training.parts import (
    Arrays,
    Best,
    Case,
    Cases,
    Data,
    State,
    Tensors,
    Trainer,
    Training,
    rounding,
    update_average,
)
from cytosuite.training.progress import (
    Log,
    ahead,
    draw_picture,
    line,
    listed,
    polite_interrupt,
    thinned,
    write_rows,
)
from cytosuite.training.publish import ALGORITHMS, publish, rounded
from cytosuite.training.settings import Settings
from cytosuite.training.validate import (
    FEW,
    bounded,
    divided,
    hold_out,
    in_sight,
    judged,
    least_gain,
    score,
    some,
    wanted_metrics,
)

CHECKPOINT = "checkpoint.pt"
LIBRARY = Path(__file__).parents[1]
DRAWERS = {"cpu": 0, "cuda": 8}  # threads: a GPU waits for batches, a CPU has none to spare
_SILENT_S = 10.0  # between two lines, where a step takes long
_LEAST_S = 20.0  # for all validations of a training, however short


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
    """Train a network on folders by role; its card and weights go to its folder, logs to `work`.

    A CPU with one thread repeats the weights; a GPU sums gradients in the order in which they come.
    """
    need_data(training, settings, data)
    code = [ALGORITHMS / training.algorithm, LIBRARY]
    known = with_parameters(settings, parent)
    made_from = origin(data, known, code, parent)
    state = begin(training, settings, parent, device)
    if resume and settings.schedule.steps and (work / CHECKPOINT).is_file():
        restore(state, work / CHECKPOINT, made_from)
        whole = settings.schedule.epochs and f"{settings.schedule.epochs} epochs"
        say(f"resumed after step {state.step} of {whole or settings.schedule.steps}")
    cases, held = _load(training, known, data, say, work)
    settings = complete(training, settings, cases, parent, say)
    training.parameters(settings)  # refused ones are known before the first step
    cases = training.prepare_cases(cases, settings)
    settings = with_steps(training, settings, cases, say)
    logs = (Log(work / name, after=state.step) for name in ("log.csv", "validation.csv"))
    course = _Course(training, training.described(cases, settings), state, held, work, say, *logs)
    course.run(cases, made_from)
    if state.best:
        put_tensors(state.average, state.best.weights, work)
        chosen = {**training.tune(state, course.judged, settings), **settings.card.parameters}
        settings = settings.with_card(parameters=chosen)
    facts = made_from | course.facts()
    for name, further in training.also.items():
        if (model := further(state, cases, settings)) is not None:
            path = card.with_stem(f"{card.stem}-{name}")
            publish(training, model[1], model[0], cases, held, path, facts, data)
            say(f"written: {path}")
    if parent and state.best:
        chosen = {**settings.card.parameters, **_parameters(parent)}
        theirs = course.settings.with_card(parameters=chosen)
        start = begin(training, theirs, parent, device)
        facts["parent"] = made_from["parent"] | course.compared(start, theirs)
    publish(training, settings, state, cases, held, card, facts, data)
    if not read_card(card).adopted:
        use = f"cytosuite model use {training.algorithm}:{card.stem}"
        say(f"used only by its name, --model {card.stem}, until `{use}`")
    return card


def need_data(training: Trainer, settings: Settings, roles: Collection[str]) -> None:
    """Raise InputError for a missing role, and for a missing hook that the settings need."""
    if set(training.roles) - {*roles, *training.spare}:
        raise InputError(
            f"data: {training.algorithm} learns from {' and '.join(training.roles)}, found "
            f"{' and '.join(roles) or 'none'}; give each as role=folder"
        )
    if not settings.schedule.steps and not training.brings("measure"):
        raise InputError(
            f"schedule.steps: {training.algorithm} measures nothing without a training; expected "
            "1 or more, found 0"
        )
    if settings.validation.every:
        wanted_metrics(settings.validation)
        if not training.brings("validate", "held_out"):
            raise InputError(
                f"validation.every: {training.algorithm} has no validation; leave it out"
            )


def begin(training: Trainer, settings: Settings, parent: Path | None, device: str) -> State:
    """Return new networks, or a parent's weights, with their optimisers; errors as of `train`."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda: no GPU was found here; use the device cpu")
    torch.manual_seed(settings.schedule.seed)
    modules, optimisers = training.build(settings)
    descend = all(isinstance(optimiser, torch.optim.SGD) for optimiser in optimisers.values())
    if settings.schedule.optimiser == "sgd" and not descend:
        raise InputError(
            f"schedule.optimiser: {training.algorithm} has its own optimiser; leave sgd out"
        )
    network = modules[training.published]
    if parent:
        parent_card = read_card(parent)
        arguments = settings.network
        theirs = parent_card.parameters.get("network")
        wider = {name: getattr(arguments, name) for name in training.widened}
        if theirs is None or (
            parse(f"{parent}: network", {**theirs, **wider}, type(arguments)) != arguments
        ):
            raise InputError(
                f"{parent}: expected the network {arguments.model_dump(mode='json')}, found "
                f"{theirs}; change [network] in the settings"
            )
        weights = open_model(parent.parent, parent_card).weights
        if not weights:
            raise InputError(f"{parent}: this model has no weights to start from")
        put_tensors(network, _widened(load_file(weights), network), weights)
    average = deepcopy(network).eval()
    for module in (*modules.values(), average):
        module.to(device)
    for optimiser in optimisers.values():
        for group in optimiser.param_groups:
            group["initial_lr"] = group["lr"]
    return State(modules, optimisers, average, device, settings.schedule.clip)


def _widened(stored: Tensors, network: nn.Module) -> Tensors:
    """Return weights as of a network that may have more inputs, for which new ones are 0."""
    wider = dict(stored)
    for name, value in tensors_of(network).items():
        less = stored.get(name, value)
        if value.ndim > 1 and less.shape[1:2] < value.shape[1:2]:
            wider[name] = torch.zeros_like(value)
            wider[name][:, : less.shape[1]] = less
    return wider


def _load(
    training: Training[Settings, Case], settings: Settings, data: Data, say: Say, work: Path
) -> tuple[Cases[Case], Cases[Case]]:
    """Return the cases to train on and the held-out ones, by role; test cases stay unseen."""
    roles = [role for role in training.roles if role in data]
    cases, held = ({role: list[Case]() for role in roles} for _ in range(2))
    placed: dict[str, list[Placed]] = {}
    for role in roles:
        for folder in data[role]:
            say(f"reading {folder}")
            parts, division = divided(
                folder, training.load(folder, role, settings), settings.files, say
            )
            if division:
                placed[str(folder)] = [*division.placed]
            cases[role] += parts.get("train", [])
            held[role] += parts.get("validate", [])
            listed = list_of(folder, "val")
            if listed and settings.validation.every:
                held[role] += training.load(listed, role, settings)
            elif listed:
                say(f"not read, since validation.every is 0: {listed}")
    whole = {role: of_role for role, of_role in cases.items() if not held[role]}
    amount = settings.validation.cases if settings.validation.every else 0
    if 0 < amount < 1 and any(len(of_role) < 2 for of_role in whole.values()):
        say("a single case: none is held out, so the model has no score and is used by name only")
        amount = 0
    for role, role_cases in whole.items():
        cases[role], held[role] = hold_out(role_cases, amount, role)
        for case in held[role]:
            if path := getattr(case, "path", None):
                home = next((place for place in data[role] if place in path.parents), path.parent)
                placed.setdefault(str(home), []).append(
                    Placed(case_name(key_of(path)), "validate", "drawn")
                )
    if rows := split_rows(placed):
        write_rows(work / TABLE, rows)
        say(f"parts of images: {work / TABLE}")
    for role, role_cases in cases.items():
        say(f"cases of {role}: {len(role_cases)} to train on, {len(held[role])} held out")
    for note in training.notes(cases, settings):
        say(note)
    return cases, held


def with_parameters(settings: Settings, parent: Path | None) -> Settings:
    """Return settings with a parent's parameters in place of those that they leave out."""
    theirs = _parameters(parent) if parent else {}
    return settings.with_card(parameters=theirs | settings.card.parameters)


def _parameters(card: Path) -> Json:
    """Return the parameters of a model but for its network."""
    return {key: value for key, value in read_card(card).parameters.items() if key != "network"}


def complete(
    training: Training[Settings, Case],
    settings: Settings,
    cases: Cases[Case],
    parent: Path | None,
    say: Say,
) -> Settings:
    """Return settings with their own parameters over the measured ones over a parent's."""
    stated = settings.card.parameters
    settings = with_parameters(settings, parent)
    values = training.measure(cases, settings)
    measured = {name: value for name, value in values.items() if name not in stated}
    if measured:
        say(f"measured: {', '.join(sorted(measured))}")
    if parent:
        inherited = ", ".join(sorted(set(settings.card.parameters) - {*stated, *measured}))
        say(
            f"from {parent.stem}: {inherited or 'no parameters'} kept, "
            f"{', '.join(sorted(stated)) or 'none'} by the settings"
        )
    return settings.with_card(parameters={**settings.card.parameters, **measured})


def with_steps(
    training: Training[Settings, Case], settings: Settings, cases: Cases[Case], say: Say
) -> Settings:
    """Return settings with the steps of their epochs: each takes as many crops as cases."""
    epochs = settings.schedule.epochs
    if not epochs:
        return settings
    batch = max(map(len, training.batch(cases, settings, 0).values()))
    count = max(map(len, cases.values()))
    say(f"{epochs} epochs of {ceil(count / batch)} steps: {count} cases, {batch} in a batch")
    return settings.with_schedule(steps=epochs * ceil(count / batch), epochs=epochs)


@frozen
class _Course(Generic[Settings, Case]):
    """The steps of a training with their log, validations and checkpoints."""

    training: Training[Settings, Case]
    settings: Settings
    state: State
    held: Cases[Case]
    work: Path
    say: Say
    log: Log  # of losses
    scores: Log

    def run(self, cases: Cases[Case], made_from: Origin) -> None:
        """Take the steps that are left; StoppedError once the user asks to stop."""
        training, settings, state = self.training, self.settings, self.state
        schedule = settings.schedule
        every = settings.validation.every
        first, before, began = state.step, state.seconds, time.perf_counter()
        spoken = began
        used = state.cpu_seconds - time.process_time()
        count = sum(weight.numel() for weight in state.average.parameters())
        how = f"{count:,} weights, {state.precision} on {state.device}"
        self.say(how if schedule.steps else "no network is trained")
        judged = bool(every) and any(self.held.values())
        if judged and not schedule.steps:
            self._validate()
        stop = first if self._is_stale else schedule.steps
        draw = partial(training.batch, cases, settings)
        recent = state.recent
        with reused_memory(), polite_interrupt() as asked:
            for step, batch in ahead(draw, first, stop, DRAWERS[state.device]):
                self._choose_precision(batch)
                losses = take_step(training, settings, state, batch)
                recent.append(torch.stack(list(losses.values())).detach())
                state.seconds = before + time.perf_counter() - began
                state.cpu_seconds = used + time.process_time()
                last = state.step == schedule.steps
                due = state.step % schedule.report == 0 or last
                if due or time.perf_counter() - spoken > _SILENT_S:
                    means = dict(zip(losses, torch.stack(recent).mean(0).tolist(), strict=True))
                    pace = (state.seconds - before) / (state.step - first)
                    self.say(line(state.step, schedule.steps, means, pace))
                    spoken = time.perf_counter()
                if due:
                    recent.clear()
                    costs = {"rate": schedule.rate(step), "seconds": state.seconds}
                    self.log.add(state.step, means | costs)
                if judged and (last or self._is_due):
                    self._validate()
                    last = last or self._is_stale
                if state.step % schedule.checkpoint == 0 or last or asked.is_set():
                    save(state, self.work / CHECKPOINT, made_from)
                    self._draw()
                if asked.is_set() and not last:
                    raise StoppedError(
                        f"stopped after step {state.step}; the same command goes on from there"
                    )
                if last:
                    break

    @property
    def judged(self) -> Cases[Case]:
        """Held-out cases that a validation scores."""
        return judged(self.held, self.state)

    @property
    def _is_due(self) -> bool:
        """Whether a validation comes after this step."""
        seldom = 1 if self.state.bound is None else self.state.bound[1]
        return self.state.step % (self.settings.validation.every * seldom) == 0

    @property
    def _is_stale(self) -> bool:
        return 0 < self.settings.validation.patience <= self.state.stale

    def _choose_precision(self, batch: Arrays) -> None:
        """Fall back to float32 where the first gradient of a CPU is wrong in bfloat16."""
        state = self.state
        if state.rounding is None and state.device == "cpu" and state.precision != torch.float32:
            state.rounding = rounding(
                self.training, self.settings, state, _tensors(batch, state.device)
            )
            if state.precision == torch.float32:
                self.say(state.place)

    def _draw(self) -> None:
        """Draw the losses in one plot and each score in its own: their units differ."""
        scores = ({name: curve} for name, curve in self.scores.curves.items())
        parts = [("", curves) for curves in (self.log.curves, *scores)]
        write_text(self.work / "curves.svg", plots(parts, "step"))

    def facts(self) -> Json:
        """Return a few points of every curve for the card, and whether the training ended early."""
        state = self.state
        steps = self.settings.schedule.steps
        curves = self.log.curves | self.scores.curves
        course: Json = {"curves": {name: thinned(curve) for name, curve in curves.items()}}
        if steps:
            self.say(f"curves: {self.work / 'curves.svg'}")
        if state.step < steps:
            self.say(f"stopped early: no better score in the last {state.stale} validations")
            course["stopped_early"] = True
        return course

    def compared(self, parent: State, settings: Settings) -> Json:
        """Return scores of a parent, the number of cases, and the `least_gain` over it."""
        metrics = wanted_metrics(self.settings.validation)
        gains = (list[float](), list[float]())
        cases = self.judged
        both = ((self.state, self.settings), (parent, settings))
        for (state, its), values in zip(both, gains, strict=True):
            scores = score(metrics, self.training.validate(state, cases, its), values)
        least = least_gain(*gains, 1 if metrics[0].higher_is_better else -1)
        return {"scores": rounded(scores), "cases": len(values), **rounded({"least_gain": least})}

    def _validate(self) -> None:
        """Score the held-out cases, draw them, and keep the weights if they are the best so far."""
        state = self.state
        training = self.training
        metrics = wanted_metrics(self.settings.validation)
        began = time.perf_counter()
        scores_by_metric = self._scores(metrics)
        self.scores.add(state.step, scores_by_metric)
        took = f"in {time.perf_counter() - began:.3g} s"
        self.say(f"{listed(scores_by_metric)} of held-out cases, {took}")
        if undefined := [name for name, value in scores_by_metric.items() if isnan(value)]:
            self.say(f"{', '.join(undefined)}: too little in the held-out cases to measure it by")
        picture = training.picture(state, self.judged, self.settings)
        if picture is not None:
            draw_picture(picture, self.work / f"pictures/step-{state.step:06d}.png")
        value = scores_by_metric.pop(metrics[0].name)
        sign = 1 if metrics[0].higher_is_better else -1
        state.stale += 1
        # NaN, where the metric is undefined, is never the better one.
        if sign * value > (sign * state.best.score if state.best else -inf):
            weights = {name: tensor.clone() for name, tensor in tensors_of(state.average).items()}
            state.best, state.stale = Best(value, state.step, weights, scores_by_metric), 0

    def _scores(self, metrics: Sequence[AnyMetric]) -> FloatDict:
        """Return scores of held-out cases; the first validation, of a few, bounds all others."""
        state = self.state
        validation = self.settings.validation
        steps = self.settings.schedule.steps

        def scored(cases: Cases[Case]) -> FloatDict:
            """Return the scores of some cases, and say how far they are."""
            facts = self.training.validate(state, cases, self.settings)
            return score(metrics, in_sight(facts, max(map(len, cases.values())), self.say))

        if state.bound is not None or not steps or validation.share == 1:
            return scored(self.judged)
        few = some(self.held, FEW)
        most = max(map(len, self.held.values()))
        began = time.perf_counter()
        first_scores = scored(few)
        case_s = (time.perf_counter() - began) / max(map(len, few.values()))
        seconds = max(_LEAST_S, validation.share * state.seconds / state.step * steps)
        state.bound = bounded(seconds / case_s, most, ceil(steps / validation.every))
        cases, seldom = state.bound
        if cases < most or seldom > 1:
            self.say(
                f"validation: {cases} of {most} held-out cases, each {validation.every * seldom} "
                f"steps, as a case takes {case_s:.2g} s (validation.share {validation.share:g})"
            )
        return scored(self.judged) if cases > FEW else first_scores


def take_step(training: Trainer, settings: Settings, state: State, batch: Arrays) -> Tensors:
    """Take one step of all optimisers, and return the losses before it; may raise DivergedError."""
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
    return {name: torch.from_numpy(array).to(device) for name, array in batch.items()}
