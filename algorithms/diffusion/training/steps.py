"""Steps of the three trainings of a denoiser: noised images, judged ones, those of a teacher."""

from functools import partial
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.denoising.network import build, clean_image
from cytosuite.denoising.noise import phase, step_weights
from cytosuite.denoising.sampling import sample
from cytosuite.training.denoise import denoising_step, with_further
from cytosuite.training.judges import (
    Changes,
    ImagePool,
    Judges,
    apart,
    changed,
    judged_as,
    level_change,
    misread,
    slope,
)
from cytosuite.training.parts import Modules, Parts, State, Tensors, adams, optimiser_of, still

_WINDOW = (3, 7, 7)  # voxels, twice, of levels that likeness counts: texture is free


def parts(settings: Settings) -> Parts:
    """Return the networks of a loss, and their optimisers."""
    network = settings.network
    adversary = settings.adversary
    modules: dict[str, nn.Module] = {"network": build(network)}
    if settings.loss == "distillation":
        modules["teacher"] = build(network).requires_grad_(requires_grad=False)
    if settings.loss != "adversarial":
        return modules, {"network": optimiser_of([modules["network"]], settings.schedule)}
    seen = network.channels * (1 + (not adversary.unpaired)) + len(network.position)
    modules["judges"] = Judges(adversary.judge, adversary.judges, seen, network.dimensions)
    modules["changes"] = Changes(adversary.adapt)
    modules["pool"] = ImagePool(adversary.pool, (seen, *settings.crops.shape))
    if adversary.structure:
        bare = {"conditioned": False, "position": (), "noise_channel": None}
        halved = {"widths": tuple(max(1, width // 2) for width in network.widths)}
        modules["reader"] = build(network.model_copy(update=bare | halved))
    groups: dict[str, list[nn.Module]] = {
        name: [modules[name]] for name in ("network", "judges", "reader") if name in modules
    }
    return modules, adams(groups, adversary.rate, settings.schedule.weight_decay, adversary.betas)


def _expected(network: nn.Module, noised: Tensor, signal: float, batch: Tensors) -> Tensor:
    """Return the clean crops that a network of velocity expects of noised ones."""
    time = torch.full((len(noised),), float(phase(signal)), device=noised.device)
    return clean_image(network(with_further(noised, batch), time), noised, time, "velocity")


def _distillation(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step towards the crops that a step must expect to end where the teacher's do.

    The teacher takes several steps for one (Salimans, Ho, ICLR 2022,
    doi:10.48550/arXiv.2202.00512), from a noised image on; it is the network of the first step.
    """
    network = state.modules["network"]
    teacher = state.modules["teacher"]
    if state.step == 0:
        teacher.load_state_dict(network.state_dict())
    process = settings.process
    signal = process.schedule.signal()
    ends = process.schedule.stops(process.start, process.steps).tolist()
    number = state.step % process.steps
    first = ends[number]
    count = settings.teacher_steps // process.steps
    if number == process.steps - 1:
        levels = process.schedule.visited(first + 1, min(count, first + 1))
    else:
        between = np.linspace(first, ends[number + 1], count + 1)
        levels = signal[np.unique(np.rint(between).astype(int))[::-1]]
    angle = phase(float(levels[0]))
    noised = np.cos(angle) * batch["image"] + np.sin(angle) * batch["noise"]
    low, high = settings.card.parameters["process"]["range"]

    @torch.no_grad()
    def taught(values: Tensor, level: float) -> Tensor:
        """Return the crops that the teacher expects, within the range."""
        with state.autocast():
            return _expected(teacher, values, level, batch).clamp(low, high)

    ended = sample(noised.clone(), taught, levels, lambda _: noised)
    weights = step_weights(float(levels[0]), float(levels[-1]), "ddim")
    goal = (ended - weights.noised * noised) / weights.clean
    with state.autocast():
        crops = _expected(network, noised, float(levels[0]), batch)
    loss = (crops - goal).square().mean()
    state.update("network", loss)
    return {"loss": loss.detach()}


def _adversarial(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step of the network that judges and reader see, then of these, on one-pass crops."""
    modules = state.modules
    asked = {**batch, **{name[6:]: batch[name] for name in batch if name.startswith("asked_")}}
    # Of real crops: the reader's own loss, and all that is asked of made ones.
    read = None
    if settings.adversary.structure:
        with state.autocast():
            read = _misread(modules, batch["image"], batch)
    with still([modules[name] for name in ("judges", "reader") if name in modules]):
        with state.autocast():
            crops = _expected(modules["network"], batch["noise"], settings.process.left, asked)
            losses = _losses(modules, crops, asked, batch, settings)
            if read is not None:
                more = relu(_misread(modules, crops, asked) - read.detach())
                losses["structure"] = settings.adversary.structure * more
        state.update("network", sum(losses.values(), torch.zeros((), device=state.device)))
    if read is not None:
        state.update("reader", read)
        losses["reader"] = read
    losses["judges"] = _judges_step(state, crops.detach(), asked, batch, settings)
    losses["changes"] = cast(Changes, modules["changes"]).share
    return {name: value.detach().clone() for name, value in losses.items()}


def _losses(
    modules: Modules, crops: Tensor, asked: Tensors, batch: Tensors, settings: Settings
) -> dict[str, Tensor]:
    """Return the weighted parts of the loss of made crops by judges and likeness, by name."""
    adversary = settings.adversary
    judges = modules["judges"]
    changes = cast(Changes, modules["changes"]).drawn(len(crops))
    count = settings.network.channels
    answers = judges(changed(_seen(crops, asked, settings), changes, count))
    losses = {"fooled": _verdict(answers, adversary.game, real=True)}
    if adversary.features:
        with torch.no_grad():
            real = judges(changed(_seen(batch["image"], batch, settings), changes, count))
        differences = [
            (one.float() - other.float()).abs().mean()
            for ours, theirs in zip(answers, real, strict=True)
            for one, other in zip(ours[:-1], theirs[:-1], strict=True)
        ]
        losses["features"] = adversary.features * torch.stack(differences).mean()
    if adversary.likeness:
        like = crops
        if adversary.unpaired:
            like = _expected(modules["network"], batch["noise"], settings.process.left, batch)
        far = apart if adversary.grain else partial(level_change, window=_WINDOW)
        losses["likeness"] = adversary.likeness * far(like, batch["image"], soft=0)
    return losses


def _judges_step(
    state: State, crops: Tensor, asked: Tensors, batch: Tensors, settings: Settings
) -> Tensor:
    """Take a step of the judges on real and made crops, earlier ones among them."""
    adversary = settings.adversary
    count = settings.network.channels
    judges = cast(Judges, state.modules["judges"])
    changes = cast(Changes, state.modules["changes"])
    old = cast(ImagePool, state.modules["pool"]).exchange(_seen(crops, asked, settings))
    drawn = changes.drawn(len(crops))
    real = changed(_seen(batch["image"], batch, settings), drawn, count)
    with state.autocast():
        answers = judges(real)
        game = adversary.game
        lost = _verdict(answers, game, real=True)
        lost = lost + _verdict(judges(changed(old, drawn, count)), game, real=False)
    if adversary.penalty and state.step % adversary.penalty_every == 0:
        lost = lost + adversary.penalty * adversary.penalty_every * slope(judges, real)
    state.update("judges", lost)
    middle = 0.5 if game == "squares" else 0.0
    changes.adapt(torch.cat([(last.detach() - middle).sign().ravel() for *_, last in answers]))
    return lost


def _seen(image: Tensor, batch: Tensors, settings: Settings) -> Tensor:
    """Return all that judges see of crops: the image, its sketch if that is its own, positions."""
    names = ("position",) if settings.adversary.unpaired else ("sketch", "position")
    return with_further(image.float(), batch, names)


def _misread(modules: Modules, image: Tensor, batch: Tensors) -> Tensor:
    """Return how far the sketch that the reader finds in crops is from theirs."""
    logits = modules["reader"](image, torch.zeros(len(image), device=image.device))
    return misread(logits, batch["sketch"].clamp(0, 1))


def _verdict(answers: list[list[Tensor]], game: str, *, real: bool) -> Tensor:
    """Return the mean loss of judges that are to call crops real or made."""
    return torch.stack([judged_as(last, game, real=real) for *_, last in answers]).mean()


STEPS = {
    "denoising": denoising_step,
    "adversarial": _adversarial,
    "distillation": _distillation,
}
