import math
from functools import partial, reduce
from itertools import count
from operator import getitem
from types import SimpleNamespace

import numpy as np
import pytest
import toys
from mistakes import refused
from rasters import same

from cytosuite.benchmark.scores.blind import rounded, tells
from cytosuite.benchmark.scores.score import score
from cytosuite.benchmark.submission.judging.evaluation import FILE, read_evaluation
from cytosuite.benchmark.submission.judging.ground_truth import ground_truth, write_inputs
from cytosuite.contract.points import Points
from cytosuite.contract.tasks import TASKS, VIEW
from cytosuite.files import read_json, write_json
from cytosuite.formats import read
from cytosuite.metrics import board_metrics
from cytosuite.metrics.realism.patches import patch_features

TELLING = {  # of the number and the size of objects
    "RMSE_lateral", "RMSE_axial", "cell_count_error", "splits", "missed", "spurious", "ASSD",
    "HD", "HD95", "truth_count", "prediction_count", "count_error", "count_error_absolute",
    "AOGM", "NS", "FN", "FP", "ED", "EA", "EC",
}  # fmt: skip


def points(seed):
    return Points(np.random.default_rng(seed).uniform(0, 12, (9, 3)), toys.SPACING).document()


SOCKETS = {
    "segment": {"microscopy-image": toys.image, "instance-labels": toys.labels},
    "detect": {
        "microscopy-image": toys.image, "detected-points": points, "instance-labels": toys.labels,
    },
    "enhance": {
        "microscopy-image": partial(toys.image, noise=20.0), "enhanced-image": toys.image,
        "instance-labels": toys.labels,
    },
    "synthesise": {"structure-sketch": toys.image, "instance-labels": toys.labels},
    "fuse": {VIEW: partial(toys.image, noise=20.0), f"fused-{VIEW}": toys.image},
}  # fmt: skip


@pytest.fixture
def toys_of(dataset_of):
    """Return a function that makes a dataset for a task, with real images of other kinds."""
    return lambda task: dataset_of(reference=5, task=task, **SOCKETS[task])


def test_participants_of_no_task_see_what_tells_of_true_objects():
    assert {m.name for task in TASKS for m in board_metrics(task) if tells(m)} == TELLING


@pytest.mark.parametrize("name", SOCKETS)
def test_each_task_has_the_scores_of_the_benchmark(
    name, toys_of, answers, submission_of, unpacked, evaluated, monkeypatch
):
    monkeypatch.setitem(patch_features.__kwdefaults__, "patches", 80)  # of both, a third of all
    task = TASKS[name]
    dataset = toys_of(name)
    numbers = count()
    socket = task.outputs[0]
    place = f"output/{socket.relative_path}{'' if socket.is_file else '/output.tif'}"
    answer = {"segment": lambda n: toys.labels(n + 1), "detect": lambda n: points(n % 2)}.get(
        name, partial(toys.image, noise=12.0)
    )
    (job,) = answers(dataset, task, place, mine=lambda _: answer(next(numbers)))
    truth = unpacked(dataset, task)
    code, content = evaluated(SimpleNamespace(submission=submission_of(job, truth), truth=truth))
    assert code == 0
    ranked = read_evaluation(truth).ranked
    assert ranked
    for one in ranked:
        assert math.isfinite(reduce(getitem, one.path.split("."), content))
    table = score(dataset, task, [job]).table
    rows = table[(table["algorithm"] == "mine") & np.isfinite(table["value"])]
    rows = rows[~rows["metric"].isin(TELLING)]
    assert len(rows)
    for case, metric, value in rows[["case", "metric", "value"]].to_numpy():
        if case:
            assert content["case"][f"{case}.tif"][metric] == rounded(value)
        else:
            assert content["aggregates"][metric]["set"] == value
    named = set().union(*content["case"].values())
    named |= {m for m, summary in content["aggregates"].items() if "set" in summary}
    assert named == set(rows["metric"])
    assert TELLING.isdisjoint(content["aggregates"])
    for metric in {"SEG", "DET"} & named:
        mean = np.mean([row[metric] for row in content["case"].values()])
        assert 0 < mean <= 1
        assert content["aggregates"][metric]["mean"] == pytest.approx(mean, abs=1e-3)


