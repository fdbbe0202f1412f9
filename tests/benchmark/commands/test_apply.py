"""Folders, names and parts of files, as an algorithm is applied to them."""

import json
import shutil
from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
from mistakes import refused
from participants import scored
from PIL import Image
from rows import rows_of
from toys import put

from cytosuite.benchmark.catalog import models, packages
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.catalog.places import ROOT
from cytosuite.benchmark.commands import apply as module_apply
from cytosuite.benchmark.commands.apply import apply
from cytosuite.benchmark.commands.options.apply import ApplyOptions
from cytosuite.benchmark.commands.options.benchmark import BenchmarkOptions
from cytosuite.benchmark.engines.outcome import Outcome
from cytosuite.benchmark.runs.data.preview import OUTLINE
from cytosuite.contract.manifest import read_card
from cytosuite.errors import InputError
from cytosuite.errors.packages import install
from cytosuite.files import read_json, remove, write_json, write_text
from cytosuite.formats import read, write
from cytosuite.volume import Volume
from tests.hostile.tally import digests


def segment(out, *images, console=None, algorithm="watershed", **options):
    """Segment images by the watershed."""
    return apply(ApplyOptions(images=images, out=out, algorithm=algorithm, **options), console)


@pytest.fixture(autouse=True)
def used(engine, use):
    """Return the engine that is used, whose algorithm is perfect."""
    return use(engine)


@pytest.fixture
def images(tmp_path):
    """Return a folder of two stacks with one and with two bright squares."""
    for number, name in enumerate(("one", "two"), 1):
        array = np.zeros((4, 24, 24), np.uint16)
        for square in range(1, number + 1):
            array[1:3, 4 * square : 4 * square + 3, 5:9] = 100
        put(tmp_path / f"images/{name}.tif", array)
    return tmp_path / "images"


def test_labels_record_and_picture_of_every_image(images, out):
    results = segment(out, images)
    assert [result.status for result in results] == ["written", "written"]
    assert [read(result.output).array.max() for result in results] == [1, 2]
    assert {path.name for path in out.iterdir()} == {
        "objects.csv",
        "one.tif", "one.json", "one.png", "one-objects.csv",
        "two.tif", "two.json", "two.png", "two-objects.csv",
    }  # fmt: skip
    record = read_json(out / "two.json")
    assert record["objects"] == 2
    assert record["spacing_um"] == [2.0, 0.5, 0.5]
    assert record["seconds"] == 0.25
    with Image.open(out / "two.png") as picture:
        assert picture.size == (960, 480)  # 20 pixels for each of 24 x 24, twice
        assert OUTLINE in {colour for _, colour in picture.getcolors()}


def test_the_objects_of_each_image_and_of_all_are_measured(images, out, used, quiet):
    segment(out, images)
    rows = rows_of(out / "objects.csv")
    assert [(row["image"], row["label"]) for row in rows] == [
        ("one.tif", "1"), ("two.tif", "1"), ("two.tif", "2"),
    ]  # fmt: skip
    assert rows[0]["volume_um3"] == "12"  # 2 x 3 x 4 voxels of 2 x 0.5 x 0.5 µm
    assert rows[0]["max_intensity"] == rows[0]["mean_intensity"] == "100"
    assert "truth_label" not in rows[0]
    objects = rows_of(out / "two-objects.csv")
    assert objects == [{k: v for k, v in row.items() if k != "image"} for row in rows[1:]]
    before = (out / "objects.csv").read_bytes()
    (out / "one-objects.csv").unlink()
    segment(out, images)  # a batch is never without an image
    assert (out / "objects.csv").read_bytes() == before
    assert used.calls == ["one", "two", "one"]
    (out / "two.json").write_text("{")  # another image goes on, and the table lacks it
    segment(out, images / "one.tif", console=quiet)
    assert "objects.csv lacks two-objects.csv: two.json is no record" in quiet.export_text()


def test_the_table_of_objects_tells_assumed_voxel_sizes(images, tmp_path, out):
    tifffile.imwrite(
        tmp_path / "bare.tif", read(images / "one.tif").array, photometric="minisblack"
    )
    segment(out, images / "one.tif", tmp_path / "bare.tif", spacing="assume")
    sizes = {row["image"]: row["voxel_size"] for row in rows_of(out / "objects.csv")}
    assert sizes == {"one.tif": "given", "bare.tif": "assumed"}


