"""The choice of a model as a command: tables, files, and the same choice as a run makes."""

import json
import re
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
from cards import card
from mistakes import refused
from rows import rows_of

from cytosuite.benchmark.catalog import models
from cytosuite.benchmark.catalog.models import algorithms
from cytosuite.benchmark.commands import choice as module
from cytosuite.benchmark.commands.apply import apply
from cytosuite.benchmark.commands.choice import show_choice
from cytosuite.benchmark.commands.options.apply import ApplyOptions
from cytosuite.contract.manifest import SelectPolicy
from cytosuite.files import read_json, write_json
from cytosuite.formats import write
from cytosuite.volume import Volume

BALL = np.pad(np.full((4, 8, 8), 200, np.uint16), 4)
SPACING = (1.6, 0.5, 0.5)
POLICY = SelectPolicy(axes="must", channel="must", study=3.0, spacing=1.0, score="N_SSIM")
POLICY = POLICY.model_copy(update={"missing": 0.5, "general": 1.0})
FRAMES = {f"t{n:03d}": size for n, size in enumerate((50, 20, 52, 49, 54))}


@pytest.fixture
def image(tmp_path):
    """Return the path of a stack of nuclei, as its name says."""
    path = tmp_path / "images/a_nuclei.tif"
    write(path, Volume(BALL, SPACING, "ZYX", {"study": "mouse-embryo"}))
    return path


@pytest.fixture
def toy(monkeypatch):
    """Make a toy the only algorithm: two networks, one that has beaten nothing, and a Gaussian."""
    manifest = algorithms()["watershed"].model_copy(
        update={"name": "toy", "task": "fuse", "select": POLICY, "preference": 0}
    )
    simple = {"gaussian": {"N_SSIM": 0.03}}
    stack = {"axes": "ZYX", "spacing": SPACING}
    cards = [
        card(name=name, task="fuse", describes=facts, scores={"x": {"N_SSIM": s}}, baselines=b)
        for name, facts, s, b in (
            ("one", {**stack, "channel": "nucleus", "study": 1}, 0.2, simple),
            ("two", {**stack, "channel": "membrane", "study": 2}, 0.2, simple),
            ("bad", {**stack, "channel": "nucleus", "study": 1}, 0.01, simple),
            ("gaussian", {}, 0.03, {}),
        )
    ]
    for home in (models, module):
        monkeypatch.setattr(home, "algorithms", lambda: {"toy": manifest})
        monkeypatch.setattr(home, "cards_of", lambda name, named: cards)


@pytest.fixture
def shown(quiet):
    """Return a function that shows choices as a pipe does: exit code and lines."""

    def shown(*images, **options):
        code = show_choice(ApplyOptions(images=[*images], dry_run=True, **options), quiet)
        return code, quiet.export_text().splitlines()

    return shown


def _rows(lines, head):
    """Return the rows of a table by their first cell, each as its cells."""
    start = next(n for n, line in enumerate(lines) if line.startswith(head))
    rows = [re.split(r"  +", line) for line in lines[start:]]
    end = next((n for n, row in enumerate(rows) if len(row) != len(rows[0])), len(rows))
    return {row[0]: row[1:] for row in rows[:end]}


def test_a_stack_of_one_slice_has_the_choice_of_a_plane(shown, tmp_path):
    write(tmp_path / "one.mha", Volume(BALL[6:7], SPACING, "ZYX"))
    code, (title, *_) = shown(tmp_path / "one.mha", algorithm="u2net")
    assert (code, title.rpartition(" ")[2]) == (0, "culture-nuclei-2d")


def test_every_card_stands_with_its_terms_and_its_remark_the_chosen_first(shown, image, toy):
    code, lines = shown(image, task="fuse", spacing=(3.2, 0.5, 0.5), wide=True)
    rows = _rows(lines, "model")
    assert rows == {
        "model": ["cost", "axes", "channel", "study", "spacing", "remarks"],
        "one": [f"{0.5 + log(2):.3f}", "-", "-", "0.500", f"{log(2):.3f}", "chosen"],
        "gaussian": ["3.000", "1.000", "1.000", "-", "1.000", "for any axes, channel, spacing"],
        "two": ["1.193", "-", "-", "0.500", "0.693", "made for channel membrane"],
        "bad": [
            "3.693",
            "-",
            "-",
            "3.000",
            "0.693",
            "left out: did not beat gaussian: N_SSIM 0.01 <= 0.03",
        ],
    }
    assert list(rows)[1:] == ["one", "gaussian", "two", "bad"]
    assert code == 0


