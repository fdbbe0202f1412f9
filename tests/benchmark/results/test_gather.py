from itertools import pairwise

import numpy as np
import pytest

from cytosuite.benchmark.record import read_record
from cytosuite.benchmark.results.gather import RunFacts, gather, match
from cytosuite.metrics import seg
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.tasks import TASKS

SEGMENT, ENHANCE = TASKS["segment"], TASKS["enhance"]
FACTS = RunFacts("fake", "invoke", "make benchmark DATASET=squares", "1 GiB", ("One is missing.",))


def test_matches_are_those_of_the_scores():
    truth = np.array([1, 1, 1, 2, 2, 3, 0, 0])
    answer = np.array([5, 5, 0, 6, 7, 5, 8, 8])
    found = match(overlap(truth, answer))
    assert (found.missed, found.extra) == ((2,), (6, 7, 8))  # half of object 2 is not enough
    assert (found.true, found.found) == (3, 2)


@pytest.mark.parametrize("size", [4, 40])
def test_found_and_missed_objects_are_all(size):
    rng = np.random.default_rng(size)
    truth, answer = rng.integers(0, size, (2, 30, 30)).astype(np.uint16)
    found = match(overlap(truth, answer))
    objects = np.unique(truth[truth > 0])
    shares = {r: np.bincount(answer[truth == r])[1:] / (truth == r).sum() for r in objects}
    assert found.true == objects.size
    assert found.missed == tuple(r for r in objects if not (shares[r] > 0.5).any())
    assert found.found == found.true - len(found.missed)
    assert set(found.extra) <= set(answer.flat) - {0}
    assert all(one < other for one, other in pairwise(found.missed))
    assert (seg(truth, answer) == 0) == (found.found == 0)


def results(answers, dataset, task, **algorithms):
    jobs = answers(dataset, task, **algorithms)
    return gather(dataset, task, jobs, FACTS)


def test_results_of_a_segmentation(answers, dataset):
    def half(image):
        return "time-out" if image.array.sum() > 5000 else (image.array > 0).astype(np.uint8)

    found = results(answers, dataset, SEGMENT, ours=half)
    assert [standing.algorithm for standing in found.standings] == ["ours", "blank", "oracle"]
    assert [manifest.name for manifest in found.algorithms] == ["ours"]
    assert (found.primary, found.broken, found.reference) == (("SEG", "DET"), [], ())
    assert set(found.logs) == {("ours", "case_3")}
    assert set(found.outputs) == {("ours", "case_1"), ("ours", "case_2")}
    assert found.outputs["ours", "case_1"]["instance-labels"].is_file()
    assert found.matches["ours", "case_3"].missed == (1, 2, 3)  # failed: an empty answer
    assert found.matches["oracle", "case_2"].found == 2
    assert [files.name for files in found.cases] == ["case_1", "case_2", "case_3"]
    assert found.cases[0].truth == dataset.cases[0].truth(SEGMENT)
    assert found.cases[0].inputs == dataset.cases[0].inputs(SEGMENT)
    assert found.notes == ["One is missing."]
    assert found.provenance["engine"] == "fake, api invoke"
    assert found.provenance["ours"].endswith("key key")


def test_doubts_about_models_are_notes_for_the_reader(answers, dataset):
    jobs = answers(dataset, SEGMENT, ours=lambda image: image.array)
    odd = ("model does not fit: channel is 'x'", "voxel size assumed: a note of the dataset")
    for case in dataset.cases[1:]:
        folder = jobs[0].folder / case.name
        read_record(folder).model_copy(update={"warnings": odd}).write(folder)
    notes = gather(dataset, SEGMENT, jobs, FACTS).notes
    assert notes[1:] == ["ours: model does not fit in 2 cases (case_2, case_3): channel is 'x'."]


def test_the_end_of_a_log_is_kept(answers, dataset):
    jobs = answers(dataset, SEGMENT, ours=lambda image: "killed")
    (jobs[0].folder / "case_1" / "log.txt").write_text("".join(f"line {n}\n" for n in range(100)))
    logs = gather(dataset, SEGMENT, jobs, FACTS).logs
    assert logs["ours", "case_1"].splitlines()[::29] == ["line 70", "line 99"]
    assert logs["ours", "case_2"] == ""


def test_notes_are_true_for_the_task(answers, make_dataset, dataset_of, toys):
    found = results(answers, make_dataset(1, annotated=False), SEGMENT, ours=lambda i: i.array)
    assert found.notes[0].startswith("There are no labels: the algorithms ran and their objects")
    assert (found.matches, found.conditions) == ({}, [])
    images = dataset_of(microscopy_image=toys.image)
    found = results(answers, images, ENHANCE, other=lambda image: image.array)
    assert found.notes[0].startswith("There is no truth and no reference set: ")
    assert {standing.rank for standing in found.standings} == {None}