def test_names_that_are_no_utf8_or_too_long_are_segmented(images, out):
    for name in ["\udce4", "a\nb", f"{'l' * 240}_1", f"{'l' * 240}_2"]:
        (images / f"{name}.tif").write_bytes((images / "one.tif").read_bytes())
    results = segment(out, images)
    assert [result.status for result in results] == ["written"] * 6
    assert {"%E4.tif", "a_b.tif"} < {result.output.name for result in results}
    assert {r"\udce4.tif", r"a\nb.tif"} < {row["image"] for row in rows_of(out / "objects.csv")}
    assert read_json(out / "%E4.json")["image"].endswith(r"\udce4.tif")


def test_what_is_there_under_the_same_key_is_left(images, out, used):
    segment(out, images)
    before = (out / "one.tif").stat().st_mtime_ns
    assert {r.status for r in segment(out, images)} == {"there already"}
    assert used.calls == ["one", "two"]
    assert (out / "one.tif").stat().st_mtime_ns == before
    (out / "two.tif").unlink()
    segment(out, images)
    assert used.calls == ["one", "two", "two"]
    segment(out, images / "one.tif", diameter=9.0)
    segment(out, images / "two.tif", spacing=(1.0, 1.0, 1.0))
    assert used.calls[3:] == ["one", "two"]


def test_the_algorithm_is_told_what_the_user_knows(images, out, fakes, use):
    seen = []

    def look(image, output):
        seen.append(image)
        fakes.perfect(image, output)

    use(fakes.Engine(look))
    segment(out, images / "one.tif", spacing=(3.0, 1.0, 1.0), diameter=9.0, channel="nucleus")
    assert seen[0].spacing == (3.0, 1.0, 1.0)
    assert (seen[0].metadata["diameter_um"], seen[0].metadata["channel"]) == (9.0, "nucleus")


def test_choices_and_removals_of_the_algorithm_stand_in_the_record(images, out, fakes, use):
    def talk(image, output):
        rows = json.dumps([{"reason": "small"}])
        said = {"watershed_tau": 0.3, "watershed_removed_table": rows, "other": 1}
        fakes.bright(replace(image, metadata=said), output)

    use(fakes.Engine(talk))
    (result,) = segment(out, images / "one.tif")
    record = read_json(out / "one.json")
    assert record["notes"] == {"tau": 0.3}
    assert record["removed"] == [{"reason": "small"}]
    assert "watershed_tau" not in read(result.output).metadata


def test_a_failure_is_one_line_and_stops_no_other(images, out, fakes, use, quiet):
    def behave(image, output):
        if np.count_nonzero(image.array) < 30:
            return Outcome("non-zero exit", 0.1, None, 1, "no\nidea")
        return fakes.perfect(image, output)

    use(fakes.Engine(behave))
    (images / "broken.tif").write_bytes(b"no image")
    status = {
        result.image.stem: (result.status, result.message)
        for result in segment(out, images, console=quiet)
    }
    assert status["broken"][0] == status["one"][0] == "failed"
    assert status["one"][1] == "non-zero exit: no idea"
    assert "cannot be read as TIFF" in status["broken"][1]
    assert status["two"][0] == "written"
    assert not list(out.glob("one.*"))
    assert not list(out.glob(".*"))
    assert "2 of 3: one.tif: failed: non-zero exit: no idea" in quiet.export_text()


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

    def need(*_):
        raise InputError("watershed cannot run here")

    return {"need": need}


@pytest.mark.parametrize("mistake", [_fails, _breaks, _lacks_a_package])
def test_a_mistake_leaves_earlier_results_as_they_are(
    images, out, fakes, use, monkeypatch, quiet, mistake
):
    segment(out, images / "one.tif")
    before = digests(out)
    for name, broken in mistake(images, use, fakes).items():
        monkeypatch.setattr(module_apply, name, broken)
    try:
        segment(out, images / "one.tif", console=quiet, diameter=9.0)
    except InputError as error:
        quiet.out(error)
    assert mistake.__doc__.format(images=images) in quiet.export_text()
    assert digests(out) == before


