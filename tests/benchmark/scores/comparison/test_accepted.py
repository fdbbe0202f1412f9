import re
from types import SimpleNamespace

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.runs.store.integrity import SUMS
from cytosuite.benchmark.scores.circumstances import (
    case_digests,
    cases_today,
    model_digest,
    models_today,
    simulation_today,
)
from cytosuite.benchmark.scores.comparison.accepted import accept, accepted, accepted_for, stale
from cytosuite.benchmark.scores.comparison.scored import read_scored
from cytosuite.contract.weights import read_cards
from cytosuite.files import read_json
from tests.hostile.tally import digests

TODAY = models_today("watershed")
MODEL = "spheroid-nuclei-3d"


@pytest.fixture
def run(make_run):
    def make(name="run", **changes):
        said = {
            "models": {"watershed": TODAY},
            "versions": {"watershed": "0.1.0"},
            "command": "make benchmark DATASET=/home/me/secret",
        }
        folder = make_run(
            name, algorithm="watershed", facts=said | changes.pop("facts", {}), **changes
        )
        path = folder / "report/scores.csv"
        path.write_text(path.read_text().replace(",m,", f",{MODEL},"))
        return read_scored(folder)

    return make


def test_accepted_scores_are_a_thin_run_without_places_of_the_machine(run, tmp_path):
    place = accept(run(), "cells", "Cells, *2D*", tmp_path / "kept")
    assert [*digests(place)] == ["report/leaderboard.csv", "report/scores.csv", "run.json"]
    said = read_json(place / "run.json")
    assert said["title"] == "Cells, *2D*"
    assert said["models"] == {"watershed": {MODEL: TODAY[MODEL]}}  # the one that was used
    assert said["machine"] == "x86_64, 2 cores"
    assert said["simulation"] == ""
    assert "secret" not in (place / "run.json").read_text()


REFUSED = {
    "failed cases cannot be accepted: watershed on case_02": {"status": {2: "time-out"}},
    "made from uncommitted changes (0.1.0 abc+); commit": {"facts": {"cytosuite": "0.1.0 abc+"}},
    "of watershed is not that of weights/watershed today": {
        "facts": {"models": {"watershed": {MODEL: "0" * 16}}}
    },
    "mine.toml is no recipe of the checkout": {"facts": {"request": {"dataset": "mine.toml"}}},
    "the simulation makes other data today: cells_01, cells_02; run it again": {
        "facts": {
            "request": {"dataset": "cells", "size": "mini", "cases": 2},
            "cases": {"cells_01": "0", "cells_02": "1"},
        }
    },
}
EDITED = {
    "the ruler is broken: SEG gives the truth itself 0.5": (
        "report/scores.csv",
        lambda text: text.replace("oracle,,SEG,1.0", "oracle,,SEG,0.5"),
    ),
    "run.json has no request: the run is older than cytosuite": (
        "run.json",
        lambda text: text.replace('"request"', '"other"'),
    ),
    "expected report/leaderboard.csv, found none": ("report/leaderboard.csv", None),
}


@pytest.mark.parametrize("message", [*REFUSED, *EDITED])
def test_a_run_that_nobody_should_be_compared_with_is_refused(message, run, tmp_path):
    scored = run(**REFUSED.get(message, {}))
    if message in EDITED:
        name, edit = EDITED[message]
        path = scored.place / name
        path.write_text(edit(path.read_text())) if edit else path.unlink()
        scored = read_scored(scored.place)
    refused(re.escape(message), accept, scored, "cells", "", tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_they_are_found_by_the_data_or_by_the_words_that_make_them(run, tmp_path):
    home = tmp_path / "kept"
    accept(run("a"), "cells", "", home)
    limit = {"dataset": "my-cells", "min_object_voxels": 100}
    accept(run("b", facts={"fingerprint": "b" * 64, "request": limit}), "cells-100", "", home)
    assert accepted_for(run("c"), home).place.name == "cells"
    facts = {"fingerprint": "e" * 64}
    assert accepted_for(run("d", facts={**facts, "request": limit}), home).place.name == "cells-100"
    other = run("e", facts={**facts, "request": {"dataset": "worms"}})
    refused(r"no accepted scores of its dataset .*worms.*cells, cells-1", accepted_for, other, home)
    refused("no accepted scores", accepted_for, run("f", facts={"task": "enhance"}), home)


def test_another_simulation_is_stale_and_edited_sources_alone_are_not(run, tmp_path):
    words = {"dataset": "cells", "size": "mini", "cases": 3}
    digests = cases_today(words)
    assert list(digests) == ["cells_01", "cells_03"]
    accept(run(facts={"request": words, "cases": digests}), "s", "", tmp_path / "kept")
    (simulated,) = accepted(tmp_path / "kept").values()
    assert simulated.said("simulation") == simulation_today(words)
    assert list(stale(simulated)) == []

    path = simulated.place / "run.json"
    path.write_text(path.read_text().replace(simulated.said("simulation"), "0" * 64))
    assert list(stale(read_scored(simulated.place))) == []  # other sources, the same images
    path.write_text(path.read_text().replace('"cases": 3', '"cases": 3, "seed": 1'))
    (reason,) = stale(read_scored(simulated.place))
    assert reason == "the simulation makes other data today: cells_01, cells_03"


CARD = read_cards(ROOT / "weights/watershed", "watershed")[0]


def test_a_digest_of_a_model_knows_parameters_and_weights_alone():
    same = CARD.model_copy(update={"description": "other words", "scores": {}})
    assert model_digest(same) == model_digest(CARD)
    for change in ({"parameters": {"smoothing_um": 9.0}}, {"sha256": "a" * 64}):
        assert model_digest(CARD.model_copy(update=change)) != model_digest(CARD)
    assert models_today("watershed")[CARD.name] == model_digest(CARD)
    assert models_today("no_such_algorithm") == {}


def test_a_digest_of_a_case_knows_its_images_and_labels_alone(tmp_path):
    dataset = SimpleNamespace(cases=[SimpleNamespace(name="a", folder=tmp_path)])

    def digests(*lines):
        (tmp_path / SUMS).write_text("".join(f"{line}\n" for line in lines))
        return case_digests(dataset)

    image = "1  sockets/images/image/a.tif"
    labels = "2  sockets/images/labels/a.tif"
    sums = digests(image, labels, "3  case.json")
    assert sums == digests(labels, image, "4  case.json", "5  preview.png")
    assert sums != digests(image.replace("1", "9"), labels)
    assert digests("3  case.json") == {}
    (tmp_path / SUMS).unlink()
    assert case_digests(dataset) == {}
