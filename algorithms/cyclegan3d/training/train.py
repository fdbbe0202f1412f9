"""Training of the 3D CycleGAN: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cytosuite.algorithms.cyclegan3d.network import build as build_generator
from cytosuite.algorithms.cyclegan3d.predict import Parameters, by_network, classical
from cytosuite.algorithms.cyclegan3d.style import measure_style
from cytosuite.algorithms.cyclegan3d.training.published import divide, translate
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.volumes import (
    DomainVolume,
    draw_batch,
    in_grey_values_of,
    load_items,
)
from cytosuite.contract.manifest import parse
from cytosuite.errors import InputError
from cytosuite.metrics.evidence import Facts
from cytosuite.networks.normalise import target_of
from cytosuite.training.images import facts_of_set, filled, find_images, joined, six_digits, views
from cytosuite.training.judges import (
    ImagePool,
    PatchJudge,
    apart,
    decorrelation,
    fooled,
    judged,
    level_change,
    misread,
    structure_of,
)
from cytosuite.training.parts import Arrays, Cases, Parts, State, Tensors, Training, decaying
from cytosuite.volume import Volume

ROLES = ("simulated", "real")
SHOWN = 3  # volumes of each kind in a picture
BETAS = (0.5, 0.999)
READER = 2  # channels: inside of objects, and their borders


def validate(state: State, cases: Cases[DomainVolume], settings: Settings) -> Iterator[Facts]:
    """Yield the facts of each labelled volume, then of the set, with objects by a threshold."""
    translations = []
    values: dict[str, Any]
    for item in cases["simulated"]:
        image = _seen(item.read(), settings)
        translations.append(translated(image, state, settings))
        if item.twin is not None:
            values = {"prediction": translations[-1].array, "image": image.array}
            labels = _seen(item.files.labels(item.twin), settings)
            values |= {"labels": labels.array, "spacing": image.spacing}
            yield Facts({name: partial(values.__getitem__, name) for name in values})
    yield facts_of_set([_seen(item.read(), settings) for item in cases["real"]], translations)


def _seen(volume: Volume, settings: Settings) -> Volume:
    """Return an image; of a stack the middle plane, for networks of planes."""
    if settings.network.axes == "ZYX" or volume.axes != "ZYX":
        return volume
    middle = volume.array[len(volume.array) // 2]
    return replace(volume, array=middle, axes="YX", spacing=volume.spacing[1:])


def translated(volume: Volume, state: State, settings: Settings) -> Volume:
    """Return a volume as the card would translate it, without its guard."""
    entries = dict(settings.card.parameters)
    if settings.schedule.steps:
        entries["network"] = settings.network.model_dump(mode="json")
    parameters = parse("card.parameters", entries, Parameters)
    if parameters.network is None:
        return volume.like(classical(volume, parameters))
    array, _ = by_network(volume, state.average, parameters, state.device)
    return volume.like(array)


def picture(state: State, cases: Cases[DomainVolume], settings: Settings) -> NDArray[np.uint8]:
    """Return the middle planes of held-out volumes: simulated, translated, real, one row each."""
    simulated = [_seen(item.read(), settings) for item in cases["simulated"][:SHOWN]]
    rows = [
        simulated,
        [translated(volume, state, settings) for volume in simulated],
        [_seen(item.read(), settings) for item in cases["real"][:SHOWN]],
    ]
    strips = [joined([views(volume) for volume in row], 1) for row in rows]
    return joined(strips, 0)


def load(folder: Path, role: str, settings: Settings) -> list[DomainVolume]:
    """Return the volumes of a domain; labels are read of the simulated one alone."""
    real = role == "real"
    labelled = settings.loss.keep == "labels" and settings.loss.structure > 0 and not real
    items = load_items(
        folder,
        getattr(settings.images, role),
        settings.images.scale,
        settings.crops.shape,
        axes=settings.network.axes,
        labelled=labelled,
        dithered=real,
        files=settings.files,
    )
    if labelled and (bare := [item.path for item in items if item.labels is None]):
        raise InputError(
            f"{bare[0]}: expected labels beside this image for loss.keep labels, found none; give "
            "them, or choose correlation"
        )
    return items


def build(settings: Settings) -> Parts:
    """Return generators, judges, pools and, where labels are kept, a reader, with optimisers."""
    network = settings.network
    judge = partial(PatchJudge, settings.judge, network.channels, network.dimensions)
    modules = {
        "forward": build_generator(network),
        "backward": build_generator(network.model_copy(update={"noise": 0})),
        "judge_real": judge(),
        "judge_simulated": judge(),
    }
    for name in ("forward", "backward"):
        modules[name].checkpointing = settings.checkpointing  # type: ignore[assignment]
    shape = (network.channels, *settings.crops.shape)
    dtype = torch.float32 if settings.images.scale == "dtype" else torch.float16
    pools = {
        f"pool_{role}": ImagePool(settings.loss.pool, shape, dtype)
        for role in ("real", "simulated")
    }
    groups = {
        "generators": [modules["forward"], modules["backward"]],
        "judges": [modules["judge_real"], modules["judge_simulated"]],
    }
    if settings.loss.keep == "labels" and settings.loss.structure > 0:
        changes = {"blocks": 1, "residual": False, "bounded": False, "noise": 0}
        modules["reader"] = build_generator(network.model_copy(update=changes), READER)
        groups["reader"] = [modules["reader"]]
    rates = {"generators": 1.0, "judges": settings.loss.judge_rate, "reader": 1.0}
    decay = settings.schedule.weight_decay
    optimisers: dict[str, torch.optim.Optimizer] = {
        name: torch.optim.Adam(decaying(group, decay), lr=rates[name], betas=BETAS)
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
        translations = {
            "real": _forward(modules, batch["simulated"], settings),
            "simulated": modules["backward"](batch["real"]),
        }
        losses = _generator_losses(modules, batch, translations, settings)
    total = sum(losses.values(), torch.zeros((), device=state.device))
    state.update("generators", total)
    for judge in judges:
        judge.requires_grad_(requires_grad=True)
    losses = {name: value.detach() for name, value in losses.items()}
    if "reader" in modules:  # it learns the structure of simulated crops
        with state.autocast():
            lost = misread(modules["reader"](batch["simulated"]), structure_of(batch["labels"]))
        state.update("reader", lost)
        losses["reader"] = lost.detach()
    # A column of the log in every step, also of those without the judges.
    losses["judge"] = _step_judges(state, batch, translations, settings)
    return losses


def _generator_losses(
    modules: Mapping[str, nn.Module],
    batch: Tensors,
    translations: Mapping[str, Tensor],
    settings: Settings,
) -> dict[str, Tensor]:
    """Return the weighted parts of the generators' loss, by name."""
    loss, backward = settings.loss, modules["backward"]
    grain = not settings.network.noise  # drawn anew, it cannot come back the same
    again = _forward(modules, translations["simulated"], settings)
    losses = {
        "fool_real": fooled(modules["judge_real"](translations["real"])),
        "fool_simulated": fooled(modules["judge_simulated"](translations["simulated"])),
        "cycle": loss.cycle
        * (
            apart(backward(translations["real"]), batch["simulated"], loss.soft)
            + apart(again, batch["real"], loss.soft, grain=grain)
        ),
    }
    if loss.identity:
        same = _forward(modules, batch["real"], settings)
        losses["identity"] = (loss.cycle * loss.identity) * (
            apart(same, batch["real"], loss.soft, grain=grain)
            + apart(backward(batch["simulated"]), batch["simulated"], loss.soft)
        )
    if loss.structure:
        losses["structure"] = loss.structure * _structure(modules, batch, translations, settings)
    return losses


