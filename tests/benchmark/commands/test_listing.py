import json
import shutil
from io import StringIO

import pytest
from rich.console import Console

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands import listing as module
from cytosuite.benchmark.commands.listing import listing, show_list
from cytosuite.benchmark.commands.options import TableOptions


@pytest.fixture
def shown():
    """Return a function that shows the list on a terminal of some width, as lines."""

    def shown(width, **options):
        console = Console(file=StringIO(), width=width, force_terminal=True, color_system=None)
        show_list(TableOptions(**options), console)
        return console.file.getvalue().splitlines()

    return shown


def test_models_with_purpose_and_score_fit_into_80_columns(shown):
    lines = shown(80)
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    assert "models of cellpose3d" in text
    (head,) = [line for line in lines if line.startswith("name") and "made for" in line][:1]
    assert head.split() == ["name", "made", "for", "SEG", "scored", "on"]
    (plane,) = [line for line in lines if line.startswith("nuclei-2d")]
    assert plane.split()[:6] == ["nuclei-2d", "nucleus,", "2D,", "culture", "0.832", "cultured"]
    assert sum(line.startswith("embryo-nuclei-3d") for line in lines) == 2  # one per algorithm


def test_a_wide_list_has_the_voxel_size_on_one_line(shown):
    (line,) = [line for line in shown(200) if line.startswith("cells-3d")]
    assert "membrane, 3D, 0.3 x 0.25 x 0.25 µm, tissue" in line


def test_files_hold_every_score_of_every_model(tmp_path, shown):
    shown(80, json=tmp_path / "all.json")
    rows = json.loads((tmp_path / "all.json").read_text())
    own = [row for row in rows if row["name"] == "nuclei-2d"]
    assert [row["SEG"] for row in own] == [0.8316, 0.8191]
    assert {row["algorithm"] for row in own} == {"watershed"}
    assert {row["kind"] for row in rows} == {"algorithm", "model", "dataset", "recipe"}


def test_a_model_without_scores_is_said_to_run_by_name_alone(tmp_path, monkeypatch):
    home = tmp_path / "weights" / "watershed"
    home.mkdir(parents=True)
    shutil.copy(ROOT / "weights" / "watershed" / "nuclei-2d.json", home)
    card = json.loads((home / "nuclei-2d.json").read_text()) | {"scores": {}, "name": "new"}
    (home / "new.json").write_text(json.dumps(card))
    monkeypatch.setattr(module, "model_homes", lambda: [tmp_path / "weights"])
    table = listing()
    rows = [dict(zip(table.names, row, strict=True)) for row in table.rows]
    (new,) = [row for row in rows if row["name"] == "new"]
    assert (new["SEG"], new["scored on"]) == (None, "nothing: used only by name")


def test_a_model_that_did_not_beat_its_baselines_says_so(tmp_path, monkeypatch):
    home = tmp_path / "weights" / "view_fusion"
    home.mkdir(parents=True)
    card = json.loads((ROOT / "weights" / "view_fusion" / "identity.json").read_text())
    card |= {"scores": {"views": {"N_SSIM": -0.1}}, "baselines": {"identity": {"N_SSIM": 0.0}}}
    (home / "identity.json").write_text(json.dumps(card))
    monkeypatch.setattr(module, "model_homes", lambda: [tmp_path / "weights"])
    table = listing()
    rows = [dict(zip(table.names, row, strict=True)) for row in table.rows]
    (own,) = [row for row in rows if row["name"] == "identity"]
    doubt = "views; used only by name: did not beat identity: N_SSIM -0.1 <= 0"
    assert (own["N_SSIM"], own["scored on"]) == (-0.1, doubt)
