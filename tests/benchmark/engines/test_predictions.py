from pathlib import Path

import toys

from cytosuite.benchmark.engines.predictions import Predictions, TakingIn
from cytosuite.contract.tasks import TASKS
from cytosuite.files import write_text


def test_a_file_that_becomes_a_link_behind_the_first_look_is_not_followed(tmp_path, monkeypatch):
    truth, answer, case = tmp_path / "truth.tif", tmp_path / "c0.tif", tmp_path / "c0/inputs/x"
    toys.put(case / "images/microscopy-image/c0.tif", toys.image())
    write_text(truth, "truth")
    write_text(answer, "mine")

    def swapped(path):
        if path == answer:
            path.unlink()
            path.symlink_to(truth)
        return False

    monkeypatch.setattr(Path, "is_symlink", swapped)
    team = Predictions("team", "team", "1", "exec", TASKS["segment"], files={"c0": answer})
    outcome = TakingIn(team).predict(case, tmp_path / "output", tmp_path / "log.txt")
    assert outcome.status == "bad output"
    assert outcome.message == "c0.tif: a link is not followed; give the file itself"
