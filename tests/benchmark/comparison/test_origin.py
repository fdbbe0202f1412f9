"""Origin of scores: digests that change with what decides the scores, and with nothing else."""

from types import SimpleNamespace

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.comparison.origin import (
    case_digests,
    model_digest,
    models_today,
    request_facts,
)
from cytosuite.benchmark.data.recipe import DataRequest
from cytosuite.benchmark.integrity import SUMS
from cytosuite.weights import read_cards

CARD = read_cards(ROOT / "weights" / "watershed", "watershed")[0]


def test_a_digest_of_a_model_knows_parameters_and_weights_alone():
    same = CARD.model_copy(update={"description": "other words", "scores": {}})
    assert model_digest(same) == model_digest(CARD)
    for change in ({"parameters": {"smoothing_um": 9.0}}, {"sha256": "a" * 64}):
        assert model_digest(CARD.model_copy(update=change)) != model_digest(CARD)
    assert models_today("watershed")[CARD.name] == model_digest(CARD)
    assert models_today("no_such_algorithm") == {}


def test_a_digest_of_a_case_knows_its_images_and_labels_alone(tmp_path):
    def digests(*lines):
        (tmp_path / SUMS).write_text("".join(f"{line}\n" for line in lines))
        return case_digests(SimpleNamespace(cases=[SimpleNamespace(name="a", folder=tmp_path)]))

    image, labels = "1  sockets/images/image/a.tif", "2  sockets/images/labels/a.tif"
    found = digests(image, labels, "3  case.json")
    assert found == digests(labels, image, "4  case.json", "5  preview.png")
    assert found != digests(image.replace("1", "9"), labels)
    assert digests("3  case.json") == {}
    (tmp_path / SUMS).unlink()
    assert case_digests(SimpleNamespace(cases=[SimpleNamespace(name="a", folder=tmp_path)])) == {}


def test_the_words_of_a_folder_hold_its_name_and_no_path(tmp_path):
    cells = tmp_path / "cells"
    cells.mkdir()
    request = DataRequest(str(cells), min_object_voxels=100)
    assert request_facts(request) == {"dataset": "cells", "min_object_voxels": 100}
    several = request_facts(DataRequest(f"spheroid/hard,{cells}"))
    assert several == {"dataset": "spheroid/hard,cells"}


def test_the_words_of_a_simulation_make_it_again():
    request = DataRequest("spheroid", size="mini", seed=3, settings=["camera.photons=5"])
    assert DataRequest(**request_facts(request)) == request