def test_what_was_changed_by_hand_is_kept_and_named(images, out, quiet):
    segment(out, images)
    put(out / "one.tif", np.full((4, 24, 24), 7, np.uint16))
    (same, _) = segment(out, images)
    assert (same.status, same.message) == ("there already", "not as it was written")
    assert [row["label"] for row in rows_of(out / "one-objects.csv")] == ["7"]
    one, two = segment(out, images, console=quiet, diameter=9.0)
    assert (one.status, two.status) == ("kept", "written")
    said = quiet.export_text()
    assert f"one.tif: kept: {out}/one.tif is not as it was written" in said
    assert "kept, --overwrite replaces them: one.tif\n" in said
    assert (read(one.output).array == 7).all()
    before = digests(out)
    put(out.parent / "one.tif", 2 * read(images / "one.tif").array)
    segment(out, out.parent / "one.tif")  # another image: its light is not that of the labels
    assert digests(out) == before
    write_text(one.output, "no labels")
    segment(out, images, console=quiet, diameter=9.0)
    assert "objects.csv has the objects of one before a change: " in quiet.export_text()
    one, two = segment(out, images, diameter=9.0, overwrite=True)
    assert (one.status, two.status) == ("written", "there already")
    assert read(one.output).array.max() == 1


def test_rois_are_written_on_demand_and_kept_once_they_are_corrected(images, tmp_path, out):
    rois = out / "two_rois.zip"
    segment(out, images)
    assert not rois.exists()
    assert [result.status for result in segment(out, images, rois=True)] == ["written", "written"]
    prediction = tmp_path / "corrected"
    prediction.mkdir()
    shutil.copy(rois, prediction)
    assert scored(prediction, out, image=images)["case"]["two"]["SEG"] == 1
    rois.write_bytes(rois.read_bytes() + b"corrected")
    _, same = segment(out, images, rois=True)
    assert (same.status, same.message) == ("there already", "not as it was written")
    one, two = segment(out, images, diameter=9.0)
    assert (one.status, two.status) == ("written", "kept")
    assert f"{rois} is not as it was written" in two.message
    assert not (out / "one_rois.zip").exists()  # it would be that of the result before


def test_results_of_another_image_of_the_same_name_are_not_replaced(images, tmp_path, out):
    segment(out, images / "one.tif")
    before = digests(out)
    put(tmp_path / "one.tif", 2 * read(images / "two.tif").array)
    (refused,) = segment(out, tmp_path / "one.tif")
    assert refused.status == "failed"
    assert f"is the result for {images}/one.tif; name another folder" in refused.message
    assert digests(out) == before


def test_the_table_of_all_objects_grows_by_other_images(images, out):
    segment(out, images / "two.tif")
    segment(out, images / "one.tif")
    write(images / "day/one.tif", read(images / "two.tif"))
    segment(out, images, recursive=True)
    rows = rows_of(out / "objects.csv")
    assert [row["image"] for row in rows] == ["day_one", "day_one", "one", "two.tif", "two.tif"]


@pytest.fixture
def planes(monkeypatch):
    """Give the flow network a single card, of volumes or, when called, another one of planes."""
    card = read_card(ROOT / "weights/cellpose3d/tissue-nuclei-3d.json")
    plane = card.model_copy(update={"name": "planes", "describes": {"axes": "YX"}})
    cards = [card]
    real = models.cards_of
    monkeypatch.setattr(
        models, "cards_of", lambda name, named: cards if name == "cellpose3d" else real(name, named)
    )
    return lambda: cards.append(plane)


@pytest.fixture
def mixed(images, planes):
    """Return a folder of a plane and a stack, the stack without voxel size."""
    plane = np.zeros((24, 24), np.uint16)
    plane[4:9, 4:9] = 100
    put(images / "one.tif", plane)
    return images


@pytest.fixture
def honest(fakes, use):
    """Use an engine of which the algorithm reports its model and a warning, as a container does."""

    def behave(image, output):
        fakes.bright(image, output)
        doubts = [] if image.axes == "YX" else ["model does not fit: channel is 'x'"]
        report = {"model": "plain", "warnings": doubts, "broken": ["channel"] if doubts else []}
        write_json(output / "record.json", report | {"fallback": bool(doubts)})

    return use(fakes.Engine(behave))


def test_an_algorithm_is_chosen_for_each_image_and_shown(mixed, out, honest, quiet):
    results = segment(out, mixed, console=quiet, algorithm="auto")
    assert [result.model for result in results] == ["watershed plain", "cellpose3d plain"]
    records = [read_json(out / f"{name}.json") for name in ("one", "two")]
    assert [record["algorithm"] for record in records] == ["watershed", "cellpose3d"]
    assert [record["selection"]["by"] for record in records] == ["metadata"] * 2
    text = quiet.export_text()
    assert "one.tif: written: 1 objects, watershed plain, 0.2 s\n" in text
    doubt = "channel is 'x'"
    assert f"cellpose3d plain, 0.2 s; warning: model does not fit: {doubt}\n" in text
    *_, models, warning = text.splitlines()
    assert models == "models: watershed plain for 1 of 2 images, cellpose3d plain for 1 of 2 images"
    assert warning == f"warning: model does not fit in 1 image (two.tif): {doubt}"
    assert records[1]["warnings"] == [f"model does not fit: {doubt}"]