def test_the_same_dataset_gives_the_same_bytes(toys_of, tmp_path):
    dataset = toys_of("segment")
    task = TASKS["segment"]
    for name in ("a", "b"):
        ground_truth(dataset, task).write(tmp_path / name / "t.tar.gz")
        for case in dataset.cases:
            for path in case.folder.rglob("*.tif"):
                path.touch()
    first, second = ((tmp_path / name / "t.tar.gz").read_bytes() for name in ("a", "b"))
    assert first == second
    assert first[4:8] == b"\0" * 4  # no time in the header of gzip


@pytest.mark.parametrize(
    "name, held",
    {
        "segment": {"instance-labels"},
        "detect": {"microscopy-image", "instance-labels"},
        "enhance": {"enhanced-image", "microscopy-image", "instance-labels"},
        "synthesise": {"structure-sketch", "instance-labels"},
        "fuse": {f"fused-{VIEW}", VIEW},
    }.items(),
)
def test_it_holds_what_metrics_take_and_no_more(name, held, toys_of, unpacked):
    truth = unpacked(toys_of(name), TASKS[name])
    assert {path.parent.name for path in (truth / "cases").rglob("*.tif")} == held
    assert (truth / "reference").is_dir() == (name in {"enhance", "synthesise"})


def test_real_images_keep_their_order(toys_of, unpacked):
    dataset = toys_of("synthesise")
    truth = unpacked(dataset, TASKS["synthesise"])
    rebuilt = read_evaluation(truth).dataset_in(truth)
    for ours, theirs in zip(rebuilt.reference, sorted(dataset.reference), strict=True):
        same(read(ours).array, read(theirs).array)
        drawn = rebuilt.reference_labels[ours], dataset.reference_labels[theirs]
        same(*(read(path).array for path in drawn))


def test_a_dataset_without_truth_is_refused(toys_of, tmp_path):
    dataset = toys_of("segment")
    for case in dataset.cases:
        case.path("instance-labels").unlink()
    refused(
        "no metric to rank the task segment by",
        lambda: ground_truth(dataset, TASKS["segment"]).write(tmp_path / "t.tar.gz"),
    )
    assert not (tmp_path / "t.tar.gz").exists()


def test_inputs_lie_in_a_folder_for_each_case(toys_of, tmp_path):
    folder = tmp_path / "inputs"
    dataset = toys_of("fuse")
    task = TASKS["fuse"]
    write_inputs(dataset, task, folder)
    listed = read_json(folder / "cases.json")
    assert [set(case) for case in listed] == [{VIEW, "acquisition-metadata"}] * 3
    for case, entry in zip(dataset.cases, listed, strict=True):
        path = folder / entry[VIEW]
        assert not path.is_symlink()
        assert entry[VIEW] == f"{case.name}/{task.inputs[0].relative_path}/{case.name}.tif"
        same(read(path).array, read(case.main(task)).array)
    assert not list(folder.rglob("*instance-labels*"))


@pytest.mark.parametrize(
    "place, value, message",
    [
        (("cases", 0, "name"), "../case_1", "expected the name of a file, found '../case_1'"),
        (("cases", 0, "image"), "case_2.tif", "the name 'case_2.tif' stands twice"),
        (("cases", 0, "name"), "case_2", "the name 'case_2' stands twice"),
        (("reference",), [{"image": "../../secret.tif"}], "expected a path within the ground"),
    ],
)
def test_mistakes_are_one_line_with_the_file(segmented, place, value, message):
    path = segmented.truth / FILE
    content = part = read_json(path)
    for key in place[:-1]:
        part = part[key]
    part[place[-1]] = value
    write_json(path, content)
    assert FILE in str(refused(message, read_evaluation, segmented.truth))
