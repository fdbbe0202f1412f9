"""Lists of jobs: those of the platform, of its pack generator, and hostile ones."""

import json
import zipfile
from pathlib import Path

import pytest

from cytosuite.benchmark.submission.judging.predictions import (
    SubmittedJob,
    by_case,
    read_predictions,
)
from cytosuite.errors import InputError

PK = "5e5a900f-0000-4000-8000-000000000000"
LABELS = {"slug": "instance-labels", "relative_path": "images/instance-labels"}


@pytest.fixture
def listed(tmp_path):
    """Return a function that reads a list of jobs."""

    def found(content):
        path = tmp_path / "predictions.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return read_predictions(path)

    return found


def image(name):
    return {"interface": {"slug": "microscopy-image"}, "image": {"pk": "1", "name": name}}


def test_a_job_of_the_platform(listed):
    job = {
        "pk": PK, "url": "x", "api_url": "y", "algorithm_image": "z", "status": "Succeeded",
        "inputs": [image("case_003.tif"), {"interface": {"slug": "m"}, "value": 1, "image": None}],
        "outputs": [{"interface": LABELS, "value": None, "image": {"name": "output.mha"}}],
        "hanging_protocol": None, "exec_duration": "PT1M12S", "invoke_duration": None,
    }  # fmt: skip
    assert listed([job]) == [
        SubmittedJob(PK, "Succeeded", ("case_003.tif",), {LABELS["slug"]: LABELS["relative_path"]})
    ]


def test_fields_may_be_missing(listed):
    assert listed([{"pk": PK}]) == [SubmittedJob(PK, "Succeeded", (), {})]
    null = {"pk": PK, "inputs": None, "outputs": None, "status": None}
    assert listed([null]) == [SubmittedJob(PK, "Succeeded", (), {})]
    bare = {"pk": PK, "inputs": [{"image": {"name": "a.tif"}}], "outputs": [{"value": 1}]}
    assert listed([bare]) == [SubmittedJob(PK, "Succeeded", ("a.tif",), {})]


def test_the_socket_stands_under_either_key(listed):
    for key in ("interface", "socket"):
        (job,) = listed([{"pk": PK, "outputs": [{key: LABELS}]}])
        assert job.places == {"instance-labels": "images/instance-labels"}


def test_names_that_a_mac_writes_in_parts_are_the_same(listed):
    (job,) = listed([{"pk": PK, "inputs": [image("u\u0308.tif")]}])
    assert job.images == ("\u00fc.tif",)


def no_list():
    """expected a list of jobs, found {'pk': 1}"""
    return {"pk": 1}


def no_object():
    """job 0: expected an object, found 'a'"""
    return ["a"]


def no_pk():
    """job 0: expected a pk of letters, digits and hyphens, found None"""
    return [{"inputs": []}]


def pk_leaves_the_folder():
    """job 0: expected a pk of letters, digits and hyphens, found '../../etc'"""
    return [{"pk": "../../etc"}]


def pk_is_a_dot():
    """expected a pk of letters, digits and hyphens, found '..'"""
    return [{"pk": ".."}]


def pk_is_a_number():
    """expected a pk of letters, digits and hyphens, found 7"""
    return [{"pk": 7}]


def pk_ends_in_a_line():
    """expected a pk of letters, digits and hyphens, found 'a\\n'"""
    return [{"pk": "a\n"}]


def pk_is_long():
    """expected a pk of letters, digits and hyphens, found 'aaa"""
    return [{"pk": "a" * 5000}]


def pk_twice():
    """two jobs have the pk a; expected one job each"""
    return [{"pk": "a"}, {"pk": "a"}]


def inputs_are_texts():
    """job 0: inputs: expected a list of objects, found 'a'"""
    return [{"pk": "a", "inputs": ["a"]}]


def outputs_are_one_text():
    """job 0: outputs: expected a list of objects, found 'abc'"""
    return [{"pk": "a", "outputs": "abc"}]


def path_leaves_the_folder():
    """relative_path must stay in the folder"""
    return [{"pk": "a", "outputs": [{"interface": {"slug": "s", "relative_path": "../../t"}}]}]


def path_is_absolute():
    """relative_path must stay in the folder"""
    return [{"pk": "a", "outputs": [{"socket": {"slug": "s", "relative_path": "/opt/ml"}}]}]


