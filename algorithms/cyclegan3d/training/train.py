"""Training of the 3D CycleGAN: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from cytosuite.algorithms.cyclegan3d.network import build as build_generator
from cytosuite.algorithms.cyclegan3d.predict import prepared
from cytosuite.algorithms.cyclegan3d.style import measure_style
from cytosuite.algorithms.cyclegan3d.training.published import divide, translate
from cytosuite.algorithms.cyclegan3d.training.settings import Settings
from cytosuite.algorithms.cyclegan3d.training.volumes import (
    DomainCases,
    DomainVolume,
    draw_batch,
    in_grey_values_of,
    load_item,
)
from cytosuite.algorithms.cyclegan3d.translate import OF_TARGET
from cytosuite.contract.tasks import IMAGE
from cytosuite.denoising.camera import light_of
from cytosuite.files import Entries, Json, rounded
from cytosuite.folders.index import Item
from cytosuite.networks.normalise import target_of
from cytosuite.training.heldout import HeldOut
from cytosuite.training.images import filled, find_images, seen
from cytosuite.training.judges import (
    ImagePool,
    PatchJudge,
    apart,
    decorrelation,
    judged_as,
    level_change,
    misread,
    structure_of,
)
from cytosuite.training.parts import (
    Data,
    Modules,
    Parts,
    State,
    Tensors,
    Training,
    adams,
    still,
)
from cytosuite.volume import Volume

ROLES = ("simulated", "real")
BETAS = (0.5, 0.999)
READER = 2  # channels: inside of objects, and their borders


def _generator_losses(
    modules: Modules, batch: Tensors, translations: Tensors, settings: Settings
) -> dict[str, Tensor]:
    """Return the weighted parts of the generators' loss, by name."""
    loss = settings.loss
    backward = modules["backward"]
    grain = not settings.network.noise  # drawn anew, it cannot come back the same
    again = _forward(modules, translations["simulated"], settings)
    losses = {
        "fool_real": judged_as(modules["judge_real"](translations["real"]), real=True),
        "fool_simulated": judged_as(
            modules["judge_simulated"](translations["simulated"]), real=True
        ),
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
    if loss.structure and "reader" in modules:
        read = modules["reader"](translations["real"])
        losses["structure"] = loss.structure * misread(read, structure_of(batch["labels"]))
    elif loss.structure:  # in both directions
        lost = partial(level_change, soft=loss.soft) if loss.keep == "levels" else decorrelation
        losses["structure"] = loss.structure * (
            lost(translations["real"], batch["simulated"], loss.window)
            + lost(translations["simulated"], batch["real"], loss.window)
        )
    return losses


def _forward(modules: Modules, crops: Tensor, settings: Settings) -> Tensor:
    """Return crops in the look of the real domain, with noise of their own to make grain of."""
    count, _, *sides = crops.shape
    noise = torch.randn((count, settings.network.noise, *sides), device=crops.device)
    images: Tensor = modules["forward"](torch.cat([crops, noise], 1))
    return images


def _step_judges(state: State, batch: Tensors, translations: Tensors, settings: Settings) -> Tensor:
    """Take a step of the judges, in those steps that have one, and return their loss."""
    seen = {
        role: cast(ImagePool, state.modules[f"pool_{role}"]).exchange(crops)
        for role, crops in translations.items()
    }
    with state.autocast():
        lost = torch.zeros((), device=state.device)
        for role, crops in seen.items():
            judge = state.modules[f"judge_{role}"]
            told = judged_as(judge(batch[role]), real=True) + judged_as(judge(crops), real=False)
            lost = lost + 0.5 * told
    if (state.step + 1) % settings.loss.judge_every == 0:
        state.update("judges", lost)
    return lost.detach()


def _grid(items: Sequence[DomainVolume], settings: Settings) -> Json:
    """Return axes and the voxel size, µm, of the median volume."""
    axes = settings.network.axes
    spacing = np.median([item.spacing[-len(axes) :] for item in items], 0)
    return {"axes": axes, "spacing": tuple(spacing.round(4).tolist())}


def way_back(state: State, cases: DomainCases, settings: Settings) -> tuple[State, Settings] | None:
    """Return the model from real to simulated, of the last weights; None unless it is asked for."""
    if not settings.both_ways:
        return None
    target = target_of(
        [seen(item.read(), settings.network.dimensions).array for item in cases["simulated"]]
    )
    parameters = {**settings.card.parameters, "target": rounded(target.model_dump(), 6)}
    parameters.pop("style", None)
    describes = _grid(cases["real"], settings) | settings.card.describes
    settings = settings.model_copy(
        update={"network": settings.network.model_copy(update={"noise": 0})}
    )
    state = replace(state, average=state.modules["backward"], best=None)
    return state, settings.with_card(parameters=parameters, describes=describes)


class CycleTraining(Training[Settings, DomainVolume]):
    """The parts of the training."""

    algorithm = "cyclegan3d"
    settings = Settings
    roles = ROLES
    published = "forward"
    also = MappingProxyType({"back": way_back})
    judged_with = MappingProxyType({"guard": "off"})  # the network counts, not the camera

    def find(self, folder: Path, role: str, settings: Settings) -> list[Item]:
        """Return the images of a domain."""
        return find_images(folder, getattr(settings.images, role), settings.files)

    def build(self, settings: Settings) -> Parts:
        """Return generators, judges, pools, a reader where labels are kept, and optimisers."""
        network = settings.network
        loss = settings.loss
        generators = {
            "forward": build_generator(network),
            "backward": build_generator(network.model_copy(update={"noise": 0})),
        }
        for generator in generators.values():
            generator.checkpointing = settings.checkpointing
        judge = partial(PatchJudge, settings.judge, network.channels, network.dimensions)
        judges = {"judge_real": judge(), "judge_simulated": judge()}
        dtype = torch.float32 if settings.images.scale == "dtype" else torch.float16
        shape = (network.channels, *settings.crops.shape)
        pools = {f"pool_{role}": ImagePool(loss.pool, shape, dtype) for role in ROLES}
        modules = {**generators, **judges, **pools}
        groups: dict[str, list[nn.Module]] = {
            "generators": [*generators.values()],
            "judges": [*judges.values()],
        }
        if loss.keep == "labels" and loss.structure > 0:
            changes = {"blocks": 1, "residual": False, "bounded": False, "noise": 0}
            modules["reader"] = build_generator(network.model_copy(update=changes), READER)
            groups["reader"] = [modules["reader"]]
        return modules, adams(groups, loss.judge_rate, settings.schedule.weight_decay, BETAS)

    def step(self, state: State, batch: Tensors, settings: Settings) -> Tensors:
        """Take a step of the generators, then one of the judges, and return the losses."""
        modules = state.modules
        others = ("judge_real", "judge_simulated", "reader")
        with still([modules[name] for name in others if name in modules]):
            with state.autocast():
                translations = {
                    "real": _forward(modules, batch["simulated"], settings),
                    "simulated": modules["backward"](batch["real"]),
                }
                losses = _generator_losses(modules, batch, translations, settings)
            state.update("generators", sum(losses.values(), torch.zeros((), device=state.device)))
        losses = {name: value.detach() for name, value in losses.items()}
        if "reader" in modules:  # it learns the structure of simulated crops
            with state.autocast():
                lost = misread(modules["reader"](batch["simulated"]), structure_of(batch["labels"]))
            state.update("reader", lost)
            losses["reader"] = lost.detach()
        # A column of the log in every step, also of those without the judges.
        losses["judge"] = _step_judges(state, batch, translations, settings)
        return losses

    def prepare_cases(self, cases: DomainCases, settings: Settings) -> DomainCases:
        """Return volumes in units of the target with the scales of it, else as they are."""
        if settings.images.scale not in OF_TARGET:
            return cases
        parameters = self.parameters(settings)

        def scaled(item: DomainVolume, role: str) -> DomainVolume:
            """Return a volume in units of the target."""
            volume = item.read()
            image = volume.array
            if role == "simulated":
                image = prepared(volume, parameters)
            elif parameters.camera:
                image = light_of(image, parameters.camera)
            return in_grey_values_of(
                item, image, parameters.target, settings.crops.shape, parameters.scale
            )

        return {role: [scaled(item, role) for item in items] for role, items in cases.items()}

    def describe(self, cases: DomainCases, settings: Settings) -> Json:
        """Return axes and the voxel size, µm, of the median simulated volume."""
        return _grid(cases["simulated"], settings)

    def notes(self, cases: DomainCases, settings: Settings) -> list[str]:
        """Return a line on volumes smaller than a crop."""
        return filled([item.shape for role in ROLES for item in cases[role]], settings.crops.shape)

    def measure(self, cases: DomainCases, settings: Settings) -> Entries:
        """Return units, grey values of the target domain, and its look for the transfer."""
        real = self.real(cases, settings)
        camera = settings.camera
        target = target_of([volume.array for volume in real]).model_dump()
        parameters = {"scale": settings.images.scale, "target": target}
        if camera:
            parameters["target"] = target | camera.units._asdict()
            parameters["camera"] = camera.model_dump()
        if not any("C" in volume.axes for volume in real):
            parameters["style"] = measure_style(real).model_dump(mode="json")
        return dict(rounded(parameters, 6))

    def held_out(self, case: DomainVolume, number: int, settings: Settings) -> HeldOut:
        """Return a simulated image with its labels."""
        dimensions = settings.network.dimensions
        labels = seen(case.files.labels(case.twin), dimensions) if case.twin else None
        return HeldOut({IMAGE.slug: seen(case.read(), dimensions)}, labels=labels)

    def real(self, cases: DomainCases, settings: Settings) -> list[Volume]:
        """Return the images of the other domain."""
        return [seen(item.read(), settings.network.dimensions) for item in cases["real"]]

    def translate(self, path: Path, data: Data) -> tuple[Json, list[str]]:
        """Return the settings in a file of TOML, or of a published program."""
        return super().translate(path, data) if path.suffix == ".toml" else translate(path, data)


TRAINING = CycleTraining(divide=divide, case=load_item, batch=draw_batch)
