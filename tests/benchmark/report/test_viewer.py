"""The slice viewer in a browser, driven by keys and mouse; pixels of its canvases are looked at."""

import re
from dataclasses import replace

import numpy as np
import pytest
from chromium import Chromium

from cytosuite.benchmark.pictures.scenes import read_scene
from cytosuite.benchmark.report import page, write_report
from cytosuite.benchmark.report.index import index
from cytosuite.benchmark.report.section import views
from cytosuite.benchmark.results.results import Matches
from cytosuite.formats import write
from cytosuite.volume import Volume

pytestmark = pytest.mark.slow

EVIL = "</script><img src=x onerror=alert(1)>\u2028<!--"
RED, SKY, ORANGE, PINK = (213, 94, 0), (86, 180, 233), (230, 159, 0), (204, 121, 167)
YELLOW, GREEN = (240, 228, 66), (0, 158, 115)
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
    truth, answer = np.zeros(SHAPE, np.uint16), np.zeros(SHAPE, np.uint16)
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
        write(files[name], Volume(array, (2.0, 0.5, 0.5)))
    results = make(cases=("a", "b"))
    cases = [
        replace(
            case,
            inputs={"microscopy-image": files["image"]},
            truth={"instance-labels": files["truth"]},
        )
        for case in results.cases
    ]
    found = Matches(
        (20,), (9, 301), 5,
        {20: "missed", 30: "split", 40: "merged", 50: "merged"},
        {9: "false", 301: "split", 8: "merged"},
    )  # fmt: skip
    return replace(
        results,
        cases=cases,
        outputs={pair: {"instance-labels": files["answer"]} for pair in results.outputs},
        matches=dict.fromkeys(results.matches, found),
    )


@pytest.fixture
def drive(tmp_path_factory, browser):
    """Return a function that opens the report of a run in the viewer."""
    opened = []

    def start(results, fragment="#case-0", width=1300, before=""):
        folder = tmp_path_factory.mktemp("viewer")
        index_file = write_report(results, folder / "report")
        if before:
            text = index_file.read_text()
            index_file.write_text(text.replace("<head>", f"<head><script>{before}</script>", 1))
        found = Chromium(browser, folder / "profile", width)
        opened.append(found)
        found.open(index_file, fragment)
        if not before:
            found.wait("panels && panels.state.shown && document.querySelector('.stage canvas')")
            found.run(
                "document.querySelector('.stage').scrollIntoView("
                "{block: 'center', behavior: 'instant'})"
            )
            settle(found)
        return found

    yield start
    for found in opened:
        found.close()


def settle(page_):
    """Wait until all volumes of the panels are decoded and drawn."""
    page_.wait("[...panels.state.shown.ready.values()].every((volume) => volume)")
    page_.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def press(page_, *keys):
    """Press keys one after the other, and wait for the picture."""
    for key in keys:
        page_.key(key)
    settle(page_)