def test_what_was_chosen_before_is_left_and_its_doubts_are_shown_again(
    mixed, out, honest, monkeypatch, quiet
):
    write(mixed / "day/two.tif", read(mixed / "two.tif"))
    segment(out, mixed, algorithm="auto", recursive=True)
    before = sorted(honest.calls)
    again = segment(out, mixed, console=quiet, algorithm="auto", recursive=True)
    assert {result.status for result in again} == {"there already"}
    assert sorted(honest.calls) == before
    assert "model does not fit in 2 images (day_two.tif, two.tif)" in quiet.export_text()
    monkeypatch.setattr(module_apply, "choice_digest", lambda name: "another card")
    segment(out, mixed, algorithm="auto", recursive=True)
    assert len(honest.calls) == 6


def test_a_plane_in_place_of_a_stack_is_refused_by_its_own_name(mixed, out, quiet):
    segment(out, mixed / "one.tif", console=quiet, algorithm="view_fusion")
    assert "one.tif: failed: expected a stack of slices (z, y, x), found" in quiet.export_text()


@pytest.fixture
def without_torch(monkeypatch, fakes, use):
    """Hide torch from plain processes."""
    real = packages.find_spec
    monkeypatch.setattr(
        packages, "find_spec", lambda name: (name != "torch" and real(name)) or None
    )
    engine = use(fakes.Engine(fakes.bright))
    engine.name = "process"
    return engine


def test_without_torch_planes_are_done_by_the_watershed_and_each_volume_is_refused_in_a_line(
    mixed, tmp_path, out, without_torch, planes, quiet
):
    planes()
    write(mixed / "three.tif", read(mixed / "two.tif"))
    one, *others = segment(out, mixed, console=quiet, algorithm="auto")
    assert (one.status, {other.status for other in others}) == ("written", {"failed"})
    assert read(one.output).array.any()
    lines = quiet.export_text().splitlines()
    lack = f"cellpose3d needs torch, not installed here: {install(['torch'])}"
    for name in ("three", "two"):
        assert [line for line in lines if f" {name}.tif: failed: {lack}" in line]
    assert lines[-2:] == [
        f"warning: second choice in 1 image (one.tif): {lack}",
        "failed: 2 of 3 images",
    ]
    record = read_json(out / "one.json")
    assert (record["algorithm"], record["warnings"]) == ("watershed", [f"second choice: {lack}"])
    assert segment(out, mixed, algorithm="auto")[0].status == "there already"
    assert without_torch.calls == ["one"]
    refused(
        "cellpose3d needs torch", segment, tmp_path / "other", mixed / "two.tif", algorithm="auto"
    )
    options = ApplyOptions(images=[mixed], task="segment", engine="process", dry_run=True)
    assert module_apply.segment_command(options, quiet) == 2
    shown = quiet.export_text()
    for line in ("one.tif: watershed nuclei-2d\n", f"two.tif: {lack}\n", f"second choice: {lack}"):
        assert line in shown


def test_with_torch_a_second_choice_is_made_again_by_the_first(
    mixed, out, without_torch, planes, monkeypatch
):
    planes()
    segment(out, mixed / "one.tif", algorithm="auto")
    monkeypatch.setattr(packages, "find_spec", lambda name: name)
    results = segment(out, mixed, algorithm="auto")
    assert {result.model.split()[0] for result in results} == {"cellpose3d"}
    assert without_torch.calls == ["one", "one", "two"]


def test_a_named_model_is_used_recorded_and_part_of_the_key(images, out, honest):
    (result,) = segment(out, images / "one.tif", algorithm="auto", model="tissue-nuclei-3d")
    assert result.model == "cellpose3d plain (chosen by the user)"
    assert honest.models["cellpose3d"].name == "tissue-nuclei-3d.json"
    assert read_json(out / "one.json")["selection"]["by"] == "user"
    (plane,) = segment(out, images / "two.tif", model="nuclei-2d")
    why = "watershed nuclei-2d: made for axes YX, found ZYX; cellpose3d has spheroid-nuclei-3d"
    assert plane.message == why


