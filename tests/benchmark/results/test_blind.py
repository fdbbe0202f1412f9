"""The report for participants: nothing in it depends on the truth but the scores."""

import base64
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest

from cytosuite.benchmark.plan import plan
from cytosuite.benchmark.ranking.ranking import Contest, Difference
from cytosuite.benchmark.report import write_blind, write_report
from cytosuite.benchmark.results.blind import BROKEN, blind_contest, blind_names, blinded
from cytosuite.benchmark.results.controls import CONTROLS
from cytosuite.benchmark.results.gather import RunFacts, gather
from cytosuite.benchmark.run import run_job
from cytosuite.metrics import board_metrics
from cytosuite.tasks import TASKS

SEGMENT = TASKS["segment"]
SEED = 918273645
COMMAND = f"make benchmark DATASET=/data/secret-truth SEED={SEED}"


@pytest.fixture
def results(tmp_path, make_dataset, watershed, fakes):
    """Return a function that runs and scores an algorithm which misses every third object."""

    def results(*numbers):
        dataset = replace(make_dataset(*numbers, fingerprint="5ec2e7" * 10 + "f" * 4), seed=SEED)

        def behave(image, output):
            rows = np.arange(image.shape[1])[None, :, None] // 4
            labels = ((image.array > 0) * rows).astype(np.uint16)
            labels = np.where(labels % 3 == 0, 0, labels)
            fakes.write_labels(image, output, labels / 2 if image.array.sum() == 7200 else labels)

        engine = fakes.Engine(behave)
        jobs = plan(dataset, [watershed], engine, tmp_path / "run")
        run_job(jobs[0], SEGMENT, engine, fakes.limits, "invoke", lambda *_: None)
        return gather(dataset, SEGMENT, jobs, RunFacts("fake", "invoke", COMMAND, "8 GiB"))

    return results


def _texts(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files}


def test_no_file_of_the_blind_report_names_truth_seed_or_cases(results, tmp_path):
    found = results(2, 3, 4, 5, 7)
    write_report(found, tmp_path / "full")
    write_blind(found, tmp_path)
    full, blind = _texts(tmp_path / "full"), _texts(tmp_path / "blind")
    forbidden = [
        str(SEED),
        "secret-truth",
        found.provenance["dataset"].split()[-1],
        *(record.key[:12] for record in found.records.values()),
        *(digest[:12] for record in found.records.values() for digest in record.digests.values()),
        *(case.name for case in found.cases),
        *(str(path) for case in found.cases for path in case.truth.values()),
        "Squares",  # the dataset
        "parity",  # a condition
        "truth_count",
        "oracle",
        "data:image",
        "float64",  # the message of the failure
    ]
    assert len(forbidden) > 20
    for word in forbidden:
        shown = [name for name, text in blind.items() if word in text]
        assert not shown, f"{word} in {shown}"
        in_full = any(word in text for text in full.values())
        assert in_full or word.startswith("/") or len(word) == 12, word  # the search finds it there
    assert "data:image" in full["index.html"]
    left_out = {name for name in set(full) - set(blind) if not name.startswith("figures/")}
    assert left_out == {"objects.csv", "object_scores.csv", "by_condition.csv"}
    assert "SEG" in blind["scores.csv"]


def test_pictures_of_the_truth_are_not_hidden_in_any_encoding(results, tmp_path):
    found = results(2, 4, 5)
    write_blind(found, tmp_path)
    for text in _texts(tmp_path / "blind").values():
        for run in re.findall(r"[A-Za-z0-9+/]{200,}={0,2}", text):
            assert not base64.b64decode(run + "=" * (-len(run) % 4)).startswith(b"\x89PNG")


def test_what_a_participant_may_not_see_changes_nothing(results, tmp_path):
    """The property itself: other secrets, the same bytes."""
    found = results(2, 4, 5)
    other = replace(
        found,
        title="Other",
        dataset="other",
        command="other",
        provenance={**found.provenance, "seed": "1", "watershed": "1", "numpy": "1"},
        notes=["3 of 57 true objects"],
        logs=dict.fromkeys(found.records, "object 7 at 3, 4"),
        cases=[replace(case, truth={}) for case in found.cases],
        outputs={},
        matches={},
        objects={},
        conditions=[],
        reference=[tmp_path],
    )
    for name, one in (("a", found), ("b", other)):
        write_blind(one, tmp_path / name)
    assert _texts(tmp_path / "a" / "blind") == _texts(tmp_path / "b" / "blind")


