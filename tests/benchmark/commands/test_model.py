"""Models of one's own and of colleagues, from a folder as of a wheel: whole and tested, or absent."""

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path

import pytest
from archives import sha
from mistakes import no_model, refused

from cytosuite.benchmark.catalog import models, places
from cytosuite.benchmark.commands import model as module
from cytosuite.contract.manifest import read_card
from cytosuite.contract.select import select
from cytosuite.contract.weights import open_model
from cytosuite.errors.ending import INTERRUPTED
from cytosuite.files import read_json, write_json

WEIGHTS = places.ROOT / "weights"
WATERSHED = models.algorithms()["watershed"]
PLANES = WEIGHTS / "watershed/nuclei-2d.json"
LIKE = "model add net.pt --like watershed:nuclei-2d --name"
ADD = f"{LIKE} theirs"
BYTES = b"not looked into without the algorithm"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return the current folder, in which an installed package writes."""
    for part in (places, module):
        monkeypatch.setattr(part, "CHECKOUT", False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def untested(monkeypatch):
    """Leave out the run of a model; return the cards that would be tested."""
    tested = []
    monkeypatch.setattr(module, "_test", lambda path, *_: tested.append(read_card(path)))
    return tested


def _card(**changes):
    card = read_json(PLANES)
    card |= {"name": "theirs", "weights": "any.safetensors", "sha256": sha(BYTES)}
    return card | changes


def _zip(path, members=None, **changes):
    """Write what a colleague sends: a card and its weights, or other members."""
    files = {"theirs.json": json.dumps(_card(**changes)), "any.safetensors": BYTES}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files if members is None else members).items():
            archive.writestr(name, content)
    return path


def _left(place):
    return sorted(path.name for path in place.rglob("*") if path.suffix != ".zip")


def test_a_packed_model_is_installed_elsewhere_and_removed(place, cli, untested, monkeypatch):
    home = place / "weights/watershed"
    cli("model install", _zip(place / "a.zip"))
    assert [card.name for card in untested] == ["theirs"]
    assert read_card(home / "theirs.json").weights == "theirs.safetensors"
    assert not read_card(home / "theirs.json").adopted
    done = cli("model pack theirs")
    assert sha((place / "theirs.zip").read_bytes()) in done.output
    cli("model pack theirs --out sent.zip")
    there = place / "there"
    there.mkdir()
    monkeypatch.chdir(there)
    done = cli("model install", place / "sent.zip", "--name mine")
    assert "use: cytosuite segment IMAGES --algorithm watershed --model mine" in done.output
    target = there / "weights/watershed"
    assert (target / "mine.safetensors").read_bytes() == BYTES
    before, after = (read_json(p) for p in (home / "theirs.json", target / "mine.json"))
    assert after == before | {"name": "mine", "weights": "mine.safetensors"}
    cli("model remove watershed:mine")
    assert _left(there) == []


def test_a_bundle_holds_a_model_too(place, cli, untested):
    members = {
        "b/configs/metadata.json": "{}",
        "b/models/model.pt": b"never read",
        "b/models/theirs.json": json.dumps(_card()),
        "b/models/any.safetensors": BYTES,
    }
    cli("model install", _zip(place / "b.zip", members))
    assert _left(place) == ["theirs.json", "theirs.safetensors", "watershed", "weights"]


MISTAKES = {
    "expected one model card (.json), found a.json, b.json": {
        "members": {"a.json": "{}", "b.json": "{}"}
    },
    "expected one model card (.json), found none": {"members": {"rdf.yaml": "type: model"}},
    "no algorithm called 'watersheds'; did you mean 'watershed'?": {"algorithm": "watersheds"},
    "expected the task segment, found enhance": {"task": "enhance"},
    r"theirs.json: expected printable text, found 'A. \x1b[2J'": {"authors": "A. \x1b[2J"},
    "theirs.json: name: string should match pattern": {"name": "../theirs"},
    "expected weights as .safetensors, found any.pt": {"weights": "any.pt"},
    "names the weights any.safetensors, not in the archive": {
        "members": {"theirs.json": json.dumps(_card())}
    },
    "expected SHA-256 00000000": {"sha256": "0" * 64},
    "theirs.json: expected JSON, found": {"members": {"theirs.json": "{" * 1000}},
    "found a path out of it: '../any.safetensors'": {
        "members": {"theirs.json": json.dumps(_card()), "../any.safetensors": BYTES}
    },
    "cannot be unpacked": None,
}


@pytest.mark.parametrize("line, content", MISTAKES.items(), ids=range(len(MISTAKES)))
def test_a_hostile_file_is_refused_and_leaves_nothing(place, here, untested, line, content):
    if content is None:
        (place / "a.zip").write_bytes(b"PK")
    else:
        _zip(place / "a.zip", **content)
    code, _, errors = here("model install a.zip")
    assert code == 2
    assert line in errors
    assert errors.count("\n") == 1
    assert _left(place) == []


def test_a_name_is_taken_once_and_replaced_if_wanted(place, cli, untested):
    cli("model install", _zip(place / "a.zip"))
    other = _zip(place / "b.zip", description="Another one.")
    refused(r"theirs.json: a model of this name .* --overwrite$", cli, "model install", other)
    cli("model install", other, "--overwrite")
    assert read_card(place / "weights/watershed/theirs.json").description == "Another one."
    refused(
        r"nuclei-2d.json: a model .* give --name OTHER$",
        cli,
        "model install",
        other,
        "--name nuclei-2d --overwrite",
    )
    refused("no model of your own in", cli, "model remove watershed:nuclei-2d")
    assert PLANES.exists()


def test_whenever_a_replacement_is_killed_there_is_the_old_model_or_the_new(
    place, cli, untested, monkeypatch
):
    class Killed(BaseException):
        """After so many changes of the disk nothing is done any more, as after SIGKILL."""

    def limited(change):
        def changed(*words, **more):
            if not left:
                raise Killed
            left.pop()
            return change(*words, **more)

        return changed

    theirs = place / "weights/watershed/theirs.json"
    former = _zip(place / "a.zip", description="old")
    members = {
        "theirs.json": json.dumps(_card(description="new", sha256=sha(b"new"))),
        "any.safetensors": b"new",
    }
    packed = _zip(place / "b.zip", members)
    endings = []
    while not endings or endings[-1] is Killed:
        cli("model install", former, *(["--overwrite"] if theirs.exists() else []))
        left = [None] * len(endings)
        with monkeypatch.context() as patch:
            for name in ("replace", "rename", "unlink", "rmdir"):
                patch.setattr(os, name, limited(getattr(os, name)))
            try:
                cli("model install", packed, "--overwrite")
                endings.append("done")
            except Killed:
                endings.append(Killed)
        model = open_model(theirs.parent, read_card(theirs))  # of the right digest
        assert (model.card.description, model.weights.read_bytes()) in (
            ("old", BYTES),
            ("new", b"new"),
        )
    assert len(endings) > 4
    assert sum(path.name[0] != "." for path in theirs.parent.iterdir()) == 2
    cli("model remove watershed:theirs")
    assert not [*theirs.parent.glob("[!.]*")]


def test_in_a_checkout_what_git_knows_stays():
    assert module._is_shipped(PLANES)
    assert not module._is_shipped(PLANES.with_stem("mine"))


@pytest.mark.parametrize("moment", ["_test", "_place"])
def test_an_interrupted_installation_leaves_nothing(place, cli, untested, monkeypatch, moment):
    def interrupt(*_):
        raise KeyboardInterrupt

    if moment == "_test":
        monkeypatch.setattr(module, "_test", interrupt)
    else:  # between weights and card
        move = Path.replace

        def stopped(path, to):
            return (interrupt if path.suffix == ".json" else move)(path, to)

        monkeypatch.setattr(Path, "replace", stopped)
    assert cli("model install", _zip(place / "a.zip")).exit_code == INTERRUPTED
    assert _left(place) == []


def test_a_name_of_several_models_needs_its_algorithm(cli, place):
    words = "cellpose3d:embryo-nuclei-3d or harmonicnet:embryo-nuclei-3d or watershed:embryo"
    refused(words, cli, "model pack embryo-nuclei-3d")


@pytest.mark.parametrize(
    "words, reason",
    {
        "cellpose3d": "expected one of its models, cellpose3d:NAME, or --describes",
        "cellpose3": "no algorithm called 'cellpose3'; did you mean 'cellpose3d'",
        "watershed:nuclei": "no model called 'nuclei' of watershed",
        "watershed:nuclei-2d --describes axes": "expected key=value",
        "watershed:nuclei-2d --describes chanel=x": "did you mean 'channel'",
        "watershed:nuclei-2d --name nuclei-2d": "a model of this name exists",
        "watershed:nuclei-2d --name 'A b'": "expected up to 100 letters",
        "watershed:nuclei-2d": "net.pt: no such file or folder",
    }.items(),
)
def test_a_model_is_refused_before_any_work(cli, place, words, reason):
    refused(reason, cli, "model add net.pt --name theirs --like", words)
    assert _left(place) == []


def test_without_torch_the_package_is_named(cli, place, monkeypatch):
    (place / "net.pt").touch()
    monkeypatch.setattr(
        "cytosuite.benchmark.catalog.packages.find_spec",
        lambda name: None if name == "torch" else name,
    )
    refused("model add needs .*torch, not installed here: ", cli, ADD)
    assert _left(place) == ["net.pt"]


@pytest.mark.parametrize("command", ["build", "export"])
def test_weights_of_torch_are_neither_built_nor_exported(command, tmp_path, cli, monkeypatch):
    write_json(tmp_path / "weights/watershed/theirs.json", _card(weights="mine.pt"))
    monkeypatch.setattr(models, "ROOT", tmp_path)
    no_model(r"model add \S+/mine.pt --like \S+/theirs.json --name", cli, command, "watershed")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Return the folder of models of watershed in a checkout, with two of one's own."""
    shutil.copytree(WEIGHTS / "watershed", home := tmp_path / "weights/watershed")
    for place in (module, models, places):
        monkeypatch.setattr(place, "ROOT", tmp_path)
    for name, axes in (("mine", "YX"), ("other", "YX"), ("stack", "ZYX")):
        card = _card(name=name, weights=None, sha256=None, scores={}, adopted=False)
        card["describes"] = {"axes": axes, "channel": "nucleus"}
        write_json(home / f"{name}.json", card)
    monkeypatch.setattr(module, "algorithms", algorithms := lambda: {"watershed": WATERSHED})
    monkeypatch.setattr(models, "algorithms", algorithms)
    return home


