"""Models that a user names, and the choice of an algorithm by the image."""

import shutil
from functools import partial
from types import SimpleNamespace

import pytest
from mistakes import no_model, refused

from cytosuite.benchmark.catalog.models import (
    algorithms,
    choice_digest,
    choose_algorithm,
    hand_over,
    is_tarball,
    lacks_model,
    named_models,
    own_models,
    preferred,
    unlike,
)
from cytosuite.benchmark.catalog.packages import follow, reached, runtime_files
from cytosuite.benchmark.catalog.places import PACKAGE, ROOT
from cytosuite.benchmark.engines.docker import DockerEngine
from cytosuite.benchmark.engines.outcome import Limits
from cytosuite.benchmark.engines.process import ProcessEngine, ProcessSession
from cytosuite.benchmark.runs.plan import job_key
from cytosuite.contract.weights import open_model, read_cards
from cytosuite.files import read_json, write_json, write_text

BOTH = ["cellpose3d", "watershed"]
WATERSHED = ROOT / "weights/watershed"


@pytest.fixture
def mine(tmp_path):
    """Return the path of a user's own card of the watershed, for planes, without scores."""
    path = tmp_path / "models/mine.json"
    write_json(path, read_json(WATERSHED / "nuclei-2d.json") | {"name": "mine", "scores": {}})
    return path


@pytest.fixture
def network(tmp_path):
    """Return the path of a card with weights."""
    for path in (ROOT / "weights/cellpose3d").glob("spheroid-nuclei-3d.*"):
        shutil.copy(path, tmp_path)
    return tmp_path / "spheroid-nuclei-3d.json"


def test_the_preferred_algorithm_with_a_fitting_model_is_chosen():
    candidates = preferred("segment")
    assert [manifest.name for manifest in candidates] == BOTH
    for facts, turned in (
        ({"axes": "ZYX", "channel": "membrane"}, "cellpose3d"),
        ({"axes": "ZYX"}, "watershed"),
        ({"axes": "YX", "channel": "nucleus"}, "watershed"),
        ({"axes": "ZYX", "channel": "actin"}, "watershed"),
    ):
        assert choose_algorithm(candidates, facts, {}).name == "cellpose3d", facts
        assert choose_algorithm(candidates[::-1], facts, {}).name == turned


def test_an_algorithm_without_preference_is_chosen_by_name_alone(monkeypatch):
    extra = algorithms()["watershed"].model_copy(update={"name": "aaa", "preference": 0})
    both = {name: algorithms()[name] for name in BOTH}
    monkeypatch.setattr(
        "cytosuite.benchmark.catalog.models.algorithms", lambda: {"aaa": extra, **both}
    )
    assert [manifest.name for manifest in preferred("segment")] == BOTH
    assert [manifest.name for manifest in preferred("segment", every=True)] == [*BOTH, "aaa"]


def test_a_refusal_says_which_algorithm_has_a_model(volumes_alone):
    network = algorithms()["cellpose3d"]
    refusal = "cellpose3d: made for axes CYX or ZYX, found YX; watershed has nuclei-2d"
    no_model(f"^{refusal}$", choose_algorithm, [network], {"axes": "YX", "channel": "nucleus"}, {})
    assert lacks_model(network, {"YX"}) == refusal
    assert lacks_model(network, {"YX", "ZYX"}) == lacks_model(network, set()) == ""


def test_a_model_is_named_by_its_name_or_its_card(mine):
    assert named_models(None, BOTH) == named_models("", BOTH) == {}
    assert named_models("nuclei-2d", BOTH) == {"watershed": WATERSHED / "nuclei-2d.json"}
    assert set(named_models("embryo-nuclei-3d", BOTH)) == set(BOTH)
    assert named_models(str(mine), BOTH) == {"watershed": mine}


@pytest.mark.parametrize("link", [False, True])
def test_a_named_model_is_handed_over_alone_and_readable(tmp_path, network, link):
    network.with_name("other.json").write_text("{}")
    if link:
        weights = network.with_suffix(".safetensors")
        weights.symlink_to(weights.rename(tmp_path / "elsewhere"))
    folder = hand_over(network, tmp_path / "session/model")
    (card,) = read_cards(folder, "cellpose3d")
    assert open_model(folder, card).weights.parent == folder
    assert not any(path.is_symlink() for path in folder.iterdir())
    modes = [path.stat().st_mode & 0o777 for path in (folder, *folder.iterdir())]
    assert modes == [0o755, 0o644, 0o644]


@pytest.mark.parametrize("engine", ["process", "docker"])
def test_the_identity_of_an_engine_changes_with_the_named_model(mine, engine):
    image = SimpleNamespace(id="sha256:1", labels={})
    client = SimpleNamespace(images=SimpleNamespace(get=lambda _: image))
    docker = partial(DockerEngine, client, image=lambda *_: "sha256:1")  # an id needs no record
    make = {"process": ProcessEngine, "docker": docker}[engine]
    plain = make()
    named = make(models={"watershed": mine})
    before = named.identity("watershed")
    assert before != plain.identity("watershed")
    assert named.identity("cellpose3d") == plain.identity("cellpose3d")
    mine.write_text(mine.read_text().replace("cultured", "other"))
    assert named.identity("watershed") != before


def test_a_choice_depends_on_manifest_and_cards(monkeypatch, tmp_path):
    monkeypatch.setattr("cytosuite.benchmark.catalog.models.ROOT", tmp_path)
    digests = set()
    for name in ("algorithms/a/algorithm.toml", "weights/a/x.json", "weights/a/x.safetensors"):
        write_text(tmp_path / name, "1")
        digests.add(choice_digest("a"))
    assert len(digests) == 2  # the weights are named by their digest in the card


