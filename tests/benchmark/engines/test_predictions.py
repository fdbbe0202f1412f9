import toys

from cytosuite.benchmark.engines.predictions import Predictions, TakingIn
from cytosuite.contract.tasks import TASKS


def test_a_file_that_becomes_a_link_behind_the_first_look_is_not_followed(tmp_path, monkeypatch):
    answer = tmp_path / "c0.tif"
    case = tmp_path / "c0/inputs/x"
    toys.put(case / "images/microscopy-image/c0.tif", toys.image())
    answer.symlink_to(__file__)
    monkeypatch.setattr("pathlib.Path.is_symlink", lambda _: False)
    team = Predictions("team", "", "", "exec", TASKS["segment"], files={"c0": answer})
    outcome = TakingIn(team).predict(case, tmp_path / "output", tmp_path)
    assert outcome.message == "c0.tif: a link is not followed; give the file itself"