def _chosen(**facts):
    return select(models.cards_of("watershed", {}), facts, WATERSHED.select).card.name


def _chosen_for_both():
    return [_chosen(axes=axes) for axes in ("YX", "ZYX")]


def test_a_model_is_in_use_until_another_takes_its_place(home, cli, tmp_path):
    assert "all images with axes YX" in cli("model use mine").output
    cli("model use watershed:stack")
    assert _chosen_for_both() == ["mine", "stack"]
    cli("model use other --for sample=x --for", tmp_path)
    assert _chosen(axes="YX", sample="x", folder=str(tmp_path)) == "other"
    assert _chosen(axes="YX", sample="x") == "mine"
    assert models.ruled_folder(tmp_path / "a/b.tif") == str(tmp_path)
    assert models.ruled_folder(tmp_path.parent / "b.tif") == ""
    cli("model use other")
    assert _chosen_for_both() == ["other", "stack"]
    cli("model use other --off")
    cli("model remove stack")
    assert _chosen_for_both() == ["nuclei-2d", "embryo-nuclei-3d"]
    assert not (home / "use.rules").exists()


def test_a_model_ends_for_the_named_images_alone(home, cli):
    for sample in ("x", "y"):
        cli("model use other --for", f"sample={sample}")
    assert "no longer in use for " in cli("model use other --off --for sample=x").output
    assert [_chosen(axes="YX", sample=name) == "other" for name in "xy"] == [False, True]


