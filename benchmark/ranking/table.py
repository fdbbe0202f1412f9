"""Long tables of any origin: their metrics, those to rank by, and rows that are missing."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cytosuite.benchmark.ranking.scores import ABSENT, Measure, failed_cells, score_arrays
from cytosuite.errors import InputError
from cytosuite.metrics import Metric
from cytosuite.metrics.boards import BOARDS

SHOWN = 3  # names in a sentence
LONG = 8  # names in a message


@dataclass(frozen=True, slots=True)
class Directions:
    """Better ends of the metrics of a table.

    Parameters
    ----------
    known : mapping of str to Metric
        Ours, by name.
    higher, lower : collection of str
        Names of which larger or smaller values are better; they go before `known`.
    """

    known: Mapping[str, Metric[Any]]
    higher: Collection[str] = ()
    lower: Collection[str] = ()

    def ours(self, name: str) -> Metric[Any] | None:
        """Return one of our metrics, None for a name that stands for another."""
        return None if name in (*self.higher, *self.lower) else self.known.get(name)

    def higher_is_better(self, name: str) -> bool | None:
        """Return whether larger values are better, None where that is not known."""
        ours = self.ours(name)
        if ours is not None:
            return ours.higher_is_better
        return True if name in self.higher else False if name in self.lower else None


def table_measures(scores: pd.DataFrame, directions: Directions) -> list[Measure]:
    """Return the metrics of a long table with a known better end.

    Parameters
    ----------
    scores : DataFrame
        Columns ``case``, ``algorithm``, ``metric``, ``value`` and ``status``.
    directions : Directions
        Of its metrics.

    Raises
    ------
    InputError
        If a direction is of no metric of the table or contradicts itself, if a metric has values
        of cases and of the whole set, or if one that is not ours has a value that is not finite.
    """
    names = [str(name) for name in scores["metric"].unique() if name]
    for name in (*directions.higher, *directions.lower):
        if name not in names:
            raise InputError(f"metric {name}: not in the table, expected one of {_some(names)}")
        if name in directions.higher and name in directions.lower:
            raise InputError(f"metric {name}: expected --higher or --lower, found both")
    found = []
    for name in names:
        better, ours = directions.higher_is_better(name), directions.ours(name)
        if better is not None:
            rows = scores[scores["metric"] == name]
            _refuse_values(rows, name, undefined=ours is not None)
            worst = None if ours is None else ours.worst
            found.append(Measure(name, better, worst, bool((rows["case"] == "").all())))
    return found


def primary_names(
    scores: pd.DataFrame, found: Sequence[Measure], directions: Directions, by: Sequence[str]
) -> list[str]:
    """Return the names of the metrics to rank by.

    Parameters
    ----------
    scores : DataFrame
        Long table.
    found : sequence of Measure
        Its metrics with a known better end.
    directions : Directions
        Of its metrics.
    by : sequence of str
        Wanted names. Without any: if all metrics are ours the primary ones of the board that has
        most of them here, otherwise all.

    Raises
    ------
    InputError
        If a metric is not in the table, or its better end is not known.
    """
    names = [str(name) for name in scores["metric"].unique() if name]
    for name in by:
        if name not in names:
            raise InputError(f"--by {name}: not in the table, expected one of {_some(names)}")
    known = [measure.name for measure in found]
    foreign = [name for name in names if directions.ours(name) is None]
    for name in by or foreign:
        if name not in known:
            raise InputError(
                f"metric {name}: direction unknown; give --higher {name} or --lower {name}"
                + ("" if by else ", or --by with the names to rank by")
            )
    if not known:
        raise InputError("no metric with a better end in the table; give --higher or --lower NAME")
    boards = [[name for name in board.primary if name in known] for board in BOARDS.values()]
    board = max(boards, key=len)
    return list(dict.fromkeys(by)) or (known if foreign or not board else board)


def missing_rows(scores: pd.DataFrame, found: Sequence[Measure], controls: Collection[str]) -> str:
    """Return a sentence on the cases without a row that another algorithm has; empty for none.

    Parameters
    ----------
    scores : DataFrame
        Long table.
    found : sequence of Measure
        Metrics to rank by.
    controls : collection of str
        Their rows do not matter.
    """
    arrays = score_arrays(scores[~scores["algorithm"].isin([*controls])])
    lost: dict[tuple[str, str], None] = {}
    for measure in found:
        states = arrays.of(measure.name, measure.of_set)[1]
        cases = [pair for pair in arrays.cases if (pair[1] == "") == measure.of_set]
        for row, column in np.argwhere((states == ABSENT) & failed_cells(states)).tolist():
            dataset, case = cases[column]
            lost[arrays.algorithms[row], "/".join(filter(None, (dataset, case)))] = None
    if not lost:
        return ""
    places = [f"{algorithm} on {case or 'the whole set'}" for algorithm, case in lost]
    count = f"{len(lost)} result" + "s" * (len(lost) != 1)
    return f"{count} missing, counted as failed: {_some(places, SHOWN)}"


def _refuse_values(rows: pd.DataFrame, name: str, *, undefined: bool) -> None:
    """Refuse a metric of both cases and the whole set, and numbers that are not finite."""
    whole = rows["case"] == ""
    if whole.any() and not whole.all():
        own = rows[whole].iloc[0]
        raise InputError(
            f"metric {name}, algorithm {own['algorithm']}: expected a case in every row or in none"
        )
    wrong = rows[~np.isfinite(rows["value"]) & (rows["status"] == "ok")]
    if len(wrong) and not undefined:
        own = wrong.iloc[0]
        raise InputError(
            f"metric {name}, algorithm {own['algorithm']}, case {own['case']}: expected a finite "
            f"number, found {own['value']}; leave the row out if the algorithm failed"
        )


def _some(names: Sequence[str], most: int = LONG) -> str:
    """Return names in a sentence, a number in place of many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