def test_several_images_have_a_table_each_and_one_file(shown, image, tmp_path, toy):
    write(image.with_name("b.tif"), Volume(BALL, SPACING, "ZYX"))
    code, lines = shown(image.parent, task="fuse", csv=tmp_path / "c.csv", json=tmp_path / "c.json")
    assert code == 0
    assert [line.rpartition("/")[2] for line in lines if ".tif: " in line] == [
        "a_nuclei.tif: toy one",
        "b.tif: toy one",
    ]
    rows = rows_of(tmp_path / "c.csv")
    assert [row["model"] for row in rows[:2]] == ["one", "gaussian"]
    assert len(rows) == 8
    assert {row["algorithm"] for row in rows} == {"toy"}
    entries = read_json(tmp_path / "c.json")
    assert [entry["model"] for entry in entries] == ["one", "one"]
    assert entries[1]["terms"] == {"channel": 0.5, "study": 0.5, "spacing": 0.0}
    assert entries[0]["metadata"]["channel"] == {"value": "nucleus", "source": "name"}


def test_metadata_beside_images_count_for_a_file_that_is_named_alone(shown, image, toy):
    write_json(image.parents[1] / "acquisition-metadata/a_nuclei.json", {"channel": "membrane"})
    assert shown(image, task="fuse")[1][0] == f"{image}: toy two"


def test_an_image_that_fails_is_a_line_and_hides_no_other(shown, image, tmp_path, toy):
    bad = image.with_name("bad.tif")
    bad.write_bytes(b"no image")
    code, lines = shown(bad, image, task="fuse", json=tmp_path / "c.json")
    assert code == 2
    assert lines[0].startswith(f"{bad}: cannot be read as TIFF")
    assert lines[1] == f"{image}: toy one"
    assert read_json(tmp_path / "c.json")[0] == {"image": str(bad), "error": lines[0]}


def test_the_choice_is_that_of_a_run(image, tmp_path, here):
    """Model, costs, sources and warnings of the records that `segment` writes."""
    for name, spacing, facts in (
        ("fits", SPACING, {"channel": "DAPI"}),
        ("far", (9.0, 9.0, 9.0), {"channel": "nucleus"}),
        ("membrane", SPACING, {"channel": "H2B"}),
        ("wall", SPACING, {"channel": "cell wall"}),
        ("turned", SPACING[::-1], {}),
        ("silent", (1.0, 1.0, 1.0), {"spacing_source": "assumed"}),
    ):
        write(image.with_name(f"{name}.tif"), Volume(BALL, spacing, "ZYX", facts))
    apply(
        ApplyOptions(
            out=tmp_path / "out",
            engine="process",
            preview=False,
            images=[image.parent],
            algorithm="watershed",
            spacing="assume",
        )
    )
    words = ("segment", image.parent, "--dry-run --algorithm watershed --json -")
    code, out, err = here(*words)
    assert code == 2
    assert "silent.tif: the file does not give the voxel size" in err
    code, out, err = here(*words, "--spacing assume")
    assert (code, err) == (0, "")
    choices = json.loads(out)
    assert len(choices) == 7
    for choice in choices:
        name = Path(choice["image"]).stem
        record = read_json(tmp_path / f"out/{name}.json")
        selection = record["selection"]
        assert choice["model"] == record["model"], name
        for key in ("cost", "terms", "broken", "others", "by"):
            assert choice[key] == selection[key], (name, key)
        assert len(selection["others"]) == 6
        sources = {key: fact["source"] for key, fact in choice["metadata"].items()}
        assert selection["sources"].items() - {("spacing", "assumed")} <= sources.items(), name
        told = [line for line in record["warnings"] if not line.startswith("objects")]
        assert choice["warnings"] == told, name


def test_what_is_given_counts_for_a_synthesiser(tmp_path, shown):
    for dtype, kind in ((np.uint16, "labels"), (np.float32, "sketch")):
        write(tmp_path / f"{kind}.tif", Volume(BALL.astype(dtype), SPACING))
        code, lines = shown(
            tmp_path / f"{kind}.tif", task="synthesise", algorithm="diffusion", wide=True
        )
        assert code == 0
        assert _rows(lines, "key")["given"] == [kind, "input"]
        assert any("made for given labels" in line for line in lines) == (kind == "sketch")


