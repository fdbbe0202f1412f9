"""A new algorithm: whole or absent, for every task, and accepted by its own contract."""

from io import StringIO
from runpy import run_path

import house
import numpy as np
import pytest
from cards import card
from mistakes import refused
from rich.console import Console
from safetensors.torch import save_file

from cytosuite.benchmark.catalog.contract import checks
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands.algorithms import list_command, listing, new
from cytosuite.benchmark.commands.terminal.options import TableOptions
from cytosuite.contract.manifest import read_algorithm, read_card
from cytosuite.contract.tasks import TASKS
from cytosuite.contract.weights import Model, open_model
from cytosuite.files import read_json, write_json, write_text
from cytosuite.volume import Volume
from tests.hostile.tally import digests


def test_models_with_purpose_and_score_fit_into_80_columns():
    console = Console(file=StringIO(), width=80, force_terminal=True, color_system=None)
    list_command(TableOptions(), console)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert "models of cellpose3d" in "\n".join(lines)
    (head,) = [line for line in lines if line.startswith("name") and "made for" in line][:1]
    assert head.split() == ["name", "made", "for", "SEG", "scored", "on"]
    plane = [line for line in lines if line.startswith("nuclei-2d")][-1]
    assert plane.split()[:6] == ["nuclei-2d", "nucleus,", "2D,", "culture", "0.832", "cultured"]
    assert sum(line.startswith("embryo-nuclei-3d") for line in lines) == 3  # one per algorithm


def test_files_hold_every_score_of_every_model(tmp_path, quiet):
    list_command(TableOptions(json=tmp_path / "all.json"), quiet)
    rows = read_json(tmp_path / "all.json")
    scores = {row["algorithm"]: row["SEG"] for row in rows if row["name"] == "nuclei-2d"}
    assert scores.items() >= {"watershed": 0.8317, "cellprofiler_like": 0.7479}.items()
    assert {row["kind"] for row in rows} == {"algorithm", "model", "dataset", "recipe"}


def test_a_model_that_did_not_beat_its_baselines_says_so(tmp_path, monkeypatch):
    home = tmp_path / "weights/view_fusion"
    card = read_json(ROOT / "weights/view_fusion/identity.json")
    card |= {"scores": {"views": {"N_SSIM": -0.1}}, "baselines": {"identity": {"N_SSIM": 0.0}}}
    write_json(home / "identity.json", card)
    monkeypatch.setattr(
        "cytosuite.benchmark.commands.algorithms.model_homes", lambda: [tmp_path / "weights"]
    )
    table = listing()
    rows = [{name: row.get(name) for name in table.names} for row in table.rows]
    (identity,) = [row for row in rows if row["name"] == "identity"]
    doubt = "views; used only by name: did not beat identity: N_SSIM -0.1 <= 0"
    assert (identity["N_SSIM"], identity["scored on"]) == (-0.1, doubt)


LIST = "# Algorithms\n\n| algorithm | task | what it is |\n|---|---|---|\n"


@pytest.fixture
def root(tmp_path, monkeypatch):
    """Return an empty checkout."""
    write_text(tmp_path / "algorithms/README.md", LIST)
    monkeypatch.setattr("cytosuite.benchmark.commands.algorithms.ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("task", TASKS)
def test_what_is_written_passes_its_contract_in_every_task(root, task):
    new("mine", task)
    folder = root / "algorithms/mine"
    models = root / "weights/mine"
    model = open_model(models, read_card(models / "default.json"))
    predict = run_path(folder / "predict.py")["predict"]
    manifest = read_algorithm(folder / "algorithm.toml")
    results = list(checks(root, manifest, lambda inputs: predict(inputs, model)))
    assert [done for done in results if done.result != "pass"] == []
    assert len(results) == {"segment": 13, "fuse": 7}.get(task, 9)  # stacks have no planes


def test_a_network_of_torch_waits_for_its_weights_and_names_the_command(root):
    assert not any("weights" in str(folder) for folder in new("deep", "segment", torch=True))
    folder = root / "algorithms/deep"
    (failed,) = [
        done
        for done in checks(root, read_algorithm(folder / "algorithm.toml"), dict)
        if done.result == "FAIL"
    ]
    assert "cytosuite model add FILE --like ALGORITHM --name NAME" in failed.reason
    program = run_path(folder / "predict.py")
    save_file(program["network"]().state_dict(), root / "a.safetensors")
    image = Volume(np.ones((2, 20, 30), np.uint8), (1.0, 1.0, 1.0))
    model = Model(card(), root / "a.safetensors")
    labels = program["predict"]({"microscopy-image": image}, model)["instance-labels"]
    assert (labels.shape, labels.array.dtype) == (image.shape, np.uint32)
    refused("--torch: expected the task segment", new, "other", "enhance", torch=True)


def test_the_list_of_algorithms_gets_a_row_and_keeps_the_others(root):
    new("mine", "segment")
    new("yours", "enhance")
    rows = (root / "algorithms/README.md").read_text().removeprefix(LIST).splitlines()
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| [mine](mine/README.md)", "segment"],
        ["| [yours](yours/README.md)", "enhance"],
    ]


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_interruption_leaves_nothing_behind(root, monkeypatch, error):
    def fail(*arguments):
        raise error

    before = digests(root)
    monkeypatch.setattr("cytosuite.benchmark.commands.algorithms._list", fail)
    with pytest.raises(type(error)):
        new("mine", "segment")
    assert digests(root) == before


@pytest.mark.slow
def test_a_crash_is_named_by_its_last_line_and_a_wrong_manifest_is_the_first_failure(tmp_path):
    place = house.build(tmp_path / "house", algorithms=["toy_fails"])
    done = house.command(place, "check", "toy_fails")  # wants a number in the metadata
    assert done.returncode == 1
    assert "3D: outputs: non-zero exit: KeyError: 'number'" in done.stdout
    path = place / "algorithms/toy_fails/algorithm.toml"
    path.write_text(path.read_text().replace("title =", "titel ="))
    done = house.command(place, "check", "toy_fails")
    assert done.returncode == 1
    assert "FAIL  manifest: algorithm.toml" in done.stdout
    assert "did you mean 'title'?" in done.stdout


@pytest.mark.parametrize(
    "name, task, line",
    [
        ("class", "segment", "neither a word of Python"),
        ("../mine", "segment", "found '../mine'"),
        ("base", "segment", "nor base, debian, evaluation; found 'base'"),
        ("report", "segment", "algorithms/report: a control or a part of runs is named so"),
        ("there", "segment", "exists already; choose another name"),
        ("mine", "segmnt", "no task called 'segmnt'; did you mean 'segment'?"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(root, name, task, line):
    (root / "weights/there").mkdir(parents=True)
    before = digests(root)
    refused(line, new, name, task)
    assert digests(root) == before


def test_an_installed_package_is_not_written_into(root, monkeypatch):
    monkeypatch.setattr("cytosuite.benchmark.catalog.places.CHECKOUT", False)
    refused("a new algorithm needs a checkout of the repository", new, "mine", "segment")