def test_explains(mine, network):
    nowhere = str(mine.with_name("none.json"))
    refused("none.json: no such model card; expected <name>.json", named_models, nowhere, BOTH)
    line = "mine.json: expected a model of cellpose3d, found one of watershed"
    refused(line, named_models, str(mine), ["cellpose3d"])
    network.with_suffix(".safetensors").unlink()
    weights = "its weights spheroid-nuclei-3d.safetensors are not in the same folder"
    no_model(f"spheroid-nuclei-3d.json: {weights}", hand_over, network, network.parent / "model")


def test_a_tarball_is_no_model_of_ours():
    assert is_tarball("a/m.tar.gz")
    assert not is_tarball("card.json")
    assert not is_tarball(None)
    refused("a tarball is for images of others", named_models, "m.tar.gz", ["watershed"])


def test_a_word_of_algorithm_and_model_is_a_name_of_its_own(mine):
    chosen = own_models(["watershed", "watershed:nuclei-2d", f"watershed:{mine}"])
    named = {"watershed:nuclei-2d": WATERSHED / "nuclei-2d.json", "watershed:mine": mine}
    assert chosen == {"watershed": None, **named}
    engine = ProcessEngine(models={name: card for name, card in chosen.items() if card})
    assert len({job_key("data", name, engine) for name in chosen}) == 3


def test_a_sentence_says_in_which_parameters_models_differ(mine):
    models = {"watershed:nuclei-2d": WATERSHED / "nuclei-2d.json", "watershed:mine": mine}
    assert unlike(models) == ["The models of watershed have the same parameters."]
    card = read_json(mine)
    card["parameters"] |= {"passes": 7}
    write_json(mine, card)
    said = "The models of watershed have other parameters: passes (nuclei-2d 3, mine 7)."
    assert unlike(models) == [said]
    card["parameters"] |= {"plans": {"widths": [8], **dict.fromkeys("abcdefgh", 1)}}
    write_json(mine, card)
    said = unlike(models)[0]
    assert "plans.widths (nuclei-2d None, mine [8])" in said
    assert said.endswith("; 2 more.")
    assert unlike({"watershed:mine": mine}) == []


@pytest.mark.parametrize(
    "model, message",
    [
        ("", "watershed:: expected the name of a model after the colon"),
        ("none", "no model called 'none' of watershed; nearest: .*nuclei-2d"),
    ],
)
def test_a_model_of_no_card_is_one_line_with_the_cards(model, message):
    refused(message, own_models, [f"watershed:{model}"])


def test_two_cards_of_one_name_are_refused(mine, tmp_path):
    other = tmp_path / "mine.json"
    other.write_bytes(mine.read_bytes())
    refused(
        "a second model called watershed:mine",
        own_models,
        [f"watershed:{mine}", f"watershed:{other}"],
    )


def test_a_plain_process_runs_the_algorithm_of_a_name_with_its_model(tmp_path):
    _, variables = ProcessSession(
        ProcessEngine(), "watershed:mine", tmp_path, Limits(), "exec", tmp_path / "model"
    ).call("exec")
    assert variables["CYTOSUITE_ALGORITHM"] == "watershed"
    assert variables["CYTOSUITE_MODEL"] == str(tmp_path / "model")


@pytest.mark.parametrize("algorithm", sorted(algorithms()))
def test_an_image_contains_all_that_the_algorithm_imports_and_nothing_else(algorithm):
    folder = ROOT / "algorithms" / algorithm
    modules = [f"cytosuite.algorithms.{algorithm}.{path.stem}" for path in folder.glob("*.py")]
    imported = reached(["cytosuite.container", *modules], PACKAGE, later=True)
    assert f"cytosuite.algorithms.{algorithm}.predict" in imported
    there = runtime_files(ROOT, algorithm)
    assert {path.resolve() for path, _ in imported.values()} - set(there) == set()
    names = {path.relative_to(ROOT).as_posix() for path in there}
    used = (f"algorithms/{name}/" for name in algorithms()[algorithm].uses)
    places = (f"algorithms/{algorithm}/", f"weights/{algorithm}/", *used)
    assert all(name.startswith(("cytosuite/", "algorithms/__init__.py", *places)) for name in names)
    assert {"cytosuite/container.py", f"algorithms/{algorithm}/algorithm.toml"} <= names


START = "cytosuite.one.start"


@pytest.fixture
def package(tmp_path):
    """Return a package in which modules import each other and others."""
    texts = {
        "__init__": "",
        "one/__init__": "import enum, gamma",
        "one/start": "from ..two import near\nfrom . import side\nimport numpy as np",
        "one/side": "",
        "two": "def near():\n    from .late import x\n    import scipy.ndimage",
        "late": "import pandas",
        "other": "import torch",
    }
    for name, text in texts.items():
        write_text(tmp_path / f"cytosuite/{name}.py", text)
    return tmp_path / "cytosuite"


def test_a_module_needs_the_packages_that_it_lies_in(package):
    imported = reached([START], package)
    assert set(imported) == {
        "cytosuite",
        "cytosuite.one",
        "cytosuite.one.side",
        START,
        "cytosuite.two",
    }
    assert imported["cytosuite.one"][0] == package / "one/__init__.py"


def test_packages_of_others_by_the_module_that_imports_them(package):
    assert follow([START], package) == {"numpy": START, "gamma": "cytosuite.one"}
    assert follow([START], package, later=True) == {
        "numpy": START,
        "gamma": "cytosuite.one",
        "scipy": "cytosuite.two",
        "pandas": "cytosuite.late",
    }


def test_a_module_that_is_no_python_is_named(package):
    (package / "two.py").write_text("def")
    refused(r"two\.py", reached, [START], package)
