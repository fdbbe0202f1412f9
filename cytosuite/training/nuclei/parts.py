"""Settings and parts of a training that all networks of nuclei share."""

from pathlib import Path
from typing import Self, TypeVar

import numpy as np
from pydantic import model_validator

from cytosuite.contract.tasks import IMAGE
from cytosuite.errors import InputError
from cytosuite.files import Entries
from cytosuite.metrics.labels.prepare import mask_doubt
from cytosuite.networks.grid import PIXELS
from cytosuite.segmentation.defects import upright
from cytosuite.training.heldout import HeldOut
from cytosuite.training.images import filled
from cytosuite.training.nuclei.cases import (
    SHARE_UNIT,
    Channel,
    Files,
    MakeTargets,
    TrainingCase,
    check_recipe,
    corrupted,
    find_cases,
    labels_alone,
    load_case,
)
from cytosuite.training.nuclei.patches import Patches, draw_batch, draw_image
from cytosuite.training.parts import Arrays, Cases, Training
from cytosuite.training.settings import TrainingSettings
from cytosuite.volume import Volume, merged

ALIKE = 0.1  # relative difference of voxel sizes that count as one


class NucleiSettings(TrainingSettings):
    """Settings of a training on patches; the network's arguments have dimensions and multiple."""

    channel: Channel = "nucleus"  # images show nuclei, cells' membranes, or whole cells
    patches: Patches = Patches()

    @model_validator(mode="after")
    def _patches_are_square(self) -> Self:
        shape = self.patches.shape
        if shape[1] != shape[2]:
            raise ValueError("patches.shape must be as long in y as in x, which are exchanged")
        return self


Given = TypeVar("Given", bound=NucleiSettings)
NucleiCases = Cases[TrainingCase]  # by role


class NucleiTraining(Training[Given, TrainingCase]):
    """A training on patches of nuclei or cells."""

    fused = True
    make_targets: MakeTargets = staticmethod(labels_alone)  # others need a simulation's light

    @property
    def light(self) -> bool:
        """Whether labels do not suffice."""
        return self.make_targets is not labels_alone

    def find(self, folder: Path, role: str, settings: Given) -> list[Files]:
        """Return the annotated volumes in a folder."""
        return find_cases(folder, settings.channel, settings.files, light=self.light)

    def case(self, item: Files, role: str, settings: Given) -> TrainingCase:
        """Return a volume with its targets."""
        patches = settings.patches
        quietest = self.quietest(settings)
        return load_case(
            item,
            patches.shape,
            self.make_targets,
            patches.stray,
            quietest,
            self.channels(settings),
            settings.card.describes.get("spacing"),
        )

    def check(self, source: Path | Entries, role: str, settings: Given) -> None:
        """Refuse a folder without volumes, or a simulation that keeps nothing to learn from."""
        super().check(source, role, settings)
        if self.light and not isinstance(source, Path):
            check_recipe(source, settings.channel)

    def batch(self, cases: NucleiCases, settings: Given, step: int) -> Arrays:
        """Return images and targets (N, C, Z, Y, X) of a step."""
        return draw_batch(cases["images"], settings.patches, settings.schedule.seed, step)

    def notes(self, cases: NucleiCases, settings: Given) -> list[str]:
        """Return lines on small volumes, their voxels, volumes without a camera, and masks."""
        images = cases["images"]
        finished = sum(not case.simulated and not case.is_plane for case in images)
        camera = f"{finished} of {len(images)} images as they are: no camera is drawn for them"
        lines = filled([case.unpadded for case in images], settings.patches.shape)
        lines += [camera] * bool(finished)
        unknown = sum(not case.has_size for case in images)
        if unknown and "spacing" not in settings.card.describes:
            lines.append(
                f"{unknown} of {len(images)} images give no voxel size: 1 µm is assumed "
                "(card.describes.spacing, µm, sets it)"
            )
        voxel = voxel_of(cases)
        if not np.allclose([case.spacing for case in images], voxel, rtol=ALIKE):
            lines.append(f"voxels of several sizes, {voxel} µm in the median: resample them")
        doubt = mask_doubt(images[0].labels)  # most sets are read no further
        if doubt and all(mask_doubt(case.labels) for case in images):
            lines.append(f"{doubt}, and no image has two: number the pieces")
        return lines

    def prepare_cases(self, cases: NucleiCases, settings: Given) -> NucleiCases:
        """Return the cases to train on with bad annotation, where the settings ask for it."""
        share = settings.patches.augment.corrupt_prob
        if not share:
            return cases
        return {role: [corrupted(case, share) for case in items] for role, items in cases.items()}

    def describe(self, cases: NucleiCases, settings: Given) -> Entries:
        """Return axes, channel, typical lateral diameter and, of volumes, voxel size, all in µm."""
        diameters = np.concatenate([case.diameters_um for case in cases["images"]])
        # A card with a stain is not taken for images that do not say their channel.
        stain = {} if settings.channel == "nucleus" else {"stain": settings.channel}
        if not diameters.size:
            raise InputError(
                f"{cases['images'][0].path}: expected objects in the labels of this image or of "
                "another one to train on, found none; annotate some"
            )
        typical = settings.patches.diameter or np.median(diameters)
        flat = settings.patches.shape[0] == 1
        return {
            "axes": "C" * (self.channels(settings) > 1) + ("YX" if flat else "ZYX"),
            "channel": settings.channel,
            **stain,
            **({} if flat else {"spacing": voxel_of(cases)}),
            "diameter_um": round(float(typical), 2),
        }

    def held_out(self, case: TrainingCase, number: int, settings: Given) -> HeldOut:
        """Return the image of a case, and true labels."""
        image, labels = draw_image(np.random.default_rng(number), case, settings.patches)
        if settings.channel == "nucleus" and not case.is_plane:
            labels = np.where(case.level > self.tau(settings) * SHARE_UNIT, labels, 0)
        axes, spacing = ("YX", PIXELS[1:]) if case.is_plane else ("ZYX", case.spacing)
        truth = Volume(labels.reshape(labels.shape[-len(axes) :]), spacing, axes)
        channels = [truth.like(channel) for channel in image.reshape(-1, *truth.shape)]
        return HeldOut(
            upright({IMAGE.slug: merged(channels)}, {"channel": settings.channel}), truth
        )

    def channels(self, settings: Given) -> int:
        """Return the number of channels of the images."""
        return 1

    def quietest(self, settings: Given) -> float:
        """Return the least noise of a background, relative to the contrast."""
        return float(self.parameters(settings).quietest)

    def tau(self, settings: Given) -> float:
        """Return the level at which nuclei of volumes end."""
        return 0.0


def voxel_of(cases: NucleiCases) -> list[float]:
    """Return the median voxel size z, y, x in µm."""
    size: list[float] = np.median([case.spacing for case in cases["images"]], 0).round(4).tolist()
    return size