def test_a_model_in_use_for_a_folder_runs_on_its_images_alone(
    images, tmp_path, out, monkeypatch, fakes, use
):
    home = shutil.copytree(ROOT / "weights/watershed", tmp_path / "weights/watershed")
    for name in ("algorithms", "weights/cellpose3d"):
        (tmp_path / name).symlink_to(ROOT / name)
    mine = read_json(home / "nuclei-2d.json") | {"name": "mine", "scores": {}}
    write_json(home / "mine.json", mine | {"describes": {"axes": "ZYX"}})
    write_json(home / "use.rules", {"use": [{"model": "mine", "images": {"folder": str(images)}}]})
    monkeypatch.setattr(models, "ROOT", tmp_path)
    other = (images / "two.tif").rename(tmp_path / "two.tif")
    places = []

    class Engine(fakes.Engine):
        def session(self, algorithm, workspace, limits, api):
            places.append((algorithm, limits.environment.get("CYTOSUITE_FOLDER")))
            return super().session(algorithm, workspace, limits, api)

    def behave(image, output):
        fakes.bright(image, output)
        write_json(output / "record.json", {"model": "mine", "by": "use"})

    use(Engine(behave))
    sources = [images / "one.tif", other]
    used, _ = segment(out, *sources)
    assert used.model == "watershed mine (in use)"
    segment(tmp_path / "auto", *sources, algorithm="auto")
    mine = "watershed", str(images)
    assert places == [mine, ("watershed", None), ("cellpose3d", None), mine]
    limits = BenchmarkOptions(dataset=str(images)).limits(algorithms()["watershed"])
    assert limits.folder == str(images)
    assert BenchmarkOptions(dataset=str(other)).limits(algorithms()["watershed"]).folder == ""


def test_a_published_data_set_gives_the_images_of_its_inference(images, tmp_path, out, quiet):
    image = read(images / "one.tif")
    for name in ("trainA/a", "trainB/b", "inferenceA/a", "inferenceB/deep/b"):
        write(tmp_path / f"in/{name}.tif", image)
    results = segment(out, tmp_path / "in", console=quiet)
    assert [result.output.name for result in results] == ["deep_b.tif"]
    assert f"{tmp_path / 'in'}: images of inferenceB/" in quiet.export_text().splitlines()
    write(tmp_path / "in/own.tif", image)
    assert [done.output.name for done in segment(tmp_path / "o", tmp_path / "in")] == ["own.tif"]


def test_a_list_gives_images_that_are_scored_by_it(images, tmp_path, out):
    elsewhere = tmp_path / "lists/x_test.csv"
    truth = segment(tmp_path / "truth", images / "two.tif")[0].output
    write_text(elsewhere, f"images/two.tif;truth/{truth.name}\n")
    (result,) = segment(out, elsewhere, data_root=tmp_path)
    assert result.output.name == "images_two.tif"
    scores = scored(elsewhere, out, ["SEG"], data_root=tmp_path)
    assert scores["case"] == {"images_two": {"SEG": 1.0}}


def test_one_channel_and_frame_is_segmented_and_recorded(tmp_path, out):
    array = np.zeros((2, 3, 4, 24, 24), np.uint16)
    array[1, 2, 1:3, 4:8, 4:8] = 100
    write(tmp_path / "a.tif", Volume(array, (2.0, 0.5, 0.5), "TCZYX"))
    (result,) = segment(out, tmp_path / "a.tif", channel_index="2", frame="1")
    assert read(result.output).array.max() == 1
    assert read_json(out / "a.json")["part"] == {"channel": "2", "frame": "1"}
    for status in ("written", "there already"):
        (other,) = segment(out, tmp_path / "a.tif", channel_index="0", frame="1")
        assert (other.status, other.output.name) == (status, "a_channel-0_frame-1.tif")
    assert read(other.output).array.max() == 0
    assert read(result.output).array.max() == 1


def test_axes_name_the_order_of_pixels_and_of_a_voxel_size(tmp_path, out):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        raw = file.create_dataset("raw", data=np.zeros((24, 23, 4), np.uint16))
        raw[4:8, 5, 1] = 100
        raw.attrs["element_size_um"] = (0.4, 0.5, 2.0)
    (result,) = segment(out, tmp_path / "a.h5", axes="XYZ")
    labels = read(result.output)
    assert (labels.spacing, result.status) == ((2.0, 0.5, 0.4), "written")
    assert np.argwhere(labels.array).tolist() == [[1, 5, x] for x in range(4, 8)]