def test_the_organiser_keeps_the_names_and_their_scores_agree(results, tmp_path):
    found = results(2, 4, 5)
    write_blind(found, tmp_path)
    names = json.loads((tmp_path / "blind-names.json").read_text())
    assert sorted(names.values()) == sorted(case.name for case in found.cases)
    assert not (tmp_path / "blind" / "blind-names.json").exists()
    rows = found.scores.set_index(["algorithm", "case", "metric"])["value"]
    own = blinded(found).scores
    assert len(own)
    for _, row in own[own["case"] != ""].iterrows():
        value = rows["watershed", names[row["case"]], row["metric"]]
        same = math.isnan(value) and math.isnan(row["value"])
        assert same or row["value"] == pytest.approx(value, rel=5e-3)


def test_names_are_in_no_order_and_stay_as_they_are(results):
    numbers = tuple(range(1, 6))
    found = results(*numbers)
    names = blind_names(found)
    assert blind_names(replace(found, scores=found.scores[:0])) == names
    other = replace(found, provenance={"dataset": "another"})
    assert list(blind_names(other)) != list(names)
    assert sorted(names.values()) == [f"blind_{n}" for n in numbers]


def test_controls_and_counts_are_left_out_and_ranks_stay(results):
    found = results(2, 4, 5)
    blind = blinded(found)
    assert not {entry.algorithm for entry in blind.standings} & {*CONTROLS}
    assert not {*blind.scores["algorithm"]} & {*CONTROLS}
    shown = {metric.name for metric in blind.metrics}
    assert {"SEG", "DET", "F1"} <= shown
    assert not shown & {"truth_count", "prediction_count", "missed", "spurious", "count_error"}
    assert set(blind.scores["metric"]) <= shown
    ranks = {entry.algorithm: entry.rank for entry in found.standings if not entry.control}
    assert {entry.algorithm: entry.rank for entry in blind.standings} == ranks
    assert list(blind.primary) == list(found.primary)


def test_the_ranking_stays_with_rounded_numbers_and_without_controls(results):
    found = results(2, 4, 5)
    blind = blinded(found).ranking
    assert blind.rule == found.ranking.rule
    assert blind.overall.places == found.ranking.overall.places
    assert blind.overall.tier == found.ranking.overall.tier
    assert blind.scaled == {} != found.ranking.scaled
    shown = {metric.name for metric in blinded(found).metrics}
    assert {name for pair in blind.agreement for name in pair} <= shown
    assert {name for _, name in blind.means} <= shown
    assert all(float(f"{mean:.3g}") == mean for mean in blind.means.values())
    assert blinded(replace(found, ranking=None)).ranking is None


def test_differences_and_shares_of_a_ranking_are_rounded():
    difference = Difference(1 / 3, 1 / 7, 2 / 3, 1 / 9, 1 / 11)
    contest = Contest(
        "SEG", ["a", "b"], {}, {}, {}, {"a": (1 / 3, 2 / 3), "b": (0.9999, 1.0)}, {}, frozenset(), {("a", "b"): difference},
        (1 / 3, 1 / 7, math.nan),
    )  # fmt: skip
    found = blind_contest(contest)
    assert found.shares == {"a": (0.333, 0.667), "b": (0.999, 1.0)}
    assert found.differences["a", "b"] == Difference(0.333, 0.143, 0.667, 0.111, 0.0909)
    assert found.tau[:2] == (0.333, 0.143)


def test_scores_have_too_few_digits_for_a_count_of_objects(results):
    blind = blinded(results(2, 4, 5))
    values = [value for value in blind.scores["value"] if math.isfinite(value)]
    for entry in blind.standings:
        values += [s.mean for s in entry.summaries.values() if math.isfinite(s.mean)]
    assert values
    assert all(float(f"{value:.3g}") == value for value in values)


def test_images_keep_their_measures(results):
    """Open-ended measures of images, as PSNR, tell nothing of objects."""
    found = replace(results(2, 4), metrics=board_metrics("fuse"), primary=["SSIM"])
    assert {"PSNR", "SSIM", "NRMSE"} <= {metric.name for metric in blinded(found).metrics}


def test_failures_keep_their_status_alone(results):
    found = results(2, 3, 4)
    blind = blinded(found)
    (lost,) = [record for record in blind.records.values() if not record.ok]
    assert (lost.status, lost.message, lost.outputs) == ("bad output", "", {})
    assert blind.logs == {}


def test_a_broken_ruler_is_said_without_the_case(results):
    found = replace(results(2), broken=["SEG gives the truth itself 0.5 instead of 1 on case_2"])
    assert blinded(found).broken == [BROKEN]
