"""Accepted scores: which runs may become them, how they are found, when they are stale."""

import json

import pytest

from cytosuite.benchmark.comparison.accepted import accept, accepted, accepted_for, stale
from cytosuite.benchmark.comparison.origin import cases_today, models_today, simulation_today
from cytosuite.benchmark.comparison.scored import read_scored
from cytosuite.errors import InputError

TODAY = models_today("watershed")
MODEL = "spheroid-nuclei-3d"


@pytest.fixture
def run(made):
    """Return a function that makes a run that may be accepted."""

    def make(name="run", **changes):
        said = {"models": {"watershed": TODAY}, "versions": {"watershed": "0.1.0"}}
        said |= {"command": "make benchmark DATASET=/home/me/secret"}
        folder = made(name, algorithm="watershed", facts=said | changes.pop("facts", {}), **changes)
        path = folder / "report" / "scores.csv"
        path.write_text(path.read_text().replace(",m,", f",{MODEL},"))
        return read_scored(folder)

    return make


def test_accepted_scores_are_a_thin_run_without_places_of_the_machine(run, tmp_path):
    place = accept(run(), "cells", "Cells, *2D*", tmp_path / "kept")
    files = sorted(
        path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()
    )
    assert files == ["report/leaderboard.csv", "report/scores.csv", "run.json"]
    said = json.loads((place / "run.json").read_text())
    assert said["title"] == "Cells, *2D*"
    assert said["models"] == {"watershed": {MODEL: TODAY[MODEL]}}  # the one that was used
    assert said["machine"] == "x86_64, 2 cores"
    assert said["simulation"] == ""
    assert "secret" not in (place / "run.json").read_text()


def test_new_scores_replace_the_former_and_keep_their_title(run, tmp_path):
    kept = tmp_path / "kept"
    accept(run("a"), "cells", "Cells", kept)
    accept(run("b", scores=[0.1] * 12), "cells", "", kept)
    (found,) = accepted(kept).values()
    assert found.said("title") == "Cells"
    assert found.scores["value"].min() == 0.0
    assert 0.1 in set(found.scores["value"])


def a_failed_case(run):
    """failed cases cannot be accepted: watershed on case_02"""
    return run(status={2: "time-out"})


def a_broken_ruler(run):
    """the ruler is broken: SEG gives the truth itself 0.5 instead of 1"""
    found = run()
    path = found.place / "report" / "scores.csv"
    path.write_text(path.read_text().replace("oracle,,SEG,1.0", "oracle,,SEG,0.5"))
    return read_scored(found.place)


def uncommitted_changes(run):
    """made from uncommitted changes (0.1.0 abc+); commit them and run it again"""
    return run(facts={"cytosuite": "0.1.0 abc+"})


def other_weights(run):
    """model spheroid-nuclei-3d of watershed is not that of weights/watershed today"""
    return run(facts={"models": {"watershed": {MODEL: "0" * 16}}})


def a_run_of_an_older_version(run):
    """run.json has no request: the run is older than cytosuite; run it again"""
    found = run()
    said = json.loads((found.place / "run.json").read_text())
    del said["request"]
    (found.place / "run.json").write_text(json.dumps(said))
    return read_scored(found.place)


def a_recipe_of_ones_own(run):
    """mine.toml is no recipe of the checkout; put it there first"""
    return run(facts={"request": {"dataset": "mine.toml"}})


def other_data(run):
    """the simulation makes other data today: spheroid_01, spheroid_02; run it again"""
    words = {"dataset": "spheroid", "size": "mini", "cases": 2}
    return run(facts={"request": words, "cases": {"spheroid_01": "0", "spheroid_02": "1"}})


def no_leaderboard(run):
    """expected report/leaderboard.csv, found none; give a run's folder"""
    found = run()
    (found.place / "report" / "leaderboard.csv").unlink()
    return found


REFUSED = (
    *(a_failed_case, a_broken_ruler, uncommitted_changes, other_weights),
    *(a_run_of_an_older_version, a_recipe_of_ones_own, no_leaderboard),
    other_data,
)


@pytest.mark.parametrize("wrong", REFUSED)
def test_a_run_that_nobody_should_be_compared_with_is_refused(wrong, run, tmp_path):
    with pytest.raises(InputError) as caught:
        accept(wrong(run), "cells", "", tmp_path / "kept")
    assert wrong.__doc__ in str(caught.value)
    assert not (tmp_path / "kept").exists()


def test_they_are_found_by_the_data_or_by_the_words_that_make_them(run, tmp_path):
    kept = tmp_path / "kept"
    accept(run("a"), "cells", "", kept)
    limit = {"dataset": "cells", "min_object_voxels": 100}
    accept(run("b", facts={"fingerprint": "b" * 64, "request": limit}), "cells-100", "", kept)
    assert accepted_for(run("c"), kept).place.name == "cells"
    changed = run("d", facts={"fingerprint": "e" * 64, "request": limit})
    assert accepted_for(changed, kept).place.name == "cells-100"
    other = run("e", facts={"fingerprint": "e" * 64, "request": {"dataset": "worms"}})
    with pytest.raises(
        InputError, match=r"no accepted scores of its dataset .*worms.*cells, cells-1"
    ):
        accepted_for(other, kept)
    task = run("f", facts={"task": "enhance"})
    with pytest.raises(InputError, match="no accepted scores"):
        accepted_for(task, kept)


def test_a_table_without_run_json_has_no_accepted_scores(run, tmp_path):
    found = run()
    (found.place / "run.json").unlink()
    with pytest.raises(InputError, match="a table without run.json"):
        accepted_for(read_scored(found.place), tmp_path)


def test_older_weights_are_stale(run, tmp_path):
    accept(run(), "cells", "", tmp_path / "kept")
    (found,) = accepted(tmp_path / "kept").values()
    assert list(stale(found)) == []
    path = found.place / "run.json"
    path.write_text(path.read_text().replace(TODAY[MODEL], "0" * 16))
    (reason,) = stale(read_scored(found.place))
    assert reason == f"the scores are of older weights or parameters of watershed: {MODEL}"


def test_another_simulation_is_stale_and_edited_sources_alone_are_not(run, tmp_path):
    words = {"dataset": "spheroid", "size": "mini", "cases": 3}
    digests = cases_today(words)
    assert list(digests) == ["spheroid_01", "spheroid_03"]
    accept(run(facts={"request": words, "cases": digests}), "s", "", tmp_path / "kept")
    (found,) = accepted(tmp_path / "kept").values()
    assert found.said("simulation") == simulation_today(words)
    assert list(stale(found)) == []

    path = found.place / "run.json"
    path.write_text(path.read_text().replace(found.said("simulation"), "0" * 64))
    assert list(stale(read_scored(found.place))) == []  # other sources, the same images
    path.write_text(path.read_text().replace('"cases": 3', '"cases": 3, "seed": 1'))
    (reason,) = stale(read_scored(found.place))
    assert reason == "the simulation makes other data today: spheroid_01, spheroid_03"


def test_a_simulation_is_told_by_all_that_decides_it():
    words = {"dataset": "spheroid", "size": "mini"}
    others = ({"seed": 1}, {"cases": 2}, {"settings": ["camera.photons=5"]}, {"size": "default"})
    found = {simulation_today(words), *(simulation_today(words | other) for other in others)}
    assert len(found) == 5
