"""Toy runs and their scores."""

import pytest

from cytosuite.benchmark.scores.score import score


@pytest.fixture
def scored(answers):
    def found(dataset, task, **algorithms):
        return score(dataset, task, answers(dataset, task, **algorithms))

    return found


@pytest.fixture
def values():
    def found(scores, algorithm, metric):
        rows = scores.table
        rows = rows[(rows["algorithm"] == algorithm) & (rows["metric"] == metric)]
        return dict(zip(rows["case"], rows["value"], strict=True))

    return found
