"""A metric: a function of some evidence, with its range, its source and its undefined cases.

The evidence is the costly part that many metrics share: the overlap table of two label volumes,
the matched tracks of two sequences, a checked pair of images (`cytosuite.metrics.evidence`).
"""

import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from inspect import cleandoc, signature
from itertools import chain
from typing import Any, Generic, TypeVar

from cytosuite.errors import InputError
from cytosuite.figures.markdown import table_lines
from cytosuite.files import Texts
from cytosuite.metrics.boards import BOARDS
from cytosuite.metrics.evidence import Evidence, Scope

T = TypeVar("T")
A = TypeVar("A")

FAMILIES = {
    "labels": "Instance labels",
    "images": "Images with a paired truth",
    "realism": "Images without a paired truth",
    "tracks": "Tracks",
    "points": "Points",
}


@dataclass(frozen=True)
class Metric(Generic[T]):
    """A score: a function of evidence, with its range and its source.

    Parameters
    ----------
    function : callable
        Returns the value from the evidence; NaN where the metric is undefined.
    evidence : Evidence
        Gathers the evidence from truth, prediction and other facts.
    name : str
        Short name, in tables and files.
    title : str
        Full name, one line.
    best, worst : float or None
        Ends of the range: the value of a perfect answer, and of a useless or failed one. An error
        count without an upper end has no `worst`; a number that only describes has neither.
    reference : str
        DOI of its definition, without the resolver; empty for a plain count.
    undefined : str
        When the value is NaN ("when ..."); empty if never.
    tolerance : float
        Distance from its expected value that rounding may cause for a control.
    neutral : float or None
        Value of the main input handed in as the answer; None where it depends on the data.

    Examples
    --------
    >>> import numpy as np
    >>> from cytosuite.metrics import seg
    >>> seg(np.array([0, 1, 1, 1]), np.array([0, 0, 5, 5]))
    0.6666666666666666
    >>> seg.name, seg.family, seg.best, seg.higher_is_better
    ('SEG', 'labels', 1.0, True)
    """

    function: Callable[[T], float]
    evidence: Evidence[T]
    name: str
    title: str
    best: float | None
    worst: float | None
    reference: str
    undefined: str
    tolerance: float
    neutral: float | None

    def __post_init__(self) -> None:
        """Take name and documentation of the function, for `help`, doctest and pickle."""
        vars(self).update(
            __doc__=f"{cleandoc(self.function.__doc__ or self.title)}\n\n{self._facts()}",
            __module__=self.function.__module__,
            __name__=self.function.__name__,
            __wrapped__=self.function,
        )

    def _facts(self) -> str:
        """Return arguments, range, undefined cases and source as text for `help`."""
        gather = self.evidence.gather
        parameters = ", ".join(signature(gather).parameters)
        ends = {"best": self.best, "worst": self.worst, "neutral": self.neutral}
        ends_text = ", ".join(
            f"{end} {value:g}" for end, value in ends.items() if value is not None
        )
        lines = [f"Arguments, as of `{gather.__module__}.{gather.__name__}`: {parameters}"]
        lines += [f"Range: {ends_text}"] if ends_text else []
        lines += [f"NaN {self.undefined}"] if self.undefined else []
        lines += [f"Source: doi:{self.reference}"] if self.reference else []
        return "\n".join(lines)

    def __call__(self, *arguments: Any, **options: Any) -> float:  # noqa: ANN401 - the evidence's
        """Return the value for the arguments of `evidence.gather`, NaN where it is undefined.

        For label metrics truth and prediction, integer arrays of one shape. An `InputError` is
        raised if the evidence cannot be gathered from them.
        """
        return self.of(self.evidence.gather(*arguments, **options))

    def of(self, evidence: T) -> float:
        """Return the value for evidence of one case, or of several pooled; NaN if undefined."""
        return float(self.function(evidence))

    @property
    def family(self) -> str:
        """Folder of `cytosuite.metrics` that the metric is defined in; empty outside of it."""
        package = __name__.rpartition(".")[0] + "."
        module = self.function.__module__
        return module.removeprefix(package).split(".")[0] if module.startswith(package) else ""

    @property
    def scope(self) -> Scope:
        """Whether a value belongs to one case or to a set of images."""
        return self.evidence.scope

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


AnyMetric = Metric[Any]  # of any evidence
Metrics = Sequence[AnyMetric]


def metric(
    name: str,
    title: str,
    *,
    evidence: Evidence[T],
    best: float | None = None,
    worst: float | None = None,
    reference: str = "",
    undefined: str = "",
    tolerance: float = 1e-9,
    neutral: float | None = None,
) -> Callable[[Callable[[T], float]], Metric[T]]:
    """Return a decorator that makes a `Metric` of a function of some evidence.

    The parameters are those of `Metric`. Metrics that share most of them declare these once:
    ``score = partial(metric, evidence=...)``.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import OVERLAP, Overlap
    >>> @metric("pairs", "Overlapping pairs", evidence=OVERLAP)
    ... def pairs(table: Overlap) -> float:
    ...     '''Return the number of overlapping pairs.'''
    ...     return table.shared.size
    >>> pairs.name, pairs.description
    ('pairs', 'Return the number of overlapping pairs.')
    """
    rest = (best, worst, reference, undefined, tolerance, neutral)
    return lambda function: Metric(function, evidence, name, title, *rest)


