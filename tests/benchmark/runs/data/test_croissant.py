import toys

from cytosuite.benchmark.runs.data.layouts import FILE, write_croissant
from cytosuite.files import read_json
from cytosuite.formats import read, write
from tests.hostile.tally import digests

SOCKETS = {"microscopy-image": toys.image, "instance-labels": toys.labels}


def test_a_card_holds_each_file_with_its_digest_and_the_files_of_each_case(dataset_of, tmp_path):
    dataset = dataset_of(**SOCKETS)
    folder = tmp_path / "out"
    for case in dataset.cases:
        for slug, room in zip(SOCKETS, ("images", "labels"), strict=True):
            write(folder / room / f"{case.name}.tif", read(case.socket(slug)))
    (folder / "read me.txt").write_text("more")
    write_croissant(dataset, folder)
    card = read_json(folder / FILE)
    files = {entry["contentUrl"]: entry["sha256"] for entry in card["distribution"]}
    assert files == digests(folder, {FILE})
    (records,) = card["recordSet"]
    keys = {entry["@id"] for entry in records["field"]}
    assert keys == {"cases/case", "cases/microscopy-image", "cases/instance-labels"}
    assert [row["cases/instance-labels"] for row in records["data"]] == [
        f"labels/c{number}.tif" for number in range(3)
    ]
    assert all({*row} == keys for row in records["data"])
