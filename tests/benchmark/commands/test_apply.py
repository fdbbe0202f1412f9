import csv
import json
import re
from io import StringIO

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cytosuite.benchmark.catalog import ROOT
from cytosuite.benchmark.commands import apply as module_apply
from cytosuite.benchmark.commands import data as module
from cytosuite.benchmark.commands.apply import apply
from cytosuite.benchmark.commands.options import ApplyOptions
from cytosuite.benchmark.engines import packages
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.pictures.preview import OUTLINE
from cytosuite.errors import InputError
from cytosuite.formats import read, write
from cytosuite.metrics.labels import object_table
from cytosuite.packages import install
from cytosuite.volume import Volume


def segment(images, out, console=None, **options):
    """Segment images by the watershed."""
    given = {"algorithm": "watershed"} | options
    return apply(ApplyOptions(images=images, out=out, **given), console)


@pytest.fixture
def images(tmp_path):
    """Return a folder of two stacks with one and with two bright squares."""
    for number, name in enumerate(("one", "two"), start=1):
        array = np.zeros((4, 24, 24), np.uint16)
        for square in range(1, number + 1):
            array[1:3, 4 * square : 4 * square + 3, 5:9] = 100
        write(tmp_path / "images" / f"{name}.tif", Volume(array, (2.0, 0.5, 0.5)))
    return tmp_path / "images"


@pytest.fixture
def use(monkeypatch):
    """Return a function that makes the command use an engine."""

    def use(engine):
        monkeypatch.setattr(module, "choose", lambda wanted, device, say: (engine, "engine: fake"))
        return engine

    return use


def labels_of(result):
    return read(result.output).array


def test_labels_record_and_picture_of_every_image(images, tmp_path, engine, use):
    use(engine)
    results = segment([images], tmp_path / "out")
    assert [result.status for result in results] == ["written", "written"]
    assert [int(len(np.unique(labels_of(r))) - 1) for r in results] == [1, 2]
    endings = (".tif", ".json", ".png", "-objects.csv")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"objects.csv"} | {
        f"{name}{ending}" for name in ("one", "two") for ending in endings
    }
    record = json.loads((tmp_path / "out" / "two.json").read_text())
    assert record["objects"] == 2
    assert record["spacing_um"] == [2.0, 0.5, 0.5]
    assert record["algorithm"] == "watershed"
    assert record["seconds"] == 0.25
    with Image.open(tmp_path / "out" / "two.png") as picture:
        assert picture.size == (960, 480)  # 20 pixels for each of 24 x 24, twice
        assert OUTLINE in {colour for _, colour in picture.getcolors()}


def test_the_objects_of_each_image_and_of_all_are_measured(images, tmp_path, engine, use):
    use(engine)
    out = tmp_path / "out"
    segment([images], out)
    rows = list(csv.DictReader((out / "objects.csv").read_text().splitlines()))
    assert [(row["image"], row["label"]) for row in rows] == [
        ("one.tif", "1"), ("two.tif", "1"), ("two.tif", "2"),
    ]  # fmt: skip
    assert rows[0]["volume_um3"] == "12"  # 2 x 3 x 4 voxels of 2 x 0.5 x 0.5 µm
    assert rows[0]["max_intensity"] == rows[0]["mean_intensity"] == "100"
    assert "truth_label" not in rows[0]
    own = list(csv.DictReader((out / "two-objects.csv").read_text().splitlines()))
    assert own == [{k: v for k, v in row.items() if k != "image"} for row in rows[1:]]
    before = (out / "objects.csv").read_bytes()
    (out / "one-objects.csv").unlink()
    segment([images], out)  # a batch is never without an image
    assert (out / "objects.csv").read_bytes() == before
    assert engine.calls == ["one", "two", "one"]


def test_names_that_are_no_utf8_or_too_long_are_segmented(images, tmp_path, engine, use):
    use(engine)
    names = ["\udce4", "a\nb", f"{'l' * 240}_1", f"{'l' * 240}_2"]
    for name in names:
        (images / f"{name}.tif").write_bytes((images / "one.tif").read_bytes())
    results = segment([images], tmp_path / "out")
    assert [result.status for result in results] == ["written"] * 6
    assert {"%E4.tif", "a_b.tif"} < {result.output.name for result in results}
    rows = list(csv.DictReader((tmp_path / "out" / "objects.csv").read_text().splitlines()))
    assert {r"\udce4.tif", r"a\nb.tif"} < {row["image"] for row in rows}
    assert json.loads((tmp_path / "out" / "%E4.json").read_text())["image"].endswith(r"\udce4.tif")


