"""What a metric is: a function of some evidence, together with how its number is to be read.

The evidence is what many metrics share and is costly to gather, an ordinary value: the overlap
table of two label volumes, the matched tracks of two sequences, a checked pair of images.
"""

import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Generic, Literal, TypeVar

from cytosuite.errors import InputError

Evidence = TypeVar("Evidence")
Scope = Literal["case", "set"]


@dataclass(frozen=True)
class Metric(Generic[Evidence]):
    """A score: a function of evidence, how that is gathered, its range and its source.

    Parameters
    ----------
    function : callable
        Returns the value from the evidence; NaN where the metric is undefined.
    evidence : callable
        Gathers the evidence from truth and prediction, see there for its arguments.
    name : str
        Short name, in tables and files.
    task : str
        The task whose outputs it scores.
    title : str
        Full name, one line.
    best, worst : float or None
        Value of a perfect prediction and of a useless or failed one. An error count that has no
        upper end has no `worst`; a number that only describes has neither.
    reference : str
        DOI of its definition, without the resolver; empty for a plain count.
    undefined : str
        When the value is NaN ("when ..."); empty if never.
    primary : bool
        Whether algorithms are ranked by it.
    scope : str
        ``case``: one value per case; ``set``: one value for unpaired sets of images.

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics.labels.ctc import seg
    >>> seg(np.array([0, 1, 1, 1]), np.array([0, 0, 5, 5]))
    0.6666666666666666
    >>> seg.name, seg.best, seg.higher_is_better
    ('SEG', 1.0, True)
    """

    function: Callable[[Evidence], float]
    evidence: Callable[..., Evidence]
    name: str
    task: str
    title: str
    best: float | None
    worst: float | None
    reference: str
    undefined: str
    primary: bool
    scope: Scope = "case"

    def __post_init__(self) -> None:
        """Take on the name and documentation of the function, for help and doctest."""
        function = self.function
        vars(self).update(
            __doc__=function.__doc__,
            __module__=function.__module__,
            __name__=function.__name__,
            __wrapped__=function,
        )

    def __call__(self, *arguments: Any, **options: Any) -> float:  # noqa: ANN401 - the evidence's
        """Return the value for a truth and a prediction.

        Parameters
        ----------
        *arguments, **options
            Those of `evidence`: for label metrics truth and prediction, integer arrays of one
            shape.

        Returns
        -------
        float
            The value; NaN where it is undefined.

        Raises
        ------
        InputError
            If they are not what the evidence needs.
        """
        return self.of(self.evidence(*arguments, **options))

    def of(self, evidence: Evidence) -> float:
        """Return the value for evidence that was gathered before.

        Parameters
        ----------
        evidence : object
            Of one case, or of several taken as one for the pooled value of a set.

        Returns
        -------
        float
            The value; NaN where it is undefined.
        """
        return float(self.function(evidence))

    @property
    def higher_is_better(self) -> bool | None:
        """Whether larger values are better; None for a number that only describes.

        With one end of the range given the other is unbounded: an error count with `best` 0
        and no `worst` is the better the lower it is.
        """
        if self.best is None or self.worst is None:
            return None if self.best is self.worst else self.best is None
        return self.best > self.worst

    @property
    def description(self) -> str:
        """First line of the documentation."""
        return (self.function.__doc__ or self.title).strip().splitlines()[0]

    def __reduce__(self) -> str:
        """Pickle by name, as functions are: workers import the same metric."""
        return self.function.__name__


def metric(
    *,
    evidence: Callable[..., Evidence],
    task: str,
    title: str,
    name: str | None = None,
    best: float | None = None,
    worst: float | None = None,
    reference: str = "",
    undefined: str = "",
    primary: bool = False,
    scope: Scope = "case",
) -> Callable[[Callable[[Evidence], float]], Metric[Evidence]]:
    """Return a decorator that makes a `Metric` of a function of some evidence.

    Parameters
    ----------
    evidence, task, title, best, worst, reference, undefined, primary, scope
        As in `Metric`.
    name : str, optional
        Short name; the function's own by default.

    Returns
    -------
    callable
        The decorator.

    Raises
    ------
    InputError
        If a metric to rank by lacks one end of its range: a failed case would have no value.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import Overlap, overlap
    >>> @metric(evidence=overlap, task="segment", title="Pairs", undefined="")
    ... def pairs(table: Overlap) -> float:
    ...     '''Return the number of overlapping pairs.'''
    ...     return table.shared.size
    >>> pairs.name, pairs.description
    ('pairs', 'Return the number of overlapping pairs.')
    """

    def decorate(function: Callable[[Evidence], float]) -> Metric[Evidence]:
        """Return the metric."""
        label = function.__name__ if name is None else name
        if primary and (best is None or worst is None):
            raise InputError(
                f"metric {label}: a primary metric needs best and worst, found best={best}, "
                f"worst={worst}; give both or drop primary=True"
            )
        source = (reference, undefined, primary, scope)
        return Metric(function, evidence, label, task, title, best, worst, *source)

    return decorate


@cache
def metrics_for(task: str) -> tuple[Metric[Any], ...]:
    """Return the metrics of a task, found in the modules of this package.

    Parameters
    ----------
    task : str
        Name of the task, such as ``segment``.

    Returns
    -------
    tuple of Metric
        Those to rank by first, then the other scores, then error counts, then numbers that only
        describe; within each kind by module name and by place in the module. Empty for a task
        without metrics.

    Raises
    ------
    InputError
        If two metrics of the task have the same name.

    Examples
    --------
    >>> [metric.name for metric in metrics_for("segment")][:2]
    ['SEG', 'DET']
    """
    found = [metric for metric in _declared() if metric.task == task]
    names = [metric.name for metric in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"metrics of {task}: the name {name!r} is used twice; rename one")
    return tuple(sorted(found, key=lambda m: (not m.primary, m.worst is None, m.best is None)))


def _declared() -> Iterator[Metric[Any]]:
    """Yield every metric of the package where it is defined, not where it is imported."""
    package = import_module(__name__.rpartition(".")[0])
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    for module_name in sorted(info.name for info in found):
        module = import_module(module_name)
        for value in vars(module).values():
            if isinstance(value, Metric) and value.function.__module__ == module.__name__:
                yield value
