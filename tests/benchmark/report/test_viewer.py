"""The slice viewer in a browser, driven by keys and mouse; pixels of its canvases are looked at."""

from dataclasses import replace

import numpy as np
import pytest
from toys import put

from cytosuite.benchmark.report import write_report
from cytosuite.benchmark.report.pictures.scenes import read_scene
from cytosuite.benchmark.scores.matches import write_links
from cytosuite.benchmark.scores.results import Matches
from cytosuite.contract.tracks import Track, write_tracks
from cytosuite.figures.svg import rgb
from cytosuite.formats import write
from cytosuite.metrics.tracks.tracking import LinkError
from cytosuite.volume import Volume

pytestmark = pytest.mark.slow

EVIL = "</script><img src=x onerror=alert(1)>\u2028<!--"
RED, SKY, ORANGE, PINK = map(rgb, ("missed", "truth", "right", "false"))
YELLOW, GREEN = map(rgb, ("split", "merged"))
SHAPE = (6, 40, 60)
BOXES = {  # number: slices, rows, columns
    1: (slice(0, 6), slice(2, 10), slice(2, 10)),
    2: (slice(2, 4), slice(2, 10), slice(40, 50)),  # missed, in two slices
    3: (slice(0, 6), slice(24, 36), slice(4, 20)),  # split
    4: (slice(0, 6), slice(24, 32), slice(34, 42)),  # merged with the next
    5: (slice(0, 6), slice(24, 32), slice(42, 50)),
}


@pytest.fixture
def run(make, tmp_path):
    """Return a run with an object of each class, on black, in two cases."""
    truth = np.zeros(SHAPE, np.uint16)
    answer = np.zeros(SHAPE, np.uint16)
    for label, box in BOXES.items():
        truth[box] = 10 * label
    answer[BOXES[1]] = 7
    answer[BOXES[3]] = 300
    answer[:, 24:36, 12:20] = 301
    answer[:, 24:32, 34:50] = 8
    answer[5, 14:20, 30:36] = 9  # false, in the last slice
    files = {}
    image = np.zeros(SHAPE, np.uint16)
    image[:, 16, 25] = 900
    for name, array in {"image": image, "truth": truth, "answer": answer}.items():
        files[name] = tmp_path / f"{name}-of-run.tif"
        put(files[name], array)
    results = make(cases=("a", "b"))
    cases = [
        replace(
            case,
            inputs={"microscopy-image": files["image"]},
            truth={"instance-labels": files["truth"]},
        )
        for case in results.cases
    ]
    matches = Matches(
        (20,), (9, 301), 5,
        {20: "missed", 30: "split", 40: "merged", 50: "merged"},
        {9: "false", 301: "split", 8: "merged"},
    )  # fmt: skip
    return replace(
        results,
        cases=cases,
        outputs={pair: {"instance-labels": files["answer"]} for pair in results.outputs},
        matches=dict.fromkeys(results.matches, matches),
    )


@pytest.fixture
def drive(tmp_path, window):
    def start(results, fragment="#case-0", before=""):
        index_file = write_report(results, tmp_path / "report")
        if before:
            index_file.write_text(
                index_file.read_text().replace("<head>", f"<head><script>{before}</script>", 1)
            )
        window.open(index_file, fragment)
        if not before:
            window.wait("panels && panels.state.shown && document.querySelector('.stage canvas')")
            settle(window)
        return window

    return start


def settle(page_):
    """Wait until all is drawn: a frame asks for the volumes that it lacks, a later one shows them."""
    drawn = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    page_.run(drawn)
    page_.wait("[...panels.state.shown.ready.values()].every((volume) => volume)")
    page_.run(drawn)


def press(page_, *keys):
    for key in keys:
        page_.key(key)
    settle(page_)


def near(page_, box, colour):
    """Return how many pixels around a box of voxels (rows, columns) of XY have a colour."""
    (rows, columns), (_, height, width) = box[1:], SHAPE
    code = f"""(() => {{
        const canvas = document.querySelector(".stage canvas");
        const [x, y] = [canvas.width / {width}, canvas.height / {height}];
        const [left, top] = [({columns.start} - 1) * x, ({rows.start} - 1) * y].map(Math.round);
        const [wide, high] = [({columns.stop - columns.start} + 2) * x, ({rows.stop - rows.start} + 2) * y];
        const pixels = canvas.getContext("2d").getImageData(left, top, Math.round(wide), Math.round(high)).data;
        let count = 0;
        for (let n = 0; n < pixels.length; n += 4)
            count += {list(colour)}.every((part, k) => Math.abs(pixels[n + k] - part) < 30);
        return count;
    }})()"""
    return page_.run(code)


def text(page_, part):
    return page_.run(f"document.querySelector('[data-part={part}]').textContent")


def z_of(page_):
    return int(page_.run("document.querySelector('[data-part=slider]').value"))


