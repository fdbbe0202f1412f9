import re
import shutil
import sys
from types import SimpleNamespace

import pytest
from mistakes import refused

from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands import maintain
from cytosuite.contract.manifest import read_recipe
from cytosuite.files import read_json, write_json


@pytest.fixture
def started(monkeypatch):
    """Return the commands of processes, which end with code 3 at once."""
    commands = []

    def run(command, **_):
        commands.append(command)
        return SimpleNamespace(returncode=3)

    monkeypatch.setattr(maintain.subprocess, "run", run)
    return commands


def test_all_models_with_weights_are_bundled_in_another_process(cli, started, tmp_path):
    # The exit code is that of the process.
    assert cli("maintain bundle view_fusion --out", tmp_path / "new").exit_code == 3
    ((program, *words),) = started
    assert program == sys.executable
    assert words[:2] == ["-m", "cytosuite.training.bundle"]
    assert words[-2:] == ["--out", str(tmp_path / "new")]
    weights = sorted(path.stem for path in ROOT.glob("weights/view_fusion/*.safetensors"))
    assert [re.split(r"[/.]", word)[-2] for word in words[2:-2]] == weights
    assert len(weights) == 10


@pytest.mark.parametrize(
    "words, line",
    {
        "view_fuson": "no algorithm with networks to bundle called 'view_fuson'; did you mean",
        "diffusion --model nuclei": "no model called 'nuclei' of diffusion; nearest:",
        f"diffusion --out {__file__}": "test_maintain.py: expected a folder, found a file",
    }.items(),
)
def test_a_mistake_bundles_nothing(cli, started, words, line):
    refused(line, cli, "maintain bundle", words)
    assert not started


def test_accept_copies_the_scores_of_a_run(cli, tmp_path, monkeypatch):
    from cytosuite.benchmark.scores.comparison import accepted

    run = shutil.copytree(ROOT / "benchmark/accepted/spheroid", tmp_path / "run")
    keep = accepted.accept
    home = tmp_path / "kept"
    monkeypatch.setattr(accepted, "accept", lambda *words: keep(*words, home))
    done = cli("maintain accept", run, "--name mine --title Mine")
    assert done.stdout == f"written: {home / 'mine'}\n"
    assert read_json(home / "mine/run.json")["title"] == "Mine"
    refused("plain folder name", cli, "maintain accept", run, "--name ../elsewhere")


def test_tables_are_checked_without_a_change(cli, monkeypatch):
    from cytosuite.benchmark.scores.comparison import documents

    before = (ROOT / "README.md").read_bytes()
    monkeypatch.setattr(documents, "outdated", lambda _: ["README.md: stale"])
    done = cli("maintain tables --check")
    assert (done.exit_code, done.stdout) == (1, "stale: README.md: stale\n")
    monkeypatch.setattr(documents, "outdated", lambda _: [])
    done = cli("maintain tables --check")
    assert done.exit_code == 0, f"{done.stdout}make tables writes them"
    assert (ROOT / "README.md").read_bytes() == before


def test_a_simulation_of_the_same_data_is_known_again_by_new_sources(cli, tmp_path, monkeypatch):
    from cytosuite.benchmark.commands import maintain
    from cytosuite.benchmark.scores.comparison import accepted, documents
    from cytosuite.benchmark.scores.comparison.scored import read_scored

    path = shutil.copytree(ROOT / "benchmark/accepted/spheroid", tmp_path / "run") / "run.json"
    facts = read_json(path)
    write_json(path, facts | {"simulation": "of other sources"})
    runs = {"spheroid": read_scored(path.parent)}
    for name in ("documents", "outdated"):
        monkeypatch.setattr(documents, name, lambda *_: [])
    monkeypatch.setattr(accepted, "accepted", lambda: runs)
    monkeypatch.setattr(maintain, "write_text", lambda *_: None)  # a stale page stays so
    assert cli("maintain tables").exit_code == 0
    assert read_json(path) == facts | {"simulation": accepted._simulation(runs["spheroid"])}


def test_a_parameter_file_becomes_a_recipe_with_its_gaps_named(cli, tmp_path):
    path = tmp_path / "params.json"
    write_json(path, {"dc_baseline": 15, "noise_poisson_factor": 0.5, "use_gpu_conv": 1})
    done = cli("maintain migrate", path, "--out", tmp_path / "old.toml")
    assert "not translated: use_gpu_conv" in done.output
    recipe = read_recipe(tmp_path / "old.toml")
    assert (recipe.parameters["camera"]["offset"], recipe.parameters["camera"]["gain"]) == (15, 2)
    assert "# not translated: use_gpu_conv" in (tmp_path / "old.toml").read_text()
