"""Scores and controls of the tasks whose outputs are images, and of a task without images."""

from math import isnan

import numpy as np
import pytest
import toys

from cytosuite.benchmark.scores.controls import broken_rulers
from cytosuite.contract.tasks import TASKS
from cytosuite.metrics.boards import CONTROLS
from cytosuite.metrics.realism.edges import EDGES
from cytosuite.metrics.realism.regions import REGION_SCORES
from cytosuite.ranking.by_measure import rank_measures
from cytosuite.ranking.scores import measures

pytestmark = pytest.mark.slow

ENHANCE = TASKS["enhance"]


def halve(image):
    return image.array / np.float32(2)


def test_paired_images_are_compared_with_their_truth(scored, dataset_of, values):
    paired = dataset_of(
        microscopy_image=lambda n: toys.image(n, 20.0), enhanced_image=lambda n: toys.image(n, 0.0)
    )
    truths = iter(range(3))

    def better(image):
        return (image.array + toys.image(next(truths), 0.0)) / np.float32(2)

    scores = scored(paired, ENHANCE, better=better, halved=halve)
    assert scores.primary == ("SSIM",)  # without labels and reference set
    assert set(scores.table["algorithm"]) == {"oracle", "identity", "better", "halved"}
    ssim = [np.mean(list(values(scores, name, "SSIM").values())) for name in ("better", "identity")]
    assert ssim[0] > ssim[1]
    assert set(values(scores, "oracle", "SSIM").values()) == {1.0}
    assert set(values(scores, "identity", "N_SSIM").values()) == {0.0}
    assert broken_rulers(scores.table, scores.metrics) == []
    ranking = rank_measures(scores.table, measures(scores.metrics), scores.primary, CONTROLS)
    assert ranking.overall.ranks["mean"] == {"better": 1, "halved": 2}
    (note,) = scores.notes
    assert note.startswith("The data range of the image metrics is that of the true image")


@pytest.fixture
def unpaired(dataset_of):
    return dataset_of(
        reference=4, microscopy_image=lambda n: toys.image(n, 40.0), instance_labels=toys.labels
    )


def test_unpaired_images_are_compared_with_the_reference_set(scored, unpaired, values):
    scores = scored(unpaired, ENHANCE, like=lambda i: toys.image(7), halved=halve)
    assert scores.primary == ("patch_AUC", "W1_by_std", "lateral_spectrum_distance", "label_AUC")
    w1 = {name: values(scores, name, "W1_by_std")[""] for name in ("like", "halved", "real")}
    assert 0 < max(w1["real"], w1["like"]) < w1["halved"] / 4
    assert set(values(scores, "identity", "label_AUC_change").values()) == {0.0}
    assert len(values(scores, "like", "label_AUC")) == 3
    assert {m.name for m in scores.metrics} >= {"patch_KID", "feature_distance", "W1"}
    assert not {m.name for m in scores.metrics} & {"SSIM", "PSNR"}
    assert broken_rulers(scores.table, scores.metrics) == []
    assert "oracle" not in set(scores.table["algorithm"])
    assert {EDGES, REGION_SCORES} <= scores.evidence["like", ""].keys()
    assert scores.notes[-1] == (
        "Metrics of the whole set compare the outputs with every second of the 4 real images; the "
        "others are the control real."
    )


@pytest.mark.long
def test_one_failed_case_fails_the_whole_set(scored, unpaired, values):
    calls = []

    def once_failed(image):
        calls.append(image)
        return "killed" if len(calls) == 1 else image.array

    scores = scored(unpaired, ENHANCE, failed=once_failed, halved=halve)
    assert isnan(values(scores, "failed", "W1_by_std")[""])
    rows = scores.table[(scores.table["case"] == "") & (scores.table["algorithm"] == "failed")]
    assert set(rows["status"]) == {"killed"}
