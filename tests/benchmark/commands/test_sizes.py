"""Sizes of objects that the images of one call share."""

import json
from dataclasses import replace

import numpy as np
import pytest

from cytosuite.benchmark.commands.apply import apply
from cytosuite.benchmark.commands.options.apply import ApplyOptions
from cytosuite.files import read_json
from cytosuite.formats import write
from cytosuite.volume import Volume

FRAMES = {f"t{n:03d}": size for n, size in enumerate((50, 20, 52, 49, 54))}


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