def _forward(modules: Mapping[str, nn.Module], crops: Tensor, settings: Settings) -> Tensor:
    """Return crops in the look of the real domain, with noise of their own to make grain of."""
    count, _, *sides = crops.shape
    noise = torch.randn((count, settings.network.noise, *sides), device=crops.device)
    images: Tensor = modules["forward"](torch.cat([crops, noise], 1))
    return images


def _structure(
    modules: Mapping[str, nn.Module],
    batch: Tensors,
    translations: Mapping[str, Tensor],
    settings: Settings,
) -> Tensor:
    """Return the loss of structure that has changed, in both directions where that is known."""
    if "reader" in modules:
        reader = modules["reader"]
        reader.requires_grad_(requires_grad=False)
        lost = misread(reader(translations["real"]), structure_of(batch["labels"]))
        reader.requires_grad_(requires_grad=True)
        return lost
    loss = settings.loss
    changed = partial(level_change, soft=loss.soft) if loss.keep == "levels" else decorrelation
    return changed(translations["real"], batch["simulated"], loss.window) + changed(
        translations["simulated"], batch["real"], loss.window
    )


def _step_judges(
    state: State, batch: Tensors, translations: Mapping[str, Tensor], settings: Settings
) -> Tensor:
    """Take a step of the judges, in those steps that have one, and return their loss."""
    seen = {
        role: cast(ImagePool, state.modules[f"pool_{role}"]).exchange(crops)
        for role, crops in translations.items()
    }
    with state.autocast():
        lost = torch.zeros((), device=state.device)
        for role, crops in seen.items():
            judge = state.modules[f"judge_{role}"]
            lost = lost + judged(judge(batch[role]), judge(crops))
    if (state.step + 1) % settings.loss.judge_every == 0:
        state.update("judges", lost)
    return lost.detach()


