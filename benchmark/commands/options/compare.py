"""Options of ``compare`` and ``rank``."""

from pathlib import Path
from typing import Literal

from cytosuite.benchmark.commands.terminal.options import (
    TableOptions,
    argument,
    command_options,
    listing,
    option,
    seed_option,
)
from cytosuite.errors import InputError
from cytosuite.files import TextDict, need_file

COLUMNS = ("case", "algorithm", "metric", "value", "dataset", "status")


MOST_DRAWS = 100_000


@command_options
class CompareOptions(TableOptions):
    """Options of a comparison."""

    runs: list[Path] = argument("Before and after: folders of runs, scores.csv, or names in runs/.")
    accepted: bool = option("Compare one run with the accepted scores of its dataset.", False)
    metrics: list[str] = listing("Names, comma-separated; those to rank by.")
    without: list[str] = listing("Algorithms, cases, metrics that AFTER may lack, comma-separated.")
    thresholds: Path | None = option("File (.toml): level, relevant changes, costs.")
    markdown: Path | None = option("Write as Markdown here.")

    def __post_init__(self) -> None:
        """Refuse a wrong number of runs, and places for the files before the work."""
        super().__post_init__()
        if len(self.runs) != (1 if self.accepted else 2):
            raise InputError(
                f"compare: expected {'one run with --accepted' if self.accepted else 'two runs'}, "
                f"found {len(self.runs)}; compare BEFORE AFTER, or compare --accepted RUN"
            )
        if self.markdown is not None:
            need_file(self.markdown)


@command_options
class RankOptions(TableOptions):
    """Options of a ranking."""

    files: list[Path] = argument("Long tables (CSV): case, algorithm, metric, value in each row.")
    by: list[str] = listing("Metrics to rank by; all, or our primary ones.")
    higher: list[str] = listing("Metrics of which more is better.")
    lower: list[str] = listing("Metrics of which less is better.")
    scheme: Literal["mean", "cases", "tests"] = option(
        "Rank by means, by ranks within cases, or by significant wins.", "mean"
    )
    failures: Literal["worst", "left-out"] = option(
        "A failed case counts as the worst value, or is left out for all.", "worst"
    )
    draws: int = option("Bootstrap samples of the cases.", 2000, min=0, max=MOST_DRAWS)
    seed: int = seed_option()
    alpha: float = option("Level of the tests.", 0.05, min=0, max=1)
    controls: list[str] = listing("Algorithms that are not ranked; ours are known.")
    case: str = option("Name of the column.", "")
    algorithm: str = option("Name of the column.", "")
    metric: str = option("Name of the column.", "")
    value: str = option("Name of the column; of the metric, if alone.", "")
    dataset: str = option("Name of the column, by which cases are drawn.", "")
    status: str = option("Name of the column: ok, or the failure.", "")

    def __post_init__(self) -> None:
        """Refuse to write over a table that is ranked."""
        super().__post_init__()
        for path in filter(None, (self.csv, self.json)):
            if path.resolve() in map(Path.resolve, self.files):
                raise InputError(f"{path}: the table would overwrite it; name another file")

    @property
    def columns(self) -> TextDict:
        """Names of columns in the files, by ours."""
        return {name: theirs for name in COLUMNS if (theirs := getattr(self, name))}