def family(
    evidence: Evidence[T],
    function: Callable[[T, A], float],
    members: Mapping[str, tuple[str, str, A, str]],
    **shared: Any,  # noqa: ANN401 - those of `metric`
) -> tuple[Metric[T], ...]:
    """Return metrics that are one function of their evidence with another argument each.

    `members` holds for each name in Python the name in files, the title, the argument and the
    first sentence of the documentation; `shared` are further parameters of `metric`.

    Examples
    --------
    >>> from cytosuite.metrics.labels.overlap import OVERLAP
    >>> def size(table, side):
    ...     return getattr(table, f"{side}_sizes").size
    >>> cells = "cells", "Cells in the truth", "truth", "Return the number of cells."
    >>> (found,) = family(OVERLAP, size, {"found": cells})
    >>> found.name, found([0, 3], [0, 0]), found.description
    ('cells', 1.0, 'Return the number of cells.')
    """

    def member(identifier: str, name: str, title: str, argument: A, sentence: str) -> Metric[T]:
        """Return one of them."""

        def value(gathered: T) -> float:
            """Return the value of the member."""
            return function(gathered, argument)

        value.__name__, value.__module__ = identifier, function.__module__
        value.__doc__ = f"{sentence}\n\nIt is `{function.__name__}` with {argument!r}."
        return metric(name, title, evidence=evidence, **shared)(value)

    return tuple(member(function_name, *facts) for function_name, facts in members.items())


@cache
def metrics_of(family: str) -> tuple[AnyMetric, ...]:
    """Return the metrics of a family, found in the modules of its folder.

    Parameters
    ----------
    family : str
        Folder of `cytosuite.metrics`, like ``labels``.

    Returns
    -------
    tuple of Metric
        Scores with a best and a worst value, then those with one open end, then numbers that only
        describe; within each kind by module name and by place in the module.

    Raises
    ------
    InputError
        If two metrics of the family have the same name.

    Examples
    --------
    >>> [metric.name for metric in metrics_of("labels")][:2]
    ['SEG', 'DET']
    """
    metrics = sorted(_declared(family), key=lambda m: (m.worst is None, m.best is None))
    return _unique(metrics, f"family {family}")


def known_metrics(task: str, *, ranks: bool = False) -> dict[str, AnyMetric]:
    """Return the metrics that a task is judged by; of an unknown task all, by name.

    With `ranks` those with a better end alone. Of one name the first family's counts.
    """
    families = BOARDS[task].families if task in BOARDS else FAMILIES
    metrics: dict[str, AnyMetric] = {}
    for metric in chain.from_iterable(map(metrics_of, families)):
        if metric.higher_is_better is not None or not ranks:
            metrics.setdefault(metric.name, metric)
    return metrics


def board_metrics(task: str) -> tuple[AnyMetric, ...]:
    """Return the metrics on the board of a task.

    Parameters
    ----------
    task : str
        Name of the task, like ``segment``.

    Returns
    -------
    tuple of Metric
        The primary ones in the order of the board, then those of each of its families.

    Raises
    ------
    InputError
        If there is no board of that task, or two of its metrics have the same name.

    Examples
    --------
    >>> [metric.name for metric in board_metrics("enhance")][:2]
    ['SSIM', 'patch_AUC']
    """
    if task not in BOARDS:
        raise InputError(f"task {task}: no board, expected one of {', '.join(BOARDS)}")
    board = BOARDS[task]
    place = {name: number for number, name in enumerate(board.primary)}
    metrics = [
        m for name in board.families for m in metrics_of(name) if m.name not in board.without
    ]
    return _unique(sorted(metrics, key=lambda m: place.get(m.name, len(place))), f"task {task}")


def _unique(metrics: list[AnyMetric], place: str) -> tuple[AnyMetric, ...]:
    """Return metrics if each has a name of its own."""
    names = [metric.name for metric in metrics]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"metrics of {place}: the name {name!r} is used twice; rename one")
    return tuple(metrics)


def _declared(family: str) -> Iterator[AnyMetric]:
    """Yield every metric of a family from the module that defines it."""
    package = import_module(f"{__name__.rpartition('.')[0]}.{family}")
    for module_name in sorted(info.name for info in pkgutil.iter_modules(package.__path__)):
        module = import_module(f"{package.__name__}.{module_name}")
        for value in vars(module).values():
            if isinstance(value, Metric) and value.function.__module__ == module.__name__:
                yield value


def reference() -> str:
    """Return the tables of ``cytosuite/metrics/README.md``: boards, then metrics by family."""
    boards = []
    for task, board in BOARDS.items():
        primary = ", ".join(f"`{name}`" for name in board.primary)
        boards.append((task, primary, ", ".join(board.families), ", ".join(board.controls)))
    lines = [
        "## Boards",
        "",
        *table_lines(("task", "primary metrics", "families", "controls"), boards),
    ]
    columns = ("name", "title", "needs", "best", "worst", "undefined", "source")
    for group, title in FAMILIES.items():
        lines += [
            "",
            f"## {title}: `{group}`",
            "",
            *table_lines(columns, map(_cells, metrics_of(group))),
        ]
    return "\n".join([*lines, ""])


def _cells(metric: AnyMetric) -> Texts:
    """Return the cells of a metric."""
    ends = ("" if end is None else f"{end:g}" for end in (metric.best, metric.worst))
    source = f"doi:{metric.reference}" if metric.reference else ""
    needs = ", ".join(metric.evidence.needs)
    return (f"`{metric.name}`", metric.title, needs, *ends, metric.undefined, source)
