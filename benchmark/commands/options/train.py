"""Options of ``train``."""

from pathlib import Path

from cytosuite.benchmark.catalog.packages import Device
from cytosuite.benchmark.commands.terminal.console import printable, several
from cytosuite.benchmark.commands.terminal.options import (
    MOST_WORKERS,
    BuildingOptions,
    FileOptions,
    RunOptions,
    SimulatedOptions,
    argument,
    command_options,
    option,
    parameters,
)
from cytosuite.contract.words import SPLITS


@command_options
class TrainOptions(SimulatedOptions, FileOptions, BuildingOptions):
    """Options of a training; `passed` holds the words for its own program."""

    algorithm: str = argument("Name in algorithms/.")
    dataset: str = argument("Name, name/recipe, recipe.toml, folder, or list (.csv).")
    name: str = option("Of the model.", ...)
    data: list[str] = option(
        "More data: role=dataset, comma-separated.",
        (),
        parse=several,
        flag="--data",
        repeatable=True,
    )
    seed: int | None = option(
        "Of everything drawn; by default 0, and the settings' own.", min=0, max=2**32 - 1
    )
    steps: int | None = option("Batches; 0 only measures parameters.", min=0, max=10**9)
    start: str | None = option("Model to start from: name, or card.", flag="--from")
    restart: bool = option("Ignore an earlier checkpoint.", False)
    settings: Path | None = option("File of the training, or name of one of its algorithm.")
    recursive: bool = option("Look for images in sub-folders too.", False)
    splits: Path | None = option(f"File with the parts, in place of {SPLITS}.")
    threads: int = option("Of the CPU.", 1, min=1, max=MOST_WORKERS)
    device: Device = option("Where to train.", "cpu", env="DEVICE")
    engine: str = option("Of a tool of others or a pipeline: auto, docker, process, ...", "auto")
    authors: str | None = option("Of the model; git's user.name.", parse=printable)
    changes: list[str] = parameters()
    runs: Path | None = option("Folder for simulated data.")

    @property
    def run(self) -> RunOptions:
        """Engine of a tool's training, or of a chain."""
        return RunOptions(engine=self.engine, device=self.device, base_image=self.base_image)

    @property
    def passed(self) -> list[str]:
        """Options as words for the command of the training."""
        names = ("threads", "device", "seed", "steps", "authors", "data_root", "splits", "group")
        words = ["--recursive"] if self.recursive else []
        for name in names:
            value = getattr(self, name)
            if value not in (None, ""):
                place = value.resolve() if isinstance(value, Path) else value
                words += [f"--{name.replace('_', '-')}", str(place)]
        return words