def test_objects_that_cannot_be_measured_are_said_on_the_line(
    images, tmp_path, engine, use, monkeypatch
):
    use(engine)
    monkeypatch.setattr(object_table, "OBJECTS", 0)
    (result,) = segment([images / "one.tif"], tmp_path / "out")
    assert result.status == "written"
    assert "objects.csv lacks this image: objects are not measured" in result.message
    assert not list((tmp_path / "out").glob("*.csv"))
    segment([images / "one.tif"], tmp_path / "out")
    assert engine.calls == ["one"]


def test_labels_keep_the_voxel_size(images, tmp_path, engine, use):
    use(engine)
    (result,) = segment([images / "one.tif"], tmp_path / "out")
    assert read(result.output).spacing == (2.0, 0.5, 0.5)


def test_what_is_there_under_the_same_key_is_left(images, tmp_path, engine, use):
    use(engine)
    out = tmp_path / "out"
    segment([images], out)
    before = (out / "one.tif").stat().st_mtime_ns
    assert {r.status for r in segment([images], out)} == {"there already"}
    assert engine.calls == ["one", "two"]
    assert (out / "one.tif").stat().st_mtime_ns == before
    (out / "two.tif").unlink()
    segment([images], out)
    assert engine.calls == ["one", "two", "two"]
    segment([images / "one.tif"], out, diameter=9.0)
    segment([images / "two.tif"], out, spacing=(1.0, 1.0, 1.0))
    assert engine.calls[3:] == ["one", "two"]


def test_the_algorithm_is_told_what_the_user_knows(images, tmp_path, fakes, use):
    seen = []

    def look(image, output):
        seen.append(image)
        fakes.perfect(image, output)

    use(fakes.Engine(look))
    facts = {"spacing": (3.0, 1.0, 1.0), "diameter": 9.0, "channel": "nucleus"}
    segment([images / "one.tif"], tmp_path / "out", **facts)
    assert seen[0].spacing == (3.0, 1.0, 1.0)
    assert (seen[0].metadata["diameter_um"], seen[0].metadata["channel"]) == (9.0, "nucleus")


def test_choices_and_removals_of_the_algorithm_stand_in_the_record(images, tmp_path, fakes, use):
    def talk(image, output):
        rows = json.dumps([{"reason": "small"}])
        said = {"watershed_tau": 0.3, "watershed_removed_table": rows, "other": 1}
        labels = image.like((image.array > 0).astype(np.uint16))
        labels = Volume(labels.array, labels.spacing, labels.axes, said)
        write(output / "images" / "instance-labels" / "any.tif", labels)

    use(fakes.Engine(talk))
    (result,) = segment([images / "one.tif"], tmp_path / "out")
    record = json.loads((tmp_path / "out" / "one.json").read_text())
    assert record["notes"] == {"tau": 0.3}
    assert record["removed"] == [{"reason": "small"}]
    assert "watershed_tau" not in read(result.output).metadata


def test_a_failure_is_one_line_and_stops_no_other(images, tmp_path, fakes, use):
    def behave(image, output):
        if np.count_nonzero(image.array) < 30:
            return Outcome("non-zero exit", 0.1, None, 1, "no\nidea")
        return fakes.perfect(image, output)

    use(fakes.Engine(behave))
    (images / "broken.tif").write_bytes(b"no image")
    out, said = tmp_path / "out", Console(record=True, file=StringIO())
    results = segment([images], out, said)
    status = {result.image.stem: (result.status, result.message) for result in results}
    assert status["broken"][0] == status["one"][0] == "failed"
    assert status["one"][1] == "non-zero exit: no idea"
    assert "cannot be read as TIFF" in status["broken"][1]
    assert status["two"][0] == "written"
    assert not list(out.glob("one.*"))
    assert not list(out.glob(".*"))
    assert "2 of 3: one.tif: failed: non-zero exit: no idea" in said.export_text()


