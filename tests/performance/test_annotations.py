"""The learning curve: its rows, which are made once, and its figure."""

import json
import sys

import annotations
import numpy as np
from mistakes import refused

from cytosuite.formats import write
from cytosuite.volume import Volume

CARD = {
    "name": "p", "version": "1.0.0", "algorithm": "cellpose3d", "task": "segment", "description": "d",
    "authors": "a", "license": "MIT", "describes": {"axes": "YX"},
    "parameters": {"network": {"dimensions": 2, "widths": [4, 4, 4], "fold": 2}, "tau": 0.4},
    "trained": {"settings": {"patches": {"shape": [1, 16, 16], "batch": 1}}},
}  # fmt: skip


def test_rows_are_made_once_from_so_many_images_and_drawn(tmp_path, monkeypatch, capsys):
    for name in "abc":
        for kind in ("images", "labels"):
            labels = np.pad(np.ones((8, 8), np.uint16), 4)
            write(tmp_path / kind / f"{name}.tif", Volume(labels, (1.0, 1.0), "YX"))
    (tmp_path / "p.json").write_text(json.dumps(CARD))
    seen = {}

    def judge(card, items):
        seen[card.stem] = len(items)
        return 0.5 + len(seen) / 10, 0.5

    def run(numbers):
        words = ["--train", tmp_path, "--test", tmp_path, "--parent", tmp_path / "p.json"]
        words += ["--out", tmp_path / "out", "--steps", 1, "--seeds", 0, "--numbers", numbers]
        monkeypatch.setattr(sys, "argv", ["annotations.py", *map(str, words)])
        return annotations.main()

    def learn(training, settings, data, card, **options):
        made.append((settings, options["parent"]))
        return card

    made = []
    monkeypatch.setattr(annotations, "train", learn)
    monkeypatch.setattr(annotations, "scores", judge)
    assert run("1") == run("1,3") == 0
    assert [*seen] == ["p", "fine-tuned-1-0-1", "from-scratch-1-0-1", "fine-tuned-3-0-1",
                       "from-scratch-3-0-1"]  # fmt: skip
    parts = [[rule.part for rule in settings.files.splits.rules] for settings, _ in made]
    assert parts == [["train", "test"]] * 2 + [["train"] * 3] * 2
    assert [parent and parent.stem for _, parent in made] == ["p", None] * 2
    assert {settings.card.parameters["tau"] for settings, _ in made} == {0.4}
    assert (tmp_path / "out" / "scores.csv").read_text().count("\n") == 6
    assert (tmp_path / "out" / "scores.svg").read_text().count("<circle") == 4
    refused("--numbers: expected 1 to 3 images of", run, "4")
