"""Options of ``benchmark``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cytosuite.benchmark.engines.outcome import Limits
    from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.benchmark.commands.terminal.console import plain_name
from cytosuite.benchmark.commands.terminal.options import (
    ClusterOptions,
    ExternalOptions,
    PhaseOptions,
    TableOptions,
    command_options,
    listing,
    option,
)
from cytosuite.benchmark.runs.data.shard import Shard, read_shard


@command_options
class BenchmarkOptions(TableOptions, PhaseOptions, ExternalOptions, ClusterOptions):
    """Options of the main job."""

    algorithm: list[str] = listing(
        "Names, name:model, all, images (image:tag) or files (.tar.gz) of others; by commas."
    )
    run: str | None = option("Name of the run's folder.", parse=plain_name)
    shard: Shard | None = option(
        "Share of the cases, like 3/16: run, not scored.", parse=read_shard
    )
    retry: bool = option("Run failed cases again.", False)
    keep_going: bool = option(
        "Run all cases, also if the first fail alike; failed ones again.", False
    )
    verify: bool = option("Read all finished files again to see that none was altered.", False)
    blind: bool = option("Write a second report, for participants: nothing of the truth.", False)

    def limits(self, algorithm: "AlgorithmManifest") -> "Limits":
        """Return the limits of one case of an algorithm, with the folder that a model is for."""
        from cytosuite.benchmark.catalog.models import ruled_folder  # loads the cards

        place = Path(self.dataset)
        folder = ruled_folder(place) if place.exists() else ""
        return replace(super().limits(algorithm), folder=folder)
