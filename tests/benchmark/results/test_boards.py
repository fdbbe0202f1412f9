"""Scores and controls of the tasks whose outputs are images, and of a task without images."""

from math import isnan

import numpy as np
import pytest

from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.results.conditions import by_condition
from cytosuite.benchmark.results.controls import CONTROLS, broken_rulers
from cytosuite.benchmark.results.gather import RunFacts, gather
from cytosuite.benchmark.results.standings import leaderboard
from cytosuite.metrics import board_metrics
from cytosuite.tasks import TASKS, Socket, Task

pytestmark = pytest.mark.slow

ENHANCE, FUSE, SYNTHESISE = (TASKS[name] for name in ("enhance", "fuse", "synthesise"))
FUSED = FUSE.outputs[0].slug


def halve(image):
    """Return half of the intensities."""
    return image.array / np.float32(2)


def fail(image):
    """Fail on every case."""
    return "killed"


def ranks(scores):
    board = leaderboard(scores.table, scores.pooled, scores.metrics, scores.primary, CONTROLS)
    return {standing.algorithm: standing.rank for standing in board}


@pytest.fixture
def paired(dataset_of, toys):
    """Return a dataset of noisy images with the clean ones as truth."""
    return dataset_of(
        microscopy_image=lambda n: toys.image(n, 20.0), enhanced_image=lambda n: toys.image(n, 0.0)
    )


def test_paired_images_are_compared_with_their_truth(scored, paired, values, toys):
    truths = iter(range(3))

    def better(image):
        return (image.array + toys.image(next(truths), 0.0)) / np.float32(2)

    found = scored(paired, ENHANCE, better=better, halved=halve)
    assert found.primary == ("SSIM",)  # without labels and reference set
    assert set(found.table["algorithm"]) == {"oracle", "identity", "better", "halved"}
    ssim = [np.mean(list(values(found, name, "SSIM").values())) for name in ("better", "identity")]
    assert ssim[0] > ssim[1]
    assert set(values(found, "oracle", "SSIM").values()) == {1.0}
    assert set(values(found, "identity", "N_SSIM").values()) == {0.0}
    assert broken_rulers(found.table, found.metrics) == []
    assert ranks(found) == {"better": 1, "halved": 2, "identity": None, "oracle": None}
    (note,) = found.notes
    assert note.startswith("The data range of the image metrics is that of the true image")


def test_means_of_a_group_have_the_interval_of_students_t(scored, dataset_of, values, toys):
    dataset = dataset_of(
        6,
        microscopy_image=lambda n: toys.image(n, 5.0 + 10 * n),
        enhanced_image=lambda n: toys.image(n, 0.0),
    )
    found = scored(dataset, ENHANCE, ours=lambda image: image.array)
    (number,) = by_condition(dataset, found)
    low, high = (group.scores["ours", "SSIM"] for group in number.groups)
    own = [values(found, "ours", "SSIM")[f"c{n}"] for n in range(3)]
    assert low.value == pytest.approx(np.mean(own))
    half = 4.3027 * np.std(own, ddof=1) / np.sqrt(3)
    assert low.high == pytest.approx(min(1.0, np.mean(own) + half), abs=1e-4)
    assert high.value < low.value
    assert number.groups[0].objects == 0


def test_several_views_are_fused(scored, dataset_of, values, toys):
    view, second = (socket.slug for socket in FUSE.inputs[:2])
    sockets = {view: lambda n: toys.image(n, 20.0), second: lambda n: toys.image(n + 50, 20.0)}
    dataset = dataset_of(**sockets, **{FUSED: lambda n: toys.image(n, 0.0)})
    found = scored(dataset, FUSE, first=lambda image: image.array, broken=fail)
    assert found.primary == ("SSIM", "N_SSIM")
    assert values(found, "first", "SSIM") == values(found, "identity", "SSIM")
    assert set(values(found, "broken", "SSIM").values()) == {-1.0}
    assert ranks(found)["first"] == 1


@pytest.fixture
def unpaired(dataset_of, toys):
    """Return a dataset of images with labels and a set of real images."""
    return dataset_of(
        reference=4, microscopy_image=lambda n: toys.image(n, 40.0), instance_labels=toys.labels
    )


def test_unpaired_images_are_compared_with_the_reference_set(scored, unpaired, values, toys):
    found = scored(unpaired, ENHANCE, like=lambda i: toys.image(7), halved=halve)
    assert found.primary == ("W1_by_std", "lateral_spectrum_distance", "label_AUC")
    w1 = {name: values(found, name, "W1_by_std")[""] for name in ("like", "halved", "real")}
    assert 0 < max(w1["real"], w1["like"]) < w1["halved"] / 4
    assert set(values(found, "identity", "label_AUC_change").values()) == {0.0}
    assert len(values(found, "like", "label_AUC")) == 3
    assert {m.name for m in found.metrics} >= {"patch_KID", "feature_distance", "W1"}
    assert not {m.name for m in found.metrics} & {"SSIM", "PSNR"}
    assert broken_rulers(found.table, found.metrics) == []
    assert "oracle" not in set(found.table["algorithm"])
    assert found.notes[-1] == (
        "Metrics of the whole set compare the outputs with every second of the 4 real images; the "
        "others are the control real."
    )


