import re
import tracemalloc
from collections import Counter

import pytest
from mistakes import refused

from cytosuite.folders.splits import (
    PARTS,
    Placed,
    Splits,
    divide,
    listed_classes,
    read_splits,
    split_rows,
    splits_of,
)

WELLS = ("C01", "C02", "C03", "I06", "I07", "I08")
NAMES = [f"X_{well}_{number}" for well in WELLS for number in range(3)]
KNOWN = {name: {"well": name.split("_")[1], "dose": float(name[-1])} for name in NAMES}


def _parts(placed):
    return {part: {image.name for image in placed if image.part == part} for part in PARTS}


def _divided(**options):
    return divide(Splits.model_validate(options), KNOWN, {}, "splits.toml").placed


def test_the_first_rule_that_fits_takes_an_image_and_the_rest_trains():
    rules = [
        {"part": "test", "match": "*_C03_*"},
        {"part": "validate", "where": {"well": "I06", "dose": 1}},
        {"part": "test", "where": {"well": "I06"}},
    ]
    placed = _divided(rules=rules)
    assert [image.name for image in placed] == NAMES
    assert Counter(image.part for image in placed) == {"train": 12, "test": 5, "validate": 1}
    said = {image.name: image.rule for image in placed}
    assert said["X_C03_0"] == "*_C03_*"
    assert said["X_I06_1"] == "well = I06, dose = 1"
    assert said["X_C01_0"] == "all others"


@pytest.mark.parametrize("dose", [1, 1.0, "1"])
def test_a_condition_in_a_table_counts_before_one_in_a_name_however_it_is_written(dose):
    placed = _divided(names=r"(?P<dose>X)_.*", rules=[{"part": "test", "where": {"dose": dose}}])
    assert _parts(placed)["test"] == {name for name in NAMES if name.endswith("_1")}


@pytest.mark.parametrize(
    "options", [{"group": "well"}, {"group": "own", "names": r"X_(?P<own>\w+)_\d"}]
)
def test_folds_keep_groups_together_and_cover_every_image_once(options):
    tests = []
    for number in range(3):
        parts = _parts(_divided(**options, folds=3, test=number, validate=(number + 1) % 3))
        wells = [{name.split("_")[1] for name in names} for names in parts.values()]
        assert list(map(len, wells)) == [2, 2, 2]
        assert set.union(*wells) == {*WELLS}
        tests += parts["test"]
    assert sorted(tests) == sorted(NAMES)


def test_the_seed_gives_the_folds_another_order():
    seeds = (_parts(_divided(group="well", folds=3, seed=number))["test"] for number in range(9))
    assert len(set(map(frozenset, seeds))) > 1


@pytest.mark.parametrize("kind", [str, float])
def test_time_stamps_that_differ_in_their_last_digits_are_different_groups(kind):
    images = {f"a{n}": {"plate": kind(20231124093010 + n)} for n in range(6)}
    assert divide(Splits(group="plate", folds=6), images, {}, "").lines[0] == (
        "4 train, 1 validate, 1 test"
    )
    rules = [{"part": "test", "where": {"plate": 20231124093013}}]
    placed = divide(Splits.model_validate({"rules": rules}), images, {}, "").placed
    assert _parts(placed)["test"] == {"a3"}


def test_folds_without_groups_divide_images_and_the_order_of_files_does_not_count():
    there = _divided(folds=5)
    back = divide(Splits(folds=5), dict(reversed(KNOWN.items())), {}, "").placed
    assert sorted(there) == sorted(back)
    assert Counter(image.part for image in there) == {"train": 10, "test": 4, "validate": 4}


@pytest.mark.parametrize(
    "message, options",
    {
        "the rules leave none of 18 images for train": {"rules": [{"part": "test"}]},
        "rule 1 (test: *_C3_*, wel = C03) takes none of 18 images, like X_C01_0 (well, dose)": {
            "rules": [{"part": "test", "match": "*_C3_*", "where": {"wel": "C03"}}]
        },
        "well C01 stands in two parts, train (X_C01_0) and test (X_C01_2)": {
            "group": "well",
            "rules": [{"part": "test", "match": "*_2"}],
        },
        "X_C01_0 has no 'plate', by which groups are kept": {"group": "plate", "folds": 3},
        "7 folds need as many different values of well, found 6": {"group": "well", "folds": 7},
        "names: X_C01_0 does not fit Y.*": {"names": "Y.*", "folds": 3},
    }.items(),
)
def test_explains_images_that_cannot_be_divided(options, message):
    refused(f"splits.toml: {re.escape(message)}", _divided, **options)


@pytest.mark.parametrize(
    "text, message",
    {
        'rules = [{ part = "test", match = "" }]': r"rules\.0\.match: .*at least 1 character",
        'rules = [{ part = "tests", match = "a" }]': r"rules\.0\.part: .*'train', 'validate'",
        "seed = 1": "expected rules or folds",
        "folds = 2": "expected 3 or more folds",
        "folds = 5\ntest = 1": "of which test and validate are two",
        "folds = 3\ntest = 3": "of which test and validate are two",
        'folds = 3\nnames = "("': "names: .*valid regular expression",
    }.items(),
)
def test_explains_rules_that_cannot_be(tmp_path, text, message):
    (tmp_path / "splits.toml").write_text(text)
    refused(message, splits_of, tmp_path)


def test_any_number_of_folds_is_checked_at_once():
    tracemalloc.start()
    splits = Splits(folds=10**6, test=10**6 - 1)
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
    refused("1000000 folds need as many images, found 18", divide, splits, KNOWN, {}, "")


def test_classes_and_rules_lie_in_the_folder_or_with_a_list(tmp_path):
    listed = tmp_path / "a_train.csv"
    assert (splits_of(tmp_path), listed_classes(tmp_path)) == (None, {})
    (tmp_path / "splits.toml").write_text("folds = 3\nvalidate = 2")
    (tmp_path / "objects.csv").write_text("image,id,class\na,1,round\na,2,round\nb,1,\n")
    assert splits_of(listed) == read_splits(tmp_path / "splits.toml")
    assert splits_of(listed).held_out == 2
    assert listed_classes(listed) == {"a": {"round": 2}}


@pytest.mark.parametrize("cell, expected", [(b"\xe9", "a text"), (b"\x1b[31m", "printable")])
def test_an_unreadable_list_of_classes_is_one_line(tmp_path, cell, expected):
    (tmp_path / "objects.csv").write_bytes(b"image,id,class\na,1," + cell + b"\n")
    refused(rf"objects\.csv: expected {expected}", listed_classes, tmp_path)


def test_parts_are_counted_and_listed():
    images = {"a": {"well": "C01", "dose": 0.5}, "b": {"dose": 2.0}}
    rules = Splits.model_validate({"rules": [{"part": "test", "match": "b*"}]})
    division = divide(rules, images, {"b": Counter(round=2, flat=1)}, "")
    assert division.lines == [
        "1 train, 0 validate, 1 test",
        "well: train C01 1; validate none; test none",
        "dose: train 0.5 1; validate none; test 2 1",
        "classes of objects: train none; validate none; test flat 1, round 2",
    ]
    assert division.placed == [Placed("a", "train", "all others"), Placed("b", "test", "b*")]
    assert split_rows({"mine": division.placed, "other": []}) == [
        ("name", "part", "rule", "folder"),
        ("a", "train", "all others", "mine"),
        ("b", "test", "b*", "mine"),
    ]
    assert split_rows({"mine": []}) == []
