from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from cytosuite.benchmark.report.sections.fairness import view
from cytosuite.benchmark.runs.plan import Job
from cytosuite.benchmark.runs.record import Record
from cytosuite.benchmark.scores.circumstances import RunFacts
from cytosuite.benchmark.scores.controls import broken_rulers, nearest
from cytosuite.benchmark.scores.facts import Movie
from cytosuite.benchmark.scores.gather import domain_of, gather, with_domain
from cytosuite.benchmark.scores.matches import match
from cytosuite.benchmark.scores.score import of_warnings
from cytosuite.contract.choice_warnings import ASSUMED
from cytosuite.contract.tasks import TASKS
from cytosuite.metrics import board_metrics
from cytosuite.metrics.labels.overlap import overlap
from cytosuite.volume import Volume

SEGMENT = TASKS["segment"]
ENHANCE = TASKS["enhance"]
FACTS = RunFacts("fake", "invoke", "make benchmark DATASET=squares", "1 GiB", ("One is missing.",))


def test_found_missed_and_extra_objects_by_hand():
    matches = match(overlap(np.array([1, 1, 1, 2, 2, 3, 0]), np.array([5, 5, 0, 5, 6, 7, 8])))
    assert (matches.true, matches.found, matches.missed, matches.extra) == (3, 2, (2,), (6, 8))


@pytest.fixture
def jobs_of(answers, watershed):
    def made(dataset, task, **algorithms):
        return [
            Job(watershed.model_copy(update={"name": one.name}), one.key, one.folder, (), 3)
            for one in answers(dataset, task, **algorithms)
        ]

    return made


def test_results_of_a_segmentation(jobs_of, dataset):
    def half(image):
        return "time-out" if image.array.sum() > 5000 else (image.array > 0).astype(np.uint8)

    results = gather(dataset, SEGMENT, jobs_of(dataset, SEGMENT, ours=half), FACTS)
    assert [standing.algorithm for standing in results.standings] == ["ours", "blank", "oracle"]
    assert [manifest.name for manifest in results.algorithms] == ["ours"]
    assert (results.primary, results.broken, results.reference) == (("SEG", "DET"), [], ())
    assert set(results.logs) == {("ours", "case_3")}
    assert set(results.outputs) == {("ours", "case_1"), ("ours", "case_2")}
    assert results.outputs["ours", "case_1"]["instance-labels"].is_file()
    assert results.matches["ours", "case_3"].missed == (1, 2, 3)  # failed: an empty answer
    assert results.matches["oracle", "case_2"].found == 2
    assert [files.name for files in results.cases] == ["case_1", "case_2", "case_3"]
    assert results.cases[0].truth == dataset.cases[0].truth(SEGMENT)
    assert results.cases[0].inputs == dataset.cases[0].inputs(SEGMENT)
    assert results.notes == [
        "One is missing.",
        "ours: a mask in place of labels? in 1 case (case_2): 2 pieces have one number.",
    ]
    assert results.provenance["engine"] == "fake, api invoke"
    assert results.provenance["ours"].endswith("key key")


METRICS = {m.name: m for name in ("segment", "enhance") for m in board_metrics(name)}


def scores(algorithm, metric, *values):
    return pd.DataFrame(
        {
            "algorithm": algorithm,
            "metric": metric,
            "case": [f"case_{n}" for n in range(len(values))],
            "value": values,
        }
    )


def test_controls_must_have_the_best_and_the_neutral_value():
    (line,) = broken_rulers(scores("oracle", "SEG", 1.0, np.nan, 0.9, 0.8), [METRICS["SEG"]])
    assert line == (
        "SEG gives the truth itself 0.9 instead of 1 on case_2: the metric is wrong, no score of "
        "this run can be trusted"
    )
    (line,) = broken_rulers(scores("identity", "N_SSIM", 0.0, 0.25), [METRICS["N_SSIM"]])
    assert line.startswith("N_SSIM gives the unchanged input 0.25 instead of 0 on case_1: ")


def test_a_movie_with_a_frame_without_cells_has_nearest_ones():
    cells = np.zeros((3, 4, 4), np.uint16)
    cells[::2, 1, 1] = 5
    movie = nearest(Movie(Volume(cells, (1.0, 1.0), "TYX"), []))
    assert [(track.begin, track.end) for track in movie.tracks] == [(0, 0), (2, 2)]


def test_the_end_of_a_log_is_kept(jobs_of, dataset):
    jobs = jobs_of(dataset, SEGMENT, ours=lambda image: "killed")
    (jobs[0].folder / "case_1/log.txt").write_text("".join(f"line {n}\n" for n in range(100)))
    logs = gather(dataset, SEGMENT, jobs, FACTS).logs
    assert logs["ours", "case_1"].splitlines()[::29] == ["line 70", "line 99"]
    assert logs["ours", "case_2"] == ""


def test_warnings_are_grouped_but_for_assumed_voxel_sizes():
    record = Record(
        algorithm="a",
        version="1.0.0",
        case="c",
        key="k",
        status="ok",
        warnings=("model: none is near", f"{ASSUMED}: 1 um"),
    )
    (line,) = of_warnings({("a", "c"): record})
    assert line.startswith("a: ")
    assert "none is near" in line


@pytest.mark.parametrize(
    "trained, dataset, expected",
    [
        ("nuclei-diffusion/culture", "nuclei/culture", "this"),
        ("a folder, spheroid/mini", "spheroid/default", "this"),
        ("spheroid/tissue", "spheroid/mini", "same simulator"),
        ("nuclei/culture", "nuclei_2d", "other"),
        ("nuclei_2d", "nuclei_2d", "this"),
        ("no training", "nuclei_2d", "no training"),
        ("", "nuclei_2d", "not said"),
    ],
)
def test_the_domain_is_dataset_and_recipe_without_size_and_chain(trained, dataset, expected):
    assert domain_of(trained, dataset) == expected


def record(case, **words):
    fields = {"algorithm": "a", "version": "1.0.0", "key": "k", "status": "ok", "model": "m"}
    return Record(**{**fields, "case": case, **words})


def test_the_records_of_a_run_get_their_domain(make_dataset):
    records = {
        ("a", "case_1"): record("case_1", facts={"trained": "squares/tiny"}),
        ("b", "case_1"): record("case_1"),
    }
    extended = with_domain(records, make_dataset(1))
    assert extended["a", "case_1"].facts["domain"] == "this"
    assert extended["b", "case_1"].facts == {}


def test_times_are_medians_and_the_rest_is_what_the_network_leaves():
    facts = {"trained": "x"}
    runs = [
        record(str(n), facts=facts, inside_seconds=n, network_seconds=n / 4, peak_memory=n)
        for n in (1, 2, 8)
    ]
    runs.append(record("late", facts=facts, status="time-out"))
    heads, (cells,) = view(SimpleNamespace(ranked=[], records=dict(enumerate(runs))))
    assert heads[-3:] == ["network", "rest", "peak memory"]  # none has a time of the CPU
    assert cells[-3:] == ["500 ms", "1.5 s", "8 B"]
