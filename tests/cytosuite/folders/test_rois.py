import shutil
import struct
import zipfile

import numpy as np
import pytest
import roifile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mistakes import refused
from roifile import ROI_OPTIONS, ROI_TYPE, ImagejRoi

from cytosuite.folders import rois
from cytosuite.folders.layouts import annotated
from cytosuite.folders.rois import read_rois, write_rois
from cytosuite.formats import write
from cytosuite.volume import Volume

SQUARE = [(1, 1), (4, 1), (4, 3), (1, 3)]  # six pixels


def _volume(array):
    return Volume(np.asarray(array), (1.0,) * np.ndim(array), "ZYX"[-np.ndim(array) :])


@pytest.fixture
def zipped(tmp_path):
    """Return the path of a file of ROIs."""
    return tmp_path / "a_rois.zip"


def _zip(path, *named, **options):
    """Write ROIs, or bytes, by their names."""
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, roi in named:
            archive.writestr(name, roi if isinstance(roi, bytes) else roi.tobytes())
    return path


def _roi(points=SQUARE, **more):
    roi = ImagejRoi.frompoints(points, name="")
    for key, value in more.items():
        setattr(roi, key, value)
    return roi


FINE = "x.roi", _roi()


def _labels(path, shape):
    """Return the labels of a file of ROIs beside an image, in words the counts."""
    write(path.with_name("a.mha"), _volume(np.zeros(shape, np.uint8)))
    (item,) = annotated(path.parent).items
    content = item.labels.read()
    return content.volume.array, {key: n for key, n in content.counts.items() if n}


shapes = st.lists(st.integers(1, 7), min_size=2, max_size=3)
values = st.sampled_from([0, 0, 1, 2, 70_000])


