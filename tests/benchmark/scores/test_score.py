import pickle
from math import isnan, nan

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mistakes import refused
from toys import squares as perfect

from cytosuite.benchmark.runs.record import read_record
from cytosuite.benchmark.runs.store.pool import Lost
from cytosuite.benchmark.scores.conditions import (
    CASES,
    RANGES,
    WORDS,
    by_condition,
    divide,
    roundest,
)
from cytosuite.benchmark.scores.score import score
from cytosuite.contract.tasks import TASKS
from cytosuite.files import file_digest, write_json
from cytosuite.folders import masks
from cytosuite.formats import read, write
from cytosuite.volume import memory

SEGMENT = TASKS["segment"]


def first_only(image):
    labels = np.zeros(image.shape, np.uint16)
    labels[1:3, 4:7, 5:9] = 1
    return labels


def slow_on_three(image):
    return "time-out" if image.array.sum() in (0, 3 * 100 * 24) else perfect(image)


class Backwards:
    """A pool that returns pieces in another order, after a way through pickle."""

    def each(self, work, pieces):
        for number in reversed(range(len(pieces))):
            piece = pickle.loads(pickle.dumps(pieces[number]))
            yield number, pickle.loads(pickle.dumps(work(piece)))


def test_scores_do_not_depend_on_the_pool(answers, dataset):
    jobs = answers(dataset, SEGMENT, ours=perfect, first=first_only, slow=slow_on_three)
    here = score(dataset, SEGMENT, jobs)
    away = score(dataset, SEGMENT, jobs, pool=Backwards())
    assert here.table.equals(away.table)
    assert here.pooled == away.pooled
    assert len(here.pooled) > 0
    assert here.metrics == away.metrics
    assert list(here.records) == list(away.records)
    assert here.notes == away.notes
    assert here.evidence.keys() == away.evidence.keys()


def test_a_case_that_no_worker_finishes_is_named(answers, dataset):
    class Broken:
        def each(self, work, pieces):
            yield 1, Lost("its worker ended 3 times")

    refused(
        f"{dataset.cases[1].name}: not scored, its worker ended 3 times",
        score,
        dataset,
        SEGMENT,
        answers(dataset, SEGMENT, ours=perfect),
        pool=Broken(),
    )


def test_objects_that_are_too_small_are_not_judged(scored, make_dataset, values):
    dataset = make_dataset(1, 2, 3)
    for case in dataset.cases:
        path = case.socket("instance-labels")
        truth = read(path)
        truth.array[0, 0, 20] = 9  # a marker where no image shows a nucleus
        write(path, truth)
    scores = scored(dataset, SEGMENT, ours=perfect)
    assert max(values(scores, "ours", "DET").values()) < 1
    for case in dataset.cases:
        write_json(
            case.folder / "case.json",
            case.facts() | {"ignored": {"min_object_voxels": 4, "objects": 1, "of": 2}},
        )
    scores = scored(dataset, SEGMENT, ours=perfect)
    for name in ("SEG", "DET", "F1", "HD"):
        best = 0.0 if name == "HD" else 1.0
        assert set(values(scores, "ours", name).values()) == {best}
        assert set(values(scores, "oracle", name).values()) == {best}
    assert set(values(scores, "blank", "DET").values()) == {0.0}
    assert scores.pooled["ours", "SEG"] == 1.0


def test_a_failed_case_has_the_worst_value_that_its_truth_allows_and_counts_as_empty_when_pooled(
    scored, make_dataset, values
):
    scores = scored(make_dataset(1, 2, 3, 0), SEGMENT, ours=slow_on_three)
    expected = {"case_1": 1.0, "case_2": 1.0, "case_3": 0.0, "case_0": nan}
    assert values(scores, "ours", "SEG") == pytest.approx(expected, nan_ok=True)
    assert scores.pooled["ours", "SEG"] == pytest.approx(3 / 6)
    assert isnan(values(scores, "ours", "missed")["case_3"])
    assert scores.pooled["ours", "missed"] == 3
    assert set(scores.table[scores.table["status"] == "time-out"]["case"]) == {"case_0", "case_3"}


