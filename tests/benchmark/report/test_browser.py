from dataclasses import replace

import pytest

from cytosuite.benchmark.report import write_report

pytestmark = pytest.mark.slow

PROBE = """
<script>
{
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
}
</script>
</body>
"""


def test_the_script_runs_through_without_complaint(make, tmp_path, browse):
    index = write_report(make(failed=[("fair", "b")]), tmp_path / "report")
    data, console = browse(index)
    assert data == {"ready": "yes", "viewer": ""}
    assert console == []


def test_tables_sort_and_marks_light_up(make, conditions, tmp_path, browse):
    index = write_report(replace(make(), conditions=conditions()), tmp_path / "report")
    index.write_text(index.read_text().replace("</body>", PROBE))
    data, console = browse(index)
    assert console == []
    assert data["falling"] == "c,b,adescending"
    assert data["rising"] == "a,b,cascending"
    assert data["named"] == "a,b,c"
    assert data["lit"] == "14"  # five measures, time and memory, of two algorithms
    assert data["found"] == "1,1"  # its marks and its row, in this panel only
    assert (data["tab"], data["other"]) == ("true,false", "false,true")