def near(page_, box, colour, panel=0):
    """Return how many pixels around a box of voxels (rows, columns) of XY have a colour."""
    (rows, columns), (_, height, width) = box[1:], SHAPE
    code = f"""(() => {{
        const canvas = document.querySelectorAll(".stage canvas")[{panel}];
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


def middle(page_, panel=0):
    """Return the middle of a panel on the screen."""
    box = f"document.querySelectorAll('.stage canvas')[{panel}].getBoundingClientRect()"
    return page_.run(
        f"(() => {{ const b = {box}; return [b.x + b.width / 2, b.y + b.height / 2]; }})()"
    )


def z_of(page_):
    return int(page_.run("document.querySelector('[data-part=slider]').value"))


def test_decoded_volumes_are_the_written_ones(run, drive):
    page_ = drive(run)
    scene = read_scene(run, run.task.main_output, run.cases[0], ["good"])
    data = page_.run("JSON.parse(document.getElementById('data-0').textContent).outputs[0]")
    for place, expected in ((0, scene.truth), (data, scene.outputs["good"])):
        found = page_.run(
            "slices.decode(JSON.parse(document.getElementById('data-0').textContent)"
            f".volumes[{place}]).then((volume) => Array.from(volume.data))"
        )
        np.testing.assert_array_equal(np.reshape(found, SHAPE), expected.array)
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


def test_outlines_are_switched_by_keys_and_buttons(run, drive):
    page_ = drive(run)
    press(page_, "2", "1", "Home", "t")
    assert near(page_, BOXES[1], SKY) == 0
    assert near(page_, BOXES[1], ORANGE) > 20
    press(page_, "p")
    assert near(page_, BOXES[1], ORANGE) == 0
    assert near(page_, BOXES[4], GREEN) > 20
    press(page_, "t", "e")
    assert near(page_, BOXES[4], GREEN) == 0
    assert near(page_, BOXES[4], SKY) > 20
    page_.run("document.querySelector('[data-show=truth]').click()")
    settle(page_)
    assert near(page_, BOXES[4], SKY) == 0


def test_slices_change_by_keys_wheel_and_slider(run, drive):
    page_ = drive(run)
    x, y = middle(page_)
    page_.click(x, y)
    press(page_, "Home", "ArrowUp", "PageUp")
    assert z_of(page_) == 3
    page_.mouse("mouseWheel", x, y, deltaX=0, deltaY=100)
    page_.wait("document.querySelector('[data-part=slider]').value === '2'")
    assert text(page_, "where") == "z 3 of 6"
    slider = "document.querySelector('[data-part=slider]')"
    page_.run(f"{slider}.value = 5; {slider}.dispatchEvent(new Event('input', {{bubbles: true}}))")
    settle(page_)
    assert text(page_, "where") == "z 6 of 6"
    label = page_.run("document.querySelector('.stage canvas').getAttribute('aria-label')")
    assert label.startswith("good, XY plane, z 6 of 6: 1 missed, 1 false, 1 split, 1 merged")


def test_the_page_scrolls_on_until_the_viewer_is_used(run, drive):
    page_ = drive(run)
    page_.run("document.activeElement.blur()")
    before = z_of(page_)
    page_.mouse("mouseWheel", *middle(page_), deltaX=0, deltaY=100)
    settle(page_)
    assert z_of(page_) == before


def test_planes_have_the_proportions_of_micrometres(run, drive):
    page_ = drive(run)
    ratio = "(() => { const c = document.querySelector('.stage canvas'); return c.width / c.height; })()"
    found = []
    for key in "123":
        press(page_, key)
        found.append(page_.run(ratio))
    assert found == pytest.approx([30 / 20, 30 / 12, 12 / 20], rel=0.02)
    press(page_, "4")
    assert page_.run("document.querySelectorAll('.stage canvas').length") == 3


def test_zoom_and_place_are_the_same_in_all_panels(run, drive):
    page_ = drive(run)
    press(page_, "s")
    assert page_.run("document.querySelectorAll('.stage canvas').length") == 3  # truth, good, fair
    at = middle(page_, 1)
    pictures = "[...document.querySelectorAll('.stage canvas')].map((c) => c.toDataURL())"
    before = page_.run(pictures)
    page_.mouse("mouseWheel", *at, deltaX=0, deltaY=-200, modifiers=2)
    page_.wait("document.querySelector('[data-part=zoom]').textContent === '195 %'")
    after = page_.run(pictures)
    assert all(old != new for old, new in zip(before, after, strict=True))
    assert after[1] == after[2]  # both algorithms have the same answer
    page_.mouse("mousePressed", *at, button="left", clickCount=1)
    page_.mouse("mouseMoved", at[0] + 30, at[1], button="left", buttons=1)
    page_.mouse("mouseReleased", at[0] + 30, at[1], button="left", clickCount=1)
    settle(page_)
    assert page_.run(pictures)[0] != after[0]
    press(page_, "0")
    assert page_.run(pictures) == before


def test_the_next_error_is_found_and_named(run, drive):
    page_ = drive(run)
    rows = "[...document.querySelectorAll('[data-error]')].map((row) => row.firstChild.nextSibling.data)"
    named = page_.run(rows)
    assert sorted(named) == ["false 9", "merged 8", "missed 20", "split 30"]
    order = [text(page_, "readout") for _ in range(4) if not press(page_, "x")]
    assert [re.search(r"\d: (\w+)", said)[1] for said in order] == [
        name.split()[0] for name in named
    ]
    press(page_, *["x"] * (named.index("false 9") + 1))
    assert z_of(page_) == 5
    assert text(page_, "zoom") == "200 %"


def test_pointing_reads_labels_place_and_grey_value(run, drive):
    page_ = drive(run)
    press(page_, "Home")
    corner = page_.run("(({x, y, width, height}) => [x, y, width / 60, height / 40])"
                       "(document.querySelector('.stage canvas').getBoundingClientRect())")  # fmt: skip
    page_.mouse("mouseMoved", corner[0] + 5.6 * corner[2], corner[1] + 4.6 * corner[3])
    settle(page_)
    said = text(page_, "readout")
    assert "voxel [0, 4, 5]" in said
    assert "z 1.0, y 2.3, x 2.8 µm" in said
    assert "label 10 (matched), IoU ≈ 1.00" in said
    assert "prediction 7 (matched), IoU ≈ 1.00" in said
    assert "grey" in said


def test_cases_and_algorithms_follow_keys_links_and_address(run, drive):
    page_ = drive(run, "#case-1")
    assert text(page_, "name") == "b"
    press(page_, ",")
    assert text(page_, "name") == "a"
    assert page_.run("location.hash") == "#case-0"
    page_.run("document.getElementById('case-1').click()")
    settle(page_)
    assert text(page_, "name") == "b"
    assert page_.run("document.activeElement.dataset.part") == "stage"
    page_.run("location.hash = '#case-0'")
    page_.wait("panels.state.shown.place === 0")
    press(page_, "a")
    assert page_.run("document.querySelector('.stage figcaption .name').textContent") == "fair"


def test_images_are_compared_by_their_difference(make, drive):
    page_ = drive(make(task="fuse"))
    titles = "[...document.querySelectorAll('.stage figcaption .name')].map((it) => it.textContent)"
    assert page_.run(titles) == [
        "Light-sheet view", "Second light-sheet view", "Truth", "good", "good minus truth",
    ]  # fmt: skip
    press(page_, "e", "s")
    assert page_.run(titles)[3:] == ["good", "fair"]
    assert page_.complaints == []


@pytest.mark.parametrize("task", ["enhance", "synthesise"])
def test_other_tasks_draw_without_complaint(make, drive, task):
    page_ = drive(make(task=task))
    press(page_, "4", "s", "ArrowUp")
    assert page_.complaints == []


def test_a_flat_image_has_no_slider(make, drive):
    page_ = drive(make(shape=(24, 24)))
    assert page_.run("document.querySelector('[data-part=slices]').hidden")
    press(page_, "ArrowUp", "4", "+")
    assert page_.run("document.querySelectorAll('.stage canvas').length") == 1
    assert page_.complaints == []


def test_hostile_names_are_text_and_nothing_is_asked_for(make, drive):
    results = make(cases=(EVIL, "b"), algorithms=(EVIL, "fair"))
    page_ = drive(results, before="window.alert = () => { window.fooled = true; }")
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
    shown = "getComputedStyle(document.querySelector('.stills')).display"
    assert page_.run(shown) == "grid"
    assert page_.run(shown) == "grid"
    assert page_.run("getComputedStyle(document.querySelector('.stage')).display") == "none"


def test_print_has_stills_and_no_viewer(run, drive):
    page_ = drive(run)
    shown = (
        "['.stills', '.viewer'].map((it) => getComputedStyle(document.querySelector(it)).display)"
    )
    assert page_.run(shown) == ["none", "grid"]
    page_.call("Emulation.setEmulatedMedia", media="print")
    assert page_.run(shown) == ["grid", "none"]


def test_the_slider_is_in_view_however_many_panels_there_are(run, drive):
    page_ = drive(run, "#pictures")
    page_.call("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)  # fmt: skip
    page_.run("document.documentElement.style.scrollBehavior = 'auto'")
    for key in ("1", "4", "s"):
        press(page_, key)
        page_.run("document.getElementById('pictures').scrollIntoView()")
        slider = "document.querySelector('[data-part=slider]').getBoundingClientRect()"
        top, bottom = page_.run(f"[{slider}.top, {slider}.bottom]")
        assert 64 < top < bottom <= 900
        covered = "document.querySelector('.stage').getBoundingClientRect().bottom"
        assert key != "1" or page_.run(covered) < top


def test_a_phone_has_one_panel_within_its_width(run, drive):
    page_ = drive(run)
    page_.call("Emulation.setDeviceMetricsOverride", width=390, height=800, deviceScaleFactor=2, mobile=True)  # fmt: skip
    settle(page_)
    page_.wait("document.querySelector('.stage canvas').getBoundingClientRect().width < 390")
    assert page_.run("document.documentElement.scrollWidth") <= 390
    heights = page_.run(
        "[...document.querySelectorAll('.viewer button')].filter((it) => it.offsetParent)"
        ".map((it) => it.offsetHeight)"
    )
    assert min(heights) >= 44


def test_data_cannot_end_its_script(make):
    indexed = index(make(cases=(EVIL, "b"), algorithms=(EVIL, "fair")))
    html = page.html(indexed, views(indexed))
    assert EVIL not in html
    assert "\u2028" not in "".join(re.findall(r"<script.*?</script>", html, re.S))