def test_decoded_volumes_are_the_written_ones(run, drive):
    page_ = drive(run)
    scene = read_scene(run, run.task.main_output, run.cases[0], ["good"])
    data = page_.run("JSON.parse(document.getElementById('data-0').textContent).outputs[0]")
    for place, expected in ((0, scene.truth), (data, scene.outputs["good"])):
        voxels = page_.run(
            "slices.decode(JSON.parse(document.getElementById('data-0').textContent)"
            f".volumes[{place}]).then((volume) => Array.from(volume.data))"
        )
        np.testing.assert_array_equal(np.reshape(voxels, SHAPE), expected.array)
    image = page_.run(
        "slices.decode(panels.state.shown.data.volumes[panels.state.shown.data.inputs[0]])"
        ".then((volume) => [volume.data.length, volume.data[2 * 2400 + 16 * 60 + 25], volume.data[0]])"
    )
    assert image[0] == np.prod(SHAPE)
    assert image[1] > 200
    assert image[2] < 20


def test_each_error_has_its_colour_in_its_slices_only(run, drive):
    page_ = drive(run)
    false = (None, slice(14, 20), slice(30, 36))
    press(page_, "Home")
    assert z_of(page_) == 0
    assert near(page_, BOXES[2], RED) == 0
    assert near(page_, BOXES[1], SKY) > 20
    assert near(page_, BOXES[1], ORANGE) > 20
    assert near(page_, BOXES[3], YELLOW) > 20
    assert near(page_, BOXES[4], GREEN) > 20
    assert near(page_, BOXES[3], SKY) == near(page_, BOXES[4], SKY) == 0
    press(page_, "ArrowUp", "ArrowUp")
    assert near(page_, BOXES[2], RED) > 20
    assert near(page_, false, PINK) == 0
    press(page_, "End")
    assert near(page_, BOXES[2], RED) == 0
    assert near(page_, false, PINK) > 20
    assert page_.complaints == []


def test_errors_of_all_sides_are_listed_and_stepped_through(run, drive):
    fewer = Matches((20,), (), 5, {20: "missed"}, {})
    matches = {
        pair: fewer if pair[0] == "fair" else matched for pair, matched in run.matches.items()
    }
    page_ = drive(replace(run, matches=matches))
    press(page_, "s")
    rows = "[...document.querySelectorAll('[data-error] small')].map((row) => row.textContent)"
    sides = [row.split(", ")[0] for row in page_.run(rows)]
    assert sorted(sides) == ["fair", *["good"] * 4]
    said = [text(page_, "readout").split(", ")[1:3] for _ in sides if not press(page_, "x")]
    assert [name for _, name in said] == sides  # in their order
    assert text(page_, "counts").count("fair: ") == text(page_, "counts").count("good: ") == 1
    press(page_, "s")
    assert [row.split(" ")[0] for row in page_.run(rows)] == ["z"] * 4
    places = [z_of(page_) for _ in sides if not press(page_, "x")]
    assert (5 in places, text(page_, "zoom")) == (True, "200 %")
    assert page_.complaints == []


def test_before_it_is_in_view_a_still_stands_in_the_viewer_and_on_paper_below(run, drive):
    page_ = drive(run, "", before="window.IntersectionObserver = class { observe() {} }")
    shown = "(place) => getComputedStyle(document.querySelector(place)).display"
    assert page_.run("document.querySelector('.stage img').naturalWidth") > 10
    page_.call("Emulation.setEmulatedMedia", media="print")
    assert page_.run(f"['.viewer', '.stills'].map({shown})") == ["none", "grid"]


def test_hints_follow_the_hand(run, drive):
    page_ = drive(run)
    hint = "document.querySelector('.readout').innerText.split(' ')[0]"
    assert page_.run(hint) == "Point"
    page_.call("Emulation.setTouchEmulationEnabled", enabled=True)
    assert page_.run(hint) == "Tap"


def test_pointing_reads_labels_place_and_grey_value(run, drive):
    page_ = drive(run)
    press(page_, "Home")
    where = """((canvas) => {
        canvas.scrollIntoView({block: 'center', behavior: 'instant'});
        const {x, y, width, height} = canvas.getBoundingClientRect();
        return [x + 5.6 * width / 60, y + 4.6 * height / 40];
    })(document.querySelector('.stage canvas'))"""
    for _ in range(20):  # a busy browser scrolls late to the part that the address names
        page_.mouse("mouseMoved", *page_.run(where))
        settle(page_)
        said = text(page_, "readout")
        if "voxel [0, 4, 5]" in said:
            break
    assert "voxel [0, 4, 5]" in said
    assert "z 1.0, y 2.3, x 2.8 µm" in said
    assert "label 10 (matched), IoU ≈ 1.00" in said
    assert "prediction 7 (matched), IoU ≈ 1.00" in said
    assert "grey" in said


