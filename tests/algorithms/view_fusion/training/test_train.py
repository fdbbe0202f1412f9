import numpy as np
import pytest
from mistakes import refused
from training_data import merged
from trainings import short
from view_pairs import SHAPE, SPACING, dataset, published, volume

from cytosuite.algorithms.view_fusion.training.train import TRAINING
from cytosuite.formats import write
from cytosuite.training.loop import begin, take_step


def _settings(**given):
    """Return settings of a network with maps, for images in folders of any depth."""
    network = {"inputs": ["distance", "light"]}
    return short("view_fusion", files={"recursive": True}, **merged({"network": network}, given))


def _cases(folder, settings):
    return {"pairs": TRAINING.load(folder, "pairs", settings)}


def test_the_first_loss_is_that_of_the_view_itself(tmp_path):
    settings = _settings(loss={"kind": "n_ssim", "similarity": 1})
    cases, state = _cases(dataset(tmp_path), settings), begin(TRAINING, settings, None, "cpu")
    drawn = TRAINING.batch(cases, settings, 0)
    losses = take_step(TRAINING, settings, state, drawn)
    apart = np.abs(drawn["image"][:, :1] - drawn["target"]).mean()
    assert losses["similarity"].item() == pytest.approx(1, abs=1e-4)
    assert losses["total"].item() == pytest.approx(1 + apart, rel=1e-3)


def test_the_card_describes_the_views(tmp_path):
    settings = _settings()
    cases = _cases(dataset(tmp_path), settings)
    assert TRAINING.describe(cases, settings) == {
        "axes": "ZYX",
        "shape": list(SHAPE),
        "spacing": list(SPACING),
        "channel": "nucleus",
        "study": 3,
    }
    assert TRAINING.measure(cases, settings) == {"method": "network"}
    assert TRAINING.notes(cases, settings) == []


def test_what_the_files_do_not_give_is_said(tmp_path):
    settings = _settings()
    cases = _cases(published(tmp_path / "h5"), settings)
    unread = "data/light_map, data/surface_distance not read: maps are made of the image"
    assert TRAINING.notes(cases, settings) == [
        "3 of 3 views give no voxel size [µm]: card.describes.spacing sets it",
        f"3 of 3 views: {unread}",
    ]
    assert "spacing" not in TRAINING.describe(cases, settings)
    told = _settings(card={"describes": {"spacing": SPACING}})
    assert TRAINING.notes(cases, told) == [f"3 of 3 views: {unread}"]
    assert _cases(tmp_path / "h5", told)["pairs"][0].maps[0].stride == (1, 2, 2)
    assert cases["pairs"][0].maps[0].stride == (1, 1, 1)
    for role in ("angle", "fused"):
        write(tmp_path / f"tif/a_{role}.tif", volume(np.ones(SHAPE, np.uint16)))
    both = [*cases["pairs"], *_cases(tmp_path / "tif", settings)["pairs"]]
    assert TRAINING.notes({"pairs": both}, settings)[1] == (
        "1 of 4 views give no channel: card.describes.channel sets it"
    )


def test_crops_that_the_network_cannot_halve_are_refused():
    message = r"crops\.shape must be multiples of \[2, 4, 4\]"
    refused(message, _settings, crops={"shape": (31, 96, 96)})
