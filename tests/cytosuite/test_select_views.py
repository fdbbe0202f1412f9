"""The choice of a model for Fuse My Cells: seven networks, two Gaussians, the identity.

Nothing runs: cards are written from the challenge's strata, with the shipped costs; images have no
pixels.
"""

import json

import numpy as np
import pytest

from cytosuite.benchmark.catalog.catalog import ROOT
from cytosuite.contract.cautions import cautions
from cytosuite.contract.manifest import read_algorithm
from cytosuite.contract.metadata import described
from cytosuite.contract.select import describe, select
from cytosuite.contract.weights import read_cards
from cytosuite.volume import Volume

# Voxel size [µm] and shape, z y x, of the training images of each study.
STUDIES = {
    1: ((1.0, 0.195, 0.195), (222, 731, 860)),
    2: ((1.0, 0.195, 0.195), (264, 2008, 1091)),
    3: ((1.0, 0.39, 0.39), (891, 817, 817)),
    4: ((3.0, 0.33, 0.33), (80, 1920, 1920)),
    5: ((1.01, 0.388, 0.388), (309, 1920, 1920)),
}
STRATA = [("nucleus", study) for study in STUDIES] + [("membrane", 1), ("membrane", 3)]
CONTENTS = ("nucleus", "membrane")
SCORE, SIMPLE = 0.2, {"identity": {"N_SSIM": 0.0}, "gaussian": {"N_SSIM": 0.03}}
MANIFEST = (ROOT / "algorithms" / "view_fusion" / "algorithm.toml").read_text(encoding="utf-8")


def _entries(scores):
    for content, study in STRATA:
        name, (spacing, shape) = f"{content}-{study}", STUDIES[study]
        facts = {"channel": content, "study": study, "spacing": spacing, "shape": shape}
        yield name, facts, scores.get(name, SCORE), SIMPLE
    for content in CONTENTS:
        yield f"gaussian-{content}", {"channel": content, "method": "gaussian"}, 0.03, {}
    yield "identity", {"method": "identity"}, 0.0, {}


def _choose(folder, volume, *, without=(), **scores):
    home = folder / "view_fusion"
    home.mkdir(parents=True, exist_ok=True)
    (home / "algorithm.toml").write_text(MANIFEST)
    own = {name.replace("_", "-"): score for name, score in scores.items()}
    for name, facts, score, simple in _entries(own):
        card = {"name": name, "version": "0.1.0", "algorithm": "view_fusion", "task": "fuse"}
        card |= {"description": "d", "authors": "a", "license": "Apache-2.0"}
        card |= {"describes": {"axes": "ZYX", **facts}, "baselines": simple}
        card |= {"scores": {"views": {"N_SSIM": score}}}
        if name not in without:
            (home / f"{name}.json").write_text(json.dumps(card))
    policy = read_algorithm(home / "algorithm.toml").select
    found = select(read_cards(home, "view_fusion"), describe(volume), policy)
    return found, cautions(found, volume)


def _view(channel="nucleus", *, spacing=None, shape=None, axes="ZYX", stratum=1, **metadata):
    own, sizes = STUDIES[stratum]
    given = metadata | ({"channel": channel} if channel else {})
    assumed = {"spacing_source": "assumed"} if spacing == () else {}
    size = spacing or ((1.0, 1.0, 1.0) if assumed else own)
    pixels = np.broadcast_to(np.uint16(0), shape or sizes)
    return described(Volume(pixels, size[-len(axes) :], axes, assumed), given)


@pytest.fixture(scope="module")
def choose(tmp_path_factory):
    folder = tmp_path_factory.mktemp("views")
    return lambda volume, **more: _choose(folder, volume, **more)


@pytest.mark.parametrize(("content", "study"), STRATA)
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("factor", [1.0, 0.9, 1.1])
@pytest.mark.parametrize("small", [False, True])
def test_an_image_of_a_stratum_gets_its_network(choose, content, study, named, factor, small):
    """By study, or by voxel size and shape; a small crop is told apart by its study alone."""
    shape = (40, 64, 64) if small else tuple(int(factor * edge) for edge in STUDIES[study][1])
    spacing = tuple(factor**0.1 * edge for edge in STUDIES[study][0])
    facts = {"study": study} if named else {}
    found, doubts = choose(_view(content, spacing=spacing, shape=shape, stratum=study, **facts))
    if named or not small:
        assert found.card.name == f"{content}-{study}"
    size = found.card.describes["spacing"]
    assert size == pytest.approx(STUDIES[study][0], rel=0.02)  # 3 and 5 are all but alike
    assert doubts == []
    assert len(found.others) == 9


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("stratum", STUDIES)
@pytest.mark.parametrize("pick", [min, max])
def test_voxels_far_from_all_networks_get_the_gaussian(choose, content, stratum, pick):
    edges = zip(*(spacing for spacing, _ in STUDIES.values()), strict=True)
    spacing = tuple(pick(edge) * (3 if pick is max else 1 / 3) for edge in edges)
    found, doubts = choose(_view(content, spacing=spacing, stratum=stratum))
    assert found.card.name == f"gaussian-{content}"
    assert [line.partition(":")[0] for line in doubts] == ["no model near"]
    assert not found.fallback


@pytest.mark.parametrize("facts", [{}, {"study": 3}, {"spacing": (9.0, 9.0, 9.0)}])
def test_unknown_content_is_handed_back_and_recorded(choose, facts):
    found, doubts = choose(_view("actin", stratum=3, **facts))
    assert (found.card.name, found.fallback) == ("identity", False)
    assert found.terms["channel"] == 1.0
    line = "no model for channel: none was made for 'actin', identity serves any"
    assert [doubt for doubt in doubts if doubt.startswith("no model")] == [line]
    assert all(own.broken == ("channel",) for own in found.others)


@pytest.mark.parametrize("facts", [{}, {"study": 3}, {"channel": ""}])
def test_content_that_is_not_given_is_handed_back_and_recorded(choose, facts):
    found, doubts = choose(_view(**{"channel": None, "stratum": 3, **facts}))
    assert (found.card.name, found.unknown) == ("identity", ())
    line = "no model for channel: not given by the file, identity serves any"
    assert [doubt.partition(";")[0] for doubt in doubts] == [line]
