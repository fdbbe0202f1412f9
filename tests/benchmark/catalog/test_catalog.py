"""Places of a checkout and of an installed package."""

import pytest
from house import ROOT
from mistakes import refused

from cytosuite.benchmark.catalog import models, places
from cytosuite.benchmark.catalog.models import named_models
from cytosuite.benchmark.commands.algorithms import listing
from cytosuite.benchmark.engines.choose import choose
from cytosuite.files import read_json, write_json


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """Make the program believe that it comes from a wheel; the current folder is a new one."""
    monkeypatch.setattr(places, "CHECKOUT", False)
    monkeypatch.setattr("cytosuite.benchmark.engines.choose.CHECKOUT", False)
    monkeypatch.chdir(tmp_path)


def test_optional_algorithms_run_by_name_or_with_all():
    plain = models.algorithms()["watershed"]
    manifests = {"mine": plain, "theirs": plain.model_copy(update={"optional": True})}
    assert models.asked_for([], manifests) == ["mine"]
    assert models.asked_for(["all"], manifests) == ["mine", "theirs"]
    assert models.asked_for(["theirs"], manifests) == ["theirs"]
    refused("did you mean 'theirs'", models.asked_for, ["their"], manifests)


def test_a_wheel_knows_the_models_that_were_trained_in_the_current_folder(installed, tmp_path):
    assert places.workplace() == tmp_path
    home = tmp_path / "weights/watershed"
    write_json(
        home / "mine.json", read_json(ROOT / "weights/watershed/nuclei-2d.json") | {"name": "mine"}
    )
    assert named_models("mine", ["watershed"]) == {"watershed": home / "mine.json"}
    assert {"mine", "nuclei-2d"} <= {
        row["name"] for row in listing().rows if row.get("algorithm") == "watershed"
    }


def test_containers_need_a_checkout_and_a_wheel_says_why_it_uses_processes(installed, monkeypatch):
    refused("ENGINE=docker needs a checkout .*installed package", choose, "docker")
    monkeypatch.setattr(
        "cytosuite.benchmark.engines.choose.find_docker", lambda: pytest.fail("no daemon is asked")
    )
    engine, sentence = choose("auto")
    assert engine.name == "process"
    assert "an installed package, containers are built from a checkout" in sentence
