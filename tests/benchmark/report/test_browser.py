from dataclasses import replace

import pytest

from cytosuite.benchmark.report import write_report

pytestmark = pytest.mark.slow

# Scripts of the tests come before the policy of the page, which lets none run but its own.
PROBE = """<head>
<script>
addEventListener("DOMContentLoaded", () => {
  const data = document.documentElement.dataset;
  const table = document.querySelector(".grid-0 table");
  const cases = () => Array.from(table.tBodies[0].rows, (row) => row.cells[0].textContent).join();
  const [name, score] = table.tHead.querySelectorAll("button");
  score.click();
  data.falling = cases() + score.parentElement.getAttribute("aria-sort");
  score.click();
  data.rising = cases() + score.parentElement.getAttribute("aria-sort");
  name.click();
  data.named = cases();

  const shown = (selector) => getComputedStyle(document.querySelector(selector)).display !== "none";

  document.querySelector(".strip [data-case='1']")
    .dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  data.lit = document.querySelectorAll(".strip .lit").length;
  document.querySelector(".condition-0 tr[data-line='1']")
    .dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
  data.found = Array.from(document.querySelectorAll(".panel .lit"), (it) => it.dataset.line).join();
  const tab = () => [".condition-0", ".condition-1"].map(shown).join();
  data.tab = tab();
  document.getElementById("condition-1").click();
  data.other = tab();
});
</script>
"""


CODES = (
    "<script>document.documentElement.dataset.fooled = 1</script>",
    "<img src=x onerror='document.documentElement.dataset.fooled = 1'>",
    "<style>main { display: none }</style>",
)


def test_no_other_script_or_style_has_an_effect(make, tmp_path, browse):
    index = write_report(make(), tmp_path / "report")
    look = 'document.documentElement.dataset.main = document.querySelector("main").offsetHeight > 0'
    probe = f"<head><script>addEventListener('load', () => {{ {look} }})</script>"
    index.write_text(
        index.read_text().replace("<head>", probe).replace("</main>", f"</main>{''.join(CODES)}")
    )
    data, console = browse(index, "main")
    assert data == {"ready": "yes", "viewer": "", "main": "true"}
    assert str(console).count("Content Security Policy") >= len(CODES)


def test_tables_sort_and_marks_light_up(make, conditions, tmp_path, browse):
    index = write_report(replace(make(), conditions=conditions()), tmp_path / "report")
    index.write_text(index.read_text().replace("<head>", PROBE))
    data, console = browse(index)
    assert console == []
    assert data["falling"] == "c,b,adescending"
    assert data["rising"] == "a,b,cascending"
    assert data["named"] == "a,b,c"
    assert data["lit"] == "14"  # five measures, time and memory, of two algorithms
    assert data["found"] == "1,1"  # its marks and its row, in this panel only
    assert (data["tab"], data["other"]) == ("true,false", "false,true")


PHONE = """
<html><body><iframe src="page.html" width="390" height="800"></iframe><script>
addEventListener("message", (event) => Object.assign(document.documentElement.dataset, event.data));
</script></body></html>
"""
TELL = """<head>
<script>
addEventListener("load", () => {
  const wide = Array.from(document.querySelectorAll("main *, .hero *")).filter((element) =>
    element.getBoundingClientRect().right > innerWidth + 1 && element.checkVisibility() &&
    !element.closest(".scroll, svg, nav, pre, .bench, .viewer"));
  const first = wide.length ? wide[0].outerHTML.slice(0, 80) : "";
  parent.postMessage({ wide: document.documentElement.scrollWidth, room: innerWidth, first,
    high: document.body.scrollHeight }, "*");
});
</script>
"""


def test_a_phone_never_scrolls_the_page_sideways(make, ranked, conditions, tmp_path, browse):
    names = ("good", "a_very_long_name_of_an_algorithm_" * 3, "third")
    cases = tuple("abcdef")
    results = ranked(
        make(cases=cases, algorithms=names, failed=[("third", "b")]), [("good", "third")]
    )
    density, drug = conditions(names)
    density = replace(density, values={case: 3.0 * n for n, case in enumerate(cases)})
    full = replace(results, conditions=[density, drug])
    (tmp_path / "page.html").write_text(
        write_report(full, tmp_path / "report").read_text().replace("<head>", TELL)
    )
    (tmp_path / "phone.html").write_text(PHONE)
    data, console = browse(tmp_path / "phone.html", "wide")
    assert console == []
    assert data["first"] == ""
    assert int(data["wide"]) <= int(data["room"]) == 390