def test_each_of_a_mixed_folder_is_a_result_or_a_line(tmp_path, out, fakes, use):
    use(fakes.Engine(fakes.bright))
    home = tmp_path / "in"
    array = np.zeros((2, 3, 24, 24), np.uint16)
    write(home / "movie.tif", Volume(array[:, 1], (0.5, 0.5), "TYX"))
    put(home / "a.tif", array[0])
    Image.fromarray(array[0, 1].astype(np.uint8)).save(home / "a.png")
    axes = {"axes": "ZYX"}
    tifffile.imwrite(home / "nosize.tif", array[0], metadata=axes, photometric="minisblack")
    results = segment(out, home, frame="all")
    failed = {result.output.stem: result.message for result in results if result.status == "failed"}
    assert list(failed) == ["nosize"]
    assert "--spacing assume for 1 x 1 x 1 µm" in failed["nosize"]
    assert {row.output.stem for row in results} == {"a", "movie_frame-0", "movie_frame-1", "nosize"}
    more = segment(out, home, frame="all", spacing="assume")
    assert [result.output.stem for result in more if result.status == "written"] == ["nosize"]
    results = segment(tmp_path / "o", home / "a.tif", home / "a.png")
    assert {result.output.stem for result in results} == {"a", "a_png"}


@pytest.mark.parametrize(
    "name, output",
    {
        "a.ome.zarr": "a.ome.zarr",
        "a.zarr": "a.ome.zarr",
        "a.ozx": "a.ozx",
        "a.mha": "a.tif",
    }.items(),
)
def test_an_output_is_of_the_kind_of_its_image(images, tmp_path, out, name, output):
    write(tmp_path / "in" / name, read(images / "one.tif"))
    (result,) = segment(out, tmp_path / "in" / name)
    assert (result.output, result.status) == (out / output, "written")
    assert (read(result.output).array > 0).sum() == 2 * 3 * 4
    assert read(result.output).spacing == (2.0, 0.5, 0.5)
    assert {path.name for path in out.iterdir()} == {
        "a.json",
        "a.png",
        output,
        "a-objects.csv",
        "objects.csv",
    }
    (again,) = segment(out, tmp_path / "in")
    assert again.status == "there already"
    remove(result.output)
    (third,) = segment(out, tmp_path / "in")
    assert third.status == "written"


@pytest.mark.parametrize(
    "sources, out, line",
    [
        ([], "out", "is given: name files, folders of them, or lists"),
        (["", "one.tif"], "out", "images need different names, found"),
        (["one.tif"], "images", "one.tif; name another folder"),
    ],
)
def test_explains(images, tmp_path, sources, out, line):
    refused(line, segment, tmp_path / out, *[images / name for name in sources])


@pytest.mark.parametrize("room", ["", "images"])
def test_images_of_one_name_are_called_by_their_folders_too(images, tmp_path, out, room):
    places = [tmp_path / day / room for day in ("day 1", "day 2")]
    for place in places:
        write(place / "one.tif", read(images / "one.tif"))
    names = [result.output.name for result in segment(out, *places, images / "two.tif")]
    assert names == ["day 1_one.tif", "day 2_one.tif", "two.tif"]


def test_an_image_is_not_replaced_by_the_picture_of_its_result(images):
    Image.new("L", (24, 24)).save(images / "own.png")
    line = "the output would overwrite .*own.png; name another folder"
    refused(line, segment, images, images / "own.png")


@pytest.mark.parametrize("names", [["one.png"], ["one.json"], ["one.png", "one.json"]])
def test_files_of_another_program_are_left(images, out, names):
    for name in names:
        write_text(out / name, "{}")
    (applied,) = segment(out, images / "one.tif")
    assert applied.status == "failed"
    assert f"{names[0]} is no file of a result; name another folder" in applied.message
    assert {path.name: path.read_text() for path in out.iterdir()} == dict.fromkeys(names, "{}")
    (applied,) = segment(out, images / "one.tif", overwrite=True)
    assert applied.status == "written"


def test_the_command_takes_tables_for_a_dry_run_alone(cli, images, tmp_path, out):
    refused("show the choice: give --dry-run too", cli, "segment", images, "--json -")
    assert not (tmp_path / "segmented").exists()
    refused(
        "diffusion is for the task synthesise, not segment: cytosuite apply --algorithm diffusion",
        cli,
        "segment",
        images,
        "--algorithm diffusion --out",
        out,
    )
