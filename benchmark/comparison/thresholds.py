"""Thresholds of a regression, read from a file."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from cytosuite.files import read_toml
from cytosuite.manifest import Described, parse
from cytosuite.metrics import Metric

DEFAULT = Path(__file__).with_name("thresholds.toml")
Level = Annotated[float, Field(gt=0, lt=1)]
Ratio = Annotated[float, Field(ge=1)]


class CostThresholds(Described):
    """Ratios of time and memory, after to before, that are worth a warning."""

    time: Ratio = Field(1.5, description="Of the seconds of a case.")
    memory: Ratio = Field(1.25, description="Of its peak memory.")
    fails: bool = Field(False, description="Whether they are regressions, too.")


class Thresholds(Described):
    """Level and smallest changes of a regression."""

    alpha: Level = Field(0.05, description="Level of the tests, after Holm's correction.")
    range: Level = Field(0.01, description="Smallest relevant change, part of a metric's range.")
    share: Level = Field(0.05, description="The same where the range is open, part of the mean.")
    metrics: dict[str, Annotated[float, Field(ge=0)]] = Field(
        {}, description="Smallest relevant change of single metrics, in their unit."
    )
    cost: CostThresholds = Field(CostThresholds(), description="Time and memory.")

    def relevant(self, metric: Metric[Any], before: float) -> float:
        """Return the smallest relevant change of a metric, in its unit.

        Parameters
        ----------
        metric : Metric
        before : float
            Mean before, of which a part counts where the metric has an open end.
        """
        if metric.name in self.metrics:
            return self.metrics[metric.name]
        if metric.best is None or metric.worst is None:
            return self.share * abs(before)
        return self.range * abs(metric.best - metric.worst)


def read_thresholds(path: Path = DEFAULT) -> Thresholds:
    """Return the thresholds in a TOML file.

    Raises
    ------
    InputError
        If the file is missing, is not TOML, or a key or value is wrong.
    """
    return parse(path, read_toml(path), Thresholds)
