from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cytosuite.benchmark.cluster.chunks import MOST, Backlog, Chunk, Pace, chunk_size
from cytosuite.benchmark.data.dataset import Case
from cytosuite.benchmark.plan import Job
from cytosuite.benchmark.run import ALIKE

PACES = st.builds(
    Pace,
    st.integers(0, 1000),
    st.floats(0, 1e5),
    st.floats(0, 1e4),
    st.integers(0, 100),
)


def jobs(watershed, **numbers):
    """Return a job of so many cases for each name."""
    return [
        Job(
            watershed.model_copy(update={"name": name}),
            "key",
            Path("run") / name,
            tuple(Case(f"{name}{n}", Path("data") / f"{n}") for n in range(number)),
            0,
        )
        for name, number in numbers.items()
    ]


@given(
    st.integers(0, 10**5), st.integers(1, 10**5), st.integers(1, 500), PACES, st.floats(1, 86400)
)
def test_a_chunk_has_a_case_and_no_more_than_are_left(begun, left, slots, pace, most_s):
    size = chunk_size(begun, left, slots, pace, most_s)
    assert 1 <= size <= min(left, MOST)
    if begun >= ALIKE and pace.case_s is not None and size > 1:
        assert size * pace.case_s <= most_s * 1.001


def test_first_cases_go_alone_so_that_speed_and_failures_show_early():
    assert [chunk_size(n, 100, 2, Pace(), 600) for n in range(ALIKE)] == [1] * ALIKE


def test_what_is_left_is_shared_out_in_ever_smaller_chunks():
    pace, left, sizes = Pace(3, 30.0), 40, []
    while left:
        sizes.append(chunk_size(3, left, 2, pace, 600))
        left -= sizes[-1]
    assert sizes == [10, 8, 6, 4, 3, 3, 2, 1, 1, 1, 1]


def test_a_long_start_makes_chunks_long():
    assert chunk_size(3, 16, 8, Pace(3, 3.0, 0.0, 3), 600) == 1
    assert chunk_size(3, 16, 8, Pace(3, 3.0, 6.0, 3), 600) == 8  # four starts of 2 s each


def test_a_chunk_ends_within_its_minutes():
    assert chunk_size(3, 10**4, 2, Pace(1, 10.0), 600) == 60
    assert chunk_size(3, 10**4, 2, Pace(1, 4000.0), 600) == 1


def test_cases_of_no_time_are_bounded():
    assert chunk_size(3, 10**5, 2, Pace(5, 0.0), 600) == MOST


def test_pace_counts_starts_apart():
    pace = Pace()
    assert pace.case_s is None
    pace.add(4, 14.0, 6.0)
    assert (pace.case_s, pace.start_s) == (2.0, 6.0)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 9))
def test_each_case_is_given_out_once(first, second, slots):
    from cytosuite.benchmark.catalog import algorithms

    given_jobs = jobs(algorithms()["watershed"], a=first, b=second)
    backlog = Backlog(given_jobs, slots, 600)
    names = [case.name for chunk in backlog for case in chunk.cases]
    assert sorted(names) == sorted(case.name for job in given_jobs for case in job.missing)
    assert not backlog


def test_all_algorithms_begin_before_one_goes_on(watershed):
    chunks = list(Backlog(jobs(watershed, a=9, b=9), 1, 600))
    assert [chunk.job.algorithm.name for chunk in chunks[:6]] == ["a"] * 3 + ["b"] * 3
    assert all(len(chunk.cases) == 1 for chunk in chunks[:6])


def test_the_longest_job_goes_on_first(watershed):
    backlog = Backlog(jobs(watershed, quick=50, slow=10), 1, 600)
    pieces = iter(backlog)
    for _ in range(6):
        next(pieces)
    backlog.left["quick"].pace.add(3, 3.0, 0.0)  # 47 s are left
    backlog.left["slow"].pace.add(3, 300.0, 0.0)  # 700 s
    assert next(pieces).job.algorithm.name == "slow"


def test_a_chunk_does_not_carry_the_other_cases(watershed):
    (chunk,) = list(Backlog(jobs(watershed, a=1), 1, 600))
    assert chunk.job.missing == ()
    assert chunk.job.key == "key"


def test_a_lost_chunk_comes_again_in_halves(watershed):
    (job,) = jobs(watershed, a=5)
    backlog = Backlog([job], 1, 600)
    list(backlog)
    assert backlog.split(Chunk(job, job.missing))
    again = [[case.name for case in chunk.cases] for chunk in backlog]
    assert again == [["a0", "a1"], ["a2", "a3", "a4"]]
    assert not backlog.split(Chunk(job, job.missing[:1]))


def test_dropped_cases_are_not_given_out(watershed):
    (job,) = jobs(watershed, a=6)
    backlog = Backlog([job], 1, 600)
    pieces = iter(backlog)
    next(pieces)
    backlog.split(Chunk(job, job.missing[4:]))
    assert sorted(case.name for case in backlog.drop("a")) == [
        "a1",
        "a2",
        "a3",
        "a4",
        "a4",
        "a5",
        "a5",
    ]
    assert list(pieces) == []


def test_first_causes_wait_for_all_first_cases(watershed):
    (job,) = jobs(watershed, a=5)
    left = Backlog([job], 1, 600).left["a"]
    left.causes |= {"a2": ("killed", "x"), "a0": None}
    assert left.first_causes == []
    left.causes["a1"] = ("killed", "y")
    assert left.first_causes == [None, ("killed", "y"), ("killed", "x")]


@pytest.mark.parametrize("number", [1, 2])
def test_fewer_cases_than_first_ones_are_all_the_causes(watershed, number):
    (job,) = jobs(watershed, a=number)
    left = Backlog([job], 1, 600).left["a"]
    left.causes |= {case.name: None for case in job.missing}
    assert left.first_causes == [None] * number