def prepare_cases(cases: Cases[DomainVolume], settings: Settings) -> Cases[DomainVolume]:
    """Return volumes in units of the target with the scale ``style``, else as they are."""
    if settings.images.scale != "style":
        return cases
    parameters = parse("card.parameters", settings.card.parameters, Parameters)
    assert parameters.target is not None  # see Parameters
    scaled: dict[str, list[DomainVolume]] = {role: [] for role in cases}
    for role, items in cases.items():
        for item in items:
            volume = item.read()
            image = classical(volume, parameters) if role == "simulated" else volume.array
            crop = settings.crops.shape
            scaled[role].append(in_grey_values_of(item, image, parameters.target, crop))
    return scaled


def describe(
    cases: Cases[DomainVolume], settings: Settings, role: str = "simulated"
) -> dict[str, Any]:
    """Return axes and the voxel size, µm, of the median volume of a domain."""
    axes = settings.network.axes
    spacing = np.median([item.spacing[-len(axes) :] for item in cases[role]], 0)
    return {"axes": axes, "spacing": tuple(spacing.round(4).tolist())}


def notes(cases: Cases[DomainVolume], settings: Settings) -> list[str]:
    """Return a line on volumes smaller than a crop."""
    return filled([item.shape for role in ROLES for item in cases[role]], settings.crops.shape)


def way_back(
    state: State, cases: Cases[DomainVolume], settings: Settings
) -> tuple[State, Settings] | None:
    """Return the model from real to simulated, of the last weights; None unless it is asked for."""
    if not settings.both_ways:
        return None
    target = target_of([_seen(item.read(), settings).array for item in cases["simulated"]])
    parameters = {**settings.card.parameters, "target": six_digits(target.model_dump())}
    parameters.pop("style", None)
    describes = describe(cases, settings, "real") | settings.card.describes
    network = settings.network.model_copy(update={"noise": 0})
    settings = settings.model_copy(update={"network": network})
    state = replace(state, average=state.modules["backward"], best=None)
    return state, settings.with_card(parameters=parameters, describes=describes)


def measure(cases: Cases[DomainVolume], settings: Settings) -> Mapping[str, Any]:
    """Return units, grey values of the target domain, and its look for the classical transfer."""
    real = [_seen(item.read(), settings) for item in cases["real"]]
    parameters = {
        "scale": settings.images.scale,
        "target": target_of([volume.array for volume in real]).model_dump(),
    }
    if not any("C" in volume.axes for volume in real):
        parameters["style"] = measure_style(real).model_dump(mode="json")
    return dict(six_digits(parameters))


def check(source: Path | Mapping[str, Any], role: str, settings: Settings) -> None:
    """Refuse a folder without images of its domain."""
    if isinstance(source, Path):
        find_images(source, getattr(settings.images, role), settings.files)


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
    prepare_cases=prepare_cases,
    notes=notes,
    picture=picture,
    divide=divide,
    translate=translate,
    roles=ROLES,
    published="forward",
    also={"back": way_back},
)