def test_a_rule_without_its_model_and_an_image_that_is_none_are_one_line(home, cli, tmp_path):
    refused("expected a folder, or key=value", cli, "model use mine --for nowhere")
    cli("model use", home / "mine.json", "--off")
    copy = shutil.copy(home / "mine.json", tmp_path / "mine.json")
    refused("models are chosen from ", cli, "model use", copy)
    refused("expected a word or finite", cli, "model use", home / "mine.json", "--for study=nan")
    (home / "use.rules").write_text('{"use": [{"model": "gone"}]}')
    no_model(r"use.rules: there is no model called gone; remove its r", _chosen, axes="YX")


def test_where_no_model_has_scores_the_first_stays_in_use(home, cli, untested):
    for path in home.glob("*.json"):
        path.unlink()
    for name in ("first", "second", "third"):
        cli("model install", _zip(home.parent / "a.zip", scores={}), "--name", name)
        assert _chosen(axes="YX") == "first", name


class _Code:
    def __reduce__(self):
        return (print, ("executed",))


def test_code_in_a_file_of_weights_is_refused_and_leaves_nothing(place, here):
    (place / "net.pt").write_bytes(pickle.dumps(_Code()))
    code, shown, errors = here(ADD)
    assert (code, errors.count("\n")) == (2, 1)
    assert "executed" not in shown + errors
    assert _left(place) == ["net.pt"]


