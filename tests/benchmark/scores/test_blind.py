import math
from dataclasses import replace

import numpy as np
import pytest
from toys import squares

from cytosuite.benchmark.report import write_blind, write_report
from cytosuite.benchmark.runs.plan import plan
from cytosuite.benchmark.runs.run import run_job
from cytosuite.benchmark.scores.blind import blind_contest, blinded
from cytosuite.benchmark.scores.circumstances import RunFacts
from cytosuite.benchmark.scores.gather import gather
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json
from cytosuite.ranking.ranking import Contest, Difference

SEGMENT = TASKS["segment"]
SEED = 918273645
COMMAND = f"make benchmark DATASET=/data/secret-truth SEED={SEED}"


@pytest.fixture
def results(tmp_path, make_dataset, watershed, fakes):
    """Return a function that runs and scores an algorithm which misses every third object."""

    def results(*numbers):
        dataset = replace(make_dataset(*numbers, fingerprint="5ec2e7" * 10 + "f" * 4), seed=SEED)

        def behave(image, output):
            labels = squares(image)
            labels = np.where(labels % 3 == 0, 0, labels)
            fakes.write_labels(image, output, labels / 2 if image.array.sum() == 7200 else labels)

        engine = fakes.Engine(behave)
        jobs = plan(dataset, [watershed], engine, tmp_path / "run")
        run_job(jobs[0], SEGMENT, engine, fakes.limits, "invoke", lambda *_: None)
        return gather(dataset, SEGMENT, jobs, RunFacts("fake", "invoke", COMMAND, "8 GiB"))

    return results


def _texts(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_no_file_of_the_blind_report_names_truth_seed_or_cases(results, tmp_path):
    whole = results(2, 3, 4, 5, 7)
    write_report(whole, tmp_path / "full")
    write_blind(whole, tmp_path)
    full = _texts(tmp_path / "full")
    blind = _texts(tmp_path / "blind")
    forbidden = [
        str(SEED),
        "secret-truth",
        whole.provenance["dataset"].split()[-1],
        *(record.key[:12] for record in whole.records.values()),
        *(digest[:12] for record in whole.records.values() for digest in record.digests.values()),
        *(case.name for case in whole.cases),
        *(str(path) for case in whole.cases for path in case.truth.values()),
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
    assert set(full) - set(blind) == {"objects.csv", "object_scores.csv", "by_condition.csv"}
    assert "SEG" in blind["scores.csv"]


def test_what_a_participant_may_not_see_changes_nothing(results, tmp_path):
    """The property itself: other secrets, the same bytes."""
    whole = results(2, 4, 5)
    other = replace(
        whole,
        title="Other",
        dataset="other",
        command="other",
        provenance={**whole.provenance, "seed": "1", "watershed": "1", "numpy": "1"},
        notes=["3 of 57 true objects"],
        logs=dict.fromkeys(whole.records, "object 7 at 3, 4"),
        cases=[replace(case, truth={}) for case in whole.cases],
        outputs={},
        matches={},
        objects={},
        conditions=[],
        reference=[tmp_path],
    )
    for name, one in (("a", whole), ("b", other)):
        write_blind(one, tmp_path / name)
    assert _texts(tmp_path / "a/blind") == _texts(tmp_path / "b/blind")


def test_the_organiser_keeps_the_names_and_their_scores_agree(results, tmp_path):
    whole = results(2, 4, 5)
    write_blind(whole, tmp_path)
    names = read_json(tmp_path / "blind-names.json")
    assert sorted(names.values()) == sorted(case.name for case in whole.cases)
    assert not (tmp_path / "blind/blind-names.json").exists()
    rows = whole.scores.set_index(["algorithm", "case", "metric"])["value"]
    table = blinded(whole).scores
    assert len(table)
    assert table["case"].tolist() == sorted(table["case"])  # the true order would name them
    for _, row in table[table["case"] != ""].iterrows():
        value = rows["watershed", names[row["case"]], row["metric"]]
        assert row["value"] == pytest.approx(value, rel=5e-3, nan_ok=True)


def test_differences_and_shares_of_a_ranking_are_rounded():
    difference = Difference(1 / 3, 1 / 7, 2 / 3, 1 / 9, 1 / 11)
    contest = Contest(
        ["a", "b"], {}, {}, {}, {"a": (1 / 3, 2 / 3), "b": (0.9999, 1.0)}, {}, frozenset(), {("a", "b"): difference},
        (1 / 3, 1 / 7, math.nan),
    )  # fmt: skip
    rounded = blind_contest(contest)
    assert rounded.shares == {"a": (0.333, 0.667), "b": (0.999, 1.0)}
    assert rounded.differences["a", "b"] == Difference(0.333, 0.143, 0.667, 0.111, 0.0909)
    assert rounded.tau[:2] == (0.333, 0.143)