def test_one_failed_case_ranks_last_by_a_metric_without_a_worst_value(scored, unpaired, values):
    calls = []

    def once_failed(image):
        calls.append(image)
        return "killed" if len(calls) == 1 else image.array

    found = scored(unpaired, ENHANCE, failed=once_failed, halved=halve)
    assert isnan(values(found, "failed", "W1_by_std")[""])
    rows = found.table[(found.table["case"] == "") & (found.table["algorithm"] == "failed")]
    assert set(rows["status"]) == {"killed"}
    board = leaderboard(found.table, {}, found.metrics, ("W1_by_std",), CONTROLS)
    assert [(s.algorithm, s.rank, s.cases, s.failed) for s in board[:2]] == [
        ("halved", 1, 3, 0),
        ("failed", 2, 3, 1),
    ]


def test_one_real_image_gives_no_control_and_images_without_labels_no_objects(
    scored, dataset_of, toys
):
    dataset = dataset_of(reference=1, labelled=False, microscopy_image=toys.image)
    found = scored(dataset, ENHANCE, halved=halve)
    assert "real" not in set(found.table["algorithm"])
    names = {m.name for m in found.metrics}
    assert names >= {"W1", "lateral_spectrum_distance"}
    assert not names & {"feature_distance", "label_AUC"}
    assert found.notes[-1].endswith("compare the outputs with the only real image.")


def test_images_are_made_from_labels(scored, dataset_of, values, toys):
    dataset = dataset_of(reference=2, instance_labels=toys.labels)
    found = scored(dataset, SYNTHESISE, ours=lambda i: 20 + np.float32(100) * (i.array > 0))
    assert found.primary == ("W1_by_std", "lateral_spectrum_distance", "label_AUC")
    assert set(values(found, "ours", "label_AUC").values()) == {1.0}
    assert {"identity", "real"} <= set(found.table["algorithm"])


def test_refused_evidence_is_a_note_and_the_metric_is_left_out(scored, dataset_of, toys):
    def plane(number):
        return toys.image(number)[0]

    dataset = dataset_of(reference=2, labelled=False, real=plane, microscopy_image=plane)
    found = scored(dataset, ENHANCE, halved=halve)
    assert "lateral_spectrum_distance" not in found.primary  # the images are no stacks
    assert "W1_by_std" in found.primary
    (note,) = [note for note in found.notes if "not computed" in note]
    assert "lateral_spectrum_distance" in note.split(": ")[0].split(", ")
    assert "3 answers; the first is " in note


def test_a_task_without_images_counts_its_cases(scored, dataset_of, answers, toys, monkeypatch):
    count = Task("count", "Counting", ENHANCE.inputs, (Socket("count", "json", "Count"),))
    dataset = dataset_of(microscopy_image=toys.image)
    found = scored(dataset, count, ours=lambda image: image.array, broken=fail)
    assert (found.metrics, found.primary) == ((), ())
    board = {s.algorithm: s for s in leaderboard(found.table, {}, (), (), CONTROLS)}
    assert (board["ours"].cases, board["ours"].failed, board["ours"].median_seconds) == (3, 0, 1.0)
    assert (board["broken"].cases, board["broken"].failed) == (3, 3)
    assert {standing.rank for standing in board.values()} == {None}


def test_every_control_has_a_name_of_its_own():
    assert CONTROLS == ("oracle", "blank", "identity", "real")
    assert not {m.name for name in TASKS for m in board_metrics(name)} & set(CONTROLS)


def test_metrics_that_are_refused_for_the_size_of_images_are_a_note_and_a_report_is_written(
    answers, dataset_of, toys, monkeypatch, tmp_path
):
    dataset = dataset_of(reference=2, microscopy_image=toys.image, instance_labels=toys.labels)
    jobs = answers(dataset, ENHANCE, halved=halve)
    monkeypatch.setattr("cytosuite.metrics.evidence.free_gib", lambda: 1e-6)
    facts = RunFacts("fake", "invoke", "make benchmark", "1 GiB", ())
    found = gather(dataset, ENHANCE, jobs, facts)
    names = {metric.name for metric in found.metrics}
    assert {"W1_by_std", "lateral_spectrum_distance"} <= names
    assert not names & {"label_AUC", "objects_lost", "patch_KID", "feature_distance"}
    assert "label_AUC" not in found.primary
    notes = [note for note in found.notes if "not computed" in note]
    assert notes
    assert all("an image of 6912 voxels is too large: " in note for note in notes)
    page = write_report(found, tmp_path / "report").read_text()
    assert "is too large" in page