@pytest.fixture
def net(place):
    """Return the tensors of a model, and a function that saves some as a checkpoint."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    tensors = load_file(WEIGHTS / "cellpose3d/culture-nuclei-2d.safetensors")

    def save(changed):
        torch.save({"epoch": 3, "state_dict": {**tensors, **changed}}, place / "net.pt")
        return "model add net.pt --like cellpose3d:culture-nuclei-2d --name theirs"

    return tensors, save


@pytest.mark.slow
def test_added_weights_are_the_same(net, place, cli):
    done = cli(net[1]({}), "--describes study=organoid,sample= --authors 'A. C.'")
    assert "pass  2D: finds one nucleus" in done.output
    home = place / "weights/cellpose3d"
    card = read_card(home / "theirs.json")
    assert (card.describes["study"], card.describes["channel"]) == ("organoid", "nucleus")
    assert "sample" not in card.describes
    assert (card.authors, card.license, card.scores) == ("A. C.", "NOASSERTION", {})
    assert card.trained["like"] == "cellpose3d:culture-nuclei-2d"
    from safetensors.torch import load_file

    theirs = load_file(open_model(home, card).weights)
    assert theirs.keys() == net[0].keys()
    assert all(theirs[name].equal(value) for name, value in net[0].items())


@pytest.mark.slow
def test_tensors_that_do_not_fit_are_refused_by_name(net, place, cli, converted_here):
    tensors, save = net
    name = next(name for name, value in tensors.items() if value.ndim == 4)
    words = save({name: tensors[name][:, :1]})
    sides = " x ".join(map(str, tensors[name].shape))
    refused(rf"net.pt: 2D: .*\({name}: expected {sides}, found ", cli, words)
    assert _left(place) == ["net.pt"]


@pytest.mark.slow
def test_scores_on_annotated_images_stand_in_the_card(net, place, planes, cli, converted_here):
    net[1]({})
    done = cli(ADD, "--data", planes, "--engine process")
    assert "whether these are read is not tested" in done.output
    card = read_card(place / "weights/watershed/theirs.json")
    (scores,) = card.scores.values()
    assert list(card.scores) == ["3 images of planes"]
    (metrics,) = place.rglob("metrics.json")
    assert scores["SEG"] == round(read_json(metrics)["aggregates"]["SEG"]["pooled"], 4) > 0.5
    assert not card.adopted
    (planes / "labels/b.tif").write_bytes(b"broken")
    refused("", cli, LIKE, "other --data", planes, "--engine process")
    assert not list((place / "weights/watershed").glob("other*"))