def test_the_requests_of_a_folder_are_images_of_their_task(tmp_path, shown):
    request = {"seed": 1, "shape": [32, 48], "spacing": [0.8, 0.8]}
    for name in ("a", "b"):
        write_json(tmp_path / f"{name}.json", request)
    (tmp_path / "note.txt").touch()
    code, lines = shown(tmp_path, task="sample", wide=True)
    assert code == 0
    assert _rows(lines, "key")["shape"][0] == "32 x 48"
    assert [line for line in lines if line.endswith(": masks cells-nuclei-2d")] == [
        f"{tmp_path / name}.json: masks cells-nuclei-2d" for name in ("a", "b")
    ]
    options = ApplyOptions(images=[tmp_path / "a.json"], algorithm="masks", out=tmp_path)
    refused("the output would overwrite .*a.json", apply, options)
    (tmp_path / "none").mkdir()
    none = ApplyOptions(images=[tmp_path / "none"], algorithm="masks", out=tmp_path / "out")
    refused("for masks: no JSON request", apply, none)
    (tmp_path / "b.json").write_text("{}")
    assert shown(tmp_path / "a.json", tmp_path / "b.json", task="sample")[0] == 2


@pytest.fixture
def sizes(fakes, use, tmp_path):
    """Return a function that segments planes of some own sizes, and gives their records.

    The algorithm takes the size that it is given, else that of the image.
    """

    def noted(image, output):
        diameter, blobs = image.array[0, :2].tolist()
        stated = image.metadata.get("diameter_um")
        kind = "network"
        kind = kind if stated is None else image.metadata.get("diameter_source", "given")
        notes = {"diameter_px": stated or diameter, "blobs_px": blobs, "diameter_source": kind}
        labels = np.full(image.shape, round(10 * (stated or diameter)), np.uint16)
        said = {f"watershed_{key}": value for key, value in notes.items()}
        fakes.write_labels(replace(image, metadata=said), output, labels)

    engine = use(fakes.Engine(noted))

    def run(diameters, spacing=(1.0, 1.0), names=None, out="out", **options):
        for name, size in diameters.items():
            metadata = {} if spacing else {"spacing_source": "assumed"}
            plane = Volume(np.full((8, 8), 50), spacing or (1.0, 1.0), "YX", metadata)
            plane.array[0, 0] = size
            write(tmp_path / f"01/{name}.tif", plane)
        images = [tmp_path / f"01/{name}.tif" for name in names or diameters]
        arguments = {"algorithm": "watershed", "preview": False, **options}
        apply(ApplyOptions(images=images, out=tmp_path / out, **arguments))
        records = {n: read_json(tmp_path / out / f"{n}.json") for n in names or diameters}
        return {name: {**record, "seconds": 0} for name, record in records.items()}

    run.calls = engine.calls
    return run


def used(records):
    return [record["notes"]["diameter_px"] for record in records.values()]


def test_the_frames_of_a_sequence_share_the_median_and_a_size_far_from_it_is_doubted(sizes):
    records = sizes(FRAMES)
    assert used(records) == [51] * 5
    shared = {"diameter_um": 51.0, "diameter_source": "shared, median of 4 images"}
    assert all(record["size_shared"] == shared for record in records.values())
    assert records["t001"]["size_alone"] == [20, "network", 50]
    doubts = {name: [w for w in r["warnings"] if "size" in w] for name, r in records.items()}
    assert doubts.pop("t001") == [
        "size doubted: by the network 0.39 times that of the others, which it got"
    ]
    assert not any(doubts.values())


def test_neither_order_nor_earlier_calls_change_a_size(sizes):
    whole = sizes(FRAMES)
    assert sizes(FRAMES) == whole
    assert len(sizes.calls) == 10  # alone, then together
    assert sizes(FRAMES, names=list(FRAMES)[::-1], out="turned") == whole
    for names in (["t003"], ["t001", "t002"], ["t000", "t001", "t004"], list(FRAMES)):
        parts = sizes(FRAMES, names=names, out="parts")
    assert parts == whole
    assert used(sizes(FRAMES, names=["t001"], out="parts")) == [20]  # a call of its own


def test_a_long_sequence_asks_some_frames_alone(sizes):
    records = sizes({f"t{n:03d}": 50 for n in range(12)})
    assert len(sizes.calls) == 12  # five are of that size by themselves
    assert used(records) == [50] * 12
    assert len({json.dumps(record["size_shared"]) for record in records.values()}) == 1


def test_a_diameter_of_the_user_is_nobody_elses(sizes):
    records = sizes(FRAMES, diameter=30.0)
    assert used(records) == [30] * 5
    assert not any("size_shared" in record for record in records.values())


def test_images_of_any_microscopes_share_no_size(sizes):
    diameters = {"a": 50, "b": 52, "c": 48, "d": 20}
    assert used(sizes(diameters)) == [50, 52, 48, 50]
    assert used(sizes(diameters, spacing=None, out="assumed")) == [*diameters.values()]