@pytest.fixture
def film(make, tmp_path):
    """Return a run of a film of two cells that a tracker swaps in the last of three frames."""
    truth = np.zeros((3, 40, 60), np.uint16)
    for frame, image in enumerate(truth):
        across = slice(4 + 12 * frame, 12 + 12 * frame)
        image[4:10, across] = 5
        image[24:30, across] = 6
    answer = truth.copy()
    answer[2] = np.where(truth[2] == 5, 6, np.where(truth[2] == 6, 5, 0))
    for name, array in {"image": np.zeros_like(truth), "truth": truth, "answer": answer}.items():
        write(tmp_path / f"{name}-film.tif", Volume(array, (0.5, 0.5), "TYX"))
    write_tracks(tmp_path / "tracks.csv", [Track(5, 0, 2), Track(6, 0, 2)])
    write_links(tmp_path / "links.csv", [LinkError("swap", 2, "truth", n) for n in (5, 6)])

    def sockets(name):
        return {"tracked-labels": tmp_path / f"{name}-film.tif", "tracks": tmp_path / "tracks.csv"}

    results = make(cases=("a",), task="track")
    inputs = {"microscopy-movie": tmp_path / "image-film.tif"}
    return replace(
        results,
        cases=[replace(results.cases[0], inputs=inputs, truth=sockets("truth"))],
        outputs={("good", "a"): sockets("answer")},
        matches={},
        links={("good", "a"): tmp_path / "links.csv"},
    )


def test_the_slider_of_a_film_goes_through_its_frames_and_the_next_error_leads_to_its_frame(
    film, drive
):
    page_ = drive(film)
    assert page_.run("document.querySelector('[data-plane]').offsetParent") is None
    press(page_, "Home")
    way = (None, slice(6, 8), slice(14, 25))  # between the cell's first place and its last
    assert near(page_, way, ORANGE) == 0
    press(page_, "End")
    assert text(page_, "where") == "frame 3 of 3"
    assert near(page_, way, SKY) > 20
    press(page_, "l")
    assert near(page_, way, SKY) == 0
    press(page_, "Home", "x")
    assert "Error 1 of 2: swap, truth 5, frame 3" in text(page_, "readout")
    assert z_of(page_) == 2
    assert page_.complaints == []


def test_channels_follow_each_other_under_the_outlines(run, drive, tmp_path):
    path = tmp_path / "nuclei.tif"
    nuclei = np.zeros(SHAPE, np.uint16)
    nuclei[:, 10:22, 51:] = 900
    put(path, nuclei)
    page_ = drive(
        replace(run, cases=[replace(case, channels={"nuclei": path}) for case in run.cases])
    )
    there = (slice(0, 6), slice(16, 18), slice(52, 58))
    assert (text(page_, "channel"), near(page_, there, (255, 255, 255))) == ("Input", 0)
    press(page_, "c")
    assert text(page_, "channel") == "nuclei"
    assert near(page_, there, (255, 255, 255)) > 100
    press(page_, "c")
    assert text(page_, "channel") == "Input"


def test_hostile_names_are_text_and_nothing_is_asked_for(make, drive):
    page_ = drive(
        make(cases=(EVIL, "b"), algorithms=(EVIL, "fair")),
        before="window.alert = () => { window.fooled = true; }",
    )
    page_.wait("panels.state.shown")
    press(page_, "s", "x")
    assert text(page_, "name") == EVIL
    assert page_.run("window.fooled === undefined")
    assert page_.run("document.querySelectorAll('img[src=x]').length") == 0
    assert [url for url in page_.requests if not url.startswith(("data:", "file:"))] == []
    assert page_.complaints == []


def test_a_browser_that_cannot_unpack_says_so_and_shows_stills(run, drive):
    page_ = drive(run, before="delete window.DecompressionStream")
    assert "cannot unpack" in text(page_, "trouble")
    assert page_.run("getComputedStyle(document.querySelector('.stills')).display") == "grid"
    assert page_.run("getComputedStyle(document.querySelector('.stage')).display") == "none"


def test_all_panels_and_the_slider_are_in_view_together(run, drive):
    page_ = drive(run)
    page_.call(
        "Emulation.setDeviceMetricsOverride",
        width=1280,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    for keys in ("", "4", "1s"):  # one plane, all planes, side by side
        press(page_, *keys)
        page_.run("document.getElementById('viewer').scrollIntoView({behavior: 'instant'})")
        edges = page_.run("""(() => {
            const box = (selector) => document.querySelector(selector).getBoundingClientRect();
            const [stage, slider] = [box("[data-part=stage]"), box("[data-part=slices]")];
            return [box("nav").bottom, stage.top, stage.bottom, slider.top, slider.bottom, innerHeight];
        })()""")
        assert edges == sorted(edges), keys
