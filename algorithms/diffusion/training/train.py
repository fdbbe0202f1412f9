"""Training of the diffusion model: the parts that `cytosuite.training.loop` puts together."""

from pathlib import Path
from types import MappingProxyType

import numpy as np

from cytosuite.algorithms.diffusion.intensity import (
    each_channel,
    target_of_images,
    typical_contrast,
)
from cytosuite.algorithms.diffusion.predict import LABELS, SKETCH, doubt_of
from cytosuite.algorithms.diffusion.training.pairs import (
    SKETCHES,
    SketchedImage,
    draw_crops,
    given_of,
    load_pair,
    stacks,
    threshold_sketch,
)
from cytosuite.algorithms.diffusion.training.settings import Settings
from cytosuite.algorithms.diffusion.training.steps import STEPS, parts
from cytosuite.errors import InputError
from cytosuite.files import Entries, rounded
from cytosuite.folders.index import Item
from cytosuite.training.denoise import FURTHER, phases
from cytosuite.training.heldout import HeldOut
from cytosuite.training.images import filled, find_images, middle, seen
from cytosuite.training.parts import Arrays, Cases, State, Tensors, Training
from cytosuite.volume import Volume

_ENDS = (0.01, 99.99)  # percentiles of an image between which values are expected
_SPARE = 0.25  # of the range beyond them


class DenoiserTraining(Training[Settings, SketchedImage]):
    """The parts of the training."""

    algorithm = "diffusion"
    settings = Settings
    roles = ("images", SKETCHES)
    spare = (SKETCHES,)
    # The noise is always the same; a threshold's sketch counts for a network of labels, too.
    judged_with = MappingProxyType({"seed": 0, "given": "sketch"})

    def find(self, folder: Path, role: str, settings: Settings) -> list[Item]:
        """Return the images, or sketches, of a folder."""
        return find_images(folder, settings.names, settings.files)

    def load(self, folder: Path, role: str, settings: Settings) -> list[SketchedImage]:
        """Return the images of a folder with sketches of one kind."""
        cases = [*super().load(folder, role, settings)]
        given_of(cases)
        return cases

    def batch(self, cases: Cases[SketchedImage], settings: Settings, step: int) -> Arrays:
        """Return crops, noise and the phases of their levels for a step."""
        seed = settings.schedule.seed
        drawn = draw_crops(cases["images"], settings, seed, step)
        if settings.adversary.unpaired:
            others = draw_crops(cases[SKETCHES], settings, seed + 1, step)
            drawn |= {f"asked_{name}": others[name] for name in FURTHER if name in others}
        return {**drawn, "phase": phases(drawn.pop("place"), settings.process.schedule)}

    def step(self, state: State, batch: Tensors, settings: Settings) -> Tensors:
        """Take a step of the loss that the settings name, and return its parts."""
        return STEPS[settings.loss](state, batch, settings)

    def describe(self, cases: Cases[SketchedImage], settings: Settings) -> Entries:
        """Return axes, the median voxel size, µm, of files that give one, and whether labels."""
        axes = settings.network.axes
        sizes = [item.spacing for item in cases["images"] if item.spacing is not None]
        spacing = {"spacing": np.median(sizes, 0).round(4).tolist()} if sizes else {}
        labels = given_of(cases.get(SKETCHES) or cases["images"]) == "labels"
        return {"axes": axes, **spacing, **({"given": "labels"} if labels else {})}

    def notes(self, cases: Cases[SketchedImage], settings: Settings) -> list[str]:
        """Return lines on small images, unknown voxel sizes, and a start that suits badly."""
        if settings.loss == "distillation" and "process" not in settings.card.parameters:
            raise InputError(
                "loss distillation: the teacher is the model to start from; give --from"
            )
        if settings.adversary.unpaired is not bool(cases.get(SKETCHES)):
            raise InputError(
                f"adversary.unpaired is {str(settings.adversary.unpaired).lower()}: expected "
                f"{'label images or' if settings.adversary.unpaired else 'no'} sketches of other "
                f"images, as {SKETCHES}=folder"
            )
        doubt = doubt_of(settings.network, settings.process)
        lines = filled([item.shape for item in cases["images"]], settings.crops.shape)
        if doubt:
            lines.append(doubt)
        unknown = sum(item.spacing is None for item in cases["images"])
        if not unknown or "spacing" in settings.card.describes:
            return lines
        size = (
            f"{unknown} of {len(cases['images'])} images give no voxel size: they do not count "
            "in the card's (card.describes.spacing, µm, sets it)"
        )
        return [*lines, size]

    def measure(self, cases: Cases[SketchedImage], settings: Settings) -> Entries:
        """Return grey values of the real images, the way to them, and the input of the network."""
        items = cases["images"]
        source = given_of(cases.get(SKETCHES) or items)
        channels = zip(*(item.files.read(item.path).channels for item in items), strict=True)
        camera = settings.camera
        light = camera.units._asdict() if camera else {}
        targets = [
            target_of_images([image.array for image in images], settings.units).model_dump() | light
            for images in channels
        ]
        stored = zip(*(np.asarray(item.image) for item in items), strict=True)
        contrasts = [typical_contrast(images) for images in stored]
        ends = [np.percentile(np.asarray(item.image, np.float32), _ENDS) for item in items]
        low = float(min(end[0] for end in ends))
        high = float(max(end[1] for end in ends))
        spare = max(_SPARE * (high - low), 1e-3)
        several = settings.network.channels > 1
        process = settings.process.model_dump(mode="json") | {
            "contrast": rounded(contrasts if several else contrasts[0], 6),
            "range": rounded([low - spare, high + spare], 6),
        }
        kind = {"given": source, "dropped": settings.crops.dropped} if source else {}
        target = rounded(targets if several else targets[0], 6)
        seen = {"camera": camera.model_dump()} if camera else {}
        return {"process": process, "target": target, **kind, **seen}

    def held_out(self, case: SketchedImage, number: int, settings: Settings) -> HeldOut:
        """Return the middle of a sketch, or of the labels that it is made of."""
        labels = self._middle(case.files.labels(case.twin), settings) if case.twin else None
        if labels and case.kind == "labels":
            return HeldOut({LABELS: labels}, labels=labels)
        volume = case.files.read(case.path)
        if case.sketch is None:
            sketch = each_channel(threshold_sketch, volume)
        else:
            inside = (slice(None), *map(slice, stacks(volume)[0].shape))
            sketch = case.sketch[inside].reshape(volume.shape).astype(np.float32)
        return HeldOut({SKETCH: self._middle(volume.like(sketch), settings)}, labels=labels)

    def real(self, cases: Cases[SketchedImage], settings: Settings) -> list[Volume]:
        """Return the middle of the images."""
        images = (item.files.read(item.path) for item in cases["images"])
        return [self._middle(image, settings) for image in images]

    def _middle(self, volume: Volume, settings: Settings) -> Volume:
        """Return the middle of an image as the network sees it."""
        return middle(seen(volume, settings.network.dimensions), settings.crops.shown)


TRAINING = DenoiserTraining(build=parts, case=load_pair)
