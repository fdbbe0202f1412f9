"""Metrics of tables of any origin."""

import pandas as pd
import pytest

from cytosuite.benchmark.comparison.scored import known_metrics
from cytosuite.benchmark.ranking.scores import Measure
from cytosuite.benchmark.ranking.table import (
    Directions,
    missing_rows,
    primary_names,
    table_measures,
)
from cytosuite.errors import InputError

OURS = known_metrics("")


def chosen(scores, by=(), **directions):
    found = Directions(OURS, **directions)
    return primary_names(scores, table_measures(scores, found), found, by)


def several(table, *names):
    return pd.concat([table(name, a=[0.1, 0.2], b=[0.3, 0.4]) for name in names])


def test_our_metrics_are_known_with_their_worst_value(table):
    (found,) = table_measures(several(table, "SEG"), Directions(OURS))
    assert found == Measure("SEG", True, 0.0)


def test_a_direction_makes_any_name_a_metric_of_its_own(table):
    found = Directions(OURS, higher=["Dice"], lower=["SEG"])
    assert table_measures(several(table, "Dice", "SEG"), found) == [
        Measure("Dice", True),
        Measure("SEG", False),
    ]


def test_a_board_of_ours_ranks_by_its_primary_metrics(table):
    assert chosen(several(table, "F1", "DET", "SEG", "truth_count")) == ["SEG", "DET"]
    assert chosen(several(table, "PSNR", "N_SSIM", "SSIM")) == ["SSIM", "N_SSIM"]
    assert chosen(several(table, "F1", "AP50")) == ["F1", "AP50"]  # of no board: all


def test_other_tables_rank_by_all_metrics_with_a_direction(table):
    scores = several(table, "SEG", "Dice", "HD95")
    assert chosen(scores, higher=["Dice"], lower=["HD95"]) == ["SEG", "Dice", "HD95"]
    assert chosen(scores, by=["HD95"], lower=["HD95"]) == ["HD95"]


def unknown_direction(table):
    """metric NSD: direction unknown; give --higher NSD or --lower NSD, or --by"""
    chosen(several(table, "SEG", "NSD"))


def wanted_without_direction(table):
    """metric truth_count: direction unknown; give --higher truth_count or --lower truth_count"""
    chosen(several(table, "SEG", "truth_count"), by=["truth_count"])


def wanted_but_absent(table):
    """--by DET: not in the table, expected one of SEG"""
    chosen(several(table, "SEG"), by=["DET"])


def direction_of_nothing(table):
    """metric Dcie: not in the table, expected one of Dice"""
    chosen(several(table, "Dice"), higher=["Dcie"])


def both_directions(table):
    """metric Dice: expected --higher or --lower, found both"""
    chosen(several(table, "Dice"), higher=["Dice"], lower=["Dice"])


def nothing_with_a_direction(table):
    """no metric with a better end in the table"""
    chosen(several(table, "truth_count"))


def not_a_number(table):
    """metric Dice, algorithm b, case 001: expected a finite number, found nan; leave the row out"""
    chosen(table("Dice", a=[0.1, 0.2], b=[0.1, float("nan")]), higher=["Dice"])


def infinite(table):
    """metric Dice, algorithm a, case 000: expected a finite number, found inf"""
    chosen(table("Dice", a=[float("inf")], b=[0.1]), higher=["Dice"])


def case_in_some_rows(table):
    """metric SEG, algorithm b: expected a case in every row or in none"""
    chosen(pd.concat([table(a=[0.1]), table(of_set=True, b=[0.1])]))


MISTAKES = (
    unknown_direction,
    wanted_without_direction,
    wanted_but_absent,
    direction_of_nothing,
    both_directions,
    nothing_with_a_direction,
    not_a_number,
    infinite,
    case_in_some_rows,
)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
def test_a_mistake_is_one_clear_line(table, mistake):
    with pytest.raises(InputError) as error:
        mistake(table)
    assert mistake.__doc__ in str(error.value)
    assert "\n" not in str(error.value)


def test_undefined_values_of_ours_are_no_mistake(table):
    assert chosen(table(a=[0.1, float("nan")], b=[0.1, 0.2])) == ["SEG"]


def test_failed_values_need_no_number(table):
    assert chosen(table("Dice", a=[0.1, None], b=[0.1, 0.2]), higher=["Dice"]) == ["Dice"]


def test_missing_rows_are_counted_and_the_first_are_named(table):
    found = [Measure("SEG", True, 0.0)]
    scores = table(a=[0.1] * 5, b=[0.1, ..., ..., ..., ...], oracle=[1.0] * 6)
    assert missing_rows(scores, found, {"oracle"}) == (
        "4 results missing, counted as failed: b on cells/001, b on cells/002, b on cells/003 and "
        "1 more"
    )
    assert missing_rows(table(a=[0.1], b=[0.1]), found, ()) == ""
    plain = table(a=[0.1, 0.2], b=[0.1]).assign(dataset="")
    assert missing_rows(plain, found, ()) == "1 result missing, counted as failed: b on 001"
