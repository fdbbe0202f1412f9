from math import nan

import numpy as np
import pandas as pd
import pytest

from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import Measure, metric_scores, score_arrays

COLUMNS = ["dataset", "case", "algorithm", "metric", "value", "status"]
SEG = Measure("SEG", True, 0.0)


def rows_of(metric, datasets=None, of_set=False, **values):
    """Return rows: per algorithm a list of values; None is a failed case, ... no row at all."""
    rows = []
    for algorithm, numbers in values.items():
        for number, value in enumerate(numbers):
            if value is not ...:
                case = "" if of_set else f"{number:03d}"
                dataset = datasets[number] if datasets else "cells"
                status = "time-out" if value is None else "ok"
                value = nan if value is None else value
                rows.append((dataset, case, algorithm, metric, value, status))
    return rows


@pytest.fixture(scope="session")
def table():
    def table(metric="SEG", **values):
        return pd.DataFrame(rows_of(metric, **values), columns=COLUMNS)

    return table


@pytest.fixture
def scored(table):
    def scored(measure=SEG, failures="worst", **values):
        arrays = score_arrays(table(measure.name, **values))
        return metric_scores(arrays, measure, arrays.algorithms, failures)

    return scored


@pytest.fixture
def ranking(table):
    def ranking(measure=SEG, controls=(), rules=None, **values):
        return rank_measures(
            table(measure.name, **values), [measure], [measure.name], controls, rules
        )

    return ranking


@pytest.fixture
def ideal():
    """Return scores of five algorithms that keep one order in all cases."""
    rng = np.random.default_rng(3)
    base = rng.uniform(0, 0.3, 20)
    return {f"a{n}": base + 0.8 - 0.1 * n + rng.uniform(0, 0.02, 20) for n in range(5)}
