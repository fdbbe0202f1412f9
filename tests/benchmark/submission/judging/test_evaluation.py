"""Descriptions of a phase: what is refused, and that nothing is lost."""

import json

import pytest

from cytosuite.benchmark.submission.judging.evaluation import FILE, read_evaluation
from cytosuite.errors import InputError
from cytosuite.formats import header


@pytest.fixture
def altered(segmented):
    """Return a function that reads the description of a phase after a change."""

    def found(change):
        path = segmented.truth / FILE
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return read_evaluation(segmented.truth)

    return found


def test_it_holds_task_cases_and_metrics_to_rank_by(segmented):
    found = read_evaluation(segmented.truth)
    assert (found.task, found.dataset) == ("segment", "squares")
    assert found.fingerprint == segmented.dataset.fingerprint
    assert found.images == {f"case_{n}": f"case_{n}.tif" for n in (1, 2, 3)}
    assert [(one.path, one.order) for one in found.ranked] == [
        ("aggregates.SEG.mean", "desc"),
        ("aggregates.DET.mean", "desc"),
    ]


def test_the_geometry_is_that_of_the_input(segmented):
    (first, *_) = read_evaluation(segmented.truth).cases
    main = segmented.dataset.cases[0].main(segmented.task)
    assert first.geometry.header == header(main)


def unknown_task(content):
    """task: must be one of segment"""
    content["task"] = "segmentation"


def another_format(content):
    """format"""
    content["format"] = 2


def path_in_a_name(content):
    """expected the name of a file, found '../case_1'"""
    content["cases"][0]["name"] = "../case_1"


def no_cases(content):
    """cases"""
    content["cases"] = []


def image_twice(content):
    """the name 'case_2.tif' stands twice"""
    content["cases"][0]["image"] = "case_2.tif"


def case_twice(content):
    """the name 'case_2' stands twice"""
    content["cases"][0]["name"] = "case_2"


def reference_outside(content):
    """expected a path within the ground truth"""
    content["reference"] = [{"image": "../../secret.tif"}]


def misspelt(content):
    """referenced"""
    content["referenced"] = []


@pytest.mark.parametrize(
    "mistake",
    [
        unknown_task, another_format, path_in_a_name, no_cases, image_twice, case_twice,
        reference_outside, misspelt,
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_the_file(altered, mistake):
    with pytest.raises(InputError) as refused:
        altered(mistake)
    assert mistake.__doc__ in str(refused.value)
    assert FILE in str(refused.value)
