from dataclasses import replace

import numpy as np
import pytest
from mistakes import refused
from toys import made_in, put

from cytosuite.benchmark.runs.data import several as module
from cytosuite.benchmark.runs.data.recipe import DataRequest, Recipe, named_datasets, recipe
from cytosuite.benchmark.runs.data.several import recipe_of_all
from tests.hostile.tally import digests

BOTH = "spheroid,spheroid/mouse_embryo"


@pytest.mark.parametrize(
    "text, expected",
    [(" a , b,", ["a", "b"]), (",", [","]), (",".join(["x" * 50] * 9), ["x" * 50] * 9)],
)
def test_datasets_are_separated_by_commas(text, expected):
    assert named_datasets(text) == expected
    assert module.distinct(["a", "b", "a"]) == ["a", "b", "a_2"]


def test_cases_have_the_same_voxels_as_alone(tmp_path):
    folder = tmp_path / "own"
    for number, name in enumerate("za"):
        array = np.full((4, 8, 8), number, np.uint16)
        array[1:3, 2:6, 2:6] += 100
        put(folder / f"images/{name}.tif", array)
        put(folder / f"labels/{name}.tif", (array >= 100).astype(np.uint16))
    joined = made_in(
        tmp_path / "all", recipe_of_all(DataRequest(f"spheroid,{folder}", "mini", 5, 2)), 2
    )
    assert [case.name for case in joined.cases] == ["spheroid_01", "spheroid_02", "a", "z"]
    requests = DataRequest("spheroid", "mini", 5, 2), DataRequest(str(folder))
    alone = [made_in(tmp_path / f"{n}", recipe(one)) for n, one in enumerate(requests)]
    expected = [
        digests(case.folder / "sockets/images") for dataset in alone for case in dataset.cases
    ]
    assert [digests(case.folder / "sockets/images") for case in joined.cases] == expected


def test_order_seed_and_content_decide_the_fingerprint():
    requests = [
        DataRequest(BOTH, "mini"),
        DataRequest("spheroid/mouse_embryo,spheroid", "mini"),
        DataRequest(BOTH, "mini", 1),
        DataRequest(BOTH, "mini", cases=2),
        DataRequest(BOTH),
    ]
    fingerprints = [recipe_of_all(request).fingerprint for request in requests]
    assert len(set(fingerprints)) == len(fingerprints)
    assert recipe_of_all(requests[0]).fingerprint == fingerprints[0]


@pytest.mark.parametrize(
    "message, asked",
    {
        "spheroid,spheroid: a dataset is named twice": DataRequest("spheroid,spheroid"),
        "no dataset called 'nonsense'": DataRequest("spheroid,nonsense"),
        "SPACING: spheroid is simulated": DataRequest(BOTH, spacing=(1.0, 1.0, 1.0)),
        "no recipe called 'spheroid/other'": DataRequest("spheroid/mouse_embryo,spheroid/other"),
    }.items(),
)
def test_datasets_that_cannot_be_made(asked, message):
    refused(message, recipe_of_all, asked)


@pytest.fixture
def faked(monkeypatch):
    def joined(*changes, **options):
        recipes = {
            name: replace(
                Recipe(name, name, "tiny", "segment", 0, name * 9, ((f"{name}_1", object),)),
                **change,
            )
            for name, change in zip("ab", changes, strict=True)
        }
        monkeypatch.setattr(module, "recipe", lambda asked: recipes[asked.dataset])
        monkeypatch.setattr(module, "_kind", lambda name: "simulation")
        return recipe_of_all(DataRequest("a,b", **options))

    return joined


def test_tasks_must_agree_or_be_named(faked):
    other = {"task": "enhance"}
    assert str(refused("", faked, {}, other)) == (
        "the datasets have different tasks, segment (a), enhance (b); name one with TASK"
    )
    assert faked({}, other, task="enhance").task == "segment"  # the run is named after the other
    assert faked(other, other).task == "enhance"


def test_chains_and_reference_sets_must_agree(faked):
    cut, one, two = ({"through": ("cut", "fuse")}, *({"reference": {n: None}} for n in "12"))
    refused(r"different pipelines, cut then fuse \(a\), none \(b\); run", faked, cut, {})
    assert faked(cut, cut).through == ("cut", "fuse")
    refused("expected one reference set, found those of a, b; name", faked, one, two)
    assert faked({}, two).reference == two["reference"]
    assert faked(one, one).reference == one["reference"]
