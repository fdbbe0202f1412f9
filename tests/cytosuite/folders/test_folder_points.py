import pytest
from mistakes import refused

from cytosuite.contract.points import Points
from cytosuite.files import write_json
from cytosuite.folders.points import is_points, read_annotated

SPACING = (2.0, 0.5, 0.25)


@pytest.fixture
def table(tmp_path):
    return tmp_path / "p.csv"


@pytest.mark.parametrize(
    "text",
    [
        "z,y,x\n1,2,3\n4,5,6.5\n",
        '"z"\t"y"\t"x"\n1\t2\t3\n4\t5\t6.5\n',
        "Z_um;Y_um;X_um\n2;1;0.75\n8;2.5;1.625\n",
        "name,x_px,y_px,z_px,z_um\na,3,2,1,99\n,6.5,5,4,99\n\n",
        "\ufefflabel,centroid_z_um,centroid_y_um,centroid_x_um\r\n1,2,1,.75\r\n2,8,2.5,1.625",
    ],
)
def test_tables_hold_pixels_or_micrometres(table, text):
    table.write_text(text, encoding="utf-8")
    assert read_annotated(table, SPACING).array.tolist() == [[1, 2, 3], [4, 5, 6.5]]
    assert is_points(table)


def test_further_columns_and_planes(tmp_path, table):
    table.write_text("x,y,cell,photons,probability,id\n3,2,7,120.5,0.5,a\n4,1,,,,\n")
    points = read_annotated(table, SPACING[1:])
    assert points.array.tolist() == [[2, 3], [1, 4]]
    assert (points.cells.tolist(), points.names) == ([7, 0], ("a", "2"))
    assert (points.photons[0], points.confidence[0]) == (120.5, 0.5)
    assert str(points.photons[1]) == str(points.confidence[1]) == "nan"
    write_json(tmp_path / "p.json", Points([[2, 3]], SPACING[1:]).document())
    assert read_annotated(tmp_path / "p.json", SPACING[1:]).array.tolist() == [[2, 3]]
    (tmp_path / "empty.csv").write_text("y,x\n")
    assert len(read_annotated(tmp_path / "empty.csv", SPACING[1:])) == 0


@pytest.mark.parametrize("name", ["frame", "T", "z", "z_um"])
def test_points_of_several_frames_or_planes_are_never_one_image(table, name):
    table.write_text(f"{name},y,x\n1,2,3\n1,4,5\n")
    assert read_annotated(table, (1.0, 1.0)).array.tolist() == [[2, 3], [4, 5]]
    table.write_text(f"{name},y,x\n1,2,3\n2,2,3\n1,4,5\n")
    line = rf"p\.csv: .* one value in the column {name.lower()}, found 2; give each a table"
    refused(line, read_annotated, table, (1.0, 1.0))


@pytest.mark.parametrize(
    "text, message",
    {
        "": "expected a column z .* found an empty file",
        "y,x\n1,2\n": r"expected a column z \(pixels\) or z_um, found y, x",
        "z,y,x\n1,2,3\n1,two,3\n": "line 3: expected a number .* in the column y, found 'two'",
        "z,y,x\n1,2\n": "expected finite places",
        "z,y,x\n1,1,2,\n7,1,2,3\n": "line 3: expected 3 cells like the first line, found 4",
        "z,y,x,x\n1,2,3,4\n": "expected columns of different names, found z, y, x, x",
        "z,y,x\n1,2,inf\n": "line 2: expected a number up to",
        "z,y,x,cell\n1,2,3,-4\n": "whole number in the column cell, found '-4'",
        "z,y,x,cell\n1,2,3,nan\n": "expected a whole number in the column cell",
        "z,y,x,cell\n1,2,3,1e300\n": "whole number in the column cell, found '1e300'",
        f"z,y,x,cell\n1,2,3,{2**63}\n": "expected cells below",
        "z,y,x\n1,2,1e308\n": "expected a number up to .* found '1e308'",
        "z,y,x\n1,2,1e14\n": r"within 1e\+06 mm",
        "z,y,x\n1,2,1_000\n": "found '1_000'",
        "z,y,x\n1,2,\u0663\n": "found '\u0663'",
        "z,y,x\n1,2,\uff13\n": "found '\uff13'",
        "z,y,x,photons\n1,2,3,1e308\n": "in the column photons",
        f"z,y,x,name\n1,2,3,{'n' * 201}\n": "names of at most 200",
        f"z,y,{'x' * 200_000}\n1,2,3\n": "field larger than field limit",
        "z,y,x\n" + "1,2,3\n" * 100_001: "at most 100000 points, found more",
    }.items(),
)
def test_other_tables_are_refused_with_their_line(table, text, message):
    table.write_text(text, encoding="utf-8")
    assert str(refused(message, read_annotated, table, SPACING)).startswith(f"{table}: ")