def socket_without_slug():
    """expected interface.slug, a text"""
    return [{"pk": "a", "outputs": [{"interface": {"relative_path": "images/a"}}]}]


def socket_twice():
    """job 0: outputs: two entries of 's'"""
    return [{"pk": "a", "outputs": [{"interface": {"slug": "s"}}, {"socket": {"slug": "s"}}]}]


def both_keys_differ():
    """interface and socket contradict each other"""
    return [{"pk": "a", "outputs": [{"interface": {"slug": "s"}, "socket": {"slug": "t"}}]}]


def not_json():
    """expected JSON, found"""
    return "[{"


def not_a_number():
    """expected JSON, found NaN"""
    return '[{"pk": "a", "value": NaN}]'


def deep():
    """more than 64 lists and objects in each other"""
    return "[" * 100_000


def name_twice():
    """the name 'pk' twice in one object"""
    return '[{"pk": "a", "pk": "b"}]'


def huge():
    """expected a text of at most 64 MiB"""
    return " " * (2**26 + 1)


MISTAKES = [
    no_list, no_object, no_pk, pk_leaves_the_folder, pk_is_a_dot, pk_is_a_number, pk_ends_in_a_line,
    pk_is_long, pk_twice, inputs_are_texts, outputs_are_one_text, path_leaves_the_folder,
    path_is_absolute, socket_without_slug, socket_twice, both_keys_differ, not_json, not_a_number,
    deep, name_twice, huge,
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_one_line_with_the_file(listed, mistake, tmp_path):
    with pytest.raises(InputError) as refused:
        listed(mistake())
    line = str(refused.value)
    assert mistake.__doc__ in line
    assert line.startswith(str(tmp_path / "predictions.json"))
    assert len(line.splitlines()) == 1


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(InputError, match=r"predictions\.json: no such file"):
        read_predictions(tmp_path / "predictions.json")


IMAGES = {"one": "one.tif", "two": "two.tif"}


def job(pk, *names):
    return SubmittedJob(pk, "Succeeded", names, {})


def test_jobs_are_matched_by_the_names_of_their_images():
    jobs = [job("b", "two.tif"), job("a", "one.tif", "other.tif")]
    found = by_case(jobs, IMAGES, Path("p"))
    assert {case: one.pk for case, one in found.items()} == {"two": "b", "one": "a"}


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ([job("a", "three.tif")], "job a: expected the input image of one case, found three.tif"),
        ([job("a")], "found no inputs"),
        ([job("a", "one.tif", "two.tif")], "of one case, found one.tif, two.tif"),
        ([job("a", "one.tif"), job("b", "one.tif")], "two jobs have the input image one.tif: a and b"),
        ([job("a", "one.TIF")], "names in the ground truth: one.tif, two.tif"),
    ],
)  # fmt: skip
def test_unknown_and_repeated_images_are_refused(jobs, message):
    with pytest.raises(InputError, match=message):
        by_case(jobs, IMAGES, Path("p"))


def test_the_list_of_the_pack_generator(tmp_path):
    forge = pytest.importorskip("grand_challenge_forge.forge")
    socket = {"kind": "Image", "super_kind": "Image"}
    sides = {
        side: [{**socket, "slug": slug, "relative_path": f"images/{slug}"}]
        for side, slug in (("inputs", "microscopy-image"), ("outputs", "instance-labels"))
    }
    phase = {
        "slug": "p", "archive": {"slug": "a", "url": "https://challenge.example/a"},
        "algorithm_interfaces": [sides], "evaluation_additional_inputs": [],
        "evaluation_additional_outputs": [],
    }  # fmt: skip
    archive = {"slug": "a", "url": "https://challenge.example/a"}
    context = {
        "challenge": {
            "slug": "c", "url": "https://challenge.example", "phases": [phase],
            "archives": [archive],
        }
    }  # fmt: skip
    with zipfile.ZipFile(tmp_path / "pack.zip", "w") as pack:
        forge.generate_challenge_pack(
            output_zip_file=pack, target_zpath=Path("pack"), context=context
        )
        pack.extractall(tmp_path)
    folder = tmp_path / "pack" / "p" / "example-evaluation-method" / "test" / "input"
    jobs = read_predictions(folder / "predictions.json")
    assert len(jobs) == 3
    for one in jobs:
        assert one.status == "Succeeded"
        assert len(one.images) == 1
        assert (folder / one.pk / "output" / one.places["instance-labels"]).is_dir()
