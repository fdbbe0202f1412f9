"""Training of the 3D CycleGAN: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cytosuite.algorithms.cyclegan3d.network import build as build_generator
from cytosuite.algorithms.cyclegan3d.parameters import Parameters
from cytosuite.algorithms.cyclegan3d.predict import classical
from cytosuite.algorithms.cyclegan3d.training.crops import draw_batch
from cytosuite.algorithms.cyclegan3d.training.judges import PatchJudge
from cytosuite.algorithms.cyclegan3d.training.losses import (
    apart,
    decorrelation,
    fooled,
    judged,
    level_change,
    misread,
    structure_of,
)
from cytosuite.algorithms.cyclegan3d.training.pool import ImagePool
from cytosuite.algorithms.cyclegan3d.training.published import divide, translate
from cytosuite.algorithms.cyclegan3d.training.reference import measure_style
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.validate import picture, validate
from cytosuite.algorithms.cyclegan3d.training.volumes import (
    DomainVolume,
    in_grey_values_of,
    load_items,
)
from cytosuite.errors import InputError
from cytosuite.formats import read
from cytosuite.manifest import parse
from cytosuite.normalise import target_of
from cytosuite.training.images import find_images
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, decaying

BETAS = (0.5, 0.999)
READER = 2  # channels: inside of objects, and their borders


def load(folder: Path, role: str, settings: Settings) -> list[DomainVolume]:
    """Return the volumes of a domain; labels are read of the simulated one alone."""
    images, crop = settings.images, settings.crops.shape
    if role == "real":
        real, scale = images.real, images.scale
        return load_items(folder, real, scale, crop, labelled=False, dithered=True)
    labelled = settings.loss.keep == "labels" and settings.loss.structure > 0
    items = load_items(folder, images.simulated, images.scale, crop, labelled=labelled)
    if labelled and (bare := [item.path for item in items if item.labels is None]):
        raise InputError(
            f"{bare[0]}: expected labels beside this image for loss.keep labels, found none; give "
            "them, or choose correlation"
        )
    return items


def build(settings: Settings) -> Parts:
    """Return generators, judges, pools and, where labels are kept, a reader, with optimisers."""
    modules: dict[str, nn.Module] = {
        "forward": build_generator(settings.network),
        "backward": build_generator(settings.network.model_copy(update={"noise": 0})),
        "judge_real": PatchJudge(settings.judge, settings.network.channels),
        "judge_simulated": PatchJudge(settings.judge, settings.network.channels),
    }
    for name in ("forward", "backward"):
        modules[name].checkpointing = settings.checkpointing  # type: ignore[assignment]
    shape = (settings.network.channels, *settings.crops.shape)
    kept = torch.float32 if settings.images.scale == "dtype" else torch.float16
    pools = {
        f"pool_{role}": ImagePool(settings.loss.pool, shape, kept) for role in ("real", "simulated")
    }
    groups = {
        "generators": [modules["forward"], modules["backward"]],
        "judges": [modules["judge_real"], modules["judge_simulated"]],
    }
    if settings.loss.keep == "labels" and settings.loss.structure > 0:
        changes = {"blocks": 1, "residual": False, "bounded": False, "noise": 0}
        modules["reader"] = build_generator(settings.network.model_copy(update=changes), READER)
        groups["reader"] = [modules["reader"]]
    rates = {"generators": 1.0, "judges": settings.loss.judge_rate, "reader": 1.0}
    optimisers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(
            decaying(group, settings.schedule.weight_decay), lr=rates[name], betas=BETAS
        )
        for name, group in groups.items()
    }
    return {**modules, **pools}, optimisers


def batch(cases: Cases[DomainVolume], settings: Settings, step: int) -> Arrays:
    """Return simulated and real crops (N, C, Z, Y, X) of a step, see `draw_batch`."""
    seed = settings.schedule.seed
    return draw_batch(cases["simulated"], cases["real"], settings.crops, seed, step)


def step(state: State, batch: Tensors, settings: Settings) -> Tensors:
    """Take a step of the generators, then one of the judges, and return the losses."""
    modules = state.modules
    judges = [modules["judge_real"], modules["judge_simulated"]]
    for judge in judges:
        judge.requires_grad_(requires_grad=False)
    with state.autocast():
        made = {
            "real": _forward(modules, batch["simulated"], settings),
            "simulated": modules["backward"](batch["real"]),
        }
        found = _generator_losses(modules, batch, made, settings)
    total = sum(found.values(), torch.zeros((), device=state.device))
    state.update("generators", total)
    for judge in judges:
        judge.requires_grad_(requires_grad=True)
    found = {name: value.detach() for name, value in found.items()}
    if "reader" in modules:
        found["reader"] = _step_reader(state, batch)
    # A column of the log in every step, also of those without the judges.
    found["judge"] = _step_judges(state, batch, made, settings)
    return found


def _generator_losses(
    modules: Mapping[str, nn.Module],
    batch: Tensors,
    made: Mapping[str, Tensor],
    settings: Settings,
) -> dict[str, Tensor]:
    """Return the weighted parts of the generators' loss, by name."""
    loss, backward = settings.loss, modules["backward"]
    grain = not settings.network.noise  # drawn anew, it cannot come back the same
    again = _forward(modules, made["simulated"], settings)
    found = {
        "fool_real": fooled(modules["judge_real"](made["real"])),
        "fool_simulated": fooled(modules["judge_simulated"](made["simulated"])),
        "cycle": loss.cycle
        * (
            apart(backward(made["real"]), batch["simulated"], loss.soft)
            + apart(again, batch["real"], loss.soft, grain=grain)
        ),
    }
    if loss.identity:
        same = _forward(modules, batch["real"], settings)
        found["identity"] = (loss.cycle * loss.identity) * (
            apart(same, batch["real"], loss.soft, grain=grain)
            + apart(backward(batch["simulated"]), batch["simulated"], loss.soft)
        )
    if loss.structure:
        found["structure"] = loss.structure * _structure(modules, batch, made, settings)
    return found


