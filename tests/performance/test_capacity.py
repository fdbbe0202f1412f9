"""The model of a cluster's capacity by hand, and its tables in docs/cluster.md."""

from dataclasses import replace

import capacity
import pytest
from capacity import Costs, Facility, Work, hours, saturation

# A case takes 10 s and 1 MB with its result; nothing else costs anything.
COSTS = Costs(
    voxels=1e6,
    case_s=10.0,
    start_s=0.0,
    score_s=0.0,
    case_bytes=6e5,
    case_files=5.0,
    result_bytes=4e5,
    result_files=0.0,
    plan_s=0.0,
    word_s=0.0,
    piece_s=0.0,
    row_s=0.0,
    row_bytes=1000.0,
    page_bytes=10.0,
    scheduler_mib=100.0,
)
FACILITY = Facility(workers=10, disk_bytes_s=1e8, disk_files_s=100.0, chunk_s=100.0)
WORK = Work("w", 3600, 10, 1e6)  # 36,000 results: 360,000 s of one worker, 36 GB


def test_workers_share_the_cases():
    found = hours(WORK, COSTS, FACILITY, 1)
    assert found.run == pytest.approx(10.0)  # 360,000 s by 10 workers
    assert found.bound == "workers"
    assert hours(WORK, COSTS, FACILITY, 5).run == pytest.approx(2.0)
    assert found.disk == pytest.approx(0.1)  # 36 GB by 100 MB/s: 360 s


def test_hours_are_linear_in_cases_and_algorithms():
    costs = replace(COSTS, start_s=3.0, score_s=0.1, word_s=0.01, piece_s=0.02, row_s=0.001)
    one = hours(WORK, costs, FACILITY, 2)
    for more in (replace(WORK, cases=7200), replace(WORK, algorithms=20)):
        two = hours(more, costs, FACILITY, 2)
        for name in ("workers", "disk", "files", "runner", "rest"):
            assert getattr(two, name) == pytest.approx(2 * getattr(one, name))


def test_a_run_takes_as_long_as_its_slowest_resource():
    # 101 nodes are 1010 workers: 356 s of work, 360 s of the disk.
    assert hours(WORK, COSTS, FACILITY, 99).bound == "workers"
    found = hours(WORK, COSTS, FACILITY, 101)
    assert found.bound == "bytes of the disk"
    assert found.run == pytest.approx(0.1)
    assert hours(WORK, COSTS, FACILITY, 10_000).run == found.run
    assert saturation(WORK, replace(COSTS, result_files=1.0, word_s=0.1), FACILITY) == (
        pytest.approx({"bytes of the disk": 100.0, "files of the disk": 100.0, "runner": 10.0})
    )


def test_chunks_are_as_long_as_allowed_and_each_pays_a_start_and_the_scheduler():
    assert capacity.chunks(WORK, COSTS, FACILITY) == 3600  # 10 cases of 10 s in 100 s
    assert capacity.chunks(replace(WORK, voxels=1e8), COSTS, FACILITY) == 36_000  # one case each
    costs = replace(COSTS, start_s=20.0, piece_s=0.5, word_s=0.05)
    found = hours(WORK, costs, FACILITY, 1)
    assert found.workers * 3600 == pytest.approx((360_000 + 3600 * 20) / 10)
    assert found.runner * 3600 == pytest.approx(36_000 * 0.05 + 3600 * 0.5)


def test_files_and_the_end_cost_by_the_result():
    costs = replace(COSTS, result_files=8.0, plan_s=0.001, row_s=0.002, score_s=0.1)
    found = hours(WORK, costs, FACILITY, 2)
    assert found.files * 3600 == pytest.approx(36_000 * 8 / 100)
    assert found.rest * 3600 == pytest.approx(36_000 * (0.001 + 0.002 + 0.1 / 20))


def test_larger_cases_cost_by_their_voxels_but_not_in_files_or_for_the_runner():
    costs = replace(COSTS, result_files=8.0, word_s=0.01)
    one, ten = (hours(replace(WORK, voxels=v), costs, FACILITY, 1) for v in (1e6, 1e7))
    assert ten.workers == pytest.approx(10 * one.workers)
    assert ten.disk == pytest.approx(10 * one.disk)
    assert (ten.files, ten.runner) == (one.files, one.runner)


def test_tables_state_every_constant_and_row():
    text = capacity.tables(COSTS, FACILITY)
    assert "10 workers per node" in text
    assert "10.0 s per case" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == (2 + 2 * len(capacity.NODES)) + (2 + 2)
    assert all(row.count("|") == rows[0].count("|") for row in rows[:10])
    # 100,000 x 1.2288 voxels of the measured ones: 74 GB of data, 983 GB of results.
    assert "| 73.7 GB | 983.0 GB | 0.5 million | 2.1 GB | 20 MB |" in rows[-2]


def test_the_tables_of_the_page_are_those_of_the_recorded_constants():
    """`python performance/capacity.py --write` writes them."""
    page = capacity.PAGE.read_text()
    assert capacity.written(page, capacity.tables(capacity.recorded())) == page
    assert capacity.tables(capacity.recorded()) in page


def test_writing_changes_nothing_but_the_tables():
    page = f"before\n{capacity.BEGIN}old\n{capacity.END}after\n"
    assert capacity.written(page, "new\n") == page.replace("old", "new")


def test_recorded_constants_make_sense():
    costs = capacity.recorded()
    assert costs.voxels == capacity.VOXELS
    assert 0 < costs.word_s < 0.02  # the limit for a scheduler's time per case
    assert costs.case_s > costs.score_s > costs.plan_s > 0
    assert costs.result_bytes > 0
    assert costs.result_files >= 3