def test_without_truth_only_objects_are_counted(scored, make_dataset, values):
    scores = scored(make_dataset(1, 3, annotated=False), SEGMENT, ours=perfect)
    assert [metric.name for metric in scores.metrics] == ["prediction_count"]
    assert values(scores, "ours", "prediction_count") == {"case_1": 1.0, "case_3": 3.0}
    assert set(scores.table["algorithm"]) == {"ours"}
    assert (scores.primary, scores.pooled) == ((), {})


@pytest.mark.parametrize("altered", [True, False])
def test_an_output_that_cannot_be_decoded_fails_its_case_and_altered_later_by_no_fault_of_its_own(
    answers, dataset, values, altered
):
    (job,) = answers(dataset, SEGMENT, ours=perfect)
    path = job.folder / "case_2/output.tif"
    before = file_digest(path)
    path.write_bytes(path.read_bytes()[:-200])
    record = read_record(path.parent)
    sums = {"instance-labels": before if altered else file_digest(path)}
    record.model_copy(update={"digests": sums}).write(path.parent)
    scores = score(dataset, SEGMENT, [job])
    record = scores.records["ours", "case_2"]
    assert (record.status, record.outputs) == ("engine error" if altered else "bad output", {})
    assert record.message.startswith("output.tif: ")
    assert record.message.endswith("; the file was altered since it was written") == altered
    assert read_record(path.parent) == record
    assert values(scores, "ours", "SEG") == {"case_1": 1.0, "case_2": 0.0, "case_3": 1.0}


def test_each_file_is_decoded_once(answers, dataset, monkeypatch):
    jobs = answers(dataset, SEGMENT, one=perfect, two=first_only)
    read = masks.read
    opened = []

    def counted(path, **options):
        opened.append(path)
        return read(path, **options)

    for module in ("folders.masks", "benchmark.scores.cases"):
        monkeypatch.setattr(f"cytosuite.{module}.read", counted)
    score(dataset, SEGMENT, jobs)
    truths = [case.truth(SEGMENT)["instance-labels"] for case in dataset.cases]
    outputs = [job.folder / case.name / "output.tif" for case in dataset.cases for job in jobs]
    images = [case.main(SEGMENT) for case in dataset.cases]  # for the tables of the objects
    assert sorted(opened) == sorted(truths + outputs + images)
    opened.clear()
    score(dataset, SEGMENT, jobs)
    assert sorted(opened) == sorted(truths + outputs)  # no input: no metric of labels needs it


def test_the_objects_of_all_and_of_a_group_are_pooled(scored, dataset, values):
    scores = scored(dataset, SEGMENT, ours=first_only)
    assert values(scores, "ours", "SEG") == pytest.approx(
        {"case_1": 1.0, "case_2": 1 / 2, "case_3": 1 / 3}
    )
    assert scores.pooled["ours", "SEG"] == pytest.approx(3 / 6)
    squares, parity = by_condition(dataset, scores)  # what is alike in all cases divides none
    assert (squares.name, squares.unit, squares.ordered) == ("squares", "", True)
    assert [(g.label, g.cases, g.objects) for g in squares.groups] == [
        ("below 3", ["case_1", "case_2"], 3),
        ("3 or more", ["case_3"], 3),
    ]
    assert [group.scores["ours", "SEG"].mean for group in squares.groups] == pytest.approx(
        [2 / 3, 1 / 3]
    )
    assert (parity.name, parity.unit) == ("parity", "2")
    assert [len(group.cases) for group in parity.groups] == [1, 2]
    assert {group.scores["oracle", "DET"].mean for group in parity.groups} == {1.0}