def _forward(modules: Mapping[str, nn.Module], crops: Tensor, settings: Settings) -> Tensor:
    """Return crops in the look of the real domain, with noise of their own to make grain of."""
    count, _, *sides = crops.shape
    noise = torch.randn((count, settings.network.noise, *sides), device=crops.device)
    made: Tensor = modules["forward"](torch.cat([crops, noise], 1))
    return made


def _structure(
    modules: Mapping[str, nn.Module],
    batch: Tensors,
    made: Mapping[str, Tensor],
    settings: Settings,
) -> Tensor:
    """Return the loss of structure that has changed, in both directions where that is known."""
    if "reader" in modules:
        reader = modules["reader"]
        reader.requires_grad_(requires_grad=False)
        lost = misread(reader(made["real"]), structure_of(batch["labels"]))
        reader.requires_grad_(requires_grad=True)
        return lost
    loss = settings.loss
    changed = partial(level_change, soft=loss.soft) if loss.keep == "levels" else decorrelation
    return changed(made["real"], batch["simulated"], loss.window) + changed(
        made["simulated"], batch["real"], loss.window
    )


def _step_reader(state: State, batch: Tensors) -> Tensor:
    """Take a step of the reader, which learns the structure of simulated crops, return its loss."""
    with state.autocast():
        lost = misread(state.modules["reader"](batch["simulated"]), structure_of(batch["labels"]))
    state.update("reader", lost)
    return lost.detach()


def _step_judges(
    state: State, batch: Tensors, made: Mapping[str, Tensor], settings: Settings
) -> Tensor:
    """Take a step of the judges, in those steps that have one, and return their loss."""
    seen = {role: _pool(state, role).exchange(crops) for role, crops in made.items()}
    with state.autocast():
        lost = sum(
            (
                judged(judge(batch[role]), judge(crops))
                for role, crops in seen.items()
                for judge in [state.modules[f"judge_{role}"]]
            ),
            torch.zeros((), device=state.device),
        )
    if (state.step + 1) % settings.loss.judge_every == 0:
        state.update("judges", lost)
    return lost.detach()


def _pool(state: State, role: str) -> ImagePool:
    """Return the pool of translations into a domain."""
    pool = state.modules[f"pool_{role}"]
    assert isinstance(pool, ImagePool)
    return pool


def prepare(cases: Cases[DomainVolume], settings: Settings) -> Cases[DomainVolume]:
    """Return volumes in units of the target, the simulated ones after the classical transfer.

    Other scales are known before anything is measured: there the volumes stay.
    """
    if settings.images.scale != "style":
        return cases
    parameters = parse("card.parameters", settings.card.parameters, Parameters)
    assert parameters.target is not None  # see Parameters
    found: dict[str, list[DomainVolume]] = {role: [] for role in cases}
    for role, items in cases.items():
        for item in items:
            volume = read(item.path)
            image = classical(volume, parameters) if role == "simulated" else volume.array
            crop = settings.crops.shape
            found[role].append(in_grey_values_of(item, image, parameters.target, crop))
    return found


def describe(cases: Cases[DomainVolume], settings: Settings) -> Mapping[str, Any]:  # noqa: ARG001
    """Return axes and the voxel size, µm, of the median simulated volume."""
    spacing = np.median([item.spacing for item in cases["simulated"]], 0)
    return {"axes": "ZYX", "spacing": spacing.round(4).tolist()}


def measure(cases: Cases[DomainVolume], settings: Settings) -> Mapping[str, Any]:
    """Return units, grey values of the target domain, and its look for the classical transfer."""
    real = [read(item.path) for item in cases["real"]]
    found: dict[str, Any] = {
        "scale": settings.images.scale,
        "target": target_of([volume.array for volume in real]).model_dump(),
    }
    if all(volume.axes == "ZYX" for volume in real):
        found["style"] = measure_style(real).model_dump(mode="json")
    return {name: _rounded(value) for name, value in found.items()}


def _rounded(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return JSON with numbers of six digits, more than was measured."""
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:
    """Refuse a folder without images of its domain."""
    if isinstance(source, Path):
        images = settings.images
        find_images(source, images.real if role == "real" else images.simulated)


TRAINING = Training(
    algorithm="cyclegan3d",
    settings=Settings,
    load=load,
    build=build,
    batch=batch,
    step=step,
    describe=describe,
    validate=validate,
    check=check,
    measure=measure,
    prepare=prepare,
    picture=picture,
    divide=divide,
    translate=translate,
    roles=("simulated", "real"),
    published="forward",
)
