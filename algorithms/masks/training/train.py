"""Training of the masks: the parts that `cytosuite.training.loop` puts together."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from cytosuite.algorithms.masks.fields import MEASURES, fields_of, measured
from cytosuite.algorithms.masks.predict import FROM_NOISE
from cytosuite.contract.manifest import Count, Described, Positive
from cytosuite.contract.tasks import LABELS, REQUEST, SAMPLED_CELLS
from cytosuite.denoising.network import DenoiserArguments
from cytosuite.denoising.sampling import Process
from cytosuite.errors import InputError
from cytosuite.files import Entries, Texts, frozen, rounded
from cytosuite.folders.index import Item
from cytosuite.metrics.evidence import Facts
from cytosuite.metrics.realism.scene import Scene
from cytosuite.networks.tiling import Sides
from cytosuite.training.denoise import denoising_step, phases
from cytosuite.training.images import (
    cut,
    draw_box,
    find_images,
    joined,
    mapped,
    padded,
    stacked,
    turn_of,
    turned,
)
from cytosuite.training.parts import Arrays, Cases, State, Training
from cytosuite.training.settings import TrainingSettings
from cytosuite.volume import SPATIAL, Volume, Volumes
from cytosuite.volume.arrays import Bytes, Halves, Lengths
from cytosuite.volume.pieces import deep

NUCLEI = "nucleus-labels"
GATED = (0.5, 99.5)  # percentiles of the measures that pass the gates
ALIKE = 0.02  # relative difference of voxel sizes that count as one
SHOWN = 4  # labels in a picture


class LabelCrops(Described):
    """Crops of a step."""

    shape: Sides = (1, 128, 128)  # voxels along z, y, x
    batch: Count = 16  # crops per step, at evenly spread levels of noise


class Settings(TrainingSettings):
    """All settings of a training."""

    network: DenoiserArguments = DenoiserArguments(dimensions=2, channels=2, conditioned=False)
    process: Process = FROM_NOISE
    scale_um: Positive = 3.0  # distances are tanh(distance / this)
    names: Texts = ("*",)  # of labels, without suffix
    crops: LabelCrops = LabelCrops()


@frozen
class LabelPair:
    """Labels of cells and nuclei to learn from; 4 bytes per voxel on disk, few in memory."""

    path: Path  # of the cells' file
    fields: Halves  # (2, Z, Y, X), at least as large as a crop; mapped
    spacing: Lengths  # µm per voxel
    read: Callable[[], tuple[Volume, Volume]]  # the labels of cells and of nuclei


def load_pair(item: Item, _: str, settings: Settings) -> LabelPair:
    """Return a pair of label images as distances to their borders."""
    path = item.path(LABELS.slug) or item.image
    nuclei = item.extras.get(NUCLEI)
    if not nuclei:
        raise InputError(f"expected labels of the nuclei by the same name in {NUCLEI}, found none")

    def read() -> tuple[Volume, Volume]:
        """Return the labels of cells, and of nuclei by the numbers of their cells."""
        cells = settings.files.labels(path)
        cores = settings.files.labels(nuclei)
        axes = SPATIAL[-settings.network.dimensions :]
        if cells.axes != axes or cells.shape != cores.shape or cells.spacing_is_assumed:
            raise InputError(
                f"expected labels {axes} of cells and nuclei of one shape and a known voxel size, "
                f"found {cells.axes} of {cells.shape} and {cores.shape}, voxels of {cells.spacing}"
            )
        return cells, cells.like(np.where(cores.array > 0, cells.array, 0))

    cells, cores = read()
    fields = fields_of(cells.array, cores.array, cells.spacing, settings.scale_um)
    whole = fields.reshape(2, *stacked(cells).shape).astype(np.float16)
    return LabelPair(path, mapped(padded(whole, settings.crops.shape)), cells.spacing, read)


def _scene(labels: Volume) -> Scene:
    """Return the labels of cells without an image."""
    whole = stacked(labels)
    return Scene(whole.like(np.zeros(whole.shape, np.uint8)), whole.array)


class MaskTraining(Training[Settings, LabelPair]):
    """The parts of the training."""

    algorithm = "masks"
    settings = Settings

    def find(self, folder: Path, role: str, settings: Settings) -> list[Item]:
        """Return the labels of a folder."""
        return find_images(folder, settings.names, settings.files, task=None)

    def batch(self, cases: Cases[LabelPair], settings: Settings, step: int) -> Arrays:
        """Return crops, turned and mirrored, noise and the phases of their levels for a step."""
        items = cases["images"]
        form = settings.crops
        rng = np.random.default_rng([settings.schedule.seed, step])
        crops = []
        for item in (items[int(n)] for n in rng.integers(len(items), size=form.batch)):
            crop = cut(item.fields, draw_box(rng, item.fields.shape[1:], form.shape))
            crops.append(turned(crop, turn_of(rng, noise=False)))
        image = np.stack(crops)
        place = (np.arange(form.batch) + rng.random(form.batch)) / form.batch
        return {
            "image": image,
            "noise": rng.standard_normal(image.shape, np.float32),
            "phase": phases(place, settings.process.schedule),
        }

    def describe(self, cases: Cases[LabelPair], settings: Settings) -> Entries:
        """Return axes and voxel size, µm."""
        return {
            "axes": SPATIAL[-settings.network.dimensions :],
            "spacing": list(cases["images"][0].spacing),
        }

    def measure(self, cases: Cases[LabelPair], settings: Settings) -> Entries:
        """Return the gates of cells, the grid and the scale of the distances."""
        first = cases["images"][0]
        tables = []
        for item in cases["images"]:
            if not np.allclose(item.spacing, first.spacing, rtol=ALIKE):
                raise InputError(
                    f"{item.path}: expected voxels of {list(first.spacing)} µm, as of "
                    f"{first.path}, found {list(item.spacing)}; give labels of one voxel size"
                )
            cells, nuclei = item.read()
            tables.append(measured(cells.array, nuclei.array, item.spacing))
        values = {name: np.concatenate([table[name] for table in tables]) for name in MEASURES}
        if not values["area"].size:
            raise InputError("expected whole cells with nuclei, found none; give larger labels")
        return {
            "process": settings.process.model_dump(mode="json"),
            "spacing": list(first.spacing),
            "scale_um": settings.scale_um,
            "gates": rounded({k: np.percentile(v, GATED) for k, v in values.items()}, 6),
        }

    def check(self, source: Path | Entries, role: str, settings: Settings) -> None:
        """Refuse a folder without labels, and a network that draws other than cells and nuclei."""
        if settings.network.channels != 2 or settings.network.conditioned:
            raise InputError("network: expected channels = 2 and conditioned = false")
        super().check(source, role, settings)

    def validate(
        self, state: State, cases: Cases[LabelPair], settings: Settings
    ) -> Iterator[Facts]:
        """Yield the facts about the held-out labels of cells and as many sampled ones."""
        real = [item.read()[0] for item in cases["images"]]
        drawn = [
            self.drawn(state, item, seed, settings)[SAMPLED_CELLS.slug]
            for seed, item in enumerate(real)
        ]
        sides = {"real:scenes": real, "synthetic:scenes": drawn}
        yield Facts({name: partial(list, map(_scene, side)) for name, side in sides.items()})

    def picture(self, state: State, cases: Cases[LabelPair], settings: Settings) -> Bytes:
        """Return held-out labels above sampled ones, the nuclei white."""
        real = [item.read() for item in cases["images"][:SHOWN]]
        drawn = [
            [*self.drawn(state, cells, seed, settings).values()]
            for seed, (cells, _) in enumerate(real)
        ]

        def grey(labels: Iterable[Volume]) -> Bytes:
            """Return the middle plane of cells and nuclei."""
            cells, nuclei = (
                stack[len(stack) // 2] for stack in [deep(volume.array) for volume in labels]
            )
            return np.where(nuclei > 0, 255, (cells > 0) * (60 + cells * 47 % 110)).astype(np.uint8)

        return joined([joined([*map(grey, row)], 1) for row in (real, drawn)], 0)

    def drawn(self, state: State, like: Volume, seed: int, settings: Settings) -> Volumes:
        """Return cells and nuclei as large as others by the average network, always of one seed."""
        return self.outputs(state, {REQUEST.slug: replace(like, metadata={"seed": seed})}, settings)


TRAINING = MaskTraining(case=load_pair, step=denoising_step)
