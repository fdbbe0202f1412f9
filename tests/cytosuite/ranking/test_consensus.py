import numpy as np
import pandas as pd
import pytest

from cytosuite.ranking import RankingRules, rank

CLEAR = 12, (0.9, 0.6, 0.3)  # cases and means
COLUMNS = ["dataset", "case", "algorithm", "metric", "value"]


def table(datasets, spread=0.01):
    """Return scores of a, b and c with these means in datasets of so many cases."""
    rng = np.random.default_rng(1)
    rows = []
    for name, (cases, means) in datasets.items():
        for case in range(cases):
            values = np.asarray(means) + rng.normal(0, spread, 3)
            rows += [
                (name, str(case), a, "SEG", v) for a, v in zip("abc", values.tolist(), strict=True)
            ]
    return pd.DataFrame(rows, columns=COLUMNS)


def test_each_dataset_has_the_same_weight_whatever_its_cases():
    scores = table(
        {"large": (60, (0.9, 0.5, 0.1)), "s": (8, (0.2, 0.9, 0.5)), "t": (8, (0.2, 0.9, 0.5))}
    )
    ranking = rank(scores)
    assert ranking.overall.algorithms[0] == "a"  # by cases
    over = ranking.consensus
    assert over.algorithms[0] == "b"
    assert over.ranks == pytest.approx({"a": 7 / 3, "b": 4 / 3, "c": 7 / 3})
    assert over.places["large"] == {"a": 1, "b": 2, "c": 3}
    assert over.tau["s"] > over.tau["large"]


def test_datasets_are_drawn_and_cases_within_each():
    sure = rank(table(dict.fromkeys("stuv", CLEAR))).consensus
    assert sure.interval["a"] == (1, 1)
    assert sure.shares == {"a": 1.0, "b": 0.0, "c": 0.0}
    assert set(sure.first_without.values()) == {"a"}
    over = rank(table({"s": CLEAR, "t": (12, (0.6, 0.9, 0.3))})).consensus
    assert over.interval["a"] == (1, 2)  # of datasets: each alone is sure
    assert over.shares["a"] == pytest.approx(0.75, abs=0.05)  # both at once tie
    assert over.first_without == {"s": "b", "t": "a"}
    noisy = rank(table(dict.fromkeys("stuv", (12, (0.6, 0.6, 0.3))), 0.1)).consensus
    assert noisy.interval["a"][1] > noisy.interval["a"][0]  # of cases


def test_draws_of_datasets_do_not_hang_on_those_of_cases():
    def share(decisive):
        """Return the share of b, which leads by one case in one dataset, and in half of others."""
        lead = np.tile([[0.1], [-0.1]], (3, 6))
        lead[0] = np.where(np.arange(6) == decisive, -0.4, 0.07)
        rows = [(str(d), c, "a", "SEG", value) for (d, c), value in np.ndenumerate(lead)]
        rows += [(*row[:2], "b", "SEG", 0.0) for row in rows]
        return rank(pd.DataFrame(rows, columns=COLUMNS)).consensus.shares["b"]

    assert share(0) == pytest.approx(share(5), abs=0.05)


def test_equal_sums_of_ranks_tie_in_every_sample(rng):
    turns, parts, sums = np.add.outer(range(3), range(3)), [], 0  # each is first, second, third
    for metric, shift in {"SEG": 0, "DET": 0, "F1": 1}.items():
        ranks = (turns + shift) % 3
        means = {name: (8, row) for name, row in zip("stu", 0.9 - ranks / 4, strict=True)}
        parts.append(table(means).assign(metric=metric))
        sums = sums + ranks
    over = rank(pd.concat(parts), by=["SEG", "DET", "F1"]).consensus
    (draws,) = rng.spawn(1)
    totals = draws.multinomial(3, [1 / 3] * 3, 2000) @ sums
    assert [*over.shares.values()] == (totals.min(axis=1) == totals.T).mean(axis=1).tolist()


def test_few_cases_stay_as_they_are():
    scores = table({"s": CLEAR, "t": (3, (0.9, 0.6, 0.3))})
    assert rank(scores).consensus.fixed == ["t"]
    undrawn = rank(scores, rules=RankingRules(draws=0)).consensus
    assert (undrawn.algorithms, undrawn.interval, undrawn.shares) == (["a", "b", "c"], {}, {})


def test_there_is_none_of_one_dataset_or_without_failures():
    assert rank(table({"s": CLEAR})).consensus is None
    rules = RankingRules(failures="left out")
    assert rank(table(dict.fromkeys("st", CLEAR)), rules=rules).consensus is None