@settings(
    max_examples=40,
    suppress_health_check=[
        *settings.default.suppress_health_check,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(shapes.flatmap(lambda shape: arrays(np.uint32, tuple(shape), elements=values)))
def test_labels_come_back_as_they_went(zipped, labels):
    # With holes and pieces, at the border, with numbers of more than 16 bits, or none at all.
    write_rois(zipped, _volume(labels))
    regions, _ = read_rois(zipped, labels.shape)
    painted = np.zeros_like(labels)
    for region in regions:
        painted.flat[region.pixels] = region.label
    assert np.array_equal(painted, labels)


def test_each_label_has_one_roi_in_each_plane_and_the_same_bytes_each_time(tmp_path):
    labels = np.zeros((9, 8, 8), np.uint16)
    labels[6:8, :3, :3], labels[6, 1, 1], labels[7, 5:, 5:] = 12, 0, 12
    for name in ("a", "b"):
        write_rois(tmp_path / name, _volume(labels))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    shutil.copy(tmp_path / "a", tmp_path / "a.zip")
    regions = roifile.roiread(tmp_path / "a.zip")
    assert [(roi.name, roi.position) for roi in regions] == [("0012-z007", 7), ("0012-z008", 8)]
    assert [roi.composite for roi in regions] == [True, True]  # a hole, two pieces
    with zipfile.ZipFile(tmp_path / "a") as archive:
        assert archive.namelist() == ["0012-z007.roi", "0012-z008.roi"]


KINDS = [
    (_roi(), 6),
    (_roi(roitype=ROI_TYPE.POLYGON), 6),
    (_roi(np.array(SQUARE) + 0.4), 6),
    (_roi(np.array(SQUARE) + 0.6), 6),
    (_roi(roitype=ROI_TYPE.RECT, right=4, bottom=3), 6),
    (_roi(roitype=ROI_TYPE.OVAL, left=0, top=0, right=4, bottom=4), 12),
    (_roi(roitype=ROI_TYPE.POINT), 0),
    (_roi(roitype=ROI_TYPE.FREELINE), 0),
    (_roi(roitype=ROI_TYPE.LINE), 0),
]


@pytest.mark.parametrize("roi, area", KINDS)
def test_areas_of_all_kinds_are_objects_and_points_and_lines_are_counted(zipped, roi, area):
    labels, counts = _labels(_zip(zipped, ("x.roi", roi)), (6, 6))
    assert np.count_nonzero(labels) == area
    assert counts == ({"objects": 1} if area else {"no areas": 1})


def test_what_reaches_beyond_the_image_is_cut_and_counted(zipped):
    beyond = np.array([(-2, -2), (2, -2), (2, 2), (-2, 2)])
    labels, counts = _labels(
        _zip(zipped, ("x.roi", _roi(beyond)), ("y.roi", _roi(beyond + 50))), (5, 5)
    )
    assert labels.tolist() == np.pad([[1, 1], [1, 1]], (0, 3)).tolist()
    assert counts == {"objects": 2, "clipped": 2, "empty": 1}


def _placed(entry, z=0, x=0, **more):
    return f"{entry}.roi", _roi(np.add(SQUARE, [x, 0]), **{"position": z, **more})


@pytest.mark.parametrize(
    "named, middle",
    [
        # names of ours are labels, others come after them; ImageJ calls a copy 0012-1
        ([_placed("0012"), _placed("0305-0007", x=4)], {1: 12, 5: 13}),
        ([_placed("0012"), _placed("0012-1", x=4, name="0012")], {1: 12, 5: 12}),
        ([_placed("0012"), _placed("0012-1", x=4)], {1: 12, 5: 13}),
        ([_placed("00012"), _placed("12", x=4)], {1: 1, 5: 2}),
        # of a plane each ROI is an object
        ([_placed("cell", name="cell"), _placed("cell-1", x=4, name="cell")], {1: 1, 5: 2}),
    ],
)
def test_rois_of_a_plane_are_labels_by_their_names(zipped, named, middle):
    labels, _ = _labels(_zip(zipped, *named), (4, 9))
    assert {x: int(labels[1, x]) for x in middle} == middle


@pytest.mark.parametrize(
    "named, column",
    [
        ([_placed("0012-z002", 2), _placed("0012-z004", 4)], [0, 12, 0, 12]),
        ([_placed("0012-z002"), _placed("0012", 4)], [0, 12, 0, 12]),
        ([_placed("0012-z002", 3)], [0, 0, 12, 0]),  # the position counts
        ([_placed("0002-0305-0007"), _placed("0003-0305-0007", 4)], [0, 1, 0, 2]),
        ([_placed("a", z_position=1), _placed("b", z_position=2)], [1, 2, 0, 0]),
        # one name in successive planes is one object
        ([_placed(n, z, name="a") for n, z in (("a", 1), ("a-1", 2), ("a-2", 4))], [1, 1, 0, 2]),
        ([_placed("a", 1), _placed("b", z_position=2, t_position=2)], [1, 0, 0, 0]),
    ],
)
def test_rois_of_a_stack_are_objects_over_planes(zipped, named, column):
    labels, _ = _labels(_zip(zipped, *named), (4, 6, 6))
    assert labels[:, 1, 1].tolist() == column


@pytest.mark.parametrize(
    "roi, plane",
    [
        (_placed("a", 3), 1),
        (_placed("0005-0305-0007"), 2),  # of ImageJ: flat, as positions
        (_placed("0012-z003", 3), 2),  # ours: of the labels, which have no channels
        (_placed("a", 1, z_position=2), 1),
    ],
)
def test_flat_positions_in_a_stack_of_channels_count_through_them(tmp_path, zipped, roi, plane):
    write(tmp_path / "a.tif", Volume(np.zeros((2, 3, 6, 6), np.uint8), (1.0,) * 3, "CZYX"))
    _zip(zipped, roi)
    (item,) = annotated(tmp_path).items
    assert np.flatnonzero(item.labels.read().volume.array.any((1, 2))).tolist() == [plane]


@pytest.mark.parametrize(
    "place", ["a_rois.zip", "RoiSet.zip", "a.roi", "labels/a_rois.zip", "rois/a.roi"]
)
def test_rois_are_found_beside_images_and_in_folders(tmp_path, place):
    images = tmp_path / "images" if "/" in place else tmp_path
    write(images / "a.tif", _volume(np.zeros((6, 6), np.uint8)))
    path = tmp_path / place
    path.parent.mkdir(exist_ok=True)
    _roi().tofile(path) if path.suffix == ".roi" else _zip(path, FINE)
    (item,) = annotated(tmp_path).items
    assert np.count_nonzero(item.labels.read().volume.array) == 6


def test_rois_count_before_a_label_image_of_their_name(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / f"images/{name}.tif", _volume(np.zeros((6, 6), np.uint8)))
        write(tmp_path / f"labels/{name}.tif", _volume(np.ones((6, 6), np.uint8)))
    assert annotated(tmp_path).items == ()  # label images alone are read elsewhere
    _zip(tmp_path / "labels/a_rois.zip", FINE)
    contents = [item.labels.read() for item in annotated(tmp_path).items]
    assert [np.count_nonzero(content.volume.array) for content in contents] == [6, 36]
    assert [content.counts.get("replaced", 0) for content in contents] == [1, 0]


def _truncated(path):
    _zip(path, FINE)
    path.write_bytes(path.read_bytes()[:-30])


def _one_name_twice(path):
    with pytest.warns(UserWarning, match="Duplicate"):
        _zip(path, FINE, FINE)


def _a_bomb(path):
    _zip(path, ("x.roi", bytes(rois.LARGEST + 1)))


def _as_large_as_many(path):
    content = bytearray(_zip(path, FINE).read_bytes())
    struct.pack_into("<I", content, content.index(b"PK\x01\x02") + 24, rois.BYTES + 1)
    path.write_bytes(content)


def _too_many_corners(path):
    _zip(path, ("x.roi", _roi(np.zeros((rois.CORNERS + 1, 2), np.int32))))


def _absurd_places(path):
    roi = _roi(np.array(SQUARE, float))
    roi.subpixel_coordinates[0] = 1e30
    _zip(path, ("x.roi", roi))


def _two_files(path):
    _zip(path, FINE)
    _roi().tofile(path.with_name("a.roi"))


def _two_folders(path):
    for place in (path, path.parent / "rois/a_rois.zip"):
        _zip(place, FINE)


STEPS = np.array([0, 1, 1, 3, 1, 1, 2, 2, 3, 3], np.float32)
CURVE = _roi(roitype=ROI_TYPE.RECT, shape_roi_size=10, multi_coordinates=STEPS)
WHOLE = _roi([(0, 0), (9, 0), (9, 9), (0, 9)])
MISTAKES = [
    ("cannot be unpacked", _truncated),
    ("expected ROIs, found an empty zip file", _zip),
    ("expected ROIs without folders, like 0012.roi, found x.txt", _zip, ("x.txt", b"")),
    ("expected ROIs without folders, like 0012.roi, found x/y.roi", _zip, ("x/y.roi", _roi())),
    ("found a second file: 'x.roi'", _one_name_twice),
    ("expected x.roi of at most", _a_bomb),
    ("expected at most 262144 files of 536870912 bytes together", _as_large_as_many),
    ("ROI x: expected at most 524288 corners", _too_many_corners),
    ("ROI x: expected corners nearer than", _absurd_places),
    ("ROI x: expected it in plane 1 to 1, found it in 3", _zip, ("x.roi", _roi(position=3))),
    (
        "ROI x: expected straight lines, found curves",
        _zip,
        ("x.roi", _roi(options=ROI_OPTIONS.SPLINE_FIT)),
    ),
    ("ROI x: expected straight lines, found curves", _zip, ("x.roi", CURVE)),
    ("ROI x: cannot be read, cut or broken", _zip, ("x.roi", bytes(99))),
    (
        "ROI 8: expected objects that cover an image 8 times at most",
        _zip,
        *((f"{n}.roi", WHOLE) for n in range(9)),
    ),
    ("expected one file named a, found a.roi and a_rois.zip", _two_files),
    ("expected ROIs in one folder, found them in", _two_folders),
]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_explains(tmp_path, zipped, mistake):
    text, make, *arguments = mistake
    make(zipped, *arguments)
    line = str(refused("", _labels, zipped, (5, 5)))
    assert text in line
    assert str(tmp_path) in line


def test_a_roi_of_a_stack_needs_a_plane(zipped):
    for roi, line in ((_roi(), "plane 1 to 4, found none"), (_roi(position=5), "found it in 5")):
        refused(line, read_rois, _zip(zipped, ("x.roi", roi)), (4, 6, 6))


@pytest.mark.parametrize(
    "array, line",
    [
        (np.zeros((2, 2, 2, 2), np.uint8), "found axes TZYX"),
        (np.zeros((2, 2), np.float32), "found axes YX of float32"),
        (np.full((2, 2), -1), "expected labels from 0"),
        (np.full((2, 2), 2**31), "expected labels from 0"),
        (np.zeros((1, 60_536), np.uint8), "at most 60535 pixels"),
    ],
)
def test_labels_that_rois_cannot_hold_are_refused_and_nothing_is_left(
    tmp_path, zipped, array, line
):
    refused(
        line, write_rois, zipped, Volume(array, (1.0,) * min(array.ndim, 3), "TZYX"[-array.ndim :])
    )
    assert list(tmp_path.iterdir()) == []
