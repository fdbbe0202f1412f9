"""Options of ``compare`` and ``rank``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cytosuite.benchmark.terminal.console import names
from cytosuite.benchmark.terminal.options import TableOptions, option
from cytosuite.errors import InputError
from cytosuite.files import need_file

COLUMNS = ("case", "algorithm", "metric", "value", "dataset", "status")


MOST_DRAWS = 100_000


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TableOptions):
    """Options of a comparison."""

    runs: list[Path] = option(
        ..., "Before and after: folders of runs, scores.csv, or names in runs/.", argument=True
    )
    accepted: bool = option(False, "Compare one run with the accepted scores of its dataset.")
    metrics: list[str] = option((), "Names, comma-separated; those to rank by.", parse=names)
    without: list[str] = option(
        (), "Algorithms, cases, metrics that AFTER may lack, comma-separated.", parse=names
    )
    thresholds: Path | None = option(None, "File (.toml): level, relevant changes, costs.")
    markdown: Path | None = option(None, "Write as Markdown here.")

    def __post_init__(self) -> None:
        """Refuse a wrong number of runs, and places for the files before the work."""
        super().__post_init__()
        expected = 1 if self.accepted else 2
        if len(self.runs) != expected:
            raise InputError(
                f"compare: expected {'one run with --accepted' if self.accepted else 'two runs'}, "
                f"found {len(self.runs)}; compare BEFORE AFTER, or compare --accepted RUN"
            )
        if self.markdown is not None:
            need_file(self.markdown)


@dataclass(frozen=True, kw_only=True)
class RankOptions(TableOptions):
    """Options of a ranking."""

    files: list[Path] = option(
        ..., "Long tables (CSV): case, algorithm, metric, value in each row.", argument=True
    )
    by: list[str] = option((), "Metrics to rank by; all, or our primary ones.", parse=names)
    higher: list[str] = option((), "Metrics of which more is better.", parse=names)
    lower: list[str] = option((), "Metrics of which less is better.", parse=names)
    scheme: Literal["mean", "cases", "tests"] = option(
        "mean", "Rank by means, by ranks within cases, or by significant wins."
    )
    failures: Literal["worst", "left-out"] = option(
        "worst", "A failed case counts as the worst value, or is left out for all."
    )
    draws: int = option(2000, "Bootstrap samples of the cases.", min=0, max=MOST_DRAWS)
    seed: int = option(0, "Of everything drawn.", min=0, max=2**63 - 1)
    alpha: float = option(0.05, "Level of the tests.", min=0, max=1)
    controls: list[str] = option((), "Algorithms that are not ranked; ours are known.", parse=names)
    case: str = option("", "Name of the column.")
    algorithm: str = option("", "Name of the column.")
    metric: str = option("", "Name of the column.")
    value: str = option("", "Name of the column; of the metric, if alone.")
    dataset: str = option("", "Name of the column, by which cases are drawn.")
    status: str = option("", "Name of the column: ok, or the failure.")

    @property
    def columns(self) -> dict[str, str]:
        """Names of columns in the files, by ours."""
        typed = {name: getattr(self, name) for name in COLUMNS}
        return {name: theirs for name, theirs in typed.items() if theirs}