def _content(folder):
    """Return the bytes of all files in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _fails(images, use, fakes):
    """one.tif: failed: killed: x; one.tif of an earlier command stays"""
    use(fakes.Engine(lambda image, output: Outcome("killed", 0.1, None, None, "x"), identity="2"))
    return {}


def _breaks(images, use, fakes):
    """one.tif: failed: {images}/one.tif: cannot be read as TIFF"""
    (images / "one.tif").write_bytes(b"no image")
    return {}


def _lacks_a_package(images, use, fakes):
    """watershed cannot run here"""
    use(fakes.Engine(fakes.perfect, identity="2"))

    def need(*given):
        raise InputError("watershed cannot run here")

    return {"need": need}


@pytest.mark.parametrize("mistake", [_fails, _breaks, _lacks_a_package])
def test_a_mistake_leaves_earlier_results_as_they_are(
    images, tmp_path, fakes, engine, use, monkeypatch, mistake
):
    use(engine)
    out, said = tmp_path / "out", StringIO()
    segment([images / "one.tif"], out)
    before = _content(out)
    for name, broken in mistake(images, use, fakes).items():
        monkeypatch.setattr(module_apply, name, broken)
    try:
        segment([images / "one.tif"], out, Console(file=said, width=1000), diameter=9.0)
    except InputError as error:
        said.write(str(error))
    assert mistake.__doc__.format(images=images) in said.getvalue()
    assert _content(out) == before


def test_what_was_changed_by_hand_is_kept_and_named(images, tmp_path, engine, use):
    use(engine)
    out, said = tmp_path / "out", StringIO()
    segment([images], out)
    corrected = np.full((4, 24, 24), 7, np.uint16)
    write(out / "one.tif", Volume(corrected, (2.0, 0.5, 0.5)))
    (same, _) = segment([images], out)
    assert (same.status, same.message) == ("there already", "not as it was written")
    kept, made = segment([images], out, Console(file=said, width=1000), diameter=9.0)
    assert (kept.status, made.status) == ("kept", "written")
    assert f"one.tif: kept: {out}/one.tif is not as it was written" in said.getvalue()
    assert "kept, --overwrite replaces them: one.tif\n" in said.getvalue()
    assert (labels_of(kept) == 7).all()
    made, done = segment([images], out, diameter=9.0, overwrite=True)
    assert (made.status, done.status) == ("written", "there already")
    assert labels_of(made).max() == 1


def test_a_file_of_the_user_is_not_replaced(images, tmp_path, engine, use):
    use(engine)
    (out := tmp_path / "out").mkdir()
    (out / "one.tif").write_bytes(b"mine")
    assert segment([images / "one.tif"], out)[0].status == "kept"
    assert (out / "one.tif").read_bytes() == b"mine"


def test_results_of_another_image_of_the_same_name_are_not_replaced(images, tmp_path, engine, use):
    use(engine)
    segment([images / "one.tif"], out := tmp_path / "out")
    before = _content(out)
    write(tmp_path / "one.tif", read(images / "two.tif"))
    (refused,) = segment([tmp_path / "one.tif"], out)
    assert refused.status == "failed"
    assert f"is the result for {images}/one.tif; name another folder" in refused.message
    assert _content(out) == before


def test_the_table_of_all_objects_grows_by_other_images(images, tmp_path, engine, use):
    use(engine)
    segment([images / "two.tif"], out := tmp_path / "out")
    segment([images / "one.tif"], out)
    write(images / "day" / "one.tif", read(images / "two.tif"))
    segment([images], out, recursive=True)
    rows = list(csv.DictReader((out / "objects.csv").read_text().splitlines()))
    assert [row["image"] for row in rows] == ["day_one", "day_one", "one", "two.tif", "two.tif"]


def test_bad_output_is_a_failure(images, tmp_path, fakes, use):
    use(fakes.Engine(lambda image, output: None))
    results = segment([images], tmp_path / "out")
    assert {result.message.split(":")[0] for result in results} == {"missing output"}


def test_an_algorithm_that_does_not_start_fails_all(images, tmp_path, engine, use):
    use(engine).starts = False
    results = segment([images], tmp_path / "out")
    assert [r.message for r in results] == ["non-zero exit: watershed did not start: no reason"] * 2


def test_a_flat_image_and_no_picture(tmp_path, fakes, use):
    use(fakes.Engine(lambda image, output: fakes.write_labels(image, output, image.array)))
    flat = Volume(np.eye(9, dtype=np.uint16), (1.0, 1.0), "YX", {"spacing_source": "assumed"})
    write(tmp_path / "flat.tif", flat)
    (result,) = segment([tmp_path / "flat.tif"], tmp_path / "out", preview=False)
    assert result.message.startswith("1 objects")
    assert not (tmp_path / "out" / "flat.png").exists()
    assert json.loads((tmp_path / "out" / "flat.json").read_text())["spacing_assumed"] is True


@pytest.fixture
def mixed(images):
    """Return a folder of a plane and a stack, the stack without voxel size."""
    plane = np.zeros((24, 24), np.uint16)
    plane[4:9, 4:9] = 100
    write(images / "one.tif", Volume(plane, (0.5, 0.5), "YX"))
    return images


@pytest.fixture
def honest(fakes, use):
    """Use an engine of which the algorithm reports its model and a warning, as a container does."""

    def behave(image, output):
        fakes.write_labels(image, output, (image.array > 0).astype(np.uint16))
        doubts = [] if image.axes == "YX" else ["model does not fit: channel is 'x'"]
        report = {"model": "plain", "warnings": doubts, "broken": ["channel"] if doubts else []}
        (output / "record.json").write_text(json.dumps(report | {"fallback": bool(doubts)}))

    return use(fakes.Engine(behave))


def test_an_algorithm_is_chosen_for_each_image_and_shown(mixed, tmp_path, honest):
    out, said = tmp_path / "out", Console(record=True, file=StringIO())
    results = segment([mixed], out, said, algorithm="auto")
    assert [result.model for result in results] == ["watershed plain", "cellpose3d plain"]
    found = [json.loads((out / f"{name}.json").read_text()) for name in ("one", "two")]
    assert [record["algorithm"] for record in found] == ["watershed", "cellpose3d"]
    assert [record["selection"]["by"] for record in found] == ["metadata"] * 2
    text = said.export_text()
    assert "one.tif: written: 1 objects, watershed plain, 0.2 s\n" in text
    doubt = "channel is 'x'"
    assert f"cellpose3d plain, 0.2 s; warning: model does not fit: {doubt}\n" in text
    *_, models, warning = text.splitlines()
    assert models == "models: watershed plain for 1 of 2 images, cellpose3d plain for 1 of 2 images"
    assert warning == f"warning: model does not fit in 1 image (two.tif): {doubt}"
    assert found[1]["warnings"] == [f"model does not fit: {doubt}"]


def test_what_was_chosen_before_is_left_and_its_doubts_are_shown_again(
    mixed, tmp_path, honest, monkeypatch
):
    out, said = tmp_path / "out", Console(record=True, file=StringIO())
    segment([mixed], out, algorithm="auto")
    before = sorted(honest.calls)
    again = segment([mixed], out, said, algorithm="auto")
    assert {result.status for result in again} == {"there already"}
    assert sorted(honest.calls) == before
    assert "warning: model does not fit in 1 image (two.tif)" in said.export_text()
    monkeypatch.setattr(module_apply, "choice_digest", lambda name: "another card")
    segment([mixed], out, algorithm="auto")
    assert len(honest.calls) == 4


@pytest.fixture
def without_torch(monkeypatch, fakes, use):
    """Hide torch from plain processes."""

    def behave(image, output):
        fakes.write_labels(image, output, (image.array > 0).astype(np.uint16))

    real = packages.find_spec
    monkeypatch.setattr(
        packages, "find_spec", lambda name: (name != "torch" and real(name)) or None
    )
    engine = use(fakes.Engine(behave))
    engine.name = "process"
    return engine


def test_without_torch_the_others_are_done_and_one_line_says_what_is_missing(
    mixed, tmp_path, without_torch
):
    out, said = tmp_path / "out", Console(record=True, file=StringIO(), width=200)
    write(mixed / "three.tif", read(mixed / "two.tif"))
    one, *others = segment([mixed], out, said, algorithm="auto")
    assert (one.status, {other.status for other in others}) == ("written", {"failed"})
    assert labels_of(one).any()
    lines = said.export_text().splitlines()
    lack = "2 of 3 images: failed: cellpose3d needs torch, not installed here: "
    assert [line for line in lines if "torch" in line] == [lack + install(["torch"])]
    assert lines[-1] == "failed: 2 of 3 images"
    assert without_torch.calls == ["one"]


def test_without_torch_what_is_there_already_is_left(mixed, tmp_path, without_torch, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(packages, "find_spec", lambda name: name)
        segment([mixed], tmp_path / "out", algorithm="auto")
    again = segment([mixed], tmp_path / "out", algorithm="auto")
    assert {result.status for result in again} == {"there already"}


def test_without_torch_images_for_networks_alone_are_refused(mixed, tmp_path, without_torch):
    with pytest.raises(InputError, match="cellpose3d needs torch, not installed here"):
        segment([mixed / "two.tif"], tmp_path / "out", algorithm="auto")


def test_a_plane_is_refused_where_the_algorithm_has_no_model_for_it(mixed, tmp_path, honest):
    plane, stack = segment([mixed], tmp_path / "out", algorithm="cellpose3d")
    why = "cellpose3d: made for axes ZYX, found YX; watershed has nuclei-2d"
    assert (plane.status, plane.message) == ("failed", why)
    assert stack.status == "written"
    assert honest.calls == ["two"]


def test_a_named_model_is_used_recorded_and_part_of_the_key(images, tmp_path, honest):
    out = tmp_path / "out"
    (result,) = segment([images / "one.tif"], out, algorithm="auto", model="tissue-nuclei-3d")
    assert result.model == "cellpose3d plain (chosen by the user)"
    assert honest.models["cellpose3d"].name == "tissue-nuclei-3d.json"
    record = json.loads((out / "one.json").read_text())
    assert record["selection"]["by"] == "user"
    (plane,) = segment([images / "two.tif"], out, model="nuclei-2d")
    why = "watershed nuclei-2d: made for axes YX, found ZYX; cellpose3d has spheroid-nuclei-3d"
    assert plane.message == why


@pytest.mark.slow
def test_a_plane_gets_a_model_of_planes_in_a_real_process(mixed, tmp_path):
    (result,) = segment([mixed / "one.tif"], tmp_path / "out", engine="process", algorithm="auto")
    assert result.model == "watershed nuclei-2d"
    assert result.warnings == ("channel assumed: nucleus, not given by the file",)
    again = mixed.parent / "mine.json"
    card = json.loads((ROOT / "weights" / "watershed" / "nuclei-2d.json").read_text())
    again.write_text(json.dumps(card | {"name": "mine", "scores": {}}))
    given = {"engine": "process", "algorithm": "auto", "model": str(again)}
    (named,) = segment([mixed / "one.tif"], tmp_path / "out", **given)
    assert (named.status, named.model) == ("written", "watershed mine (chosen by the user)")
    (kept,) = segment([mixed / "one.tif"], tmp_path / "out", **given)
    assert kept.status == "there already"
    again.write_text(json.dumps(card | {"name": "mine", "scores": {}, "description": "Other."}))
    assert segment([mixed / "one.tif"], tmp_path / "out", **given)[0].status == "written"


@pytest.mark.slow
def test_labels_go_to_a_network_of_labels_in_a_real_process(tmp_path):
    pytest.importorskip("torch")
    labels = np.zeros((32, 32), np.uint16)
    labels[8:20, 8:20] = 3
    write(tmp_path / "a.tif", Volume(labels, (0.65, 0.65), "YX", {"channel": "nucleus"}))
    options = {"algorithm": "diffusion", "engine": "process"}
    (made,) = segment([tmp_path / "a.tif"], tmp_path / "out", **options)
    assert (made.status, made.model) == ("written", "diffusion culture-nuclei-2d")
    assert made.warnings == ("input assumed: instance-labels, since its values are integers",)
    assert read(made.output).array[8:20, 8:20].mean() > 2 * read(made.output).array[:8].mean()


@pytest.mark.slow
def test_with_a_real_process(images, tmp_path):
    (result, _) = segment([images], tmp_path / "out", engine="process")
    assert result.status == "written"
    assert json.loads((tmp_path / "out" / "one.json").read_text())["model"]


def _nothing(images):
    """no image is given: name image files, or folders of them"""
    return [], images.parent / "out", {}


def _no_file(images):
    """three.tif: no such file or folder"""
    return [images / "three.tif"], images.parent / "out", {}


def _twins(images):
    """images need different names, found"""
    return [images, images / "one.tif"], images.parent / "out", {}


def _onto_itself(images):
    """one.tif; name another folder"""
    return [images / "one.tif"], images, {}


def _no_algorithm(images):
    """no algorithm called 'watershd'; did you mean 'watershed'?"""
    return [images], images.parent / "out", {"algorithm": "watershd"}


def _no_model(images):
    """no model called 'nucle-2d' of watershed; nearest: nuclei-2d"""
    return [images], images.parent / "out", {"model": "nucle-2d"}


def _no_diameter(images):
    """diameter must be 1e-06 to 1e+06 µm, found 0"""
    return [images], images.parent / "out", {"diameter": 0}


@pytest.mark.parametrize(
    "mistake", [_nothing, _no_file, _twins, _onto_itself, _no_algorithm, _no_model, _no_diameter]
)
def test_explains(images, engine, use, mistake):
    use(engine)
    with pytest.raises(InputError, match=re.escape(mistake.__doc__)):
        images, out, options = mistake(images)
        segment(images, out, **options)
