"""Several datasets as one: the same voxels as alone, names, conditions, and what is refused."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from cytosuite.benchmark.cluster.processes import processes
from cytosuite.benchmark.data import several as module
from cytosuite.benchmark.data.dataset import prepare
from cytosuite.benchmark.data.recipe import DataRequest, Recipe, named_datasets, recipe
from cytosuite.benchmark.data.several import _distinct, recipe_of_all
from cytosuite.errors import InputError
from cytosuite.formats import write
from cytosuite.volume import Volume

BOTH = "spheroid,spheroid/mouse_embryo"


def silent(done, total):
    """Say nothing."""


def images(folder, *names, labelled=True):
    """Write images, with labels of one object."""
    for number, name in enumerate(names):
        array = np.full((4, 8, 8), number, np.uint16)
        array[1:3, 2:6, 2:6] += 100
        write(folder / "images" / f"{name}.tif", Volume(array, (1.0, 1.0, 1.0)))
        if labelled:
            labels = Volume((array >= 100).astype(np.uint16), (1.0, 1.0, 1.0))
            write(folder / "labels" / f"{name}.tif", labels)
    return folder


def digests(case):
    """Return the digest of each socket of a case."""
    return {
        path.parent.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in (case.folder / "sockets").rglob("*.tif")
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("spheroid", ["spheroid"]),
        (" a , b,", ["a", "b"]),
        ("", [""]),
        (",", [","]),
        (",".join(["x" * 50] * 9), ["x" * 50] * 9),
    ],
)
def test_datasets_are_separated_by_commas(text, expected):
    assert named_datasets(text) == expected


def test_a_comma_in_the_path_of_a_folder_is_no_separator(tmp_path):
    images(tmp_path / "drawn, by hand", "a")
    (tmp_path / "b,c,d").mkdir()
    (tmp_path / "b").mkdir()
    drawn, letters = str(tmp_path / "drawn, by hand"), str(tmp_path / "b,c,d")
    assert named_datasets(drawn) == [drawn]
    assert named_datasets(f"spheroid,{drawn},{letters},views") == [
        "spheroid", drawn, letters, "views",
    ]  # fmt: skip
    assert [name for name, _ in recipe(DataRequest(drawn)).makers] == ["a"]
    assert len(recipe_of_all(DataRequest(f"{drawn},spheroid", "mini")).makers) == 7


def test_one_dataset_is_as_it_always_was(tmp_path):
    assert recipe_of_all(DataRequest("spheroid", "mini", 3)).fingerprint == (
        recipe(DataRequest("spheroid", "mini", 3)).fingerprint
    )


def test_cases_have_the_same_voxels_as_alone(tmp_path):
    folder = images(tmp_path / "own", "z", "a")
    wanted = DataRequest(f"spheroid,{folder}", "mini", 5, 2)
    made = prepare(recipe_of_all(wanted), tmp_path / "all", processes(1), silent)
    assert [case.name for case in made.cases] == ["spheroid_01", "spheroid_02", "a", "z"]
    alone = [
        prepare(
            recipe(DataRequest("spheroid", "mini", 5, 2)), tmp_path / "one", processes(1), silent
        ),
        prepare(recipe(DataRequest(str(folder))), tmp_path / "two", processes(1), silent),
    ]
    expected = [digests(case) for dataset in alone for case in dataset.cases]
    assert [digests(case) for case in made.cases] == expected
    again = prepare(recipe_of_all(wanted), tmp_path / "again", processes(2), silent)
    assert [digests(case) for case in again.cases] == expected


def test_each_case_states_its_dataset_and_how_it_was_made(tmp_path):
    folder = images(tmp_path / "own", "a")
    made = prepare(
        recipe_of_all(DataRequest(f"spheroid,{folder}", "mini", cases=1)),
        tmp_path,
        processes(1),
        silent,
    )
    simulated, own = (case.facts() for case in made.cases)
    assert (simulated["dataset"], own["dataset"]) == ("spheroid", "own")
    assert simulated["recipe"]["size"] == "mini"
    assert "recipe" not in own
    assert [case.conditions()["dataset"] for case in made.cases] == ["spheroid", "own"]
    assert [case.dataset() for case in made.cases] == ["spheroid", "own"]
    assert (made.cases[0].folder / "preview.png").is_file()
    assert {"density [%]"} & set(simulated["conditions"]) or len(simulated["conditions"]) > 1


def test_names_that_occur_twice_begin_with_their_dataset():
    names = [name for name, _ in recipe_of_all(DataRequest(BOTH, "mini", cases=2)).makers]
    assert names == [
        "mini-spheroid_01", "mini-spheroid_02",
        "mouse_embryo-spheroid_01", "mouse_embryo-spheroid_02",
    ]  # fmt: skip


def test_folders_of_one_name_are_told_apart(tmp_path):
    one, two = images(tmp_path / "x" / "cells", "a"), images(tmp_path / "y" / "cells", "a", "b")
    made = prepare(recipe_of_all(DataRequest(f"{one},{two}")), tmp_path, processes(1), silent)
    assert [case.name for case in made.cases] == ["cells-a", "cells_2-a", "cells_2-b"]
    assert [case.dataset() for case in made.cases] == ["cells", "cells_2", "cells_2"]
    assert made.notes[0] == "Cases of 2 datasets: cells (1), cells_2 (2)."


def test_a_condition_called_dataset_is_kept(tmp_path):
    folder = images(tmp_path / "own", "a")
    (folder / "conditions.csv").write_text("name,dataset\na,theirs\n")
    made = recipe_of_all(DataRequest(f"{folder},spheroid", "mini", cases=1))
    conditions = made.makers[0][1]().conditions
    assert (conditions["dataset"], conditions["dataset (own)"]) == ("own", "theirs")


def test_name_size_and_seed_say_what_is_in_it(tmp_path):
    made = recipe_of_all(DataRequest(BOTH, "mini", 7))
    assert (made.name, made.size, made.seed) == ("spheroid+spheroid-mouse_embryo", "mini", 7)
    assert made.title == "spheroid + spheroid/mouse_embryo"
    assert not made.changed
    folders = [str(images(tmp_path / f"a_rather_long_name_{n}", f"a{n}")) for n in range(3)]
    made = recipe_of_all(DataRequest(",".join(folders)))
    assert (made.size, made.seed, made.changed) == ("own", None, True)
    assert len(made.name) <= 50
    assert made.name.endswith("+3")


def test_order_seed_and_content_decide_the_fingerprint():
    wanted = [
        DataRequest(BOTH, "mini"),
        DataRequest(",".join(reversed(BOTH.split(","))), "mini"),
        DataRequest(BOTH, "mini", 1),
        DataRequest(BOTH, "mini", cases=2),
        DataRequest(BOTH),
    ]
    found = [recipe_of_all(each).fingerprint for each in wanted]
    assert len(set(found)) == len(found)
    assert recipe_of_all(wanted[0]).fingerprint == found[0]


def test_options_go_to_the_datasets_that_take_them(tmp_path):
    folder = images(tmp_path / "own", "a")
    wanted = DataRequest(f"{folder},{BOTH}", "mini", cases=2, spacing=(2.0, 1.0, 1.0))
    made = recipe_of_all(wanted)
    assert len(made.makers) == 5
    assert made.makers[0][1]().volume("microscopy-image").spacing == (2.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (DataRequest("spheroid,spheroid"), "spheroid,spheroid: a dataset is named twice"),
        (DataRequest("spheroid,nonsense"), "no dataset called 'nonsense'"),
        (DataRequest(BOTH, spacing=(1.0, 1.0, 1.0)), "SPACING: spheroid is simulated"),
        (DataRequest("spheroid/mouse_embryo,spheroid/other"), "no recipe called 'spheroid/other'"),
    ],
)
def test_datasets_that_cannot_be_made(wanted, message):
    with pytest.raises(InputError, match=message):
        recipe_of_all(wanted)


def test_the_same_folder_by_two_paths_is_refused(tmp_path):
    folder = images(tmp_path / "own", "a")
    with pytest.raises(InputError, match=r"own, own_2 are the same cases; name them once"):
        recipe_of_all(DataRequest(f"{folder},{folder}/../own"))


@pytest.fixture
def faked(monkeypatch):
    """Return a function that joins recipes which are changed in some fields."""

    def joined(*changes, **wanted):
        plain = {
            name: Recipe(name, name, "tiny", "segment", 0, name * 9, ((f"{name}_1", object),))
            for name in ("a", "b")
        }
        made = {
            name: replace(plain[name], **change)
            for name, change in zip(plain, changes, strict=True)
        }
        monkeypatch.setattr(module, "recipe", lambda asked: made[asked.dataset])
        monkeypatch.setattr(module, "_kind", lambda name: "simulation")
        return recipe_of_all(DataRequest("a,b", **wanted))

    return joined


def test_tasks_must_agree_or_be_named(faked):
    other = {"task": "enhance"}
    with pytest.raises(InputError) as error:
        faked({}, other)
    assert str(error.value) == (
        "the datasets have different tasks, segment (a), enhance (b); name one with TASK"
    )
    assert faked({}, other, task="enhance").task == "segment"  # the run is named after the other
    assert faked(other, other).task == "enhance"


def test_chains_must_agree(faked):
    with pytest.raises(InputError, match=r"different chains, cut then fuse \(a\), none \(b\); run"):
        faked({"through": ("cut", "fuse")}, {})
    assert faked({"through": ("cut",)}, {"through": ("cut",)}).through == ("cut",)


def test_one_reference_set_at_most(faked, tmp_path):
    one, two = {tmp_path / "1.tif": None}, {tmp_path / "2.tif": None}
    with pytest.raises(InputError, match="expected one reference set, found those of a, b; name"):
        faked({"reference": one}, {"reference": two})
    assert faked({}, {"reference": two}).reference == two
    assert faked({"reference": one}, {"reference": one}).reference == one


def test_notes_name_their_dataset(faked):
    found = faked({"notes": ("Dark.",)}, {"notes": ("Old.",)}).notes
    assert found == ("Cases of 2 datasets: a (1), b (1).", "a: Dark.", "b: Old.")


def test_equal_names_after_the_prefix_are_refused(faked):
    twice = (("x", object), ("tiny_2-x", object))
    with pytest.raises(InputError, match="tiny_2-x: two cases of this name"):
        faked(
            {"makers": (("x", object), ("y", object))}, {"makers": (("x", object), ("x", object))}
        )
    assert [name for name, _ in faked({"makers": twice}, {}).makers] == ["x", "tiny_2-x", "b_1"]


def test_numbers_follow_names_that_are_alike():
    assert _distinct(["a", "a", "a_2", "a"]) == ["a", "a_2", "a_2_2", "a_3"]


@pytest.mark.parametrize("text", ["spheroid,views", "views, spheroid"])
def test_a_single_recipe_refuses_several(text):
    with pytest.raises(InputError, match="expected one dataset, found 2; benchmark alone takes"):
        recipe(DataRequest(text))