def test_intervals_need_three_cases_and_stay_in_the_range(scored, make_dataset):
    dataset = make_dataset(1, 2, 3, 4, 5)
    groups = by_condition(dataset, scored(dataset, SEGMENT, ours=first_only))[0].groups
    assert [len(group.cases) for group in groups] == [2, 3]
    for group, bounded in zip(groups, (False, True), strict=True):
        summary = group.scores["ours", "SEG"]
        assert isnan(summary.low) is not bounded
        assert not bounded or 0.0 <= summary.low < summary.mean < summary.high <= 1.0
        assert isnan(group.scores["ours", "missed"].low)  # a count has no upper end


def test_conditions_that_rise_together_are_named(scored, make_dataset):
    dataset = make_dataset(2, 3, 5)  # the odd ones are the larger ones
    squares, parity = by_condition(dataset, scored(dataset, SEGMENT, ours=perfect))
    # Ranks 1, 2, 3 and 1, 2.5, 2.5: 1.5 / sqrt(2 * 1.5)
    assert squares.goes_with == {"parity": pytest.approx(np.sqrt(3) / 2)}
    assert parity.goes_with == {"squares": pytest.approx(np.sqrt(3) / 2)}


def test_volumes_on_disk_have_the_scores_and_tables_of_those_in_memory(
    answers, dataset, monkeypatch
):
    jobs = answers(dataset, SEGMENT, ours=perfect, first=first_only, slow=slow_on_three)
    folders = [job.folder / case.name for job in jobs for case in dataset.cases]
    tables = [folder / name for folder in folders for name in ("objects.csv", "object_scores.csv")]
    there = score(dataset, SEGMENT, jobs)
    written = {path: path.read_bytes() for path in tables if path.is_file()}
    for path in written:
        path.unlink()
    monkeypatch.setattr(memory, "fits", lambda _: False)
    monkeypatch.setattr(memory, "SLAB", 100)
    assert memory.is_mapped(read(folders[0] / "output.tif").array)
    mapped = score(dataset, SEGMENT, jobs)
    assert there.table.equals(mapped.table)
    assert there.pooled == mapped.pooled
    assert there.notes == mapped.notes == ()
    assert {path: path.read_bytes() for path in tables if path.is_file()} == written
    assert len(written) > len(folders)


NUMBERS = st.floats(-1e6, 1e6) | st.integers(-30, 30)


def sizes(values):
    return [(label, len(cases)) for label, cases in divide(dict(enumerate(values))).items()]


@given(st.lists(NUMBERS, min_size=2, max_size=80, unique=True))
@example([20231124093010.0, 20231124093011.0])  # they differ in their last digits
@example([20231124093010.0, 20231124093011.0] * 2)
def test_ranges_of_different_numbers_hold_about_equally_many(values):
    counts = [len(cases) for cases in divide(dict(enumerate(values))).values()]
    mean = len(values) / len(counts)
    assert len(counts) == max(2, min(RANGES, len(values) // CASES))
    assert all(abs(count - mean) <= 1 + 2 * mean / 5 for count in counts)


def test_edges_are_round():
    ends = [(3, 11), (11, 21), (0, 5e-324), (0.113, 0.118), (-7, 5), (99, 101), (-8.2, -4.1)]
    assert [roundest(*pair) for pair in ends] == pytest.approx([10, 20, 5e-324, 0.115, 0, 100, -5])


def test_few_cases_make_two_ranges_and_many_make_four():
    assert sizes([1.5, 8.2]) == [("below 5", 1), ("5 or more", 1)]
    assert sizes(range(0, 120, 10)) == [
        ("below 30", 3), ("30 to 60", 3), ("60 to 90", 3), ("90 or more", 3),
    ]  # fmt: skip


def test_words_are_groups_by_name_and_the_rarest_stand_together():
    groups = divide({"a": "late", "b": "early", "c": "late"})
    assert list(groups.items()) == [("early", ["b"]), ("late", ["a", "c"])]
    groups = sizes([f"w{n}" for n in range(12)] + ["w11", "w10"])
    assert len(groups) == WORDS
    assert groups[-1] == ("5 others", 5)
    assert dict(groups)["w11"] == 2
    assert len(sizes([f"w{n}" for n in range(WORDS)])) == WORDS
