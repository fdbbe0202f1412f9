from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from mistakes import refused
from numpy.testing import assert_array_equal
from toys import made_in

from cytosuite.benchmark.engines.outcome import Limits, Outcome
from cytosuite.benchmark.runs.data.recipe import DataRequest, recipe
from cytosuite.benchmark.runs.data.shard import Shard
from cytosuite.benchmark.runs.pipeline import links, through
from cytosuite.benchmark.runs.run import run_job
from cytosuite.contract.manifest import AlgorithmManifest
from cytosuite.contract.tasks import TASKS
from cytosuite.files import read_json
from cytosuite.formats import read, write

ENHANCE = AlgorithmManifest(
    name="brighten",
    version="0.1.0",
    title="Brighten",
    description="Adds a constant.",
    task="enhance",
    authors=("cytosuite developers",),
    license="Apache-2.0",
)


@pytest.fixture(autouse=True)
def known(monkeypatch, watershed):
    """Let the pipeline know a toy that enhances and the watershed."""
    manifests = {"brighten": ENHANCE, "watershed": watershed}
    monkeypatch.setattr("cytosuite.benchmark.runs.pipeline.algorithms", lambda: manifests)


def _through(dataset, engine, name="brighten", shard=None):
    """Send a dataset through an algorithm."""

    def run(jobs):
        (job,) = jobs
        run_job(job, TASKS[job.algorithm.task], engine, Limits(), "invoke", lambda *_: None)

    return through(dataset, name, engine, run, shard=shard)


def _brighten(image, output, suffix=".tif"):
    write(output / f"images/enhanced-image/any{suffix}", image.like(image.array + np.uint16(7)))
    (output / "record.json").write_text('{"model": "plain", "cost": 0.5}')


@pytest.mark.parametrize("suffix", [".tif", ".mha"])
def test_the_output_becomes_the_input_and_all_else_is_kept(dataset, fakes, suffix):
    brighter = _through(dataset, fakes.Engine(partial(_brighten, suffix=suffix)))
    assert [case.name for case in brighter.cases] == [case.name for case in dataset.cases]
    for old, new in zip(dataset.cases, brighter.cases, strict=True):
        before, after = (read(case.main(TASKS["segment"])) for case in (old, new))
        assert_array_equal(after.array, before.array + 7)
        assert after.spacing == before.spacing
        assert new.conditions() == old.conditions()
        truths = [case.truth(TASKS["segment"])["instance-labels"] for case in (old, new)]
        assert_array_equal(*[read(truth).array for truth in truths])
    assert brighter.serves(TASKS["segment"])


def test_extras_stay_but_for_the_stages_of_the_former_image(dataset, fakes):
    for case in dataset.cases:
        for name in ("visible-level", "step-3-light"):
            image = read(case.main(TASKS["segment"]))
            write(case.folder / "extras" / name / f"{case.name}.tif", image)
    brighter = _through(dataset, fakes.Engine(_brighten))
    for old, new in zip(dataset.cases, brighter.cases, strict=True):
        extras = new.folder / "extras"
        assert [path.name for path in extras.iterdir()] == ["visible-level"]
        level = read(extras / f"visible-level/{new.name}.tif").array
        assert_array_equal(level, read(old.main(TASKS["segment"])).array)


def test_each_link_is_named_with_its_model(dataset, fakes):
    engine = fakes.Engine(_brighten)
    twice = _through(_through(dataset, engine), engine)
    links_of = read_json(twice.cases[0].folder / "case.json")["through"]
    assert [link["model"] for link in links_of] == ["plain", "plain"]
    assert links_of[0]["key"] != links_of[1]["key"] == twice.fingerprint
    assert links_of[0]["selection"]["cost"] == 0.5


def test_a_chain_is_found_again_and_another_image_of_the_algorithm_is_not(dataset, fakes):
    engine = fakes.Engine(_brighten)
    brighter = _through(dataset, engine)
    assert _through(dataset, engine).home == brighter.home
    assert len(engine.calls) == 3
    other = _through(dataset, fakes.Engine(_brighten, "2"))
    assert other.home != brighter.home
    assert other.fingerprint != brighter.fingerprint


def test_a_shard_sends_its_cases_and_leaves_the_others(dataset, fakes):
    engine = fakes.Engine(_brighten)
    part = _through(replace(dataset, cases=dataset.cases[1:2]), engine, shard=Shard(2, 3))
    assert [case.name for case in part.cases] == engine.calls == ["case_2"]
    assert not (part.home / "dataset.json").exists()
    brighter = _through(dataset, engine)
    assert (brighter.home, sorted(engine.calls)) == (part.home, ["case_1", "case_2", "case_3"])


def test_labels_of_a_link_become_a_sketch_and_the_truth_stays(dataset, fakes):
    sketched = _through(dataset, fakes.Engine(fakes.perfect), "watershed")
    case = sketched.cases[2]
    assert read(case.socket("structure-sketch")).array.max() == 3
    assert case.socket("instance-labels") is not None
    assert sketched.serves(TASKS["synthesise"])


def test_a_failed_case_stops_the_chain_and_leaves_no_dataset(dataset, fakes):
    def fail(image, output):
        if image.array.sum() > 100 * 24:
            return Outcome("non-zero exit", 0.1, None, 1, "too many squares")
        return _brighten(image, output)

    refused(
        r"case_2 failed \(non-zero exit: too many squares\)",
        _through,
        dataset,
        fakes.Engine(fail),
    )
    assert not list(dataset.home.parent.glob("*brighten*/dataset.json"))


def test_algorithms_and_inputs_must_exist(dataset, fakes, monkeypatch):
    refused("no algorithm for a pipeline called 'brightn'; did you mean", links, ("brightn",))
    needy = ENHANCE.model_copy(update={"task": "fuse"})
    monkeypatch.setattr("cytosuite.benchmark.runs.pipeline.algorithms", lambda: {"needy": needy})
    refused(
        "expected the inputs of the task fuse in every case",
        _through,
        dataset,
        fakes.Engine(_brighten),
        "needy",
    )


def test_labels_of_a_request_are_the_truth_of_what_is_made_of_them(tmp_path, fakes, monkeypatch):
    class Engine(fakes.Engine):
        def _predict(self, case_input, output, log, shown=None):
            log.write_text("")
            canvas = read(case_input / "sample-request.json")
            numbers = np.arange(canvas.array.size, dtype=np.uint16).reshape(canvas.shape)
            for n, slug in enumerate(("sampled-cells", "sampled-nuclei")):
                write(output / "images" / slug / "any.tif", canvas.like(numbers + np.uint16(n)))
            return Outcome("ok", 0.1, 10**6, 0)

    manifest = ENHANCE.model_copy(update={"name": "draws", "task": "sample"})
    monkeypatch.setattr("cytosuite.benchmark.runs.pipeline.algorithms", lambda: {"draws": manifest})
    asked = made_in(tmp_path, recipe(DataRequest("requests", "mini", settings=["shape=[6, 8]"])))
    drawn = _through(asked, Engine(None), "draws")
    case = drawn.cases[0]
    assert read(case.socket("instance-labels")).array[0, 0] == 1
    assert read(case.socket("sampled-cells")).spacing == (0.8, 0.8)
    assert drawn.serves(TASKS["synthesise"])
    assert set(case.inputs(TASKS["synthesise"])) == {"instance-labels"}
